//! What is made of recordings.

use std::path::PathBuf;

use iyagi_media::audio::AudioLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is made of recordings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AudioConfig {
    /// Key prefixes whose recordings are analysed.
    pub prefixes: Vec<String>,
    /// Recordings that are analysed at once.
    pub workers: usize,
    /// How long one recording may take, in milliseconds.
    pub deadline_ms: u64,
    /// Path of `ffmpeg`, which then decodes what iyagi itself does not (HE-AAC, AMR), in a bounded process of its own;
    /// without it such recordings are refused.
    pub ffmpeg: Option<PathBuf>,
    /// What is not even decoded.
    pub limits: AudioLimits,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self {
            prefixes: vec!["profile/".to_owned(), "posts/".to_owned()],
            workers: 2,
            deadline_ms: 60_000,
            ffmpeg: None,
            limits: AudioLimits::default(),
        }
    }
}
