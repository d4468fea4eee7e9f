//! The bytes of objects as files: written aside, moved to where people look, deleted. All of it blocks.
//!
//! A write's bytes are durable in `incoming/` before the index names them and move to `files/` after, so a reader
//! looks in both places and a crash in between only leaves a move to be finished.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use iyagi_actors::ports::LocalFile;

/// The folders of a store.
pub(super) struct Files {
    incoming: PathBuf,
    files: PathBuf,
}

/// Which file holds a write's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The write; its file's name until it is in place.
    pub(super) write_id: String,
    /// The file's path once it is in place.
    pub(super) file: String,
}

impl Files {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let opened = Self {
            incoming: folder.join("incoming"),
            files: folder.join("files"),
        };
        fs::create_dir_all(&opened.incoming)?;
        fs::create_dir_all(&opened.files)?;
        sync_folder(folder)?;
        Ok(opened)
    }

    /// Makes the bytes of some writes durable aside. Whatever fails leaves nothing behind.
    pub(super) fn stage(&self, writes: &[(&str, &[u8])]) -> io::Result<()> {
        let durable = self.write_aside(writes);
        if durable.is_err() {
            for (write_id, _) in writes {
                // What cannot be removed either is removed when the store is opened next.
                fs::remove_file(self.incoming.join(write_id)).ok();
            }
        }
        durable
    }

    /// Where a write's bytes lie aside.
    pub(super) fn aside(&self, write_id: &str) -> PathBuf {
        self.incoming.join(write_id)
    }

    /// Makes durable that a file is aside, whose bytes are.
    pub(super) fn sync_aside(&self) -> io::Result<()> {
        sync_folder(&self.incoming)
    }

    /// The folder is made durable once, when every file in it is.
    fn write_aside(&self, writes: &[(&str, &[u8])]) -> io::Result<()> {
        let mut files = Vec::with_capacity(writes.len());
        for (write_id, bytes) in writes {
            let mut file = File::create_new(self.incoming.join(write_id))?;
            file.write_all(bytes)?;
            files.push(file);
        }
        // The first to be made durable takes what the file system knows of all along.
        files.iter().try_for_each(File::sync_all)?;
        self.sync_aside()
    }

    /// Moves a staged file to its place.
    pub(super) fn settle(&self, stored: &Stored) -> io::Result<()> {
        let (aside, path) = (self.aside(&stored.write_id), self.files.join(&stored.file));
        loop {
            self.create_parents(&path)?;
            match fs::rename(&aside, &path) {
                // The folder was left empty by a file that was deleted meanwhile, and went with it.
                Err(error) if error.kind() == ErrorKind::NotFound && aside.exists() => {}
                // A later write has already replaced and removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                moved => return moved,
            }
        }
    }

    /// A new folder must be durable before a file moves into it, or the file could be lost with it.
    fn create_parents(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(&self.files);
        if parent.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(parent)?;
        for folder in parent.ancestors().skip(1) {
            sync_folder(folder)?;
            if folder == self.files {
                break;
            }
        }
        Ok(())
    }

    /// Reads a file of known size; `None` if it is not there.
    pub(super) fn read(&self, stored: &Stored, size: u64) -> io::Result<Option<Vec<u8>>> {
        // One byte more would show that something else has changed the file.
        let bytes = self.read_start(stored, size.saturating_add(1))?;
        match bytes {
            Some(bytes) if bytes.len() as u64 != size => Err(changed_outside()),
            bytes => Ok(bytes),
        }
    }

    /// Opens a file of known size; `None` if it is not there. No write changes a file once it is named, and one that is
    /// deleted is there for whoever has it open.
    pub(super) fn open_whole(&self, stored: &Stored, size: u64) -> io::Result<Option<LocalFile>> {
        let file = self.find(stored)?.map(LocalFile::new).transpose()?;
        match file {
            Some(file) if file.size() != size => Err(changed_outside()),
            file => Ok(file),
        }
    }

    /// Reads the first bytes of a file, at most so many; `None` if it is not there.
    pub(super) fn read_start(
        &self,
        stored: &Stored,
        bytes_max: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.find(stored)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(bytes_max).unwrap_or(0));
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn find(&self, stored: &Stored) -> io::Result<Option<File>> {
        for path in self.places(stored) {
            match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => return opened.map(Some),
            }
        }
        Ok(None)
    }

    /// Deletes a file wherever it is, and the folders that it leaves empty.
    pub(super) fn remove(&self, stored: &Stored) -> io::Result<()> {
        for path in self.places(stored) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.remove_empty_folders(&path);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn remove_empty_folders(&self, removed: &Path) {
        let own = |folder: &&Path| folder.starts_with(&self.files) && **folder != self.files;
        for folder in removed.ancestors().skip(1).take_while(own) {
            // One that has something in it ends it.
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// In place, or still aside, or moved into place between the first two looks.
    fn places(&self, stored: &Stored) -> [PathBuf; 3] {
        let settled = self.files.join(&stored.file);
        [
            settled.clone(),
            self.incoming.join(&stored.write_id),
            settled,
        ]
    }

    /// The writes that are still aside.
    pub(super) fn staged(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.incoming)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// Deletes a file that is aside and belongs to no object.
    pub(super) fn discard_staged(&self, write_id: &str) -> io::Result<()> {
        fs::remove_file(self.incoming.join(write_id))
    }
}

fn changed_outside() -> io::Error {
    let why = "the file was changed outside the store";
    io::Error::new(ErrorKind::InvalidData, why)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
