//! Where the reader of the change log stands, which pushes are open, and which letters wait.
//!
//! A push's body is not kept beyond the newest ones: it is in the journal, and read from there when the push is offered.
//!
//! # Layout
//! - this file: what is kept, and what is asked of it
//! - `folding`: what each event does to it

mod folding;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use iyagi_messages::compaction::Totals;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, LetterId, Pos, PushId, Seq, Timestamp};
use iyagi_messages::letter::Letter;
use iyagi_messages::push::Push;
use serde::{Deserialize, Serialize};

use self::folding::push_of;
use super::counts::Counts;
use super::open_push::{OpenPush, Phone, Standing};
use super::packing;
use super::platform_queue::{Body, Pending, PlatformQueue};
use super::waiting_letters::{LetterGroup, LetterPlace, WaitingLetters};
use super::waiting_room::Place;
use crate::push_sender::state::Progress;

/// Pushes, letters and the cursor, folded up to a position.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
    /// Pushes that are pending or dead. Settled ones are only counted. A tree, because a table would have to be moved
    /// whole from time to time, while every append waits.
    #[serde(skip)]
    open: BTreeMap<PushId, OpenPush>,
    /// The pending ones among them.
    #[serde(skip)]
    queues: BTreeMap<Option<Platform>, PlatformQueue>,
    /// The newest bodies, by where they were requested.
    #[serde(skip)]
    bodies: VecDeque<(Pos, Body)>,
    /// Letters that wait or are on their way to the queue.
    letters: BTreeMap<LetterId, LetterState>,
    /// The waiting ones among them.
    #[serde(skip)]
    waiting: WaitingLetters,
    /// The conservation law's columns.
    pub counts: Counts,
    /// Events that contradict the history before them; must stay 0.
    pub contradictions: u64,
}

/// A push that is to be sent when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTurn {
    /// The push.
    pub id: PushId,
    /// The push service of its phone.
    pub platform: Option<Platform>,
    /// Its phone.
    pub phone: Phone,
    /// What has happened to it.
    pub progress: Progress,
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
    /// Letters that were purged or have expired stay in the count of dead pushes but can no longer be redriven.
    pub waiting: bool,
    /// The commit or upload that it all began with.
    pub corr: String,
}

impl Outbox {
    /// Nothing but what some events add up to that are not folded any more.
    pub fn behind(totals: &Totals) -> Self {
        Self {
            skipped_commits: totals.skipped_commits,
            withheld_commits: totals.withheld_commits,
            counts: Counts::of(totals),
            ..Self::default()
        }
    }

    /// What has happened to an open push, and the event that its next event follows from; that which requested it if absent.
    pub fn progress(&self, id: PushId) -> Option<(Progress, Option<EventId>)> {
        let open = self.open.get(&id)?;
        Some((open.progress(), open.last_event()))
    }

    /// Pending pushes of a platform whose turn is behind `after`, in order of their turns. A push has its turn where it was
    /// requested, and a new one where it was redriven.
    pub fn turns_behind(
        &self,
        platform: Option<Platform>,
        after: Pos,
    ) -> impl Iterator<Item = (Pos, Pending)> {
        let queue = self.queues.get(&platform).into_iter();
        let turns = queue.flat_map(move |queue| queue.turns_behind(after));
        turns.map(|(turn, requested)| (turn, self.requested_at(requested)))
    }

    /// Pushes of a platform that waited on purpose and are due, behind a place.
    pub fn due(
        &self,
        platform: Option<Platform>,
        after: Place,
        now: Timestamp,
    ) -> impl Iterator<Item = (Place, Pending)> {
        let queue = self.queues.get(&platform).into_iter();
        let due = queue.flat_map(move |queue| queue.waiting.due(after, now));
        due.map(|place| (place, self.requested_at(place.requested())))
    }

    /// The first moment at which a push of a platform is due that waits on purpose, behind a place.
    pub fn next_due(&self, platform: Option<Platform>, after: Place) -> Option<Timestamp> {
        self.queues.get(&platform)?.waiting.next_due(after)
    }

