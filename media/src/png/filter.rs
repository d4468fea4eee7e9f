//! The filters of PNG, undone: what each byte of a row adds to a prediction from those to its left
//! and above (PNG specification, third edition, chapter 9).
//!
//! Each pixel needs the one before it, so that a row by itself has to wait for every step. Eight
//! rows go side by side instead, each a pixel behind the one above it.
//!
//! The kernel in vector instructions has a twin in plain Rust that gives the same bytes.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod group;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod sse2;

cfg_select! {
    target_arch = "x86_64" => { use {group as kernel, sse2 as vector}; }
    target_arch = "aarch64" => { use {group as kernel, neon as vector}; }
    _ => { use scalar as kernel; }
}

use super::Stop;
use crate::raster::Layout;

/// Rows that are worked on side by side.
pub(super) const GROUP: usize = 8;

/// Filters, as the byte before each row names them.
const LEFT: u8 = 1;
const ABOVE: u8 = 2;
const MEAN: u8 = 3;
const PAETH: u8 = 4;

/// Undoes the filters of some rows. `filtered` has the byte of the filter before each of them;
/// `above` is the row before the first.
pub(super) fn undo(
    layout: Layout,
    filtered: &[u8],
    above: &[u8],
    rows: &mut [u8],
) -> Result<(), Stop> {
    let row_len = above.len();
    let names = filtered.iter().step_by(row_len + 1);
    if names.clone().any(|name| *name > PAETH) {
        return Err(Stop::Corrupt("a row has a filter that PNG has not"));
    }
    let group = rows.len() == GROUP * row_len;
    match (layout, group) {
        (Layout::Rgb, true) => undo_group::<3>(filtered, above, rows),
        (Layout::Rgb, false) => scalar::undo::<3>(filtered, above, rows),
        (Layout::Rgba | Layout::Cmyk, true) => undo_group::<4>(filtered, above, rows),
        (Layout::Rgba | Layout::Cmyk, false) => scalar::undo::<4>(filtered, above, rows),
    }
    Ok(())
}

/// Undoes the filters of a whole group. While it is fuzzed, the kernel has to make what its twin
/// makes.
fn undo_group<const CHANNELS: usize>(filtered: &[u8], above: &[u8], rows: &mut [u8]) {
    kernel::undo::<CHANNELS>(filtered, above, rows);
    if cfg!(fuzzing) {
        let mut plain = vec![0; rows.len()];
        scalar::undo::<CHANNELS>(filtered, above, &mut plain);
        assert!(rows == plain, "a kernel made something else than its twin");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_give_the_same_rows_as_plain_rust() {
        fn same<const CHANNELS: usize>(random: &mut fastrand::Rng, pixels: usize) {
            let row_len = CHANNELS * pixels;
            let mut noise = |len: usize| -> Vec<u8> {
                // Few values make the ties that rules are needed for.
                let most = [1, 3, 255][random.usize(0..3)];
                (0..len).map(|_| random.u8(0..=most)).collect()
            };
            let above = noise(row_len);
            let mut filtered = noise(GROUP * (row_len + 1));
            for row in filtered.chunks_mut(row_len + 1) {
                row[0] = random.u8(0..=PAETH);
            }
            let (mut by_vectors, mut plain) = (vec![7; GROUP * row_len], vec![9; GROUP * row_len]);
            kernel::undo::<CHANNELS>(&filtered, &above, &mut by_vectors);
            scalar::undo::<CHANNELS>(&filtered, &above, &mut plain);
            assert_eq!(by_vectors, plain, "{pixels} pixels of {CHANNELS}");
        }
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..4_000 {
            let pixels = if round % 20 == 0 {
                random.usize(1..700)
            } else {
                1 + round % 24
            };
            same::<3>(&mut random, pixels);
            same::<4>(&mut random, pixels);
        }
    }

    #[test]
    fn a_filter_that_there_is_not_is_refused() {
        let undone = undo(Layout::Rgb, &[5, 0, 0, 0], &[0; 3], &mut [0; 3]);
        assert!(matches!(undone, Err(Stop::Corrupt(_))));
    }

    #[test]
    fn each_filter_adds_to_what_the_specification_says() {
        let above = [10, 20, 30, 60, 70, 80];
        for (filter, expected) in [
            (0, [1, 2, 3, 4, 5, 6]),
            (LEFT, [1, 2, 3, 5, 7, 9]),
            (ABOVE, [11, 22, 33, 64, 75, 86]),
            (MEAN, [6, 12, 18, 37, 46, 55]),
            (PAETH, [11, 22, 33, 64, 75, 86]),
        ] {
            let mut row = [0; 6];
            undo(Layout::Rgb, &[filter, 1, 2, 3, 4, 5, 6], &above, &mut row).unwrap();
            assert_eq!(row, expected, "filter {filter}");
        }
    }
}
