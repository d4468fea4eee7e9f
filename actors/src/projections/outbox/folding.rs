//! What each event does to the outbox.

use std::sync::Arc;

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::feedback::BounceClass;
use iyagi_messages::ids::{LetterId, PushId, Seq};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::Push;
use uuid::Uuid;

use super::{LetterState, Outbox};
use crate::projections::open_push::{OpenPush, Standing};
use crate::projections::platform_queue::Body;
use crate::push_sender::state::Stage;

/// Bodies that are kept in memory, some ten megabytes: as many as the senders take on, so that none is read back while
/// they keep up.
const BODIES_MAX: usize = 10_000;

impl Outbox {
    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        debug_assert!(event.pos > self.pos, "events come in order of position");
        self.pos = event.pos;
        match &event.fact {
            Fact::CursorAdvanced(advanced) => {
                self.cursor = advanced.to;
                self.cursor_seq = event.seq;
            }
            Fact::CommitWithheld(_) => self.withheld_commits += 1,
            Fact::GraphBootstrapped(fact) => self.bootstrapped = Some(fact.watermark),
            Fact::StreamSkipped(skipped) => self.skipped_commits += skipped.commits,
            Fact::PushRequested(requested) => {
                self.counts.matched += 1;
                self.counts.pending += 1;
                self.request(&requested.push, event);
            }
            Fact::PushAttempted(_)
            | Fact::PushAccepted(_)
            | Fact::PushDeferred(_)
            | Fact::PushMerged(_)
            | Fact::PushFailed(_)
            | Fact::PushSuppressed(_) => match push_of(event) {
                Some(id) => self.advance_push(id, event, Some(event.seq)),
                None => self.contradict(event, "its entity is not a push"),
            },
            Fact::PushBounced(bounced) => {
                let class = BounceClass::of(&bounced.failure_type, &bounced.detail);
                self.bounce(class, event);
            }
            Fact::LetterRequested(requested) => self.request_letter(&requested.letter, event),
            Fact::LetterDeadLettered(dead_lettered) => {
                let message_id = dead_lettered.message_id.clone();
                self.advance_letter(event, |letter| letter.message_id = Some(message_id));
            }
            Fact::LetterRedriven(_) => self.redrive(event),
            Fact::LetterPurged(_) => {
                self.counts.purged += 1;
                self.give_up(event);
            }
            Fact::LetterExpired(_) => {
                self.counts.expired += 1;
                self.give_up(event);
            }
            Fact::ThumbnailRendered(rendered) => {
                let id =
                    LetterId::of_object("thumbnails", rendered.key.as_str(), &rendered.sequencer.0);
                self.forget_letter(id);
            }
            Fact::AudioAnalysed(analysed) => {
                let id = LetterId::of_object("audio", analysed.key.as_str(), &analysed.sequencer.0);
                self.forget_letter(id);
            }
            Fact::MetadataRecorded(recorded) => {
                let id =
                    LetterId::of_object("metadata", recorded.key.as_str(), &recorded.sequencer.0);
                self.forget_letter(id);
            }
            _ => {}
        }
    }

    fn request(&mut self, push: &Push, event: &Event) {
        let open = OpenPush::requested(push, event);
        let queue = self.queues.entry(push.platform).or_default();
        queue.move_on(&open, Standing::Nowhere, open.standing());
        self.open.insert(push.id, open);
        if self.bodies.len() >= BODIES_MAX {
            self.bodies.pop_front();
        }
        let body = Body {
            push: Arc::new(push.clone()),
            requested: event.id,
        };
        self.bodies.push_back((event.pos, body));
    }

    fn bounce(&mut self, class: BounceClass, event: &Event) {
        match push_of(event) {
            Some(id) if self.open.contains_key(&id) => {
                self.contradict(event, "the push was not sent");
            }
            Some(_) => *self.counts.bounced.entry(class).or_default() += 1,
            None => self.contradict(event, "its entity is not a push"),
        }
    }

    fn request_letter(&mut self, letter: &Letter, event: &Event) {
        let state = LetterState {
            letter: letter.clone(),
            seq: event.seq,
            last_event: event.id,
            message_id: None,
            waiting: true,
            corr: event.corr.clone(),
        };
        if let Some(before) = self.letters.get(&letter.id) {
            self.waiting.remove(&before.letter);
        }
        self.waiting.insert(&state.letter);
        self.letters.insert(letter.id, state);
    }

    fn redrive(&mut self, event: &Event) {
        self.counts.redriven += 1;
        match self.advance_letter(event, |letter| letter.waiting = false) {
            Some(Origin::Push { push, .. }) => self.advance_push(push, event, None),
            // It is in the index by then.
            Some(Origin::Document { .. }) => self.forget_letter_of(event),
            Some(Origin::Object { .. }) | None => {}
        }
    }

    /// A redrive is an event of the letter, so the push keeps its own number.
    fn advance_push(&mut self, id: PushId, event: &Event, seq: Option<Seq>) {
        let Some(open) = self.open.get_mut(&id) else {
            return self.contradict(event, "the push is not open");
        };
        let from = open.standing();
        let (before, after) = match open.advance(event, seq) {
            Ok(stages) => stages,
            Err(impossible) => return self.contradict(event, &impossible.to_string()),
        };
        let settled = matches!(after, Stage::Accepted | Stage::Suppressed { .. });
        let queue = self.queues.entry(open.platform).or_default();
        queue.move_on(open, from, open.standing());
        self.count(before, -1);
        self.count(after, 1);
        if settled {
            self.open.remove(&id);
            self.forget_letter(LetterId::of_push(id));
        }
    }

    /// The job of a letter is not tried anew any more.
    fn give_up(&mut self, event: &Event) {
        match self.advance_letter(event, |letter| letter.waiting = false) {
            Some(Origin::Push { push, .. }) => {
                self.open.remove(&push);
                self.forget_letter(LetterId::of_push(push));
            }
            Some(Origin::Object { .. } | Origin::Document { .. }) => self.forget_letter_of(event),
            None => {}
        }
    }

    /// A settled job cannot be given up again, so how often it was is no longer needed.
    fn forget_letter(&mut self, id: LetterId) {
        if self.letters.get(&id).is_some_and(|state| !state.waiting) {
            self.letters.remove(&id);
        }
    }

    fn forget_letter_of(&mut self, event: &Event) {
        if let Some(id) = key_of(event, "letter/") {
            self.forget_letter(LetterId(id));
        }
    }

    fn count(&mut self, stage: Stage, by: i64) {
        let counter = match stage {
            Stage::Pending { .. } | Stage::Attempting => &mut self.counts.pending,
            Stage::Accepted => &mut self.counts.sent,
            Stage::Dead { .. } => &mut self.counts.dead,
            Stage::Suppressed { reason } => self.counts.suppressed.entry(reason).or_default(),
        };
        *counter = counter.saturating_add_signed(by);
    }

    fn advance_letter(
        &mut self,
        event: &Event,
        change: impl FnOnce(&mut LetterState),
    ) -> Option<Origin> {
        let id = key_of(event, "letter/").map(LetterId);
        let Some(state) = id.and_then(|id| self.letters.get_mut(&id)) else {
            self.contradict(event, "the letter is not known");
            return None;
        };
        let waited = state.waiting;
        change(state);
        if waited && !state.waiting {
            self.waiting.remove(&state.letter);
        }
        state.seq = event.seq;
        state.last_event = event.id;
        Some(state.letter.origin.clone())
    }

    fn contradict(&mut self, event: &Event, reason: &str) {
        self.contradictions += 1;
        tracing::error!(pos = %event.pos, kind = event.fact.kind(), reason, "an event contradicts its history");
    }
}

/// The push that an event is of.
pub(super) fn push_of(event: &Event) -> Option<PushId> {
    key_of(event, "push/").map(PushId)
}

fn key_of(event: &Event, prefix: &str) -> Option<Uuid> {
    event
        .entity
        .0
        .strip_prefix(prefix)
        .and_then(|key| Uuid::parse_str(key).ok())
}
