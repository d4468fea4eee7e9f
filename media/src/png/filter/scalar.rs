//! The filters in plain Rust.

use super::{ABOVE, LEFT, MEAN, PAETH};

/// Undoes the filters of any number of rows.
pub(super) fn undo<const CHANNELS: usize>(filtered: &[u8], above: &[u8], rows: &mut [u8]) {
    let mut above = above;
    let filtered = filtered.chunks_exact(above.len() + 1);
    for (filtered, row) in filtered.zip(rows.chunks_exact_mut(above.len())) {
        undo_row::<CHANNELS>(filtered[0], &filtered[1..], above, row);
        above = row;
    }
}

fn undo_row<const CHANNELS: usize>(filter: u8, filtered: &[u8], above: &[u8], row: &mut [u8]) {
    let (mut left, mut above_left) = ([0; CHANNELS], [0; CHANNELS]);
    let pixels = row.as_chunks_mut::<CHANNELS>().0.iter_mut();
    let sources = filtered
        .as_chunks::<CHANNELS>()
        .0
        .iter()
        .zip(above.as_chunks().0);
    for (pixel, (added, above)) in pixels.zip(sources) {
        for channel in 0..CHANNELS {
            let (a, b, c) = (left[channel], above[channel], above_left[channel]);
            let predicted = match filter {
                LEFT => a,
                ABOVE => b,
                MEAN => a.midpoint(b),
                PAETH => paeth(a, b, c),
                _ => 0,
            };
            pixel[channel] = u8::wrapping_add(added[channel], predicted);
        }
        (left, above_left) = (*pixel, *above);
    }
}

/// The nearest of three to the sum of two of them less the third.
fn paeth(left: u8, above: u8, above_left: u8) -> u8 {
    let sum = i16::from(left) + i16::from(above) - i16::from(above_left);
    let apart = |from: u8| (sum - i16::from(from)).abs();
    if apart(left) <= apart(above).min(apart(above_left)) {
        left
    } else if apart(above) <= apart(above_left) {
        above
    } else {
        above_left
    }
}
