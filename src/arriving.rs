//! Bytes that come one piece after the other, and are written by a thread that may block: nobody has all of them in memory.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Pieces that may wait for the disk; whoever sends more waits with them.
const PIECES_WAITING_MAX: usize = 4;

/// Bytes that are still coming, and what is made of them. Whoever drops it takes them back.
pub struct Arriving<T> {
    pieces: mpsc::Sender<Bytes>,
    written: JoinHandle<io::Result<T>>,
}

impl<T: Send + 'static> Arriving<T> {
    /// Has the pieces written as they come: `write` gets them in order, and ends after the last.
    pub(crate) fn begin(
        write: impl FnOnce(mpsc::Receiver<Bytes>) -> io::Result<T> + Send + 'static,
    ) -> Self {
        let (pieces, coming) = mpsc::channel(PIECES_WAITING_MAX);
        let written = tokio::task::spawn_blocking(move || write(coming));
        Self { pieces, written }
    }

    /// Takes a piece, and says whether it is of use: a writer that has met an error takes none, and `end` tells it.
    pub async fn take(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// There are no more pieces.
    pub async fn end(self) -> io::Result<T> {
        drop(self.pieces);
        let written = self.written.await;
        written.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
