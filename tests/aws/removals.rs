//! What a bucket's removals do to the metadata of its files.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use iyagi::aws::s3::S3Objects;
use iyagi::aws::sqs::SqsQueue;
use iyagi::clock::SystemClock;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi_actors::journal::MemoryJournal;
use iyagi_actors::media_job::{DerivedFiles, MediaJournal, Offers};
use iyagi_actors::metadata_recorder::{MetadataRecorder, MetadataRecorderContext};
use iyagi_actors::ports::{Clock, MetadataTable, ObjectStore, PutOptions, Queue};
use iyagi_actors::projections::{Projections, TrafficPolicy};
use iyagi_actors::queue_intake::{Deliveries, Delivery};
use iyagi_actors::runtime::{
    ChildSpec, CpuPool, Cx, Done, Failure, Fault, Incarnation, Intensity, Strategy, System,
    Unobserved, Worker,
};
use iyagi_messages::object::ObjectKey;

use crate::objects::{S3, notified};
use crate::servers::{Server, localemu, ministack};

const WAIT: Duration = Duration::from_secs(10);
const VISIBILITY: Duration = Duration::from_mins(1);

/// Nothing is given up here.
struct NoLetters;

impl Worker for NoLetters {
    type Msg = iyagi_actors::dlq_keeper::DlqMessage;

    async fn handle(&mut self, message: &Self::Msg, _: &Cx<Self::Msg>) -> Result<Done, Fault> {
        panic!("a letter: {message:?}")
    }

    async fn set_aside(&mut self, _: &Self::Msg, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

struct World {
    s3: S3,
    store: S3Objects,
    queue: SqsQueue,
    table: Arc<EmbeddedMetadata>,
    recorder: MetadataRecorder,
    key: ObjectKey,
    _system: System,
    _folder: tempfile::TempDir,
}

impl World {
    async fn on(server: &Server) -> Self {
        let (s3, store, queue) = notified(server).await;
        s3.keep_versions().await;
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let path = folder.path().join("metadata.db");
        let table = EmbeddedMetadata::open(&path, Arc::clone(&clock)).expect("opens");
        let table = Arc::new(table);
        let journal = Arc::new(MemoryJournal::new(Arc::clone(&clock)));
        let projections = Projections::recover(&*journal, TrafficPolicy::default())
            .await
            .expect("folds");
        let system = System::new(1, Intensity::default(), Arc::new(Unobserved));
        let group = system.group("push", Strategy::OneForOne, Intensity::default());
        let dlq = group.child(ChildSpec::new("dlq-keeper"), |_| ready(Ok(NoLetters)));
        let media = MediaJournal {
            journal,
            projections,
            dlq,
            clock: Arc::clone(&clock),
        };
        let shared: Arc<dyn ObjectStore> = Arc::new(store.clone());
        let derived = DerivedFiles {
            media: media.clone(),
            store: Arc::clone(&shared),
            table: Arc::clone(&table) as _,
            offers: Offers {
                store: Arc::clone(&shared),
                queues: Vec::new(),
                bucket: s3.bucket.clone(),
                clock,
            },
        };
        let context = MetadataRecorderContext {
            media,
            store: shared,
            table: Arc::clone(&table) as _,
            derived,
            cpu: CpuPool::new("cpu", 1),
            bytes_max: 1024,
            deadline: VISIBILITY,
        };
        let me = Incarnation {
            name: "metadata-recorder".into(),
            number: 1,
        };
        Self {
            s3,
            store,
            queue,
            table,
            recorder: MetadataRecorder::new(&me, Arc::new(context)),
            key: ObjectKey::new("posts/1/note.txt").expect("valid"),
            _system: system,
            _folder: folder,
        }
    }

    /// Writes the object; yields its version.
    async fn put(&self, text: &str) -> String {
        let put = self
            .store
            .put(&self.key, text.into(), PutOptions::default())
            .await;
        put.expect("stores").version_id.expect("a version")
    }

    /// Removes one version for good.
    async fn erase(&self, version: &str) {
        let request = self.s3.client.delete_object().bucket(&self.s3.bucket);
        let request = request.key(self.key.as_str()).version_id(version);
        request.send().await.expect("erases");
    }

    /// Lets the recorder work on the next `count` notifications.
    async fn record(&mut self, count: usize) {
        let queue: Arc<dyn Queue> = Arc::new(self.queue.clone());
        let deliveries = Arc::new(Deliveries::default());
        let mut seen = 0;
        while seen < count {
            let received = queue.receive(10, WAIT, VISIBILITY).await;
            let received = received.expect("receives");
            assert!(!received.is_empty(), "{seen} of {count} came");
            for message in received {
                // What the store sends when it is told of the queue does not count.
                seen += usize::from(message.body.contains("Records"));
                let delivery = Delivery::new(Arc::clone(&queue), message, &deliveries);
                let cx = Cx::detached("metadata-recorder");
                let handled = self.recorder.handle(&delivery, &cx).await;
                assert!(handled.is_ok(), "{handled:?}");
            }
        }
    }

    async fn recorded_version(&self) -> Option<String> {
        let item = self.table.get(&self.key).await.expect("readable");
        item.map(|item| item.version_id.expect("a version"))
    }
}

async fn removals(server: &Server) {
    let mut world = World::on(server).await;
    let first = world.put("first").await;
    world.record(1).await;
    assert_eq!(world.recorded_version().await.as_ref(), Some(&first));
    let second = world.put("second").await;
    world.record(1).await;
    assert_eq!(world.recorded_version().await.as_ref(), Some(&second));
    // An old version is erased: the object is what it was.
    world.erase(&first).await;
    world.record(1).await;
    assert_eq!(world.recorded_version().await.as_ref(), Some(&second));
    // A marker hides the object.
    world.store.delete(&world.key).await.expect("deletes");
    world.record(1).await;
    assert_eq!(world.recorded_version().await, None);
    let third = world.put("third").await;
    world.record(1).await;
    assert_eq!(world.recorded_version().await.as_ref(), Some(&third));
    // The very version that is described is erased.
    world.erase(&third).await;
    world.record(1).await;
    assert_eq!(world.recorded_version().await, None);
}

#[tokio::test]
async fn a_removal_takes_away_what_it_removed_and_nothing_newer_on_ministack() {
    let server = ministack();
    tokio::task::LocalSet::new()
        .run_until(removals(server))
        .await;
}

#[tokio::test]
async fn a_removal_takes_away_what_it_removed_and_nothing_newer_on_localemu() {
    let Some(server) = localemu() else { return };
    tokio::task::LocalSet::new()
        .run_until(removals(server))
        .await;
}
