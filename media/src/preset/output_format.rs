//! What thumbnails are written as.

use serde::{Deserialize, Serialize};

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

    pub(crate) fn can_be_animated(self) -> bool {
        self == Self::WebP
    }
}
