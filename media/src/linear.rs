//! Resizing in linear light: the mean of black and white is the light of half of them, and not the
//! byte between theirs. Bright points of a dark picture stay as bright as they are.
//!
//! The curve of sRGB is taken for every profile of lights; those of cameras and screens have it or
//! one close to it.

use std::sync::LazyLock;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{InnerPixel, U16x3, U16x4};
use fast_image_resize::{PixelTrait, ResizeOptions, Resizer};

use crate::raster::{Layout, Raster, divided, from_linear, scaled, to_linear};

/// Light of every byte, 0 to 65,535.
static LIGHT: LazyLock<[u16; 256]> = LazyLock::new(|| {
    std::array::from_fn(|sample| (to_linear(sample as u8) * 65_535.0).round() as u16)
});

/// The byte of every light.
static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let sample = |light: u16| from_linear(f64::from(light) / 65_535.0);
    (0..=u16::MAX).map(sample).collect()
});

/// Makes a picture of light, of this size, which is no larger than it was.
pub(crate) fn resize(source: &Raster, size: (u32, u32)) -> Raster {
    match source.layout {
        Layout::Rgb => resized::<U16x3, 3>(source, size),
        Layout::Rgba | Layout::Cmyk => resized::<U16x4, 4>(source, size),
    }
}

fn resized<P, const CHANNELS: usize>(source: &Raster, (width, height): (u32, u32)) -> Raster
where
    P: PixelTrait + InnerPixel<Component = u16> + Default,
{
    const FITS: &str = "the samples are as many as the size says";
    let factor = factor(source.size(), (width, height));
    let columns = source.width.div_ceil(factor);
    let rows = source.height.div_ceil(factor);
    let pixels = shrunk::<P, CHANNELS>(source, factor as usize);
    let from = TypedImageRef::<P>::new(columns, rows, &pixels).expect(FITS);
    let mut to = TypedImage::<P>::new(width, height);
    // The last column and row may be means of fewer pixels than the others, and so are narrower.
    let exact = |side: u32| f64::from(side) / f64::from(factor);
    let options = ResizeOptions::new().use_alpha(false).crop(
        0.0,
        0.0,
        exact(source.width),
        exact(source.height),
    );
    Resizer::new()
        .resize_typed(&from, &mut to, &options)
        .expect("the whole source is inside the source");
    let light = P::components(to.pixels());
    let mut samples = vec![0; light.len()];
    let bytes = samples.as_chunks_mut::<CHANNELS>().0.iter_mut();
    for (bytes, light) in bytes.zip(light.as_chunks::<CHANNELS>().0) {
        *bytes = bytes_of(light);
    }
    Raster {
        width,
        height,
        layout: source.layout,
        samples,
    }
}

/// How many pixels across and down make one before the filter sees them.
fn factor(from: (u32, u32), to: (u32, u32)) -> u32 {
    /// What the mean of whole pixels leaves to the filter, at least. The filter then hides that
    /// the mean is a coarser one.
    const LEFT_TO_FILTER: u32 = 3;
    ((from.0 / to.0).min(from.1 / to.1) / LEFT_TO_FILTER).max(1)
}

/// Memory that [`resize`] takes at its peak, beside its source, as foreseen for pixels with alpha.
pub(crate) fn estimated_bytes(from: (u32, u32), to: (u32, u32)) -> u64 {
    const LIGHT_BYTES: u64 = 4 * size_of::<u16>() as u64;
    const SAMPLE_BYTES: u64 = 4;
    let factor = factor(from, to);
    let columns = u64::from(from.0.div_ceil(factor));
    let rows = u64::from(from.1.div_ceil(factor));
    let (width, height) = (u64::from(to.0), u64::from(to.1));
    // The filter goes across first, and then down.
    let light = columns * rows + width * rows + width * height;
    light * LIGHT_BYTES + width * height * SAMPLE_BYTES
}

