//! The thread that writes: it commits whatever waits as one group.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::damage::{cure, is_damage};
use super::{DatabaseError, Shared};

/// Hands writes to the thread. Clones hand them to the same one, which ends with the last of them.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
}

/// What is undone when a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// The write alone, which costs a copy of every page that it changes.
    Alone,
    /// Its whole group: it may refuse only before its first change, and a statement that fails stops all writing.
    WithGroup,
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

/// Writes in one group; bounds the memory and the time of a commit.
const GROUP_MAX: usize = 1024;
impl Writer {
    /// Starts the thread, on the connection that it alone writes by.
    pub(super) fn start(
        connection: Connection,
        shared: &Arc<Shared>,
    ) -> Result<Self, DatabaseError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let path = &shared.path;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}-writer");
        let of_thread = Arc::clone(shared);
        let started = thread::Builder::new()
            .name(name)
            .spawn(move || write_groups(&connection, queue, &of_thread));
        started.map_err(|error| DatabaseError::Open {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { jobs })
    }

    /// A writer that takes nothing.
    pub(super) fn none() -> Self {
        let (jobs, _) = mpsc::unbounded_channel();
        Self { jobs }
    }

    /// Has `work` done in the next group, and `committed` once that is durable; nothing if the thread has ended.
    pub(super) async fn enqueue<T, E>(
        &self,
        undo: Undo,
        work: impl FnOnce(&Connection) -> Result<T, WriteFault<E>> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Option<Result<T, DatabaseError<E>>>
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
        // A send fails only when the thread is gone, and then the reply's sender is too.
        self.jobs.send(Box::new(job)).ok();
        answer.await.ok()
    }
}

/// A write with its types erased.
trait Job: Send {
    /// Does the work. The error is why the whole group is lost with it.
    fn run(&mut self, connection: &Connection, path: &Path) -> Result<(), String>;
    /// Tells the caller, after the group's fate is known: `Err` carries why it was lost.
    fn finish(self: Box<Self>, path: &Path, group: Result<(), &str>);
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
                Err(reason_to_stop(source, path))
            }
            _ => Ok(()),
        };
        self.outcome = Some(result.map_err(|fault| match fault {
            WriteFault::Refused(refusal) => DatabaseError::Refused(refusal),
            WriteFault::Statement(source) => DatabaseError::of(path, source),
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

/// Why nothing is written any more, and what to do about it.
fn reason_to_stop(error: &rusqlite::Error, path: &Path) -> String {
    let cure = if is_damage(error) {
        cure(path)
    } else {
        "free the disk and start again".to_owned()
    };
    format!("{error}; {cure}")
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
            .map_err(|error| reason_to_stop(&error, path))
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
