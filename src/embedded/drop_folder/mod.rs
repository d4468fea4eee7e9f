//! A watched folder: a file that appears there and has stopped changing becomes an object of the same name.
//!
//! The system's change notices only say when to look; what counts is the look, so that nothing depends on a notice
//! that was lost. An uploaded file moves to `.done`. The object remembers which file it came from, so that a crash
//! before the move does not upload it again. Names that begin with a dot are left alone.

mod look;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use iyagi_actors::ports::{Clock, ObjectStore, PutOptions, StoreFault};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::{InvalidKey, ObjectKey};
use notify::{RecursiveMode, Watcher};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use self::look::{Fingerprint, Found};

/// How long a file must stay as it is: a copy in progress writes more often.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// How long a file waits that the store did not take.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often to look without being told, for folders whose changes the system does not report.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long to rest between two looks, while a copy in progress makes notice after notice.
const REST: Duration = Duration::from_millis(100);
/// Largest file. A larger one is a slip of the hand.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Where uploaded files go.
const DONE: &str = ".done";
/// The object's metadata that says which file it came from.
const ORIGIN: &str = "iyagi-dropped";

/// A folder whose files become objects.
pub struct DropFolder {
    folder: PathBuf,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    counts: Arc<DropCounts>,
    files: HashMap<PathBuf, Tracked>,
}

/// What became of dropped files.
#[derive(Debug, Default)]
pub struct DropCounts {
    /// Files that became objects.
    pub uploaded: AtomicU64,
    /// Files that no object can be made of; they stay where they are.
    pub refused: AtomicU64,
    /// Attempts that failed; they are repeated.
    pub failed: AtomicU64,
}

/// Why a folder can no longer be watched.
#[derive(Debug, Error)]
pub enum DropFolderError {
    /// It cannot be read or created.
    #[error("the drop folder {folder} cannot be read")]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a file cannot become an object as long as it is as it is.
#[derive(Debug, Error)]
enum Refusal {
    #[error(transparent)]
    Key(#[from] InvalidKey),
    #[error("its name is not UTF-8")]
    NotUtf8,
    #[error("uploads under `{DERIVED_PREFIX}` are not taken")]
    Derived,
    #[error("it has {0} bytes; at most {FILE_BYTES_MAX} are taken")]
    TooLarge(u64),
    #[error("it is neither a file nor a folder")]
    NoFile,
}

/// Why an attempt to upload came to nothing this time.
#[derive(Debug, Error)]
enum Attempt {
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error("the file changed while it was read")]
    Changed,
}

/// A file that was there at the last look.
struct Tracked {
    fingerprint: Fingerprint,
    next: Next,
}

enum Next {
    /// Upload it then, if it has not changed.
    Upload(Timestamp),
    /// Nothing, as long as it is as it is.
    Nothing,
}

impl DropFolder {
    /// Prepares to watch a folder.
    pub fn new(
        folder: impl Into<PathBuf>,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            folder: folder.into(),
            store,
            clock,
            counts: Arc::default(),
            files: HashMap::new(),
        }
    }

    /// What became of the files, as it goes on.
    pub fn counts(&self) -> Arc<DropCounts> {
        Arc::clone(&self.counts)
    }

    /// Watches until the folder cannot be read any more.
    pub async fn run(mut self) -> Result<Infallible, DropFolderError> {
        std::fs::create_dir_all(&self.folder).map_err(|source| self.unreadable(source))?;
        let noticed = Arc::new(Notify::new());
        let _watcher = watch(&self.folder, Arc::clone(&noticed));
        loop {
            self.look().await?;
            for path in self.due() {
                self.upload(path).await;
            }
            sleep(REST).await;
            // Whether something was noticed or the time is over, the next look tells.
            timeout(self.until_next_look(), noticed.notified())
                .await
                .ok();
        }
    }

    /// Compares the folder with what it was at the last look.
    async fn look(&mut self) -> Result<(), DropFolderError> {
        let folder = self.folder.clone();
        let looked = tokio::task::spawn_blocking(move || look::files_below(&folder)).await;
        let looked = looked.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        let found = looked.map_err(|source| self.unreadable(source))?;
        let due = later(self.clock.now(), SETTLED_AFTER);
        let mut before = std::mem::take(&mut self.files);
        for Found { path, fingerprint } in found {
            let known = before.remove(&path);
            let known = known.filter(|known| known.fingerprint == fingerprint);
            let tracked = known.unwrap_or(Tracked {
                fingerprint,
                next: Next::Upload(due),
            });
            self.files.insert(path, tracked);
        }
        Ok(())
    }

    /// Files that have stopped changing, in order.
    fn due(&self) -> Vec<PathBuf> {
        let now = self.clock.now();
        let is_due = |next: &Next| matches!(next, Next::Upload(at) if *at <= now);
        let mut due: Vec<_> = self
            .files
            .iter()
            .filter(|(_, tracked)| is_due(&tracked.next))
            .map(|(path, _)| path.clone())
            .collect();
        due.sort();
        due
    }

    fn until_next_look(&self) -> Duration {
        let now = self.clock.now();
        let next = self
            .files
            .values()
            .filter_map(|tracked| match tracked.next {
                Next::Upload(at) => Some(Duration::from_millis(at.since_ms(now))),
                Next::Nothing => None,
            });
        next.min().unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }

