//! The journal in one SQLite file.
//!
//! One writer thread gives out positions and makes whatever waits durable as one group; hooks run in that thread, in
//! order of position, before an append resolves. Each row carries a checksum over all its fields, checked on every
//! read, and opening reads every row: a torn tail is cut back to the last durable group by SQLite itself, anything
//! else that is missing or changed, and was not taken out, refuses to open and names the last whole position.
//!
//! # Layout
//! - `rows`: how an event lies in its table
//! - `writer`: appends
//! - `recently`: what is remembered of what was used lately
//! - `lookup`: finds positions by id and entity without one random page per event
//! - `scan`: the check on opening
//! - `snapshots`: folded state
//! - `inbox`: everybody's inbox, folded with each append
//! - `inbox_rows`: how an entry of one lies in its table
//! - `inbox_reading`: what is asked of it
//! - `queries`: what is read
//! - `copy`: what makes it the copy of a log that several hosts share, with `said`
//! - `compaction`: takes out what is over, with `exports`, `compacted`, `holes` and `past`
//! - `reader`, `trace`, `verify`: read-only access for the command line, next to a live daemon

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use iyagi_actors::journal::{Append, Appended, CommitHook, Journal, JournalFault, Snapshot};
use iyagi_actors::ports::{Clock, Retention};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::JournalCompacted;
use iyagi_messages::ids::{EventId, Pos};
use rusqlite::Connection;
use thiserror::Error;

use self::inbox::Inboxes;
use self::lookup::Recent;
use self::rows::{Draft, SCHEMA};
use self::scan::ScanFault;
use self::writer::{Request, Writer, Written, lock};
use crate::embedded::sqlite::{Database, DatabaseError, Undo};

mod compacted;
mod compaction;
mod copy;
mod exports;
mod holes;
mod inbox;
mod inbox_reading;
mod inbox_rows;
mod lookup;
mod past;
mod queries;
mod reader;
mod recently;
mod rows;
mod said;
mod scan;
mod snapshots;
mod trace;
mod verify;
mod writer;

pub use self::compaction::{
    Compaction, CompactionFault, Outcome, Sharing, Standing as CompactionStanding,
};
pub use self::exports::{Bucket, Export, ExportFault, Place};
pub use self::reader::{Filter, JournalReader};
pub use self::trace::{CONSEQUENCES_MAX, TakenOut, Trace, TraceNode};
pub use self::verify::{DAMAGES_MAX, Damage, ExportsReport, Report};

/// The journal in one SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteJournal {
    database: Database,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    hooks: Mutex<Vec<CommitHook>>,
    /// Locked by the database's writer thread alone.
    writer: Mutex<Writer>,
    recent: Mutex<Recent>,
    inboxes: Inboxes,
}

/// Why a journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be opened, or is no journal of this build.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Its events are damaged.
    #[error(transparent)]
    Fault(#[from] JournalFault),
}

impl From<ScanFault> for OpenError {
    fn from(fault: ScanFault) -> Self {
        match fault {
            ScanFault::Database(error) => Self::Database(error),
            ScanFault::Journal(fault) => Self::Fault(fault),
        }
    }
}

