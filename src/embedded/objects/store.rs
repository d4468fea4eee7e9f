//! The store as its blocking threads see it: the order of steps in which a change is safe.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use iyagi_actors::ports::queue::BATCH_MAX;
use iyagi_actors::ports::{
    LocalFile, NewObject, ObjectInfo, Outgoing, PutOptions, Queue, QueueFault, Sent, StoreFault,
};
use iyagi_media::{hexadecimal, sha256};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;
use rusqlite::Connection;
use tokio::runtime::Handle;

use super::files::{Files, Stored};
use super::incoming::{self, Incoming, Received};
use super::{ObjectsError, index, layout};
use crate::embedded::sqlite::{Database, DatabaseError, Schema, WriteFault};
use crate::embedded::unique_id::unique_id;

const SCHEMA: Schema = Schema {
    application_id: 0x6979_4f62,
    migrations: &[include_str!("schema.sql"), include_str!("sha256.sql")],
    shrinks: false,
};
/// How often a reader looks again when its object was replaced under its hands.
const READ_ATTEMPTS_MAX: usize = 16;
/// Objects whose notifications are raised in one write.
const ANNOUNCED_AT_ONCE: usize = 1_000;
/// Hexadecimal digits of an entity tag.
const ETAG_DIGITS: usize = 32;

/// The files, their index and who is told. Every call blocks.
pub(super) struct Store {
    bucket: String,
    files: Files,
    pub(super) database: Database,
    notifications: Option<Arc<dyn Queue>>,
    /// The last notification that the queue has; locked while some are on their way, so that none is sent twice.
    sent_through: Mutex<i64>,
}

