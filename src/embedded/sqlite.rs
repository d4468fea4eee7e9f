//! One SQLite file with one writer thread that commits whatever waits as a group.
//!
//! Durability costs one `fsync` per group, not per write: while the disk is busy with one group the next one
//! gathers. A write's future resolves only after its group is durable. After an I/O error nothing is acknowledged
//! any more, because SQLite cannot know what reached the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

/// A SQLite file that many readers and one writer share.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
}

struct Shared {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    /// Why nothing is written any more, once that is so.
    stopped: watch::Sender<Option<String>>,
}

/// Why a database call failed; `E` is the caller's own refusal, which undoes its write alone.
#[derive(Debug, Error)]
pub enum DatabaseError<E = std::convert::Infallible> {
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
    /// A statement failed.
    #[error("{path}: {source}")]
    Statement {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// An earlier write met a full disk or an I/O error, so nothing is acknowledged any more.
    #[error("{path} takes no more writes: {reason}; free the disk and start again")]
    Stopped {
        /// The file.
        path: PathBuf,
        /// The first error.
        reason: String,
    },
}

/// What a file is, and how it is laid out.
pub struct Schema {
    /// SQLite's `application_id`, so that one store is never taken for another.
    pub application_id: i32,
    /// One step per layout version; a file at version N has had the first N.
    pub migrations: &'static [&'static str],
}

/// Writes in one group; bounds the memory and the time of a commit.
const GROUP_MAX: usize = 1024;
/// Read connections that are kept for the next reader.
const IDLE_READERS_MAX: usize = 4;
/// How long another process (the command line on a live journal) may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

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
        let mut connection = Connection::open(path).map_err(|error| open_error(path, &error))?;
        configure(&connection)
            .and_then(|()| tune(&connection))
            .map_err(|error| open_error(path, &error))?;
        migrate(&mut connection, path, schema)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            readers: Mutex::default(),
            stopped: watch::Sender::new(None),
        });
        let (jobs, queue) = mpsc::unbounded_channel();
        let name = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into());
        let writer_shared = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("{name}-writer"))
            .spawn(move || write_groups(&connection, queue, &writer_shared))
            .map_err(|error| DatabaseError::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { shared, jobs })
    }

    /// A file that is only read, at rest or beside the process that writes it. Every write is refused.
    pub fn open_to_read(path: &Path, schema: &Schema) -> Result<Self, DatabaseError> {
        let connection = open_read_only(path)?;
        let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let statement = |source| DatabaseError::Statement {
            path: path.to_owned(),
            source,
        };
        let application_id = read("application_id").map_err(statement)?;
        let version = read("user_version").map_err(statement)?;
        let layouts = schema.migrations.len();
        if application_id != schema.application_id || usize::try_from(version) != Ok(layouts) {
            return Err(DatabaseError::Foreign {
                path: path.to_owned(),
                reason: format!(
                    "application id {application_id:#x}, layout {version}; this build reads {:#x}, layout {layouts}",
                    schema.application_id
                ),
            });
        }
        let shared = Shared {
            path: path.to_owned(),
            readers: Mutex::new(vec![connection]),
            stopped: watch::Sender::new(None),
        };
        // Nobody takes a job.
        let (jobs, _) = mpsc::unbounded_channel();
        Ok(Self {
            shared: Arc::new(shared),
            jobs,
        })
    }

    /// Whether a full disk or an I/O error has ended all writing.
    pub fn has_stopped(&self) -> bool {
        self.shared.stopped.borrow().is_some()
    }

    /// Resolves with the reason once a full disk or an I/O error has ended all writing.
    pub async fn stopped(&self) -> String {
        let mut stopped = self.shared.stopped.subscribe();
        let reason = stopped.wait_for(Option::is_some).await;
        // The sender lives as long as `self`, so the wait ends only with a reason.
        reason.map_or_else(
            |_| String::new(),
            |reason| reason.clone().unwrap_or_default(),
        )
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
        self.write_then(work, |_| {}).await
    }

    /// Like [`Database::write`]; `committed` runs in the writer's thread once the group is durable, in the order of
    /// the writes and before this future resolves.
    pub async fn write_then<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, DatabaseError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.enqueue(Undo::Alone, work, committed).await
    }

    /// Like [`Database::write_then`] without the means to undo this write alone, which costs a copy of every page it
    /// changes: `work` may refuse only before its first change, and a statement that fails stops all writing.
    pub async fn write_or_stop<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, DatabaseError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.enqueue(Undo::WithGroup, work, committed).await
    }

    async fn enqueue<T, E>(
        &self,
        undo: Undo,
        work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, DatabaseError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Pending {
            undo,
            work: Some(work),
            committed: Some(committed),
            outcome: None,
            reply,
        };
        // A send fails only when the writer's thread is gone, and then the reply's sender is too.
        self.jobs.send(Box::new(job)).ok();
        answer.await.unwrap_or_else(|_| {
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
        let read = tokio::task::spawn_blocking(move || shared.read(query)).await;
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

/// What stops one write.
#[derive(Debug)]
pub enum WriteFault<E> {
    /// The caller's own refusal.
    Refused(E),
    /// A statement failed.
    Statement(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for WriteFault<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Statement(error)
    }
}

/// Opens a file for reading only, next to a writer that may be live.
pub fn open_read_only(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| open_error(path, &error))?;
    let configured = connection
        .busy_timeout(BUSY_TIMEOUT)
        .and_then(|()| keep_prepared(&connection));
    configured.map_err(|error| open_error(path, &error))?;
    Ok(connection)
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
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        result.map_err(|source| DatabaseError::Statement {
            path: self.path.clone(),
            source,
        })
    }
}

fn open_error(path: &Path, error: &rusqlite::Error) -> DatabaseError {
    DatabaseError::Open {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    keep_prepared(connection)
}

/// Lets statements be prepared once. This SQLite is built to plan by the values in hand, and would otherwise prepare a
/// statement with a range anew for each of them, which costs more than running it.
fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    let same_plan_for_all_values = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    connection.set_db_config(same_plan_for_all_values, true)?;
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), DatabaseError> {
    let statement = |source| DatabaseError::Statement {
        path: path.to_owned(),
        source,
    };
    let foreign = |reason: String| DatabaseError::Foreign {
        path: path.to_owned(),
        reason,
    };
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application_id = read("application_id").map_err(statement)?;
    let version = read("user_version").map_err(statement)?;
    if version > 0 && application_id != schema.application_id {
        return Err(foreign(format!(
            "its application id is {application_id:#x}, not {:#x}",
            schema.application_id
        )));
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = schema.migrations.get(done..) else {
        return Err(foreign(format!(
            "its layout is version {version}, this build knows {}: use a newer build",
            schema.migrations.len()
        )));
    };
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(statement)?;
    for migration in missing {
        transaction.execute_batch(migration).map_err(statement)?;
    }
    let version = i64::try_from(schema.migrations.len()).expect("a file has few layout versions");
    transaction
        .pragma_update(None, "application_id", schema.application_id)
        .map_err(statement)?;
    transaction
        .pragma_update(None, "user_version", version)
        .map_err(statement)?;
    transaction.commit().map_err(statement)
}

/// A write with its types erased.
trait Job: Send {
    /// Does the work. The error is why the whole group is lost with it.
    fn run(&mut self, connection: &Connection, path: &Path) -> Result<(), String>;
    /// Tells the caller, after the group's fate is known: `Err` carries why it was lost.
    fn finish(self: Box<Self>, path: &Path, group: Result<(), &str>);
}

/// What is undone when a write fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// The write alone.
    Alone,
    /// Its whole group.
    WithGroup,
}

struct Pending<W, C, T, E> {
    undo: Undo,
    work: Option<W>,
    committed: Option<C>,
    outcome: Option<Result<T, DatabaseError<E>>>,
    reply: oneshot::Sender<Result<T, DatabaseError<E>>>,
}

impl<W, C, T, E> Job for Pending<W, C, T, E>
where
    W: FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send,
    C: FnOnce(&T) + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, connection: &Connection, path: &Path) -> Result<(), String> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        let result = match self.undo {
            Undo::Alone => in_savepoint(connection, work),
            Undo::WithGroup => work(connection),
        };
        let fate = match &result {
            Err(WriteFault::Statement(source))
                if self.undo == Undo::WithGroup
                    || is_disk_failure(source)
                    || connection.is_autocommit() =>
            {
                Err(source.to_string())
            }
            _ => Ok(()),
        };
        self.outcome = Some(result.map_err(|fault| match fault {
            WriteFault::Refused(refusal) => DatabaseError::Refused(refusal),
            WriteFault::Statement(source) => DatabaseError::Statement {
                path: path.to_owned(),
                source,
            },
        }));
        fate
    }

    fn finish(self: Box<Self>, path: &Path, group: Result<(), &str>) {
        let stopped = |reason: &str| DatabaseError::Stopped {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let outcome = match (group, self.outcome) {
            (Err(reason), _) => Err(stopped(reason)),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(stopped("the write was never run")),
        };
        if let (Ok(value), Some(committed)) = (&outcome, self.committed) {
            committed(value);
        }
        // The caller may have gone; the write is done all the same.
        self.reply.send(outcome).ok();
    }
}

