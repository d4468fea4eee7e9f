//! The files that a picture is to have, and what each of them says of itself.
//!
//! A derived file carries its facts as metadata, so that another picture of the same bytes can use it unseen.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iyagi_media::{FocalPoint, OutputFormat, Preset, Rendered};
use iyagi_messages::media::Variant;
use iyagi_messages::object::ObjectKey;

use super::candidate::derived_key;
use crate::ports::{ObjectInfo, PutOptions};

/// How long phones and caches may keep a derived file: its key changes with its content.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";
const WIDTH: &str = "iyagi-width";
const HEIGHT: &str = "iyagi-height";
const COLOUR: &str = "iyagi-colour";
const PLACEHOLDER: &str = "iyagi-placeholder";
const RENDERED_IN_MS: &str = "iyagi-rendered-in-ms";

/// One file that a picture is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) preset: String,
    pub(super) format: OutputFormat,
    pub(super) key: ObjectKey,
}

/// What all files of one picture show alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) dominant_colour: String,
    pub(super) placeholder: Option<String>,
    pub(super) rendered_in_ms: Option<u64>,
}

/// Every file, in the order of the presets and of their formats.
pub(super) fn wanted(
    sha256: &str,
    presets: &[Preset],
    focal_point: Option<FocalPoint>,
) -> Vec<Wanted> {
    let each = presets.iter().flat_map(|preset| {
        let formats = preset.formats.iter();
        formats.map(move |format| Wanted {
            preset: preset.name.clone(),
            format: *format,
            key: derived_key(sha256, preset, *format, focal_point),
        })
    });
    each.collect()
}

/// The presets that are left to render, each with the formats that are.
pub(super) fn presets_of(lacking: &[&Wanted], presets: &[Preset]) -> Vec<Preset> {
    let mut left = Vec::new();
    for preset in presets {
        let mine = lacking.iter().filter(|file| file.preset == preset.name);
        let formats: Vec<OutputFormat> = mine.map(|file| file.format).collect();
        if !formats.is_empty() {
            left.push(Preset {
                formats,
                ..preset.clone()
            });
        }
    }
    left
}

impl Look {
    pub(super) fn of(rendered: &Rendered, took: Duration) -> Self {
        let [red, green, blue] = rendered.dominant_colour;
        Self {
            dominant_colour: format!("#{red:02x}{green:02x}{blue:02x}"),
            placeholder: Some(STANDARD.encode(&rendered.thumb_hash)),
            rendered_in_ms: Some(took.as_millis() as u64),
        }
    }

    /// What is stored beside the bytes.
    pub(super) fn options(&self, variant: &Variant) -> PutOptions {
        let mut metadata = BTreeMap::from([
            (WIDTH.to_owned(), variant.width.to_string()),
            (HEIGHT.to_owned(), variant.height.to_string()),
            (COLOUR.to_owned(), self.dominant_colour.clone()),
        ]);
        let placeholder = self.placeholder.clone();
        metadata.extend(placeholder.map(|hash| (PLACEHOLDER.to_owned(), hash)));
        let took = self.rendered_in_ms.map(|ms| ms.to_string());
        metadata.extend(took.map(|ms| (RENDERED_IN_MS.to_owned(), ms)));
        PutOptions {
            content_type: Some(variant.content_type.clone()),
            cache_control: Some(CACHE_CONTROL.to_owned()),
            metadata,
        }
    }
}

impl Wanted {
    /// The file as readers see it.
    pub(super) fn variant(&self, width: u32, height: u32, size: u64) -> Variant {
        Variant {
            preset: self.preset.clone(),
            content_type: self.format.content_type().to_owned(),
            key: self.key.clone(),
            width,
            height,
            size,
        }
    }

    /// What a stored file says of itself; nothing if an older build stored it, which did not let it speak.
    pub(super) fn read(&self, info: &ObjectInfo) -> Option<(Variant, Look)> {
        let said = |name| info.options.metadata.get(name);
        let look = Look {
            dominant_colour: said(COLOUR)?.clone(),
            placeholder: said(PLACEHOLDER).cloned(),
            rendered_in_ms: said(RENDERED_IN_MS).and_then(|ms| ms.parse().ok()),
        };
        let (width, height) = (said(WIDTH)?.parse().ok()?, said(HEIGHT)?.parse().ok()?);
        Some((self.variant(width, height, info.size), look))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presets() -> Vec<Preset> {
        let formats = [OutputFormat::Jpeg, OutputFormat::WebP];
        vec![
            Preset::new("small", 128, &formats),
            Preset::new("large", 1080, &formats),
        ]
    }

    #[test]
    fn what_a_file_says_of_itself_is_what_was_known_when_it_was_stored() {
        let file = &wanted(&"ab".repeat(32), &presets(), None)[1];
        let look = Look {
            dominant_colour: "#102030".to_owned(),
            placeholder: Some("1QcSHQRnh493V4dIh4eXh1h4kJUI".to_owned()),
            rendered_in_ms: Some(41),
        };
        let variant = file.variant(128, 96, 7);
        let mut info = ObjectInfo {
            key: file.key.clone(),
            size: 7,
            etag: String::new(),
            sha256: None,
            version_id: None,
            sequencer: None,
            options: look.options(&variant),
        };
        assert_eq!(file.read(&info), Some((variant, look)));
        info.options.metadata.clear();
        assert_eq!(file.read(&info), None);
    }

    #[test]
    fn only_what_is_lacking_is_rendered() {
        let files = wanted(&"ab".repeat(32), &presets(), None);
        let lacking: Vec<&Wanted> = files.iter().skip(3).collect();
        let left = presets_of(&lacking, &presets());
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].name, "large");
        assert_eq!(left[0].formats, [OutputFormat::WebP]);
    }
}
