//! One SQLite file with one writer thread that commits whatever waits as a group.
//!
//! Durability costs one `fsync` per group, not per write: while the disk is busy with one group the next one
//! gathers. A write's future resolves only after its group is durable. After an I/O error nothing is acknowledged
//! any more, because SQLite cannot know what reached the disk.

mod damage;
mod layout;
mod writer;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use self::damage::{cure, is_damage};
pub use self::layout::{Schema, open_read_only};
use self::layout::{check, open_to_write};
use self::writer::Writer;
pub use self::writer::{Undo, WriteFault};

/// A SQLite file that many readers and one writer share.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    writer: Writer,
}

struct Shared {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
    /// Why nothing is written any more, once that is so.
    stopped: watch::Sender<Option<String>>,
}

/// Why a database call failed; `E` is the caller's own refusal, which undoes its write alone.
#[derive(Debug, Error)]
pub enum DatabaseError<E = Infallible> {
    /// The caller's own refusal.
    #[error(transparent)]
    Refused(E),
    /// The file cannot be opened.
    #[error("{path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file belongs to something else, or to a newer build.
    #[error("{path} is not a file of this kind and version: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// The file is damaged, or is no database at all.
    #[error("{path} is damaged: {source}; {}", cure(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("{path}: {source}")]
    Statement {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// An earlier write met a full disk, an I/O error or damage, so nothing is acknowledged any more.
    #[error("{path} takes no more writes: {reason}")]
    Stopped {
        /// The file.
        path: PathBuf,
        /// The first error, and what to do about it.
        reason: String,
    },
}

impl<E> DatabaseError<E> {
    /// What SQLite says of a file.
    pub fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if is_damage(&source) {
            Self::Damaged { path, source }
        } else {
            Self::Statement { path, source }
        }
    }
}

/// Reads that run at once, and connections that are kept for them. More of them would only wait for the processor, and
/// to open a connection costs more than most reads do.
const READERS_MAX: usize = 8;

impl Database {
    /// Opens or creates the file and starts its writer.
    pub fn open(path: &Path, schema: &Schema) -> Result<Self, DatabaseError> {
        Self::open_tuned(path, schema, |_| Ok(()))
    }

    /// Like [`Database::open`]; `tune` may set what the writer's connection alone needs.
    pub fn open_tuned(
        path: &Path,
        schema: &Schema,
        tune: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, DatabaseError> {
        let connection = open_to_write(path, schema, tune)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            readers: Mutex::default(),
            turns: Arc::new(Semaphore::new(READERS_MAX)),
            stopped: watch::Sender::new(None),
        });
        let writer = Writer::start(connection, &shared)?;
        Ok(Self { shared, writer })
    }

    /// A file that is only read, at rest or beside the process that writes it. Every write is refused.
    pub fn open_to_read(path: &Path, schema: &Schema) -> Result<Self, DatabaseError> {
        let connection = open_read_only(path)?;
        check(&connection, path, schema)?;
        let shared = Shared {
            path: path.to_owned(),
            readers: Mutex::new(vec![connection]),
            turns: Arc::new(Semaphore::new(READERS_MAX)),
            stopped: watch::Sender::new(None),
        };
        Ok(Self {
            shared: Arc::new(shared),
            writer: Writer::none(),
        })
    }

    /// Whether a full disk, an I/O error or damage has ended all writing.
    pub fn has_stopped(&self) -> bool {
        self.shared.stopped.borrow().is_some()
    }

    /// Resolves with the reason once a full disk, an I/O error or damage has ended all writing.
    pub async fn stopped(&self) -> String {
        let mut stopped = self.shared.stopped.subscribe();
        let reason = stopped.wait_for(Option::is_some).await;
        // The sender lives as long as `self`, so the wait ends only with a reason.
        let reason = reason.ok().and_then(|reason| reason.clone());
        let (path, reason) = (self.shared.path.clone(), reason.unwrap_or_default());
        DatabaseError::<Infallible>::Stopped { path, reason }.to_string()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `work` in the next group. If it refuses, its own statements are undone and the group goes on.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send + 'static,
    ) -> Result<T, DatabaseError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.write_then(Undo::Alone, work, |_| {}).await
    }

    /// Like [`Database::write`], but `undo` says what is undone if it fails; `committed` runs in the writer's thread once
    /// the group is durable, in the order of the writes and before this future resolves.
    pub async fn write_then<T, E>(
        &self,
        undo: Undo,
        work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, DatabaseError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let written = self.writer.enqueue(undo, work, committed).await;
        written.unwrap_or_else(|| {
            Err(DatabaseError::Stopped {
                path: self.shared.path.clone(),
                reason: "the writer has ended".to_owned(),
            })
        })
    }

    /// Runs `query` on a read-only connection, off the async threads. It sees every write that has resolved.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let shared = Arc::clone(&self.shared);
        let path = shared.path.clone();
        let turn = Arc::clone(&shared.turns).acquire_owned().await;
        let turn = turn.expect("the turns never end");
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shared.read(query)
        });
        let read = read.await;
        read.unwrap_or_else(|error| {
            Err(DatabaseError::Open {
                path,
                reason: format!("the reader panicked: {error}"),
            })
        })
    }

    /// Like [`Database::read`], for threads that may block.
    pub fn read_blocking<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        self.shared.read(query)
    }
}

impl Shared {
    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        let idle = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_read_only(&self.path)?,
        };
        let result = query(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_MAX {
            readers.push(connection);
        }
        result.map_err(|source| DatabaseError::of(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures_util::future::join_all;

    use super::*;

    const SCHEMA: Schema = Schema {
        application_id: 1,
        migrations: &["CREATE TABLE one (number INTEGER) STRICT;"],
        shrinks: false,
    };

    #[tokio::test]
    async fn a_crowd_of_readers_shares_a_few_connections() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("one.db"), &SCHEMA).expect("opens");
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Each reads until as many as may be are at it.
        let together = Arc::new(Barrier::new(READERS_MAX));
        let reads = (0..READERS_MAX * 16).map(|_| {
            let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
            let together = Arc::clone(&together);
            database.read(move |connection| {
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                together.wait();
                inside.fetch_sub(1, SeqCst);
                connection.query_row("SELECT count(*) FROM one", [], |row| row.get::<_, i64>(0))
            })
        });
        for read in join_all(reads).await {
            assert_eq!(read.expect("reads"), 0);
        }
        assert_eq!(most.load(SeqCst), READERS_MAX);
        let kept = database.shared.readers.lock().expect("sound").len();
        assert_eq!(kept, READERS_MAX);
    }
}
