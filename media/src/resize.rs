//! From one decode to every size, each made from the smallest larger one that is large enough.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{InnerPixel, U8, U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::error::RenderError;
use crate::lanczos;
use crate::picture::Picture;
use crate::planes::{Plane, Planes};
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

/// Whether the largest of these sizes is the only one that is made of the source itself.
pub(crate) fn made_of_largest(sizes: &[(u32, u32)]) -> bool {
    let longest = |size: &(u32, u32)| size.0.max(size.1);
    let largest = sizes.iter().max();
    let others = sizes.iter().filter(|size| Some(*size) != largest);
    let enough = others
        .map(longest)
        .max()
        .unwrap_or(0)
        .saturating_mul(CASCADE_RATIO_MIN);
    largest.map_or(0, longest) >= enough
}

/// Makes every size asked for, each once, the largest first. Planes become those of 4:2:0.
/// `convert`, if there is anything to convert, changes what comes straight from the source, and so
/// reaches every size once.
pub(crate) fn resize_to_each(
    source: Picture,
    mut sizes: Vec<(u32, u32)>,
    convert: Option<&dyn Fn(Picture) -> Picture>,
    cancel: &dyn Fn() -> bool,
) -> Result<Vec<Picture>, RenderError> {
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let mut resizer = Resizer::new();
    let source_wanted = sizes.contains(&source.size()) && settled(&source);
    let mut pictures = vec![match convert {
        Some(convert) if source_wanted => convert(source),
        _ => source,
    }];
    for &size in &sizes {
        if cancel() {
            return Err(RenderError::Cancelled);
        }
        if source_wanted && pictures[0].size() == size {
            continue;
        }
        let enough = size.0.max(size.1) * CASCADE_RATIO_MIN;
        let from = pictures
            .iter()
            .rposition(|made| {
                let (width, height) = made.size();
                width.max(height) >= enough
            })
            .unwrap_or(0);
        let convert = convert.filter(|_| from == 0 && !source_wanted);
        let made = match &pictures[from] {
            Picture::Pixels(raster) => Picture::Pixels(resize(&mut resizer, raster, size)),
            Picture::Planes(planes) => Picture::Planes(resize_planes(&mut resizer, planes, size)),
        };
        let made = match convert {
            Some(convert) => convert(made),
            None => made,
        };
        pictures.push(made);
    }
    if !source_wanted {
        pictures.remove(0);
    }
    Ok(pictures)
}

/// Tells whether a picture can be encoded as it is.
fn settled(picture: &Picture) -> bool {
    match picture {
        Picture::Pixels(_) => true,
        Picture::Planes(planes) => {
            let (width, height) = (f64::from(planes.width), f64::from(planes.height));
            let half = (width / 2.0, height / 2.0);
            let chroma = planes.chroma.iter().flatten();
            planes.luma.extent() == (width, height)
                && chroma.into_iter().all(|plane| plane.extent() == half)
        }
    }
}

fn resize(resizer: &mut Resizer, source: &Raster, size: (u32, u32)) -> Raster {
    let (width, height) = size;
    let mut samples = vec![0; width as usize * height as usize * source.layout.channels()];
    let rows = 0.0..f64::from(source.height);
    let from = (&source.samples[..], source.size(), rows);
    resize_rows(resizer, source.layout, from, (&mut samples, size));
    Raster {
        width,
        height,
        layout: source.layout,
        samples,
    }
}

/// Resizes some of the rows of a picture. The filter sees those around them as well.
pub(crate) fn resize_rows(
    resizer: &mut Resizer,
    layout: Layout,
    from: (&[u8], (u32, u32), Range<f64>),
    to: (&mut [u8], (u32, u32)),
) {
    match layout {
        Layout::Rgb => resize_typed::<U8x3>(resizer, from, to),
        Layout::Rgba | Layout::Cmyk => resize_typed::<U8x4>(resizer, from, to),
    }
}

