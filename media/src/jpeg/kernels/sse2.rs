//! The transforms in the vector instructions that every x86-64 has. All of them turn on one
//! instruction: it multiplies eight pairs of 16-bit numbers and adds each two products at 32 bits.

#![allow(
    unsafe_code,
    reason = "vector instructions need a promise that the machine has them, and take pointers"
)]

use std::arch::x86_64::{
    __m128, __m128i, _mm_add_epi16, _mm_add_epi32, _mm_cmpeq_epi8, _mm_cvtepi32_ps,
    _mm_cvtps_epi32, _mm_loadl_epi64, _mm_loadu_ps, _mm_loadu_si128, _mm_madd_epi16,
    _mm_movemask_epi8, _mm_mul_ps, _mm_mullo_epi16, _mm_packs_epi16, _mm_packs_epi32,
    _mm_packus_epi16, _mm_set1_epi16, _mm_set1_epi32, _mm_setzero_si128, _mm_srai_epi32,
    _mm_srli_si128, _mm_storeu_si128, _mm_sub_epi16, _mm_sub_epi32, _mm_unpackhi_epi16,
    _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
    _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

use super::{CONSTANT_BITS, COS_1, COS_2, COS_3, COS_5, COS_6, COS_7, MIDDLE, ONE, PASS_BITS};

const FIRST: i32 = (CONSTANT_BITS - PASS_BITS) as i32;
const SECOND: i32 = (CONSTANT_BITS + PASS_BITS + 3) as i32;
const ROUND_FIRST: i32 = 1 << (FIRST - 1);
/// With the middle of the samples added in the same step.
const ROUND_SECOND: i32 = (1 << (SECOND - 1)) + (MIDDLE << SECOND);

#[inline(always)]
pub(super) fn inverse_8(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 8]; 8] {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { inverse_8_by_vectors(coefficients, steps) }
}

#[inline(always)]
pub(super) fn inverse_4(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 4]; 4] {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { inverse_4_by_vectors(coefficients, steps) }
}

#[inline(always)]
pub(super) fn forward(samples: &[[u8; 8]; 8], shares: &[f32; 64]) -> [i16; 64] {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { forward_by_vectors(samples, shares) }
}

#[inline(always)]
pub(super) fn nonzero(levels: &[i16; 64]) -> u64 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { nonzero_by_vectors(levels) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn inverse_8_by_vectors(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 8]; 8] {
    let (coefficients, steps) = (coefficients.as_chunks::<8>().0, steps.as_chunks::<8>().0);
    let level = |y: usize| _mm_mullo_epi16(load(&coefficients[y]), load(&steps[y]));
    let columns = eight!(level);
    let passed = inverse_pass_8::<FIRST>(columns, ROUND_FIRST);
    let rows = inverse_pass_8::<SECOND>(transposed(passed), ROUND_SECOND);
    let rows = transposed(rows);
    let mut samples = [[0; 8]; 8];
    for (pair, rows) in samples
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .zip(rows.as_chunks().0)
    {
        let &[upper, lower] = rows;
        let bytes: [u8; 16] = to_bytes(_mm_packus_epi16(upper, lower));
        pair.as_flattened_mut().copy_from_slice(&bytes);
    }
    samples
}

/// Transforms eight lines side by side, and rounds `SHIFT` bits away.
#[inline]
#[target_feature(enable = "sse2")]
fn inverse_pass_8<const SHIFT: i32>(c: [__m128i; 8], round: i32) -> [__m128i; 8] {
    let low = inverse_half_8::<SHIFT>(
        [
            _mm_unpacklo_epi16(c[0], c[4]),
            _mm_unpacklo_epi16(c[2], c[6]),
            _mm_unpacklo_epi16(c[1], c[3]),
            _mm_unpacklo_epi16(c[5], c[7]),
        ],
        round,
    );
    let high = inverse_half_8::<SHIFT>(
        [
            _mm_unpackhi_epi16(c[0], c[4]),
            _mm_unpackhi_epi16(c[2], c[6]),
            _mm_unpackhi_epi16(c[1], c[3]),
            _mm_unpackhi_epi16(c[5], c[7]),
        ],
        round,
    );
    eight!(|n| _mm_packs_epi32(low[n], high[n]))
}

