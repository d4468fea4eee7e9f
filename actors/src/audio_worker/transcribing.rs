//! What is said in a recording, by a service that takes its time.
//!
//! Nobody waits for it: the notification goes back to its queue, hidden until it is time to ask again, and whoever has it
//! then asks. So a crash, a deploy or another host changes nothing, and there is no list of open jobs but the queue.
//! The service would also tell when it is done; but it writes nothing when it fails, so it has to be asked anyway.

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::fact::{Fact, TranscriptCompleted, TranscriptFailed, TranscriptRequested};
use iyagi_messages::media::{Audio, RenditionState, Transcript, TranscriptState};
use iyagi_messages::object::{ObjectEvent, ObjectKey};

use super::files::derived_key;
use super::renditions::{Wanted, wanted};
use super::{AudioWorker, Recording, Worked};
use crate::media_job::table_down;
use crate::ports::{Progress, Transcriber, TranscriberFault, TranscriptJob, Written};
use crate::queue_intake::Delivery;
use crate::runtime::Fault;

/// Part of every job's name and output. To be raised when the same bytes are to be transcribed anew.
const TRANSCRIPTS_VERSION: u32 = 1;
/// How long to wait before the first question; a minute of speech takes about as long.
const PAUSE_MIN: Duration = Duration::from_secs(15);
/// How long to wait at most: by then nobody waits for it to the second.
const PAUSE_MAX: Duration = Duration::from_mins(10);
/// Deliveries after which it is given up: about an hour and a half, and fewer than a queue of AWS gives before it sets
/// the message aside.
const DELIVERIES_MAX: u32 = 15;
/// Bytes of text that an item holds: a quarter of an hour of speech. The whole is in the store.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The job for a recording of these bytes, and where its outcome is.
pub(super) fn job_of(
    transcriber: &Arc<dyn Transcriber>,
    sha256: &str,
    recording: ObjectKey,
) -> TranscriptJob {
    let recipe = transcriber.recipe();
    TranscriptJob {
        name: format!("{sha256}-{TRANSCRIPTS_VERSION}-{recipe}"),
        recording,
        output: output_of(transcriber, sha256),
    }
}

/// Where the service puts what is said in recordings of these bytes.
pub(super) fn output_of(transcriber: &Arc<dyn Transcriber>, sha256: &str) -> ObjectKey {
    let recipe = transcriber.recipe();
    let name = format!("transcript-{TRANSCRIPTS_VERSION}-{recipe}.json");
    derived_key(sha256, &name)
}

impl AudioWorker {
    /// Asks for a transcript that was requested at an earlier delivery; nothing if none was.
    pub(super) async fn ask_again(
        &self,
        delivery: &Delivery,
        event: &ObjectEvent,
    ) -> Result<Option<Worked>, Fault> {
        if self.context.transcriber.is_none() {
            return Ok(None);
        }
        let found = self.context.table.get(&event.key).await;
        let found = found.map_err(|fault| table_down(&fault))?;
        let Some((audio, sha256)) = found.and_then(|item| item.audio.zip(item.sha256)) else {
            return Ok(None);
        };
        let wanted = wanted(&sha256, &self.context.encoding.renditions);
        let settled = |one: &Wanted| one.settled(&audio.renditions);
        let requested = |one: &Transcript| one.state == TranscriptState::Requested;
        let waits = audio.sequencer == event.sequencer
            && audio.transcript.as_ref().is_some_and(requested)
            && wanted.iter().all(settled);
        if !waits {
            return Ok(None);
        }
        let recording = Recording {
            delivery,
            key: &event.key,
            sequencer: event.sequencer.clone(),
        };
        let asked = self.ask(&recording, &sha256, audio).await?;
        Ok(Some(asked))
    }

    /// What is known of a write's transcript from an earlier delivery of its notification.
    pub(super) async fn known_transcript(
        &self,
        recording: &Recording<'_>,
    ) -> Result<Option<Transcript>, Fault> {
        if self.context.transcriber.is_none() {
            return Ok(None);
        }
        let found = self.context.table.get(recording.key).await;
        let found = found.map_err(|fault| table_down(&fault))?;
        let audio = found.and_then(|item| item.audio);
        let same = audio.filter(|audio| audio.sequencer == recording.sequencer);
        Ok(same.and_then(|audio| audio.transcript))
    }

    /// Begins the transcript of a recording, unless it was begun before. Whoever offers a recording once more wants its
    /// files, not to pay for what was said in it long ago.
    pub(super) async fn transcribe(
        &self,
        recording: &Recording<'_>,
        sha256: &str,
        mut audio: Audio,
    ) -> Result<Worked, Fault> {
        let Some(transcriber) = &self.context.transcriber else {
            return Ok(Worked::Whole);
        };
        match audio.transcript.as_ref().map(|one| &one.state) {
            None => {}
            Some(TranscriptState::Requested) => {
                return self.ask(recording, sha256, audio).await;
            }
            Some(_) => return Ok(Worked::Whole),
        }
        if audio.near_silent || recording.delivery.offers() {
            return Ok(Worked::Whole);
        }
        let job = job_of(transcriber, sha256, sound_of(recording.key, &audio));
        let state = match transcriber.start(&job).await {
            Ok(()) => TranscriptState::Requested,
            Err(TranscriberFault::Unavailable(why)) if !last(recording) => {
                tracing::warn!(key = %recording.key, why, "no transcript can be begun at present");
                return Ok(Worked::Until(pause(recording)));
            }
            Err(fault) => failed("refused", fault.to_string()),
        };
        audio.transcript = Some(Transcript {
            job: job.name,
            state,
        });
        self.settle(recording, &audio).await
    }