impl Store {
    pub(super) fn open(
        folder: &Path,
        bucket: String,
        notifications: Option<Arc<dyn Queue>>,
    ) -> Result<Self, ObjectsError> {
        let files = std::fs::create_dir_all(folder).and_then(|()| Files::open(folder));
        let files = files.map_err(|source| ObjectsError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            bucket,
            files,
            database: Database::open(&folder.join("objects.db"), &SCHEMA)?,
            notifications,
            sent_through: Mutex::default(),
        })
    }

    pub(super) fn get(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        self.read(key, |stored, info| {
            refuse_larger(info, bytes_max)?;
            let whole = self.files.read(stored, info.size);
            whole.map_err(|error| unreadable(key, &error))
        })
    }

    pub(super) fn get_file(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(LocalFile, ObjectInfo), StoreFault> {
        self.read(key, |stored, info| {
            refuse_larger(info, bytes_max)?;
            let opened = self.files.open_whole(stored, info.size);
            opened.map_err(|error| unreadable(key, &error))
        })
    }

    pub(super) fn get_start(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        self.read(key, |stored, info| {
            let start = self.files.read_start(stored, info.size.min(bytes));
            start.map_err(|error| unreadable(key, &error))
        })
    }

    fn read<T>(
        &self,
        key: &ObjectKey,
        read: impl Fn(&Stored, &ObjectInfo) -> Result<Option<T>, StoreFault>,
    ) -> Result<(T, ObjectInfo), StoreFault> {
        for _ in 0..READ_ATTEMPTS_MAX {
            let found = self.database.read_blocking(|c| index::find(c, key));
            let found = found.map_err(|error| from_database(&error))?;
            let (info, stored) = found.ok_or_else(|| StoreFault::NotFound(key.clone()))?;
            // None if it was replaced since the index was read: look again.
            if let Some(read) = read(&stored, &info)? {
                return Ok((read, info));
            }
        }
        Err(StoreFault::Unavailable(format!(
            "the file of `{key}` is gone"
        )))
    }

    /// Stores all of the objects or none.
    pub(super) fn put(
        &self,
        runtime: &Handle,
        objects: Vec<NewObject>,
        at: Timestamp,
    ) -> Result<Vec<ObjectInfo>, StoreFault> {
        let (writes, bytes): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .map(|object| {
                let (size, sha256) = (object.bytes.len() as u64, sha256(&object.bytes));
                let write = write_of(object.key, write_id(at), size, sha256, object.options);
                (write, object.bytes)
            })
            .unzip();
        let names = writes.iter().map(|write| write.stored.write_id.as_str());
        let staged: Vec<_> = names.zip(bytes.iter().map(Vec::as_slice)).collect();
        let durable = self.files.stage(&staged);
        durable.map_err(|error| StoreFault::of_disk(&error))?;
        self.index(runtime, writes, at)
    }

    /// Makes a copy of a file an object.
    pub(super) fn put_file(
        &self,
        runtime: &Handle,
        file: &LocalFile,
        key: ObjectKey,
        options: PutOptions,
        at: Timestamp,
    ) -> Result<ObjectInfo, StoreFault> {
        let write_id = write_id(at);
        let path = self.files.aside(&write_id);
        let received = Received::copy(write_id, path, file);
        let received = received.map_err(|error| StoreFault::of_disk(&error))?;
        self.put_received(runtime, received, key, options, at)
    }

    /// Makes a file that came in pieces an object.
    pub(super) fn put_received(
        &self,
        runtime: &Handle,
        received: Received,
        key: ObjectKey,
        options: PutOptions,
        at: Timestamp,
    ) -> Result<ObjectInfo, StoreFault> {
        let durable = self.files.sync_aside();
        durable.map_err(|error| StoreFault::of_disk(&error))?;
        let (size, sha256) = (received.digests.size, hexadecimal(&received.digests.sha256));
        let write_id = received.keep();
        let write = write_of(key, write_id, size, sha256, options);
        let mut put = self.index(runtime, vec![write], at)?;
        Ok(put.pop().expect("one was stored"))
    }

    /// Begins a write whose bytes come in pieces.
    pub(super) fn receive(&self, at: Timestamp) -> Incoming {
        let write_id = write_id(at);
        let path = self.files.aside(&write_id);
        incoming::begin(write_id, path)
    }

    /// Makes what is durable aside the current writes of their objects.
    fn index(
        &self,
        runtime: &Handle,
        writes: Vec<index::Write>,
        at: Timestamp,
    ) -> Result<Vec<ObjectInfo>, StoreFault> {
        let stored: Vec<Stored> = writes.iter().map(|write| write.stored.clone()).collect();
        let change = self.change(at);
        // If this fails, nobody knows whether it reached the disk, so the staged files stay until the next start.
        let put = self.write(runtime, move |c| {
            let puts = writes
                .into_iter()
                .map(|write| index::put(c, write, &change));
            puts.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut infos = Vec::with_capacity(put.len());
        for (stored, (info, replaced)) in stored.iter().zip(put) {
            if let Err(error) = self.files.settle(stored) {
                tracing::warn!(key = %info.key, %error, "object stays aside until the next start");
            }
            self.discard(replaced);
            infos.push(info);
        }
        self.deliver_or_keep(runtime);
        Ok(infos)
    }

    pub(super) fn delete(
        &self,
        runtime: &Handle,
        key: ObjectKey,
        at: Timestamp,
    ) -> Result<(), StoreFault> {
        let change = self.change(at);
        let removed = self.write(runtime, move |c| index::delete(c, &key, &change))?;
        self.discard(removed);
        self.deliver_or_keep(runtime);
        Ok(())
    }

    pub(super) fn announce_all(&self, runtime: &Handle, at: Timestamp) -> Result<u64, StoreFault> {
        let (mut total, mut after) = (0, String::new());
        loop {
            let change = self.change(at);
            let announced = self.write(runtime, move |connection| {
                index::announce_some(connection, &after, ANNOUNCED_AT_ONCE, &change)
            });
            let (count, last) = announced?;
            let Some(last) = last else { break };
            (total, after) = (total + count, last);
        }
        self.deliver_or_keep(runtime);
        Ok(total)
    }

    fn change(&self, at: Timestamp) -> index::Change {
        index::Change {
            at,
            bucket: self.bucket.clone(),
            notify: self.notifications.is_some(),
        }
    }

    fn write<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let work = move |connection: &Connection| {
            work(connection).map_err(WriteFault::<std::convert::Infallible>::from)
        };
        let written = runtime.block_on(self.database.write(work));
        written.map_err(|error| from_database(&error))
    }

    /// A write that nobody needs to wait for: if it is lost, the next start does the same again.
    fn write_some_time(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let work = move |connection: &Connection| {
            work(connection).map_err(WriteFault::<std::convert::Infallible>::from)
        };
        // The first poll hands the write to the writer, who does it whether or not anybody waits.
        self.database.write(work).now_or_never();
    }

    fn discard(&self, unowned: Option<Stored>) {
        let Some(stored) = unowned else {
            return;
        };
        match self.files.remove(&stored) {
            Ok(()) => self.write_some_time(move |c| index::forget_garbage(c, &stored.write_id)),
            Err(error) => {
                tracing::warn!(file = %stored.file, %error, "replaced file stays until the next start");
            }
        }
    }

    fn deliver_or_keep(&self, runtime: &Handle) {
        if let Err(error) = self.deliver(runtime) {
            tracing::error!(%error, "notifications wait for the next change or start");
        }
    }

    /// Hands every notification to the queue that it does not have yet.
    pub(super) fn deliver(&self, runtime: &Handle) -> Result<(), ObjectsError> {
        let Some(queue) = &self.notifications else {
            return Ok(());
        };
        let mut sent_through = self
            .sent_through
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            let unsent = self
                .database
                .read_blocking(|c| index::unsent(c, *sent_through, BATCH_MAX))?;
            if unsent.is_empty() {
                return Ok(());
            }
            for ((id, _), sent) in unsent.iter().zip(send(runtime, &**queue, &unsent)?) {
                sent?;
                *sent_through = *id;
            }
            let through = *sent_through;
            self.write_some_time(move |c| index::forget_sent(c, through));
        }
    }

    /// Puts files in place that the index already names, and deletes those that it never came to name.
    pub(super) fn finish_moves(&self) -> Result<io::Result<()>, DatabaseError> {
        let staged = match self.files.staged() {
            Ok(staged) => staged,
            Err(error) => return Ok(Err(error)),
        };
        for write_id in staged {
            let find = |connection: &Connection| index::of_write(connection, &write_id);
            let finished = match self.database.read_blocking(find)? {
                Some(stored) => self.files.settle(&stored),
                None => self.files.discard_staged(&write_id),
            };
            if finished.is_err() {
                return Ok(finished);
            }
            tracing::info!(write_id, "unfinished write cleared up");
        }
        Ok(Ok(()))
    }

    pub(super) fn delete_garbage(&self) -> Result<(), DatabaseError> {
        for stored in self.database.read_blocking(index::garbage)? {
            self.discard(Some(stored));
        }
        Ok(())
    }
}

