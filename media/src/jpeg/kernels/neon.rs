//! The transforms in the vector instructions that every arm64 has. All of them turn on one
//! instruction: it multiplies four 16-bit numbers and adds the products to four sums of 32 bits.

#![allow(
    unsafe_code,
    reason = "vector instructions need a promise that the machine has them, and take pointers"
)]

use std::arch::aarch64::{
    float32x4_t, int8x8_t, int16x4_t, int16x8_t, int32x4_t, uint8x8_t, uint8x16_t, vadd_u8,
    vaddl_s16, vaddq_s16, vaddq_s32, vandq_u8, vcombine_s16, vcombine_u8, vcvtnq_s32_f32,
    vcvtq_f32_s32, vdup_n_u8, vget_high_s16, vget_low_s16, vgetq_lane_u64, vld1_s16, vld1_u8,
    vld1q_f32, vld1q_s16, vld1q_u8, vmlal_n_s16, vmul_s16, vmull_n_s16, vmulq_f32, vmulq_s16,
    vpaddq_u8, vqmovn_s32, vqrshrn_n_s16, vqrshrn_n_s32, vreinterpret_u8_s8, vreinterpretq_s16_u16,
    vreinterpretq_u8_u16, vreinterpretq_u64_u8, vshlq_n_s32, vshrn_n_s32, vst1q_s16, vst1q_u8,
    vsub_s16, vsubl_s16, vsubl_u8, vsubq_s16, vsubq_s32, vtstq_s16, vuzp1q_u8, vzip1_u8,
    vzip1q_s16, vzip1q_u8, vzip2_u8, vzip2q_s16, vzip2q_u8,
};

use super::{CONSTANT_BITS, COS_1, COS_2, COS_3, COS_5, COS_6, COS_7, MIDDLE, PASS_BITS};

const POINT: i32 = CONSTANT_BITS as i32;
const FIRST: i32 = (CONSTANT_BITS - PASS_BITS) as i32;
/// Bits that one instruction takes away at most, of those that the second pass has to.
const SECOND_NARROWED: i32 = 16;
const SECOND_ROUNDED: i32 = (CONSTANT_BITS + PASS_BITS + 3) as i32 - SECOND_NARROWED;

#[inline(always)]
pub(super) fn inverse_8(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 8]; 8] {
    // SAFETY: NEON is part of arm64.
    unsafe { inverse_8_by_vectors(coefficients, steps) }
}

#[inline(always)]
pub(super) fn inverse_4(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 4]; 4] {
    // SAFETY: NEON is part of arm64.
    unsafe { inverse_4_by_vectors(coefficients, steps) }
}

#[inline(always)]
pub(super) fn forward(samples: &[[u8; 8]; 8], shares: &[f32; 64]) -> [i16; 64] {
    // SAFETY: NEON is part of arm64.
    unsafe { forward_by_vectors(samples, shares) }
}

#[inline(always)]
pub(super) fn nonzero(levels: &[i16; 64]) -> u64 {
    // SAFETY: NEON is part of arm64.
    unsafe { nonzero_by_vectors(levels) }
}

#[inline]
#[target_feature(enable = "neon")]
fn inverse_8_by_vectors(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 8]; 8] {
    let (coefficients, steps) = (coefficients.as_chunks::<8>().0, steps.as_chunks::<8>().0);
    let level = |y: usize| vmulq_s16(load(&coefficients[y]), load(&steps[y]));
    let passed = narrowed(inverse_pass_8(eight!(level)));
    let [upper, lower] = inverse_pass_8(transposed(passed));
    let columns = eight!(|x| to_samples(upper[x], lower[x]));
    let pair = |x: usize| vcombine_u8(columns[x], columns[x + 1]);
    let rows = transposed_samples([pair(0), pair(2), pair(4), pair(6)]);
    let mut samples = [[0; 8]; 8];
    let pairs = samples.as_chunks_mut::<2>().0;
    for (pair, rows) in pairs.iter_mut().zip(rows) {
        pair.as_flattened_mut().copy_from_slice(&to_bytes(rows));
    }
    samples
}

