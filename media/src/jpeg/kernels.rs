//! The cosine transforms of T.81, annex A.3.3: blocks of coefficients to samples and back.
//!
//! A block is scaled down by taking the coefficients of its lowest frequencies through a smaller
//! transform, as libjpeg does since version 7: that is the ideal filter within the block, where
//! averaging samples would blur.
//!
//! Every kernel in vector instructions has a twin in plain Rust that gives the same bits.

mod scalar;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(not(target_arch = "x86_64"))]
use scalar as vector;
#[cfg(target_arch = "x86_64")]
use sse2 as vector;

pub(super) use vector::forward;

/// Bits after the point of the constants.
const CONSTANT_BITS: u32 = 13;
/// Bits that the first pass of the inverse transform and of the forward transform leaves for the
/// second to round.
const PASS_BITS: u32 = 2;

/// The square root of 2 times the cosine of so many sixteenths of pi, [`CONSTANT_BITS`] after the
/// point.
const COS_1: i16 = 11_363;
const COS_2: i16 = 10_703;
const COS_3: i16 = 9_633;
const COS_5: i16 = 6_437;
const COS_6: i16 = 4_433;
const COS_7: i16 = 2_260;
const ONE: i16 = 1 << CONSTANT_BITS;

/// What the sums of the forward transform are multiplied by, for a coefficient in steps of so much.
pub(super) fn share(step: u8) -> f32 {
    // Two passes, each of which makes a coefficient larger by the square root of eight.
    let larger = 8 << (CONSTANT_BITS + PASS_BITS);
    1.0 / (f32::from(step) * larger as f32)
}

/// Samples around which a JPEG stores differences.
const MIDDLE: i32 = 128;

/// Transforms the lowest coefficients of a block into `SIDE` by `SIDE` samples; `SIDE` is 8, 4, 2
/// or 1. Each coefficient is multiplied by its step first, and wraps at 16 bits.
#[inline(always)]
pub(super) fn inverse<const SIDE: usize>(
    coefficients: &[i16; 64],
    steps: &[i16; 64],
) -> [[u8; SIDE]; SIDE] {
    let mut samples = [[0; SIDE]; SIDE];
    let rows = samples.iter_mut();
    match SIDE {
        8 => rows
            .zip(vector::inverse_8(coefficients, steps))
            .for_each(|(row, made)| row.copy_from_slice(&made)),
        4 => rows
            .zip(vector::inverse_4(coefficients, steps))
            .for_each(|(row, made)| row.copy_from_slice(&made)),
        2 => rows
            .zip(scalar::inverse_2(coefficients, steps))
            .for_each(|(row, made)| row.copy_from_slice(&made)),
        _ => rows.for_each(|row| row.fill(flat::<SIDE>(coefficients[0], steps[0]))),
    }
    samples
}

/// Every sample of a block that has a DC coefficient alone, as [`inverse`] would make it.
#[inline(always)]
pub(super) fn flat<const SIDE: usize>(coefficient: i16, step: i16) -> u8 {
    let level = i32::from(coefficient.wrapping_mul(step));
    let rounded = if SIDE >= 4 {
        // The first pass keeps 16 bits.
        let passed = (level << PASS_BITS).clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        (passed + (1 << (PASS_BITS + 2))) >> (PASS_BITS + 3)
    } else {
        (level + 4) >> 3
    };
    (rounded + MIDDLE).clamp(0, 255) as u8
}
