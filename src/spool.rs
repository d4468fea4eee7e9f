//! Room on this machine's disk for what is too large for memory and belongs to no store here: objects that come from
//! elsewhere, and what a child process makes of them.
//!
//! Its files have no names: each is gone with whoever holds it, also if that is a process that is killed. All of them
//! together keep within a budget, and whoever finds no room waits for it. A job takes room for one kind of file after
//! another, in the order of [`Kind`], and holds on to what it has; each kind has its own share of the budget, or two jobs
//! could wait for each other.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use iyagi_actors::media_job::{ByteBudget, Share};
use iyagi_actors::ports::LocalFile;
use tokio::sync::mpsc;

use crate::config::Config;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object, as it came, or what is coded in it.
    Object,
    /// What a recording or a picture was decoded to.
    Decoded,
    /// What sound was encoded to.
    Encoded,
    /// What somebody uploads, until it is an object. Whoever is slow to send keeps nothing but other uploads from coming.
    Upload,
}

/// How many kinds there are, each of which has as much room as any other.
pub const KINDS: u64 = 4;

/// A folder for files without names.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    objects: ByteBudget,
    decoded: ByteBudget,
    encoded: ByteBudget,
    uploads: ByteBudget,
}

/// A file that is being written.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    share: Share,
}

impl Spool {
    /// One in a folder that nobody else uses, whose files have at most so many bytes together.
    pub fn new(folder: PathBuf, bytes_max: u64) -> Self {
        let budget = || ByteBudget::new(bytes_max / KINDS);
        Self {
            folder,
            objects: budget(),
            decoded: budget(),
            encoded: budget(),
            uploads: budget(),
        }
    }

    /// The one in the data folder.
    pub fn of(config: &Config) -> Self {
        let folder = config.data.dir.join("spool");
        Self::new(folder, config.media.spool_bytes_max)
    }

    /// Removes what was left behind. There is nothing as a rule, but some file systems name a file for a moment. What cannot
    /// be removed is in nobody's way.
    pub fn clear(&self) {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return remains(&self.folder, &error),
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => return remains(&self.folder, &error),
            };
            match fs::remove_file(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "a file that was left in the spool is removed");
                }
                Err(error) => remains(&path, &error),
            }
        }
    }

    /// Waits for room and makes an empty file for at most so many bytes, which whoever writes to it has to keep to.
    pub async fn file(&self, kind: Kind, bytes_max: u64) -> io::Result<Spooled> {
        let budget = match kind {
            Kind::Object => &self.objects,
            Kind::Decoded => &self.decoded,
            Kind::Encoded => &self.encoded,
            Kind::Upload => &self.uploads,
        };
        let share = budget.share(bytes_max).await;
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || nameless(&folder)).await;
        let file = made.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        Ok(Spooled { file, share })
    }
}

fn remains(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "what was left in the spool cannot be removed");
}

fn nameless(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder)
}

impl Spooled {
    /// The file, to be written to from its first byte on.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes what comes, which is not to be more than there was room made for, and shows it to `seen`. Blocks.
    pub(crate) fn fill(
        self,
        mut coming: mpsc::Receiver<Bytes>,
        mut seen: impl FnMut(&[u8]),
    ) -> io::Result<LocalFile> {
        let mut file = self.file();
        while let Some(piece) = coming.blocking_recv() {
            seen(&piece);
            file.write_all(&piece)?;
        }
        self.finish()
    }

    /// Nobody writes to it any more. Its room is given back when the last reader is gone.
    pub fn finish(self) -> io::Result<LocalFile> {
        LocalFile::holding(self.file, self.share)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).expect("a folder").count()
    }

    #[tokio::test]
    async fn a_file_has_no_name_and_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(folder.path().join("spool"), KINDS << 20);
        let spooled = spool.file(Kind::Object, 5).await.expect("made");
        spooled.file().write_all(b"12345").expect("written");
        let file = spooled.finish().expect("readable");
        assert_eq!(file.read().expect("readable"), b"12345");
        assert_eq!(names(&folder.path().join("spool")), 0);
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_until_the_last_reader_of_another_file_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(folder.path().to_owned(), KINDS << 20);
        let first = spool.file(Kind::Object, 1 << 20).await.expect("made");
        let first = first.finish().expect("readable");
        let reader = first.reader();
        let mut second = Box::pin(spool.file(Kind::Object, 1));
        assert!((&mut second).now_or_never().is_none(), "there is no room");
        drop(first);
        assert!((&mut second).now_or_never().is_none(), "it is still read");
        drop(reader);
        second.await.expect("made");
    }

    #[tokio::test]
    async fn a_job_that_holds_an_object_gets_room_for_what_becomes_of_it_whoever_else_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(folder.path().to_owned(), KINDS << 20);
        let object = spool.file(Kind::Object, 1 << 20).await.expect("made");
        let mut other = Box::pin(spool.file(Kind::Object, 1 << 20));
        assert!((&mut other).now_or_never().is_none(), "there is no room");
        for kind in [Kind::Decoded, Kind::Encoded] {
            let made = tokio::time::timeout(Duration::from_secs(10), spool.file(kind, 1 << 20));
            made.await.expect("it does not wait").expect("made");
        }
        drop(object);
        other.await.expect("made");
    }

    #[tokio::test]
    async fn what_was_left_behind_is_removed_and_an_absent_folder_is_clear() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(folder.path().join("spool"), 1);
        spool.clear();
        assert!(!folder.path().join("spool").exists());
        // What is no file stays, and keeps nothing else from being removed.
        fs::create_dir_all(folder.path().join("spool/.a")).expect("made");
        for name in [".tmpAbCdEf", "zz"] {
            fs::write(folder.path().join("spool").join(name), "half").expect("written");
        }
        spool.clear();
        assert_eq!(names(&folder.path().join("spool")), 1);
    }
}
