//! Objects of S3 as files on this machine: whole or not at all, one write and no other, and never left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi::aws::s3::S3Objects;
use iyagi::spool::{KINDS, Spool};
use iyagi_actors::ports::{ObjectStore, PutOptions, StoreFault};
use iyagi_media::sha256;
use tempfile::TempDir;

use crate::failing::{bucket_spooling, key};
use crate::stub::{Answer, Request, response};

const KEY: &str = "posts/a.m4a";
const BYTES_MAX: u64 = 64 << 20;
/// Enough for the kernel and every buffer on the way to be full.
const LARGE: usize = 8 << 20;

fn spool(folder: &TempDir) -> Arc<Spool> {
    Arc::new(Spool::new(folder.path().to_owned(), KINDS * BYTES_MAX))
}

/// What is in the folder, and which of its files this process has open, which have no names.
fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut left: Vec<_> = names
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .collect();
    let open = fs::read_dir("/proc/self/fd").expect("a folder");
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inside = targets.filter(|target| target.starts_with(folder));
    left.extend(inside.map(|target| target.display().to_string()));
    left
}

/// A download that nobody waits for any more takes a moment to notice it.
async fn nothing_is_left(folder: &Path) {
    for _ in 0..1_000 {
        if left(folder).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", left(folder));
}

fn head(etag: &str, size: u64) -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\netag: \"{etag}\"\r\n\r\n");
    Answer::Whole(head.into_bytes())
}

fn body(etag: &str, bytes: &[u8]) -> Vec<u8> {
    response(200, &[("etag", etag)], bytes)
}

fn is_head(request: &Request) -> bool {
    request.method == "HEAD"
}

#[tokio::test]
async fn a_download_that_breaks_off_is_begun_anew_and_the_halves_are_not_kept() {
    let folder = TempDir::new().expect("a folder");
    let bytes = vec![7; LARGE];
    let sent = bytes.clone();
    let attempts = AtomicUsize::new(0);
    let answer = move |request: &Request| {
        if is_head(request) {
            return head("e", LARGE as u64);
        }
        assert_eq!(request.headers["if-match"], "\"e\"");
        match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Cut(body("\"e\"", &sent)[..LARGE / 2].to_vec()),
            // Whole, but not what its checksum is of.
            1 => {
                let headers = [("x-amz-checksum-crc32", "AAAAAA=="), ("etag", "\"e\"")];
                Answer::Whole(response(200, &headers, &sent))
            }
            _ => Answer::Whole(body("\"e\"", &sent)),
        }
    };
    let store = bucket_spooling(spool(&folder), answer).await;
    let (file, info) = store.get_file(&key(KEY), BYTES_MAX).await.expect("reads");
    assert_eq!(file.size(), LARGE as u64);
    assert_eq!(info.sha256, Some(sha256(&bytes)));
    assert!(file.read().expect("readable") == bytes);
    drop(file);
    nothing_is_left(folder.path()).await;
}

#[tokio::test]
async fn a_download_that_keeps_breaking_off_is_a_fault_of_the_store_and_leaves_nothing() {
    let folder = TempDir::new().expect("a folder");
    let store = bucket_spooling(spool(&folder), |request| {
        if is_head(request) {
            return head("e", 10);
        }
        let whole = body("\"e\"", b"0123456789");
        Answer::Cut(whole[..whole.len() - 1].to_vec())
    })
    .await;
    let read = store.get_file(&key(KEY), BYTES_MAX).await;
    let Err(StoreFault::Unavailable(reason)) = read else {
        panic!("{read:?}")
    };
    assert!(reason.contains("broke off 3 times"), "{reason}");
    nothing_is_left(folder.path()).await;
}

