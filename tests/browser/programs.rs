//! Programs that tests need and that not every machine has.

use std::env;
use std::path::PathBuf;

/// Whether a program is not installed. It says so, and `REQUIRE_SERVERS=all` makes that a failure.
pub(crate) fn lacks(program: &str, cure: &str) -> bool {
    if path(program).is_some() {
        return false;
    }
    let required = env::var("REQUIRE_SERVERS").is_ok_and(|servers| servers == "all");
    assert!(!required, "{program} is not installed: {cure}");
    eprintln!("left out: {program} is not installed: {cure}");
    true
}

/// Where a program is.
pub(crate) fn path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
