//! Where inboxes are kept: a projection of the journal that no memory could hold, so it lies in a store of its own.
//!
//! It is never written to: an event of the journal is all that changes it, and an append that has resolved is folded.

use std::sync::Arc;

use async_trait::async_trait;
use iyagi_messages::ids::{PersonId, Pos, PushId, Seq, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::inbox::Entry;

/// What everybody was told, folded from the journal.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// A person's entries before a position, newest first, at most `limit`; from the newest on if it is absent.
    async fn page(
        &self,
        person: &PersonId,
        before: Option<Pos>,
        unread_only: bool,
        limit: usize,
    ) -> Result<Vec<Entry>, InboxFault>;

    /// The entries of these ids that the person has, in no order.
    async fn entries(&self, person: &PersonId, ids: &[PushId]) -> Result<Vec<Entry>, InboxFault>;

    /// How many unread entries a person has, whoever they come from.
    async fn unread(&self, person: &PersonId) -> Result<u64, InboxFault>;

    /// What has changed for a person behind a position, in order of position, at most `limit` entries of it.
    async fn since(&self, person: &PersonId, after: Pos, limit: usize)
    -> Result<Since, InboxFault>;

    /// How far the inbox is folded, and the last event of it that the person wrote.
    async fn standing(&self, person: &PersonId) -> Result<Standing, InboxFault>;

    /// Drops what is older than `before`, as much as one step may take; false once everything has been looked through.
    async fn drop_older(&self, before: Timestamp) -> Result<bool, InboxFault>;

    /// Calls `hook` with whose inboxes changed, once that is durable and can be read. It must be quick: nothing is
    /// appended meanwhile.
    fn on_change(&self, hook: InboxHook);

    /// What it has done since it was opened.
    fn counts(&self) -> InboxCounts;
}

/// Is told of every change.
pub type InboxHook = Arc<dyn Fn(&[PersonId]) + Send + Sync>;

/// What has changed for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// In order of position.
    pub changes: Vec<Change>,
    /// Everything up to here is in it; ask again behind here for more.
    pub as_of: Pos,
    /// Whether there may be more before the journal's end.
    pub more: bool,
}

/// A change of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An entry is new, or tells something else.
    Entry(Entry),
    /// An entry was withdrawn.
    Withdrawn {
        /// Which.
        id: PushId,
        /// The event that says so.
        pos: Pos,
    },
    /// Entries were marked as read, and are still.
    Read {
        /// Which.
        ids: Vec<PushId>,
        /// The event that says so.
        pos: Pos,
    },
}

impl Change {
    /// The event that it follows from.
    pub fn pos(&self) -> Pos {
        match self {
            Self::Entry(entry) => entry.changed,
            Self::Withdrawn { pos, .. } | Self::Read { pos, .. } => *pos,
        }
    }
}

/// Where a person's inbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The journal's last event.
    pub as_of: Pos,
    /// Number of the last event by which the person marked something.
    pub seq: Seq,
}

/// What is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Entries of one person; beyond that the oldest goes.
    pub entries_max: u32,
    /// How long an entry is kept after its newest notification, in milliseconds.
    pub age_ms_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            entries_max: 1_000,
            age_ms_max: 90 * 24 * 3_600_000,
        }
    }
}

/// What an inbox has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxCounts {
    /// Notifications that were listed, each for itself or as part of a burst's entry.
    pub listed: u64,
    /// Notifications that were listed and taken back.
    pub withdrawn: u64,
    /// Entries that were marked as read.
    pub read: u64,
    /// Entries that were dropped because their person has too many.
    pub dropped_over_count: u64,
    /// Entries that were dropped because they were too old.
    pub dropped_over_age: u64,
}

/// Why an inbox cannot be read.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the inbox cannot be read: {0}")]
pub struct InboxFault(pub String);
