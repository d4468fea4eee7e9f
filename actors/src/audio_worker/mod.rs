//! `AudioWorker`: says what one recording is and how it sounds.
//!
//! Told: [`Delivery`] from the queue `audio`. Writes: `derived.claimed`, `audio.analysed`, `audio.refused`,
//! `rendition.made`, `rendition.failed`, `transcript.requested`, `transcript.completed`, `transcript.failed`,
//! `letter.requested`. The recording itself is never touched: its gain is a fact that players apply. Derived files are content-addressed and immutable: recordings of the same bytes share them.
//!
//! What is known is listed at once; renditions, which take far longer, follow one by one. One that fails is a fact about
//! the recording and no failure of its job. A drain does not wait for them: the message goes back, and whoever has it
//! next makes what is lacking.
//!
//! **Invariant:** a message leaves its queue only after its outcome is durable; no file is stored that was not claimed.
//!
//! # Layout
//! - this file: one recording from its notification to its outcome
//! - `candidate`: which objects are meant to be recordings
//! - `files`: what is derived, under which keys
//! - `analysing`: the work on samples
//! - `duplicates`: which recording that is there already is the same
//! - `renditions`: which copies it is to have, and what they say of themselves
//! - `delivering`: the making of what is lacking
//! - `encoding`: one of them, and what came of all
//! - `transcribing`: what is said in it

mod analysing;
mod candidate;
mod delivering;
mod duplicates;
mod encoding;
mod files;
mod renditions;
mod transcribing;

use std::sync::Arc;
use std::time::Duration;

use iyagi_media::Format;
use iyagi_media::audio::AudioError;
use iyagi_messages::fact::{AudioAnalysed, AudioRefused, Fact};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::media::{Audio, Claim};
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};

pub use self::analysing::{Analysed, Analysing, Unanalysed};
pub use self::candidate::claims_to_be_a_recording;
pub use self::encoding::{Encoding, RenditionCounts};
pub use self::files::FILE_NAMES;
use self::files::derive;
pub use self::renditions::rendition_key;
use self::renditions::{pending, wanted};
use crate::media_job::{
    DerivedFiles, GivenUp, Gone, MediaJournal, Reading, is_candidate, objects_of, queue_down,
    read_write, read_write_of, reprocessing_of, store_down, table_down,
};
use crate::ports::{DecoderFault, MetadataTable, ObjectStore, StoreFault, Transcriber, Written};
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
    /// Which copies are made of them.
    pub encoding: Encoding,
    /// Writes down what is said in them, if anything does.
    pub transcriber: Option<Arc<dyn Transcriber>>,
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

/// One write of a recording.
struct Recording<'a> {
    delivery: &'a Delivery,
    key: &'a ObjectKey,
    sequencer: Sequencer,
}

/// How far a message was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worked {
    /// To its end.
    Whole,
    /// The rest is for whoever has the message next, not before so much time has passed.
    Until(Duration),
}

impl AudioWorker {
    /// A worker with nothing in hand.
    pub fn new(me: &Incarnation, context: Arc<AudioWorkerContext>) -> Self {
        Self {
            me: Writer(me.to_string()),
            context,
        }
    }

    async fn one(
        &self,
        delivery: &Delivery,
        event: &ObjectEvent,
        cx: &Cx<Delivery>,
    ) -> Result<Worked, Fault> {
        let context = &self.context;
        let key = &event.key;
        if event.kind != ObjectEventKind::Created || !is_candidate(key, &context.prefixes) {
            return Ok(Worked::Whole);
        }
        if let Some(worked) = self.ask_again(delivery, event).await? {
            return Ok(worked);
        }
        let bytes_max = context.analysing.limits.bytes_max;
        let reading = if claims_to_be_a_recording(key) {
            read_write(&*context.store, event, bytes_max)
                .await
                .map(Some)
        } else {
            read_write_of(&*context.store, event, bytes_max, Format::is_recording).await
        };
        let Some(reading) = reading.map_err(|fault| store_down(&fault))? else {
            // A picture beside the recordings of a post: somebody else's work.
            return Ok(Worked::Whole);
        };
        let (file, sha256, sequencer) = match reading {
            Reading::Whole {
                whole,
                info,
                sequencer,
            } => (whole, info.sha256, sequencer),
            Reading::Unread { .. } if !claims_to_be_a_recording(key) => return Ok(Worked::Whole),
            Reading::Unread {
                sequencer, fault, ..
            } => {
                let reason = match fault {
                    StoreFault::TooLarge { .. } => "too_many_bytes",
                    _ => "unreadable",
                };
                let why = GivenUp::new(reason, &fault.to_string(), delivery);
                self.refuse(delivery, key, &sequencer, why).await?;
                return Ok(Worked::Whole);
            }
            Reading::Superseded => {
                // Perhaps not at the first attempt, which died with some of its files stored.
                let gone = Gone::Abandoned(&event.sequencer);
                context.derived.release(&self.me, key, gone).await?;
                return Ok(Worked::Whole);
            }
        };
        match context.analysing.analyse(file, sha256).await {
            Ok(analysed) => {
                let recording = Recording {
                    delivery,
                    key,
                    sequencer,
                };
                return self.keep(&recording, &analysed, cx).await;
            }
            Err(unanalysed) => match failed(unanalysed, key, delivery) {
                Failed::ForGood(why) => self.refuse(delivery, key, &sequencer, why).await?,
                Failed::NotMeant => {}
                Failed::Down(fault) => return Err(fault),
            },
        }
        Ok(Worked::Whole)
    }

