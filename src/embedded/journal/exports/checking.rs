//! Reads an export back, to the last byte.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use iyagi_media::hexadecimal;
use iyagi_messages::event::Event;
use iyagi_messages::ids::Pos;
use sha2::{Digest, Sha256};
use zstd::stream::read::Decoder;

use super::{Export, ExportFault, Manifest};

/// Bytes that pass, counted and hashed.
pub(in crate::embedded::journal) struct Tally<T> {
    inner: T,
    pub(super) bytes: u64,
    sum: Sha256,
}

impl<T> Tally<T> {
    pub(super) fn of(inner: T) -> Self {
        Self {
            inner,
            bytes: 0,
            sum: Sha256::new(),
        }
    }

    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
    }

    /// What it passed on to, how many bytes, and their SHA-256.
    pub(super) fn finish(self) -> (T, u64, String) {
        (self.inner, self.bytes, hexadecimal(&self.sum.finalize()))
    }
}

impl<R: Read> Read for Tally<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.note(&buffer[..read]);
        Ok(read)
    }
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.note(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What a file of lines holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) lines_sha256: String,
}

/// Reads a file of lines: every one is an event, and their positions run from `first` without a gap.
pub(super) fn read_back(path: &Path, first: Pos) -> Result<Held, ExportFault> {
    let failed = || ExportFault::file(path);
    let file = Tally::of(File::open(path).map_err(failed())?);
    let mut decoder = Decoder::with_buffer(BufReader::new(file)).map_err(failed())?;
    let mut lines = Tally::of(());
    let mut line = Vec::new();
    let mut events = 0;
    {
        let mut reader = BufReader::new(&mut decoder);
        while reader.read_until(b'\n', &mut line).map_err(failed())? > 0 {
            lines.note(&line);
            let event: Event = serde_json::from_slice(&line).map_err(|error| {
                ExportFault::wrong(path, format!("line {}: {error}", events + 1))
            })?;
            let due = Pos(first.0 + events);
            if event.pos != due {
                let reason = format!("position {} stands where {due} is due", event.pos);
                return Err(ExportFault::wrong(path, reason));
            }
            events += 1;
            line.clear();
        }
    }
    let mut file = decoder.finish();
    // Whatever stands behind the lines counts for the file as well.
    io::copy(&mut file, &mut io::sink()).map_err(failed())?;
    let (_, bytes, sha256) = file.into_inner().finish();
    let ((), _, lines_sha256) = lines.finish();
    Ok(Held {
        events,
        bytes,
        sha256,
        lines_sha256,
    })
}

/// Checks an export and its manifest, which must name the one before.
pub(super) fn check(
    folder: &Path,
    export: &Export,
    before: Option<&Export>,
) -> Result<(), ExportFault> {
    let path = folder.join(export.manifest());
    let bytes = fs::read(&path).map_err(ExportFault::file(&path))?;
    if hexadecimal(&Sha256::digest(&bytes)) != export.manifest_sha256 {
        return Err(ExportFault::wrong(&path, "its SHA-256 is another one"));
    }
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| ExportFault::wrong(&path, error.to_string()))?;
    let named = manifest.previous.as_ref().map(|one| &one.sha256);
    if named != before.map(|before| &before.manifest_sha256) {
        return Err(ExportFault::wrong(&path, "it names another one before it"));
    }
    let path = folder.join(&export.file);
    let held = read_back(&path, export.first)?;
    let expected = Held {
        events: export.last.0 - export.first.0 + 1,
        bytes: export.bytes,
        sha256: export.sha256.clone(),
        lines_sha256: manifest.lines_sha256,
    };
    if held != expected {
        let reason = format!("it holds {held:?}, not {expected:?}");
        return Err(ExportFault::wrong(&path, reason));
    }
    Ok(())
}
