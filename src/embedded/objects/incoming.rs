//! Objects whose bytes come one after the other: written aside as they come, so that no object is whole in memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use iyagi_actors::ports::StoreFault;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::store::from_io;

/// Pieces that may wait for the disk; whoever sends more waits with them.
const PIECES_WAITING_MAX: usize = 4;

/// An object that is still coming. Whoever drops it takes it back.
pub struct Incoming {
    pieces: mpsc::Sender<Vec<u8>>,
    written: JoinHandle<io::Result<Received>>,
}

/// The bytes of an object, all of them, durable but not yet an object.
pub struct Received {
    pub(super) write_id: String,
    path: PathBuf,
    /// How many there are.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// Their CRC-32.
    pub crc32: [u8; 4],
    kept: bool,
}

impl Incoming {
    /// Begins to write into `path`, which must not be there.
    pub(super) fn begin(write_id: String, path: PathBuf) -> Self {
        let (pieces, coming) = mpsc::channel(PIECES_WAITING_MAX);
        let written = tokio::task::spawn_blocking(move || write(write_id, path, coming));
        Self { pieces, written }
    }

    /// Takes a piece.
    pub async fn take(&self, piece: Vec<u8>) {
        // A writer that has gone has met an error, which `end` tells.
        self.pieces.send(piece).await.ok();
    }

    /// There are no more pieces.
    pub async fn end(self) -> Result<Received, StoreFault> {
        drop(self.pieces);
        let written = self.written.await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| from_io(&error))
    }
}

impl Received {
    /// From now on the file is the store's.
    pub(super) fn keep(mut self) -> String {
        self.kept = true;
        std::mem::take(&mut self.write_id)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is removed when the store is opened next.
            fs::remove_file(&self.path).ok();
        }
    }
}

fn write(
    write_id: String,
    path: PathBuf,
    mut pieces: mpsc::Receiver<Vec<u8>>,
) -> io::Result<Received> {
    let mut file = File::create_new(&path)?;
    let mut received = Received {
        write_id,
        path,
        size: 0,
        sha256: [0; 32],
        crc32: [0; 4],
        kept: false,
    };
    let (mut sha256, mut crc32) = (Sha256::new(), crc32fast::Hasher::new());
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(&piece)?;
        sha256.update(&piece);
        crc32.update(&piece);
        received.size += piece.len() as u64;
    }
    file.sync_all()?;
    received.sha256 = sha256.finalize().into();
    received.crc32 = crc32.finalize().to_be_bytes();
    Ok(received)
}
