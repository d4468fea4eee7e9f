//! The filters in the vector instructions that every x86-64 has.
//!
//! A vector holds a pixel of each row, and each row is one pixel behind the row above it: what that
//! made in the step before is what this one has above it now.

#![allow(
    unsafe_code,
    reason = "vector instructions need a promise that the machine has them"
)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi8, _mm_and_si128, _mm_andnot_si128, _mm_avg_epu8, _mm_cmpeq_epi8,
    _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_max_epu8, _mm_min_epu8, _mm_or_si128, _mm_set1_epi8,
    _mm_setzero_si128, _mm_shuffle_epi32, _mm_slli_si128, _mm_srli_si128, _mm_sub_epi8,
    _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm_xor_si128,
};
use std::array::from_fn;

use super::{ABOVE, GROUP, LEFT, MEAN, PAETH};

/// A pixel of each of eight rows. A pixel of three channels has a fourth that counts for nothing.
type Lanes = [__m128i; 2];

/// How far the last row is behind the first.
const SLANT: usize = GROUP - 1;

/// See [`scalar::undo`](super::scalar::undo); of eight rows.
pub(super) fn undo_group<const CHANNELS: usize>(filtered: &[u8], above: &[u8], rows: &mut [u8]) {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { undo_by_vectors::<CHANNELS>(filtered, above, rows) }
}

#[target_feature(enable = "sse2")]
fn undo_by_vectors<const CHANNELS: usize>(filtered: &[u8], above: &[u8], rows: &mut [u8]) {
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
    #[target_feature(enable = "sse2")]
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
        let begun = from_fn(|row| if row <= step { u32::MAX } else { 0 });
        wave.step(pixel(self.above, 0), lanes(added));
        // A row begins with nothing to its left.
        let begun = lanes(begun);
        wave.pixels = from_fn(|half| _mm_and_si128(wave.pixels[half], begun[half]));
        for (row, made) in numbers(wave.pixels).into_iter().enumerate() {
            if let Some(at) = at(row) {
                self.rows[row][at].copy_from_slice(&made.to_le_bytes()[..CHANNELS]);
            }
        }
    }

    /// So many steps in which every row has a pixel, and another after it. What is written beyond
    /// a pixel of three channels is overwritten by the next.
    #[target_feature(enable = "sse2")]
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
            wave.step(pixel(above), lanes(filtered.map(pixel)));
            for (row, made) in rows.iter_mut().zip(numbers(wave.pixels)) {
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
    #[target_feature(enable = "sse2")]
    fn of(filters: [u8; GROUP]) -> Self {
        let having = |name| filters.map(|filter| if filter == name { u32::MAX } else { 0 });
        Self {
            pixels: [_mm_setzero_si128(); 2],
            above: [_mm_setzero_si128(); 2],
            left: lanes(having(LEFT)),
            up: lanes(having(ABOVE)),
            mean: lanes(having(MEAN)),
            paeth: lanes(having(PAETH)),
        }
    }

    /// Makes the next pixel of each row of what it adds. `first` is above the first row.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn step(&mut self, first: u32, added: Lanes) {
        const PIXEL: i32 = 4;
        const REST: i32 = 16 - PIXEL;
        let [upper, lower] = self.pixels;
        let above = [
            _mm_or_si128(
                _mm_slli_si128::<PIXEL>(upper),
                _mm_cvtsi32_si128(first as i32),
            ),
            _mm_or_si128(
                _mm_slli_si128::<PIXEL>(lower),
                _mm_srli_si128::<REST>(upper),
            ),
        ];
        self.pixels = from_fn(|half| {
            let (a, b, c) = (self.pixels[half], above[half], self.above[half]);
            let plain = _mm_or_si128(
                _mm_and_si128(a, self.left[half]),
                _mm_and_si128(b, self.up[half]),
            );
            let mixed = _mm_or_si128(
                _mm_and_si128(mean(a, b), self.mean[half]),
                _mm_and_si128(paeth(a, b, c), self.paeth[half]),
            );
            _mm_add_epi8(_mm_or_si128(plain, mixed), added[half])
        });
        self.above = above;
    }
}

/// The mean, rounded down where the instruction rounds up.
#[inline]
#[target_feature(enable = "sse2")]
fn mean(a: __m128i, b: __m128i) -> __m128i {
    let odd = _mm_and_si128(_mm_xor_si128(a, b), _mm_set1_epi8(1));
    _mm_sub_epi8(_mm_avg_epu8(a, b), odd)
}

/// See [`scalar::undo`](super::scalar::undo): the nearest of three to `a + b - c`, without leaving
/// eight bits. From there, `a` is as far as `b` is from `c`, and `b` as far as `a` is from `c`. `c`
/// itself can only be nearest if it lies between the two, and is then as far as those differ.
#[inline]
#[target_feature(enable = "sse2")]
fn paeth(a: __m128i, b: __m128i, c: __m128i) -> __m128i {
    let (to_a, to_b) = (apart(b, c), apart(a, c));
    let beyond = _mm_cmpeq_epi8(not_above(a, c), not_above(b, c));
    let to_c = _mm_or_si128(apart(to_a, to_b), beyond);
    let least = _mm_min_epu8(to_c, _mm_min_epu8(to_a, to_b));
    let b_or_c = chosen(_mm_cmpeq_epi8(to_b, least), b, c);
    chosen(_mm_cmpeq_epi8(to_a, least), a, b_or_c)
}

#[inline]
#[target_feature(enable = "sse2")]
fn apart(a: __m128i, b: __m128i) -> __m128i {
    _mm_sub_epi8(_mm_max_epu8(a, b), _mm_min_epu8(a, b))
}

/// All ones where `a` is `b` or less.
#[inline]
#[target_feature(enable = "sse2")]
fn not_above(a: __m128i, b: __m128i) -> __m128i {
    _mm_cmpeq_epi8(_mm_max_epu8(a, b), b)
}

/// `a` where the mask is all ones, `b` where it is zero.
#[inline]
#[target_feature(enable = "sse2")]
fn chosen(mask: __m128i, a: __m128i, b: __m128i) -> __m128i {
    _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b))
}

#[inline]
#[target_feature(enable = "sse2")]
fn lanes(pixels: [u32; GROUP]) -> Lanes {
    from_fn(|half| {
        let pixel = |at: usize| _mm_cvtsi32_si128(pixels[4 * half + at] as i32);
        _mm_unpacklo_epi64(
            _mm_unpacklo_epi32(pixel(0), pixel(1)),
            _mm_unpacklo_epi32(pixel(2), pixel(3)),
        )
    })
}

#[inline]
#[target_feature(enable = "sse2")]
fn numbers([upper, lower]: Lanes) -> [u32; GROUP] {
    let first = |lanes| _mm_cvtsi128_si32(lanes) as u32;
    let second = |lanes| first(_mm_shuffle_epi32::<1>(lanes));
    let late = |lanes| _mm_unpackhi_epi64(lanes, lanes);
    let (late_upper, late_lower) = (late(upper), late(lower));
    [
        first(upper),
        second(upper),
        first(late_upper),
        second(late_upper),
        first(lower),
        second(lower),
        first(late_lower),
        second(late_lower),
    ]
}
