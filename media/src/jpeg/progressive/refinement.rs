//! One more bit of a band of coefficients of one component: T.81, G.1.2.3.

use std::ops::Range;

use super::coefficients::{Block, Coefficients};
use super::script::{Places, places};
use crate::jpeg::Refusal;
use crate::jpeg::bits::Bits;
use crate::jpeg::huffman::{Entry, Table, next};
use crate::jpeg::segment::ScanHeader;
use crate::jpeg::units::{DAMAGED, Units};

pub(super) struct Scan<'a> {
    coefficients: &'a mut Coefficients,
    table: Table<'a>,
    /// The coefficients of the scan.
    band: Places,
    /// Which bit it brings.
    low: u8,
    /// In how many of the next blocks none of them becomes other than zero.
    ended: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        coefficients: &'a mut Coefficients,
        table: Table<'a>,
        header: &ScanHeader,
    ) -> Self {
        Self {
            coefficients,
            table,
            band: places(&header.band),
            low: header.low,
            ended: 0,
        }
    }

    fn read_block(&mut self, source: &mut Bits<'_>, at: usize) -> Result<(), Refusal> {
        let mut bits = *source;
        let mut block = self.coefficients.block(at);
        let old = *block.nonzero & self.band;
        let mut corrections = Corrections::default();
        if self.ended == 0 {
            let zeros = Zeros::new(self.band & !old);
            let (mut index, mut zero) = (self.band.trailing_zeros() as usize, 0);
            let end = 64 - self.band.leading_zeros() as usize;
            while index < end {
                let entry = next(&mut bits, &self.table).ok_or(DAMAGED)?;
                if entry.run == Entry::END {
                    self.ended = entry.value as usize + 1;
                    break;
                }
                // Only coefficients that were zero count in a run.
                let run = usize::from(entry.run);
                let place = zeros.place(zero + run).ok_or(DAMAGED)?;
                corrections.read(&mut bits, place - index - run);
                match entry.value {
                    -1..=1 => block.put(place, entry.value << self.low),
                    _ => return Err(DAMAGED),
                }
                index = place + 1;
                zero += run + 1;
            }
        }
        if self.ended > 0 {
            self.ended -= 1;
            bits.refill();
            corrections.read(&mut bits, old.count_ones() as usize - corrections.count);
        }
        *source = bits;
        corrections.apply(&mut block, old, self.low);
        Ok(())
    }
}

/// The places of coefficients that are zero.
struct Zeros {
    places: [u8; 72],
    count: usize,
}

impl Zeros {
    fn new(zeros: Places) -> Self {
        /// The places of ones in each byte, as the bytes of a number.
        static PLACES: [u64; 256] = {
            let mut places = [0; 256];
            let mut byte = 0;
            while byte < 256 {
                let (mut place, mut count) = (0, 0);
                while place < 8 {
                    if byte >> place & 1 == 1 {
                        places[byte] |= place << (8 * count);
                        count += 1;
                    }
                    place += 1;
                }
                byte += 1;
            }
            places
        };
        const EACH: u64 = 0x0101_0101_0101_0101;
        let (mut places, mut count) = ([0; 72], 0);
        for (at, byte) in zeros.to_le_bytes().into_iter().enumerate() {
            let eight = PLACES[usize::from(byte)] + EACH * 8 * at as u64;
            places[count..][..8].copy_from_slice(&eight.to_le_bytes());
            count += byte.count_ones() as usize;
        }
        Self { places, count }
    }

    #[inline(always)]
    fn place(&self, zero: usize) -> Option<usize> {
        (zero < self.count).then(|| usize::from(self.places[zero]))
    }
}

/// A bit for each coefficient of a block that was not zero, the first the highest.
#[derive(Default)]
struct Corrections {
    bits: u64,
    count: usize,
}

impl Corrections {
    /// Reads some more, less than 64 with those before.
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, count: usize) {
        /// Bits there are after a look-up.
        const AT_ONCE: usize = 32;
        let mut left = count;
        if left > AT_ONCE {
            bits.refill();
            self.take(bits, left - AT_ONCE);
            bits.refill();
            left = AT_ONCE;
        }
        self.take(bits, left);
    }

    #[inline(always)]
    fn take(&mut self, bits: &mut Bits<'_>, count: usize) {
        self.bits = self.bits << count | bits.ahead() >> 1 >> (63 - count);
        self.count += count;
        bits.take(count as u8);
    }

    /// Adds this bit to the amounts of `old`, the coefficients that were not zero.
    #[inline(always)]
    fn apply(self, block: &mut Block<'_>, old: Places, low: u8) {
        let mut left = old & block.nearest();
        // Shifted twice, since a shift by all 64 bits is none.
        let mut ahead = self.bits << 1 << (63 - self.count);
        while left != 0 && ahead != 0 {
            if let Some(level) = block.kept_mut(left.trailing_zeros() as usize) {
                let sign = *level >> 15 | 1;
                let bit = (ahead >> 63) as i16;
                *level = level.wrapping_add((sign * bit) << low);
            }
            left &= left - 1;
            ahead <<= 1;
        }
    }
}

impl Units for Scan<'_> {
    fn restart(&mut self) {
        self.ended = 0;
    }

    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> Result<(), Refusal> {
        let first = row * self.coefficients.across;
        for column in columns {
            self.read_block(bits, first + column)?;
        }
        Ok(())
    }
}
