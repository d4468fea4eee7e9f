//! One index after another: a new one is built beside the one that is searched, and takes its place in one step.
//!
//! ```text
//! search/current          the name of the folder that is searched
//! search/index-1/         an index
//! search/index-2/         the next, while it is built
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const ALIAS: &str = "current";
const PREFIX: &str = "index-";

/// The folder that has the indexes.
#[derive(Debug, Clone)]
pub struct Generations {
    folder: PathBuf,
}

/// One of the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generations {
    /// Opens or creates the folder. Whatever was being built by who is gone is taken away: so only one may have it open.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let generations = Self {
            folder: folder.to_owned(),
        };
        let current = generations.current()?;
        generations.remove_all_but(current)?;
        Ok(generations)
    }

    /// The one that is searched; none in a new folder.
    pub fn current(&self) -> io::Result<Option<Generation>> {
        match fs::read_to_string(self.folder.join(ALIAS)) {
            Ok(name) => Generation::named(name.trim())
                .map(Some)
                .ok_or_else(|| io::Error::other(format!("`{name}` in {ALIAS} names no index"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The one behind all others, to be built.
    pub fn next(&self) -> io::Result<Generation> {
        let last = self.all()?.into_iter().max();
        let last = last.max(self.current()?);
        Ok(Generation(last.map_or(1, |Generation(number)| number + 1)))
    }

    /// An index's own folder.
    pub fn folder(&self, generation: Generation) -> PathBuf {
        self.folder.join(generation.name())
    }

    /// Makes one the one that is searched, and it stays so over a crash. The others are taken away: who still searches one
    /// keeps it until it is closed.
    pub fn publish(&self, generation: Generation) -> io::Result<()> {
        let written = self.folder.join("current.new");
        let mut file = File::create(&written)?;
        file.write_all(generation.name().as_bytes())?;
        file.sync_all()?;
        fs::rename(&written, self.folder.join(ALIAS))?;
        File::open(&self.folder)?.sync_all()?;
        self.remove_all_but(Some(generation))
    }

    fn all(&self) -> io::Result<Vec<Generation>> {
        let entries = fs::read_dir(&self.folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let names: io::Result<Vec<_>> = names.collect();
        let generations = names?;
        let generations = generations.iter().filter_map(|name| name.to_str());
        Ok(generations.filter_map(Generation::named).collect())
    }

    fn remove_all_but(&self, kept: Option<Generation>) -> io::Result<()> {
        let others = self.all()?.into_iter().filter(|one| Some(*one) != kept);
        for other in others {
            fs::remove_dir_all(self.folder(other))?;
        }
        Ok(())
    }
}

impl Generation {
    fn name(self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    fn named(name: &str) -> Option<Self> {
        name.strip_prefix(PREFIX)?.parse().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_takes_the_place_of_another_in_one_step_and_nothing_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let generations = Generations::open(folder.path()).expect("opens");
        assert_eq!(generations.current().expect("reads"), None);
        let first = generations.next().expect("counts");
        fs::create_dir(generations.folder(first)).expect("a folder");
        generations.publish(first).expect("publishes");
        let second = generations.next().expect("counts");
        fs::create_dir(generations.folder(second)).expect("a folder");
        assert_eq!(generations.current().expect("reads"), Some(first));
        generations.publish(second).expect("publishes");
        assert_eq!(generations.current().expect("reads"), Some(second));
        assert!(!generations.folder(first).exists() && generations.folder(second).exists());
    }

    #[test]
    fn what_was_being_built_in_a_crash_is_taken_away_and_its_name_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let generations = Generations::open(folder.path()).expect("opens");
        let first = generations.next().expect("counts");
        fs::create_dir(generations.folder(first)).expect("a folder");
        generations.publish(first).expect("publishes");
        let second = generations.next().expect("counts");
        fs::create_dir(generations.folder(second)).expect("a folder");
        fs::write(folder.path().join("current.new"), "inde").expect("half a name");
        let generations = Generations::open(folder.path()).expect("opens");
        assert_eq!(generations.current().expect("reads"), Some(first));
        assert!(!generations.folder(second).exists());
        assert_eq!(generations.next().expect("counts"), second);
    }

    #[test]
    fn an_alias_that_names_no_index_is_an_error_and_takes_nothing_away() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(ALIAS), "elsewhere").expect("written");
        fs::create_dir(folder.path().join("index-1")).expect("a folder");
        let error = Generations::open(folder.path()).expect_err("refused");
        assert!(error.to_string().contains("elsewhere"), "{error}");
        assert!(folder.path().join("index-1").exists());
    }
}
