//! Copies of a recording for delivery: which there are, and whether some bytes are one.
//!
//! The engine has no encoder that is good at such rates, so others make them; what they made is
//! believed no more than an upload.

mod plainness;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::delivery::{TARGET_LUFS, TRUE_PEAK_MAX_DBTP};
use super::error::AudioError;
use super::limits::AudioLimits;
use super::probe::Codec;
use super::source::Sound;
use super::{Analysis, analyse_sound};
use crate::digest::hexadecimal;
use crate::format::Format;

/// Raised by whoever changes how a rendition is made: its encoder, or an option of that. Files of an
/// earlier version stay right; a backfill replaces them.
const RENDITION_VERSION: u32 = 2;

/// How much longer or shorter than its recording a rendition may be: encoders fill their last
/// frame, of 64 ms at most, and some players count in frames.
const DURATION_TOLERANCE_MS: u64 = 50;

/// How far from the loudness that was asked for a rendition may be, in LU.
const LOUDNESS_TOLERANCE_LU: f64 = 0.5;

/// Shorter sound has no loudness that could be compared: EBU R 128 measures in blocks of 400 ms, and
/// of one or two of them an encoder can change much.
const COMPARABLE_MS_MIN: u64 = 1_000;

/// A copy of a recording at a fixed bit rate, without its tags, at the loudness of all others.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub enum Rendition {
    /// Opus in Ogg at 32 kbit/s.
    #[serde(rename = "opus-32k")]
    Opus32k,
    /// AAC-LC in MPEG-4 at 64 kbit/s, for players that know no Opus.
    #[serde(rename = "aac-64k")]
    Aac64k,
}

impl Rendition {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Opus32k, Self::Aac64k];

    /// Returns the name, as configuration and items have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus32k => "opus-32k",
            Self::Aac64k => "aac-64k",
        }
    }

    /// Returns the one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Returns a short hexadecimal hash of all that decides the bytes of its files, given the
    /// recording: format, bit rate, the loudness and the peaks that its gain aims at, and the
    /// version of how it is made. A key that carries it never changes its content.
    pub fn digest(self) -> String {
        const BYTES: usize = 8;
        let (ending, bit_rate) = (self.ending(), self.bit_rate());
        let recipe = format!(
            "rendition {RENDITION_VERSION} {ending} {bit_rate} to {TARGET_LUFS} peak {TRUE_PEAK_MAX_DBTP}"
        );
        hexadecimal(&Sha256::digest(recipe)[..BYTES])
    }

    /// Returns the file name's ending.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Opus32k => "opus",
            Self::Aac64k => "m4a",
        }
    }

    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Opus32k => "audio/ogg",
            Self::Aac64k => "audio/mp4",
        }
    }

    /// Returns the bits a second that its encoder aims at.
    pub fn bit_rate(self) -> u64 {
        match self {
            Self::Opus32k => 32_000,
            Self::Aac64k => 64_000,
        }
    }

    /// Returns the most bytes that so much sound can honestly come to: encoders exceed their rate
    /// for a while, and containers have an index.
    pub fn bytes_max(self, duration_ms: u64) -> u64 {
        const CONTAINER: u64 = 64 << 10;
        let sound = (self.bit_rate() * 2 / 8).saturating_mul(duration_ms.div_ceil(1_000));
        sound.saturating_add(CONTAINER)
    }

    fn shape(self) -> (Format, Codec) {
        match self {
            Self::Opus32k => (Format::Ogg, Codec::Opus),
            Self::Aac64k => (Format::M4a, Codec::AacLc),
        }
    }

    /// Measures what is said to be this rendition of a recording with this gain, and returns what it
    /// is: as long as the recording, as loud as the gain makes it, and without a word about it.
    pub fn check(
        self,
        original: &Analysis,
        gain_db: f64,
        made: &mut dyn Sound,
        cancel: &dyn Fn() -> bool,
    ) -> Result<RenditionFacts, RenditionError> {
        plainness::check(self, made)?;
        let wanted = &original.recording;
        let limits = AudioLimits {
            bytes_max: self.bytes_max(wanted.duration_ms),
            duration_s_max: (wanted.duration_ms + DURATION_TOLERANCE_MS).div_ceil(1_000),
            ..AudioLimits::default()
        };
        let made = analyse_sound(made, &limits, cancel)?;
        let got = &made.recording;
        if (got.format, got.codec) != self.shape() {
            return Err(RenditionError::Shape {
                format: got.format,
                codec: got.codec,
            });
        }
        if got.duration_ms.abs_diff(wanted.duration_ms) > DURATION_TOLERANCE_MS {
            return Err(RenditionError::Duration {
                got_ms: got.duration_ms,
                wanted_ms: wanted.duration_ms,
            });
        }
        let got_lufs = made.loudness.integrated_lufs;
        let comparable = wanted.duration_ms >= COMPARABLE_MS_MIN && !original.loudness.near_silent;
        if let (Some(measured), true) = (original.loudness.integrated_lufs, comparable) {
            let wanted_lufs = measured + gain_db;
            let near = |lufs: f64| (lufs - wanted_lufs).abs() <= LOUDNESS_TOLERANCE_LU;
            if !got_lufs.is_some_and(near) {
                return Err(RenditionError::Loudness {
                    got_lufs: got_lufs.unwrap_or(f64::NEG_INFINITY),
                    wanted_lufs,
                });
            }
        }
        Ok(RenditionFacts {
            duration_ms: got.duration_ms,
            bit_rate: got.bit_rate,
            integrated_lufs: got_lufs,
            true_peak_dbtp: made.loudness.true_peak_dbtp,
        })
    }
}

