//! The making of one rendition, whose result is measured before it counts; and what came of all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iyagi_media::audio::{AudioError, Rendition, RenditionError, RenditionFacts};
use tokio::time::Instant;

use super::analysing::{Analysed, Analysing};
use crate::ports::{EncodeOrder, EncoderFault, LocalFile, RecordingEncoder};
use crate::runtime::CpuError;

/// Which renditions are made, and how.
#[derive(Clone)]
pub struct Encoding {
    /// Which, in the order of the items.
    pub renditions: Vec<Rendition>,
    /// Makes them, if anything does.
    pub encoder: Option<Arc<dyn RecordingEncoder>>,
    /// How long one of them may take, all attempts at it together.
    pub deadline: Duration,
    /// What came of them.
    pub counts: Arc<RenditionCounts>,
}

/// Why there is no rendition.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    /// Nothing that could make it is configured.
    #[error("no encoder is configured: set media.audio.ffmpeg")]
    NoEncoder,
    /// It was not encoded.
    #[error(transparent)]
    Encoder(#[from] EncoderFault),
    /// What was encoded is not what was asked for.
    #[error("what was encoded is not the rendition: {0}")]
    Wrong(#[from] RenditionError),
    /// The measuring did not come to its end.
    #[error(transparent)]
    Work(#[from] CpuError),
}

impl Unmade {
    /// The reason as a stable word; nothing if it is no fault of the recording, but of the disk or the end of the daemon.
    pub(super) fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoEncoder | Self::Encoder(EncoderFault::Unavailable(_)) => "unavailable",
            Self::Encoder(EncoderFault::Refused(_)) => "refused",
            Self::Encoder(EncoderFault::Full(_))
            | Self::Wrong(RenditionError::Unreadable(AudioError::Unreadable(_)))
            | Self::Work(CpuError::Closed { .. }) => return None,
            Self::Wrong(error) => error.reason_code(),
            Self::Work(CpuError::TimedOut { .. }) => "timed_out",
            Self::Work(CpuError::Panicked { .. }) => "panicked",
        })
    }
}

impl Encoding {
    /// Encodes a rendition of a recording and measures it. An encoder adds to peaks, by how much is known afterwards
    /// alone: one that has more than it may is made again, quieter by what was too much.
    pub(super) async fn make(
        &self,
        rendition: Rendition,
        analysed: &Analysed,
        analysing: &Analysing,
    ) -> Result<(LocalFile, RenditionFacts), Unmade> {
        /// What a second attempt leaves over rarely needs a third.
        const ATTEMPTS_MAX: u32 = 3;
        /// The same sound a little quieter is encoded a little differently.
        const MARGIN_DB: f64 = 0.1;
        let began = Instant::now();
        let mut gain_db = analysed.analysis.delivery.gain_db;
        let mut left = self.deadline;
        let mut attempt = 1;
        loop {
            let encoded = self.encoded(rendition, gain_db, left, analysed, analysing);
            let (encoded, facts) = encoded.await?;
            let took = began.elapsed();
            left = self.deadline.saturating_sub(took);
            // There is time for one more that takes as long.
            let again = attempt < ATTEMPTS_MAX && took / attempt <= left;
            match facts.excess_db() {
                Some(excess_db) if again => gain_db -= excess_db + MARGIN_DB,
                _ => return Ok((encoded, facts)),
            }
            attempt += 1;
        }
    }

    async fn encoded(
        &self,
        rendition: Rendition,
        gain_db: f64,
        deadline: Duration,
        analysed: &Analysed,
        analysing: &Analysing,
    ) -> Result<(LocalFile, RenditionFacts), Unmade> {
        let encoder = self.encoder.as_ref().ok_or(Unmade::NoEncoder)?;
        let original = Arc::clone(&analysed.analysis);
        let order = EncodeOrder {
            rendition,
            gain_db,
            sample_rate_hz: original.recording.sample_rate_hz,
            duration_ms: original.recording.duration_ms,
        };
        // What was measured, so that the gain is that of what is encoded: a decoder may have cut its peaks.
        let encoded = encoder.encode(&analysed.sound, order, deadline).await?;
        let mut made = encoded.reader();
        let facts = analysing
            .work(move |ended| rendition.check(&original, gain_db, &mut made, ended))
            .await??;
        Ok((encoded, facts))
    }
}

/// How many renditions were made since the daemon came up, and why others were not.
#[derive(Debug, Default)]
pub struct RenditionCounts {
    outcomes: Mutex<BTreeMap<(Rendition, &'static str), u64>>,
}

impl RenditionCounts {
    /// What counts as made.
    pub(super) const MADE: &'static str = "made";

    pub(super) fn count(&self, rendition: Rendition, outcome: &'static str) {
        *self.outcomes().entry((rendition, outcome)).or_default() += 1;
    }

    /// Renditions by outcome: `made`, or the reason as a stable word.
    pub fn all(&self) -> Vec<(Rendition, &'static str, u64)> {
        let outcomes = self.outcomes();
        let each = outcomes.iter();
        each.map(|((rendition, outcome), count)| (*rendition, *outcome, *count))
            .collect()
    }

    fn outcomes(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Rendition, &'static str), u64>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
