//! An encoder of renditions, which the engine does not make itself.

use std::time::Duration;

use async_trait::async_trait;
use iyagi_media::audio::Rendition;
use thiserror::Error;

use super::local_file::LocalFile;

/// Encodes recordings for delivery.
#[async_trait]
pub trait RecordingEncoder: Send + Sync + 'static {
    /// The recording as a rendition. What comes is to be checked. Once nobody waits for it, the work is stopped.
    async fn encode(
        &self,
        sound: &LocalFile,
        order: EncodeOrder,
        deadline: Duration,
    ) -> Result<LocalFile, EncoderFault>;
}

/// What is to be made of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncodeOrder {
    /// Which of its renditions.
    pub rendition: Rendition,
    /// With which gain, in dB.
    pub gain_db: f64,
    /// Its sample rate.
    pub sample_rate_hz: u32,
    /// How long it is, which bounds what may come of it.
    pub duration_ms: u64,
}

/// Why a rendition was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncoderFault {
    /// It cannot be, or not within its limits.
    #[error("the encoder refused it: {0}")]
    Refused(String),
    /// There is no encoder at present.
    #[error("the encoder cannot be started: {0}")]
    Unavailable(String),
    /// There is no room at present for what it yields.
    #[error("there is no room for what is encoded: {0}")]
    Full(String),
}
