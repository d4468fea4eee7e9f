//! What is known about an uploaded file.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;
use crate::object::{ObjectKey, Sequencer};

/// One file's entry in the metadata table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataItem {
    /// The object's key.
    pub key: ObjectKey,
    /// Who uploaded it, as its key says (`profile/<person>/…`), if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The write that this describes.
    pub sequencer: Sequencer,
    /// The stored version, in versioned buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// What the content is, whatever the name says.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, hexadecimal; absent for files too large to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Pixels across and down, upright, for pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
    /// True for pictures that move.
    #[serde(default)]
    pub animated: bool,
    /// Why no thumbnail can be made, for what claims to be a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defect: Option<String>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The derived pictures, once they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnails: Option<Thumbnails>,
}

/// Pixels across and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The pictures derived from one write of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnails {
    /// The write that they were made from.
    pub sequencer: Sequencer,
    /// Mean colour, `#rrggbb`.
    pub dominant_colour: String,
    /// A `ThumbHash` in Base64, to be shown until a thumbnail is there; absent where an older build made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// One per preset and format.
    pub variants: Vec<Variant>,
}

/// One derived picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The preset's name.
    pub preset: String,
    /// `image/jpeg` or `image/webp`.
    pub content_type: String,
    /// Where it is stored.
    pub key: ObjectKey,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bytes.
    pub size: u64,
}

/// That an object uses files which are derived from its bytes. Objects of the same bytes share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// The object.
    pub key: ObjectKey,
    /// Which write of it.
    pub sequencer: Sequencer,
    /// The derived files.
    pub files: Vec<ObjectKey>,
}

/// The prefix under which everything that iyagi derives is stored; uploads there are refused and notifications ignored.
pub const DERIVED_PREFIX: &str = "derived/";

/// Who an object's turn is counted for, so that one who uploads much does not hold up others: its owner, or else the post
/// or folder that it belongs to.
pub fn turn_of_key(key: &ObjectKey) -> &str {
    let key = key.as_str();
    let behind_second = key.match_indices('/').nth(1);
    behind_second.map_or(key, |(at, _)| &key[..at])
}

/// Whose file a key is: the segment after `profile/` or `uploads/`.
pub fn owner_of_key(key: &ObjectKey) -> Option<String> {
    let mut segments = key.as_str().split('/');
    let prefix = segments.next()?;
    let owner = segments.next()?;
    segments.next()?;
    matches!(prefix, "profile" | "uploads").then(|| owner.to_owned())
}
