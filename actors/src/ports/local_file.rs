//! Bytes on this machine's disk that are too large for memory: those of an object, or what was made of one.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use iyagi_media::hexadecimal;
use sha2::{Digest, Sha256};

/// Bytes as they are taken, one piece after the other.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// What is read of a file at once.
const PIECE_BYTES: usize = 64 << 10;

/// A file whose bytes stay what they are for as long as anybody holds it, whatever becomes of where they came from. Clones
/// are the same file.
#[derive(Clone)]
pub struct LocalFile {
    open: Arc<Open>,
}

struct Open {
    file: File,
    size: u64,
    /// Given back when the last clone is gone.
    _held: Option<Box<dyn Send + Sync>>,
}

impl LocalFile {
    /// A file that nobody writes to any more.
    pub fn new(file: File) -> io::Result<Self> {
        Self::opened(file, None)
    }

    /// One for which something is held, such as its share of a budget, until nobody has the file any more.
    pub fn holding(file: File, held: impl Send + Sync + 'static) -> io::Result<Self> {
        Self::opened(file, Some(Box::new(held)))
    }

    fn opened(file: File, held: Option<Box<dyn Send + Sync>>) -> io::Result<Self> {
        let open = Open {
            size: file.metadata()?.len(),
            file,
            _held: held,
        };
        Ok(Self {
            open: Arc::new(open),
        })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.open.size
    }

    /// The open file, for whoever has to hand it to another process. It has one place for all who read it by `read`.
    pub fn file(&self) -> &File {
        &self.open.file
    }

    /// Reads from the first byte on, with a place of its own.
    pub fn reader(&self) -> LocalFileReader {
        LocalFileReader {
            file: self.clone(),
            at: 0,
        }
    }

    /// All of it, for whoever knows that it is small enough. Blocks.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        self.read_start(self.size())
    }

    /// The first bytes, at most so many. Blocks.
    pub fn read_start(&self, bytes: u64) -> io::Result<Vec<u8>> {
        let bytes = bytes.min(self.size());
        let mut start = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        self.reader().take(bytes).read_to_end(&mut start)?;
        Ok(start)
    }

    /// SHA-256 of the bytes, hexadecimal. Blocks.
    pub fn sha256(&self) -> io::Result<String> {
        let mut digest = Sha256::new();
        self.pass(|piece| {
            digest.update(piece);
            Ok(())
        })?;
        Ok(hexadecimal(&digest.finalize()))
    }

    /// Hands over all of it, a buffer at a time. Blocks.
    pub fn pass(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(PIECE_BYTES, self.reader());
        loop {
            let piece = reader.fill_buf()?;
            let length = piece.len();
            if length == 0 {
                return Ok(());
            }
            take(piece)?;
            reader.consume(length);
        }
    }

    /// Some of the bytes. No more of them are in memory than a piece, whoever is slow to take it.
    pub fn pieces(&self, part: Range<u64>) -> Pieces {
        let pieces = stream::unfold((self.clone(), part), |(file, left)| async move {
            let end = left.end.min(left.start + PIECE_BYTES as u64);
            if left.is_empty() {
                return None;
            }
            let mut piece = vec![0; (end - left.start) as usize];
            let (mut reader, start) = (file.reader(), left.start);
            let read = tokio::task::spawn_blocking(move || {
                reader.seek(SeekFrom::Start(start))?;
                reader.read_exact(&mut piece)?;
                Ok(piece.into())
            });
            let read = read
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)));
            Some((read, (file, end..left.end)))
        });
        pieces.boxed()
    }
}

impl fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Open { file, size, .. } = &*self.open;
        let mut shown = f.debug_struct("LocalFile");
        shown.field("file", file).field("size", size).finish()
    }
}

/// A place in a [`LocalFile`].
#[derive(Debug, Clone)]
pub struct LocalFileReader {
    file: LocalFile,
    at: u64,
}

impl Read for LocalFileReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.open.file.read_at(into, self.at)?;
        if read == 0 && !into.is_empty() && self.at < self.file.size() {
            // Taken for the end, it would be the fault of what is in the file.
            let why = "the file has become shorter while it was read";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for LocalFileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let before = || io::Error::new(ErrorKind::InvalidInput, "a place before the first byte");
        self.at = place.ok_or_else(before)?;
        Ok(self.at)
    }
}
