//! Notifications come late, twice, in any order and in any shape, some never, and workers die in the middle. What is known in the
//! end is what the bucket holds: an item and whole thumbnails for every picture, and no derived file beyond those.

mod bucket;
mod shapes;

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};
use iyagi::clock::SystemClock;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi_actors::dlq_keeper::DlqMessage;
use iyagi_actors::journal::MemoryJournal;
use iyagi_actors::media_job::{ByteBudget, DerivedFiles, MediaJournal, Offers};
use iyagi_actors::metadata_recorder::{MetadataRecorder, MetadataRecorderContext};
use iyagi_actors::ports::{Clock, MetadataTable, ObjectStore, Queue, Received};
use iyagi_actors::projections::{Projections, TrafficPolicy};
use iyagi_actors::queue_intake::{Deliveries, Delivery};
use iyagi_actors::runtime::{
    ChildSpec, CpuPool, Cx, Done, Failure, Fault, Incarnation, Intensity, Strategy as Supervision,
    System, Unobserved, Worker,
};
use iyagi_actors::thumbnail_worker::{Rendering, ThumbnailWorker, ThumbnailWorkerContext};
use iyagi_media::{Limits, OutputFormat, Preset};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::{ObjectEvent, ObjectKey};
use proptest::prelude::*;

use self::bucket::{Bucket, Jitter, Outbox, Table};

/// Spelled in NFC and NFD, and with everything that an encoding can get wrong.
const KEYS: [&str; 3] = [
    "posts/1/\u{d55c}+100% (1).jpg",
    "posts/1/\u{1112}\u{1161}\u{11ab}+100% (1).jpg",
    "profile/minji/2026-01-01T00:00:00.jpg",
];

/// What happens to an object.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// It is written; there are three pictures to choose from, so that some are the same.
    Upload(usize),
    Remove,
    Expire,
}

/// Nothing is given up here.
struct NoLetters;

impl Worker for NoLetters {
    type Msg = DlqMessage;

    async fn handle(&mut self, message: &DlqMessage, _: &Cx<DlqMessage>) -> Result<Done, Fault> {
        panic!("a letter: {message:?}")
    }