    async fn ask(
        &self,
        recording: &Recording<'_>,
        sha256: &str,
        mut audio: Audio,
    ) -> Result<Worked, Fault> {
        let Some(transcriber) = &self.context.transcriber else {
            return Ok(Worked::Whole);
        };
        let job = job_of(transcriber, sha256, sound_of(recording.key, &audio));
        let state = match transcriber.progress(&job).await {
            Ok(Progress::Completed { text, language }) => completed(text, language),
            Ok(Progress::Failed(why)) => failed("failed", why),
            Err(TranscriberFault::Refused(why)) => failed("refused", why),
            Ok(Progress::Running) if last(recording) => failed(
                "timed_out",
                "it is not done after many questions".to_owned(),
            ),
            Err(TranscriberFault::Unavailable(why)) if last(recording) => {
                failed("unavailable", why)
            }
            Ok(Progress::Running) => TranscriptState::Requested,
            Err(TranscriberFault::Unavailable(why)) => {
                tracing::warn!(key = %recording.key, why, "a transcript cannot be asked for at present");
                TranscriptState::Requested
            }
        };
        if state == TranscriptState::Requested {
            return Ok(Worked::Until(pause(recording)));
        }
        audio.transcript = Some(Transcript {
            job: job.name,
            state,
        });
        self.settle(recording, &audio).await
    }

    /// Lists how far the transcript is, writes it, and says when to ask next.
    async fn settle(&self, recording: &Recording<'_>, audio: &Audio) -> Result<Worked, Fault> {
        let written = self.attach(recording, audio).await?;
        if let Some(transcript) = &audio.transcript {
            self.record(recording, fact(recording, transcript)).await?;
            if written == Written::Yes && transcript.state == TranscriptState::Requested {
                return Ok(Worked::Until(pause(recording)));
            }
        }
        if written == Written::Outdated {
            return self.abandon(recording).await;
        }
        Ok(Worked::Whole)
    }
}

/// Where the service reads the sound: a rendition, whose key never changes its content, or else the recording.
fn sound_of(key: &ObjectKey, audio: &Audio) -> ObjectKey {
    let mut renditions = audio.renditions.iter();
    let made = renditions.find_map(|rendition| match &rendition.state {
        RenditionState::Made(file) => Some(&file.key),
        _ => None,
    });
    made.unwrap_or(key).clone()
}

/// The text as an item holds it.
fn completed(mut text: String, language: Option<String>) -> TranscriptState {
    let truncated = text.len() > TEXT_BYTES_MAX;
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    TranscriptState::Completed {
        text,
        truncated,
        language,
    }
}

fn failed(reason: &str, detail: String) -> TranscriptState {
    TranscriptState::Failed {
        reason: reason.to_owned(),
        detail,
    }
}

fn fact(recording: &Recording<'_>, transcript: &Transcript) -> Fact {
    let (key, sequencer) = (recording.key.clone(), recording.sequencer.clone());
    let job = transcript.job.clone();
    match &transcript.state {
        TranscriptState::Requested => TranscriptRequested {
            key,
            sequencer,
            job,
        }
        .into(),
        TranscriptState::Completed { text, language, .. } => TranscriptCompleted {
            key,
            sequencer,
            job,
            language: language.clone(),
            text_bytes: text.len() as u64,
        }
        .into(),
        TranscriptState::Failed { reason, detail } => TranscriptFailed {
            key,
            sequencer,
            job,
            reason: reason.clone(),
            detail: detail.clone(),
        }
        .into(),
    }
}

fn last(recording: &Recording<'_>) -> bool {
    recording.delivery.received.receive_count >= DELIVERIES_MAX
}

/// Twice as long with every delivery.
fn pause(recording: &Recording<'_>) -> Duration {
    let deliveries = recording.delivery.received.receive_count;
    let doublings = deliveries.saturating_sub(1).min(DELIVERIES_MAX);
    PAUSE_MAX.min(PAUSE_MIN * 2_u32.pow(doublings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_so() {
        let long = "말".repeat(TEXT_BYTES_MAX);
        let TranscriptState::Completed {
            text, truncated, ..
        } = completed(long, None)
        else {
            panic!("it is completed")
        };
        assert!(truncated && text.len() <= TEXT_BYTES_MAX && text.ends_with('말'));
        let short = completed("짧은 말".to_owned(), Some("ko-KR".to_owned()));
        let expected = TranscriptState::Completed {
            text: "짧은 말".to_owned(),
            truncated: false,
            language: Some("ko-KR".to_owned()),
        };
        assert_eq!(short, expected);
    }
}
