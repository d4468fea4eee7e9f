//! Objects in a folder.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi::embedded::queues::{EmbeddedQueues, QueueConfig};
use iyagi_actors::media_job::{Reading, read_write_of};
use iyagi_actors::ports::contract;
use iyagi_actors::ports::{
    Clock, NewObject, ObjectStore, Outgoing, PutOptions, Queue, QueueDepth, QueueFault, Received,
    Sent, StoreFault,
};
use iyagi_media::Format;
use iyagi_messages::object::{Notification, ObjectEvent, ObjectKey};

use crate::TokioClock;

fn queue(folder: &Path, clock: &Arc<dyn Clock>) -> Arc<dyn Queue> {
    let queues = EmbeddedQueues::open(&folder.join("queues.db"), Arc::clone(clock));
    let config = QueueConfig {
        name: "media".to_owned(),
        redrive: None,
    };
    queues.expect("opens").queue(config).expect("valid")
}

async fn open(
    folder: &Path,
    queue: Option<Arc<dyn Queue>>,
    clock: &Arc<dyn Clock>,
) -> EmbeddedObjects {
    EmbeddedObjects::open(&folder.join("store"), "media", queue, Arc::clone(clock))
        .await
        .expect("opens")
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("a valid key")
}

async fn put(store: &dyn ObjectStore, name: &str, text: &str) {
    let put = store
        .put(&key(name), text.into(), PutOptions::default())
        .await;
    put.expect("stores");
}

async fn read(store: &dyn ObjectStore, name: &str) -> String {
    let (bytes, _) = store.get(&key(name), 1024).await.expect("reads");
    String::from_utf8(bytes).expect("text")
}

async fn events(queue: &dyn Queue) -> Vec<ObjectEvent> {
    let received = queue
        .receive(10, Duration::ZERO, Duration::from_mins(1))
        .await
        .expect("receives");
    let parse = |message: &Received| match Notification::parse(&message.body) {
        Ok(Notification::Objects(events)) => events,
        other => panic!("{other:?}"),
    };
    received.iter().flat_map(parse).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn keep_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let queue = queue(folder.path(), &clock);
    let store = open(folder.path(), Some(Arc::clone(&queue)), &clock).await;
    contract::object_store::all(&store, &*queue, "under/test/").await;
}

#[tokio::test]
async fn what_is_of_another_kind_is_not_read_however_large_it_is() {
    const BYTES_MAX: u64 = 2_000;
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let queue = queue(folder.path(), &clock);
    let store = open(folder.path(), Some(Arc::clone(&queue)), &clock).await;
    let recording = [&b"OggS"[..], &[0; 9_996]].concat();
    let picture = b"GIF89a".to_vec();
    let mut told = Vec::new();
    for bytes in [recording, picture] {
        let put = store
            .put(&key("posts/1"), bytes, PutOptions::default())
            .await;
        put.expect("stores");
        told.push(events(&*queue).await.remove(0));
        let read = |kind| read_write_of::<Vec<u8>>(&store, &told[told.len() - 1], BYTES_MAX, kind);
        let as_picture = read(Format::is_picture).await.expect("reads");
        let as_recording = read(Format::is_recording).await.expect("reads");
        if told.len() == 1 {
            assert_eq!(as_picture, None);
            let fault = matches!(as_recording, Some(Reading::Unread { .. }));
            assert!(fault, "{as_recording:?}");
        } else {
            assert!(matches!(as_picture, Some(Reading::Whole { .. })));
            assert_eq!(as_recording, None);
        }
    }
    let removed = store.delete(&key("posts/1")).await;
    removed.expect("removes");
    let late = read_write_of::<Vec<u8>>(&store, &told[1], BYTES_MAX, Format::is_recording).await;
    assert_eq!(late, Ok(Some(Reading::Superseded)));
}

