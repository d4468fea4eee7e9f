//! `AudioWorker`: says what one recording is and how it sounds.
//!
//! Told: [`Delivery`] from the queue `audio`. Writes: `derived.claimed`, `audio.analysed`, `audio.refused`,
//! `letter.requested`. The recording itself is never touched: its gain is a fact that players apply. Derived files are
//! content-addressed and immutable: recordings of the same bytes share them.
//!
//! **Invariant:** a message leaves its queue only after its outcome is durable; no file is stored that was not claimed.
//!
//! # Layout
//! - this file: one recording from its notification to its outcome
//! - `candidate`: which objects are meant to be recordings
//! - `files`: what is derived, under which keys
//! - `analysing`: the work on samples

mod analysing;
mod candidate;
mod files;

use std::sync::Arc;

use iyagi_media::audio::AudioError;
use iyagi_media::sniff;
use iyagi_messages::fact::{AudioAnalysed, AudioRefused};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::media::{Audio, Claim};
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};

pub use self::analysing::{Analysed, Analysing, Unanalysed};
pub use self::candidate::claims_to_be_a_recording;
use self::files::derive;
use crate::media_job::{
    DerivedFiles, GivenUp, Gone, MediaJournal, Reading, is_candidate, objects_of, queue_down,
    read_write, store_down, table_down,
};
use crate::ports::{DecoderFault, MetadataTable, ObjectStore, StoreFault, Written};
use crate::queue_intake::Delivery;
use crate::runtime::{CpuError, Cx, Done, Failure, Fault, Incarnation, Worker};

/// What every audio worker works with.
pub struct AudioWorkerContext {
    /// Where outcomes are written.
    pub media: MediaJournal,
    /// Where recordings are read and derived files are stored.
    pub store: Arc<dyn ObjectStore>,
    /// Where what is known is listed for readers.
    pub table: Arc<dyn MetadataTable>,
    /// Whose derived files are whose.
    pub derived: DerivedFiles,
    /// Where samples are measured.
    pub analysing: Analysing,
    /// Key prefixes whose recordings are analysed.
    pub prefixes: Vec<String>,
}

/// Analyses recordings, one at a time.
pub struct AudioWorker {
    me: Writer,
    context: Arc<AudioWorkerContext>,
}

/// What follows from a recording that was not analysed.
enum Failed {
    /// It never will be.
    ForGood(GivenUp),
    /// It is no recording and says nothing else: somebody else's work.
    NotMeant,
    /// What is needed is down.
    Down(Fault),
}

impl AudioWorker {
    /// A worker with nothing in hand.
    pub fn new(me: &Incarnation, context: Arc<AudioWorkerContext>) -> Self {
        Self {
            me: Writer(me.to_string()),
            context,
        }
    }

    async fn one(&self, delivery: &Delivery, event: &ObjectEvent) -> Result<(), Fault> {
        let context = &self.context;
        let key = &event.key;
        if event.kind != ObjectEventKind::Created || !is_candidate(key, &context.prefixes) {
            return Ok(());
        }
        let bytes_max = context.analysing.limits.bytes_max;
        let reading = read_write(&*context.store, event, bytes_max).await;
        let (bytes, sequencer) = match reading.map_err(|fault| store_down(&fault))? {
            Reading::Whole {
                bytes, sequencer, ..
            } => (Arc::new(bytes), sequencer),
            Reading::Unread { .. } if !claims_to_be_a_recording(key) => return Ok(()),
            Reading::Unread {
                sequencer, fault, ..
            } => {
                let reason = match fault {
                    StoreFault::TooLarge { .. } => "too_many_bytes",
                    _ => "unreadable",
                };
                let why = GivenUp::new(reason, &fault.to_string(), delivery);
                return self.refuse(delivery, key, &sequencer, why).await;
            }
            Reading::Superseded => {
                // Perhaps not at the first attempt, which died with some of its files stored.
                let gone = Gone::Abandoned(&event.sequencer);
                return context.derived.release(&self.me, key, gone).await;
            }
        };
        if !sniff(&bytes).is_recording() && !claims_to_be_a_recording(key) {
            // A picture beside the recordings of a post: somebody else's work.
            return Ok(());
        }
        match context.analysing.analyse(bytes).await {
            Ok(analysed) => self.keep(key, &sequencer, &analysed).await,
            Err(unanalysed) => match failed(unanalysed, key, delivery) {
                Failed::ForGood(why) => self.refuse(delivery, key, &sequencer, why).await,
                Failed::NotMeant => Ok(()),
                Failed::Down(fault) => Err(fault),
            },
        }
    }

