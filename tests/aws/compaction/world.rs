//! A log on a server, its hosts, and every event that was ever appended to it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::CreateBucketConfiguration;
use iyagi::aws::dynamodb::definitions::{TableDefinition, create};
use iyagi::aws::journal::{LogSweep, OpenError, Parts, SharedJournal};
use iyagi::aws::s3::S3Objects;
use iyagi::embedded::journal::{
    Bucket, Compaction, CompactionFault, JournalReader, Outcome, Place, Sharing, SqliteJournal,
};
use iyagi_actors::fleet::Fleet;
use iyagi_actors::journal::{Draft, Journal as _, JournalFault, Replica as _};
use iyagi_actors::ports::{Clock as _, Inbox as _, ObjectStore, Retention};
use iyagi_actors::projections::{Members, Projections, RatePolicy, TrafficPolicy};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, FleetLed, MetadataRemoved, UnknownFact};
use iyagi_messages::ids::{MemberId, Pos, Timestamp};
use iyagi_messages::object::{ObjectKey, Sequencer};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{Hands, State};
use crate::faults::FaultProxy;
use crate::objects::spool;
use crate::servers::{Server, ministack, unique};

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Where exports lie in their bucket.
const PREFIX: &str = "of/iyagi/";
/// Hours after which the keys of items that are empty are given free.
pub(super) const GUARD_HOURS: u64 = 24 * 7;
/// A kind that no build knows: such events are never over.
const LASTS: &str = "test.lasts";
/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);
/// Few and short, so that entries leave the inboxes meanwhile.
const INBOX: Retention = Retention {
    entries_max: 3,
    age_ms_max: 173_000_000,
};
const POLICY: TrafficPolicy = TrafficPolicy {
    rate: RatePolicy {
        burst: 2,
        refill_seconds: 60,
    },
    remembered_ms: 5_400_000,
};

/// A log, and what was ever in it.
pub(super) struct World {
    pub(super) clock: Arc<Hands>,
    pub(super) table: String,
    bucket: String,
    /// By position, as the first host that heard of it was told.
    all: Arc<Mutex<BTreeMap<Pos, Event>>>,
    leaders: AtomicU64,
}

