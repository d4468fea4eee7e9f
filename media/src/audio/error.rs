//! Why a recording could not be analysed.

use crate::audio::limits::AudioQuantity;
use crate::format::Format;

/// Why nothing is known of a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// There is not one byte.
    #[error("the file is empty")]
    Empty,
    /// It is something else.
    #[error("not a recording: the content is {}", found.content_type())]
    NotARecording {
        /// What it is.
        found: Format,
    },
    /// It is a recording that this engine does not decode. Another decoder may.
    #[error("{format} is not supported: {why}")]
    Unsupported {
        /// What it is.
        format: Format,
        /// Its codec, such as `he_aac`, or `unknown`.
        codec: &'static str,
        /// What is missing, and what to do instead.
        why: String,
    },
    /// It is truncated, damaged, or contradicts itself.
    #[error("the {format} is corrupt: {why}")]
    Corrupt {
        /// What it claims to be.
        format: Format,
        /// The first thing found wrong.
        why: String,
    },
    /// It would cost more than it may.
    #[error("too large: {got} {what}, where at most {limit} are allowed")]
    TooLarge {
        /// What there is too much of.
        what: AudioQuantity,
        /// How much the file has or claims; at least this, where counting stopped early.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// Its sample rate is outside what is decoded.
    #[error("a sample rate of {got} Hz is not between {min} and {max} Hz")]
    SampleRate {
        /// Samples a second and channel.
        got: u32,
        /// The lowest that is taken.
        min: u32,
        /// The highest that is taken.
        max: u32,
    },
    /// Too many of its packets are damaged for the rest to stand for the whole.
    #[error("the {format} is damaged: {failed} of {packets} packets cannot be decoded")]
    Damaged {
        /// What it is.
        format: Format,
        /// Packets that no sound came from.
        failed: u64,
        /// Packets seen.
        packets: u64,
    },
    /// Its bytes are not to be had at present.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The caller's deadline passed, or it no longer wants the result.
    #[error("cancelled before it was done")]
    Cancelled,
}

impl AudioError {
    /// Tells whether the same bytes and limits must fail again, so that trying again is waste.
    pub fn deterministic(&self) -> bool {
        !matches!(self, Self::Cancelled | Self::Unreadable(_))
    }

    /// Returns the stable code of the reason, as dead letters and metrics carry it.
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotARecording { .. } => "not_a_recording",
            Self::Unsupported { .. } => "unsupported_format",
            Self::Corrupt { .. } => "corrupt",
            Self::TooLarge { what, .. } => what.reason_code(),
            Self::SampleRate { .. } => "sample_rate_out_of_range",
            Self::Damaged { .. } => "damaged",
            Self::Unreadable(_) => "unreadable",
            Self::Cancelled => "cancelled",
        }
    }
}
