//! Secrets that a data folder makes for itself, each once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// The secret in `dir/file`, made if there is none. Only the daemon's user can read it.
pub(crate) fn read_or_make(
    dir: &Path,
    file: &str,
    make: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let path = dir.join(file);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            keep(dir, &path, &make()?)?;
            // Somebody else may have been first.
            fs::read(&path)
        }
        read => read,
    }
}

/// Writes it whole or not at all, readable to nobody else, and never over another one.
fn keep(dir: &Path, path: &Path, secret: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(secret)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(dir)?.sync_all(),
        Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(lost) => Err(lost.error),
    }
}
