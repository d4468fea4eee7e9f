//! Resizing a picture while its rows come: no more of them are held than the filter looks at.

use fast_image_resize::Resizer;

use crate::lanczos::LOBES;
use crate::raster::Layout;
use crate::resize::resize_rows;

/// Rows are asked for in multiples of this, but for the last: a decoder may make some side by side.
const ROWS_MULTIPLE: u32 = 8;

/// Bytes of rows that are resized together, beside those that the filter needs around them. With
/// fewer, the weights of the filter would cost more than the filter; more would leave the cache.
const BAND_LEN: usize = 1 << 20;

/// Makes a picture of another size. `read` fills a buffer with the next rows, from the first to the
/// last.
pub(crate) fn shrink<E>(
    layout: Layout,
    (width, height): (u32, u32),
    to: (u32, u32),
    mut read: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let row_len = layout.channels() * width as usize;
    let scale = f64::from(height) / f64::from(to.1);
    let reach = LOBES as f64 * scale.max(1.0);
    let middle = |made: u32| (f64::from(made) + 0.5) * scale;
    let around = (2.0 * reach + scale).ceil() as u32 + 2;
    let band = (BAND_LEN / row_len) as u32 / ROWS_MULTIPLE + 1;
    let held_max = around.saturating_add(band * ROWS_MULTIPLE).min(height);

    let made_len = layout.channels() * to.0 as usize;
    let mut samples = vec![0; made_len * to.1 as usize];
    let mut rows = vec![0; row_len * held_max as usize];
    let mut resizer = Resizer::new();
    // What is held of the source, and what is made.
    let (mut first, mut end, mut made) = (0, 0, 0);
    while made < to.1 {
        let (room, rest) = (held_max - (end - first), height - end);
        let more = if room < rest {
            room - room % ROWS_MULTIPLE
        } else {
            rest
        };
        let held = row_len * (end - first) as usize;
        read(&mut rows[held..][..row_len * more as usize])?;
        end += more;

        let complete = |row: &u32| end == height || middle(*row) + reach + 1.0 <= f64::from(end);
        let until = (made..to.1)
            .take_while(complete)
            .last()
            .map_or(made, |row| row + 1);
        let top = f64::from(made) * scale - f64::from(first);
        let bottom = (f64::from(until) * scale - f64::from(first)).min(f64::from(end - first));
        resize_rows(
            &mut resizer,
            layout,
            (
                &rows[..row_len * (end - first) as usize],
                (width, end - first),
                top..bottom,
            ),
            (
                &mut samples[made_len * made as usize..][..made_len * (until - made) as usize],
                (to.0, until - made),
            ),
        );
        made = until;

        let needed = ((middle(made) - reach).floor() as u32).clamp(first, end);
        rows.copy_within(
            row_len * (needed - first) as usize..row_len * (end - first) as usize,
            0,
        );
        first = needed;
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, of a picture that is there.
    fn shrunk(layout: Layout, source: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let mut rest = source;
        let made = shrink(layout, from, to, |rows: &mut [u8]| {
            let (next, after) = rest.split_at(rows.len());
            rows.copy_from_slice(next);
            rest = after;
            Ok::<(), ()>(())
        });
        assert!(rest.is_empty(), "every row is asked for once");
        made.unwrap()
    }

    #[test]
    fn rows_that_come_make_what_a_whole_picture_makes() {
        let mut random = fastrand::Rng::with_seed(4);
        for (from, to) in [
            ((700, 1_900), (331, 899)),
            ((3, 7_000), (1, 64)),
            ((9, 20_011), (9, 20_010)),
            ((5_000, 1), (64, 1)),
            ((500, 12), (4, 12)),
            ((40, 30), (32, 24)),
            ((1_000, 2_000), (1, 2)),
        ] {
            for layout in [Layout::Rgb, Layout::Rgba] {
                let len = layout.channels() * (from.0 * from.1) as usize;
                let source: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
                let mut whole = vec![0; layout.channels() * (to.0 * to.1) as usize];
                let all = 0.0..f64::from(from.1);
                resize_rows(
                    &mut Resizer::new(),
                    layout,
                    (&source, from, all),
                    (&mut whole, to),
                );
                let made = shrunk(layout, &source, from, to);
                let apart = made.iter().zip(&whole).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(apart <= Some(1), "{from:?} to {to:?}: {apart:?}");
            }
        }
    }

    #[test]
    fn what_stops_the_rows_stops_the_picture() {
        let mut left = 3;
        let made = shrink(Layout::Rgb, (900, 9_000), (90, 900), |_: &mut [u8]| {
            left -= 1;
            if left == 0 { Err("stopped") } else { Ok(()) }
        });
        assert_eq!(made, Err("stopped"));
    }
}