/// Four of the eight lines, from their coefficients in pairs: 0 and 4, 2 and 6, 1 and 3, 5 and 7.
#[inline]
#[target_feature(enable = "sse2")]
fn inverse_half_8<const SHIFT: i32>(pairs: [__m128i; 4], round: i32) -> [__m128i; 8] {
    let [zero_four, two_six, one_three, five_seven] = pairs;
    let round = _mm_set1_epi32(round);
    let sum = _mm_add_epi32(dot(zero_four, ONE, ONE), round);
    let difference = _mm_add_epi32(dot(zero_four, ONE, -ONE), round);
    let (outer, inner) = (dot(two_six, COS_2, COS_6), dot(two_six, COS_6, -COS_2));
    let even = [
        _mm_add_epi32(sum, outer),
        _mm_add_epi32(difference, inner),
        _mm_sub_epi32(difference, inner),
        _mm_sub_epi32(sum, outer),
    ];
    let odd_of = |a, b, c, d| _mm_add_epi32(dot(one_three, a, b), dot(five_seven, c, d));
    let odd = [
        odd_of(COS_1, COS_3, COS_5, COS_7),
        odd_of(COS_3, -COS_7, -COS_1, -COS_5),
        odd_of(COS_5, -COS_1, COS_7, COS_3),
        odd_of(COS_7, -COS_5, COS_3, -COS_1),
    ];
    let sum = |n: usize| _mm_srai_epi32::<SHIFT>(_mm_add_epi32(even[n], odd[n]));
    let difference = |n: usize| _mm_srai_epi32::<SHIFT>(_mm_sub_epi32(even[n], odd[n]));
    [
        sum(0),
        sum(1),
        sum(2),
        sum(3),
        difference(3),
        difference(2),
        difference(1),
        difference(0),
    ]
}

#[inline]
#[target_feature(enable = "sse2")]
fn inverse_4_by_vectors(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 4]; 4] {
    let (coefficients, steps) = (coefficients.as_chunks::<8>().0, steps.as_chunks::<8>().0);
    let level = |y: usize| _mm_mullo_epi16(load_half(&coefficients[y]), load_half(&steps[y]));
    let [a, b, c, d] = [level(0), level(1), level(2), level(3)];
    let columns = [_mm_unpacklo_epi16(a, c), _mm_unpacklo_epi16(b, d)];
    let [upper, lower] = inverse_pass_4::<FIRST>(columns, ROUND_FIRST);
    // Rows 0 and 1, rows 2 and 3: to columns 0 and 2, columns 1 and 3, each pair side by side.
    let even_rows_first = _mm_unpacklo_epi16(upper, lower);
    let odd_rows_first = _mm_unpackhi_epi16(upper, lower);
    let left = _mm_unpacklo_epi16(even_rows_first, odd_rows_first);
    let right = _mm_unpackhi_epi16(even_rows_first, odd_rows_first);
    let rows = [
        _mm_unpacklo_epi16(left, right),
        _mm_unpackhi_epi16(left, right),
    ];
    let [left, right] = inverse_pass_4::<SECOND>(rows, ROUND_SECOND);
    // Sixteen samples column by column, to row by row.
    let columns = _mm_packus_epi16(left, right);
    let halves = _mm_unpacklo_epi8(columns, _mm_srli_si128::<8>(columns));
    let samples = _mm_unpacklo_epi8(halves, _mm_srli_si128::<8>(halves));
    let mut rows = [[0; 4]; 4];
    rows.as_flattened_mut().copy_from_slice(&to_bytes(samples));
    rows
}

