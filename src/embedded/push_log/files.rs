//! The files of the push log: the one that is written to, and those before it.
//!
//! ```text
//! push.ndjson      what is written to
//! push.ndjson.1    the one before, and so on: the highest number is the oldest
//! ```
//!
//! **Invariant:** a line is in one file, whole or not at all. Files move from the oldest on, up to a number that is free, so
//! that a crash in between leaves one free and loses nothing.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// When the log goes on in a new file, and how much of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Size of a file in bytes; one line may be larger.
    pub bytes_max: u64,
    /// Files, with the one that is written to. The oldest goes.
    pub files_max: u32,
}

impl Default for Rotation {
    /// Half a gigabyte in all, of some hundred thousand pushes a file.
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024 * 1024,
            files_max: 8,
        }
    }
}

/// What is written to.
pub(super) struct Lines {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl Lines {
    /// Opens or creates the file. A line that a crash cut off goes, and so do files beyond the number that is kept.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let surplus: Vec<u32> = numbers_from(path, rotation.files_max).collect();
        // The last of them first: behind what is free none would be found again.
        for number in surplus.into_iter().rev() {
            match fs::remove_file(numbered(path, number)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut file = open_to_append(path)?;
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        Ok(Self {
            path: path.to_owned(),
            rotation,
            file,
            length,
        })
    }

    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let added = line.len() as u64;
        if self.length > 0 && self.length + added > self.rotation.bytes_max {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(line) {
            // Half a line would spoil the next one.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += added;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let file_of = |number| numbered(&self.path, number);
        let last = self.rotation.files_max - 1;
        if last == 0 {
            self.file.set_len(0)?;
        } else {
            let free = (0..last).find(|number| !file_of(*number).exists());
            for number in (0..free.unwrap_or(last)).rev() {
                fs::rename(file_of(number), file_of(number + 1))?;
            }
            self.file = open_to_append(&self.path)?;
        }
        self.length = 0;
        tracing::info!(file = %self.path.display(), "the push log goes on in a new file");
        Ok(())
    }
}

/// Every whole line that is kept, oldest first, live or at rest.
pub(super) fn read_lines(
    path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<String>> + use<>> {
    Ok(oldest_first(path)?.into_iter().flat_map(|file| {
        let mut lines = BufReader::new(file);
        std::iter::from_fn(move || {
            let mut line = String::new();
            match lines.read_line(&mut line) {
                // The last line of a live file may still be on its way.
                Ok(_) if !line.ends_with('\n') => None,
                Ok(_) => Some(Ok(line)),
                Err(error) => Some(Err(error)),
            }
        })
    }))
}

/// The files. They are opened from the newest on, because a writer moves them the other way meanwhile: each is met, and
/// one that is met again under its next number is known by what it is.
fn oldest_first(path: &Path) -> io::Result<Vec<File>> {
    let mut found = Vec::new();
    let mut met = HashSet::new();
    for number in numbers_from(path, 0) {
        match File::open(numbered(path, number)) {
            Ok(file) => {
                let metadata = file.metadata()?;
                if met.insert((metadata.dev(), metadata.ino())) {
                    found.push(file);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() {
        return Err(ErrorKind::NotFound.into());
    }
    found.reverse();
    Ok(found)
}

/// Numbers from one on that the log's files may have, 0 being the newest. A rotation leaves one free at most: what has a
/// number behind two that are free, such as a date, is somebody's own.
fn numbers_from(path: &Path, first: u32) -> impl Iterator<Item = u32> {
    const FREE_MAX: u32 = 1;
    let mut free = 0;
    (first..=u32::MAX).take_while(move |number| {
        let there = numbered(path, *number).exists();
        free = if there { 0 } else { free + 1 };
        free <= FREE_MAX
    })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

fn open_to_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).open(path)
}

/// Bytes up to the last line's end.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        (&mut *file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