    async fn upload(&mut self, path: PathBuf) {
        let Some(tracked) = self.files.get(&path) else {
            return;
        };
        let fingerprint = tracked.fingerprint;
        let next = match key_of(&path, &fingerprint) {
            Err(refusal) => {
                self.refused(&path, &refusal);
                Next::Nothing
            }
            Ok(key) => match self.store_file(&key, &path, fingerprint).await {
                Ok(()) => {
                    self.move_away(&path);
                    Next::Nothing
                }
                Err(attempt) => {
                    self.failed(&path, &attempt);
                    Next::Upload(later(self.clock.now(), RETRY_AFTER))
                }
            },
        };
        self.files.insert(path, Tracked { fingerprint, next });
    }

    /// Makes the file an object, unless it became one before a crash.
    async fn store_file(
        &self,
        key: &ObjectKey,
        path: &Path,
        fingerprint: Fingerprint,
    ) -> Result<(), Attempt> {
        let origin = fingerprint.to_string();
        match self.store.head(key).await {
            Ok(object) if object.options.metadata.get(ORIGIN) == Some(&origin) => {
                tracing::info!(%key, "dropped file was already uploaded");
                return Ok(());
            }
            Ok(_) | Err(StoreFault::NotFound(_)) => {}
            Err(fault) => return Err(fault.into()),
        }
        let (folder, below) = (self.folder.clone(), path.to_owned());
        let copy = move || look::copy(&folder, &below, fingerprint);
        let copied = tokio::task::spawn_blocking(copy).await;
        let copied = copied.unwrap_or_else(|panic| Err(io::Error::other(panic)))?;
        let file = copied.ok_or(Attempt::Changed)?;
        let options = PutOptions {
            metadata: BTreeMap::from([(ORIGIN.to_owned(), origin)]),
            ..PutOptions::default()
        };
        let object = self.store.put_file(key, &file, options).await?;
        self.counts.uploaded.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("iyagi_drop_files_total", "outcome" => "uploaded").increment(1);
        tracing::info!(%key, bytes = object.size, "dropped file uploaded");
        Ok(())
    }

    /// A file that cannot be moved stays; its object's metadata keeps it from being uploaded again.
    fn move_away(&self, path: &Path) {
        let moved = look::move_away(&self.folder, path, &self.folder.join(DONE));
        if let Err(error) = moved {
            tracing::warn!(path = %path.display(), %error, "uploaded file cannot be moved away");
        }
    }

    fn refused(&self, path: &Path, refusal: &Refusal) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("iyagi_drop_files_total", "outcome" => "refused").increment(1);
        tracing::warn!(path = %path.display(), reason = %refusal, "dropped file refused; it stays where it is");
    }

    fn failed(&self, path: &Path, attempt: &Attempt) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("iyagi_drop_files_total", "outcome" => "failed").increment(1);
        tracing::warn!(path = %path.display(), reason = %attempt, "dropped file not uploaded yet");
    }

    fn unreadable(&self, source: io::Error) -> DropFolderError {
        DropFolderError::Unreadable {
            folder: self.folder.clone(),
            source,
        }
    }
}

/// The key of a file: its path below the folder, with `/` between folders.
fn key_of(path: &Path, fingerprint: &Fingerprint) -> Result<ObjectKey, Refusal> {
    if !fingerprint.regular {
        return Err(Refusal::NoFile);
    }
    if fingerprint.size > FILE_BYTES_MAX {
        return Err(Refusal::TooLarge(fingerprint.size));
    }
    let segments: Option<Vec<_>> = path
        .components()
        .map(|component| component.as_os_str().to_str())
        .collect();
    let key = ObjectKey::new(segments.ok_or(Refusal::NotUtf8)?.join("/"))?;
    if key.as_str().starts_with(DERIVED_PREFIX) {
        return Err(Refusal::Derived);
    }
    Ok(key)
}

/// Asks the system for notices; without them the folder is looked at from time to time.
fn watch(folder: &Path, noticed: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let on_event = move |event: notify::Result<notify::Event>| {
        // Reading a folder is an event too, and would make every look the reason for the next.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            noticed.notify_one();
        }
    };
    let watching = notify::recommended_watcher(on_event).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watching
        .inspect_err(|error| {
            tracing::warn!(folder = %folder.display(), %error, "the system does not report changes; looking every {LOOK_EVERY:?}");
        })
        .ok()
}

fn later(now: Timestamp, duration: Duration) -> Timestamp {
    now.plus_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str, size: u64) -> String {
        let fingerprint = Fingerprint {
            regular: true,
            size,
            modified_ns: 0,
        };
        key_of(Path::new(path), &fingerprint)
            .map_or_else(|refusal| refusal.to_string(), |key| key.to_string())
    }

    #[test]
    fn a_key_is_the_path_below_the_folder() {
        assert_eq!(refusal("posts/1/한글 a.jpg", 1), "posts/1/한글 a.jpg");
    }

    #[test]
    fn what_cannot_be_an_object_is_refused_with_the_reason() {
        assert!(refusal("a\u{7}b", 1).contains("control character"));
        assert!(refusal("derived/x.jpg", 1).contains("derived/"));
        assert!(refusal(&"k/".repeat(600), 1).contains("1024"));
        assert!(refusal("big", FILE_BYTES_MAX + 1).contains("bytes"));
    }
}
