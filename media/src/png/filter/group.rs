//! Eight rows side by side.
//!
//! A vector holds a pixel of each row, and each row is one pixel behind the row above it: what that
//! made in the step before is what this one has above it now.

use std::array::from_fn;

use super::vector::Lanes;
use super::{ABOVE, GROUP, LEFT, MEAN, PAETH};

/// How far the last row is behind the first.
const SLANT: usize = GROUP - 1;

/// See [`scalar::undo`](super::scalar::undo); of eight rows.
pub(super) fn undo<const CHANNELS: usize>(filtered: &[u8], above: &[u8], rows: &mut [u8]) {
    let row_len = above.len();
    let named: [&[u8]; GROUP] = from_fn(|row| &filtered[row * (row_len + 1)..][..=row_len]);
    let mut rest = rows.chunks_exact_mut(row_len);
    let mut group = Group::<CHANNELS> {
        filtered: named.map(|row| &row[1..]),
        above,
        rows: from_fn(|_| rest.next().expect("a group is of eight rows")),
    };
    let mut wave = Wave::of(named.map(|row| row[0]));
    let pixels = row_len / CHANNELS;
    // The last pixel of a row has no byte after it that could be read and written with it.
    let steady = SLANT..(pixels - 1).max(SLANT);
    for step in 0..steady.start {
        group.edge_step(&mut wave, step);
    }
    group.steady_steps(&mut wave, steady.len());
    for step in steady.end..pixels + SLANT {
        group.edge_step(&mut wave, step);
    }
}

/// Eight rows, and the one above them.
struct Group<'a, const CHANNELS: usize> {
    filtered: [&'a [u8]; GROUP],
    above: &'a [u8],
    rows: [&'a mut [u8]; GROUP],
}

impl<const CHANNELS: usize> Group<'_, CHANNELS> {
    /// A step in which some of the rows have no pixel: they were not begun, or are done.
    fn edge_step(&mut self, wave: &mut Wave, step: usize) {
        let row_len = self.above.len();
        let at = |row: usize| {
            let at = CHANNELS * step.checked_sub(row)?;
            (at < row_len).then_some(at..at + CHANNELS)
        };
        let pixel = |bytes: &[u8], row| {
            let mut pixel = [0; 4];
            if let Some(at) = at(row) {
                pixel[..CHANNELS].copy_from_slice(&bytes[at]);
            }
            u32::from_le_bytes(pixel)
        };
        let added = from_fn(|row| pixel(self.filtered[row], row));
        wave.step(pixel(self.above, 0), added);
        // A row begins with nothing to its left.
        wave.pixels = wave.pixels & Lanes::marked(from_fn(|row| row <= step));
        for (row, made) in wave.pixels.numbers().as_flattened().iter().enumerate() {
            if let Some(at) = at(row) {
                self.rows[row][at].copy_from_slice(&made.to_le_bytes()[..CHANNELS]);
            }
        }
    }

    /// So many steps in which every row has a pixel, and another after it. What is written beyond
    /// a pixel of three channels is overwritten by the next.
    fn steady_steps(&mut self, wave: &mut Wave, steps: usize) {
        let Some(last) = steps.checked_sub(1) else {
            return;
        };
        // Slices of one length that begin where each row is, so that one check is enough for all.
        let len = last * CHANNELS + 4;
        let begin = |row: usize| (SLANT - row) * CHANNELS;
        let filtered: [&[u8]; GROUP] = from_fn(|row| &self.filtered[row][begin(row)..][..len]);
        let above = &self.above[begin(0)..][..len];
        let mut row = 0..;
        let mut rows = self.rows.each_mut().map(|bytes| {
            let begin = row.next().map_or(0, begin);
            &mut bytes[begin..][..len]
        });
        for at in (0..=last * CHANNELS).step_by(CHANNELS) {
            let pixel = |bytes: &[u8]| {
                let pixel = bytes[at..at + 4].try_into();
                u32::from_le_bytes(pixel.expect("four bytes"))
            };
            wave.step(pixel(above), filtered.map(pixel));
            for (row, made) in rows.iter_mut().zip(wave.pixels.numbers().as_flattened()) {
                row[at..at + 4].copy_from_slice(&made.to_le_bytes());
            }
        }
    }
}

/// Where all rows are.
struct Wave {
    /// What the last step made: to the left of the next.
    pixels: Lanes,
    /// What was above them: above and to the left of the next.
    above: Lanes,
    /// All ones in the rows that have this filter.
    left: Lanes,
    up: Lanes,
    mean: Lanes,
    paeth: Lanes,
}

impl Wave {
    fn of(filters: [u8; GROUP]) -> Self {
        let having = |name| Lanes::marked(filters.map(|filter| filter == name));
        Self {
            pixels: Lanes::of([0; GROUP]),
            above: Lanes::of([0; GROUP]),
            left: having(LEFT),
            up: having(ABOVE),
            mean: having(MEAN),
            paeth: having(PAETH),
        }
    }

    /// Makes the next pixel of each row of what it adds. `first` is above the first row.
    #[inline]
    fn step(&mut self, first: u32, added: [u32; GROUP]) {
        let (a, b, c) = (self.pixels, self.pixels.lowered(first), self.above);
        let plain = (a & self.left) | (b & self.up);
        let mixed = (a.mean(b) & self.mean) | (Lanes::paeth(a, b, c) & self.paeth);
        self.pixels = (plain | mixed).plus(Lanes::of(added));
        self.above = b;
    }
}

impl Lanes {
    /// All ones in some of the rows, zeros in the others.
    fn marked(rows: [bool; GROUP]) -> Self {
        Self::of(rows.map(|marked| if marked { u32::MAX } else { 0 }))
    }
}
