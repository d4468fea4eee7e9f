//! From the chunks of a PNG to its rows.

use std::ops::Range;

use fdeflate::Decompressor;

use super::Stop;
use super::filter::{self, GROUP};
use crate::probe::png::{Chunk, Chunks};
use crate::raster::Layout;

/// How far back a compressed stream may point, and so what is kept of what was inflated.
const HISTORY: usize = 32 << 10;

/// What the inflater is given at once, so that it comes back often enough to be stopped.
const PIECE_LEN: usize = 64 << 10;

/// Rows, as they are asked for. What follows the last of them is not looked at.
pub(super) struct Inflate<'a> {
    /// The chunks of pixels that were not begun yet.
    chunks: Box<dyn Iterator<Item = Chunk<'a>> + 'a>,
    /// What is left of the one that was.
    input: &'a [u8],
    state: Decompressor,
    /// What was inflated: some history, then filtered rows that nobody has asked for, then room.
    window: Vec<u8>,
    filtered: Range<usize>,
    /// The row that came last; before the first, one of zeros.
    above: Vec<u8>,
    layout: Layout,
    cancel: &'a dyn Fn() -> bool,
}

impl<'a> Inflate<'a> {
    /// `chunks` are those after the header.
    pub(super) fn new(
        chunks: Chunks<'a>,
        layout: Layout,
        width: u32,
        cancel: &'a dyn Fn() -> bool,
    ) -> Self {
        /// With room for this many groups, history is seldom moved.
        const GROUPS: usize = 4;
        let pixels = |chunk: &Chunk<'_>| chunk.kind == b"IDAT";
        let chunks = chunks
            .skip_while(move |chunk| !pixels(chunk))
            .take_while(pixels);
        let row_len = layout.channels() * width as usize;
        let mut state = Decompressor::new();
        // Each chunk has a checksum already.
        state.ignore_adler32();
        Self {
            chunks: Box::new(chunks),
            input: &[],
            state,
            window: vec![0; HISTORY + PIECE_LEN + GROUPS * GROUP * (row_len + 1)],
            filtered: 0..0,
            above: vec![0; row_len],
            layout,
            cancel,
        }
    }

    fn row_len(&self) -> usize {
        self.above.len()
    }

    /// Fills a buffer of whole rows with the next of them.
    pub(super) fn read(&mut self, rows: &mut [u8]) -> Result<(), Stop> {
        let row_len = self.row_len();
        for rows in rows.chunks_mut(GROUP * row_len) {
            let count = rows.len() / row_len;
            let filtered = self.filtered(count * (row_len + 1))?;
            let filtered = &self.window[filtered];
            filter::undo(self.layout, filtered, &self.above, rows)?;
            self.above.copy_from_slice(&rows[rows.len() - row_len..]);
        }
        Ok(())
    }

    /// Where the next so many bytes of filtered rows are in the window.
    fn filtered(&mut self, len: usize) -> Result<Range<usize>, Stop> {
        if self.filtered.start + len > self.window.len() {
            let kept = self
                .filtered
                .end
                .saturating_sub(HISTORY)
                .min(self.filtered.start);
            self.window.copy_within(kept..self.filtered.end, 0);
            self.filtered = self.filtered.start - kept..self.filtered.end - kept;
        }
        while self.filtered.len() < len {
            self.inflate()?;
        }
        let start = self.filtered.start;
        self.filtered.start += len;
        Ok(start..self.filtered.start)
    }

    /// Inflates some of the file into the room that is left.
    fn inflate(&mut self) -> Result<(), Stop> {
        if (self.cancel)() {
            return Err(Stop::Cancelled);
        }
        let mut ended = false;
        if self.input.is_empty() {
            match self.chunks.next() {
                Some(chunk) if chunk.intact() => self.input = chunk.data,
                Some(_) => return Err(Stop::Corrupt("the checksum of its pixels is wrong")),
                None => ended = true,
            }
        }
        let piece = &self.input[..self.input.len().min(PIECE_LEN)];
        let (read, written) = self
            .state
            .read(piece, &mut self.window, self.filtered.end, ended)
            .map_err(|_| Stop::Corrupt("its pixels do not inflate"))?;
        if written == 0 && (ended || self.state.is_done()) {
            return Err(Stop::Corrupt("it has fewer rows than it says"));
        }
        self.input = &self.input[read..];
        self.filtered.end += written;
        Ok(())
    }
}
