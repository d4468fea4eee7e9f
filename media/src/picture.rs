//! A picture between its two files: as pixels, or as planes where both files hold it so.

use std::borrow::Cow;

use crate::planes::{Plane, Planes};
use crate::raster::{Layout, Raster};
use crate::resize::chroma_at_full_size;

/// A decoded picture.
#[derive(Clone)]
pub(crate) enum Picture {
    /// Of red, green, blue and perhaps alpha.
    Pixels(Raster),
    /// Of luma and chroma.
    Planes(Planes),
}

impl Picture {
    pub(crate) fn size(&self) -> (u32, u32) {
        match self {
            Self::Pixels(raster) => raster.size(),
            Self::Planes(planes) => planes.size(),
        }
    }

    /// Turns a picture as stored into the picture as seen.
    pub(crate) fn upright(self, orientation: u8) -> Self {
        match self {
            Self::Pixels(raster) => Self::Pixels(raster.upright(orientation)),
            Self::Planes(planes) => Self::Planes(planes.upright(orientation)),
        }
    }

    /// The picture as pixels that its owner may change.
    pub(crate) fn into_pixels(self) -> Raster {
        match self {
            Self::Pixels(raster) => raster,
            Self::Planes(planes) => raster(&planes),
        }
    }

    /// What its samples are, or would be as pixels.
    pub(crate) fn layout(&self) -> Layout {
        match self {
            Self::Pixels(raster) => raster.layout,
            Self::Planes(_) => Layout::Rgb,
        }
    }

    /// The picture as pixels, for whoever needs them. Planes are converted anew each time.
    pub(crate) fn pixels(&self) -> Cow<'_, Raster> {
        match self {
            Self::Pixels(raster) => Cow::Borrowed(raster),
            Self::Planes(planes) => Cow::Owned(raster(planes)),
        }
    }
}

/// Planes of 4:2:0 with their red, green and blue changed. Two rows at a time are pixels, which stay
/// in the first-level cache, and samples of chroma are taken for each of the pixels that they will
/// be made of again, so that none is mixed with its neighbours.
pub(crate) fn recoloured(mut planes: Planes, change: impl Fn(&[u8], &mut [u8])) -> Planes {
    let (width, height) = (planes.width as usize, planes.height as usize);
    let Some([blue, red]) = &mut planes.chroma else {
        return planes;
    };
    let (luma_stride, blue_stride, red_stride) =
        (planes.luma.stride(), blue.stride(), red.stride());
    let luma = &mut planes.luma.samples_mut()[..height * luma_stride];
    let rows = luma
        .chunks_mut(2 * luma_stride)
        .zip(blue.samples_mut().chunks_exact_mut(blue_stride))
        .zip(red.samples_mut().chunks_exact_mut(red_stride));
    let mut pixels = vec![[0; 3]; 2 * width];
    let mut changed = pixels.clone();
    for ((luma, blue), red) in rows {
        let count = luma.len() / luma_stride * width;
        let (pixels, changed) = (&mut pixels[..count], &mut changed[..count]);
        let lines = pixels.chunks_exact_mut(width);
        for (pixels, luma) in lines.zip(luma.chunks_exact(luma_stride)) {
            let pairs = pixels.chunks_mut(2).zip(luma.chunks(2));
            for ((pixels, luma), (blue, red)) in pairs.zip(blue.iter().zip(red.iter())) {
                let tint = tint_of(*blue, *red);
                for (pixel, luma) in pixels.iter_mut().zip(luma) {
                    *pixel = pixel_of(*luma, tint);
                }
            }
        }
        change(pixels.as_flattened(), changed.as_flattened_mut());
        let lines = changed.chunks_exact(width);
        for (luma, changed) in luma.chunks_exact_mut(luma_stride).zip(lines) {
            for (sample, pixel) in luma.iter_mut().zip(changed) {
                *sample = luma_of(*pixel);
            }
        }
        let (above, below) = changed.split_at(width);
        let below = if below.is_empty() { above } else { below };
        chroma_of_rows(above, below, blue, red);
    }
    planes.luma.repeat_edges();
    for plane in planes.chroma.iter_mut().flatten() {
        plane.repeat_edges();
    }
    planes
}