/// Transforms eight lines side by side: the sums of the first four lines and of the last four.
#[inline]
#[target_feature(enable = "neon")]
fn inverse_pass_8(c: [int16x8_t; 8]) -> [[int32x4_t; 8]; 2] {
    let [low, high] = halves(c);
    [inverse_half_8(low), inverse_half_8(high)]
}

#[inline]
#[target_feature(enable = "neon")]
fn inverse_half_8(c: [int16x4_t; 8]) -> [int32x4_t; 8] {
    let sum = vshlq_n_s32::<POINT>(vaddl_s16(c[0], c[4]));
    let difference = vshlq_n_s32::<POINT>(vsubl_s16(c[0], c[4]));
    let outer = dot_2([c[2], c[6]], [COS_2, COS_6]);
    let inner = dot_2([c[2], c[6]], [COS_6, -COS_2]);
    let even = [
        vaddq_s32(sum, outer),
        vaddq_s32(difference, inner),
        vsubq_s32(difference, inner),
        vsubq_s32(sum, outer),
    ];
    let odd_of = |by| dot_4([c[1], c[3], c[5], c[7]], by);
    let odd = [
        odd_of([COS_1, COS_3, COS_5, COS_7]),
        odd_of([COS_3, -COS_7, -COS_1, -COS_5]),
        odd_of([COS_5, -COS_1, COS_7, COS_3]),
        odd_of([COS_7, -COS_5, COS_3, -COS_1]),
    ];
    [
        vaddq_s32(even[0], odd[0]),
        vaddq_s32(even[1], odd[1]),
        vaddq_s32(even[2], odd[2]),
        vaddq_s32(even[3], odd[3]),
        vsubq_s32(even[3], odd[3]),
        vsubq_s32(even[2], odd[2]),
        vsubq_s32(even[1], odd[1]),
        vsubq_s32(even[0], odd[0]),
    ]
}

#[inline]
#[target_feature(enable = "neon")]
fn inverse_4_by_vectors(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 4]; 4] {
    let (coefficients, steps) = (coefficients.as_chunks::<8>().0, steps.as_chunks::<8>().0);
    let level = |y: usize| vmul_s16(load_half(&coefficients[y]), load_half(&steps[y]));
    let [a, b, c, d] = inverse_pass_4([level(0), level(1), level(2), level(3)]);
    let narrow = |sums| vqrshrn_n_s32::<FIRST>(sums);
    let upper = vcombine_s16(narrow(a), narrow(b));
    let lower = vcombine_s16(narrow(c), narrow(d));
    // Each interleaving of the two halves of all sixteen turns rows to columns half the way.
    let (upper, lower) = (vzip1q_s16(upper, lower), vzip2q_s16(upper, lower));
    let (left, right) = (vzip1q_s16(upper, lower), vzip2q_s16(upper, lower));
    let [a, b, c, d] = inverse_pass_4([
        vget_low_s16(left),
        vget_high_s16(left),
        vget_low_s16(right),
        vget_high_s16(right),
    ]);
    let (left, right) = (to_samples(a, b), to_samples(c, d));
    let (left, right) = (vzip1_u8(left, right), vzip2_u8(left, right));
    let samples = vcombine_u8(vzip1_u8(left, right), vzip2_u8(left, right));
    let mut rows = [[0; 4]; 4];
    rows.as_flattened_mut().copy_from_slice(&to_bytes(samples));
    rows
}

/// Transforms four lines side by side.
#[inline]
#[target_feature(enable = "neon")]
fn inverse_pass_4(c: [int16x4_t; 4]) -> [int32x4_t; 4] {
    let sum = vshlq_n_s32::<POINT>(vaddl_s16(c[0], c[2]));
    let difference = vshlq_n_s32::<POINT>(vsubl_s16(c[0], c[2]));
    let outer = dot_2([c[1], c[3]], [COS_2, COS_6]);
    let inner = dot_2([c[1], c[3]], [COS_6, -COS_2]);
    [
        vaddq_s32(sum, outer),
        vaddq_s32(difference, inner),
        vsubq_s32(difference, inner),
        vsubq_s32(sum, outer),
    ]
}

