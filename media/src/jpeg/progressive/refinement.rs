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
        let mut left = self.band;
        while self.ended == 0 && left != 0 {
            let entry = next(&mut bits, &self.table).ok_or(DAMAGED)?;
            if entry.run == Entry::END {
                self.ended = entry.value as usize + 1;
                break;
            }
            // Only coefficients that were zero count in a run.
            let mut zeros = left & !*block.nonzero;
            for _ in 0..entry.run {
                zeros &= zeros.wrapping_sub(1);
            }
            if zeros == 0 || !(-1..=1).contains(&entry.value) {
                return Err(DAMAGED);
            }
            let place = zeros.trailing_zeros();
            let passed = left & *block.nonzero & !(u64::MAX << place);
            correct(&mut bits, &mut block, passed, self.low);
            if entry.value != 0 {
                block.put(place as usize, entry.value << self.low);
            }
            left &= u64::MAX << place << 1;
        }
        if self.ended > 0 {
            self.ended -= 1;
            let passed = left & *block.nonzero;
            correct(&mut bits, &mut block, passed, self.low);
        }
        *source = bits;
        Ok(())
    }
}

/// Reads one bit for each of some coefficients that were not zero.
#[inline(always)]
fn correct(bits: &mut Bits<'_>, block: &mut Block<'_>, places: Places, low: u8) {
    const AT_ONCE: u8 = Bits::FILLED as u8;
    let near_all = u64::MAX >> block.shown().leading_zeros();
    let mut near = places & near_all;
    while near != 0 {
        bits.refill();
        let (mut ahead, mut taken) = (bits.ahead(), 0);
        while near != 0 && taken < AT_ONCE {
            if let Some(level) = block.kept_mut(near.trailing_zeros() as usize) {
                let sign = *level >> 15 | 1;
                let bit = (ahead >> 63) as i16;
                *level = level.wrapping_add((sign * bit) << low);
            }
            near &= near - 1;
            ahead <<= 1;
            taken += 1;
        }
        bits.take(taken);
    }
    // The rest is not shown, and not zero whatever the bits are.
    let far = (places & !near_all).count_ones() as u8;
    bits.refill();
    bits.take(far.min(AT_ONCE));
    bits.refill();
    bits.take(far - far.min(AT_ONCE));
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
