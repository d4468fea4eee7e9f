//! A bucket as S3 is: it says the order of writes in its notifications alone, and answers when it likes.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi_actors::ports::{
    LocalFile, MetadataFault, MetadataPage, MetadataTable, ObjectInfo, ObjectPage, ObjectStore,
    Outgoing, PutOptions, Queue, QueueDepth, QueueFault, Received, Sent, StoreFault, Written,
};
use iyagi_messages::media::{Audio, Claim, MetadataItem, Sketch, Thumbnails};
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};

/// Lets others go on in between, now more and now fewer of them.
#[derive(Clone)]
pub(super) struct Jitter(Arc<Mutex<fastrand::Rng>>);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    async fn pause(&self) {
        let turns = self.0.lock().expect("nobody panics").u8(0..4);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    version: Option<String>,
    sequencer: u64,
    options: PutOptions,
}

pub(super) struct Bucket {
    objects: Mutex<BTreeMap<ObjectKey, Stored>>,
    /// The last place in the order of writes.
    last: Mutex<u64>,
    versions: bool,
    jitter: Jitter,
}

impl Bucket {
    pub(super) fn new(versions: bool, jitter: Jitter) -> Self {
        Self {
            objects: Mutex::default(),
            last: Mutex::new(0xf0),
            versions,
            jitter,
        }
    }

    /// Writes an object, as an uploader does; yields what the store tells of it.
    pub(super) fn upload(&self, key: &ObjectKey, bytes: &[u8]) -> ObjectEvent {
        let sequencer = self.next();
        let stored = Stored {
            bytes: bytes.to_vec(),
            version: self.versions.then(|| format!("v{sequencer}")),
            sequencer,
            options: PutOptions::default(),
        };
        let event = event(ObjectEventKind::Created, key, Some(&stored), sequencer);
        self.objects().insert(key.clone(), stored);
        event
    }

    /// Removes an object, as an uploader does.
    pub(super) fn remove(&self, key: &ObjectKey) -> Option<ObjectEvent> {
        self.objects().remove(key)?;
        let sequencer = self.next();
        let mut event = event(ObjectEventKind::Removed, key, None, sequencer);
        // That of the marker which hides the object.
        event.version_id = self.versions.then(|| format!("v{sequencer}"));
        Some(event)
    }

    /// Removes an object, as a lifecycle rule does: the event has the sequencer of the write that it removes.
    pub(super) fn expire(&self, key: &ObjectKey) -> Option<ObjectEvent> {
        let stored = self.objects().remove(key)?;
        let mut event = event(ObjectEventKind::Expired, key, None, stored.sequencer);
        event.version_id = stored.version;
        Some(event)
    }

    pub(super) fn under(&self, prefix: &str) -> BTreeMap<ObjectKey, Vec<u8>> {
        let objects = self.objects();
        let found = objects
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(prefix));
        found
            .map(|(key, stored)| (key.clone(), stored.bytes.clone()))
            .collect()
    }

    fn next(&self) -> u64 {
        let mut last = self.last.lock().expect("nobody panics");
        *last += 1;
        *last
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Stored>> {
        self.objects.lock().expect("nobody panics")
    }

    fn found(&self, key: &ObjectKey) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        let stored = self.objects().get(key).cloned();
        let stored = stored.ok_or_else(|| StoreFault::NotFound(key.clone()))?;
        let info = info(key, &stored);
        Ok((stored.bytes, info))
    }
}

fn event(
    kind: ObjectEventKind,
    key: &ObjectKey,
    stored: Option<&Stored>,
    sequencer: u64,
) -> ObjectEvent {
    ObjectEvent {
        kind,
        bucket: "media".to_owned(),
        key: key.clone(),
        size: stored.map(|stored| stored.bytes.len() as u64),
        etag: stored.map(|stored| etag(&stored.bytes)),
        version_id: stored.and_then(|stored| stored.version.clone()),
        sequencer: Sequencer(format!("{sequencer:018X}")),
    }
}

