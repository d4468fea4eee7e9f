//! What a backfill makes, and which uploads lack it.

use iyagi_media::Preset;
use iyagi_media::audio::Rendition;
use iyagi_messages::media::{MetadataItem, RenditionState};

use crate::audio_worker::rendition_key;
use crate::thumbnail_worker::derived_key;

/// What is made of every upload that it can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// Thumbnails of pictures.
    Thumbnails(Preset),
    /// A copy of recordings.
    Rendition(Rendition),
}

impl Recipe {
    /// The one of this name, if it is configured. No preset has the name of a rendition.
    pub fn named(name: &str, presets: &[Preset], renditions: &[Rendition]) -> Option<Self> {
        let rendition = renditions.iter().find(|one| one.name() == name);
        let preset = presets.iter().find(|preset| preset.name == name);
        let rendition = rendition.copied().map(Self::Rendition);
        rendition.or_else(|| preset.cloned().map(Self::Thumbnails))
    }

    /// Digest of all that decides the bytes of its files, given the upload.
    pub fn digest(&self) -> String {
        match self {
            Self::Thumbnails(preset) => {
                let formats = preset.formats.iter();
                let digests: Vec<_> = formats.map(|format| preset.digest(*format, None)).collect();
                digests.join("-")
            }
            Self::Rendition(rendition) => rendition.digest(),
        }
    }

    /// Whether its files can be made of an upload.
    pub(super) fn concerns(&self, item: &MetadataItem) -> bool {
        let sound = item.defect.is_none() && item.sha256.is_some();
        sound
            && match self {
                Self::Thumbnails(_) => item.content_type.starts_with("image/"),
                Self::Rendition(_) => item.audio.is_some(),
            }
    }

    /// Whether an upload lacks a file of it as it is now.
    ///
    /// Where a crop keeps a point that the uploader named, the item does not tell which, so the picture counts as lacking;
    /// whoever is offered it finds the file and makes nothing. A rendition that failed is lacking, too.
    pub(super) fn lacks(&self, item: &MetadataItem) -> bool {
        let Some(sha256) = &item.sha256 else {
            return false;
        };
        match self {
            Self::Thumbnails(preset) => preset.formats.iter().any(|format| {
                let key = derived_key(sha256, preset, *format, None);
                let mut made = item.thumbnails.iter().flat_map(|made| &made.variants);
                made.all(|variant| variant.key != key)
            }),
            Self::Rendition(rendition) => {
                let key = rendition_key(sha256, *rendition);
                let mut listed = item.audio.iter().flat_map(|audio| &audio.renditions);
                !listed
                    .any(|one| matches!(&one.state, RenditionState::Made(file) if file.key == key))
            }
        }
    }
}
