//! A folder as object store, with the semantics of an S3 bucket that notifies a queue.
//!
//! An object exists when its row in `objects.db` does, and the same commit holds its notification: a crash loses
//! neither and shows no half object. See `files` for how the bytes get there.
//!
//! Changes run to their end on a blocking thread even if their caller goes away, so that an upload whose client hangs
//! up is either not begun or done and notified.

mod files;
mod incoming;
mod index;
mod layout;
mod store;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use iyagi_actors::ports::{
    Clock, LocalFile, NewObject, ObjectInfo, ObjectPage, ObjectStore, PutOptions, Queue,
    QueueFault, StoreFault,
};
use iyagi_messages::object::ObjectKey;
use rusqlite::Connection;
use thiserror::Error;
use tokio::runtime::Handle;

pub use self::incoming::{Incoming, Received};
use self::store::Store;
use crate::embedded::sqlite::DatabaseError;

/// Largest page of a listing, as in S3.
const PAGE_MAX: u32 = 1000;

/// An object store in a folder.
#[derive(Clone)]
pub struct EmbeddedObjects {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// Why a store cannot be opened, or cannot notify.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// The folder itself.
    #[error("the object store cannot use the folder {folder}: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its index.
    #[error(transparent)]
    Index(#[from] DatabaseError),
    /// Notifications from before a crash cannot be delivered.
    #[error("the object store cannot deliver its notifications")]
    Notifications(#[from] QueueFault),
}

impl EmbeddedObjects {
    /// Opens or creates the store, and finishes what a crash has left unfinished.
    pub async fn open(
        folder: &Path,
        bucket: &str,
        notifications: Option<Arc<dyn Queue>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ObjectsError> {
        let (folder, bucket) = (folder.to_owned(), bucket.to_owned());
        let runtime = Handle::current();
        let opened = tokio::task::spawn_blocking(move || {
            let store = Store::open(&folder, bucket, notifications)?;
            let finished = store.finish_moves()?;
            finished.map_err(|source| ObjectsError::Folder { folder, source })?;
            store.delete_garbage()?;
            store.deliver(&runtime)?;
            Ok::<_, ObjectsError>(store)
        });
        let store = opened.await.expect("opening a store does not panic")?;
        Ok(Self {
            store: Arc::new(store),
            clock,
        })
    }

    /// Resolves with the reason once a full disk, an I/O error or damage has ended all writing.
    pub async fn stopped(&self) -> String {
        self.store.database.stopped().await
    }

    /// Raises the notification of every object once more, for who has lost what it knew of them. Yields how many.
    pub async fn announce_all(&self) -> Result<u64, StoreFault> {
        let at = self.clock.now();
        self.blocking(move |store, runtime| store.announce_all(runtime, at))
            .await
    }

    /// Begins an object whose bytes come in pieces.
    pub fn receive(&self) -> Incoming {
        self.store.receive(self.clock.now())
    }

    /// Makes what has come an object, and raises its notification.
    pub async fn put_received(
        &self,
        received: Received,
        key: &ObjectKey,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        let (key, at) = (key.clone(), self.clock.now());
        self.blocking(move |store, runtime| store.put_received(runtime, received, key, options, at))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &Handle) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let store = Arc::clone(&self.store);
        let runtime = Handle::current();
        let done = tokio::task::spawn_blocking(move || work(&store, &runtime)).await;
        done.unwrap_or_else(|error| {
            Err(StoreFault::Unavailable(format!(
                "the store panicked: {error}"
            )))
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let read = self.store.database.read(query).await;
        read.map_err(|error| store::from_database(&error))
    }
}

#[async_trait]
impl ObjectStore for EmbeddedObjects {
    async fn get(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        let key = key.clone();
        self.blocking(move |store, _| store.get(&key, bytes_max))
            .await
    }

    async fn get_file(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(LocalFile, ObjectInfo), StoreFault> {
        let key = key.clone();
        self.blocking(move |store, _| store.get_file(&key, bytes_max))
            .await
    }

    async fn get_start(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        let key = key.clone();
        self.blocking(move |store, _| store.get_start(&key, bytes))
            .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreFault> {
        let wanted = key.clone();
        let found = self
            .read(move |connection| index::find(connection, &wanted))
            .await?;
        let found = found.ok_or_else(|| StoreFault::NotFound(key.clone()))?;
        Ok(found.0)
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Vec<u8>,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        let object = NewObject {
            key: key.clone(),
            bytes,
            options,
        };
        let mut put = self.put_all(vec![object]).await?;
        Ok(put.pop().expect("one was stored"))
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &LocalFile,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        let (key, file, at) = (key.clone(), file.clone(), self.clock.now());
        self.blocking(move |store, runtime| store.put_file(runtime, &file, key, options, at))
            .await
    }

    async fn put_all(&self, objects: Vec<NewObject>) -> Result<Vec<ObjectInfo>, StoreFault> {
        let at = self.clock.now();
        self.blocking(move |store, runtime| store.put(runtime, objects, at))
            .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreFault> {
        let key = key.clone();
        let at = self.clock.now();
        self.blocking(move |store, runtime| store.delete(runtime, key, at))
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<ObjectPage, StoreFault> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        self.read(move |connection| index::list(connection, &prefix, after.as_ref(), limit))
            .await
    }
}
