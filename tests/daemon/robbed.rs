//! Uploads of the same bytes share their derived files, and these can be removed with one upload at the very moment at which
//! another claims them. Whoever is robbed like that gets them anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi::clock::SystemClock;
use iyagi::daemon::{DaemonError, block_on};
use iyagi::embedded::journal::SqliteJournal;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi::embedded::queues::{EmbeddedQueues, QueueConfig};
use iyagi_actors::ports::{
    Clock, MetadataFault, MetadataPage, MetadataTable, ObjectStore, PutOptions, Written,
};
use iyagi_actors::runtime::System;
use iyagi_actors::tree::{Ports, ROOT_INTENSITY, Roles, Settings, plant};
use iyagi_messages::media::{Audio, Claim, MetadataItem, Sketch, Thumbnails};
use iyagi_messages::object::{ObjectKey, Sequencer};
use tempfile::TempDir;

use crate::in_flight::{Unobserved, ports, settings};

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A table in which whoever shares files claims them only when they are already given up, and not yet deleted.
struct LateClaims {
    table: EmbeddedMetadata,
    claims: Mutex<BTreeMap<ObjectKey, Claim>>,
}

impl LateClaims {
    fn note(&self, claim: Claim) {
        let mut claims = self.claims.lock().expect("sound");
        claims.insert(claim.key.clone(), claim);
    }

    fn sharing(&self, given_up: &Claim) -> Option<Claim> {
        let claims = self.claims.lock().expect("sound");
        let mut others = claims.values().filter(|other| other.key != given_up.key);
        others
            .find(|other| other.sha256 == given_up.sha256)
            .cloned()
    }
}

#[async_trait]
impl MetadataTable for LateClaims {
    async fn claim(&self, claim: Claim) -> Result<(), MetadataFault> {
        self.note(claim.clone());
        self.table.claim(claim).await
    }

    async fn release(&self, claim: &Claim) -> Result<Vec<ObjectKey>, MetadataFault> {
        let Some(late) = self.sharing(claim) else {
            return self.table.release(claim).await;
        };
        self.table.release(&late).await?;
        let removed = self.table.release(claim).await?;
        self.table.claim(late).await?;
        Ok(removed)
    }

    async fn claimants(
        &self,
        sha256: &str,
        files: &[ObjectKey],
        limit: usize,
    ) -> Result<Vec<(ObjectKey, Sequencer)>, MetadataFault> {
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

    async fn record(&self, item: MetadataItem) -> Result<Written, MetadataFault> {
        self.table.record(item).await
    }

    async fn attach_thumbnails(
        &self,
        key: &ObjectKey,
        thumbnails: Thumbnails,
    ) -> Result<Written, MetadataFault> {
        self.table.attach_thumbnails(key, thumbnails).await
    }

    async fn attach_audio(&self, key: &ObjectKey, audio: Audio) -> Result<Written, MetadataFault> {
        self.table.attach_audio(key, audio).await
    }

    async fn remove(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
    ) -> Result<(Written, Option<Thumbnails>), MetadataFault> {
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
}

/// A host that works on files, with claims that come late.
pub(crate) async fn media_host(folder: &TempDir) -> (Ports, Settings) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let path = |name: &str| folder.path().join(name);
    let journal = SqliteJournal::open(&path("journal.db"), Arc::clone(&clock));
    let queues = EmbeddedQueues::open(&path("intake.db"), Arc::clone(&clock)).expect("opens");
    let intake = queues.queue(QueueConfig {
        name: "media-topic".to_owned(),
        redrive: None,
    });
    let intake = intake.expect("made");
    let notifications = Some(Arc::clone(&intake));
    let uploads = path("uploads");
    let store = EmbeddedObjects::open(&uploads, "iyagi", notifications, Arc::clone(&clock));
    let table = LateClaims {
        table: EmbeddedMetadata::open(&path("late-claims.db"), Arc::clone(&clock)).expect("opens"),
        claims: Mutex::default(),
    };
    let journal = Arc::new(journal.expect("opens"));
    let ports = Ports {
        store: Arc::new(store.await.expect("opens")),
        table: Arc::new(table),
        media_intake: Some(intake),
        ..ports(folder, &journal, clock).await
    };
    let settings = Settings {
        roles: Roles {
            ingest: false,
            push: false,
            media: true,
        },
        audio_prefixes: vec!["posts/".to_owned()],
        ..settings()
    };
    (ports, settings)
}

pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("{what}: never"))
}

/// Where derived files are, and which write each is of.
async fn writes(store: &dyn ObjectStore, files: &[ObjectKey]) -> Option<Vec<Sequencer>> {
    let mut writes = Vec::new();
    for file in files {
        writes.push(store.head(file).await.ok()?.sequencer?);
    }
    Some(writes)
}

fn robbed_of(bytes: Vec<u8>, ending: &str, derived: fn(MetadataItem) -> Option<Vec<ObjectKey>>) {
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let (ports, settings) = media_host(&folder).await;
        let (store, table) = (&ports.store, &ports.table);
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        plant(&system, &ports, &settings, None).await?;
        let keys = ["first", "second"].map(|name| format!("posts/1/{name}.{ending}"));
        let keys = keys.map(|key| ObjectKey::new(key).expect("valid"));
        let mut files = Vec::new();
        for key in &keys {
            let put = store.put(key, bytes.clone(), PutOptions::default()).await;
            put.expect("stored");
            files = until("its files are made", async || {
                derived(table.get(key).await.expect("readable")?)
            })
            .await;
        }
        let before = writes(&**store, &files).await.expect("they are there");
        store.delete(&keys[0]).await.expect("deleted");
        until("the other's files are made anew", async || {
            let now = writes(&**store, &files).await?;
            let mut pairs = before.iter().zip(&now);
            pairs.all(|(before, now)| before < now).then_some(())
        })
        .await;
        let item = table.get(&keys[1]).await.expect("readable");
        assert_eq!(item.and_then(derived), Some(files));
        system.drain(Duration::from_secs(5)).await;
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}

#[test]
fn a_picture_that_loses_its_files_as_it_claims_them_gets_them_anew() {
    let mut file = std::io::Cursor::new(Vec::new());
    let pixels = image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8 * 9, y as u8, 7]));
    let written = pixels.write_to(&mut file, image::ImageFormat::Bmp);
    written.expect("encodes");
    robbed_of(file.into_inner(), "bmp", |item| {
        let made = item.thumbnails?.variants.into_iter();
        Some(made.map(|variant| variant.key).collect())
    });
}

#[test]
fn a_recording_that_loses_its_files_as_it_claims_them_gets_them_anew() {
    const RATE: u32 = 8_000;
    let sound = (0..RATE).flat_map(|at| ((at % 80) as i16 * 200).to_le_bytes());
    let sound: Vec<u8> = sound.collect();
    let size = sound.len() as u32;
    let recording = [
        &b"RIFF"[..],
        &(36 + size).to_le_bytes(),
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0",
        &RATE.to_le_bytes(),
        &(RATE * 2).to_le_bytes(),
        b"\x02\0\x10\0data",
        &size.to_le_bytes(),
        &sound,
    ]
    .concat();
    robbed_of(recording, "wav", |item| {
        let made = item.audio?.files.into_iter();
        Some(made.map(|file| file.key).collect())
    });
}
