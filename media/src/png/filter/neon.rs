//! A pixel of each of eight rows, in the vector instructions that every arm64 has.

#![allow(
    unsafe_code,
    reason = "vector instructions need a promise that the machine has them"
)]

use std::arch::aarch64::{
    uint8x16_t, vabdq_u8, vaddq_u8, vandq_u8, vbslq_u8, vceqq_u8, vcleq_u8, vdupq_n_u32, vextq_u8,
    vgetq_lane_u32, vhaddq_u8, vminq_u8, vorrq_u8, vreinterpretq_u8_u32, vreinterpretq_u32_u8,
    vsetq_lane_u32,
};
use std::ops::{BitAnd, BitOr};

use super::GROUP;

/// A pixel of each of eight rows, the first row's first. A pixel of three channels has a fourth
/// that counts for nothing.
#[derive(Clone, Copy)]
pub(super) struct Lanes([uint8x16_t; 2]);

impl Lanes {
    #[inline]
    pub(super) fn of(pixels: [u32; GROUP]) -> Self {
        // SAFETY: NEON is part of arm64.
        unsafe { Self([four(pixels, 0), four(pixels, 4)]) }
    }

    #[inline]
    pub(super) fn numbers(self) -> [[u32; GROUP / 2]; 2] {
        let [upper, lower] = self.0;
        // SAFETY: NEON is part of arm64.
        unsafe { [numbers(upper), numbers(lower)] }
    }

    /// Each pixel in the row below its own; `first` comes into the first.
    #[inline]
    pub(super) fn lowered(self, first: u32) -> Self {
        const REST: i32 = 16 - 4;
        let [upper, lower] = self.0;
        // SAFETY: NEON is part of arm64.
        unsafe {
            let first = vreinterpretq_u8_u32(vdupq_n_u32(first));
            Self([
                vextq_u8::<REST>(first, upper),
                vextq_u8::<REST>(upper, lower),
            ])
        }
    }

    /// The sums, modulo 256.
    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        // SAFETY: NEON is part of arm64.
        self.with(other, |a, b| unsafe { vaddq_u8(a, b) })
    }

    /// The means, rounded down.
    #[inline]
    pub(super) fn mean(self, other: Self) -> Self {
        // SAFETY: NEON is part of arm64.
        self.with(other, |a, b| unsafe { vhaddq_u8(a, b) })
    }

    /// The nearest of three to `a + b - c`, as the filter of this name has it.
    #[inline]
    pub(super) fn paeth(a: Self, b: Self, c: Self) -> Self {
        let half = |half: usize| {
            // SAFETY: NEON is part of arm64.
            unsafe { paeth(a.0[half], b.0[half], c.0[half]) }
        };
        Self([half(0), half(1)])
    }

    #[inline]
    fn with(self, other: Self, make: impl Fn(uint8x16_t, uint8x16_t) -> uint8x16_t) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        Self([make(a, c), make(b, d)])
    }
}

impl BitAnd for Lanes {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: NEON is part of arm64.
        self.with(other, |a, b| unsafe { vandq_u8(a, b) })
    }
}

impl BitOr for Lanes {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        // SAFETY: NEON is part of arm64.
        self.with(other, |a, b| unsafe { vorrq_u8(a, b) })
    }
}

/// Never leaves eight bits, as the kernel for x86-64: from `a + b - c`, `a` is as far as `b` is
/// from `c`, `b` as far as `a` is from `c`, and `c`, where it lies between the two, as far as those
/// differ.
#[inline]
#[target_feature(enable = "neon")]
fn paeth(a: uint8x16_t, b: uint8x16_t, c: uint8x16_t) -> uint8x16_t {
    let (to_a, to_b) = (vabdq_u8(b, c), vabdq_u8(a, c));
    let beyond = vceqq_u8(vcleq_u8(a, c), vcleq_u8(b, c));
    let to_c = vorrq_u8(vabdq_u8(to_a, to_b), beyond);
    let least = vminq_u8(to_c, vminq_u8(to_a, to_b));
    let b_or_c = vbslq_u8(vceqq_u8(to_b, least), b, c);
    vbslq_u8(vceqq_u8(to_a, least), a, b_or_c)
}

#[inline]
#[target_feature(enable = "neon")]
fn four(pixels: [u32; GROUP], first: usize) -> uint8x16_t {
    let lanes = vdupq_n_u32(pixels[first]);
    let lanes = vsetq_lane_u32::<1>(pixels[first + 1], lanes);
    let lanes = vsetq_lane_u32::<2>(pixels[first + 2], lanes);
    vreinterpretq_u8_u32(vsetq_lane_u32::<3>(pixels[first + 3], lanes))
}

#[inline]
#[target_feature(enable = "neon")]
fn numbers(four: uint8x16_t) -> [u32; GROUP / 2] {
    let lanes = vreinterpretq_u32_u8(four);
    [
        vgetq_lane_u32::<0>(lanes),
        vgetq_lane_u32::<1>(lanes),
        vgetq_lane_u32::<2>(lanes),
        vgetq_lane_u32::<3>(lanes),
    ]
}
