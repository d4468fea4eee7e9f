//! Blocks of samples to tokens: a symbol of the Huffman code and the bits after it.

use super::bits::BitWriter;
use super::code::Code;
use super::{NATURAL_ORDER, block};
use crate::jpeg::kernels;
use crate::planes::Plane;

/// The codes there are, in the order of the file.
const LUMA_DC: u32 = 0;
const CHROMA_DC: u32 = 2;
/// From the code of DC coefficients to that of AC coefficients.
const AC: u32 = 1;

/// The symbol of a block that has nothing more.
const END_OF_BLOCK: u32 = 0x00;
/// The symbol of sixteen zeros.
const SIXTEEN_ZEROS: u32 = 0xf0;

/// How much of an AC coefficient counts. They crowd towards zero, so that most of those that round to
/// a level are below it: a fiftieth less makes a file by a hundredth smaller, and costs 0.0004 of its
/// similarity.
const KEPT: f32 = 0.98;

/// Where, column by column, each coefficient of a block is, in the order of the file.
const COLUMN_ORDER: [u8; 64] = {
    let mut order = NATURAL_ORDER;
    let mut at = 0;
    while at < 64 {
        order[at] = order[at] % 8 * 8 + order[at] / 8;
        at += 1;
    }
    order
};

/// Tokens: from the bottom eight bits of symbol, of which the lower four say how many bits follow;
/// eight bits for which code; and the bits that follow.
#[derive(Default)]
pub(super) struct Tokens(Vec<u32>);

/// How often each symbol of each code occurs.
pub(super) struct Frequencies([[u32; 256]; 4]);

impl Default for Frequencies {
    fn default() -> Self {
        Self([[0; 256]; 4])
    }
}

impl Frequencies {
    pub(super) fn each(&self) -> [&[u32; 256]; 4] {
        self.0.each_ref()
    }
}

impl Tokens {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn count(&self, frequencies: &mut Frequencies) {
        for token in &self.0 {
            frequencies.0[(token >> 8 & 3) as usize][(token & 0xff) as usize] += 1;
        }
    }

    pub(super) fn write(&self, codes: &[Code; 4], writer: &mut BitWriter) {
        for token in &self.0 {
            let (code, length) = codes[(token >> 8 & 3) as usize].of(*token as u8);
            let size = token & 0xf;
            writer.put(code << size | token >> 16, length + size);
        }
    }

    #[inline(always)]
    fn push(&mut self, code: u32, run: u32, value: i16) {
        let size = 16 - value.unsigned_abs().leading_zeros();
        // A negative value is one less, without its sign: T.81, F.1.2.1.
        let bits = i32::from(value) + i32::from(value >> 15);
        let bits = bits as u32 & ((1 << size) - 1);
        self.0.push(run << 4 | size | code << 8 | bits << 16);
    }
}

/// One plane and what its blocks are divided by.
pub(super) struct Channel<'a> {
    plane: &'a Plane,
    shares: [f32; 64],
    /// The code of its DC coefficients.
    code: u32,
    /// The last DC coefficient.
    prediction: i16,
}

impl<'a> Channel<'a> {
    pub(super) fn new(plane: &'a Plane, steps: &[u8; 64], chroma: bool) -> Self {
        Self {
            plane,
            // Column by column, as the transform leaves coefficients.
            shares: std::array::from_fn(|at| {
                let share = kernels::share(steps[at % 8 * 8 + at / 8]);
                if at == 0 { share } else { share * KEPT }
            }),
            code: if chroma { CHROMA_DC } else { LUMA_DC },
            prediction: 0,
        }
    }

    pub(super) fn rewind(&mut self) {
        self.prediction = 0;
    }

    /// Appends the tokens of a block: T.81, F.1.2.
    pub(super) fn read(&mut self, x: usize, y: usize, tokens: &mut Tokens) {
        let levels = kernels::forward(&block(self.plane, x, y), &self.shares);
        tokens.push(self.code, 0, levels[0] - self.prediction);
        self.prediction = levels[0];

        let ordered = COLUMN_ORDER.map(|place| levels[usize::from(place & 63)]);
        let mut left = kernels::nonzero(&ordered);
        let mut done = 0;
        left &= !1;
        while left != 0 {
            let index = left.trailing_zeros();
            left &= left - 1;
            let mut run = index - done - 1;
            while run > 15 {
                tokens.0.push(SIXTEEN_ZEROS | (self.code + AC) << 8);
                run -= 16;
            }
            tokens.push(self.code + AC, run, ordered[index as usize & 63]);
            done = index;
        }
        if done < 63 {
            tokens.0.push(END_OF_BLOCK | (self.code + AC) << 8);
        }
    }
}
