//! The journal of a fleet: one log in DynamoDB that every host appends to and follows.
//!
//! A commit is one item, whose key is the position of its first event. Whoever appends writes the item behind the last
//! one that it knows, on condition that there is none; so two hosts never write the same place, positions are gapless,
//! and who was slower reads what the other wrote, checks its appends against it and tries the next place. An
//! expectation is therefore checked against everything that was ever appended, by whomever, and a host that was paused
//! or replaced cannot slip anything in.
//!
//! Every host repeats the log in a file of its own ([`Replica`]), which answers all questions and runs the hooks.
//!
//! Bounds, by DynamoDB's own: one log takes about 1 MB of commits a second, which is some 20,000 events, and a few
//! hundred commits, which gather whatever waits.
//!
//! # Layout
//! - this file: the journal as the actors see it
//! - `sequencer`: gathers appends, gives out places, follows the others
//! - `commit`: events as bytes
//! - `log`: the table, with `item`: what its items say
//! - `sweep`: takes out of the table what every copy has taken out
//! - `snapshots`: folded state, in the object store, where each host finds it

mod commit;
mod item;
mod log;
mod sequencer;
mod snapshots;
mod sweep;

use std::sync::Arc;

use async_trait::async_trait;
use iyagi_actors::journal::{
    Append, Appended, CommitHook, Journal, JournalFault, Replica, Snapshot,
};
use iyagi_actors::ports::{Clock, ObjectStore};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::JournalCompacted;
use iyagi_messages::ids::{EventId, MemberId, Pos, Timestamp};
use thiserror::Error;
use tokio::sync::watch;

use self::log::Log;
use self::sequencer::{Orders, Sequencer};
pub use self::snapshots::Snapshots;
pub use self::sweep::LogSweep;
use super::dynamodb::fault::TableFault;

/// The journal of a fleet, as one of its hosts sees it.
pub struct SharedJournal {
    replica: Arc<dyn Replica>,
    orders: Orders,
    snapshots: Snapshots,
    reachable: watch::Receiver<Reachable>,
    outrun: watch::Sender<Option<String>>,
}

/// Whether the log answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachable {
    /// It does.
    Yes,
    /// It does not, for this reason. Appends wait; nothing is lost.
    No(String),
}

/// What a shared journal stands on.
pub struct Parts {
    /// The tables' service.
    pub client: aws_sdk_dynamodb::Client,
    /// The journal's table.
    pub table: String,
    /// This host's own copy.
    pub replica: Arc<dyn Replica>,
    /// Where snapshots are kept.
    pub store: Arc<dyn ObjectStore>,
    /// Whom events are written by.
    pub member: MemberId,
    /// Tells the time of events.
    pub clock: Arc<dyn Clock>,
}

/// Why a shared journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The log cannot be read.
    #[error(transparent)]
    Table(#[from] TableFault),
    /// The copy cannot be used.
    #[error(transparent)]
    Replica(#[from] JournalFault),
    /// The copy is one of another log.
    #[error(
        "the journal in the data folder is not a copy of the table `{table}`: at position {at} they differ; set data.dir \
         to an empty folder, or aws.name_prefix to the installation that it belongs to"
    )]
    Foreign {
        /// The log's table.
        table: String,
        /// Where they differ.
        at: Pos,
    },
    /// What the copy has not read yet was taken out of the log.
    #[error(
        "position {at} was taken out of the shared journal before this host had read it; the next start reads anew \
         what is left"
    )]
    Outrun {
        /// The first that is missing.
        at: Pos,
    },
    /// What is missing in the log is not what was taken out.
    #[error(
        "{missing} events are missing in the table `{table}`, and {told} were taken out: restore it from a backup to a \
         moment before it was damaged"
    )]
    Unequal {
        /// The log's table.
        table: String,
        /// Positions that have no event.
        missing: u64,
        /// Events that were taken out.
        told: u64,
    },
}

impl SharedJournal {
    /// Brings the copy up to date with the log, and from then on keeps it so. The future that it also yields does the
    /// work: it must be run, and ends when the journal is dropped.
    pub async fn open(
        parts: Parts,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), OpenError> {
        let log = Log::new(parts.client, parts.table);
        let (report, reachable) = watch::channel(Reachable::Yes);
        let outrun = watch::Sender::new(None);
        let (orders, received) = sequencer::orders();
        let mut sequencer = Sequencer {
            log,
            replica: Arc::clone(&parts.replica),
            member: parts.member,
            clock: parts.clock,
            reachable: report,
            outrun: outrun.clone(),
            looked_at: Timestamp(0),
        };
        sequencer.open().await?;
        let journal = Self {
            replica: parts.replica,
            orders,
            snapshots: Snapshots::new(parts.store),
            reachable,
            outrun,
        };
        Ok((journal, sequencer.run(received)))
    }

    /// Resolves with the reason once this process has missed what was taken out of the log, and must be started again.
    pub async fn outrun(&self) -> String {
        let mut outrun = self.outrun.subscribe();
        let reason = outrun.wait_for(Option::is_some).await;
        // The sender lives as long as `self`, so the wait ends only with a reason.
        reason.ok().and_then(|it| it.clone()).unwrap_or_default()
    }

    /// Whether the log answers, and whenever that changes.
    pub fn reachable(&self) -> watch::Receiver<Reachable> {
        self.reachable.clone()
    }
}

#[async_trait]
impl Journal for SharedJournal {
    async fn append(&self, append: Append) -> Result<Appended, JournalFault> {
        self.orders.append(append).await
    }

    fn on_commit(&self, hook: CommitHook) {
        self.replica.on_commit(hook);
    }

    async fn read(&self, after: Pos, limit: usize) -> Result<Vec<Event>, JournalFault> {
        self.replica.read(after, limit).await
    }

    async fn at(&self, positions: Vec<Pos>) -> Result<Vec<Event>, JournalFault> {
        self.replica.at(positions).await
    }

    async fn entity(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault> {
        self.replica.entity(entity).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, JournalFault> {
        self.replica.event(id).await
    }

    async fn caused_by(&self, id: EventId) -> Result<Vec<Event>, JournalFault> {
        self.replica.caused_by(id).await
    }

    async fn compacted(&self) -> Result<Option<JournalCompacted>, JournalFault> {
        self.replica.compacted().await
    }

    async fn head(&self) -> Result<Pos, JournalFault> {
        self.replica.head().await
    }

    async fn save_snapshot(&self, name: &str, snapshot: Snapshot) -> Result<(), JournalFault> {
        self.snapshots.save(name, snapshot).await
    }

    async fn snapshot(
        &self,
        name: &str,
        code_version: u32,
    ) -> Result<Option<Snapshot>, JournalFault> {
        self.snapshots.newest(name, code_version).await
    }
}