/// One host.
pub(super) struct Host {
    pub(super) journal: Arc<SharedJournal>,
    pub(super) compaction: Compaction,
    copy: SqliteJournal,
    projections: Arc<Projections>,
    folder: Option<TempDir>,
    running: JoinHandle<()>,
    me: MemberId,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let server = ministack();
        let clients = server.clients();
        let (table, bucket) = (unique("compaction"), unique("compaction"));
        let definition = TableDefinition::journal(&table);
        let made = create(&clients.dynamodb, &definition);
        made.await.expect("the table is made");
        let region = CreateBucketConfiguration::builder()
            .location_constraint(server.region().into())
            .build();
        let made = clients.s3.create_bucket().bucket(&bucket);
        let made = made.create_bucket_configuration(region).send().await;
        made.expect("the bucket is made");
        Self {
            clock: Hands::new(),
            table,
            bucket,
            all: Arc::default(),
            leaders: AtomicU64::new(0),
        }
    }

    pub(super) async fn host(&self, name: &str) -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = self.host_by(ministack(), name, folder).await;
        opened.expect("it opens")
    }

    /// A host that reaches everything by `server`.
    pub(super) async fn host_by(
        &self,
        server: &Server,
        name: &str,
        folder: TempDir,
    ) -> Result<Host, OpenError> {
        let clients = server.clients();
        let copy = self.copy_at(&folder.path().join("journal.db"));
        let me = MemberId::new(name, 1);
        let parts = Parts {
            client: clients.dynamodb.clone(),
            table: self.table.clone(),
            replica: Arc::new(copy.clone()),
            store: self.store(server).await,
            member: me.clone(),
            clock: self.clock.clone(),
        };
        let (journal, running) = SharedJournal::open(parts).await?;
        let journal = Arc::new(journal);
        let projections = Projections::recover(&*journal, POLICY).await;
        let projections = projections.expect("folded");
        let all = Arc::clone(&self.all);
        journal.on_commit(Arc::new(move |events| {
            let mut all = all.lock().expect("sound");
            for event in events {
                let known = all.entry(event.pos).or_insert_with(|| event.clone());
                assert_eq!(known, event, "hosts are told the same");
            }
        }));
        #[expect(clippy::disallowed_methods, reason = "held and ended by the host")]
        let running = tokio::task::spawn(running);
        let sharing = Sharing {
            journal: Arc::clone(&journal) as _,
            log: Arc::new(LogSweep::new(
                clients.dynamodb,
                self.table.clone(),
                self.clock.clone(),
            )),
            fleet: Fleet::member(me.clone(), Arc::clone(&projections)),
        };
        let kept = self.kept(server, &folder.path().join("exports")).await;
        let compaction =
            Compaction::new(copy.clone(), Arc::clone(&projections), kept, Some(sharing));
        Ok(Host {
            journal,
            compaction,
            copy,
            projections,
            folder: Some(folder),
            running,
            me,
        })
    }

    fn copy_at(&self, path: &Path) -> SqliteJournal {
        let copy = SqliteJournal::open_copy(path, self.clock.clone(), INBOX);
        copy.expect("a sound copy")
    }

    async fn store(&self, server: &Server) -> Arc<dyn ObjectStore> {
        let client = server.clients().s3;
        let store = S3Objects::open(client, &self.bucket, CALL_TIMEOUT, spool());
        Arc::new(store.await.expect("the bucket is there"))
    }

    async fn kept(&self, server: &Server, on_their_way: &Path) -> Place {
        Place::Bucket(Bucket {
            store: self.store(server).await,
            prefix: PREFIX.to_owned(),
            on_their_way: on_their_way.to_owned(),
        })
    }

    /// Lets a host take the lead.
    pub(super) async fn led_by(&self, host: &Host) {
        let epoch = self.leaders.fetch_add(1, Ordering::Relaxed) + 1;
        let mut draft = Draft::new(&"fleet-keeper#1", "fleet");
        let leader = host.me.clone();
        draft.begin(
            &epoch.to_string(),
            Members::lead(),
            FleetLed { epoch, leader },
        );
        let appended = host.journal.append(draft.finish()).await;
        appended.expect("appended");
    }

    /// What a host does of what is older than so many hours.
    pub(super) async fn compact(
        &self,
        host: &Host,
        keep_hours: u64,
    ) -> Result<Outcome, CompactionFault> {
        let keep_ms = i64::try_from(keep_hours * 3_600_000).expect("short");
        let until = Timestamp(self.clock.now().0 - keep_ms);
        host.compaction.run(until).await
    }

    /// The state that all events fold to that ever were. What is said of the journal itself is not heeded.
    pub(super) async fn expected(&self, now: Timestamp) -> State {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("whole.db");
        let whole = self.copy_at(&path);
        let all: Vec<Event> = self.all.lock().expect("sound").values().cloned().collect();
        whole
            .follow(all.into_iter().map(unheeded).collect())
            .await
            .expect("followed");
        let folded = Projections::recover(&whole, POLICY).await.expect("folded");
        state(&whole, &folded, &path, now).await
    }

    /// Waits until so many more calls have met a fault of a proxy.
    pub(super) async fn faults(proxy: &FaultProxy, more: u32) {
        let deadline = Instant::now() + PATIENCE;
        let awaited = proxy.fired() + more;
        while proxy.fired() < awaited {
            assert!(Instant::now() < deadline, "too little is called");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Every item of the log: its first position, and whether it has events.
    pub(super) async fn items(&self) -> BTreeMap<u64, bool> {
        let items = self.scan().await.into_iter();
        let main = items.filter(|item| item["log"].as_s().is_ok_and(|log| log == "main"));
        main.map(|item| {
            let first = item["pos"].as_n().expect("a number");
            let first = first.parse().expect("a number");
            (first, !item.contains_key("emptied_at"))
        })
        .collect()
    }

    /// Items that hold parts of a commit.
    pub(super) async fn parts(&self) -> usize {
        let items = self.scan().await.into_iter();
        let parts = items.filter(|item| item["log"].as_s().is_ok_and(|log| log != "main"));
        parts.count()
    }

    /// Whatever the table has.
    pub(super) async fn scan(&self) -> Vec<HashMap<String, AttributeValue>> {
        let items = ministack().clients().dynamodb.scan();
        let items = items.table_name(&self.table).consistent_read(true);
        let items = items.into_paginator().items().send();
        items.try_collect().await.expect("scanned")
    }

    /// Checks a host that is at rest: its file, and every export that it knows of.
    pub(super) async fn check(&self, folder: &Path) {
        let reader = JournalReader::open(&folder.join("journal.db")).expect("opens");
        assert_eq!(reader.verify().expect("readable").damages, []);
        let kept = self.kept(ministack(), &folder.join("exports")).await;
        let exports = reader.verify_exports(&kept).await.expect("readable");
        assert_eq!(exports.damages, []);
        let broken = reader.audit().expect("readable").violations;
        let promised: Vec<_> = broken
            .iter()
            .filter(|it| super::twin::PROMISED.contains(&it.invariant))
            .collect();
        assert!(promised.is_empty(), "{promised:?}");
    }

    /// Whatever was appended is in a host's copy, or was taken out of it and is in an export.
    pub(super) async fn nothing_is_lost(&self, host: &Host) {
        let left = host.rows().await.expect("readable").into_iter();
        let left: BTreeMap<Pos, Event> = left.map(|event| (event.pos, event)).collect();
        let exported = self.exported(host).await;
        for (pos, event) in &*self.all.lock().expect("sound") {
            let there = left.get(pos).or_else(|| exported.get(pos));
            assert_eq!(there, Some(event));
        }
    }

    /// What is in the exports that a host knows of.
    async fn exported(&self, host: &Host) -> BTreeMap<Pos, Event> {
        let client = ministack().clients().s3;
        let mut exported = BTreeMap::new();
        for event in host.rows().await.expect("readable") {
            let Fact::JournalExported(export) = &event.fact else {
                continue;
            };
            let object = client.get_object().bucket(&self.bucket);
            let object = object.key(format!("{PREFIX}{}", export.file)).send().await;
            let bytes = object.expect("it is there").body.collect().await;
            let bytes = bytes.expect("read").into_bytes();
            let lines = zstd::decode_all(&*bytes).expect("whole");
            let lines = lines.split(|byte| *byte == b'\n');
            for line in lines.filter(|line| !line.is_empty()) {
                let event: Event = serde_json::from_slice(line).expect("an event");
                exported.insert(event.pos, event);
            }
        }
        exported
    }
}

impl Host {
    pub(super) fn path(&self) -> PathBuf {
        self.folder().join("journal.db")
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it has one").path()
    }

    /// Waits until it has as much of the log as another host.
    pub(super) async fn follows(&self, other: &Self) {
        let head = other.journal.head().await.expect("readable");
        let deadline = Instant::now() + PATIENCE;
        while self.journal.head().await.expect("readable") < head {
            assert!(Instant::now() < deadline, "it does not follow");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the journal says that it cannot go on.
    pub(super) async fn outrun(&self) -> String {
        let outrun = tokio::time::timeout(PATIENCE, self.journal.outrun());
        outrun.await.expect("it stops")
    }

    pub(super) async fn state(&self, now: Timestamp) -> State {
        state(&self.copy, &self.projections, &self.path(), now).await
    }

    pub(super) async fn rows(&self) -> Result<Vec<Event>, JournalFault> {
        self.journal.read(Pos(0), usize::MAX).await
    }

    /// Appends what is over as soon as it is old.
    pub(super) async fn append(&self, id: u64) -> Pos {
        self.try_append(id).await.expect("appended")
    }

    /// The same, where it may be refused.
    pub(super) async fn try_append(&self, id: u64) -> Result<Pos, JournalFault> {
        let mut draft = Draft::new(&"test#1", "upload:1");
        removed(&mut draft, &format!("posts/{id}.jpg"));
        self.append_drafted(draft).await
    }

    /// So many at once that no single item holds them.
    pub(super) async fn append_large(&self, events: u64) {
        let mut random = fastrand::Rng::with_seed(7);
        // Random text hardly deflates.
        let mut key = || -> String { (0..500).map(|_| random.alphanumeric()).collect() };
        let mut draft = Draft::new(&"test#1", "upload:1");
        for nth in 0..events {
            removed(&mut draft, &format!("posts/{nth}-{}.jpg", key()));
        }
        self.append_drafted(draft).await.expect("appended");
    }

    /// So many at once, of which every third is over as soon as it is old, and the others never are. Yields the last.
    pub(super) async fn append_some_that_last(&self, events: u64, chars: usize) -> Pos {
        let mut random = fastrand::Rng::with_seed(events);
        let mut draft = Draft::new(&"test#1", "upload:1");
        for nth in 0..events {
            let text: String = (0..chars).map(|_| random.alphanumeric()).collect();
            let name = format!("{nth}-{text}");
            if nth % 3 == 0 {
                removed(&mut draft, &format!("posts/{name}.jpg"));
            } else {
                let lasts = UnknownFact {
                    kind: LASTS.to_owned(),
                    version: 1,
                    body: format!(r#"{{"name":"{name}"}}"#),
                };
                draft.begin(&name, Entity::new("test", &name), Fact::Unknown(lasts));
            }
        }
        self.append_drafted(draft).await.expect("appended")
    }

    async fn append_drafted(&self, draft: Draft) -> Result<Pos, JournalFault> {
        let appended = self.journal.append(draft.finish()).await;
        appended.map(|appended| appended.last)
    }

    /// Ends it as a kill does. What it has on its disk stays.
    pub(super) async fn die(mut self) -> TempDir {
        self.running.abort();
        (&mut self.running).await.ok();
        let folder = self.folder.take();
        folder.expect("it has one")
    }
}

async fn state(
    copy: &SqliteJournal,
    projections: &Projections,
    path: &Path,
    now: Timestamp,
) -> State {
    let age_ms = i64::try_from(INBOX.age_ms_max).expect("short");
    let before = Timestamp(now.0 - age_ms);
    while copy.drop_older(before).await.expect("dropped") {}
    State::of(projections, path, now)
}

/// Drafts what is over as soon as it is old.
fn removed(draft: &mut Draft, key: &str) {
    let removed = MetadataRemoved {
        key: ObjectKey::new(key).expect("a key"),
        sequencer: Sequencer(String::new()),
    };
    draft.begin(key, Entity::new("metadata", key), removed);
}

/// The same event, as a build sees it that does not know what it says of the journal.
fn unheeded(mut event: Event) -> Event {
    if matches!(
        event.fact,
        Fact::JournalTrimmed(_) | Fact::JournalExported(_)
    ) {
        event.fact = Fact::Unknown(UnknownFact {
            kind: event.fact.kind().to_owned(),
            version: event.fact.version(),
            body: event.fact.body(),
        });
    }
    event
}