#[tokio::test]
async fn a_restart_keeps_objects_and_the_order_of_sequencers() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let store = open(folder.path(), None, &clock).await;
    let options = PutOptions {
        content_type: Some("text/plain".to_owned()),
        ..PutOptions::default()
    };
    let before = store.put(&key("a"), b"1".to_vec(), options).await;
    let before = before.expect("stores");
    put(&store, "a/b", "2").await;
    drop(store);
    // A clock that was set back must not make later writes look earlier.
    let earlier = Arc::new(Fixed(0));
    let store = open(folder.path(), None, &(earlier as Arc<dyn Clock>)).await;
    assert_eq!(store.head(&key("a")).await, Ok(before.clone()));
    assert_eq!(read(&store, "a/b").await, "2");
    put(&store, "a", "3").await;
    let after = store.head(&key("a")).await.expect("is there");
    assert!(after.sequencer > before.sequencer);
    assert_eq!(after.sequencer.expect("known here").0.len(), 18);
}

#[tokio::test]
async fn an_object_of_an_earlier_build_is_read_without_its_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    put(&open(folder.path(), None, &clock).await, "a", "1").await;
    let database = rusqlite::Connection::open(folder.path().join("store/objects.db"));
    let earlier = "ALTER TABLE object DROP COLUMN sha256; PRAGMA user_version = 1;";
    database
        .expect("opens")
        .execute_batch(earlier)
        .expect("undone");
    let store = open(folder.path(), None, &clock).await;
    let info = store.head(&key("a")).await.expect("is there");
    assert_eq!((info.sha256, info.size), (None, 1));
    put(&store, "a", "2").await;
    let info = store.head(&key("a")).await.expect("is there");
    assert!(info.sha256.is_some());
}

struct Fixed(i64);

impl Clock for Fixed {
    fn now(&self) -> iyagi_messages::ids::Timestamp {
        iyagi_messages::ids::Timestamp(self.0)
    }
}

/// As if the process died between storing the object and reaching the queue.
struct Unreachable;

#[async_trait]
impl Queue for Unreachable {
    fn name(&self) -> &'static str {
        "unreachable"
    }

    async fn send(&self, _: Vec<Outgoing>) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        Err(self.fault())
    }

    async fn receive(
        &self,
        _: usize,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        Err(self.fault())
    }

    async fn delete(&self, _: &[String]) -> Result<(), QueueFault> {
        Err(self.fault())
    }

    async fn change_visibility(&self, _: &str, _: Duration) -> Result<(), QueueFault> {
        Err(self.fault())
    }

    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        Err(self.fault())
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        Err(self.fault())
    }
}

impl Unreachable {
    fn fault(&self) -> QueueFault {
        QueueFault::Unavailable {
            queue: self.name().to_owned(),
            reason: "gone".to_owned(),
        }
    }
}

#[tokio::test]
async fn a_crash_between_object_and_notification_loses_neither() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let store = open(folder.path(), Some(Arc::new(Unreachable)), &clock).await;
    for number in 0..12 {
        put(&store, &format!("posts/{number}"), "x").await;
    }
    store.delete(&key("posts/0")).await.expect("removes");
    put(&store, "derived/a", "x").await;
    drop(store);

    let queue = queue(folder.path(), &clock);
    let store = open(folder.path(), Some(Arc::clone(&queue)), &clock).await;
    let mut told = events(&*queue).await;
    told.extend(events(&*queue).await);
    assert_eq!(told.len(), 13);
    assert!(told.iter().all(|event| event.bucket == "media"));
    assert!(told.is_sorted_by(|a, b| a.sequencer < b.sequencer));
    put(&store, "posts/12", "x").await;
    assert_eq!(events(&*queue).await.len(), 1, "nothing is told again");
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_write_leaves_the_object_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let incoming = folder.path().join("store/incoming");
    let files = folder.path().join("store/files");
    let store = open(folder.path(), None, &clock).await;
    put(&store, "posts/1.jpg", "committed").await;
    drop(store);
    // Committed but not yet moved; and begun but not committed.
    let settled = files_below(&files).remove(0);
    let name = settled
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let write_id = name.trim_start_matches("1~").trim_end_matches(".jpg");
    fs::rename(&settled, incoming.join(write_id)).expect("moves");
    fs::write(incoming.join("0123456789abcdef"), "half an obj").expect("writes");

    let store = open(folder.path(), None, &clock).await;
    assert_eq!(read(&store, "posts/1.jpg").await, "committed");
    assert_eq!(files_below(&incoming), Vec::<PathBuf>::new());
    assert_eq!(files_below(&files), [settled]);
}

