//! What may be taken out of the journal: what is over, and counts for nothing any more but in sums.
//!
//! Whoever folds what is left, beginning with the [totals](Totals) of what was taken out, comes to the same state. So what
//! lasts stays, however old it is: of a subscription its last event, of a cursor its last place, of a push that is not
//! settled everything. And an event goes only for a later one that is old enough itself, so that what people wished can still
//! be told of every moment that is not.
//!
//! # Layout
//! - this file: how an event is judged
//! - `rule`: what each kind of event waits for
//! - `totals`: what is left to know of those that go

mod rule;
mod totals;

use std::collections::{BTreeMap, HashMap};

use iyagi_messages::compaction::Totals;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{LetterId, PersonId, Pos, PushId, TemplateId, Timestamp};
use iyagi_messages::letter::Origin;
use iyagi_messages::push::Push;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use self::rule::Rule;
pub use self::totals::{NotWhole, add};
use crate::media_job::stands;
use crate::projections::Projections;

/// What is asked of a journal, and of the inboxes that are folded from it.
pub trait Past {
    /// Why there is no answer.
    type Fault;

    /// An entity's events in order.
    fn history(&self, entity: &Entity) -> Result<Vec<Event>, Self::Fault>;

    /// The last event of an event's entity at or before a position and behind the event itself, of the same kind if that is
    /// asked.
    fn later(&self, event: &Event, through: Pos, of_kind: bool)
    -> Result<Option<Pos>, Self::Fault>;

    /// Whether the recipient's inbox tells of a push.
    fn tells_of(&self, push: &Push) -> Result<bool, Self::Fault>;

    /// Whether entries of a person's inbox were marked as read by the event at a position.
    fn marks(&self, person: &PersonId, pos: Pos) -> Result<bool, Self::Fault>;
}

/// What may be taken out, by age alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Only what is at or before this position.
    pub through: Pos,
    /// What happened to pushes since is still looked back at, by windows and rates.
    pub looked_back_at: Timestamp,
}

/// Why an event stays.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = RetentionHold)]
pub enum Hold {
    /// It is, or what it belongs to is not all old enough.
    Young,
    /// Its push is not settled.
    PendingPush,
    /// Its letter waits, or its job was redriven and is not done yet.
    DeadLetter,
    /// An inbox tells of it, or of what was read by it.
    Inbox,
    /// A template or a rate looks back at it.
    Window,
    /// People are still to be told of a change as old as it.
    FanOut,
    /// Derived files are claimed by it.
    Claim,
    /// It is the last of its entity, or the last of what it is about there.
    Last,
    /// It contradicts its history, or another event of its push or letter does: that is still to be looked into.
    Contradiction,
    /// This build does not know its kind.
    Unknown,
}

impl Hold {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Young => "not old enough with all that belongs to it",
            Self::PendingPush => "a push that is not settled",
            Self::DeadLetter => "a dead letter that waits, or whose job is not done yet",
            Self::Inbox => "an inbox that tells of it",
            Self::Window => "a window or a rate that looks back at it",
            Self::FanOut => "people who are still to be told",
            Self::Claim => "derived files",
            Self::Last => "nothing later of the same says how things stand",
            Self::Contradiction => "a history that contradicts itself",
            Self::Unknown => "a kind that this build does not know",
        }
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It goes, with others or alone: all of them, in order of position.
    Goes(Vec<Event>),
    /// It stays.
    Stays(Hold),
}

/// What was judged, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RetentionCount)]
pub struct Count {
    /// Events that go.
    pub go: u64,
    /// Events that stay, by what holds them.
    pub stay: BTreeMap<Hold, u64>,
}

/// Judges events, of which no two calls must be far apart: what is pending is looked up as it is at the moment.
pub struct Retention<'a, P> {
    present: &'a Projections,
    past: &'a P,
    bounds: Bounds,
    /// Pushes and letters that stay, so that each of their events does not cost the same search.
    staying: HashMap<Uuid, Hold>,
}

/// Pushes and letters that are remembered to stay.
const STAYING_MAX: usize = 10_000;

impl<'a, P: Past> Retention<'a, P> {
    /// Nothing is judged yet. The state must be folded at least up to the bounds.
    pub fn new(present: &'a Projections, past: &'a P, bounds: Bounds) -> Self {
        Self {
            present,
            past,
            bounds,
            staying: HashMap::new(),
        }
    }

    /// What becomes of an event.
    pub fn judge(&mut self, event: &Event) -> Result<Verdict, P::Fault> {
        if event.pos > self.bounds.through {
            return Ok(Verdict::Stays(Hold::Young));
        }
        let alone = |goes: bool, hold| {
            if goes {
                Verdict::Goes(vec![event.clone()])
            } else {
                Verdict::Stays(hold)
            }
        };
        Ok(match Rule::of(&event.fact) {
            Rule::Age => alone(true, Hold::Young),
            Rule::LaterEvent => alone(self.goes_on(event, false)?, Hold::Last),
            Rule::LaterOfKind => alone(self.goes_on(event, true)?, Hold::Last),
            Rule::PushSettled => self.story(event, "push/")?,
            Rule::LetterSettled => self.story(event, "letter/")?,
            Rule::FanOutsOver => {
                let oldest = self.present.fan_outs().oldest();
                let over = oldest.is_none_or(|oldest| oldest > self.bounds.through);
                alone(over, Hold::FanOut)
            }
            Rule::ClaimReleased => self.claim(event)?,
            Rule::LaterOfTemplate => alone(self.is_chosen_anew(event)?, Hold::Last),
            Rule::MarksNothing => match &event.fact {
                Fact::InboxRead(read) if self.past.marks(&read.person, event.pos)? => {
                    Verdict::Stays(Hold::Inbox)
                }
                _ => alone(self.goes_on(event, false)?, Hold::Last),
            },
            Rule::ForGood => Verdict::Stays(Hold::Last),
            Rule::Never => Verdict::Stays(Hold::Unknown),
        })
    }

