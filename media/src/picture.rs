//! A picture between its two files: as pixels, or as planes where both files hold it so.

use std::borrow::Cow;

use crate::planes::{Plane, Planes};
use crate::raster::{Layout, Raster};
use crate::resize::chroma_at_full_size;
use crate::ycbcr;

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
        *sample = ycbcr::luma(*pixel);
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

/// Chroma of the mean of each square of four pixels.
fn chroma_of_rows(above: &[[u8; 3]], below: &[[u8; 3]], blue: &mut [u8], red: &mut [u8]) {
    let columns = above.chunks(2).zip(below.chunks(2));
    for ((above, below), (blue, red)) in columns.zip(blue.iter_mut().zip(red)) {
        let sum = |channel: usize| {
            // The last column of an odd width is its own neighbour.
            let pair = |row: &[[u8; 3]]| {
                i32::from(row[0][channel]) + i32::from(row[row.len() - 1][channel])
            };
            pair(above) + pair(below)
        };
        [*blue, *red] = ycbcr::chroma::<2>([sum(0), sum(1), sum(2)]);
    }
}

/// Red, green and blue.
fn raster(planes: &Planes) -> Raster {
    let (width, height) = planes.size();
    let luma = planes.luma.tight();
    let mut samples = vec![0; 3 * luma.len()];
    let pixels = samples.as_chunks_mut::<3>().0.iter_mut();
    if let Some([blue, red]) = chroma_at_full_size(planes) {
        for (((pixel, y), cb), cr) in pixels.zip(luma.iter()).zip(blue).zip(red) {
            *pixel = ycbcr::rgb(*y, [cb, cr]);
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
