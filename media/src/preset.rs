//! What thumbnails a configuration asks for, and how the files made by it are told apart from those
//! made by another.

mod focal_point;
mod output_format;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use focal_point::{FocalPoint, FocalPointError};
pub use output_format::OutputFormat;

use crate::digest::hexadecimal;

/// Raised by whoever changes the bytes of a thumbnail: another filter, another encoder or another
/// default of one. Files of an earlier version stay right; a backfill replaces them.
pub const ENGINE_VERSION: u32 = 4;

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
    /// Whether to show the whole picture or to fill a frame with a part of it. Default `inside`.
    #[serde(default)]
    pub fit: Fit,
    /// Width and height of the frame that `fit = "fill"` fills, as a ratio: `[16, 9]`. Its longest
    /// side is `longest_side`. Default `[1, 1]`, a square.
    #[serde(default = "aspect")]
    pub aspect: [u32; 2],
    /// Which part `fit = "fill"` keeps when the upload names no focal point. Default `centre`.
    #[serde(default)]
    pub crop: Crop,
    /// Whether to resize in linear light, which keeps fine bright patterns as bright as they are,
    /// and costs more. Default false, as every other resizer does.
    #[serde(default)]
    pub linear: bool,
    /// Whether an animation stays one in the formats that can hold it: WebP. Default false: its
    /// first frame that is not blank.
    #[serde(default)]
    pub animated: bool,
}

fn quality() -> u8 {
    80
}

fn background() -> [u8; 3] {
    [u8::MAX; 3]
}

fn aspect() -> [u32; 2] {
    [1, 1]
}

impl Preset {
    /// The longest side that every output format can have: WebP stores it in 14 bits.
    const LONGEST_SIDE_MAX: u32 = 16_383;

    /// A preset that says no more than it must.
    pub fn new(name: &str, longest_side: u32, formats: &[OutputFormat]) -> Self {
        Self {
            name: name.to_owned(),
            longest_side,
            formats: formats.to_vec(),
            quality: quality(),
            background: background(),
            fit: Fit::default(),
            aspect: aspect(),
            crop: Crop::default(),
            linear: false,
            animated: false,
        }
    }

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
        let [width, height] = self.aspect;
        let sides = 1..=Self::LONGEST_SIDE_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(PresetError::Aspect {
                name,
                width,
                height,
            });
        }
        Ok(())
    }

    /// Returns a short hexadecimal hash of all that decides the bytes of one of its files, given
    /// the upload: side, format, quality, background, fit, crop, light, animation, the upload's
    /// focal point and [`ENGINE_VERSION`]. Its name and its other formats are no part of it.
    ///
    /// A key that carries it never changes its content. An option that has no effect is left out,
    /// and so is one at its default: a later option changes no hash of presets that do without.
    pub fn digest(&self, format: OutputFormat, focal_point: Option<FocalPoint>) -> String {
        const BYTES: usize = 8;
        let Self {
            name: _,
            longest_side,
            formats: _,
            quality,
            background: [red, green, blue],
            fit,
            aspect: [width, height],
            crop,
            linear,
            animated,
        } = self;
        let mut recipe = format!(
            "engine {ENGINE_VERSION} {} {longest_side} quality {quality} background {red} {green} {blue}",
            format.extension()
        );
        if *fit == Fit::Fill {
            let (width, height) = (*width, *height);
            let divisor = greatest_common_divisor(width, height).max(1);
            let (width, height) = (width / divisor, height / divisor);
            match focal_point {
                Some(FocalPoint { x, y }) => write!(recipe, " fill {width} {height} at {x} {y}"),
                None => write!(recipe, " fill {width} {height} {crop:?}"),
            }
            .expect("a string takes all that is written");
        }
        if *linear {
            recipe.push_str(" linear");
        }
        if *animated && format.can_be_animated() {
            recipe.push_str(" animated");
        }
        hexadecimal(&Sha256::digest(recipe)[..BYTES])
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// How a picture gets the size of a thumbnail.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The whole picture, its longest side being the preset's.
    #[default]
    Inside,
    /// A part of the picture that has the shape of the preset's frame.
    Fill,
}

