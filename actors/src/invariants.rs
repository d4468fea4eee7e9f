//! What must hold of every journal, checked by property tests, crash tests, `iyagi audit` and, as a metric, production.

mod derived;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, JournalCompacted, NO_OUTCOME};
use iyagi_messages::fleet::Lane;
use iyagi_messages::ids::{DeviceToken, EventId, PersonId, Pos, PushId, Seq};
use iyagi_messages::object::ObjectKey;
use serde::Serialize;

use self::derived::Derived;
use crate::fleet::lanes::owner_of;
use crate::projections::{Counts, Members, Outbox};

/// Where uploads are worked on, unless the configuration says otherwise, which a journal does not know.
const PREFIXES: [&str; 3] = ["profile/", "posts/", "uploads/"];

/// Checks a journal's events in order.
#[derive(Default)]
pub struct Audit {
    outbox: Outbox,
    members: Members,
    /// Nothing behind this position was taken out.
    compacted: Pos,
    /// Each entity's last number, and where it stands.
    last: HashMap<Entity, (Seq, Pos)>,
    ids: HashMap<EventId, Pos>,
    lanes: HashMap<(PersonId, Option<DeviceToken>), VecDeque<PushId>>,
    lane_of: HashMap<PushId, (PersonId, Option<DeviceToken>)>,
    recipients: HashMap<PushId, PersonId>,
    accepted: BTreeMap<PushId, u32>,
    unknown_outcomes: u64,
    starts: u64,
    pictures: BTreeSet<ObjectKey>,
    thumbnails: BTreeSet<ObjectKey>,
    derived: Derived,
    events: u64,
    violations: Vec<Violation>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which invariant is broken.
    pub invariant: Invariant,
    /// Where it shows, if at one place.
    pub pos: Option<Pos>,
    /// What is wrong.
    pub detail: String,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// Positions are gapless from 1, but for what was taken out.
    Gapless,
    /// Each entity's numbers are gapless from 1, but for what was taken out.
    EntityOrder,
    /// No event is there twice.
    Unique,
    /// A cause is in the journal before what it caused, or was taken out.
    CauseFirst,
    /// The cursor never moves back.
    CursorForward,
    /// Every event can follow the history of its entity.
    PossibleHistory,
    /// `matched = sent + dead + suppressed + pending`.
    Conservation,
    /// A push is accepted once, or once more for each crash.
    AcceptedOnce,
    /// Pushes to one phone leave in the order in which they were requested.
    LaneOrder,
    /// In a fleet, the cursor is moved by the host that leads, and a push is attempted by the host whose work it is.
    DivisionOfWork,
    /// What is derived from a recording is a function of its bytes, and claimed before it is listed.
    DerivedOfBytes,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gapless => "gapless",
            Self::EntityOrder => "entity_order",
            Self::Unique => "unique",
            Self::CauseFirst => "cause_first",
            Self::CursorForward => "cursor_forward",
            Self::PossibleHistory => "possible_history",
            Self::Conservation => "conservation",
            Self::AcceptedOnce => "accepted_once",
            Self::LaneOrder => "lane_order",
            Self::DivisionOfWork => "division_of_work",
            Self::DerivedOfBytes => "derived_of_bytes",
        })
    }
}

/// What a whole journal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What must not be; empty in a sound journal.
    pub violations: Vec<Violation>,
    /// The conservation law's columns.
    pub counts: Counts,
    /// Events that were checked.
    pub events: u64,
    /// Times the daemon came up.
    pub starts: u64,
    /// Attempts whose outcome a crash swallowed; each may have sent its push once more.
    pub unknown_outcomes: u64,
    /// Letters that wait, and of those the ones that are not in the queue yet.
    pub letters_waiting: u64,
    /// Letters that are requested and not yet in the queue.
    pub letters_on_their_way: u64,
    /// Pictures that are recorded and whose thumbnails are neither rendered nor failed.
    pub pictures_without_outcome: Vec<ObjectKey>,
    /// Recordings that are recorded and neither analysed nor refused.
    pub recordings_without_outcome: Vec<ObjectKey>,
}