/// Luma, and chroma of half the samples both ways, of a picture in front of a background.
pub(crate) fn planes(raster: &Raster, background: [u8; 3]) -> Planes {
    let rgb = match raster.layout {
        Layout::Rgb => Cow::Borrowed(&raster.samples),
        Layout::Rgba | Layout::Cmyk => Cow::Owned(raster.flattened(background)),
    };
    let pixels = rgb.as_chunks::<3>().0;
    let (width, height) = (raster.width as usize, raster.height as usize);
    let extent = (f64::from(raster.width), f64::from(raster.height));
    let half = (width.div_ceil(2), height.div_ceil(2));
    let within_half = || Plane::within(half, (extent.0 / 2.0, extent.1 / 2.0));
    let mut luma = Plane::within((width, height), extent);
    for (sample, pixel) in luma.samples_mut().iter_mut().zip(pixels) {
        *sample = luma_of(*pixel);
    }
    let (mut blue, mut red) = (within_half(), within_half());
    let rows = blue.samples_mut().chunks_exact_mut(half.0);
    let rows = rows.zip(red.samples_mut().chunks_exact_mut(half.0));
    for ((blue, red), pair) in rows.zip(pixels.chunks(2 * width)) {
        let (above, below) = pair.split_at(width);
        // The last row of an odd height is its own neighbour.
        let below = if below.is_empty() { above } else { below };
        chroma_of_rows(above, below, blue, red);
    }
    Planes {
        width: raster.width,
        height: raster.height,
        luma,
        chroma: Some([blue, red]),
    }
}

/// Bits after the point of the matrix below.
const BITS: u32 = 16;