/// The same for the same bytes, as it is in S3.
fn etag(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

fn info(key: &ObjectKey, stored: &Stored) -> ObjectInfo {
    ObjectInfo {
        key: key.clone(),
        size: stored.bytes.len() as u64,
        etag: etag(&stored.bytes),
        sha256: None,
        version_id: stored.version.clone(),
        sequencer: None,
        options: stored.options.clone(),
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn get(&self, key: &ObjectKey, _: u64) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        self.jitter.pause().await;
        let found = self.found(key);
        self.jitter.pause().await;
        found
    }

    async fn get_start(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        let (mut start, info) = self.get(key, u64::MAX).await?;
        start.truncate(bytes as usize);
        Ok((start, info))
    }

    async fn get_file(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(LocalFile, ObjectInfo), StoreFault> {
        let (bytes, info) = self.get(key, bytes_max).await?;
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        Ok((LocalFile::new(file).expect("readable"), info))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreFault> {
        self.jitter.pause().await;
        let found = self.found(key).map(|(_, info)| info);
        self.jitter.pause().await;
        found
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Vec<u8>,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        self.jitter.pause().await;
        let stored = Stored {
            bytes,
            version: None,
            sequencer: self.next(),
            options,
        };
        let info = info(key, &stored);
        self.objects().insert(key.clone(), stored);
        self.jitter.pause().await;
        Ok(info)
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &LocalFile,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        self.put(key, file.read().expect("readable"), options).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreFault> {
        self.jitter.pause().await;
        self.objects().remove(key);
        self.jitter.pause().await;
        Ok(())
    }

    async fn list(&self, _: &str, _: Option<&ObjectKey>, _: u32) -> Result<ObjectPage, StoreFault> {
        panic!("what was derived is removed by what the journal says of it, not by a listing")
    }
}

/// The embedded table, which others change in between.
pub(super) struct Table {
    pub(super) table: EmbeddedMetadata,
    pub(super) jitter: Jitter,
}

#[async_trait]
impl MetadataTable for Table {
    async fn record(&self, item: MetadataItem) -> Result<Written, MetadataFault> {
        self.jitter.pause().await;
        self.table.record(item).await
    }

    async fn attach_thumbnails(
        &self,
        key: &ObjectKey,
        thumbnails: Thumbnails,
    ) -> Result<Written, MetadataFault> {
        self.jitter.pause().await;
        self.table.attach_thumbnails(key, thumbnails).await
    }

    async fn attach_audio(&self, key: &ObjectKey, audio: Audio) -> Result<Written, MetadataFault> {
        self.jitter.pause().await;
        self.table.attach_audio(key, audio).await
    }

    async fn remove(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
    ) -> Result<(Written, Option<Thumbnails>), MetadataFault> {
        self.jitter.pause().await;
        self.table.remove(key, sequencer).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<MetadataItem>, MetadataFault> {
        self.table.get(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, MetadataFault> {
        self.table.list(prefix, after, limit).await
    }

    async fn claim(&self, claim: Claim) -> Result<(), MetadataFault> {
        self.jitter.pause().await;
        self.table.claim(claim).await
    }

    async fn release(&self, claim: &Claim) -> Result<Vec<ObjectKey>, MetadataFault> {
        self.jitter.pause().await;
        self.table.release(claim).await
    }

    async fn claimants(
        &self,
        sha256: &str,
        files: &[ObjectKey],
        limit: usize,
    ) -> Result<Vec<(ObjectKey, Sequencer)>, MetadataFault> {
        self.jitter.pause().await;
        self.table.claimants(sha256, files, limit).await
    }

    async fn index_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<usize, MetadataFault> {
        self.table.index_sketch(sha256, sketch).await
    }

    async fn sketched_alike(&self, sketch: &Sketch) -> Result<Vec<String>, MetadataFault> {
        self.table.sketched_alike(sketch).await
    }

    async fn unindex_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<(), MetadataFault> {
        self.table.unindex_sketch(sha256, sketch).await
    }
}

/// A queue that keeps what is sent to it for whoever looks.
#[derive(Default)]
pub(super) struct Outbox(pub(super) Mutex<Vec<String>>);

#[async_trait]
impl Queue for Outbox {
    fn name(&self) -> &'static str {
        "thumbnails"
    }

    async fn send(
        &self,
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        let mut kept = self.0.lock().expect("nobody panics");
        let sent = messages.into_iter().map(|message| {
            kept.push(message.body);
            let message_id = kept.len().to_string();
            Ok(Sent { message_id })
        });
        Ok(sent.collect())
    }

    async fn receive(
        &self,
        _: usize,
        _: std::time::Duration,
        _: std::time::Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &[String]) -> Result<(), QueueFault> {
        Ok(())
    }

    async fn change_visibility(&self, _: &str, _: std::time::Duration) -> Result<(), QueueFault> {
        Ok(())
    }

    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        Ok(QueueDepth::default())
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        Ok(())
    }
}