#[tokio::test]
async fn an_object_that_is_too_large_is_refused_before_it_is_asked_for() {
    let folder = TempDir::new().expect("a folder");
    let gets = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&gets);
    let store = bucket_spooling(spool(&folder), move |request| {
        if !is_head(request) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        head("e", 1_000_000_000_000)
    })
    .await;
    let key = key(KEY);
    let read = store.get_file(&key, BYTES_MAX).await;
    let too_large = StoreFault::TooLarge {
        key: key.clone(),
        size: 1_000_000_000_000,
        max: BYTES_MAX,
    };
    assert_eq!(read.err(), Some(too_large));
    assert_eq!(gets.load(Ordering::Relaxed), 0);
    assert_eq!(left(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_is_replaced_before_it_comes_is_looked_at_anew() {
    let folder = TempDir::new().expect("a folder");
    let heads = AtomicUsize::new(0);
    let store = bucket_spooling(spool(&folder), move |request| {
        if is_head(request) {
            return match heads.fetch_add(1, Ordering::Relaxed) {
                0 => head("first", 3),
                _ => head("second", 6),
            };
        }
        if request.headers["if-match"] != "\"second\"" {
            let xml = b"<Error><Code>PreconditionFailed</Code></Error>";
            return Answer::Whole(response(412, &[], xml));
        }
        Answer::Whole(body("\"second\"", b"second"))
    })
    .await;
    let (file, info) = store.get_file(&key(KEY), BYTES_MAX).await.expect("reads");
    assert_eq!(file.read().expect("readable"), b"second");
    assert_eq!((&*info.etag, info.size), ("second", 6));
}

/// What is announced by the head is what there is room for, whatever a server then sends.
#[tokio::test]
async fn more_than_was_announced_is_not_written() {
    let folder = TempDir::new().expect("a folder");
    let store = bucket_spooling(spool(&folder), |request| {
        if is_head(request) {
            return head("e", 5);
        }
        Answer::Whole(body("\"e\"", &vec![7; 1_000_000]))
    })
    .await;
    let read = store.get_file(&key(KEY), BYTES_MAX).await;
    assert!(matches!(read, Err(StoreFault::Unavailable(_))), "{read:?}");
    nothing_is_left(folder.path()).await;
}

/// A bucket with one object, of which half comes, and then nothing more.
async fn stalling(spool: Arc<Spool>) -> S3Objects {
    bucket_spooling(spool, |request| {
        if is_head(request) {
            return head("e", LARGE as u64);
        }
        let whole = body("\"e\"", &vec![7; LARGE]);
        Answer::Whole(whole[..whole.len() / 2].to_vec())
    })
    .await
}

/// As when a worker that waits for it panics, or is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_nobody_waits_for_leaves_nothing_and_gives_back_its_room() {
    let folder = TempDir::new().expect("a folder");
    let narrow = Spool::new(folder.path().to_owned(), KINDS * LARGE as u64);
    let store = stalling(Arc::new(narrow)).await;
    let key = key(KEY);
    for _ in 0..2 {
        let mut download = Box::pin(store.get_file(&key, BYTES_MAX));
        let begun = async {
            while left(folder.path()).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            read = &mut download => panic!("half of it came: {read:?}"),
            () = begun => {}
        }
        // There is room for one.
        let mut second = Box::pin(store.get_file(&key, BYTES_MAX));
        let waited = tokio::time::timeout(Duration::from_millis(100), &mut second).await;
        assert!(waited.is_err());
        assert_eq!(left(folder.path()).len(), 1);
        drop((download, second));
        nothing_is_left(folder.path()).await;
    }
}

const KILLED: &str = "IYAGI_TEST_KILLED_AMID_A_DOWNLOAD";

#[test]
fn a_process_that_is_killed_amid_a_download_leaves_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Some(folder) = std::env::var_os(KILLED) {
        let spool = Spool::new(folder.clone().into(), KINDS * BYTES_MAX);
        return runtime.block_on(async {
            let store = stalling(Arc::new(spool)).await;
            let key = key(KEY);
            let download = store.get_file(&key, BYTES_MAX);
            let begun = async {
                while left(Path::new(&folder)).is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                println!("begun");
                std::future::pending::<()>().await;
            };
            let (_, ()) = tokio::join!(download, begun);
        });
    }
    let folder = TempDir::new().expect("a folder");
    let name = "spooled::a_process_that_is_killed_amid_a_download_leaves_nothing";
    let mut child = Command::new(std::env::current_exe().expect("a test binary"))
        .args(["--exact", name, "--nocapture"])
        .env(KILLED, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = output.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.contains("begun")), "it ended early");
    child.kill().expect("kills");
    child.wait().expect("ends");
    assert_eq!(left(folder.path()), Vec::<String>::new());
}

const FULL_DISK: &str = "IYAGI_TEST_FULL_SPOOL";

/// A limit on the size of files stands for the full disk: the write fails half way in the same manner.
#[test]
fn a_full_disk_is_no_fault_of_the_object_and_leaves_nothing() {
    if let Some(folder) = std::env::var_os(FULL_DISK) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(fill_the_disk(Path::new(&folder)));
    }
    let folder = TempDir::new().expect("a folder");
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact \"$1\"";
    let again = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().expect("a test binary"))
        .arg("spooled::a_full_disk_is_no_fault_of_the_object_and_leaves_nothing")
        .env(FULL_DISK, folder.path())
        .output()
        .expect("runs");
    let output = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}

async fn fill_the_disk(folder: &Path) {
    let spool = Arc::new(Spool::new(folder.to_owned(), KINDS * BYTES_MAX));
    let store = bucket_spooling(spool, |request| {
        let small = request.path.contains("small");
        let size = if small { 5 } else { LARGE };
        if is_head(request) {
            return head("e", size as u64);
        }
        Answer::Whole(body("\"e\"", &vec![7; size]))
    })
    .await;
    let refused = store.get_file(&key(KEY), BYTES_MAX).await;
    let Err(StoreFault::Full(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("no room to spool"), "{why}");
    nothing_is_left(folder).await;
    let (file, _) = store
        .get_file(&key("posts/small"), BYTES_MAX)
        .await
        .expect("reads");
    assert_eq!(file.size(), 5);
}

/// The SDK sends a request again that meets a failing server; what it sends is the file again, from its first byte.
#[tokio::test]
async fn a_file_is_sent_whole_at_every_attempt_with_its_checksum() {
    let folder = TempDir::new().expect("a folder");
    let bytes: Vec<u8> = (0..=255).cycle().take(LARGE).collect();
    let (kept, attempts) = (bytes.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&attempts);
    let answer = move |request: &Request| match request.method.as_str() {
        "HEAD" => head("e", LARGE as u64),
        "GET" => Answer::Whole(body("\"e\"", &kept)),
        _ => {
            assert!(request.body == kept, "{} bytes", request.body.len());
            let checksum = STANDARD.encode(crc32fast::hash(&kept).to_be_bytes());
            assert_eq!(request.headers["x-amz-checksum-crc32"], checksum);
            let status = match counted.fetch_add(1, Ordering::Relaxed) {
                0 => 503,
                _ => 200,
            };
            Answer::Whole(response(status, &[("etag", "\"f\"")], b""))
        }
    };
    let store = bucket_spooling(spool(&folder), answer).await;
    let (file, _) = store.get_file(&key(KEY), BYTES_MAX).await.expect("reads");
    let to = key("posts/b");
    let put = store.put_file(&to, &file, PutOptions::default()).await;
    let put = put.expect("stores");
    assert_eq!((put.size, &*put.etag), (LARGE as u64, "f"));
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    drop(file);
    nothing_is_left(folder.path()).await;
}
