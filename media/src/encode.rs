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

/// What libwebp is told.
pub(crate) fn webp_config(preset: &Preset) -> Result<WebPConfig, RenderError> {
    /// Method 3 and above cost two and a half times as much for a fiftieth of the size.
    const METHOD: i32 = 2;
    let mut config = WebPConfig::new().map_err(|()| RenderError::Encode {
        why: "libwebp refuses its own defaults".to_owned(),
    })?;
    config.quality = f32::from(preset.quality);
    config.method = METHOD;
    Ok(config)
}

fn webp(raster: &Raster, preset: &Preset) -> Result<Vec<u8>, RenderError> {
    let failed = |why: String| RenderError::Encode { why };
    let straight;
    let (samples, layout) = match raster.layout {
        Layout::Rgb => (&raster.samples, PixelLayout::Rgb),
        Layout::Rgba | Layout::Cmyk => {
            straight = raster.straight();
            (&straight, PixelLayout::Rgba)
        }
    };
    let config = webp_config(preset)?;
    webp::Encoder::new(samples, layout, raster.width, raster.height)
        .encode_advanced(&config)
        .map(|file| file.to_vec())
        .map_err(|error| failed(format!("{error:?}")))
}
