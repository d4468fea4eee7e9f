//! From pixels to a file. Files are made of pixels alone: what the upload carried besides, such as
//! the place where it was taken, has no way into them.

use webp::{PixelLayout, WebPConfig};

use crate::error::RenderError;
use crate::jpeg;
use crate::picture::{Picture, planes};
use crate::preset::{OutputFormat, Preset};
use crate::raster::{Layout, Raster};

/// Encodes a picture as the preset says.
pub(crate) fn encode(
    picture: &Picture,
    format: OutputFormat,
    preset: &Preset,
) -> Result<Vec<u8>, RenderError> {
    match (format, picture) {
        (OutputFormat::Jpeg, Picture::Planes(planes)) => Ok(jpeg::encode(planes, preset.quality)),
        (OutputFormat::Jpeg, Picture::Pixels(raster)) => {
            let planes = planes(raster, preset.background);
            Ok(jpeg::encode(&planes, preset.quality))
        }
        (OutputFormat::WebP, picture) => webp(&picture.pixels(), preset),
    }
}

/// How hard libwebp tries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WebPMethod {
    /// For many pixels.
    Fast = 2,
    /// Two and a half times the work for a fiftieth of the size, and more likeness.
    Thorough = 4,
}

/// What libwebp is told.
pub(crate) fn webp_config(preset: &Preset, method: WebPMethod) -> Result<WebPConfig, RenderError> {
    /// Of 100, where 60 is the default. The filter smooths the edges of blocks in the decoder and
    /// costs no byte. Up to the most there is, it makes every picture that was measured more like
    /// the original, by the half of what the fast method loses.
    const FILTER_STRENGTH: i32 = 100;
    let mut config = WebPConfig::new().map_err(|()| RenderError::Encode {
        why: "libwebp refuses its own defaults".to_owned(),
    })?;
    config.quality = f32::from(preset.quality);
    config.method = method as i32;
    config.filter_strength = FILTER_STRENGTH;
    Ok(config)
}

fn webp(raster: &Raster, preset: &Preset) -> Result<Vec<u8>, RenderError> {
    /// Of a thumbnail of 360 by 360: beside one for a feed, more work on it goes unnoticed.
    const SMALL_PIXELS_MAX: u32 = 1 << 17;
    let failed = |why: String| RenderError::Encode { why };
    let straight;
    let (samples, layout) = match raster.layout {
        Layout::Rgb => (&raster.samples, PixelLayout::Rgb),
        Layout::Rgba | Layout::Cmyk => {
            straight = raster.straight();
            (&straight, PixelLayout::Rgba)
        }
    };
    let small = raster.width.saturating_mul(raster.height) <= SMALL_PIXELS_MAX;
    let method = if small {
        WebPMethod::Thorough
    } else {
        WebPMethod::Fast
    };
    let config = webp_config(preset, method)?;
    webp::Encoder::new(samples, layout, raster.width, raster.height)
        .encode_advanced(&config)
        .map(|file| file.to_vec())
        .map_err(|error| failed(format!("{error:?}")))
}