impl Audit {
    /// An audit of a journal that something was taken out of. What is missing is taken to be that; whoever reads it knows
    /// better where it may be missing.
    pub fn behind(compacted: &JournalCompacted) -> Self {
        let totals = &compacted.totals;
        Self {
            outbox: Outbox::behind(totals),
            compacted: compacted.through,
            starts: totals.starts,
            unknown_outcomes: totals.unknown_outcomes,
            ..Self::default()
        }
    }

    /// Checks the next event.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        self.check_envelope(event);
        self.check_fact(event);
        if let Some(detail) = self.derived.fact(&event.fact)
            && event.pos > self.compacted
        {
            self.violate(Invariant::DerivedOfBytes, event, detail);
        }
        let contradictions = self.outbox.contradictions;
        let cursor = self.outbox.cursor;
        if event.pos > self.outbox.pos {
            self.outbox.apply(event);
        }
        if self.outbox.cursor < cursor {
            let detail = format!("it moves from {cursor} back to {}", self.outbox.cursor);
            self.violate(Invariant::CursorForward, event, detail);
        }
        if self.outbox.contradictions > contradictions {
            let detail = format!(
                "{} cannot happen to {} here",
                event.fact.kind(),
                event.entity
            );
            self.violate(Invariant::PossibleHistory, event, detail);
        }
        let counts = &self.outbox.counts;
        let settled = counts.sent + counts.dead + counts.suppressed_total() + counts.pending;
        if counts.matched != settled {
            let detail = format!("{} matched, {settled} accounted for", counts.matched);
            self.violate(Invariant::Conservation, event, detail);
        }
    }

    /// The verdict.
    pub fn finish(mut self) -> Report {
        for (push, times) in std::mem::take(&mut self.accepted) {
            // Each unknown outcome may hide one acceptance, and a redrive is a new life: neither is a second one here,
            // because the state machine allows one acceptance per life.
            if times > 1 {
                self.violations.push(Violation {
                    invariant: Invariant::AcceptedOnce,
                    pos: None,
                    detail: format!("push {push} is accepted {times} times"),
                });
            }
        }
        let waiting: Vec<_> = self.outbox.letters().collect();
        let on_their_way = waiting
            .iter()
            .filter(|state| state.message_id.is_none())
            .count();
        Report {
            letters_waiting: waiting.len() as u64,
            letters_on_their_way: on_their_way as u64,
            counts: self.outbox.counts.clone(),
            events: self.events,
            starts: self.starts,
            unknown_outcomes: self.unknown_outcomes,
            pictures_without_outcome: self
                .pictures
                .difference(&self.thumbnails)
                .cloned()
                .collect(),
            recordings_without_outcome: self.derived.recordings_without_outcome(&PREFIXES),
            violations: self.violations,
        }
    }

    fn check_envelope(&mut self, event: &Event) {
        let next = self.outbox.pos.0 + 1;
        if event.pos.0 < next || event.pos.0 > next.max(self.compacted.0 + 1) {
            let detail = format!("position {} follows {}", event.pos, self.outbox.pos);
            self.violate(Invariant::Gapless, event, detail);
        }
        let place = (event.seq, event.pos);
        let before = self.last.insert(event.entity.clone(), place);
        let (seq, pos) = before.unwrap_or_default();
        let expected = Seq(seq.0 + 1);
        let taken_out = event.seq > expected && pos < self.compacted;
        if event.seq != expected && !taken_out {
            let detail = format!("{} has number {}, not {expected}", event.entity, event.seq);
            self.violate(Invariant::EntityOrder, event, detail);
        }
        if let Some(first) = self.ids.insert(event.id, event.pos) {
            let detail = format!("event {} is already at position {first}", event.id);
            self.violate(Invariant::Unique, event, detail);
        }
        // Of a cause that was taken out no place is known.
        if let Some(cause) = event.cause
            && self.compacted == Pos::default()
            && !self.ids.contains_key(&cause)
        {
            let detail = format!("its cause {cause} is not before it");
            self.violate(Invariant::CauseFirst, event, detail);
        }
    }

    fn check_fact(&mut self, event: &Event) {
        match &event.fact {
            Fact::DaemonStarted(_) => self.starts += 1,
            Fact::PushRequested(requested) => {
                let push = &requested.push;
                let lane = (push.recipient.clone(), push.device.clone());
                self.lane_of.insert(push.id, lane.clone());
                self.recipients.insert(push.id, push.recipient.clone());
                self.lanes.entry(lane).or_default().push_back(push.id);
            }
            Fact::PushAttempted(_) => {
                self.check_lane(event);
                self.check_sender(event);
            }
            Fact::CursorAdvanced(_) => self.check_leader(event),
            Fact::FleetLed(_) | Fact::FleetAssigned(_) => self.members.apply(event),
            Fact::PushAccepted(_) => {
                if let Some(push) = push_of(event) {
                    *self.accepted.entry(push).or_default() += 1;
                    self.leave_lane(push);
                }
            }
            // One that waits on purpose lets others pass.
            Fact::PushSuppressed(_) | Fact::PushDeferred(_) | Fact::LetterRequested(_) => {
                if let Some(push) = push_of(event).or_else(|| push_of_letter(event)) {
                    self.leave_lane(push);
                }
            }
            Fact::PushFailed(failed) if failed.code == NO_OUTCOME => self.unknown_outcomes += 1,
            Fact::MetadataRecorded(recorded) => {
                let key = &recorded.key;
                let candidate = PREFIXES.iter().any(|p| key.as_str().starts_with(p));
                if candidate && recorded.content_type.starts_with("image/") {
                    self.pictures.insert(key.clone());
                }
            }
            Fact::MetadataRemoved(removed) => {
                self.pictures.remove(&removed.key);
            }
            Fact::ThumbnailRendered(rendered) => {
                self.thumbnails.insert(rendered.key.clone());
            }
            Fact::ThumbnailFailed(failed) => {
                self.thumbnails.insert(failed.key.clone());
            }
            _ => {}
        }
    }

    fn check_lane(&mut self, event: &Event) {
        let Some(push) = push_of(event) else { return };
        let Some(lane) = self
            .lane_of
            .get(&push)
            .and_then(|lane| self.lanes.get(lane))
        else {
            return;
        };
        // A redriven push has left its lane: it comes whenever the operator says so.
        if lane.contains(&push) && lane.front() != Some(&push) {
            let detail = format!(
                "push {push} overtakes {}",
                lane.front().expect("it has one")
            );
            self.violate(Invariant::LaneOrder, event, detail);
        }
    }

    fn check_leader(&mut self, event: &Event) {
        let leads = self.members.leader.is_none() || event.actor.member() == self.members.leader;
        if !leads {
            let leader = self
                .members
                .leader
                .as_ref()
                .map_or("nobody", |leader| leader.as_str());
            let detail = format!("{} moves the cursor while {leader} leads", event.actor);
            self.violate(Invariant::DivisionOfWork, event, detail);
        }
    }

    fn check_sender(&mut self, event: &Event) {
        let recipient = push_of(event).and_then(|push| self.recipients.get(&push));
        // Divisions that are over may have been taken out: nothing is known of a time before the first that is left.
        let Some(recipient) = recipient.filter(|_| !self.members.all.is_empty()) else {
            return;
        };
        let owner = owner_of(Lane::of(recipient), &self.members.all);
        if event.actor.member().as_ref() != owner {
            let owner = owner.map_or("nobody", |owner| owner.as_str());
            let detail = format!("{} attempts what is the work of {owner}", event.actor);
            self.violate(Invariant::DivisionOfWork, event, detail);
        }
    }

    fn leave_lane(&mut self, push: PushId) {
        let Some(lane) = self.lane_of.remove(&push) else {
            return;
        };
        if let Some(pushes) = self.lanes.get_mut(&lane) {
            pushes.retain(|other| *other != push);
            if pushes.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    fn violate(&mut self, invariant: Invariant, event: &Event, detail: String) {
        self.violations.push(Violation {
            invariant,
            pos: Some(event.pos),
            detail,
        });
    }
}

fn push_of(event: &Event) -> Option<PushId> {
    event
        .entity
        .0
        .strip_prefix("push/")
        .and_then(|key| key.parse().ok())
}

fn push_of_letter(event: &Event) -> Option<PushId> {
    event
        .entity
        .0
        .strip_prefix("letter/")
        .and_then(|key| key.parse().ok())
}