/// Which part of a picture fills a frame.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// Its middle.
    #[default]
    Centre,
    /// Where most is to be seen, by the entropy of its shades.
    Entropy,
    /// What draws the eye: edges, the colours of skin, strong colours.
    Attention,
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
    /// No frame has such sides.
    #[error("preset {name:?}: aspect is [{width}, {height}]; give two numbers from 1 to 16383")]
    Aspect {
        /// Name of the preset.
        name: String,
        /// What it says first.
        width: u32,
        /// What it says second.
        height: u32,
    },
}

impl PresetError {
    /// Returns the field of the preset that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::LongestSide { .. } => "longest_side",
            Self::Quality { .. } => "quality",
            Self::NoFormat { .. } => "formats",
            Self::Aspect { .. } => "aspect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> Preset {
        Preset::new("feed", 1080, &[OutputFormat::Jpeg])
    }

    fn changed(change: impl FnOnce(&mut Preset)) -> Preset {
        let mut preset = feed();
        change(&mut preset);
        preset
    }

    #[test]
    fn a_preset_needs_only_what_has_no_good_default() {
        let preset: Preset =
            toml::from_str("name = 'feed'\nlongest_side = 1080\nformats = ['jpeg', 'webp']")
                .unwrap();
        let same = Preset::new("feed", 1080, &[OutputFormat::Jpeg, OutputFormat::WebP]);
        assert_eq!(preset, same);
        assert_eq!((preset.quality, preset.background), (80, [255; 3]));
        assert_eq!(preset.validate(), Ok(()));
    }

    #[test]
    fn a_preset_that_makes_nothing_is_refused() {
        let refused = |change: fn(&mut Preset)| changed(change).validate().unwrap_err().to_string();
        assert!(refused(|p| p.longest_side = 0).contains("longest_side is 0"));
        assert!(refused(|p| p.longest_side = 16_384).contains("1 to 16383"));
        assert!(refused(|p| p.quality = 101).contains("quality is 101"));
        assert!(refused(|p| p.formats.clear()).contains("formats is empty"));
        assert!(refused(|p| p.aspect = [16, 0]).contains("aspect is [16, 0]"));
    }

    #[test]
    fn whatever_changes_the_bytes_changes_the_digest() {
        let digest = |preset: &Preset| preset.digest(OutputFormat::WebP, None);
        let mut digests = vec![feed().digest(OutputFormat::Jpeg, None), digest(&feed())];
        let fill = |change: fn(&mut Preset)| {
            changed(|preset| {
                preset.fit = Fit::Fill;
                change(preset);
            })
        };
        for preset in [
            changed(|p| p.longest_side = 1081),
            changed(|p| p.quality = 81),
            changed(|p| p.background = [0, 255, 255]),
            changed(|p| p.linear = true),
            changed(|p| p.animated = true),
            fill(|_| {}),
            fill(|p| p.aspect = [16, 9]),
            fill(|p| p.crop = Crop::Entropy),
            fill(|p| p.crop = Crop::Attention),
        ] {
            digests.push(digest(&preset));
        }
        let focal_point = FocalPoint::new(0.25, 0.5).ok();
        digests.push(fill(|_| {}).digest(OutputFormat::WebP, focal_point));
        assert!(digests.iter().all(|digest| digest.len() == 16));
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn what_leaves_the_bytes_alone_leaves_the_digest_alone() {
        let digest = |preset: &Preset| preset.digest(OutputFormat::Jpeg, None);
        for preset in [
            changed(|p| p.name = "other".to_owned()),
            changed(|p| p.formats.push(OutputFormat::WebP)),
            changed(|p| p.crop = Crop::Entropy),
            changed(|p| p.aspect = [16, 9]),
            changed(|p| p.animated = true),
        ] {
            assert_eq!(digest(&preset), digest(&feed()));
        }
        let focal_point = FocalPoint::new(0.25, 0.5).ok();
        assert_eq!(
            feed().digest(OutputFormat::Jpeg, focal_point),
            digest(&feed())
        );
        let fill = |aspect| changed(|p| (p.fit, p.aspect) = (Fit::Fill, aspect));
        assert_eq!(digest(&fill([16, 9])), digest(&fill([1920, 1080])));
    }
}
