//! Where the reader of the change log stands, which pushes are open, and which letters wait.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::feedback::BounceClass;
use iyagi_messages::ids::{EventId, LetterId, Pos, PushId, Seq};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::SuppressReason;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::waiting_room::{Place, WaitingRoom};
use crate::push_sender::state::{Deferred, PushState, Stage};

/// Pushes, letters and the cursor, folded up to a position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// The last event folded.
    pub pos: Pos,
    /// The last operation of the change log that is done with.
    pub cursor: Cursor,
    /// Number of the cursor entity's last event.
    pub cursor_seq: Seq,
    /// Commits that the cursor has passed over because the change log did not have them.
    #[serde(default)]
    pub skipped_commits: u64,
    /// Commits that nobody was told of, because they changed too much at once.
    #[serde(default)]
    pub withheld_commits: u64,
    /// The watermark of the graph that was last read from elsewhere than the change log.
    #[serde(default)]
    pub bootstrapped: Option<Cursor>,
    /// Pushes that are pending or dead. Settled ones are only counted.
    open: HashMap<PushId, OpenPush>,
    /// Pending pushes by the event that made them so, but for those that wait on purpose.
    turns: BTreeMap<Pos, PushId>,
    /// Those that wait on purpose.
    #[serde(default)]
    waiting: WaitingRoom,
    /// Letters that wait or are on their way to the queue.
    letters: BTreeMap<LetterId, LetterState>,
    /// The conservation law's columns.
    pub counts: Counts,
    /// Events that contradict the history before them; must stay 0.
    pub contradictions: u64,
}

/// An open push, and the event that its next event follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OpenPush {
    state: PushState,
    /// Where it was requested.
    requested: Pos,
    /// Its place in [`Outbox::turns`]: where it was requested or last redriven.
    turn: Pos,
    last_event: EventId,
}

/// How many pushes ended how. `matched = sent + dead + suppressed + pending` holds after every event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Pushes that were ever requested.
    pub matched: u64,
    /// Taken by the gateway.
    pub sent: u64,
    /// Given up: their letters wait or were purged.
    pub dead: u64,
    /// Not sent, by reason.
    pub suppressed: BTreeMap<SuppressReason, u64>,
    /// Not settled yet.
    pub pending: u64,
    /// Of those sent, the ones that were not delivered as far as was learned later, by kind of failure. They stay sent:
    /// this is no column of the law.
    #[serde(default)]
    pub bounced: BTreeMap<BounceClass, u64>,
    /// Redriven letters, of all kinds of job.
    pub redriven: u64,
    /// Purged letters, of all kinds of job.
    pub purged: u64,
}

impl Counts {
    /// Not sent, for whatever reason.
    pub fn suppressed_total(&self) -> u64 {
        self.suppressed.values().sum()
    }
}

/// A letter and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterState {
    /// The letter.
    pub letter: Letter,
    /// Number of its entity's last event.
    pub seq: Seq,
    /// Its entity's last event.
    pub last_event: EventId,
    /// The queue's message id, once the queue holds it.
    pub message_id: Option<String>,
    /// Purged letters stay in the count of dead pushes but can no longer be redriven.
    pub waiting: bool,
    /// The commit or upload that it all began with.
    pub corr: String,
}

impl Outbox {
    /// An open push.
    pub fn push(&self, id: PushId) -> Option<&PushState> {
        self.open.get(&id).map(|open| &open.state)
    }

    /// The event that a push's next event follows from.
    pub fn last_event(&self, id: PushId) -> Option<EventId> {
        self.open.get(&id).map(|open| open.last_event)
    }

