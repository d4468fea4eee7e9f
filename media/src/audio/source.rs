//! Where the bytes of a recording come from. They are read from place to place and never held as a
//! whole.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::sync::OnceLock;

use symphonia::core::io::MediaSource;

use crate::format::{Format, SNIFF_BYTES, sniff};

/// What can be read from any place: a file, or bytes in memory behind a [`Cursor`](io::Cursor).
pub trait Sound: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> Sound for T {}

/// The bytes of one recording.
pub(super) struct Source<'a> {
    sound: &'a mut dyn Sound,
    size: u64,
    /// What failed first. Demuxers take a failure for the end, so it has to be kept apart.
    fault: &'a OnceLock<String>,
}

impl<'a> Source<'a> {
    pub(super) fn new(sound: &'a mut dyn Sound, fault: &'a OnceLock<String>) -> Self {
        let mut source = Self {
            sound,
            size: 0,
            fault,
        };
        source.size = source.seek(SeekFrom::End(0)).unwrap_or(0);
        source
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn sniff(&mut self) -> Format {
        let mut head = Vec::new();
        let read = self
            .rewind()
            .and_then(|()| self.take(SNIFF_BYTES as u64).read_to_end(&mut head));
        // A failure is kept, and is then what comes of it all.
        read.map_or(Format::Unknown, |_| sniff(&head))
    }

    fn kept<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.fault.get_or_init(|| error.to_string());
        }
        result
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.sound.read(into) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return self.kept(read),
            }
        }
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let found = self.sound.seek(to);
        self.kept(found)
    }
}

impl MediaSource for &mut Source<'_> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.size)
    }
}
