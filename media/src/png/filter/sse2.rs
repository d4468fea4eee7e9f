//! A pixel of each of eight rows, in the vector instructions that every x86-64 has.

#![allow(
    unsafe_code,
    reason = "vector instructions need a promise that the machine has them"
)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi8, _mm_and_si128, _mm_andnot_si128, _mm_avg_epu8, _mm_cmpeq_epi8,
    _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_max_epu8, _mm_min_epu8, _mm_or_si128, _mm_set1_epi8,
    _mm_shuffle_epi32, _mm_slli_si128, _mm_srli_si128, _mm_sub_epi8, _mm_unpackhi_epi64,
    _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm_xor_si128,
};
use std::ops::{BitAnd, BitOr};

use super::GROUP;

/// A pixel of each of eight rows, the first row's first. A pixel of three channels has a fourth
/// that counts for nothing.
#[derive(Clone, Copy)]
pub(super) struct Lanes([__m128i; 2]);

impl Lanes {
    #[inline]
    pub(super) fn of(pixels: [u32; GROUP]) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { Self([four(pixels, 0), four(pixels, 4)]) }
    }

    #[inline]
    pub(super) fn numbers(self) -> [[u32; GROUP / 2]; 2] {
        let [upper, lower] = self.0;
        // SAFETY: SSE2 is part of x86-64.
        unsafe { [numbers(upper), numbers(lower)] }
    }

    /// Each pixel in the row below its own; `first` comes into the first.
    #[inline]
    pub(super) fn lowered(self, first: u32) -> Self {
        const PIXEL: i32 = 4;
        const REST: i32 = 16 - PIXEL;
        let [upper, lower] = self.0;
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let first = _mm_cvtsi32_si128(first as i32);
            let last_upper = _mm_srli_si128::<REST>(upper);
            Self([
                _mm_or_si128(_mm_slli_si128::<PIXEL>(upper), first),
                _mm_or_si128(_mm_slli_si128::<PIXEL>(lower), last_upper),
            ])
        }
    }

    /// The sums, modulo 256.
    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        self.with(other, |a, b| unsafe { _mm_add_epi8(a, b) })
    }

    /// The means, rounded down where the instruction rounds up.
    #[inline]
    pub(super) fn mean(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        self.with(other, |a, b| unsafe {
            let odd = _mm_and_si128(_mm_xor_si128(a, b), _mm_set1_epi8(1));
            _mm_sub_epi8(_mm_avg_epu8(a, b), odd)
        })
    }

    /// The nearest of three to `a + b - c`, as the filter of this name has it.
    #[inline]
    pub(super) fn paeth(a: Self, b: Self, c: Self) -> Self {
        let half = |half: usize| {
            // SAFETY: SSE2 is part of x86-64.
            unsafe { paeth(a.0[half], b.0[half], c.0[half]) }
        };
        Self([half(0), half(1)])
    }

    #[inline]
    fn with(self, other: Self, make: impl Fn(__m128i, __m128i) -> __m128i) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        Self([make(a, c), make(b, d)])
    }
}

impl BitAnd for Lanes {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        self.with(other, |a, b| unsafe { _mm_and_si128(a, b) })
    }
}

impl BitOr for Lanes {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        self.with(other, |a, b| unsafe { _mm_or_si128(a, b) })
    }
}

/// Never leaves eight bits. From `a + b - c`, `a` is as far as `b` is from `c`, and `b` as far as
/// `a` is from `c`. `c` itself can only be nearest if it lies between the two, and is then as far
/// as those differ.
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
fn four(pixels: [u32; GROUP], first: usize) -> __m128i {
    let pixel = |at: usize| _mm_cvtsi32_si128(pixels[first + at] as i32);
    _mm_unpacklo_epi64(
        _mm_unpacklo_epi32(pixel(0), pixel(1)),
        _mm_unpacklo_epi32(pixel(2), pixel(3)),
    )
}

#[inline]
#[target_feature(enable = "sse2")]
fn numbers(four: __m128i) -> [u32; GROUP / 2] {
    let first = |lanes| _mm_cvtsi128_si32(lanes) as u32;
    let second = |lanes| first(_mm_shuffle_epi32::<1>(lanes));
    let late = _mm_unpackhi_epi64(four, four);
    [first(four), second(four), first(late), second(late)]
}