const KILLED: &str = "IYAGI_TEST_KILLED";

/// A process that stores objects, two at a time, is killed after so many of them, wherever it then is.
#[test]
fn a_killed_process_has_kept_and_notified_every_object_that_it_acknowledged() {
    if let Some(folder) = std::env::var_os(KILLED) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(store_until_killed(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let name = "objects::a_killed_process_has_kept_and_notified_every_object_that_it_acknowledged";
    let mut acknowledged = Vec::new();
    for kill_after in [1, 7, 23, 4, 11] {
        let mut child = Command::new(std::env::current_exe().expect("a test binary"))
            .args(["--exact", name, "--nocapture"])
            .env(KILLED, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let stored = output
            .lines()
            .map(|line| line.expect("text"))
            .filter_map(|line| Some(line.split_once("stored ")?.1.to_owned()));
        acknowledged.extend(stored.take(kill_after));
        child.kill().expect("kills");
        child.wait().expect("ends");
    }
    assert_eq!(acknowledged.len(), 46);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(Fixed(0));
        let queue = queue(folder.path(), &clock);
        let store = open(folder.path(), Some(Arc::clone(&queue)), &clock).await;
        let mut told = BTreeSet::new();
        loop {
            let events = events(&*queue).await;
            if events.is_empty() {
                break;
            }
            told.extend(events.into_iter().map(|event| event.key));
        }
        for name in &acknowledged {
            assert_eq!(read(&store, name).await, *name);
            assert!(told.contains(&key(name)), "{name} was not notified");
        }
        let listed = store.list("", None, 1000).await.expect("lists").objects;
        assert_eq!(
            listed.len(),
            told.len(),
            "an object and its event come together"
        );
        assert_eq!(listed.len() % 2, 0, "stored together or not at all");
        assert_eq!(
            files_below(&folder.path().join("store/files")).len(),
            listed.len()
        );
    });
}

async fn store_until_killed(folder: &Path) {
    let clock: Arc<dyn Clock> = Arc::new(Fixed(0));
    let store = open(folder, Some(queue(folder, &clock)), &clock).await;
    for number in 0.. {
        let names = ["a", "b"].map(|one| format!("posts/{}/{number}{one}", std::process::id()));
        let objects = names.iter().map(|name| NewObject {
            key: key(name),
            bytes: name.clone().into_bytes(),
            options: PutOptions::default(),
        });
        store.put_all(objects.collect()).await.expect("stores");
        for name in names {
            println!("stored {name}");
        }
    }
}

#[tokio::test]
async fn replaced_and_removed_objects_leave_no_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), None, &TokioClock::start()).await;
    for text in ["1", "2", "3"] {
        put(&store, "profile/나/1.jpg", text).await;
    }
    let files = files_below(&folder.path().join("store/files"));
    assert_eq!(files.len(), 1);
    assert!(files[0].to_string_lossy().contains("profile/나/1~"));
    store
        .delete(&key("profile/나/1.jpg"))
        .await
        .expect("removes");
    let left = fs::read_dir(folder.path().join("store/files")).expect("a folder");
    assert_eq!(left.count(), 0, "nor folders");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_goes_with_its_last_object_takes_no_other_that_comes_into_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), None, &TokioClock::start()).await;
    let comes_and_goes = async {
        for _ in 0..100 {
            put(&store, "a/b/one", "1").await;
            store.delete(&key("a/b/one")).await.expect("removes");
        }
    };
    let others = async {
        for number in 0..100 {
            let name = format!("a/b/{number}");
            put(&store, &name, "2").await;
            assert_eq!(read(&store, &name).await, "2");
            store.delete(&key(&name)).await.expect("removes");
        }
    };
    tokio::join!(comes_and_goes, others);
    assert_eq!(
        files_below(&folder.path().join("store/incoming")),
        Vec::<PathBuf>::new()
    );
    let left = fs::read_dir(folder.path().join("store/files")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_whole_version_while_it_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), None, &TokioClock::start()).await;
    put(&store, "a", "0").await;
    let writer = async {
        for number in 1..=100_usize {
            put(&store, "a", &number.to_string().repeat(number)).await;
        }
    };
    let reader = async {
        for _ in 0..400 {
            let (bytes, info) = store.get(&key("a"), 1024).await.expect("reads");
            assert_eq!(bytes.len() as u64, info.size);
            let first = bytes.len();
            let text = String::from_utf8(bytes).expect("text");
            let number = (0..=100_usize).find(|n| n.to_string().repeat((*n).max(1)) == text);
            assert!(number.is_some(), "{first} bytes of no version: {text}");
        }
    };
    tokio::join!(writer, reader);
}