/// Transforms four lines side by side, from their coefficients 0 and 2 and their coefficients 1
/// and 3 in pairs.
#[inline]
#[target_feature(enable = "sse2")]
fn inverse_pass_4<const SHIFT: i32>(
    [zero_two, one_three]: [__m128i; 2],
    round: i32,
) -> [__m128i; 2] {
    let round = _mm_set1_epi32(round);
    let sum = _mm_add_epi32(dot(zero_two, ONE, ONE), round);
    let difference = _mm_add_epi32(dot(zero_two, ONE, -ONE), round);
    let (outer, inner) = (dot(one_three, COS_2, COS_6), dot(one_three, COS_6, -COS_2));
    [
        _mm_packs_epi32(
            _mm_srai_epi32::<SHIFT>(_mm_add_epi32(sum, outer)),
            _mm_srai_epi32::<SHIFT>(_mm_add_epi32(difference, inner)),
        ),
        _mm_packs_epi32(
            _mm_srai_epi32::<SHIFT>(_mm_sub_epi32(difference, inner)),
            _mm_srai_epi32::<SHIFT>(_mm_sub_epi32(sum, outer)),
        ),
    ]
}

#[inline]
#[target_feature(enable = "sse2")]
fn forward_by_vectors(samples: &[[u8; 8]; 8], shares: &[f32; 64]) -> [i16; 64] {
    let middle = _mm_set1_epi16(MIDDLE as i16);
    let zero = _mm_setzero_si128();
    let level = |y: usize| {
        let wide = _mm_unpacklo_epi8(load_bytes(&samples[y]), zero);
        _mm_sub_epi16(wide, middle)
    };
    let round = _mm_set1_epi32(ROUND_FIRST);
    let [low, high] = forward_pass(eight!(level));
    let rounded = |sum| _mm_srai_epi32::<FIRST>(_mm_add_epi32(sum, round));
    let passed = eight!(|n: usize| _mm_packs_epi32(rounded(low[n]), rounded(high[n])));
    let [low, high] = forward_pass(transposed(passed));
    let mut block = [0; 64];
    let columns = block.as_chunks_mut::<8>().0.iter_mut();
    for ((n, column), shares) in columns.enumerate().zip(shares.as_chunks::<8>().0) {
        let [upper, lower] = [low[n], high[n]].map(|sums| _mm_cvtepi32_ps(sums));
        let [upper_shares, lower_shares] = load_floats(shares);
        let levels = _mm_packs_epi32(
            _mm_cvtps_epi32(_mm_mul_ps(upper, upper_shares)),
            _mm_cvtps_epi32(_mm_mul_ps(lower, lower_shares)),
        );
        store(column, levels);
    }
    block
}

#[inline]
#[target_feature(enable = "sse2")]
fn nonzero_by_vectors(levels: &[i16; 64]) -> u64 {
    let zero = _mm_setzero_si128();
    let mut mask = 0;
    for (n, pair) in levels.as_chunks::<16>().0.iter().enumerate() {
        let [first, second] = [&pair[..8], &pair[8..]].map(|half| {
            let half = half.try_into().expect("half of sixteen is eight");
            load(half)
        });
        // Saturation keeps what is not zero from becoming zero.
        let zeros = _mm_cmpeq_epi8(_mm_packs_epi16(first, second), zero);
        let bits = !_mm_movemask_epi8(zeros) as u32 & 0xffff;
        mask |= u64::from(bits) << (16 * n);
    }
    mask
}

