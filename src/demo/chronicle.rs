//! What became of every push and every file, folded from the journal while the story is played.

use std::collections::{BTreeMap, HashMap};

use iyagi_actors::audio_worker::claims_to_be_a_recording;
use iyagi_actors::thumbnail_worker::claims_to_be_a_picture;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{LetterId, Pos, PushId};
use iyagi_messages::letter::Origin;
use iyagi_messages::media::Variant;
use iyagi_messages::object::ObjectKey;
use iyagi_messages::push::{FailureClass, Push, SuppressReason};

/// Everything that has happened so far, and what has happened since it was last told.
#[derive(Default)]
pub(super) struct Chronicle {
    /// The last event folded.
    pub(super) pos: Pos,
    pub(super) pushes: HashMap<PushId, PushTale>,
    pub(super) files: BTreeMap<ObjectKey, FileTale>,
    /// Letters that were ever written, by id: whose job each stands for.
    letters: HashMap<LetterId, Option<PushId>>,
    /// Letters written, counting each time that a job was given up.
    pub(super) letters_written: u64,
    pub(super) letters_redriven: u64,
    /// Pushes to tell of, in the order in which something happened to them.
    told_next: Vec<PushId>,
}

/// A push and what has happened to it.
#[derive(Debug)]
pub(super) struct PushTale {
    pub(super) push: Push,
    /// Failed attempts since it was last told of.
    pub(super) failures: Vec<Failed>,
    /// It was given up before and is sent again.
    pub(super) redriven: bool,
    pub(super) end: PushEnd,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) class: FailureClass,
    pub(super) code: String,
    pub(super) detail: String,
}

/// How far a push has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushEnd {
    Waits,
    Sent,
    Suppressed(SuppressReason),
    Dead,
}

/// A file and what was made of it.
#[derive(Debug, Default)]
pub(super) struct FileTale {
    /// What it is, once its metadata item is there.
    pub(super) recorded: Option<Recorded>,
    pub(super) thumbnails: Option<Vec<Variant>>,
    /// What was heard, once it is understood.
    pub(super) audio: Option<Heard>,
    /// Why there is no thumbnail and nothing was heard, as a word and in words.
    pub(super) defect: Option<(String, String)>,
}

/// What a recording is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) duration_ms: u64,
    pub(super) codec: String,
    pub(super) integrated_lufs: Option<f64>,
}

/// What a file is.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) content_type: String,
    pub(super) size: u64,
}

impl Chronicle {
    /// Folds the journal's next event.
    pub(super) fn apply(&mut self, event: &Event) {
        self.pos = event.pos;
        match &event.fact {
            Fact::PushRequested(requested) => {
                let tale = PushTale {
                    push: requested.push.clone(),
                    failures: Vec::new(),
                    redriven: false,
                    end: PushEnd::Waits,
                };
                self.pushes.insert(requested.push.id, tale);
                self.told_next.push(requested.push.id);
            }
            Fact::PushFailed(failed) => self.advance(push_of(event), |tale| {
                tale.failures.push(Failed {
                    class: failed.class,
                    code: failed.code.clone(),
                    detail: failed.detail.clone(),
                });
                if failed.retry_at.is_none() {
                    tale.end = PushEnd::Dead;
                }
            }),
            Fact::PushAccepted(_) => {
                self.advance(push_of(event), |tale| tale.end = PushEnd::Sent);
            }
            Fact::PushSuppressed(suppressed) => self.advance(push_of(event), |tale| {
                tale.end = PushEnd::Suppressed(suppressed.reason);
            }),
            Fact::LetterRequested(requested) => {
                let push = match requested.letter.origin {
                    Origin::Push { push, .. } => Some(push),
                    Origin::Object { .. } | Origin::Document { .. } => None,
                };
                self.letters.insert(requested.letter.id, push);
                self.letters_written += 1;
            }
            Fact::LetterRedriven(_) => {
                self.letters_redriven += 1;
                let letter = key_of(event, "letter/").and_then(|key| key.parse().ok());
                let push = letter.and_then(|letter| self.letters.get(&letter).copied().flatten());
                self.advance(push, |tale| {
                    tale.redriven = true;
                    tale.end = PushEnd::Waits;
                });
            }
            Fact::MetadataRecorded(recorded) => {
                self.file(&recorded.key).recorded = Some(Recorded {
                    content_type: recorded.content_type.clone(),
                    size: recorded.size,
                });
            }
            Fact::ThumbnailRendered(rendered) => {
                self.file(&rendered.key).thumbnails = Some(rendered.variants.clone());
            }
            Fact::AudioAnalysed(analysed) => {
                self.file(&analysed.key).audio = Some(Heard {
                    duration_ms: analysed.duration_ms,
                    codec: analysed.codec.clone(),
                    integrated_lufs: analysed.integrated_lufs.map(f64::from),
                });
            }
            Fact::AudioRefused(refused) => {
                let defect = (refused.reason.clone(), refused.detail.clone());
                self.file(&refused.key).defect = Some(defect);
            }
            Fact::ThumbnailFailed(failed) => {
                let defect = (failed.reason.clone(), failed.detail.clone());
                self.file(&failed.key).defect = Some(defect);
            }
            _ => {}
        }
    }

    /// Whether everything that comes of an upload has come. `pictures` says that it lies where pictures get thumbnails,
    /// `recordings` that it lies where recordings are analysed.
    pub(super) fn file_settled(&self, key: &ObjectKey, pictures: bool, recordings: bool) -> bool {
        self.files.get(key).is_some_and(|file| {
            let Some(recorded) = &file.recorded else {
                return false;
            };
            let picture =
                recorded.content_type.starts_with("image/") || claims_to_be_a_picture(key);
            let recording = claims_to_be_a_recording(key);
            let outcome =
                file.thumbnails.is_some() || file.audio.is_some() || file.defect.is_some();
            !(pictures && picture || recordings && recording) || outcome
        })
    }

    /// The pushes to which something happened since this was last asked.
    pub(super) fn untold(&mut self) -> Vec<PushId> {
        std::mem::take(&mut self.told_next)
    }

    fn advance(&mut self, push: Option<PushId>, change: impl FnOnce(&mut PushTale)) {
        let Some(id) = push else { return };
        let Some(tale) = self.pushes.get_mut(&id) else {
            return;
        };
        change(tale);
        if !self.told_next.contains(&id) {
            self.told_next.push(id);
        }
    }

    fn file(&mut self, key: &ObjectKey) -> &mut FileTale {
        self.files.entry(key.clone()).or_default()
    }
}

fn push_of(event: &Event) -> Option<PushId> {
    key_of(event, "push/")?.parse().ok()
}

fn key_of<'e>(event: &'e Event, prefix: &str) -> Option<&'e str> {
    event.entity.0.strip_prefix(prefix)
}
