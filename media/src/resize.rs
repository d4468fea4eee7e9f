//! From one decode to every size, each made from the smallest larger one that is large enough.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{InnerPixel, U8x3, U8x4};
use fast_image_resize::{PixelTrait, ResizeOptions, Resizer};

use crate::error::RenderError;
use crate::raster::{Layout, Raster};

/// A size is made from another at least this many times as large. Below that the second pass of
/// the filter would be visible; above it nobody can tell, and it costs a tenth.
const CASCADE_RATIO_MIN: u32 = 2;

/// The size that fits a square of `longest_side`, never larger than it was.
pub(crate) fn fit((width, height): (u32, u32), longest_side: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= longest_side {
        return (width, height);
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(longest_side);
        let rounded = (exact + u64::from(longest) / 2) / u64::from(longest);
        (rounded as u32).max(1)
    };
    (scaled(width), scaled(height))
}

/// Makes every size asked for, each once, the largest first. `convert` changes what comes
/// straight from the source, and so reaches every size once.
pub(crate) fn resize_to_each(
    source: Raster,
    mut sizes: Vec<(u32, u32)>,
    convert: &dyn Fn(Raster) -> Raster,
    cancel: &dyn Fn() -> bool,
) -> Result<Vec<Raster>, RenderError> {
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let mut resizer = Resizer::new();
    let whole_wanted = sizes.first() == Some(&source.size());
    let mut rasters = vec![if whole_wanted {
        convert(source)
    } else {
        source
    }];
    for &size in &sizes {
        if cancel() {
            return Err(RenderError::Cancelled);
        }
        if rasters[0].size() == size {
            continue;
        }
        let enough = size.0.max(size.1) * CASCADE_RATIO_MIN;
        let from = rasters
            .iter()
            .rposition(|made| made.width.max(made.height) >= enough)
            .unwrap_or(0);
        let made = resize(&mut resizer, &rasters[from], size);
        let converted = from > 0 || whole_wanted;
        rasters.push(if converted { made } else { convert(made) });
    }
    if !whole_wanted {
        rasters.remove(0);
    }
    Ok(rasters)
}

fn resize(resizer: &mut Resizer, source: &Raster, size: (u32, u32)) -> Raster {
    match source.layout {
        Layout::Rgb => resize_typed::<U8x3>(resizer, source, size),
        Layout::Rgba | Layout::Cmyk => resize_typed::<U8x4>(resizer, source, size),
    }
}

/// Lanczos with three lobes. The pixel type is static because choosing it at run time would
/// compile the filter for every type there is.
fn resize_typed<P>(resizer: &mut Resizer, source: &Raster, (width, height): (u32, u32)) -> Raster
where
    P: PixelTrait + InnerPixel + Default,
{
    const FITS: &str = "the samples are as many as the size says";
    let mut samples = vec![0; width as usize * height as usize * source.layout.channels()];
    let from =
        TypedImageRef::<P>::from_buffer(source.width, source.height, &source.samples).expect(FITS);
    let mut to = TypedImage::<P>::from_buffer(width, height, &mut samples).expect(FITS);
    // Alpha is multiplied in already.
    let options = ResizeOptions::new().use_alpha(false);
    resizer
        .resize_typed(&from, &mut to, &options)
        .expect("the whole source is inside the source");
    Raster {
        width,
        height,
        layout: source.layout,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_never_enlarged() {
        assert_eq!(fit((100, 50), 128), (100, 50));
        assert_eq!(fit((128, 5), 128), (128, 5));
    }

    #[test]
    fn the_longest_side_fits_and_no_side_vanishes() {
        assert_eq!(fit((4000, 3000), 1080), (1080, 810));
        assert_eq!(fit((3000, 4000), 1080), (810, 1080));
        assert_eq!(fit((65_535, 1), 128), (128, 1));
        assert_eq!(fit((u32::MAX, u32::MAX), 16_383), (16_383, 16_383));
    }
}
