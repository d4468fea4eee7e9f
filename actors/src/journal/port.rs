//! What every journal adapter promises; `iyagi_actors::journal::contract` checks it.

use std::sync::Arc;

use async_trait::async_trait;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::fact::JournalCompacted;
use iyagi_messages::ids::{EventId, Incarnation, Pos, Seq};
use thiserror::Error;

/// A log of events with one global order. It is appended to; an adapter may take out what is over, see [`crate::retention`].
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Appends all events of one handled message, or none, and returns once they are durable.
    ///
    /// An event whose id is already there is skipped, so that a replayed message appends nothing twice; what was taken out
    /// is no longer there. If all are, the append succeeds with [`Appended::duplicates`] and its expectations are not checked.
    async fn append(&self, append: Append) -> Result<Appended, JournalFault>;

    /// Calls `hook` with every append's new events, in order of position, once they are durable and before the
    /// append's future resolves. It must be quick: nothing is appended meanwhile.
    fn on_commit(&self, hook: CommitHook);

    /// Events behind `after`, at most `limit`. Where events were taken out, positions are missing among them.
    async fn read(&self, after: Pos, limit: usize) -> Result<Vec<Event>, JournalFault>;

    /// The events at these positions, in the order given; positions behind the head, and those of events that were taken
    /// out, are left out.
    async fn at(&self, positions: Vec<Pos>) -> Result<Vec<Event>, JournalFault>;

    /// An entity's events in order, but for those that were taken out.
    async fn entity(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault>;

    /// The event with an id.
    async fn event(&self, id: EventId) -> Result<Option<Event>, JournalFault>;

    /// Events that an event led to directly.
    async fn caused_by(&self, id: EventId) -> Result<Vec<Event>, JournalFault>;

    /// What was taken out of it, if anything was. Whoever folds it from the beginning begins with the totals, and state that
    /// was folded up to a position before [`JournalCompacted::through`] cannot be folded on.
    async fn compacted(&self) -> Result<Option<JournalCompacted>, JournalFault> {
        Ok(None)
    }

    /// Position of the last event.
    async fn head(&self) -> Result<Pos, JournalFault>;

    /// Keeps a snapshot, and forgets older ones of that name beyond the last two.
    async fn save_snapshot(&self, name: &str, snapshot: Snapshot) -> Result<(), JournalFault>;

    /// The newest snapshot of that name and code version whose checksum holds.
    async fn snapshot(
        &self,
        name: &str,
        code_version: u32,
    ) -> Result<Option<Snapshot>, JournalFault>;
}

/// The events of one handled message.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The actor incarnation that writes.
    pub actor: Incarnation,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
    /// What the decision was based on.
    pub expected: Vec<Expected>,
}

/// An entity must still be where the decision saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The entity.
    pub entity: Entity,
    /// Its last event's number; zero if it had none.
    pub seq: Seq,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of the last event that was written, or of the journal's head if none was.
    pub last: Pos,
    /// Events that were already there.
    pub duplicates: usize,
}

/// A committed event as hooks see it.
pub type Recorded = Event;

/// Is told of every commit.
pub type CommitHook = Arc<dyn Fn(&[Recorded]) + Send + Sync>;

/// Folded state as of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of the code that folded it; another version discards it.
    pub code_version: u32,
    /// The last event in it.
    pub pos: Pos,
    /// The state, in the folder's own format.
    pub body: Vec<u8>,
}

/// Why the journal did not do it.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum JournalFault {
    /// Someone else was quicker: decide again.
    #[error("{entity} is at {actual}, not at {expected}: decide again")]
    Conflict {
        /// The entity.
        entity: Entity,
        /// Where the decision saw it.
        expected: Seq,
        /// Where it is.
        actual: Seq,
    },
    /// The stored events are damaged.
    #[error("the journal is damaged behind position {after}: {reason}; restore it from a backup")]
    Corrupt {
        /// The last position that is whole.
        after: Pos,
        /// What is wrong.
        reason: String,
    },
    /// The journal cannot write and will not acknowledge anything until it is opened anew.
    #[error("the journal has stopped: {0}")]
    Stopped(String),
    /// A read failed.
    #[error("the journal cannot be read: {0}")]
    Unreadable(String),
}
