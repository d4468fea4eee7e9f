//! The work on samples: within the budget of memory, within its time, away from the actors' threads.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iyagi_media::audio::{Analysis, AudioError, AudioLimits, analyse};
use sha2::{Digest, Sha256};

use crate::media_job::DecodeBudget;
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
    pub analysis: Analysis,
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

/// Tells the work to stop once nobody waits for it any more: its time is over, or the worker that wanted it is gone.
struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
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
                    analysis,
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
        let analysis = self.measure(Arc::new(decoded)).await?;
        let duration_ms = analysis.recording.duration_ms.max(1);
        Ok(Analysed {
            sha256: digested,
            codec: (*codec).to_owned(),
            bit_rate: bytes.len() as u64 * 8_000 / duration_ms,
            analysis,
        })
    }

    async fn digest(&self, bytes: Arc<Vec<u8>>) -> Result<String, CpuError> {
        let work = move || {
            let digest = Sha256::digest(&*bytes);
            digest.iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("a string takes all that is written");
                text
            })
        };
        self.cpu.run(self.deadline, work).await
    }

    /// Its share of the memory is held for as long as the work really takes.
    async fn measure(&self, bytes: Arc<Vec<u8>>) -> Result<Analysis, Unanalysed> {
        let share = self.budget.share(ANALYSIS_BYTES).await;
        let watch = Watch(Arc::new(AtomicBool::new(false)));
        let (late, limits) = (Arc::clone(&watch.0), self.limits.clone());
        let work = move || {
            let _share = share;
            analyse(&bytes, &limits, &|| late.load(Ordering::Relaxed))
        };
        Ok(self.cpu.run(self.deadline, work).await??)
    }
}
