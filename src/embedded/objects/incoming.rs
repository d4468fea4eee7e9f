//! Objects whose bytes come one after the other: written aside as they come, so that no object is whole in memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use iyagi_actors::ports::LocalFile;

use crate::arriving::Arriving;
use crate::digests::{Digester, Digests};

/// An object that is still coming.
pub type Incoming = Arriving<Received>;

/// The bytes of an object, all of them, durable but not yet an object.
pub struct Received {
    aside: Aside,
    /// What they are known by.
    pub(crate) digests: Digests,
}

/// A file beside the store's, which is removed unless the store keeps it.
struct Aside {
    write_id: String,
    path: PathBuf,
    kept: bool,
}

/// Begins to write an object into `path`, which must not be there.
pub(super) fn begin(write_id: String, path: PathBuf) -> Incoming {
    Arriving::begin(|mut pieces| {
        let mut writing = Writing::begin(write_id, path)?;
        while let Some(piece) = pieces.blocking_recv() {
            writing.write(&piece)?;
        }
        writing.end()
    })
}

impl Received {
    /// Copies a file into `path`, which must not be there.
    pub(super) fn copy(write_id: String, path: PathBuf, file: &LocalFile) -> io::Result<Self> {
        let mut writing = Writing::begin(write_id, path)?;
        file.pass(|piece| writing.write(piece))?;
        writing.end()
    }

    /// From now on the file is the store's.
    pub(super) fn keep(mut self) -> String {
        self.aside.kept = true;
        std::mem::take(&mut self.aside.write_id)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is removed when the store is opened next.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// An object some of whose bytes are there.
struct Writing {
    file: File,
    aside: Aside,
    digester: Digester,
}

impl Writing {
    fn begin(write_id: String, path: PathBuf) -> io::Result<Self> {
        let file = File::create_new(&path)?;
        let aside = Aside {
            write_id,
            path,
            kept: false,
        };
        Ok(Self {
            file,
            aside,
            digester: Digester::default(),
        })
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.digester.update(piece);
        self.file.write_all(piece)
    }

    fn end(self) -> io::Result<Received> {
        self.file.sync_all()?;
        Ok(Received {
            aside: self.aside,
            digests: self.digester.finish(),
        })
    }
}
