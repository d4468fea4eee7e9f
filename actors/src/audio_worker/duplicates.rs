//! Which recording that is there already is the same: in every byte, or in how it sounds.
//!
//! Recordings are found by their sketches, of which each value finds few; the few that share most are compared whole. So
//! an upload costs the same among ten recordings and among ten million. Whoever looks is found by then: of two that come
//! at the same time, at least one sees the other.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::future::try_join_all;
use iyagi_media::audio::{Fingerprint, Likeness};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{AudioAnalysed, Fact};
use iyagi_messages::media::{Duplicate, DuplicateKind, Hundredths, Sketch};
use iyagi_messages::object::ObjectKey;

use super::analysing::Analysed;
use super::files::fingerprint_key;
use super::{AudioWorker, Recording};
use crate::media_job::{store_down, table_down};
use crate::ports::StoreFault;
use crate::runtime::{CpuError, Fault};

/// Most recordings that one is compared with. The right one shares more values than others do, so it is among the first.
const COMPARED_MAX: usize = 8;
/// The share of the shorter one that is the same from which on it is the same recording. Of the copies that the sketch
/// was measured with, all but one had over 0.9; of other recordings that share a value, none had over 0.43.
const SIMILARITY_MIN: f64 = 0.5;
/// A fingerprint of two minutes has about a thousand words of at most ten digits.
const FINGERPRINT_BYTES_MAX: u64 = 64 << 10;

/// What others find a recording by. Silence is by none like any other.
pub(super) fn sketch_of(analysed: &Analysed) -> Sketch {
    let analysis = &analysed.analysis;
    if analysis.loudness.near_silent {
        return Sketch::default();
    }
    Sketch(analysis.fingerprint.sketch())
}

impl AudioWorker {
    /// The recording that this one is a duplicate of. What was once said of a write is said again, whatever came since.
    pub(super) async fn duplicate(
        &self,
        recording: &Recording<'_>,
        analysed: &Analysed,
        sketch: &Sketch,
    ) -> Result<Option<Duplicate>, Fault> {
        if let Some(said) = self.said_before(recording).await? {
            return Ok(said.duplicate_of);
        }
        if let Some(key) = self.another(recording, &analysed.sha256).await? {
            return Ok(Some(Duplicate {
                key,
                sha256: analysed.sha256.clone(),
                kind: DuplicateKind::SameBytes,
            }));
        }
        for (sha256, likeness) in self.near(analysed, sketch).await? {
            // Those of the same key are of an earlier write, which this one takes the place of.
            if let Some(key) = self.another(recording, &sha256).await? {
                return Ok(Some(Duplicate {
                    key,
                    sha256,
                    kind: DuplicateKind::NearDuplicate {
                        similarity: likeness.similarity.into(),
                        offset_seconds: Hundredths::from(likeness.offset_s),
                    },
                }));
            }
        }
        Ok(None)
    }

    async fn said_before(&self, recording: &Recording<'_>) -> Result<Option<AudioAnalysed>, Fault> {
        let entity = Entity::new("audio", recording.key);
        let history = self.context.media.journal.entity(&entity).await?;
        let mut analyses = history.into_iter().filter_map(|event| match event.fact {
            Fact::AudioAnalysed(analysed) => Some(analysed),
            _ => None,
        });
        Ok(analyses.find(|analysed| analysed.sequencer == recording.sequencer))
    }

    /// An object of these bytes beside this one.
    async fn another(
        &self,
        recording: &Recording<'_>,
        sha256: &str,
    ) -> Result<Option<ObjectKey>, Fault> {
        let file = fingerprint_key(sha256);
        let claimants = self.context.table.claimants(sha256, &[file], 2).await;
        let claimants = claimants.map_err(|fault| table_down(&fault))?;
        let mut keys = claimants.into_iter().map(|(key, _)| key);
        Ok(keys.find(|key| key != recording.key))
    }

    /// Digests of recordings that sound the same, the likest first.
    async fn near(
        &self,
        analysed: &Analysed,
        sketch: &Sketch,
    ) -> Result<Vec<(String, Likeness)>, Fault> {
        if sketch.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.context.table.sketched_alike(sketch).await;
        let mut found = found.map_err(|fault| table_down(&fault))?;
        found.retain(|sha256| *sha256 != analysed.sha256);
        if found.len() > COMPARED_MAX {
            let left_out = found.len() - COMPARED_MAX;
            tracing::debug!(left_out, "many recordings share values of a sketch");
            found.truncate(COMPARED_MAX);
        }
        let read = found.into_iter().map(|sha256| self.fingerprint(sha256));
        let read: Vec<_> = try_join_all(read).await?.into_iter().flatten().collect();
        self.compared(analysed, read).await
    }

    /// What is stored of a recording's sound, if it is still there.
    async fn fingerprint(&self, sha256: String) -> Result<Option<(String, Fingerprint)>, Fault> {
        let key = fingerprint_key(&sha256);
        let bytes = match self.context.store.get(&key, FINGERPRINT_BYTES_MAX).await {
            Ok((bytes, _)) => bytes,
            Err(StoreFault::NotFound(_)) => {
                tracing::debug!(%key, "a recording is found by its sketch whose fingerprint is gone, or not there yet");
                return Ok(None);
            }
            Err(fault) => return Err(store_down(&fault)),
        };
        let words = serde_json::from_slice(&bytes);
        let words = words.inspect_err(
            |error| tracing::warn!(%key, %error, "a stored fingerprint cannot be read"),
        );
        Ok(words.ok().map(|words| (sha256, Fingerprint { words })))
    }

    async fn compared(
        &self,
        analysed: &Analysed,
        others: Vec<(String, Fingerprint)>,
    ) -> Result<Vec<(String, Likeness)>, Fault> {
        let analysis = Arc::clone(&analysed.analysis);
        let compare = move || {
            let own = &analysis.fingerprint;
            let likenesses = others
                .into_iter()
                .filter_map(|(sha256, other)| Some((sha256, own.likeness(&other)?)));
            let mut near: Vec<_> = likenesses
                .filter(|(_, likeness)| likeness.similarity >= SIMILARITY_MIN)
                .collect();
            near.sort_by_key(|(_, likeness)| Reverse(Hundredths::from(likeness.similarity)));
            near
        };
        let analysing = &self.context.analysing;
        match analysing.cpu.run(analysing.deadline, compare).await {
            Ok(near) => Ok(near),
            Err(error @ CpuError::Closed { .. }) => Err(Fault::dependency(error.to_string())),
            // A hint is not worth a recording.
            Err(error) => {
                tracing::warn!(%error, "a recording is not compared with others");
                Ok(Vec::new())
            }
        }
    }
}
