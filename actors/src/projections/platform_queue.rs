//! The pending pushes of one push service, in the order in which they are to be sent.
//!
//! Each service has a queue of its own, so that one that is down holds up nobody else's pushes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, Pos};
use iyagi_messages::push::Push;

use super::open_push::{OpenPush, Standing};
use super::waiting_room::WaitingRoom;
use crate::journal::{Journal, JournalFault};

/// One service's pending pushes, each by where it was requested.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PlatformQueue {
    /// By the event that made them pending, but for those that wait on purpose.
    turns: BTreeMap<Pos, Pos>,
    /// Those among them that were tried already.
    retries: usize,
    pub(super) waiting: WaitingRoom,
}

/// A pending push, by where its body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Where it was requested.
    pub requested: Pos,
    /// Its body, if that was requested so lately that it is still in memory.
    pub body: Option<Body>,
}

/// A push as it was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The push.
    pub push: Arc<Push>,
    /// The event that requested it.
    pub requested: EventId,
}

impl PlatformQueue {
    pub(super) fn of<'p>(open: impl Iterator<Item = &'p OpenPush>) -> Self {
        let (mut turns, mut retries, mut waiting) = (Vec::new(), 0, Vec::new());
        for push in open {
            match push.standing() {
                Standing::Turn(turn) => turns.push((turn, push.requested)),
                Standing::Retry(turn) => {
                    turns.push((turn, push.requested));
                    retries += 1;
                }
                Standing::Waits(place) => waiting.push((push.phone, place)),
                Standing::Nowhere => {}
            }
        }
        Self {
            turns: turns.into_iter().collect(),
            retries,
            waiting: WaitingRoom::of(waiting),
        }
    }

    /// Pushes that were not tried yet.
    pub(super) fn untried(&self) -> usize {
        self.turns.len() - self.retries
    }

    /// Pushes that were tried, and are to be once more.
    pub(super) fn retries(&self) -> usize {
        self.retries
    }

    /// Turns behind a place, with where their pushes were requested.
    pub(super) fn turns_behind(&self, after: Pos) -> impl Iterator<Item = (Pos, Pos)> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let turns = self.turns.range(behind);
        turns.map(|(turn, requested)| (*turn, *requested))
    }

    /// Brings a push, which was requested at a position, from one place to another.
    pub(super) fn move_on(&mut self, push: &OpenPush, from: Standing, to: Standing) {
        if from == to {
            return;
        }
        match from {
            Standing::Turn(turn) => _ = self.turns.remove(&turn),
            Standing::Retry(turn) => {
                self.turns.remove(&turn);
                self.retries -= 1;
            }
            Standing::Waits(place) => self.waiting.leave(push.phone, place),
            Standing::Nowhere => {}
        }
        match to {
            Standing::Turn(turn) => _ = self.turns.insert(turn, push.requested),
            Standing::Retry(turn) => {
                self.turns.insert(turn, push.requested);
                self.retries += 1;
            }
            Standing::Waits(place) => self.waiting.enter(push.phone, place),
            Standing::Nowhere => {}
        }
    }
}

/// The bodies of pending pushes, in the same order; read from the journal where they are not in memory.
pub async fn bodies(
    journal: &dyn Journal,
    pending: Vec<Pending>,
) -> Result<Vec<Body>, JournalFault> {
    let missing = pending.iter().filter(|push| push.body.is_none());
    let missing: Vec<Pos> = missing.map(|push| push.requested).collect();
    let read = if missing.is_empty() {
        Vec::new()
    } else {
        journal.at(missing).await?
    };
    let mut read = read.into_iter();
    let body_of = |push: Pending| match push.body {
        Some(body) => Ok(body),
        None => match read.next() {
            Some(Event {
                id,
                pos,
                fact: Fact::PushRequested(requested),
                ..
            }) if pos == push.requested => Ok(Body {
                push: Arc::new(requested.push),
                requested: id,
            }),
            _ => Err(JournalFault::Unreadable(format!(
                "position {} does not request a push",
                push.requested
            ))),
        },
    };
    pending.into_iter().map(body_of).collect()
}
