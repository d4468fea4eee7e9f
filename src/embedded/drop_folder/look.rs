//! What is in the folder. All of it blocks.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use iyagi_actors::ports::LocalFile;

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// False for links, pipes and the like, which are not followed.
    pub(super) regular: bool,
    pub(super) size: u64,
    pub(super) modified_ns: u128,
}

/// A file below the folder.
pub(super) struct Found {
    /// Relative to the folder.
    pub(super) path: PathBuf,
    pub(super) fingerprint: Fingerprint,
}

impl Fingerprint {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
        Self {
            regular: metadata.is_file(),
            size: metadata.len(),
            modified_ns: since.map_or(0, |since| since.as_nanos()),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.modified_ns, self.size)
    }
}

/// Every file below a folder, except those that are hidden or in hidden folders.
pub(super) fn files_below(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let entries = match fs::read_dir(folder.join(&below)) {
            Ok(entries) => entries,
            Err(error) if below.as_os_str().is_empty() => return Err(error),
            Err(error) => {
                skipped(&below, &error);
                continue;
            }
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = below.join(entry.file_name());
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) => found.push(Found {
                    path,
                    fingerprint: Fingerprint::of(&metadata),
                }),
                Err(error) => skipped(&path, &error),
            }
        }
    }
    Ok(found)
}

fn skipped(path: &Path, error: &io::Error) {
    // Gone between the listing and the look: that is no trouble.
    if error.kind() != ErrorKind::NotFound {
        tracing::warn!(path = %path.display(), %error, "not looked at");
    }
}

/// A copy of a file, which whoever dropped it no longer writes to; nothing if it is not the file any more that was seen.
pub(super) fn copy(folder: &Path, path: &Path, seen: Fingerprint) -> io::Result<Option<LocalFile>> {
    let dropped = File::open(folder.join(path))?;
    let mut copied = tempfile::tempfile_in(folder)?;
    // A file that grows meanwhile must not fill the disk.
    let bytes = io::copy(&mut (&dropped).take(seen.size + 1), &mut copied)?;
    let unchanged = Fingerprint::of(&dropped.metadata()?) == seen && bytes == seen.size;
    unchanged.then(|| LocalFile::new(copied)).transpose()
}

/// Moves a file to the same path below `done`, or beside if that is taken.
pub(super) fn move_away(folder: &Path, path: &Path, done: &Path) -> io::Result<()> {
    /// More uploads of one name than anybody keeps.
    const NUMBERS_MAX: u32 = 10_000;
    let from = folder.join(path);
    for number in 0..NUMBERS_MAX {
        let below = match number {
            0 => done.to_owned(),
            number => done.join(format!(".{number}")),
        };
        let to = below.join(path);
        let parent = to.parent().unwrap_or(&below);
        // A file `a` in the way of a folder `a` is a reason to take the next number, as is a file of the same name.
        if to.symlink_metadata().is_ok() || blocked(parent, done) {
            continue;
        }
        fs::create_dir_all(parent)?;
        return fs::rename(&from, &to);
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        "every place for it is taken: clear the folder of uploaded files",
    ))
}

/// Whether something other than a folder stands where a folder is needed.
fn blocked(parent: &Path, done: &Path) -> bool {
    parent
        .ancestors()
        .take_while(|ancestor| ancestor.starts_with(done))
        .any(|ancestor| ancestor.symlink_metadata().is_ok_and(|m| !m.is_dir()))
}