/// Transforms eight lines side by side: the sums of the first four lines and of the last four.
#[inline]
#[target_feature(enable = "sse2")]
fn forward_pass(s: [__m128i; 8]) -> [[__m128i; 8]; 2] {
    let sum = |n: usize| _mm_add_epi16(s[n], s[7 - n]);
    let difference = |n: usize| _mm_sub_epi16(s[n], s[7 - n]);
    let even = [sum(0), sum(1), sum(2), sum(3)];
    let odd = [difference(0), difference(1), difference(2), difference(3)];
    let low = [
        _mm_unpacklo_epi16(even[0], even[1]),
        _mm_unpacklo_epi16(even[2], even[3]),
        _mm_unpacklo_epi16(odd[0], odd[1]),
        _mm_unpacklo_epi16(odd[2], odd[3]),
    ];
    let high = [
        _mm_unpackhi_epi16(even[0], even[1]),
        _mm_unpackhi_epi16(even[2], even[3]),
        _mm_unpackhi_epi16(odd[0], odd[1]),
        _mm_unpackhi_epi16(odd[2], odd[3]),
    ];
    [forward_half(low), forward_half(high)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn forward_half([even_01, even_23, odd_01, odd_23]: [__m128i; 4]) -> [__m128i; 8] {
    let even = |a, b, c, d| _mm_add_epi32(dot(even_01, a, b), dot(even_23, c, d));
    let odd = |a, b, c, d| _mm_add_epi32(dot(odd_01, a, b), dot(odd_23, c, d));
    [
        even(ONE, ONE, ONE, ONE),
        odd(COS_1, COS_3, COS_5, COS_7),
        even(COS_2, COS_6, -COS_6, -COS_2),
        odd(COS_3, -COS_7, -COS_1, -COS_5),
        even(ONE, -ONE, -ONE, ONE),
        odd(COS_5, -COS_1, COS_7, COS_3),
        even(COS_6, -COS_2, COS_2, -COS_6),
        odd(COS_7, -COS_5, COS_3, -COS_1),
    ]
}

/// Multiplies the first of each pair by `a` and the second by `b`, and adds the products.
#[inline]
#[target_feature(enable = "sse2")]
fn dot(pairs: __m128i, a: i16, b: i16) -> __m128i {
    let factors = (i32::from(b) << 16) | i32::from(a.cast_unsigned());
    _mm_madd_epi16(pairs, _mm_set1_epi32(factors))
}

/// Rows to columns.
#[inline]
#[target_feature(enable = "sse2")]
fn transposed(r: [__m128i; 8]) -> [__m128i; 8] {
    let pairs = |n: usize| {
        [
            _mm_unpacklo_epi16(r[n], r[n + 1]),
            _mm_unpackhi_epi16(r[n], r[n + 1]),
        ]
    };
    let [[a0, a4], [b0, b4], [c0, c4], [d0, d4]] = [pairs(0), pairs(2), pairs(4), pairs(6)];
    let fours = |upper, lower, upper_last, lower_last| {
        let [left, left_last] = [
            _mm_unpacklo_epi32(upper, lower),
            _mm_unpacklo_epi32(upper_last, lower_last),
        ];
        let [right, right_last] = [
            _mm_unpackhi_epi32(upper, lower),
            _mm_unpackhi_epi32(upper_last, lower_last),
        ];
        [
            _mm_unpacklo_epi64(left, left_last),
            _mm_unpackhi_epi64(left, left_last),
            _mm_unpacklo_epi64(right, right_last),
            _mm_unpackhi_epi64(right, right_last),
        ]
    };
    let [x0, x1, x2, x3] = fours(a0, b0, c0, d0);
    let [x4, x5, x6, x7] = fours(a4, b4, c4, d4);
    [x0, x1, x2, x3, x4, x5, x6, x7]
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(row: &[i16; 8]) -> __m128i {
    // SAFETY: an array of eight is the 16 bytes that are loaded, at any alignment.
    unsafe { _mm_loadu_si128(row.as_ptr().cast()) }
}

/// The first four of a row, and zeros.
#[inline]
#[target_feature(enable = "sse2")]
fn load_half(row: &[i16; 8]) -> __m128i {
    // SAFETY: an array of eight has more than the 8 bytes that are loaded, at any alignment.
    unsafe { _mm_loadl_epi64(row.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_bytes(row: &[u8; 8]) -> __m128i {
    // SAFETY: an array of eight is the 8 bytes that are loaded, at any alignment.
    unsafe { _mm_loadl_epi64(row.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_floats(row: &[f32; 8]) -> [__m128; 2] {
    let [upper, lower] = [&row[..4], &row[4..]];
    // SAFETY: each half of eight is the four that are loaded, at any alignment.
    unsafe { [_mm_loadu_ps(upper.as_ptr()), _mm_loadu_ps(lower.as_ptr())] }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(row: &mut [i16; 8], values: __m128i) {
    // SAFETY: an array of eight is the 16 bytes that are stored, at any alignment.
    unsafe { _mm_storeu_si128(row.as_mut_ptr().cast(), values) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn to_bytes(values: __m128i) -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: an array of sixteen is the 16 bytes that are stored, at any alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), values) };
    bytes
}