impl SqliteJournal {
    /// Opens or creates a journal, and reads all of it to see that it is whole. It blocks meanwhile.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_retaining(path, clock, Retention::default())
    }

    /// Like [`SqliteJournal::open`], with inboxes that keep so much.
    pub fn open_retaining(
        path: &Path,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<Self, OpenError> {
        Self::open_with(path, clock, retention, tune)
    }

    /// Like [`SqliteJournal::open`], for the copy of a log that is durable elsewhere: a power failure may take the
    /// copy's last commits, never its soundness.
    pub fn open_copy(
        path: &Path,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<Self, OpenError> {
        Self::open_with(path, clock, retention, |writer| {
            tune(writer)?;
            writer.pragma_update(None, "synchronous", "NORMAL")
        })
    }

    fn open_with(
        path: &Path,
        clock: Arc<dyn Clock>,
        retention: Retention,
        tune: fn(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, OpenError> {
        let database = Database::open_tuned(path, &SCHEMA, tune).map_err(damage_of_open)?;
        let sound = scan::scan(path)?;
        let shared = Shared {
            clock,
            hooks: Mutex::default(),
            writer: Mutex::new(Writer::new(sound.head, sound.covered, sound.filter)),
            recent: Mutex::new(sound.recent),
            inboxes: Inboxes::new(retention),
        };
        inbox::catch_up(path, &shared.inboxes, &shared.recent, sound.head)
            .map_err(damage_of_open)?;
        Ok(Self {
            database,
            shared: Arc::new(shared),
        })
    }

    /// Resolves with the reason once a full disk or an I/O error has ended all appends.
    pub async fn stopped(&self) -> String {
        self.database.stopped().await
    }

    /// Whether a full disk or an I/O error has ended all appends.
    pub fn has_stopped(&self) -> bool {
        self.database.has_stopped()
    }

    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection, &Mutex<Recent>) -> Result<T, JournalFault> + Send + 'static,
    ) -> Result<T, JournalFault> {
        let shared = Arc::clone(&self.shared);
        self.database
            .read(move |connection| Ok(query(connection, &shared.recent)))
            .await
            .map_err(read_fault)?
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, append: Append) -> Result<Appended, JournalFault> {
        let Append {
            actor,
            events,
            expected,
        } = append;
        let drafts = events
            .into_iter()
            .map(|event| Draft::new(event, &actor))
            .collect();
        let request = Request {
            actor,
            drafts,
            expected,
        };
        let (writing, committed) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let written = self
            .database
            .write_then(
                Undo::WithGroup,
                move |connection| {
                    let at = writing.clock.now();
                    let mut written =
                        lock(&writing.writer).append(connection, &writing.recent, request, at)?;
                    writing.fold(connection, &mut written)?;
                    Ok(written)
                },
                move |written| committed.announce(written),
            )
            .await;
        written.map(|written| written.appended).map_err(write_fault)
    }

    fn on_commit(&self, hook: CommitHook) {
        lock(&self.shared.hooks).push(hook);
    }

    async fn read(&self, after: Pos, limit: usize) -> Result<Vec<Event>, JournalFault> {
        self.query(move |connection, _| queries::read(connection, after, limit))
            .await
    }

    async fn at(&self, positions: Vec<Pos>) -> Result<Vec<Event>, JournalFault> {
        let positions: Vec<u64> = positions.iter().map(|pos| pos.0).collect();
        self.query(move |connection, _| queries::at_positions(connection, &positions))
            .await
    }

    async fn entity(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault> {
        let entity = entity.clone();
        self.query(move |connection, recent| queries::entity(connection, recent, &entity))
            .await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, JournalFault> {
        self.query(move |connection, recent| queries::event(connection, recent, id))
            .await
    }

    async fn caused_by(&self, id: EventId) -> Result<Vec<Event>, JournalFault> {
        self.query(move |connection, recent| queries::caused_by(connection, recent, id))
            .await
    }

    async fn compacted(&self) -> Result<Option<JournalCompacted>, JournalFault> {
        self.query(|connection, _| compacted::read(connection))
            .await
    }

    async fn head(&self) -> Result<Pos, JournalFault> {
        self.query(|connection, _| queries::head(connection)).await
    }

    async fn save_snapshot(&self, name: &str, snapshot: Snapshot) -> Result<(), JournalFault> {
        let name = name.to_owned();
        self.database
            .write(move |connection| Ok(snapshots::save(connection, &name, &snapshot)?))
            .await
            .map_err(write_fault)
    }

    async fn snapshot(
        &self,
        name: &str,
        code_version: u32,
    ) -> Result<Option<Snapshot>, JournalFault> {
        let name = name.to_owned();
        self.database
            .read(move |connection| snapshots::newest(connection, &name, code_version))
            .await
            .map_err(read_fault)
    }
}

impl Shared {
    /// Keeps the inboxes up with the events, in their own transaction.
    fn fold(&self, connection: &Connection, written: &mut Written) -> rusqlite::Result<()> {
        written.inboxes = self
            .inboxes
            .fold(connection, &self.recent, &written.events)?;
        Ok(())
    }

    /// Forgets what is found elsewhere by now, or no longer there.
    fn tidy(&self, written: &Written) {
        if written.turns.is_empty() && written.gone.is_empty() {
            return;
        }
        let mut recent = lock(&self.recent);
        for turn in &written.turns {
            recent.forget(*turn);
        }
        recent.remove(&written.gone);
    }

    fn announce(&self, written: &Written) {
        self.tidy(written);
        if written.events.is_empty() {
            return;
        }
        let hooks = lock(&self.hooks);
        for hook in hooks.iter() {
            hook(&written.events);
        }
        drop(hooks);
        // Behind the others, so that whoever is told finds everything else folded.
        self.inboxes.announce(&written.inboxes);
    }
}

/// Kibibytes of pages that the writer keeps: the inner pages of the lookup tables of some million events.
const CACHE_KIB: i64 = 16 * 1024;
/// Pages in the log before it is copied into the file: rewritten pages are then copied once for many commits.
const CHECKPOINT_PAGES: i64 = 8_192;

fn tune(writer: &Connection) -> rusqlite::Result<()> {
    writer.pragma_update(None, "cache_size", -CACHE_KIB)?;
    writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
}

fn damage_of_open(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Statement { source, .. } => rows::statement_fault(0, &source).into(),
        // A damaged file among them, which names itself and its cure.
        other => other.into(),
    }
}

fn write_fault(error: DatabaseError<JournalFault>) -> JournalFault {
    match error {
        DatabaseError::Refused(fault) => fault,
        stopped @ DatabaseError::Stopped { .. } => JournalFault::Stopped(stopped.to_string()),
        // The statements of this append alone were undone; nothing of it was acknowledged.
        other => JournalFault::Unreadable(other.to_string()),
    }
}

fn read_fault(error: DatabaseError) -> JournalFault {
    match error {
        DatabaseError::Statement { source, .. } | DatabaseError::Damaged { source, .. } => {
            rows::statement_fault(0, &source)
        }
        other => JournalFault::Unreadable(other.to_string()),
    }
}