    /// At most `limit` pending pushes whose turn is behind `after`, in order of their turns. A push has its turn where
    /// it was requested, and a new one where it was redriven.
    pub fn pending_behind(
        &self,
        after: Pos,
        limit: usize,
    ) -> impl Iterator<Item = (Pos, &PushState)> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let turns = self.turns.range(behind).take(limit);
        turns.filter_map(|(turn, id)| Some((*turn, &self.open.get(id)?.state)))
    }

    /// Pending pushes but for those that wait on purpose.
    pub fn pressing(&self) -> u64 {
        let waiting = self.waiting.len() as u64;
        self.counts.pending.saturating_sub(waiting)
    }

    /// Pushes that wait on purpose.
    pub fn waiting(&self) -> &WaitingRoom {
        &self.waiting
    }

    /// Letters that wait or are on their way, by id.
    pub fn letters(&self) -> impl Iterator<Item = &LetterState> {
        self.letters.values().filter(|state| state.waiting)
    }

    /// The cursor, and what an append that moves it expects.
    pub fn cursor_and_seq(&self) -> (Cursor, Seq) {
        (self.cursor, self.cursor_seq)
    }

    /// One letter, also if it was redriven and its job is not done yet.
    pub fn letter(&self, id: LetterId) -> Option<&LetterState> {
        self.letters.get(&id)
    }

    /// How often a job was given up before.
    pub fn generation(&self, id: LetterId) -> u32 {
        self.letters
            .get(&id)
            .map_or(0, |state| state.letter.generation)
    }

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
                let push = Arc::new(requested.push.clone());
                let open = OpenPush {
                    state: PushState::requested(push, event.seq),
                    requested: event.pos,
                    turn: event.pos,
                    last_event: event.id,
                };
                self.open.insert(requested.push.id, open);
                self.turns.insert(event.pos, requested.push.id);
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
            Fact::PushBounced(bounced) => match push_of(event) {
                Some(id) if self.open.contains_key(&id) => {
                    self.contradict(event, "the push was not sent");
                }
                Some(_) => {
                    let class = BounceClass::of(&bounced.failure_type, &bounced.detail);
                    *self.counts.bounced.entry(class).or_default() += 1;
                }
                None => self.contradict(event, "its entity is not a push"),
            },
            Fact::LetterRequested(requested) => {
                let state = LetterState {
                    letter: requested.letter.clone(),
                    seq: event.seq,
                    last_event: event.id,
                    message_id: None,
                    waiting: true,
                    corr: event.corr.clone(),
                };
                self.letters.insert(requested.letter.id, state);
            }
            Fact::LetterDeadLettered(dead_lettered) => {
                let message_id = dead_lettered.message_id.clone();
                self.advance_letter(event, |letter| letter.message_id = Some(message_id));
            }
            Fact::LetterRedriven(_) => {
                self.counts.redriven += 1;
                let origin = self.advance_letter(event, |letter| letter.waiting = false);
                if let Some(Origin::Push { push, .. }) = origin {
                    self.advance_push(push, event, None);
                }
            }
            Fact::LetterPurged(_) => {
                self.counts.purged += 1;
                let origin = self.advance_letter(event, |letter| letter.waiting = false);
                match origin {
                    Some(Origin::Push { push, .. }) => {
                        self.open.remove(&push);
                        self.forget_letter(LetterId::of_push(push));
                    }
                    Some(Origin::Object { .. }) => {
                        if let Some(id) = key_of(event, "letter/") {
                            self.forget_letter(LetterId(id));
                        }
                    }
                    None => {}
                }
            }
            Fact::ThumbnailRendered(rendered) => {
                let id =
                    LetterId::of_object("thumbnails", rendered.key.as_str(), &rendered.sequencer.0);
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

    /// A redrive is an event of the letter, so the push keeps its own number.
    fn advance_push(&mut self, id: PushId, event: &Event, seq: Option<Seq>) {
        let Some(open) = self.open.get_mut(&id) else {
            return self.contradict(event, "the push is not open");
        };
        let (before, waited) = (open.state.stage, open.state.deferred);
        let seq = seq.unwrap_or(open.state.seq);
        let applied = open.state.apply(&event.fact, &event.actor, seq, event.at);
        if let Err(impossible) = applied {
            return self.contradict(event, &impossible.to_string());
        }
        open.last_event = event.id;
        let after = open.state.stage;
        let waits = open.state.deferred.filter(|_| after.is_pending());
        let has_turn = |stage: Stage, wait: Option<Deferred>| stage.is_pending() && wait.is_none();
        match (has_turn(before, waited), has_turn(after, waits)) {
            (true, false) => {
                self.turns.remove(&open.turn);
            }
            (false, true) => {
                open.turn = event.pos;
                self.turns.insert(event.pos, id);
            }
            _ => {}
        }
        if waited != waits {
            if let Some(wait) = waited {
                self.waiting
                    .leave(&open.state.push, Place::new(wait.until, open.requested));
            }
            if let Some(wait) = waits {
                self.waiting
                    .enter(&open.state.push, Place::new(wait.until, open.requested));
            }
        }
        self.count(before, -1);
        self.count(after, 1);
        if matches!(after, Stage::Accepted | Stage::Suppressed { .. }) {
            self.open.remove(&id);
            self.forget_letter(LetterId::of_push(id));
        }
    }

    /// A settled job cannot be given up again, so how often it was is no longer needed.
    fn forget_letter(&mut self, id: LetterId) {
        if self.letters.get(&id).is_some_and(|state| !state.waiting) {
            self.letters.remove(&id);
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
        change(state);
        state.seq = event.seq;
        state.last_event = event.id;
        Some(state.letter.origin.clone())
    }

    fn contradict(&mut self, event: &Event, reason: &str) {
        self.contradictions += 1;
        tracing::error!(pos = %event.pos, kind = event.fact.kind(), reason, "an event contradicts its history");
    }
}

fn push_of(event: &Event) -> Option<PushId> {
    key_of(event, "push/").map(PushId)
}

fn key_of(event: &Event, prefix: &str) -> Option<Uuid> {
    event
        .entity
        .0
        .strip_prefix(prefix)
        .and_then(|key| Uuid::parse_str(key).ok())
}