/// The mean light of squares of pixels.
fn shrunk<P, const CHANNELS: usize>(source: &Raster, factor: usize) -> Vec<P>
where
    P: PixelTrait + InnerPixel<Component = u16> + Default,
{
    let width = source.width as usize;
    let columns = width.div_ceil(factor);
    let mut means = Vec::with_capacity(columns * (source.height as usize).div_ceil(factor));
    let mut sums = vec![[0u64; CHANNELS]; columns];
    let pixels = source.samples.as_chunks::<CHANNELS>().0;
    for rows in pixels.chunks(width * factor) {
        sums.fill([0; CHANNELS]);
        for row in rows.chunks_exact(width) {
            for (sum, square) in sums.iter_mut().zip(row.chunks(factor)) {
                for pixel in square {
                    let light = light_of(pixel);
                    for (sum, light) in sum.iter_mut().zip(light) {
                        *sum += u64::from(light);
                    }
                }
            }
        }
        let down = rows.len() / width;
        for (column, sum) in sums.iter().enumerate() {
            let across = factor.min(width - column * factor);
            let count = (across * down) as u64;
            let mut mean = P::default();
            let light = P::components_mut(std::slice::from_mut(&mut mean));
            for (light, sum) in light.iter_mut().zip(sum) {
                *light = ((sum + count / 2) / count) as u16;
            }
            means.push(mean);
        }
    }
    means
}

/// Light of a pixel, alpha multiplied in again as light.
fn light_of<const CHANNELS: usize>(pixel: &[u8; CHANNELS]) -> [u16; CHANNELS] {
    let alpha = pixel.get(3).copied().unwrap_or(u8::MAX);
    let mut light = [0; CHANNELS];
    for (light, sample) in light.iter_mut().zip(pixel).take(3) {
        let straight = u32::from(LIGHT[usize::from(divided(*sample, alpha))]);
        *light = ((straight * u32::from(alpha) + 127) / 255) as u16;
    }
    if let Some(last) = light.get_mut(3) {
        *last = u16::from(alpha) * 257;
    }
    light
}

fn bytes_of<const CHANNELS: usize>(light: &[u16; CHANNELS]) -> [u8; CHANNELS] {
    let alpha = light.get(3).copied().unwrap_or(u16::MAX);
    let byte = ((u32::from(alpha) + 128) / 257) as u8;
    let mut bytes = [byte; CHANNELS];
    for (sample, light) in bytes.iter_mut().zip(light).take(3) {
        let straight = match u32::from(alpha) {
            0 => 0,
            alpha => (u32::from(*light) * 65_535 / alpha).min(65_535),
        };
        *sample = scaled(SAMPLE[straight as usize], byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ColorType;

    #[test]
    fn black_and_white_make_the_grey_of_half_the_light() {
        let stripes = (0..64 * 64)
            .flat_map(|at| [if at % 2 == 0 { 0 } else { 255 }; 3])
            .collect();
        let raster = Raster::new(64, 64, ColorType::Rgb8, stripes);
        let small = resize(&raster, (8, 8));
        let middle = &small.samples[3 * (8 * 4 + 4)..][..3];
        assert!(
            middle.iter().all(|shade| shade.abs_diff(188) < 2),
            "{middle:?}"
        );
    }

    #[test]
    fn an_even_picture_stays_as_it_is() {
        for pixel in [[200, 30, 90, 255], [200, 30, 90, 128]] {
            let raster = Raster::new(70, 50, ColorType::Rgba8, pixel.repeat(70 * 50));
            let before = raster.samples[..raster.layout.channels()].to_vec();
            let small = resize(&raster, (7, 5));
            assert_eq!((small.size(), small.layout), ((7, 5), raster.layout));
            for made in small.samples.chunks(before.len()) {
                let near = made.iter().zip(&before).all(|(a, b)| a.abs_diff(*b) <= 1);
                assert!(near, "{made:?} of {before:?}");
            }
        }
    }

    #[test]
    fn a_size_that_divides_nothing_shows_the_whole_picture() {
        let ramp = (0..101u32 * 67)
            .flat_map(|at| [(at % 101 * 2) as u8; 3])
            .collect();
        let raster = Raster::new(101, 67, ColorType::Rgb8, ramp);
        let small = resize(&raster, (10, 7));
        let row: Vec<u8> = small.samples[3 * 30..3 * 40]
            .iter()
            .step_by(3)
            .copied()
            .collect();
        assert!(row[0] < 20 && row[9] > 182 && row.is_sorted(), "{row:?}");
    }
}
