//! The work on samples: within the budget of memory, within its time, away from the actors' threads.

use std::sync::Arc;
use std::time::Duration;

use iyagi_media::audio::{Analysis, AudioError, AudioLimits, analyse_sound};

use crate::media_job::{ByteBudget, Watch};
use crate::ports::{DecoderFault, LocalFile, RecordingDecoder};
use crate::runtime::{CpuError, CpuPool};

/// What an analysis takes, whatever the recording's length.
const ANALYSIS_BYTES: u64 = 20 << 20;

/// Where samples are measured, and what that may cost.
#[derive(Clone)]
pub struct Analysing {
    /// The threads.
    pub cpu: CpuPool,
    /// The memory of all decodes.
    pub budget: ByteBudget,
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
    pub sound: LocalFile,
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
    /// Measures a recording, whose digest the store may know; one that the engine does not decode is decoded elsewhere
    /// first.
    pub async fn analyse(
        &self,
        recording: LocalFile,
        sha256: Option<String>,
    ) -> Result<Analysed, Unanalysed> {
        let sha256 = match sha256 {
            Some(known) => known,
            None => self.digest(recording.clone()).await?,
        };
        let error = match self.measure(recording.clone()).await {
            Ok(analysis) => {
                return Ok(Analysed {
                    sha256,
                    codec: analysis.recording.codec.name().to_owned(),
                    bit_rate: analysis.recording.bit_rate,
                    analysis: Arc::new(analysis),
                    sound: recording,
                });
            }
            Err(error) => error,
        };
        let (Unanalysed::Recording(AudioError::Unsupported { codec, .. }), Some(decoder)) =
            (&error, &self.decoder)
        else {
            return Err(error);
        };
        let sound = decoder.decode(&recording, self.deadline).await?;
        let analysis = self.measure(sound.clone()).await?;
        let duration_ms = analysis.recording.duration_ms.max(1);
        Ok(Analysed {
            sha256,
            codec: (*codec).to_owned(),
            bit_rate: recording.size() * 8_000 / duration_ms,
            analysis: Arc::new(analysis),
            sound,
        })
    }

    async fn digest(&self, recording: LocalFile) -> Result<String, Unanalysed> {
        let digest = move || recording.sha256();
        let digested = self.cpu.run(self.deadline, digest).await?;
        Ok(digested.map_err(|error| AudioError::Unreadable(error.to_string()))?)
    }

    async fn measure(&self, sound: LocalFile) -> Result<Analysis, Unanalysed> {
        let limits = self.limits.clone();
        let measure =
            move |ended: &dyn Fn() -> bool| analyse_sound(&mut sound.reader(), &limits, ended);
        Ok(self.work(measure).await??)
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
