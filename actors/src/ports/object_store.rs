//! A bucket of objects, with the semantics of S3.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use iyagi_messages::object::{ObjectKey, Sequencer};
use thiserror::Error;

use super::local_file::{LocalFile, Pieces};

/// Holds objects.
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// An object's bytes and facts, if it has at most `bytes_max`.
    async fn get(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault>;

    /// An object's first bytes, at most so many, and the facts of the whole. What is larger costs no more.
    async fn get_start(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault>;

    /// An object as a file on this machine, and its facts, if it has at most `bytes_max`: for what is too large for memory.
    /// Whatever becomes of the object, the file stays what it was when it was read.
    async fn get_file(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(LocalFile, ObjectInfo), StoreFault>;

    /// Some of an object's bytes, in pieces, as long as it has the entity tag that it was told of with; nothing if it has
    /// another by now. For whoever hands them on and keeps none. The last piece comes once the store knows of no damage.
    async fn get_part(
        &self,
        object: &ObjectInfo,
        part: Range<u64>,
    ) -> Result<Option<Pieces>, StoreFault> {
        let (file, info) = self.get_file(&object.key, u64::MAX).await?;
        Ok((info.etag == object.etag).then(|| file.pieces(part)))
    }

    /// An object's facts.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreFault>;

    /// Stores an object, whole or not at all. Objects outside the derived prefix raise a notification.
    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Vec<u8>,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault>;

    /// Stores the bytes of a file, as [`put`](Self::put) does, without ever having all of them in memory.
    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &LocalFile,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault>;

    /// Stores objects together, which costs less than one after the other: each whole or not at all, and all of them if
    /// it succeeds. Yields their facts in the same order.
    async fn put_all(&self, objects: Vec<NewObject>) -> Result<Vec<ObjectInfo>, StoreFault> {
        let puts = objects.into_iter().map(|object| async move {
            let NewObject {
                key,
                bytes,
                options,
            } = object;
            self.put(&key, bytes, options).await
        });
        try_join_all(puts).await
    }

    /// Removes an object; it is no error if it is not there.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreFault>;

    /// Keys under `prefix` in order, at most `limit` behind `after`.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<ObjectPage, StoreFault>;
}

/// An object that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is stored beside them.
    pub options: PutOptions,
}

/// What is stored beside the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// MIME type.
    pub content_type: Option<String>,
    /// `Cache-Control` for whoever serves it.
    pub cache_control: Option<String>,
    /// Further metadata.
    pub metadata: BTreeMap<String, String>,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// Its entity tag.
    pub etag: String,
    /// SHA-256 of the bytes, hexadecimal, if the store knows it from when they came in, or came here.
    pub sha256: Option<String>,
    /// Which version it is, in stores that keep them.
    pub version_id: Option<String>,
    /// The order of its last write, if the store says it. S3 says it in notifications alone.
    pub sequencer: Option<Sequencer>,
    /// What was stored beside the bytes.
    pub options: PutOptions,
}

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Its key.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// Its entity tag.
    pub etag: String,
}

/// Some of the objects under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPage {
    /// In order of key.
    pub objects: Vec<ObjectSummary>,
    /// Ask again behind this key for more.
    pub next: Option<ObjectKey>,
}

/// Why a call to the store failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum StoreFault {
    /// No such object.
    #[error("there is no object `{0}`")]
    NotFound(ObjectKey),
    /// More bytes than the caller takes.
    #[error("object `{key}` has {size} bytes; at most {max} are read")]
    TooLarge {
        /// The object.
        key: ObjectKey,
        /// Its size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// It is there, but cannot be read as it is stored: archived, for one.
    #[error("object `{key}` cannot be read: {reason}")]
    Unreadable {
        /// The object.
        key: ObjectKey,
        /// Why.
        reason: String,
    },
    /// The store has no room or may not write.
    #[error("the object store cannot write: {0}")]
    Full(String),
    /// The store cannot be reached, or stumbled.
    #[error("the object store failed: {0}")]
    Unavailable(String),
}

impl StoreFault {
    /// What an error of this machine's disk means.
    pub fn of_disk(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied => Self::Full(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
