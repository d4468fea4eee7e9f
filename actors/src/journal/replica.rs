//! A log that several hosts share, and a host's own copy of it.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::{EventId, Pos, Seq};

use super::port::{Journal, JournalFault};

/// A journal that only repeats what a shared log holds: places are given out there.
///
/// All reading is done on the copy, so whatever reads a journal reads a shared one as well. It need not be as durable
/// as the log: what a crash takes from its end is read from the log again.
#[async_trait]
pub trait Replica: Journal {
    /// Where the copy stands, as far as an append of these ids to these entities needs it.
    async fn standing(
        &self,
        ids: Vec<EventId>,
        entities: Vec<Entity>,
    ) -> Result<Standing, JournalFault>;

    /// Repeats the log's next events, and tells the hooks of them. The first must be the one behind the copy's last, and
    /// none may be missing. What one of them says was taken out of the log is taken out of the copy with it.
    async fn follow(&self, events: Vec<Event>) -> Result<(), JournalFault>;

    /// Forgets everything: what the copy has missed was taken out of the log meanwhile. Nobody may read it yet.
    async fn begin_anew(&self) -> Result<(), JournalFault>;

    /// Repeats what is left of the log's next events in a copy that began with its first: positions that are missing were
    /// taken out. Nobody may read the copy before [`Replica::settle`].
    async fn gather(&self, events: Vec<Event>) -> Result<(), JournalFault>;

    /// Folds what was gathered.
    async fn settle(&self) -> Result<(), JournalFault>;

    /// What is missing in the copy.
    async fn missing(&self) -> Result<Missing, JournalFault>;
}

/// What is missing in a copy: more or less than was taken out of the log means that it is not whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missing {
    /// Positions that have no event.
    pub events: u64,
    /// Events that were taken out, as the last of them says.
    pub told: u64,
}

/// The log itself, as far as what is over leaves it.
#[async_trait]
pub trait SharedLog: Send + Sync + 'static {
    /// Takes out of it what every copy has taken out: the events up to `through` whose positions are `gone`. It ends early,
    /// with what it has done, once `goes_on` says no. Several that sweep at once do no harm.
    async fn sweep(
        &self,
        through: Pos,
        gone: &(dyn Fn(Pos) -> bool + Send + Sync),
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Swept, JournalFault>;
}

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Items of which some events are left.
    pub rewritten: u64,
    /// Items of which none is left.
    pub emptied: u64,
    /// Items that are no longer there.
    pub removed: u64,
}

/// Where a copy stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its last event.
    pub head: Pos,
    /// Of the ids, those that it has.
    pub known: HashSet<EventId>,
    /// Of the entities, those that have events, with the number of their last.
    pub seqs: HashMap<Entity, Seq>,
}
