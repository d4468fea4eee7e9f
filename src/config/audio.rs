//! What is made of recordings.

use std::path::PathBuf;

use iyagi_media::audio::{AudioLimits, Rendition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;
use super::upload_prefixes;

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
    /// Path of `ffmpeg`, which then decodes what iyagi itself does not (HE-AAC, AMR) and makes renditions, in a bounded
    /// process of its own; without it such recordings are refused.
    pub ffmpeg: Option<PathBuf>,
    /// Copies of every recording, without its tags and as loud as all others: "opus-32k", "aac-64k". They need `ffmpeg`.
    pub renditions: Vec<Rendition>,
    /// How long one rendition may take, in milliseconds.
    pub rendition_deadline_ms: u64,
    /// What is not even decoded.
    pub limits: AudioLimits,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self {
            prefixes: upload_prefixes(),
            workers: 2,
            deadline_ms: 60_000,
            ffmpeg: None,
            renditions: Vec::new(),
            rendition_deadline_ms: 300_000,
            limits: AudioLimits::default(),
        }
    }
}

/// Renditions need somebody who makes them, and each once.
pub(super) fn check(audio: &AudioConfig, faults: &mut Vec<Fault>) {
    const KEY: &str = "media.audio.renditions";
    if !audio.renditions.is_empty() && audio.ffmpeg.is_none() {
        let message = format!("`{KEY}` needs `media.audio.ffmpeg`, which is not set");
        let fault = Fault::new(KEY, message);
        faults.push(fault.help("set `media.audio.ffmpeg` to its path, or `renditions` to []"));
    }
    for (at, rendition) in audio.renditions.iter().enumerate() {
        if audio.renditions[..at].contains(rendition) {
            let message = format!("`{KEY}` names \"{}\" twice", rendition.name());
            faults.push(Fault::new(KEY, message));
        }
    }
}