/// What a rendition was measured to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RenditionFacts {
    /// Its length.
    pub duration_ms: u64,
    /// Bits a second of its sound, on average.
    pub bit_rate: u64,
    /// Integrated loudness, in LUFS.
    pub integrated_lufs: Option<f64>,
    /// True peak, in dBTP: that of the recording after its gain, and what the encoder added.
    pub true_peak_dbtp: Option<f64>,
}

impl RenditionFacts {
    /// Returns by how many dB its peaks are above [`TRUE_PEAK_MAX_DBTP`].
    pub fn excess_db(&self) -> Option<f64> {
        let excess = self.true_peak_dbtp? - TRUE_PEAK_MAX_DBTP;
        (excess > 0.0).then_some(excess)
    }
}

/// Why some bytes are not the rendition of a recording.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RenditionError {
    /// Nothing can be measured.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] AudioError),
    /// It is something else.
    #[error("it is {} in {format}", codec.name())]
    Shape {
        /// Its container.
        format: Format,
        /// Its codec.
        codec: Codec,
    },
    /// It says something about the recording, its author or its place.
    #[error("it says more than its sound: {0}")]
    Tagged(String),
    /// It is not as long as the recording.
    #[error("it lasts {got_ms} ms, where the recording lasts {wanted_ms} ms")]
    Duration {
        /// How long it is.
        got_ms: u64,
        /// How long the recording is.
        wanted_ms: u64,
    },
    /// It is not as loud as was asked.
    #[error("its loudness is {got_lufs:.1} LUFS, where {wanted_lufs:.1} LUFS were asked for")]
    Loudness {
        /// How loud it is.
        got_lufs: f64,
        /// How loud the recording is after its gain.
        wanted_lufs: f64,
    },
}

impl RenditionError {
    /// Returns the stable code of the reason, as items and metrics carry it.
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Unreadable(AudioError::Cancelled) => "cancelled",
            Self::Unreadable(_) => "unreadable",
            Self::Shape { .. } => "another_format",
            Self::Tagged(_) => "tagged",
            Self::Duration { .. } => "another_duration",
            Self::Loudness { .. } => "another_loudness",
        }
    }
}
