//! A decoder of recordings that the engine does not decode itself.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::local_file::LocalFile;

/// Decodes recordings to something that the engine understands.
#[async_trait]
pub trait RecordingDecoder: Send + Sync + 'static {
    /// The recording without loss, as FLAC or WAVE, without its tags. Once nobody waits for it, the work is stopped.
    async fn decode(
        &self,
        recording: &LocalFile,
        deadline: Duration,
    ) -> Result<LocalFile, DecoderFault>;
}

/// Why a recording was not decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecoderFault {
    /// It cannot be, or not within its limits.
    #[error("the decoder refused it: {0}")]
    Refused(String),
    /// There is no decoder at present.
    #[error("the decoder cannot be started: {0}")]
    Unavailable(String),
    /// There is no room at present for what it yields.
    #[error("there is no room for what is decoded: {0}")]
    Full(String),
}