#[inline]
#[target_feature(enable = "neon")]
fn forward_by_vectors(samples: &[[u8; 8]; 8], shares: &[f32; 64]) -> [i16; 64] {
    let middle = vdup_n_u8(MIDDLE as u8);
    let level = |y: usize| vreinterpretq_s16_u16(vsubl_u8(load_bytes(&samples[y]), middle));
    let passed = narrowed(forward_pass(eight!(level)));
    let [upper, lower] = forward_pass(transposed(passed));
    let mut block = [0; 64];
    let columns = block.as_chunks_mut::<8>().0.iter_mut();
    for ((x, column), shares) in columns.enumerate().zip(shares.as_chunks::<8>().0) {
        let [upper_shares, lower_shares] = load_floats(shares);
        let upper = divided(upper[x], upper_shares);
        store(column, vcombine_s16(upper, divided(lower[x], lower_shares)));
    }
    block
}

/// Transforms eight lines side by side: the sums of the first four lines and of the last four.
#[inline]
#[target_feature(enable = "neon")]
fn forward_pass(s: [int16x8_t; 8]) -> [[int32x4_t; 8]; 2] {
    let sum = |n: usize| vaddq_s16(s[n], s[7 - n]);
    let difference = |n: usize| vsubq_s16(s[n], s[7 - n]);
    let [low, high] = halves([
        sum(0),
        sum(1),
        sum(2),
        sum(3),
        difference(0),
        difference(1),
        difference(2),
        difference(3),
    ]);
    [forward_half(low), forward_half(high)]
}

/// Four of the eight lines, from the sums and the differences of their ends.
#[inline]
#[target_feature(enable = "neon")]
fn forward_half([e0, e1, e2, e3, o0, o1, o2, o3]: [int16x4_t; 8]) -> [int32x4_t; 8] {
    let (ends, middle) = (vaddl_s16(e0, e3), vaddl_s16(e1, e2));
    let apart = [vsub_s16(e0, e3), vsub_s16(e1, e2)];
    let odd = |by| dot_4([o0, o1, o2, o3], by);
    [
        vshlq_n_s32::<POINT>(vaddq_s32(ends, middle)),
        odd([COS_1, COS_3, COS_5, COS_7]),
        dot_2(apart, [COS_2, COS_6]),
        odd([COS_3, -COS_7, -COS_1, -COS_5]),
        vshlq_n_s32::<POINT>(vsubq_s32(ends, middle)),
        odd([COS_5, -COS_1, COS_7, COS_3]),
        dot_2(apart, [COS_6, -COS_2]),
        odd([COS_7, -COS_5, COS_3, -COS_1]),
    ]
}

#[inline]
#[target_feature(enable = "neon")]
fn divided(sums: int32x4_t, shares: float32x4_t) -> int16x4_t {
    let levels = vmulq_f32(vcvtq_f32_s32(sums), shares);
    vqmovn_s32(vcvtnq_s32_f32(levels))
}

#[inline]
#[target_feature(enable = "neon")]
fn nonzero_by_vectors(levels: &[i16; 64]) -> u64 {
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    let bits = load_sixteen(&BITS);
    let levels = levels.as_chunks::<8>().0;
    let marks = |row: usize| {
        let level = load(&levels[row]);
        vreinterpretq_u8_u16(vtstq_s16(level, level))
    };
    let marked = |row: usize| vandq_u8(vuzp1q_u8(marks(row), marks(row + 1)), bits);
    // Neighbours are added until eight bits have become one byte.
    let (upper, lower) = (
        vpaddq_u8(marked(0), marked(2)),
        vpaddq_u8(marked(4), marked(6)),
    );
    let all = vpaddq_u8(upper, lower);
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(all, all)))
}

#[inline]
#[target_feature(enable = "neon")]
fn dot_2(lines: [int16x4_t; 2], by: [i16; 2]) -> int32x4_t {
    vmlal_n_s16(vmull_n_s16(lines[0], by[0]), lines[1], by[1])
}

#[inline]
#[target_feature(enable = "neon")]
fn dot_4([a, b, c, d]: [int16x4_t; 4], by: [i16; 4]) -> int32x4_t {
    let sum = dot_2([a, b], [by[0], by[1]]);
    vmlal_n_s16(vmlal_n_s16(sum, c, by[2]), d, by[3])
}