type SendResults = Vec<Result<Sent, QueueFault>>;

fn send(
    runtime: &Handle,
    queue: &dyn Queue,
    unsent: &[(i64, String)],
) -> Result<SendResults, QueueFault> {
    let messages = unsent.iter().map(|(_, body)| Outgoing {
        body: body.clone(),
        ..Outgoing::default()
    });
    runtime.block_on(queue.send(messages.collect()))
}

fn refuse_larger(info: &ObjectInfo, bytes_max: u64) -> Result<(), StoreFault> {
    if info.size > bytes_max {
        return Err(StoreFault::TooLarge {
            key: info.key.clone(),
            size: info.size,
            max: bytes_max,
        });
    }
    Ok(())
}

fn unreadable(key: &ObjectKey, error: &io::Error) -> StoreFault {
    StoreFault::Unavailable(format!("{key}: {error}"))
}

pub(super) fn from_database(error: &DatabaseError) -> StoreFault {
    match error {
        DatabaseError::Stopped { .. } => StoreFault::Full(error.to_string()),
        other => StoreFault::Unavailable(other.to_string()),
    }
}

fn write_id(at: Timestamp) -> String {
    unique_id(at).simple().to_string()
}

fn write_of(
    key: ObjectKey,
    write_id: String,
    size: u64,
    sha256: String,
    options: PutOptions,
) -> index::Write {
    index::Write {
        stored: Stored {
            file: layout::file_of(&key, &write_id),
            write_id,
        },
        key,
        size,
        // As long as S3's.
        etag: sha256[..ETAG_DIGITS].to_owned(),
        sha256,
        options,
    }
}