fn in_savepoint<T, E>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>>,
) -> Result<T, WriteFault<E>> {
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let result = work(connection);
    if result.is_err() && !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    if !connection.is_autocommit() {
        connection.prepare_cached("RELEASE job")?.execute([])?;
    }
    result
}

fn is_disk_failure(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
        )
    )
}

/// Says that nothing is written any more, even if the writer's thread ends by a panic.
struct WriterEnd<'a>(&'a Shared);

impl Drop for WriterEnd<'_> {
    fn drop(&mut self) {
        self.0.stopped.send_if_modified(|stopped| {
            let modified = stopped.is_none();
            stopped.get_or_insert_with(|| "the writer has ended".to_owned());
            modified
        });
    }
}

fn write_groups(
    connection: &Connection,
    mut queue: mpsc::UnboundedReceiver<Box<dyn Job>>,
    shared: &Shared,
) {
    let _end = WriterEnd(shared);
    let mut stopped: Option<String> = None;
    let mut group = Vec::with_capacity(GROUP_MAX);
    while queue.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        if stopped.is_none() {
            stopped = commit_group(connection, &mut group, &shared.path).err();
            if let Some(reason) = &stopped {
                shared.stopped.send_replace(Some(reason.clone()));
                tracing::error!(file = %shared.path.display(), reason, "no more writes are taken");
            }
        }
        let fate = stopped.as_deref().map_or(Ok(()), Err);
        for job in group.drain(..) {
            job.finish(&shared.path, fate);
        }
    }
}

fn commit_group(
    connection: &Connection,
    group: &mut [Box<dyn Job>],
    path: &Path,
) -> Result<(), String> {
    let run = |sql: &str| {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    run("BEGIN IMMEDIATE")?;
    for job in group.iter_mut() {
        if let Err(reason) = job.run(connection, path) {
            // A full disk may have rolled everything back already.
            if !connection.is_autocommit() {
                run("ROLLBACK")?;
            }
            return Err(reason);
        }
    }
    run("COMMIT")
}
