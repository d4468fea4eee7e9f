//! Files that are dropped into a folder. On a paused clock: the folder's waiting costs no time.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iyagi::embedded::drop_folder::{DropCounts, DropFolder};
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi_actors::ports::{Clock, ObjectInfo, ObjectStore, StoreFault};
use iyagi_messages::object::ObjectKey;
use tokio::time::sleep;

use crate::TokioClock;

async fn store(folder: &Path, clock: &Arc<dyn Clock>) -> Arc<dyn ObjectStore> {
    let opened = EmbeddedObjects::open(folder, "media", None, Arc::clone(clock)).await;
    Arc::new(opened.expect("opens"))
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("a valid key")
}

/// Runs the folder while `story` goes on.
async fn watched<T>(
    dropped: &Path,
    store: &Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
    story: impl AsyncFnOnce(Arc<DropCounts>) -> T,
) -> T {
    let folder = DropFolder::new(dropped, Arc::clone(store), Arc::clone(clock));
    let counts = folder.counts();
    tokio::select! {
        ended = folder.run() => panic!("{ended:?}"),
        value = story(counts) => value,
    }
}

/// Waits for an object; the time is the folder's, so it passes at once.
async fn appears(store: &dyn ObjectStore, name: &str) -> ObjectInfo {
    for _ in 0..1000 {
        match store.head(&key(name)).await {
            Ok(info) => return info,
            Err(StoreFault::NotFound(_)) => sleep(Duration::from_millis(100)).await,
            Err(fault) => panic!("{fault}"),
        }
    }
    panic!("{name} never appeared")
}

async fn vanishes(path: &Path) {
    for _ in 0..1000 {
        if !path.exists() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{} never vanished", path.display())
}

#[tokio::test(start_paused = true)]
async fn a_dropped_file_becomes_an_object_once_even_over_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let store = store(&folder.path().join("store"), &clock).await;
    let dropped = folder.path().join("drop");
    let file = dropped.join("posts/1/한글 사진+1.jpg");
    let done = dropped.join(".done/posts/1/한글 사진+1.jpg");
    let first = watched(&dropped, &store, &clock, async |_| {
        sleep(Duration::from_secs(1)).await;
        fs::create_dir_all(dropped.join("posts/1")).expect("creates");
        fs::write(&file, "picture").expect("writes");
        let object = appears(&*store, "posts/1/한글 사진+1.jpg").await;
        vanishes(&file).await;
        object
    })
    .await;
    assert_eq!(fs::read(&done).expect("is kept"), b"picture");

    // As if the process had died before the move.
    fs::rename(&done, &file).expect("moves back");
    watched(&dropped, &store, &clock, async |counts| {
        vanishes(&file).await;
        assert_eq!(counts.uploaded.load(Ordering::Relaxed), 0);
    })
    .await;
    let again = appears(&*store, "posts/1/한글 사진+1.jpg").await;
    assert_eq!(again, first);

    // Another file of the same name is another upload, and both are kept.
    watched(&dropped, &store, &clock, async |counts| {
        fs::write(&file, "another picture").expect("writes");
        vanishes(&file).await;
        assert_eq!(counts.uploaded.load(Ordering::Relaxed), 1);
    })
    .await;
    let latest = appears(&*store, "posts/1/한글 사진+1.jpg").await;
    assert!(latest.sequencer > first.sequencer);
    assert_eq!(fs::read(&done).expect("is kept"), b"picture");
    let beside = dropped.join(".done/.1/posts/1/한글 사진+1.jpg");
    assert_eq!(fs::read(beside).expect("is kept"), b"another picture");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_still_grows_is_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let store = store(&folder.path().join("store"), &clock).await;
    let dropped = folder.path().join("drop");
    fs::create_dir_all(&dropped).expect("creates");
    watched(&dropped, &store, &clock, async |_| {
        let mut written = String::new();
        for _ in 0..20 {
            written.push_str("piece ");
            fs::write(dropped.join("growing.txt"), &written).expect("writes");
            sleep(Duration::from_millis(500)).await;
            let missing = store.head(&key("growing.txt")).await;
            assert!(matches!(missing, Err(StoreFault::NotFound(_))));
        }
        let object = appears(&*store, "growing.txt").await;
        assert_eq!(object.size, written.len() as u64);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_an_object_is_counted_once_and_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let store = store(&folder.path().join("store"), &clock).await;
    let dropped = folder.path().join("drop");
    fs::create_dir_all(dropped.join("derived")).expect("creates");
    fs::write(dropped.join("derived/fake.webp"), "x").expect("writes");
    fs::write(dropped.join("bell\u{7}.txt"), "x").expect("writes");
    std::os::unix::fs::symlink("/etc/hostname", dropped.join("link")).expect("links");
    fs::write(dropped.join(".hidden"), "x").expect("writes");
    fs::write(dropped.join("good.txt"), "x").expect("writes");
    watched(&dropped, &store, &clock, async |counts| {
        appears(&*store, "good.txt").await;
        sleep(Duration::from_mins(1)).await;
        assert_eq!(counts.refused.load(Ordering::Relaxed), 3);
        assert_eq!(counts.uploaded.load(Ordering::Relaxed), 1);
    })
    .await;
    assert!(dropped.join("derived/fake.webp").exists());
    let stored = store.list("", None, 10).await.expect("lists");
    assert_eq!(stored.objects.len(), 1);
}
