//! One daemon at a time on one data folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Holds the data folder until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why the data folder cannot be had.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("another daemon{holder} uses the data folder {}: stop it, or set data.dir to another folder", .dir.display())]
    Taken {
        /// The folder.
        dir: PathBuf,
        /// Its process id, in words, if it is known.
        holder: String,
    },
    /// It cannot be made or written to.
    #[error("the data folder {} cannot be used: {source}", .dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataLock {
    /// Makes the folder if need be, and takes it.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable {
            dir: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(unusable)?;
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = file.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let holder = holder.trim();
                let known = !holder.is_empty();
                let holder = if known {
                    format!(" (process {holder})")
                } else {
                    String::new()
                };
                return Err(LockError::Taken {
                    dir: dir.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        file.set_len(0).map_err(unusable)?;
        write!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_daemon_on_a_folder_is_told_who_has_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = DataLock::take(dir.path()).expect("free");
        let error = DataLock::take(dir.path()).expect_err("taken");
        assert!(
            error
                .to_string()
                .contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(first);
        DataLock::take(dir.path()).expect("free again");
    }
}