#[inline]
#[target_feature(enable = "neon")]
fn halves(lines: [int16x8_t; 8]) -> [[int16x4_t; 8]; 2] {
    [
        eight!(|n: usize| vget_low_s16(lines[n])),
        eight!(|n: usize| vget_high_s16(lines[n])),
    ]
}

/// What the first pass of a transform leaves for the second.
#[inline]
#[target_feature(enable = "neon")]
fn narrowed([low, high]: [[int32x4_t; 8]; 2]) -> [int16x8_t; 8] {
    let narrow = |sums| vqrshrn_n_s32::<FIRST>(sums);
    eight!(|n: usize| vcombine_s16(narrow(low[n]), narrow(high[n])))
}

/// What the second pass of an inverse transform comes to. Bits below those that the rounding looks
/// at are cut off before it, which changes nothing.
#[inline]
#[target_feature(enable = "neon")]
fn to_samples(low: int32x4_t, high: int32x4_t) -> uint8x8_t {
    let narrow = |sums| vshrn_n_s32::<SECOND_NARROWED>(sums);
    let around_zero: int8x8_t =
        vqrshrn_n_s16::<SECOND_ROUNDED>(vcombine_s16(narrow(low), narrow(high)));
    vadd_u8(vreinterpret_u8_s8(around_zero), vdup_n_u8(MIDDLE as u8))
}

/// Rows to columns: three times the two halves of all 64 are interleaved.
#[inline]
#[target_feature(enable = "neon")]
fn transposed(rows: [int16x8_t; 8]) -> [int16x8_t; 8] {
    let interleaved = |r: [int16x8_t; 8]| {
        [
            vzip1q_s16(r[0], r[4]),
            vzip2q_s16(r[0], r[4]),
            vzip1q_s16(r[1], r[5]),
            vzip2q_s16(r[1], r[5]),
            vzip1q_s16(r[2], r[6]),
            vzip2q_s16(r[2], r[6]),
            vzip1q_s16(r[3], r[7]),
            vzip2q_s16(r[3], r[7]),
        ]
    };
    interleaved(interleaved(interleaved(rows)))
}

/// The same with two columns in each vector.
#[inline]
#[target_feature(enable = "neon")]
fn transposed_samples(columns: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
    let interleaved = |c: [uint8x16_t; 4]| {
        [
            vzip1q_u8(c[0], c[2]),
            vzip2q_u8(c[0], c[2]),
            vzip1q_u8(c[1], c[3]),
            vzip2q_u8(c[1], c[3]),
        ]
    };
    interleaved(interleaved(interleaved(columns)))
}

#[inline]
#[target_feature(enable = "neon")]
fn load(row: &[i16; 8]) -> int16x8_t {
    // SAFETY: an array of eight is the 16 bytes that are loaded.
    unsafe { vld1q_s16(row.as_ptr()) }
}

/// The first four of a row.
#[inline]
#[target_feature(enable = "neon")]
fn load_half(row: &[i16; 8]) -> int16x4_t {
    // SAFETY: an array of eight has more than the 8 bytes that are loaded.
    unsafe { vld1_s16(row.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_bytes(row: &[u8; 8]) -> uint8x8_t {
    // SAFETY: an array of eight is the 8 bytes that are loaded.
    unsafe { vld1_u8(row.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_sixteen(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: an array of sixteen is the 16 bytes that are loaded.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_floats(row: &[f32; 8]) -> [float32x4_t; 2] {
    let [upper, lower] = [&row[..4], &row[4..]];
    // SAFETY: each half of eight is the four that are loaded.
    unsafe { [vld1q_f32(upper.as_ptr()), vld1q_f32(lower.as_ptr())] }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(row: &mut [i16; 8], values: int16x8_t) {
    // SAFETY: an array of eight is the 16 bytes that are stored.
    unsafe { vst1q_s16(row.as_mut_ptr(), values) }
}

#[inline]
#[target_feature(enable = "neon")]
fn to_bytes(values: uint8x16_t) -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: an array of sixteen is the 16 bytes that are stored.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), values) };
    bytes
}
