//! A band of coefficients of one component, for the first time: T.81, G.1.2.2.

use std::ops::Range;

use super::coefficients::Coefficients;
use super::script::Places;
use crate::jpeg::Refusal;
use crate::jpeg::bits::Bits;
use crate::jpeg::huffman::{Entry, PER_REFILL, SkipTable, Table, next, skip};
use crate::jpeg::segment::ScanHeader;
use crate::jpeg::units::{DAMAGED, Units};

pub(super) struct Scan<'a> {
    coefficients: &'a mut Coefficients,
    table: Table<'a>,
    skips: SkipTable,
    /// The coefficients of the scan.
    band: Range<usize>,
    /// Where the last that is wanted ends.
    wanted_end: usize,
    /// How many bits are left for later scans.
    low: u8,
    /// How many of the next blocks have none of them.
    ended: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        coefficients: &'a mut Coefficients,
        table: Table<'a>,
        header: &ScanHeader,
        wanted: Places,
    ) -> Self {
        let (first, last) = (*header.band.start(), *header.band.end());
        Self {
            coefficients,
            skips: SkipTable::new(&table),
            table,
            band: usize::from(first)..usize::from(last) + 1,
            wanted_end: 64 - wanted.leading_zeros() as usize,
            low: header.low,
            ended: 0,
        }
    }

    fn read_block(&mut self, source: &mut Bits<'_>, at: usize) -> Result<(), Refusal> {
        let mut bits = *source;
        let mut block = self.coefficients.block(at);
        let Range {
            start: mut index,
            end,
        } = self.band;
        'wanted: while index < self.wanted_end {
            bits.refill();
            for _ in 0..PER_REFILL {
                let entry = self.table.look_up(bits.ahead());
                let place = index + usize::from(entry.run);
                if place >= end {
                    break;
                }
                bits.take(entry.length);
                block.put(place, entry.value << self.low);
                index = place + 1;
                if index >= self.wanted_end {
                    break 'wanted;
                }
            }
            // The end of the block, or a code that is too long for the table.
            let entry = next(&mut bits, &self.table).ok_or(DAMAGED)?;
            if entry.run == Entry::END {
                self.ended = entry.value as usize;
                *source = bits;
                return Ok(());
            }
            index += usize::from(entry.run);
            if index >= end {
                return Err(DAMAGED);
            }
            block.put(index, entry.value << self.low);
            index += 1;
        }
        let ended = skip(&mut bits, &self.table, &self.skips, index..end).ok_or(DAMAGED)?;
        self.ended = ended as usize;
        *source = bits;
        Ok(())
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
        mut columns: Range<usize>,
    ) -> Result<(), Refusal> {
        let first = row * self.coefficients.across;
        while !columns.is_empty() {
            let ended = self.ended.min(columns.len());
            self.ended -= ended;
            columns.start += ended;
            if let Some(column) = columns.next() {
                self.read_block(bits, first + column)?;
            }
        }
        Ok(())
    }
}
