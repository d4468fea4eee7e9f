//! Red, green and blue to luma and chroma and back, full range, by the matrix that JFIF fixes.

/// Bits after the point of the matrix.
const BITS: u32 = 16;
const HALF: i32 = 1 << (BITS - 1);
/// Chroma of no colour.
const MIDDLE: i32 = 128;

#[inline]
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * i32::from(r) + 38_470 * i32::from(g) + 7_471 * i32::from(b);
    ((sum + HALF) >> BITS) as u8
}

/// Blue and red chroma of the mean of pixels, by their sums. There are two to the power of `LOG2`.
#[inline]
pub(crate) fn chroma<const LOG2: u32>([r, g, b]: [i32; 3]) -> [u8; 2] {
    let shift = BITS + LOG2;
    // Rounded, but not beyond the 255 that a byte holds.
    let middle = (MIDDLE << shift) + (1 << (shift - 1)) - 1;
    let blue = middle - 11_059 * r - 21_709 * g + 32_768 * b;
    let red = middle + 32_768 * r - 27_439 * g - 5_329 * b;
    // Not by `map`, which is not always inlined.
    let clamped = |sum: i32| (sum >> shift).clamp(0, 255) as u8;
    [clamped(blue), clamped(red)]
}

#[inline]
pub(crate) fn rgb(luma: u8, [blue, red]: [u8; 2]) -> [u8; 3] {
    let y = (i32::from(luma) << BITS) + HALF;
    let (cb, cr) = (i32::from(blue) - MIDDLE, i32::from(red) - MIDDLE);
    let clamped = |sum: i32| (sum >> BITS).clamp(0, 255) as u8;
    [
        clamped(y + 91_881 * cr),
        clamped(y - 22_554 * cb - 46_802 * cr),
        clamped(y + 116_130 * cb),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_there_and_back_are_the_same() {
        let levels = || (0..=255u8).step_by(15);
        for r in levels() {
            for g in levels() {
                for b in levels() {
                    let colour = [r, g, b];
                    let chroma = chroma::<0>(colour.map(i32::from));
                    let back = rgb(luma(colour), chroma);
                    let near = colour.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 2);
                    assert!(near, "{colour:?} became {back:?}");
                }
            }
        }
    }

    #[test]
    fn chroma_of_a_sum_is_that_of_the_mean() {
        assert_eq!(chroma::<2>([4 * 255, 0, 0]), chroma::<0>([255, 0, 0]));
        assert_eq!(chroma::<2>([90 + 100, 400, 8]), chroma::<1>([95, 200, 4]));
        assert_eq!(chroma::<0>([77; 3]), [128; 2]);
    }
}