    /// Stores what is derived and lists what is known, then makes what is lacking of its renditions.
    async fn keep(
        &self,
        recording: &Recording<'_>,
        analysed: &Analysed,
        cx: &Cx<Delivery>,
    ) -> Result<Worked, Fault> {
        let context = &self.context;
        let Recording { key, sequencer, .. } = recording;
        let (mut audio, files) = derive(sequencer, analysed);
        let sketch = duplicates::sketch_of(analysed);
        let wanted = wanted(&analysed.sha256, &context.encoding.renditions);
        let described = audio.files.iter().map(|file| &file.key);
        let transcriber = context.transcriber.iter();
        let transcript = transcriber.map(|one| transcribing::output_of(one, &analysed.sha256));
        let claim = Claim {
            sha256: analysed.sha256.clone(),
            key: (*key).clone(),
            sequencer: sequencer.clone(),
            files: described
                .chain(wanted.iter().map(|wanted| &wanted.key))
                .cloned()
                .chain(transcript)
                .collect(),
        };
        context.derived.claim(&self.me, claim, &sketch).await?;
        let put = context.store.put_all(files).await;
        put.map_err(|fault| store_down(&fault))?;
        audio.duplicate_of = self.duplicate(recording, analysed, &sketch).await?;
        audio.renditions = match reprocessing_of(recording.delivery) {
            None => self.stored(&wanted).await?,
            Some(_) => pending(&wanted),
        };
        audio.transcript = self.known_transcript(recording).await?;
        let analysis = AudioAnalysed {
            key: (*key).clone(),
            sequencer: sequencer.clone(),
            duration_ms: audio.duration_ms,
            codec: audio.codec.clone(),
            integrated_lufs: audio.integrated_lufs,
            files: audio.files.clone(),
            duplicate_of: audio.duplicate_of.clone(),
        };
        let written = self.attach(recording, &audio).await?;
        context
            .media
            .record_for(
                recording.delivery,
                &self.me,
                (key, sequencer),
                analysis.into(),
            )
            .await?;
        if written == Written::Outdated {
            return self.abandon(recording).await;
        }
        self.deliver(recording, analysed, &wanted, audio, cx).await
    }

    /// Lets go of what was derived from a write that was removed or replaced meanwhile, so that nobody will ask for it.
    async fn abandon(&self, recording: &Recording<'_>) -> Result<Worked, Fault> {
        let gone = Gone::Abandoned(&recording.sequencer);
        let derived = &self.context.derived;
        derived.release(&self.me, recording.key, gone).await?;
        Ok(Worked::Whole)
    }

    /// Lists what is known by now.
    async fn attach(&self, recording: &Recording<'_>, audio: &Audio) -> Result<Written, Fault> {
        let attached = self
            .context
            .table
            .attach_audio(recording.key, audio.clone());
        attached.await.map_err(|fault| table_down(&fault))
    }

    async fn record(&self, recording: &Recording<'_>, fact: Fact) -> Result<(), Fault> {
        let Recording { key, sequencer, .. } = recording;
        let media = &self.context.media;
        Ok(media.record(&self.me, key, sequencer, fact).await?)
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
        Unanalysed::Recording(error @ AudioError::Unreadable(_)) => {
            Failed::Down(Fault::dependency(error.to_string()))
        }
        Unanalysed::Recording(error) => for_good(error.reason_code(), &error.to_string()),
        Unanalysed::Decoder(DecoderFault::Refused(detail)) => for_good("undecodable", &detail),
        Unanalysed::Decoder(fault @ (DecoderFault::Unavailable(_) | DecoderFault::Full(_))) => {
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

    async fn handle(&mut self, delivery: &Delivery, cx: &Cx<Delivery>) -> Result<Done, Fault> {
        let mut again: Option<Duration> = None;
        match objects_of(delivery) {
            Ok(events) => {
                for event in &events {
                    if let Worked::Until(later) = self.one(delivery, event, cx).await? {
                        again = Some(again.map_or(later, |sooner| sooner.min(later)));
                    }
                }
            }
            // The recorder of metadata writes the letter of a message that nobody can read.
            Err(why) => tracing::warn!(reason = why.detail, "a notification cannot be read"),
        }
        let settled = match again {
            Some(later) => delivery.give_back(later).await,
            None => delivery.done().await,
        };
        settled.map_err(|fault| queue_down(&fault))?;
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