    /// Pushes that wait on purpose for the same phone as another one, in the order in which they become due.
    pub fn waiting_with(&self, push: &Push) -> impl Iterator<Item = Pending> {
        let phone = Phone::of(push);
        let queue = self.queues.get(&push.platform).into_iter();
        let places = queue.flat_map(move |queue| queue.waiting.of_phone(phone));
        places.map(|place| self.requested_at(place.requested()))
    }

    /// The push service of the push that an event is about.
    pub(super) fn platform_of(&self, event: &Event) -> Option<Platform> {
        match &event.fact {
            Fact::PushBounced(bounced) => bounced.platform,
            Fact::PushAccepted(_) | Fact::PushFailed(_) => {
                self.open.get(&push_of(event)?)?.platform
            }
            _ => None,
        }
    }

    /// Every pending push that does not wait on purpose.
    pub fn in_turn(&self) -> impl Iterator<Item = InTurn> {
        let open = self.open.iter();
        let has_turn =
            |push: &OpenPush| matches!(push.standing(), Standing::Turn(_) | Standing::Retry(_));
        let in_turn = open.filter(move |(_, push)| has_turn(push));
        in_turn.map(|(id, push)| InTurn {
            id: *id,
            platform: push.platform,
            phone: push.phone,
            progress: push.progress(),
        })
    }

    /// Pushes of the platforms that are asked for which senders have not tried yet, but for those that wait on purpose.
    pub fn pressing(&self, of: impl Fn(Option<Platform>) -> bool) -> u64 {
        let wanted = self.queues.iter().filter(|(platform, _)| of(**platform));
        wanted.map(|(_, queue)| queue.untried() as u64).sum()
    }

    /// Pushes that are to be tried once more.
    pub fn retries(&self) -> u64 {
        let queues = self.queues.values();
        queues.map(|queue| queue.retries() as u64).sum()
    }

    /// How many pushes wait on purpose.
    pub fn deferred(&self) -> usize {
        self.queues.values().map(|queue| queue.waiting.len()).sum()
    }

    /// Where the body of an open push is.
    pub fn body_of(&self, id: PushId) -> Option<Pending> {
        Some(self.requested_at(self.open.get(&id)?.requested))
    }

    /// A push, by where it was requested.
    pub fn requested_at(&self, requested: Pos) -> Pending {
        let body = self
            .bodies
            .binary_search_by_key(&requested, |(pos, _)| *pos);
        let body = body.ok().map(|index| self.bodies[index].1.clone());
        Pending { requested, body }
    }

    /// The open pushes, for a snapshot; the rest of it is serialized.
    pub(super) fn pack(&self) -> Vec<Vec<u8>> {
        packing::pack(&self.open)
    }

    /// Takes over the open pushes of a snapshot.
    pub(super) fn restore(&mut self, open: Vec<(PushId, OpenPush)>) {
        self.open = open.into_iter().collect();
        for platform in [None, Some(Platform::Fcm), Some(Platform::Apns)] {
            let open = self.open.values();
            let queue = PlatformQueue::of(open.filter(|push| push.platform == platform));
            self.queues.insert(platform, queue);
        }
        self.waiting = WaitingLetters::of(self.letters().map(|state| &state.letter));
    }

    /// Letters that wait or are on their way, by id.
    pub fn letters(&self) -> impl Iterator<Item = &LetterState> {
        self.letters.values().filter(|state| state.waiting)
    }

    /// How many letters wait.
    pub fn letter_count(&self) -> usize {
        self.waiting.len()
    }

    /// Letters that wait, between two places, of one kind of job and one reason or of all; the newest first.
    pub fn letters_between(
        &self,
        group: Option<(&str, &str)>,
        bounds: (Bound<LetterPlace>, Bound<LetterPlace>),
    ) -> impl Iterator<Item = &LetterState> {
        let places = self.waiting.between(group, bounds);
        places.filter_map(|place| self.letters.get(&place.1))
    }

    /// Letters that wait since a moment or longer, the oldest first.
    pub fn letters_since(&self, moment: Timestamp) -> impl Iterator<Item = &LetterState> {
        let places = self.waiting.since(moment);
        places.filter_map(|place| self.letters.get(&place.1))
    }

    /// Letters that wait, counted by kind of job and reason.
    pub fn letter_groups(&self) -> impl Iterator<Item = LetterGroup> {
        self.waiting.groups()
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
}
