//! A picture between its two files: as pixels, or as planes where both files hold it so.

use std::borrow::Cow;

use crate::planes::Planes;
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

/// Red, green and blue by the matrix that JFIF fixes.
fn raster(planes: &Planes) -> Raster {
    const BITS: u32 = 16;
    const HALF: i32 = 1 << (BITS - 1);
    let (width, height) = planes.size();
    let luma = planes.luma.tight();
    let mut samples = vec![0; 3 * luma.len()];
    let pixels = samples.as_chunks_mut::<3>().0.iter_mut();
    if let Some([blue, red]) = chroma_at_full_size(planes) {
        for (((pixel, y), cb), cr) in pixels.zip(luma.iter()).zip(blue).zip(red) {
            let y = (i32::from(*y) << BITS) + HALF;
            let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
            let clamped = |value: i32| (value >> BITS).clamp(0, 255) as u8;
            *pixel = [
                clamped(y + 91_881 * cr),
                clamped(y - 22_554 * cb - 46_802 * cr),
                clamped(y + 116_130 * cb),
            ];
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
