//! What several operations take in path, query and headers, and what is no JSON.

use utoipa::ToSchema;

pub(crate) const KEY: &str =
    "The file's key, as one segment: its slashes are written as they are, or as `%2F`";
pub(crate) const IF_NONE_MATCH: &str = "Entity tags of what the client has already";
pub(crate) const RANGE: &str = "The part that is wanted; the whole is sent for several at once";
pub(crate) const VERSION: &str =
    "The version, as the item's links have it: with it the answer may be kept for a while";
pub(crate) const REDIRECT: &str = "False to be told the link instead of being led to it; a link that begins with a slash is of this listener";

/// Names of what is derived from recordings.
#[derive(ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "it says what a path may end in")]
pub(crate) enum DerivedName {
    /// As audiowaveform writes it.
    #[serde(rename = "waveform.json")]
    WaveformJson,
    /// As audiowaveform writes it, binary.
    #[serde(rename = "waveform.dat")]
    WaveformDat,
    /// A picture.
    #[serde(rename = "waveform.svg")]
    WaveformSvg,
    #[serde(rename = "fingerprint.json")]
    FingerprintJson,
    #[serde(rename = "opus-32k")]
    Opus32k,
    #[serde(rename = "aac-64k")]
    Aac64k,
}

/// A file, or a part of it.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it says what a body is")]
pub(crate) struct Bytes(Vec<u8>);
