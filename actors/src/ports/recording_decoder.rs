//! A decoder of recordings that the engine does not decode itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

/// Decodes recordings to something that the engine understands.
#[async_trait]
pub trait RecordingDecoder: Send + Sync + 'static {
    /// The recording without loss, as FLAC or WAVE, without its tags. Once nobody waits for it, the work is stopped.
    async fn decode(
        &self,
        bytes: Arc<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Vec<u8>, DecoderFault>;
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
}