    /// A push with its letter, or a letter of another job.
    fn story(&mut self, event: &Event, noun: &str) -> Result<Verdict, P::Fault> {
        let key = event.entity.0.strip_prefix(noun);
        let Some(id) = key.and_then(|key| key.parse().ok()) else {
            return Ok(Verdict::Stays(Hold::Contradiction));
        };
        if let Some(hold) = self.staying.get(&id) {
            return Ok(Verdict::Stays(*hold));
        }
        // Before the history is read, which then has whatever the story ended by.
        let verdict = match self.open(id) {
            Some(hold) => Verdict::Stays(hold),
            None => self.over(id, noun)?,
        };
        if let Verdict::Stays(hold) = verdict {
            if self.staying.len() >= STAYING_MAX {
                self.staying.clear();
            }
            self.staying.insert(id, hold);
        }
        Ok(verdict)
    }

    /// What holds a story that goes on.
    fn open(&self, id: Uuid) -> Option<Hold> {
        let outbox = self.present.outbox();
        if outbox.letter(LetterId(id)).is_some() {
            Some(Hold::DeadLetter)
        } else if outbox.body_of(PushId(id)).is_some() {
            Some(Hold::PendingPush)
        } else {
            None
        }
    }

    /// What becomes of a story that is over.
    fn over(&self, id: Uuid, noun: &str) -> Result<Verdict, P::Fault> {
        let mut events = self.past.history(&Entity::new("letter", id))?;
        let of_push = noun == "push/" || events.iter().any(is_of_push);
        if of_push {
            events.extend(self.past.history(&Entity::new("push", id))?);
            events.sort_by_key(|event| event.pos);
        }
        let is_young = |event: &Event| event.pos > self.bounds.through;
        if events.last().is_none_or(is_young) {
            return Ok(Verdict::Stays(Hold::Young));
        }
        let is_looked_at = |event: &Event| event.at >= self.bounds.looked_back_at;
        // What ends the job of another letter goes by its age, and would be missing behind a letter that stays longer.
        if of_push && events.iter().any(is_looked_at) {
            return Ok(Verdict::Stays(Hold::Window));
        }
        for event in &events {
            if let Fact::PushRequested(requested) = &event.fact
                && self.past.tells_of(&requested.push)?
            {
                return Ok(Verdict::Stays(Hold::Inbox));
            }
        }
        // No sum stands for it, and the other events of its batch are not to stay with it.
        Ok(match add(&mut Totals::default(), &events) {
            Ok(()) => Verdict::Goes(events),
            Err(NotWhole { .. }) => Verdict::Stays(Hold::Contradiction),
        })
    }

    /// All that an object's history has about the bytes of a claim.
    fn claim(&self, event: &Event) -> Result<Verdict, P::Fault> {
        let Some(sha256) = claimed(event) else {
            return Ok(Verdict::Stays(Hold::Unknown));
        };
        let mut events = self.past.history(&event.entity)?;
        if stands(&events, sha256) {
            return Ok(Verdict::Stays(Hold::Claim));
        }
        events.retain(|event| claimed(event) == Some(sha256));
        let is_young = |event: &Event| event.pos > self.bounds.through;
        Ok(if events.last().is_none_or(is_young) {
            Verdict::Stays(Hold::Young)
        } else {
            Verdict::Goes(events)
        })
    }

    /// Whether a later choice of the same person about the same notification is old enough as well.
    fn is_chosen_anew(&self, event: &Event) -> Result<bool, P::Fault> {
        let about = chosen(event);
        let mut later = self.past.history(&event.entity)?.into_iter();
        let span = event.pos..=self.bounds.through;
        Ok(later.any(|later| {
            later.pos != event.pos && span.contains(&later.pos) && chosen(&later) == about
        }))
    }

    fn goes_on(&self, event: &Event, of_kind: bool) -> Result<bool, P::Fault> {
        let later = self.past.later(event, self.bounds.through, of_kind)?;
        Ok(later.is_some())
    }
}

fn is_of_push(event: &Event) -> bool {
    match &event.fact {
        Fact::LetterRequested(requested) => {
            matches!(requested.letter.origin, Origin::Push { .. })
        }
        _ => false,
    }
}

/// The notification that a choice is about.
fn chosen(event: &Event) -> Option<&TemplateId> {
    match &event.fact {
        Fact::TemplateOptedOut(opted) => Some(&opted.template),
        Fact::TemplateOptedIn(opted) => Some(&opted.template),
        _ => None,
    }
}

/// The bytes that a claim, or its release, is about.
fn claimed(event: &Event) -> Option<&str> {
    match &event.fact {
        Fact::DerivedClaimed(claimed) => Some(&claimed.sha256),
        Fact::DerivedReleased(released) => Some(&released.sha256),
        _ => None,
    }
}
