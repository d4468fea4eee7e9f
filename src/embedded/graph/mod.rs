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
//! - `log`: the log and its pages; the [`ChangeStream`] port
//! - `expiry`: what the log forgets
//! - `queries`: the [`GraphQueries`] port
//! - `companion`: the journal that the graph is used with
//! - `whole`: all that holds, for who cannot have it from the log any more
//! - [`wire`]: the log as Neptune serves it over HTTP
//!
//! [`ChangeStream`]: iyagi_actors::ports::ChangeStream
//! [`GraphQueries`]: iyagi_actors::ports::GraphQueries

mod commit;
mod companion;
mod expiry;
mod log;
mod operations;
mod queries;
mod records;
mod rejection;
mod request;
mod statement;
mod step;
mod value;
mod whole;
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
    migrations: &[statement::SCHEMA, log::SCHEMA, companion::SCHEMA],
    shrinks: false,
};

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

    /// Switches the serving of the log, as `neptune_streams` does on a cluster. The log itself goes on.
    pub fn set_stream_enabled(&self, enabled: bool) {
        self.stream_enabled.store(enabled, Ordering::Release);
    }

    /// Whether the log is served.
    pub fn stream_enabled(&self) -> bool {
        self.stream_enabled.load(Ordering::Acquire)
    }

    /// Whether a full disk, an I/O error or damage has ended all writing.
    pub fn has_stopped(&self) -> bool {
        self.database.has_stopped()
    }

    /// Resolves with the reason once that is so.
    pub async fn stopped(&self) -> String {
        self.database.stopped().await
    }

    async fn write(
        &self,
        work: impl FnOnce(&Connection) -> Result<Committed, WriteFault<CommitRejected>> + Send + 'static,
    ) -> Result<Committed, DatabaseError<CommitRejected>> {
        self.database.write(work).await
    }
}