    /// Stores what is derived and lists what is known.
    async fn keep(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
        analysed: &Analysed,
    ) -> Result<(), Fault> {
        let context = &self.context;
        let (audio, files) = derive(sequencer, analysed);
        let claim = Claim {
            sha256: analysed.sha256.clone(),
            key: key.clone(),
            sequencer: sequencer.clone(),
            files: audio.files.iter().map(|file| file.key.clone()).collect(),
        };
        context.derived.claim(&self.me, claim).await?;
        for file in files {
            let put = context.store.put(&file.key, file.bytes, file.options).await;
            put.map_err(|fault| store_down(&fault))?;
        }
        self.attach(key, sequencer, audio).await
    }

    async fn attach(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
        audio: Audio,
    ) -> Result<(), Fault> {
        let context = &self.context;
        let fact = AudioAnalysed {
            key: key.clone(),
            sequencer: sequencer.clone(),
            duration_ms: audio.duration_ms,
            codec: audio.codec.clone(),
            integrated_lufs: audio.integrated_lufs,
            files: audio.files.clone(),
        };
        let attached = context.table.attach_audio(key, audio).await;
        let attached = attached.map_err(|fault| table_down(&fault))?;
        let recorded = context
            .media
            .record(&self.me, key, sequencer, fact.into())
            .await;
        recorded?;
        if attached == Written::Outdated {
            // Removed or replaced meanwhile, so nobody will ask for them.
            let gone = Gone::Abandoned(sequencer);
            context.derived.release(&self.me, key, gone).await?;
        }
        Ok(())
    }

    async fn refuse(
        &self,
        delivery: &Delivery,
        key: &ObjectKey,
        sequencer: &Sequencer,
        why: GivenUp,
    ) -> Result<(), Fault> {
        let fact = AudioRefused {
            key: key.clone(),
            sequencer: sequencer.clone(),
            reason: why.reason.clone(),
            detail: why.detail.clone(),
        };
        let object = Some((key, sequencer));
        let media = &self.context.media;
        let fact = Some(fact.into());
        media.give_up(&self.me, delivery, object, why, fact).await?;
        Ok(())
    }
}

fn failed(unanalysed: Unanalysed, key: &ObjectKey, delivery: &Delivery) -> Failed {
    let for_good =
        |reason: &str, detail: &str| Failed::ForGood(GivenUp::new(reason, detail, delivery));
    match unanalysed {
        Unanalysed::Recording(AudioError::NotARecording { .. })
            if !claims_to_be_a_recording(key) =>
        {
            // A video, as its tracks say.
            Failed::NotMeant
        }
        Unanalysed::Recording(AudioError::Cancelled) => {
            for_good("cancelled", "it took longer than its deadline")
        }
        Unanalysed::Recording(error) => for_good(error.reason_code(), &error.to_string()),
        Unanalysed::Decoder(DecoderFault::Refused(detail)) => for_good("undecodable", &detail),
        Unanalysed::Decoder(fault @ DecoderFault::Unavailable(_)) => {
            Failed::Down(Fault::dependency(fault.to_string()))
        }
        Unanalysed::Work(CpuError::TimedOut { deadline, .. }) => {
            for_good("timed_out", &format!("it took longer than {deadline:?}"))
        }
        Unanalysed::Work(CpuError::Panicked { message, .. }) => for_good("panicked", &message),
        Unanalysed::Work(error @ CpuError::Closed { .. }) => {
            Failed::Down(Fault::dependency(error.to_string()))
        }
    }
}

impl Worker for AudioWorker {
    type Msg = Delivery;

    async fn handle(&mut self, delivery: &Delivery, _: &Cx<Delivery>) -> Result<Done, Fault> {
        match objects_of(delivery) {
            Ok(events) => {
                for event in &events {
                    self.one(delivery, event).await?;
                }
            }
            // The recorder of metadata writes the letter of a message that nobody can read.
            Err(why) => tracing::warn!(reason = why.detail, "a notification cannot be read"),
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))?;
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, delivery: &Delivery, history: &[Failure]) -> Result<(), Fault> {
        for event in objects_of(delivery).unwrap_or_default() {
            let why = GivenUp::deadly(history, delivery);
            let (key, sequencer) = (&event.key, &event.sequencer);
            self.refuse(delivery, key, sequencer, why).await?;
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))
    }

    async fn hand_back(&mut self, delivery: Delivery) {
        delivery.hand_back().await;
    }
}
