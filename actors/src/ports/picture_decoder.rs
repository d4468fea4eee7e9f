//! A decoder of pictures that the engine takes apart and does not decode itself.

use std::time::Duration;

use async_trait::async_trait;
use iyagi_media::heif::Coded;

use super::local_file::LocalFile;
use super::recording_decoder::DecoderFault;

/// Decodes coded pictures to something that the engine understands.
#[async_trait]
pub trait PictureDecoder: Send + Sync + 'static {
    /// All pictures of all layers as Netpbm with 8 bits a channel, one after the other: PPM of colours, PGM of shades of
    /// grey. Once nobody waits for it, the work is stopped.
    async fn decode(
        &self,
        layers: Vec<Coded>,
        deadline: Duration,
    ) -> Result<LocalFile, DecoderFault>;
}
