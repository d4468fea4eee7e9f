//! A host's own copy of a log that several hosts share.

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

    /// Repeats the log's next events, and tells the hooks of them. The first must be the one behind the copy's last.
    async fn follow(&self, events: Vec<Event>) -> Result<(), JournalFault>;
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
