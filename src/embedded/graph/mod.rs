//! A property graph with its change log in one SQLite file: what Neptune and its streams are on a fleet.
//!
//! A commit is a list of [`Operation`]s, or of raw stream records ([`PgRecord`]), applied whole or not at all. It
//! gets the next commit number and leaves in the log the records that Neptune would: one for every label and property
//! added, a removal and an addition for a value replaced, and for an element dropped its properties before itself and
//! its edges before a vertex. A commit that changes nothing gets no number.
//!
//! # Layout
//! - `operations`, `records`, `request`: the two forms of a commit, and the body that they come in
//! - `step`: the check of operations before anything touches the file; `rejection`: why a commit was refused
//! - `value`, `statement`: what the graph is made of
//! - `commit`: applies a commit and writes its log
//! - `log`: the log, its pages and its trimming; the [`ChangeStream`] port
//! - `queries`: the [`GraphQueries`] port
//! - [`wire`]: the log as Neptune serves it over HTTP
//!
//! [`ChangeStream`]: iyagi_actors::ports::ChangeStream
//! [`GraphQueries`]: iyagi_actors::ports::GraphQueries

mod commit;
mod log;
mod operations;
mod queries;
mod records;
mod rejection;
mod request;
mod statement;
mod step;
mod value;
pub mod wire;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iyagi_actors::ports::Clock;
use iyagi_messages::cursor::Cursor;
use rusqlite::Connection;

use crate::embedded::sqlite::{Database, DatabaseError, Schema, WriteFault};

pub use commit::{Committed, DerivedEdge};
pub use log::{LIMIT_MAX, PAGE_BYTES_MAX};
pub use operations::{OPERATIONS_MAX, Operation};
pub use records::PgRecord;
pub use rejection::{CommitRejected, List, Problem};
pub use request::CommitRequest;

const SCHEMA: Schema = Schema {
    application_id: 0x6979_6772,
    migrations: &[statement::SCHEMA, log::SCHEMA],
    shrinks: false,
};

/// Commits trimmed in one write, so that trimming a long log never holds up the commits of others.
const TRIM_STEP: u32 = 1_000;

/// A property graph and its change log. Clones share the file.
#[derive(Clone)]
pub struct EmbeddedGraph {
    database: Database,
    clock: Arc<dyn Clock>,
    stream_enabled: Arc<AtomicBool>,
}

impl EmbeddedGraph {
    /// Opens or creates the graph.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        Ok(Self {
            database: Database::open(path, &SCHEMA)?,
            clock,
            stream_enabled: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Opens a graph that is only read, at rest or beside the daemon that writes it.
    pub fn open_to_read(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        Ok(Self {
            database: Database::open_to_read(path, &SCHEMA)?,
            clock,
            stream_enabled: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Applies operations as one commit. It is durable when this returns.
    pub async fn commit(
        &self,
        operations: Vec<Operation>,
    ) -> Result<Committed, DatabaseError<CommitRejected>> {
        let steps = step::check(operations).map_err(DatabaseError::Refused)?;
        let at = self.clock.now();
        self.write(move |connection| commit::apply(connection, steps, at))
            .await
    }

    /// Applies raw stream records as one commit. It is durable when this returns.
    pub async fn commit_records(
        &self,
        records: Vec<PgRecord>,
    ) -> Result<Committed, DatabaseError<CommitRejected>> {
        let changes = records::check(records).map_err(DatabaseError::Refused)?;
        let at = self.clock.now();
        self.write(move |connection| records::apply(connection, &changes, at))
            .await
    }

    /// The newest record of the log, trimmed or not; [`Cursor::START`] before the first commit.
    pub async fn tip(&self) -> Result<Cursor, DatabaseError> {
        let tip = self.database.read(log::tip).await?;
        Ok(tip.last)
    }

    /// Trims commits older than `commit` from the log, not from the graph. Returns how many were trimmed.
    pub async fn trim_before(&self, commit: u64) -> Result<u64, DatabaseError> {
        let mut total = 0;
        loop {
            let trim = move |connection: &Connection| Ok(log::trim(connection, commit, TRIM_STEP)?);
            let trimmed = self.database.write(trim).await?;
            total += u64::from(trimmed);
            if trimmed < TRIM_STEP {
                return Ok(total);
            }
        }
    }

    /// Switches the serving of the log, as `neptune_streams` does on a cluster. The log itself goes on.
    pub fn set_stream_enabled(&self, enabled: bool) {
        self.stream_enabled.store(enabled, Ordering::Release);
    }

    /// Whether the log is served.
    pub fn stream_enabled(&self) -> bool {
        self.stream_enabled.load(Ordering::Acquire)
    }

    /// Whether a full disk or an I/O error has ended all writing.
    pub fn has_stopped(&self) -> bool {
        self.database.has_stopped()
    }

    async fn write(
        &self,
        work: impl FnOnce(&Connection) -> Result<Committed, WriteFault<CommitRejected>> + Send + 'static,
    ) -> Result<Committed, DatabaseError<CommitRejected>> {
        self.database.write(work).await
    }
}