const FULL_DISK: &str = "IYAGI_TEST_FULL_DISK";

/// A limit on the size of files stands for the full disk: the write fails half way in the same manner.
#[test]
fn a_full_disk_is_told_and_leaves_no_half_object() {
    if let Some(folder) = std::env::var_os(FULL_DISK) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(fill_the_disk(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact \"$1\"";
    let name = "objects::a_full_disk_is_told_and_leaves_no_half_object";
    let again = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().expect("a test binary"))
        .arg(name)
        .env(FULL_DISK, folder.path())
        .output()
        .expect("runs");
    let output = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}

async fn fill_the_disk(folder: &Path) {
    let store = open(folder, None, &TokioClock::start()).await;
    put(&store, "a", "old").await;
    let bytes = vec![7; 8 * 1024 * 1024];
    let refused = store.put(&key("a"), bytes, PutOptions::default()).await;
    assert!(matches!(refused, Err(StoreFault::Full(_))), "{refused:?}");
    assert_eq!(read(&store, "a").await, "old");
    let together = [("a", b"new".to_vec()), ("b", vec![7; 8 * 1024 * 1024])];
    let together = together.map(|(name, bytes)| NewObject {
        key: key(name),
        bytes,
        options: PutOptions::default(),
    });
    let refused = store.put_all(together.into()).await;
    assert!(matches!(refused, Err(StoreFault::Full(_))), "{refused:?}");
    assert_eq!(read(&store, "a").await, "old");
    assert_eq!(
        files_below(&folder.join("store/incoming")),
        Vec::<PathBuf>::new()
    );
    put(&store, "a", "new").await;
    assert_eq!(read(&store, "a").await, "new");
}

#[test]
fn every_known_shape_of_a_notification_is_read() {
    let Some(fixtures) = std::env::var_os("PUBLISHED_FIXTURES") else {
        return;
    };
    let mut count = 0;
    for path in files_below(&Path::new(&fixtures).join("s3")) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        // A whole SQS message: its body is what a receiver gets.
        let body = value["body"].as_str().map_or(text, str::to_owned);
        let parsed = Notification::parse(&body);
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        match &name[..2] {
            "10" | "11" => assert_eq!(parsed, Ok(Notification::Test), "{name}"),
            // An announcement of something else, in an SNS envelope.
            "14" => assert!(parsed.is_err(), "{name}"),
            _ => assert!(
                matches!(parsed, Ok(Notification::Objects(_))),
                "{name}: {parsed:?}"
            ),
        }
        count += 1;
    }
    assert_eq!(count, 16);
}
