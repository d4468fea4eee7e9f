//! The cosine transforms of T.81, annex A.3.3: blocks of coefficients to samples and back.
//!
//! A block is scaled down by taking the coefficients of its lowest frequencies through a smaller
//! transform, as libjpeg does since version 7: that is the ideal filter within the block, where
//! averaging samples would blur.
//!
//! Every kernel in vector instructions has a twin in plain Rust that gives the same bits.

/// What a closure makes of 0 to 7. An array's own ways to do that are not always inlined, and each
/// call would move all vectors through memory.
#[allow(
    unused_macros,
    reason = "for the machines that there are vector kernels for"
)]
macro_rules! eight {
    ($make:expr) => {{
        let make = $make;
        [
            make(0),
            make(1),
            make(2),
            make(3),
            make(4),
            make(5),
            make(6),
            make(7),
        ]
    }};
}

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod sse2;

cfg_select! {
    target_arch = "x86_64" => { use sse2 as vector; }
    target_arch = "aarch64" => { use neon as vector; }
    _ => { use scalar as vector; }
}

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
        8 => {
            let twin = || scalar::inverse_8(coefficients, steps);
            rows.zip(held(vector::inverse_8(coefficients, steps), twin))
                .for_each(|(row, made)| row.copy_from_slice(&made));
        }
        4 => {
            let twin = || scalar::inverse_4(coefficients, steps);
            rows.zip(held(vector::inverse_4(coefficients, steps), twin))
                .for_each(|(row, made)| row.copy_from_slice(&made));
        }
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

/// Samples to coefficients divided by their steps, rounded to the nearest, column by column.
/// `shares` are those of [`share`], column by column too.
#[inline(always)]
pub(super) fn forward(samples: &[[u8; 8]; 8], shares: &[f32; 64]) -> [i16; 64] {
    let twin = || scalar::forward(samples, shares);
    held(vector::forward(samples, shares), twin)
}

/// Which of the coefficients are not zero: a bit for each, the first the lowest.
#[inline(always)]
pub(super) fn nonzero(levels: &[i16; 64]) -> u64 {
    held(vector::nonzero(levels), || scalar::nonzero(levels))
}

/// What a kernel made. While it is fuzzed, it has to be what its twin makes.
#[inline(always)]
fn held<T: PartialEq>(made: T, twin: impl FnOnce() -> T) -> T {
    if cfg!(fuzzing) {
        assert!(made == twin(), "a kernel made something else than its twin");
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks as files have them, and blocks that no encoder would make.
    fn blocks() -> impl Iterator<Item = ([i16; 64], [i16; 64])> {
        let mut random = fastrand::Rng::with_seed(5);
        (0..20_000).map(move |case| {
            let extreme = case % 4 == 0;
            let filled = random.usize(1..=64);
            let block = std::array::from_fn(|at| match extreme {
                true if random.bool() => [i16::MIN, i16::MAX][random.usize(0..2)],
                true => random.i16(..),
                false if at < filled => random.i16(-200..200) / (1 + at as i16 / 4),
                false => 0,
            });
            let steps = std::array::from_fn(|_| {
                if extreme {
                    random.i16(0..)
                } else {
                    random.i16(1..100)
                }
            });
            (block, steps)
        })
    }

    #[test]
    fn vectors_give_the_same_samples_as_plain_rust() {
        for (block, steps) in blocks() {
            assert_eq!(
                vector::inverse_8(&block, &steps),
                scalar::inverse_8(&block, &steps)
            );
            assert_eq!(
                vector::inverse_4(&block, &steps),
                scalar::inverse_4(&block, &steps)
            );
        }
    }

    #[test]
    fn vectors_give_the_same_coefficients_as_plain_rust() {
        let mut random = fastrand::Rng::with_seed(6);
        for case in 0..20_000 {
            let extreme = case % 4 == 0;
            let samples = [(); 8].map(|()| {
                [(); 8].map(|()| {
                    if extreme {
                        [0, 255][random.usize(0..2)]
                    } else {
                        random.u8(..)
                    }
                })
            });
            let shares = [(); 64].map(|()| share(random.u8(1..)));
            assert_eq!(
                vector::forward(&samples, &shares),
                scalar::forward(&samples, &shares)
            );
            let levels = scalar::forward(&samples, &shares);
            assert_eq!(vector::nonzero(&levels), scalar::nonzero(&levels));
        }
    }

    #[test]
    fn a_flat_block_is_what_its_transform_makes() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut block = [0; 64];
            block[0] = random.i16(..) >> random.u32(0..16);
            let steps = [random.i16(1..64); 64];
            let same = |flat: u8, made: &[u8]| assert!(made.iter().all(|sample| *sample == flat));
            same(
                flat::<8>(block[0], steps[0]),
                inverse::<8>(&block, &steps).as_flattened(),
            );
            same(
                flat::<4>(block[0], steps[0]),
                inverse::<4>(&block, &steps).as_flattened(),
            );
            same(
                flat::<2>(block[0], steps[0]),
                inverse::<2>(&block, &steps).as_flattened(),
            );
        }
    }

    #[test]
    fn what_is_transformed_there_and_back_is_the_same() {
        let mut random = fastrand::Rng::with_seed(8);
        let shares = [share(1); 64];
        for _ in 0..2_000 {
            let samples = [(); 8].map(|()| [(); 8].map(|()| random.u8(..)));
            let columns = forward(&samples, &shares);
            let block = std::array::from_fn(|at| columns[at % 8 * 8 + at / 8]);
            let back = inverse::<8>(&block, &[1; 64]);
            let apart = samples.as_flattened().iter().zip(back.as_flattened());
            for (sample, back) in apart {
                assert!(sample.abs_diff(*back) <= 2, "{sample} became {back}");
            }
        }
    }
}
