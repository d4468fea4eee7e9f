//! The means of all blocks, or one more bit of them: T.81, G.1.2.1.

use std::ops::Range;

use super::coefficients::Coefficients;
use crate::jpeg::Refusal;
use crate::jpeg::bits::Bits;
use crate::jpeg::component::Blocks;
use crate::jpeg::huffman::{Table, next};
use crate::jpeg::units::{DAMAGED, Units};

pub(super) struct Scan<'a> {
    parts: Vec<Part<'a>>,
    /// How many bits are left for later scans.
    low: u8,
}

/// One component.
struct Part<'a> {
    coefficients: &'a mut Coefficients,
    /// Blocks of one unit.
    unit: Blocks,
    table: Option<Table<'a>>,
    /// The last coefficient.
    prediction: i32,
}

impl<'a> Scan<'a> {
    pub(super) fn new(low: u8) -> Self {
        let parts = Vec::new();
        Self { parts, low }
    }

    /// Adds a component, of which a unit has so many blocks; with no table if there is one more bit
    /// of each.
    pub(super) fn add(
        &mut self,
        coefficients: &'a mut Coefficients,
        unit: Blocks,
        table: Option<Table<'a>>,
    ) {
        self.parts.push(Part {
            coefficients,
            unit,
            table,
            prediction: 0,
        });
    }
}

impl Part<'_> {
    fn read_block(&mut self, bits: &mut Bits<'_>, at: usize, low: u8) -> Result<(), Refusal> {
        let mut block = self.coefficients.block(at);
        let Some(table) = &self.table else {
            bits.refill();
            *block.mean() |= ((bits.ahead() >> 63) as i16) << low;
            bits.take(1);
            return Ok(());
        };
        let difference = next(bits, table).ok_or(DAMAGED)?.value;
        self.prediction = self.prediction.wrapping_add(i32::from(difference));
        *block.mean() = (self.prediction << low) as i16;
        Ok(())
    }
}

impl Units for Scan<'_> {
    fn restart(&mut self) {
        for part in &mut self.parts {
            part.prediction = 0;
        }
    }

    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> Result<(), Refusal> {
        for column in columns {
            for part in &mut self.parts {
                for y in 0..part.unit.down {
                    for x in 0..part.unit.across {
                        let first = (row * part.unit.down + y) * part.coefficients.across;
                        let at = first + column * part.unit.across + x;
                        part.read_block(bits, at, self.low)?;
                    }
                }
            }
        }
        Ok(())
    }
}
