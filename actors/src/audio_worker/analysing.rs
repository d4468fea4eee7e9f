//! The work on samples: within the budget of memory, within its time, away from the actors' threads.

use std::sync::Arc;
use std::time::Duration;

use iyagi_media::audio::{Analysis, AudioError, AudioLimits, analyse};
use iyagi_media::sha256;

use crate::media_job::{DecodeBudget, Watch};
use crate::ports::{DecoderFault, RecordingDecoder};
use crate::runtime::{CpuError, CpuPool};

/// What an analysis takes beside the file, whatever its length.
const ANALYSIS_BYTES: u64 = 20 << 20;

/// Where samples are measured, and what that may cost.
#[derive(Clone)]
pub struct Analysing {
    /// The threads.
    pub cpu: CpuPool,
    /// The memory of all decodes.
    pub budget: DecodeBudget,
    /// What is not even decoded.
    pub limits: AudioLimits,
    /// How long one recording may take, from when a thread is free for it.
    pub deadline: Duration,
    /// Decodes what the engine does not, if there is one.
    pub decoder: Option<Arc<dyn RecordingDecoder>>,
}

/// A recording that was analysed.
pub struct Analysed {
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// How it is encoded.
    pub codec: String,
    /// Bits a second of its sound, on average.
    pub bit_rate: u64,
    /// What was measured.
    pub analysis: Arc<Analysis>,
    /// The sound that was measured: the recording, or what it was decoded to.
    pub sound: Arc<Vec<u8>>,
}

/// Why a recording was not analysed.
#[derive(Debug, thiserror::Error)]
pub enum Unanalysed {
    /// It cannot be.
    #[error(transparent)]
    Recording(#[from] AudioError),
    /// The decoder of what the engine does not decode.
    #[error(transparent)]
    Decoder(#[from] DecoderFault),
    /// The work did not come to its end.
    #[error(transparent)]
    Work(#[from] CpuError),
}

impl Analysing {
    /// Measures a recording; one that the engine does not decode is decoded elsewhere first.
    pub async fn analyse(&self, bytes: Arc<Vec<u8>>) -> Result<Analysed, Unanalysed> {
        let digested = self.digest(Arc::clone(&bytes)).await?;
        let error = match self.measure(Arc::clone(&bytes)).await {
            Ok(analysis) => {
                let recording = &analysis.recording;
                return Ok(Analysed {
                    sha256: digested,
                    codec: recording.codec.name().to_owned(),
                    bit_rate: recording.bit_rate,
                    analysis: Arc::new(analysis),
                    sound: bytes,
                });
            }
            Err(error) => error,
        };
        let (Unanalysed::Recording(AudioError::Unsupported { codec, .. }), Some(decoder)) =
            (&error, &self.decoder)
        else {
            return Err(error);
        };
        let decoded = decoder.decode(Arc::clone(&bytes), self.deadline).await?;
        let sound = Arc::new(decoded);
        let analysis = self.measure(Arc::clone(&sound)).await?;
        let duration_ms = analysis.recording.duration_ms.max(1);
        Ok(Analysed {
            sha256: digested,
            codec: (*codec).to_owned(),
            bit_rate: bytes.len() as u64 * 8_000 / duration_ms,
            analysis: Arc::new(analysis),
            sound,
        })
    }

    async fn digest(&self, bytes: Arc<Vec<u8>>) -> Result<String, CpuError> {
        self.cpu.run(self.deadline, move || sha256(&bytes)).await
    }

    async fn measure(&self, bytes: Arc<Vec<u8>>) -> Result<Analysis, Unanalysed> {
        let limits = self.limits.clone();
        Ok(self
            .work(move |ended| analyse(&bytes, &limits, ended))
            .await??)
    }

    /// Works on samples away from the actors' threads. The work is to ask whether it is in vain. Its share of the memory
    /// is held for as long as it really takes.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, CpuError> {
        let share = self.budget.share(ANALYSIS_BYTES).await;
        let watch = Watch::default();
        let ended = watch.ended();
        let work = move || {
            let _share = share;
            work(&ended)
        };
        self.cpu.run(self.deadline, work).await
    }
}
