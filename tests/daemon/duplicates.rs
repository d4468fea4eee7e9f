//! A recording that is there already, in the same bytes or in others: the newcomer's item says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use iyagi::daemon::{DaemonError, block_on};
use iyagi_actors::journal::Journal;
use iyagi_actors::media_job::Offers;
use iyagi_actors::ports::{
    ALIKE_MAX, LocalFile, ObjectInfo, ObjectPage, ObjectStore, PutOptions, StoreFault,
};
use iyagi_actors::runtime::System;
use iyagi_actors::tree::{ROOT_INTENSITY, plant};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::Fact;
use iyagi_messages::media::{Audio, Duplicate, DuplicateKind, Sketch};
use iyagi_messages::object::ObjectKey;
use tempfile::TempDir;

use crate::audio::{TWO_HUNDRED, analysed, item, upload};
use crate::in_flight::Unobserved;
use crate::robbed::{media_host, until};
use crate::world::{World, play};

/// The same sound without its first second, at another level, as MP3.
const COPY: &[u8] = include_bytes!("files/two-hundred.mp3");
const COUNTDOWN: &[u8] = include_bytes!("../../demo/media/posts/story-launch/countdown.m4a");

fn near(audio: &Audio, original: &ObjectKey) -> (f64, f64) {
    match &audio.duplicate_of {
        Some(Duplicate {
            key,
            kind:
                DuplicateKind::NearDuplicate {
                    similarity,
                    offset_seconds,
                },
            ..
        }) if key == original => ((*similarity).into(), (*offset_seconds).into()),
        other => panic!("{other:?} instead of {original}"),
    }
}

fn sketch_of(bytes: &[u8]) -> Sketch {
    let limits = iyagi_media::audio::AudioLimits::default();
    let analysis = iyagi_media::audio::analyse(bytes, &limits, &|| false);
    Sketch(analysis.expect("a recording").fingerprint.sketch())
}

