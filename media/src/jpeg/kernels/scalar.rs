//! The transforms in plain Rust: what other kernels are measured by, and what runs where there are
//! none.

use super::{CONSTANT_BITS, COS_1, COS_2, COS_3, COS_5, COS_6, COS_7, MIDDLE, ONE, PASS_BITS};

/// Rounds away the bits after the point of the first pass of an inverse transform.
const FIRST: u32 = CONSTANT_BITS - PASS_BITS;
/// Rounds away all bits after the point in the second pass, and the 3 by which a coefficient is
/// larger than samples.
const SECOND: u32 = CONSTANT_BITS + PASS_BITS + 3;

pub(super) fn inverse_8(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 8]; 8] {
    let level = |at: usize| i32::from(coefficients[at].wrapping_mul(steps[at]));
    let columns: [[i32; 8]; 8] = std::array::from_fn(|x| {
        let column = inverse_line_8(std::array::from_fn(|y| level(8 * y + x)));
        column.map(to_sixteen_bits)
    });
    std::array::from_fn(|y| inverse_line_8(columns.map(|column| column[y])).map(to_sample))
}

fn inverse_line_8(c: [i32; 8]) -> [i32; 8] {
    let dot =
        |pairs: [(i32, i16); 4]| -> i32 { pairs.iter().map(|(c, by)| c * i32::from(*by)).sum() };
    let even = [
        dot([(c[0], ONE), (c[4], ONE), (c[2], COS_2), (c[6], COS_6)]),
        dot([(c[0], ONE), (c[4], -ONE), (c[2], COS_6), (c[6], -COS_2)]),
        dot([(c[0], ONE), (c[4], -ONE), (c[2], -COS_6), (c[6], COS_2)]),
        dot([(c[0], ONE), (c[4], ONE), (c[2], -COS_2), (c[6], -COS_6)]),
    ];
    let odd = [
        dot([(c[1], COS_1), (c[3], COS_3), (c[5], COS_5), (c[7], COS_7)]),
        dot([
            (c[1], COS_3),
            (c[3], -COS_7),
            (c[5], -COS_1),
            (c[7], -COS_5),
        ]),
        dot([(c[1], COS_5), (c[3], -COS_1), (c[5], COS_7), (c[7], COS_3)]),
        dot([(c[1], COS_7), (c[3], -COS_5), (c[5], COS_3), (c[7], -COS_1)]),
    ];
    std::array::from_fn(|n| {
        if n < 4 {
            even[n] + odd[n]
        } else {
            even[7 - n] - odd[7 - n]
        }
    })
}

pub(super) fn inverse_4(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 4]; 4] {
    let level = |at: usize| i32::from(coefficients[at].wrapping_mul(steps[at]));
    let columns: [[i32; 4]; 4] = std::array::from_fn(|x| {
        let column = inverse_line_4(std::array::from_fn(|y| level(8 * y + x)));
        column.map(to_sixteen_bits)
    });
    std::array::from_fn(|y| inverse_line_4(columns.map(|column| column[y])).map(to_sample))
}

fn inverse_line_4(c: [i32; 4]) -> [i32; 4] {
    let even = [
        (c[0] + c[2]) << CONSTANT_BITS,
        (c[0] - c[2]) << CONSTANT_BITS,
    ];
    let (one, three) = (i32::from(COS_2), i32::from(COS_6));
    let odd = [c[1] * one + c[3] * three, c[1] * three - c[3] * one];
    [
        even[0] + odd[0],
        even[1] + odd[1],
        even[1] - odd[1],
        even[0] - odd[0],
    ]
}

pub(super) fn inverse_2(coefficients: &[i16; 64], steps: &[i16; 64]) -> [[u8; 2]; 2] {
    let level = |at: usize| i32::from(coefficients[at].wrapping_mul(steps[at]));
    let [a, b, c, d] = [level(0), level(1), level(8), level(9)];
    let sample = |sum: i32| (((sum + 4) >> 3) + MIDDLE).clamp(0, 255) as u8;
    [
        [sample(a + b + c + d), sample(a - b + c - d)],
        [sample(a + b - c - d), sample(a - b - c + d)],
    ]
}

pub(super) fn forward(samples: &[[u8; 8]; 8], shares: &[f32; 64]) -> [i16; 64] {
    let columns: [[i32; 8]; 8] = std::array::from_fn(|x| {
        let column = samples.map(|row| i32::from(row[x]) - MIDDLE);
        forward_line(column).map(|sum| (sum + (1 << (FIRST - 1))) >> FIRST)
    });
    let rows: [[i32; 8]; 8] =
        std::array::from_fn(|y| forward_line(columns.map(|column| column[y])));
    std::array::from_fn(|at| {
        let (x, y) = (at / 8, at % 8);
        (rows[y][x] as f32 * shares[at]).round_ties_even() as i16
    })
}

pub(super) fn nonzero(levels: &[i16; 64]) -> u64 {
    let bits = levels.iter().enumerate();
    bits.fold(0, |mask, (at, level)| mask | u64::from(*level != 0) << at)
}

fn forward_line(s: [i32; 8]) -> [i32; 8] {
    let even = std::array::from_fn(|n| s[n] + s[7 - n]);
    let odd = std::array::from_fn(|n| s[n] - s[7 - n]);
    let dot = |sums: [i32; 4], by: [i16; 4]| -> i32 {
        sums.iter()
            .zip(by)
            .map(|(sum, by)| sum * i32::from(by))
            .sum()
    };
    [
        dot(even, [ONE, ONE, ONE, ONE]),
        dot(odd, [COS_1, COS_3, COS_5, COS_7]),
        dot(even, [COS_2, COS_6, -COS_6, -COS_2]),
        dot(odd, [COS_3, -COS_7, -COS_1, -COS_5]),
        dot(even, [ONE, -ONE, -ONE, ONE]),
        dot(odd, [COS_5, -COS_1, COS_7, COS_3]),
        dot(even, [COS_6, -COS_2, COS_2, -COS_6]),
        dot(odd, [COS_7, -COS_5, COS_3, -COS_1]),
    ]
}

fn to_sixteen_bits(sum: i32) -> i32 {
    let rounded = (sum + (1 << (FIRST - 1))) >> FIRST;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

fn to_sample(sum: i32) -> u8 {
    (((sum + (1 << (SECOND - 1))) >> SECOND) + MIDDLE).clamp(0, 255) as u8
}