fn luma_of([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    ((sum + (1 << (BITS - 1))) >> BITS) as u8
}

/// Chroma of the mean of each square of four pixels.
fn chroma_of_rows(above: &[[u8; 3]], below: &[[u8; 3]], blue: &mut [u8], red: &mut [u8]) {
    /// Two bits more for the sum of four; 128 is no colour, and a half rounds.
    const SHIFT: u32 = BITS + 2;
    const MIDDLE: i32 = (128 << SHIFT) + (1 << (SHIFT - 1)) - 1;
    let columns = above.chunks(2).zip(below.chunks(2));
    for ((above, below), (blue, red)) in columns.zip(blue.iter_mut().zip(red)) {
        let sum = |channel: usize| {
            // The last column of an odd width is its own neighbour.
            let pair = |row: &[[u8; 3]]| {
                i32::from(row[0][channel]) + i32::from(row[row.len() - 1][channel])
            };
            pair(above) + pair(below)
        };
        let (r, g, b) = (sum(0), sum(1), sum(2));
        *blue = ((MIDDLE - 11_059 * r - 21_709 * g + 32_768 * b) >> SHIFT).clamp(0, 255) as u8;
        *red = ((MIDDLE + 32_768 * r - 27_439 * g - 5_329 * b) >> SHIFT).clamp(0, 255) as u8;
    }
}

/// What chroma adds to red, green and blue, [`BITS`] after the point and with the half that rounds.
fn tint_of(blue: u8, red: u8) -> [i32; 3] {
    const HALF: i32 = 1 << (BITS - 1);
    let (cb, cr) = (i32::from(blue) - 128, i32::from(red) - 128);
    [91_881 * cr, -22_554 * cb - 46_802 * cr, 116_130 * cb].map(|tint| tint + HALF)
}

fn pixel_of(luma: u8, tint: [i32; 3]) -> [u8; 3] {
    let y = i32::from(luma) << BITS;
    tint.map(|tint| ((y + tint) >> BITS).clamp(0, 255) as u8)
}

/// Red, green and blue by the matrix that JFIF fixes.
fn raster(planes: &Planes) -> Raster {
    let (width, height) = planes.size();
    let luma = planes.luma.tight();
    let mut samples = vec![0; 3 * luma.len()];
    let pixels = samples.as_chunks_mut::<3>().0.iter_mut();
    if let Some([blue, red]) = chroma_at_full_size(planes) {
        for (((pixel, y), cb), cr) in pixels.zip(luma.iter()).zip(blue).zip(red) {
            *pixel = pixel_of(*y, tint_of(cb, cr));
        }
    } else {
        for (pixel, y) in pixels.zip(luma.iter()) {
            *pixel = [*y; 3];
        }
    }
    Raster {
        width,
        height,
        layout: Layout::Rgb,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster_of(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Raster {
        let samples = (0..width * height)
            .flat_map(|at| pixel(at % width, at / width))
            .collect();
        Raster {
            width,
            height,
            layout: Layout::Rgb,
            samples,
        }
    }

    #[test]
    fn planes_and_back_is_the_same_picture() {
        for (width, height) in [(1, 1), (2, 2), (7, 5), (64, 48)] {
            let colours = [
                [0; 3],
                [255; 3],
                [255, 0, 0],
                [0, 255, 0],
                [0, 0, 255],
                [90, 140, 30],
            ];
            for colour in colours {
                let picture = raster_of(width, height, |_, _| colour);
                let back = raster(&planes(&picture, [0; 3]));
                assert_eq!(back.size(), (width, height));
                let near = |a: &[u8; 3]| a.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 2);
                let pixels = back.samples.as_chunks::<3>().0;
                assert!(pixels.iter().all(near), "{colour:?}: {:?}", pixels[0]);
            }
        }
    }

    #[test]
    fn colours_are_where_they_were() {
        let picture = raster_of(64, 48, |x, y| [(x * 4) as u8, (y * 5) as u8, 90]);
        let back = raster(&planes(&picture, [0; 3]));
        let pairs = picture.samples.iter().zip(&back.samples);
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(6), "{most:?}");
    }

    #[test]
    fn planes_are_recoloured_as_their_pixels_are() {
        let swapped = |from: &[u8], to: &mut [u8]| {
            let pixels = from
                .as_chunks::<3>()
                .0
                .iter()
                .zip(to.as_chunks_mut::<3>().0);
            pixels.for_each(|(&[r, g, b], to)| *to = [b, r, 255 - g]);
        };
        for (width, height) in [(1, 1), (2, 2), (7, 5), (64, 47)] {
            // Of one colour within each square that has one sample of chroma.
            let colour = |x: u32, y: u32| [(x / 2 * 8) as u8, (y / 2 * 10) as u8, 90];
            let picture = raster_of(width, height, colour);
            let mut expected = picture.clone();
            swapped(&picture.samples, &mut expected.samples);
            let mut planes = planes(&picture, [0; 3]);
            // With more samples than the picture has, as a decoder leaves them.
            planes.luma = planes.luma.extended(80, 64);
            planes.chroma = planes
                .chroma
                .map(|both| both.map(|plane| plane.extended(40, 32)));
            let found = recoloured(planes, swapped);
            let edge = found.luma.samples()[width as usize - 1];
            assert_eq!(found.luma.samples()[79], edge);
            let [blue, red] = found.chroma.as_ref().unwrap();
            let at = |plane: &Plane, x, y| plane.samples()[y * plane.stride() + x];
            let pixels = expected.samples.as_chunks::<3>().0.iter().enumerate();
            let apart = pixels.flat_map(|(place, expected)| {
                let (x, y) = (place % width as usize, place / width as usize);
                let tint = tint_of(at(blue, x / 2, y / 2), at(red, x / 2, y / 2));
                let found = pixel_of(at(&found.luma, x, y), tint);
                [0, 1, 2].map(|channel| found[channel].abs_diff(expected[channel]))
            });
            let most = apart.max();
            assert!(most <= Some(4), "{width} by {height}: {most:?}");
        }
    }

    #[test]
    fn what_is_transparent_shows_the_background() {
        let clear = Raster {
            layout: Layout::Rgba,
            samples: vec![0; 4],
            ..raster_of(1, 1, |_, _| [0; 3])
        };
        let back = raster(&planes(&clear, [250, 10, 20]));
        let near = back
            .samples
            .iter()
            .zip([250u8, 10, 20])
            .all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near, "{:?}", back.samples);
    }
}