    async fn set_aside(&mut self, _: &DlqMessage, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

struct World {
    bucket: Arc<Bucket>,
    table: Arc<Table>,
    offered: Arc<Outbox>,
    thumbnails: Arc<ThumbnailWorkerContext>,
    metadata: Arc<MetadataRecorderContext>,
    deliveries: Arc<Deliveries>,
    _system: System,
    _folder: tempfile::TempDir,
}

/// A message on its way to one of the two consumers.
#[derive(Debug, Clone)]
struct Message {
    body: String,
    /// Which key, of what a later write of it may make superfluous.
    about: Option<usize>,
    consumer: Consumer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consumer {
    Thumbnails,
    Metadata,
}

impl World {
    async fn new(versions: bool, seed: u64) -> Self {
        let jitter = Jitter::new(seed);
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let path = folder.path().join("metadata.db");
        let table = EmbeddedMetadata::open(&path, Arc::clone(&clock)).expect("opens");
        let bucket = Arc::new(Bucket::new(versions, jitter.clone()));
        let table = Arc::new(Table { table, jitter });
        let offered = Arc::new(Outbox::default());
        let journal = Arc::new(MemoryJournal::new(Arc::clone(&clock)));
        let projections = Projections::recover(&*journal, TrafficPolicy::default())
            .await
            .expect("folds");
        let system = System::new(1, Intensity::default(), Arc::new(Unobserved));
        let group = system.group("push", Supervision::OneForOne, Intensity::default());
        let media = MediaJournal {
            journal,
            projections,
            dlq: group.child(ChildSpec::new("dlq-keeper"), |_| ready(Ok(NoLetters))),
            clock: Arc::clone(&clock),
        };
        let store: Arc<dyn ObjectStore> = Arc::clone(&bucket) as _;
        let shared: Arc<dyn MetadataTable> = Arc::clone(&table) as _;
        let derived = DerivedFiles {
            media: media.clone(),
            store: Arc::clone(&store),
            table: Arc::clone(&shared),
            offers: Offers {
                store: Arc::clone(&store),
                queues: vec![Arc::clone(&offered) as _],
                bucket: "media".to_owned(),
                clock,
            },
        };
        let cpu = CpuPool::new("cpu", 2);
        let deadline = Duration::from_mins(1);
        let metadata = MetadataRecorderContext {
            media: media.clone(),
            store: Arc::clone(&store),
            table: Arc::clone(&shared),
            derived: derived.clone(),
            cpu: cpu.clone(),
            bytes_max: 1 << 20,
            deadline,
        };
        let thumbnails = ThumbnailWorkerContext {
            media,
            store,
            table: shared,
            derived,
            rendering: Rendering {
                cpu,
                budget: ByteBudget::new(1 << 20),
                limits: Limits::default(),
                deadline,
                decoder: None,
            },
            presets: vec![
                Preset::new("small", 4, &[OutputFormat::Jpeg]),
                Preset::new("large", 8, &[OutputFormat::Jpeg]),
            ],
            prefixes: vec!["posts/".to_owned(), "profile/".to_owned()],
        };
        Self {
            bucket,
            table,
            offered,
            thumbnails: Arc::new(thumbnails),
            metadata: Arc::new(metadata),
            deliveries: Arc::default(),
            _system: system,
            _folder: folder,
        }
    }

    /// Lets a consumer work on a message; gives it back if the consumer dies before it is done.
    async fn deliver(&self, message: Message, life: Life) -> Option<Message> {
        tokio::select! {
            biased;
            () = self.work(&message) => None,
            () = life.end() => Some(message),
        }
    }

    async fn work(&self, message: &Message) {
        let received = Received {
            message_id: "m".to_owned(),
            receipt: "r".to_owned(),
            body: message.body.clone(),
            receive_count: 1,
            sent_at: Timestamp(0),
            group: None,
        };
        let queue: Arc<dyn Queue> = Arc::clone(&self.offered) as _;
        let delivery = Delivery::new(queue, received, &self.deliveries);
        let me = Incarnation {
            name: "worker".into(),
            number: 1,
        };
        let cx = Cx::detached("worker");
        let handled = match message.consumer {
            Consumer::Thumbnails => {
                let context = Arc::clone(&self.thumbnails);
                let mut worker = ThumbnailWorker::new(&me, context);
                worker.handle(&delivery, &cx).await
            }
            Consumer::Metadata => {
                let mut worker = MetadataRecorder::new(&me, Arc::clone(&self.metadata));
                worker.handle(&delivery, &cx).await
            }
        };
        assert!(handled.is_ok(), "{handled:?}");
    }

    /// Plays the operations while their notifications arrive as chance will have it.
    async fn play(&self, operations: &[(usize, Operation)], random: &mut fastrand::Rng) {
        let mut operations = operations.iter();
        let mut waiting: Vec<Message> = Vec::new();
        let mut working = FuturesUnordered::new();
        let mut last: Option<ObjectEvent> = None;
        for body in shapes::of_nothing() {
            waiting.extend(both(&body, None));
        }
        loop {
            let offered = std::mem::take(&mut *self.offered.0.lock().expect("nobody panics"));
            waiting.extend(offered.into_iter().map(|body| Message {
                body,
                about: None,
                consumer: Consumer::Thumbnails,
            }));
            match random.u8(0..8) {
                0 | 1 => {
                    if let Some((key, operation)) = operations.next() {
                        let event = self.operate(*key, *operation);
                        if event.is_some() && random.u8(0..4) == 0 {
                            // Of two writes at nearly the same moment, S3 may tell of the last one only.
                            waiting.retain(|message| message.about != Some(*key));
                        }
                        if let Some(event) = &event {
                            let another = last.as_ref().unwrap_or(event);
                            let copies = random.usize(1..3);
                            for _ in 0..copies {
                                let shape = random.usize(0..shapes::SHAPES);
                                let body = shapes::body(shape, event, another);
                                waiting.extend(both(&body, Some(*key)));
                            }
                        }
                        last = event.or(last);
                    }
                }
                2 | 3 if !waiting.is_empty() => {
                    let message = waiting.swap_remove(random.usize(0..waiting.len()));
                    working.push(self.deliver(message, Life::of_chance(random)));
                }
                _ => {
                    tokio::task::yield_now().await;
                    if let Some(Some(ended)) = working.next().now_or_never() {
                        waiting.extend(ended);
                    }
                }
            }
            let nothing_comes = operations.len() == 0 && waiting.is_empty();
            if nothing_comes {
                match working.next().await {
                    Some(ended) => waiting.extend(ended),
                    None if self.offered.0.lock().expect("nobody panics").is_empty() => return,
                    None => {}
                }
            }
        }
    }

    fn operate(&self, key: usize, operation: Operation) -> Option<ObjectEvent> {
        let key = ObjectKey::new(KEYS[key]).expect("valid");
        match operation {
            Operation::Upload(picture) => Some(self.bucket.upload(&key, &picture_of(picture))),
            Operation::Remove => self.bucket.remove(&key),
            Operation::Expire => self.bucket.expire(&key),
        }
    }

    /// What must be so once everything has arrived, whatever the way there.
    async fn check(&self) {
        let mut needed = BTreeSet::new();
        let held = self.bucket.under("p");
        for key in KEYS {
            let key = ObjectKey::new(key).expect("valid");
            let item = self.table.get(&key).await.expect("readable");
            let Some(bytes) = held.get(&key) else {
                assert_eq!(item, None, "{key} is gone");
                continue;
            };
            let item = item.unwrap_or_else(|| panic!("{key} is there and not known"));
            assert_eq!(item.size, bytes.len() as u64);
            let thumbnails = item.thumbnails.expect("a picture has thumbnails");
            assert_eq!(thumbnails.variants.len(), 2);
            needed.extend(thumbnails.variants.into_iter().map(|variant| variant.key));
        }
        let derived: BTreeSet<_> = self.bucket.under(DERIVED_PREFIX).into_keys().collect();
        assert_eq!(
            derived, needed,
            "each file is some picture's, and none is lacking"
        );
    }
}

/// How long a worker lives.
#[derive(Debug, Clone, Copy)]
struct Life(Option<u16>);

impl Life {
    fn of_chance(random: &mut fastrand::Rng) -> Self {
        Self((random.u8(0..4) == 0).then(|| random.u16(1..60)))
    }

    async fn end(self) {
        let Some(turns) = self.0 else {
            return future::pending().await;
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

fn both(body: &str, about: Option<usize>) -> [Message; 2] {
    [Consumer::Thumbnails, Consumer::Metadata].map(|consumer| Message {
        body: body.to_owned(),
        about,
        consumer,
    })
}

/// One of three pictures, told apart by their sizes.
fn picture_of(number: usize) -> Vec<u8> {
    let side = 8 + number as u32;
    let pixels = image::RgbImage::from_fn(side, side, |x, y| {
        image::Rgb([x as u8 * 20, y as u8 * 20, number as u8 * 80])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    pixels
        .write_to(&mut file, image::ImageFormat::Png)
        .expect("encodes");
    file.into_inner()
}

fn operation() -> impl Strategy<Value = (usize, Operation)> {
    let operation = prop_oneof![
        3 => (0..3_usize).prop_map(Operation::Upload),
        1 => Just(Operation::Remove),
        1 => Just(Operation::Expire),
    ];
    (0..KEYS.len(), operation)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_way_notifications_come_what_is_known_is_what_the_bucket_holds(
        operations in prop::collection::vec(operation(), 1..14),
        versions: bool,
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime.expect("a runtime"), async {
            let world = World::new(versions, seed).await;
            let mut random = fastrand::Rng::with_seed(seed);
            world.play(&operations, &mut random).await;
            world.check().await;
        });
    }
}

#[test]
fn every_shape_says_the_same_of_an_object() {
    use iyagi_messages::object::Notification;
    let bucket = Bucket::new(true, Jitter::new(1));
    let [key, other] = [KEYS[0], KEYS[2]].map(|key| ObjectKey::new(key).expect("valid"));
    let another = bucket.upload(&other, b"x");
    let events = [
        Some(bucket.upload(&key, b"y")),
        bucket.remove(&key),
        Some(bucket.upload(&key, b"z")),
        bucket.expire(&key),
    ];
    for event in events.into_iter().flatten() {
        for shape in 0..shapes::SHAPES {
            let body = shapes::body(shape, &event, &another);
            let Ok(Notification::Objects(mut told)) = Notification::parse(&body) else {
                panic!("shape {shape}: {body}")
            };
            told.retain(|told| *told != another);
            told.dedup();
            assert_eq!(
                told.as_slice(),
                std::slice::from_ref(&event),
                "shape {shape}"
            );
        }
    }
    for body in shapes::of_nothing() {
        assert_eq!(Notification::parse(&body), Ok(Notification::Test));
    }
}
