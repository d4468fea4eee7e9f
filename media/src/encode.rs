//! From pixels to a file. Files are made of pixels alone: what the upload carried besides, such as
//! the place where it was taken, has no way into them.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};
use serde::{Deserialize, Serialize};
use webp::{PixelLayout, WebPConfig};

use crate::error::RenderError;
use crate::jpeg;
use crate::picture::Picture;
use crate::raster::{Layout, Raster};

/// A kind of thumbnail, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Name, part of keys and URLs.
    pub name: String,
    /// Longest side in pixels. A smaller picture keeps its size.
    pub longest_side: u32,
    /// Formats to encode, each into a file of its own.
    pub formats: Vec<OutputFormat>,
    /// Quality of the encoders, 1 to 100. Default 80.
    #[serde(default = "quality")]
    pub quality: u8,
    /// Red, green and blue to show behind transparent pixels where the format has none. Default
    /// white.
    #[serde(default = "background")]
    pub background: [u8; 3],
}

fn quality() -> u8 {
    80
}

fn background() -> [u8; 3] {
    [u8::MAX; 3]
}

impl Preset {
    /// The longest side that every output format can have: WebP stores it in 14 bits.
    const LONGEST_SIDE_MAX: u32 = 16_383;

    /// Tells whether thumbnails can be made from it, so that a configuration is refused at start
    /// and not by the first picture.
    pub fn validate(&self) -> Result<(), PresetError> {
        let name = self.name.clone();
        if !(1..=Self::LONGEST_SIDE_MAX).contains(&self.longest_side) {
            return Err(PresetError::LongestSide {
                name,
                longest_side: self.longest_side,
            });
        }
        if !(1..=100).contains(&self.quality) {
            return Err(PresetError::Quality {
                name,
                quality: self.quality,
            });
        }
        if self.formats.is_empty() {
            return Err(PresetError::NoFormat { name });
        }
        Ok(())
    }
}

/// Why no thumbnail can be made from a preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// No output format has such a side.
    #[error("preset {name:?}: longest_side is {longest_side}; give 1 to 16383")]
    LongestSide {
        /// Name of the preset.
        name: String,
        /// What it says.
        longest_side: u32,
    },
    /// No encoder has such a quality.
    #[error("preset {name:?}: quality is {quality}; give 1 to 100")]
    Quality {
        /// Name of the preset.
        name: String,
        /// What it says.
        quality: u8,
    },
    /// Nothing would be made.
    #[error("preset {name:?}: formats is empty; give \"jpeg\", \"webp\" or both")]
    NoFormat {
        /// Name of the preset.
        name: String,
    },
}

/// A format that thumbnails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// JPEG, for every client there is.
    Jpeg,
    /// WebP, a quarter smaller, and transparent where the picture is.
    WebP,
}

impl OutputFormat {
    /// Returns the media type to serve it with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }

    /// Returns the extension of its keys, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
        }
    }
}

/// Encodes a picture as the preset says.
pub(crate) fn encode(
    picture: &Picture,
    format: OutputFormat,
    preset: &Preset,
) -> Result<Vec<u8>, RenderError> {
    match (format, picture) {
        (OutputFormat::Jpeg, Picture::Planes(planes)) => Ok(jpeg::encode(planes, preset.quality)),
        (OutputFormat::Jpeg, Picture::Pixels(raster)) => jpeg(raster, preset),
        (OutputFormat::WebP, picture) => webp(&picture.pixels(), preset),
    }
}

fn jpeg(raster: &Raster, preset: &Preset) -> Result<Vec<u8>, RenderError> {
    let failed = |why: &dyn std::fmt::Display| RenderError::Encode {
        why: why.to_string(),
    };
    let side = |side: u32| u16::try_from(side).map_err(|error| failed(&error));
    let flattened;
    let samples = match raster.layout {
        Layout::Rgb => &raster.samples,
        Layout::Rgba => {
            flattened = raster.flattened(preset.background);
            &flattened
        }
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, preset.quality);
    // 4:2:0 at every quality: a fifth smaller, and nobody sees colour as sharply as light.
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder
        .encode(
            samples,
            side(raster.width)?,
            side(raster.height)?,
            ColorType::Rgb,
        )
        .map_err(|error| failed(&error))?;
    Ok(file)
}

fn webp(raster: &Raster, preset: &Preset) -> Result<Vec<u8>, RenderError> {
    /// Method 3 and above cost two and a half times as much for a fiftieth of the size.
    const METHOD: i32 = 2;
    let failed = |why: String| RenderError::Encode { why };
    let straight;
    let (samples, layout) = match raster.layout {
        Layout::Rgb => (&raster.samples, PixelLayout::Rgb),
        Layout::Rgba => {
            straight = raster.straight();
            (&straight, PixelLayout::Rgba)
        }
    };
    let mut config =
        WebPConfig::new().map_err(|()| failed("libwebp refuses its own defaults".to_owned()))?;
    config.quality = f32::from(preset.quality);
    config.method = METHOD;
    webp::Encoder::new(samples, layout, raster.width, raster.height)
        .encode_advanced(&config)
        .map(|file| file.to_vec())
        .map_err(|error| failed(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_needs_only_what_has_no_good_default() {
        let preset: Preset =
            toml::from_str("name = 'feed'\nlongest_side = 1080\nformats = ['jpeg', 'webp']")
                .unwrap();
        assert_eq!((preset.quality, preset.background), (80, [255; 3]));
        assert_eq!(preset.formats, [OutputFormat::Jpeg, OutputFormat::WebP]);
        assert_eq!(preset.validate(), Ok(()));
    }

    #[test]
    fn a_preset_that_makes_nothing_is_refused() {
        let preset: Preset =
            toml::from_str("name = 'feed'\nlongest_side = 1080\nformats = ['jpeg']").unwrap();
        let refused = |change: &dyn Fn(&mut Preset)| {
            let mut preset = preset.clone();
            change(&mut preset);
            preset.validate().unwrap_err().to_string()
        };
        assert!(refused(&|p| p.longest_side = 0).contains("longest_side is 0"));
        assert!(refused(&|p| p.longest_side = 16_384).contains("1 to 16383"));
        assert!(refused(&|p| p.quality = 101).contains("quality is 101"));
        assert!(refused(&|p| p.formats.clear()).contains("formats is empty"));
    }
}