/// Makes planes of this size, with chroma of half of it, rounded up.
fn resize_planes(resizer: &mut Resizer, source: &Planes, size: (u32, u32)) -> Planes {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let extent = (width / 2.0, height / 2.0);
    let chroma_size = (extent.0.ceil() as u32, extent.1.ceil() as u32);
    let mut chroma =
        |plane: &Plane| resize_plane(resizer, plane, chroma_size, extent, lanczos::filter());
    let chroma = source
        .chroma
        .as_ref()
        .map(|[blue, red]| [chroma(blue), chroma(red)]);
    let extent = (width, height);
    Planes {
        width: size.0,
        height: size.1,
        luma: resize_plane(resizer, &source.luma, size, extent, lanczos::filter()),
        chroma,
    }
}

/// Blue and red with a sample for each pixel, row after row; none of a grey picture.
pub(crate) fn chroma_at_full_size(planes: &Planes) -> Option<[Vec<u8>; 2]> {
    let mut resizer = Resizer::new();
    let size = planes.size();
    let extent = (f64::from(size.0), f64::from(size.1));
    let planes = planes.chroma.as_ref()?;
    // Between two samples of chroma lies nothing that a wider filter could find.
    let filter = FilterType::Bilinear;
    Some(planes.each_ref().map(|plane| {
        let plane = resize_plane(&mut resizer, plane, size, extent, filter);
        plane.into_samples()
    }))
}

/// Makes a plane of this size of which the picture spans `extent`.
fn resize_plane(
    resizer: &mut Resizer,
    source: &Plane,
    (width, height): (u32, u32),
    extent: (f64, f64),
    filter: FilterType,
) -> Plane {
    const FITS: &str = "the samples are as many as the size says";
    let (across, down) = source.extent();
    // What the new plane shows, its own part beyond the picture included.
    let across = across * f64::from(width) / extent.0;
    let down = down * f64::from(height) / extent.1;
    let (stride, rows) = (across.ceil() as usize, down.ceil() as usize);
    let extended;
    let source = if stride > source.stride() || rows > source.rows() {
        extended = source.extended(stride, rows);
        &extended
    } else {
        source
    };
    let from = TypedImageRef::<U8>::from_buffer(
        source.stride() as u32,
        source.rows() as u32,
        source.samples(),
    )
    .expect(FITS);
    let mut plane = Plane::within((width as usize, height as usize), extent);
    let mut to = TypedImage::<U8>::from_buffer(width, height, plane.samples_mut()).expect(FITS);
    let options = ResizeOptions::new()
        .crop(0.0, 0.0, across, down)
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false);
    resizer
        .resize_typed(&from, &mut to, &options)
        .expect("the source was extended to what is shown of it");
    plane
}

/// The pixel type is static because choosing it at run time would
/// compile the filter for every type there is.
fn resize_typed<P>(
    resizer: &mut Resizer,
    (from, (width, height), rows): (&[u8], (u32, u32), Range<f64>),
    (to, to_size): (&mut [u8], (u32, u32)),
) where
    P: PixelTrait + InnerPixel,
{
    const FITS: &str = "the samples are as many as the size says";
    let from = TypedImageRef::<P>::from_buffer(width, height, from).expect(FITS);
    let mut to = TypedImage::<P>::from_buffer(to_size.0, to_size.1, to).expect(FITS);
    // Alpha is multiplied in already.
    let options = ResizeOptions::new()
        .crop(0.0, rows.start, f64::from(width), rows.end - rows.start)
        .resize_alg(ResizeAlg::Convolution(lanczos::filter()))
        .use_alpha(false);
    resizer
        .resize_typed(&from, &mut to, &options)
        .expect("the rows are inside the source");
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
    fn sizes_near_the_largest_are_made_of_the_source() {
        assert!(made_of_largest(&[
            (320, 240),
            (1080, 810),
            (1080, 810),
            (32, 24)
        ]));
        assert!(made_of_largest(&[(540, 720), (270, 360)]));
        assert!(!made_of_largest(&[(1080, 810), (541, 406)]));
        assert!(made_of_largest(&[(7, 5)]));
    }

    #[test]
    fn the_longest_side_fits_and_no_side_vanishes() {
        assert_eq!(fit((4000, 3000), 1080), (1080, 810));
        assert_eq!(fit((3000, 4000), 1080), (810, 1080));
        assert_eq!(fit((65_535, 1), 128), (128, 1));
        assert_eq!(fit((u32::MAX, u32::MAX), 16_383), (16_383, 16_383));
    }
}