async fn until_unfindable(world: &World, digest: &str, sketch: &Sketch) {
    for _ in 0..2_000 {
        let found = world.daemon.surface.table.sketched_alike(sketch).await;
        if !found.expect("readable").iter().any(|one| one == digest) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{digest} is still found")
}

#[test]
fn a_recording_names_the_one_whose_sound_or_bytes_it_has_until_that_is_removed() {
    let report = play(async |world| {
        let first = upload(&world, "posts/1/a.ogg", TWO_HUNDRED).await;
        assert_eq!(analysed(&world, &first).await.duplicate_of, None);
        let other = upload(&world, "posts/1/other.m4a", COUNTDOWN).await;
        assert_eq!(analysed(&world, &other).await.duplicate_of, None);
        let second = upload(&world, "posts/2/b.mp3", COPY).await;
        let (similarity, offset) = near(&analysed(&world, &second).await, &first);
        assert!(similarity > 0.8, "{similarity}");
        assert!((offset - 1.0).abs() < 0.2, "{offset} s");
        let third = upload(&world, "posts/3/c.ogg", TWO_HUNDRED).await;
        let duplicate = analysed(&world, &third).await.duplicate_of;
        let recorded = item(&world, &first).await.expect("recorded");
        let expected = Duplicate {
            key: first.clone(),
            sha256: recorded.sha256.expect("read"),
            kind: DuplicateKind::SameBytes,
        };
        assert_eq!(duplicate.as_ref(), Some(&expected));

        let store = &world.daemon.surface.store;
        let sketch = sketch_of(TWO_HUNDRED);
        store.delete(&first).await.expect("deleted");
        // Whichever of those that are left it names.
        let fourth = upload(&world, "posts/4/d.mp3", &[COPY, &[0; 9]].concat()).await;
        let named = analysed(&world, &fourth).await.duplicate_of;
        assert!(named.is_some(), "{second} and {third} are still there");
        store.delete(&third).await.expect("deleted");
        until_unfindable(&world, &expected.sha256, &sketch).await;
        let left = world.daemon.surface.table.sketched_alike(&sketch).await;
        assert_eq!(left.map(|left| left.len()), Ok(2), "the two copies");
        world
    });
    assert_eq!(report.letters_waiting, 0);
}

#[test]
fn what_was_said_of_a_recording_is_said_again_when_its_notification_comes_again() {
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let (ports, settings) = media_host(&folder).await;
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        plant(&system, &ports, &settings, None).await?;
        let keys = ["a.ogg", "b.mp3"].map(|name| format!("posts/1/{name}"));
        let keys = keys.map(|key| ObjectKey::new(key).expect("valid"));
        for (key, bytes) in keys.iter().zip([TWO_HUNDRED, COPY]) {
            let put = ports.store.put(key, bytes.to_vec(), PutOptions::default());
            put.await.expect("stored");
            until("it is analysed", async || {
                ports.table.get(key).await.expect("readable")?.audio
            })
            .await;
        }
        let claims = async || {
            let entity = Entity::new("derived", &keys[0]);
            let events = ports.journal.entity(&entity).await.expect("readable");
            events.len()
        };
        let before = claims().await;
        let item = ports.table.get(&keys[0]).await.expect("readable");
        let item = item.expect("recorded");
        let offers = Offers {
            store: Arc::clone(&ports.store),
            queues: vec![Arc::clone(&ports.audio)],
            bucket: "iyagi".to_owned(),
            clock: Arc::clone(&ports.clock),
        };
        let offered = offers.offer(&keys[0], &item.sequencer).await;
        assert!(offered.expect("sent"), "it is there");
        until("it is worked on again", async || {
            (claims().await > before).then_some(())
        })
        .await;
        system.drain(Duration::from_secs(5)).await;
        let again = ports.table.get(&keys[0]).await.expect("readable");
        assert_eq!(again, Some(item), "though the copy is there now");
        assert_eq!(analyses(&*ports.journal, &keys[0]).await, [None]);
        let said = analyses(&*ports.journal, &keys[1]).await;
        assert!(said.len() == 1 && said[0].is_some(), "{said:?}");
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}

/// What the journal has of an object's analyses: the duplicates that they name.
async fn analyses(journal: &dyn Journal, key: &ObjectKey) -> Vec<Option<ObjectKey>> {
    let events = journal.entity(&Entity::new("audio", key)).await;
    let events = events.expect("readable").into_iter();
    let analyses = events.filter_map(|event| match event.fact {
        Fact::AudioAnalysed(analysed) => Some(analysed.duplicate_of.map(|other| other.key)),
        _ => None,
    });
    analyses.collect()
}

/// Counts how often a fingerprint is read.
struct Counting {
    store: Arc<dyn ObjectStore>,
    fingerprints: AtomicUsize,
}

#[async_trait]
impl ObjectStore for Counting {
    async fn get(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        if key.as_str().contains("/fingerprint-") {
            self.fingerprints.fetch_add(1, Ordering::SeqCst);
        }
        self.store.get(key, bytes_max).await
    }

    async fn get_start(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<(Vec<u8>, ObjectInfo), StoreFault> {
        self.store.get_start(key, bytes).await
    }

    async fn get_file(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<(LocalFile, ObjectInfo), StoreFault> {
        self.store.get_file(key, bytes_max).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreFault> {
        self.store.head(key).await
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Vec<u8>,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        self.store.put(key, bytes, options).await
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &LocalFile,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        self.store.put_file(key, file, options).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreFault> {
        self.store.delete(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<ObjectPage, StoreFault> {
        self.store.list(prefix, after, limit).await
    }
}

#[test]
fn among_ten_thousand_that_sound_alike_a_recording_is_compared_with_a_handful() {
    const OTHERS: usize = 10_000;
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let (mut ports, settings) = media_host(&folder).await;
        let counting = Arc::new(Counting {
            store: Arc::clone(&ports.store),
            fingerprints: AtomicUsize::new(0),
        });
        ports.store = Arc::clone(&counting) as _;
        let (store, table) = (&ports.store, &ports.table);
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        plant(&system, &ports, &settings, None).await?;
        let key = |name: &str| ObjectKey::new(format!("posts/1/{name}")).expect("valid");
        let heard = async |key: &ObjectKey, bytes: &[u8]| {
            let put = store.put(key, bytes.to_vec(), PutOptions::default());
            put.await.expect("stored");
            until("it is analysed", async || {
                table.get(key).await.expect("readable")?.audio
            })
            .await
        };
        let first = key("a.ogg");
        heard(&first, TWO_HUNDRED).await;
        // Each shares some values with what comes, as nothing but the same sound or a tone that everybody has would.
        let sketch = sketch_of(COPY);
        let mut random = fastrand::Rng::with_seed(7);
        let others: Vec<(String, Sketch)> = (0..OTHERS)
            .map(|number| {
                let shared = 1 + number % 2;
                let values = (0..24).map(|at| {
                    if at < shared {
                        sketch.0[random.usize(0..sketch.0.len())]
                    } else {
                        random.u32(..)
                    }
                });
                (format!("{number:064x}"), Sketch(values.collect()))
            })
            .collect();
        for some in others.chunks(1_000) {
            let indexed = some
                .iter()
                .map(|(digest, sketch)| table.index_sketch(digest, sketch));
            join_all(indexed).await.into_iter().for_each(|indexed| {
                indexed.expect("indexed");
            });
        }
        let found = table.sketched_alike(&sketch).await.expect("readable");
        let most = ALIKE_MAX * sketch.0.len();
        assert!((ALIKE_MAX..=most).contains(&found.len()), "{}", found.len());
        let audio = heard(&key("b.mp3"), COPY).await;
        near(&audio, &first);
        let read = counting.fingerprints.load(Ordering::SeqCst);
        assert!((1..=8).contains(&read), "{read} fingerprints are read");
        system.drain(Duration::from_secs(5)).await;
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}
