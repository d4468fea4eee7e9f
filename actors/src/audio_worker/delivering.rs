//! The renditions of a recording, one after another.

use std::time::Duration;

use iyagi_messages::fact::{Fact, RenditionFailed, RenditionMade};
use iyagi_messages::media::{self, Audio, RenditionState};

use super::analysing::Analysed;
use super::encoding::RenditionCounts;
use super::renditions::Wanted;
use super::{AudioWorker, AudioWorkerContext, Recording, Worked};
use crate::media_job::store_down;
use crate::ports::{StoreFault, Written};
use crate::queue_intake::Delivery;
use crate::runtime::{Cx, Fault};

impl AudioWorker {
    /// Makes what is lacking, lists each when it is there, writes what came of all, and then has it transcribed.
    pub(super) async fn deliver(
        &self,
        recording: &Recording<'_>,
        analysed: &Analysed,
        wanted: &[Wanted],
        mut audio: Audio,
        cx: &Cx<Delivery>,
    ) -> Result<Worked, Fault> {
        for (at, wanted) in wanted.iter().enumerate() {
            let mut written = Written::Yes;
            if audio.renditions[at].state == RenditionState::Pending {
                audio.renditions[at].state = tokio::select! {
                    made = self.make(recording, analysed, wanted) => made?,
                    () = cx.until_draining() => return Ok(Worked::Until(Duration::ZERO)),
                };
                written = self.attach(recording, &audio).await?;
            }
            if let Some(fact) = outcome(recording, &audio.renditions[at]) {
                self.record(recording, fact).await?;
            }
            if written == Written::Outdated {
                return self.abandon(recording).await;
            }
        }
        self.transcribe(recording, &analysed.sha256, audio).await
    }

    /// The renditions, as far as they are there already.
    pub(super) async fn stored(&self, wanted: &[Wanted]) -> Result<Vec<media::Rendition>, Fault> {
        let mut renditions = Vec::with_capacity(wanted.len());
        for one in wanted {
            let file = match self.context.store.head(&one.key).await {
                Ok(info) => one.read(&info),
                Err(StoreFault::NotFound(_)) => None,
                Err(fault) => return Err(store_down(&fault)),
            };
            let state = file.map_or(RenditionState::Pending, RenditionState::Made);
            renditions.push(one.in_state(state));
        }
        Ok(renditions)
    }

    /// Makes a rendition and stores it, or says why there is none.
    async fn make(
        &self,
        recording: &Recording<'_>,
        analysed: &Analysed,
        wanted: &Wanted,
    ) -> Result<RenditionState, Fault> {
        let AudioWorkerContext {
            analysing,
            encoding,
            store,
            ..
        } = &*self.context;
        let rendition = wanted.rendition;
        let made = encoding.make(rendition, analysed, analysing);
        let (encoded, facts) = match made.await {
            Ok(made) => made,
            Err(unmade) => {
                let Some(reason) = unmade.reason() else {
                    return Err(Fault::dependency(unmade.to_string()));
                };
                tracing::warn!(key = %recording.key, rendition = rendition.name(), %unmade, "a rendition is not made");
                encoding.counts.count(rendition, reason);
                return Ok(RenditionState::Failed {
                    reason: reason.to_owned(),
                    detail: unmade.to_string(),
                });
            }
        };
        let file = wanted.file(&facts, encoded.size());
        let put = store.put_file(&wanted.key, &encoded, wanted.options(&file));
        put.await.map_err(|fault| store_down(&fault))?;
        encoding.counts.count(rendition, RenditionCounts::MADE);
        Ok(RenditionState::Made(file))
    }
}

/// What the journal is to know of a rendition; nothing while it is to be made.
fn outcome(recording: &Recording<'_>, rendition: &media::Rendition) -> Option<Fact> {
    let key = recording.key.clone();
    let sequencer = recording.sequencer.clone();
    let name = rendition.name.clone();
    match rendition.state.clone() {
        RenditionState::Pending => None,
        RenditionState::Made(file) => Some(
            RenditionMade {
                key,
                sequencer,
                name,
                file,
            }
            .into(),
        ),
        RenditionState::Failed { reason, detail } => Some(
            RenditionFailed {
                key,
                sequencer,
                name,
                reason,
                detail,
            }
            .into(),
        ),
    }
}
