//! One scan of a baseline file, from bits to planes: T.81, annex F.2. It has all of one component or
//! of all three; coefficients of a block are transformed as soon as they are read.

use std::ops::Range;

use super::bits::Bits;
use super::component::{Blocks, Component};
use super::huffman::{Entry, PER_REFILL, SkipTable, Symbols, Table, next, skip};
use super::segment::{ScanHeader, Tables};
use super::units::{self, DAMAGED, Units};
use super::{NATURAL_ORDER, Refusal, kernels};

/// One component in this scan.
struct Part<'a> {
    component: &'a mut Component,
    dc: &'a Table<'a>,
    ac: &'a Table<'a>,
    skip: &'a SkipTable,
    steps: [i16; 64],
    /// Blocks of one unit.
    unit: Blocks,
    /// The last DC coefficient.
    prediction: i32,
}

/// Reads one scan; returns what follows it.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    header: &ScanHeader,
    tables: &Tables<'_>,
    components: &mut [Component],
    cancel: &dyn Fn() -> bool,
) -> Result<&'a [u8], Refusal> {
    let interleaved = header.parts.len() > 1;
    let mut built = BuiltTables::default();
    for part in &header.parts {
        built.build(part.dc, part.ac, tables)?;
    }
    let mut parts = Vec::with_capacity(header.parts.len());
    let mut size = None;
    for component in components {
        let Some(part) = header.parts.iter().find(|part| part.id == component.id()) else {
            continue;
        };
        if component.complete {
            return Err(Refusal::Corrupt("a colour is there twice"));
        }
        size = Some(component.units(interleaved));
        let (dc, ac, skip) = built.of(part.dc, part.ac);
        parts.push(Part {
            dc,
            ac,
            skip,
            steps: tables.steps(component.frame.quantisation)?,
            unit: component.unit(interleaved),
            prediction: 0,
            component,
        });
    }
    let size = size
        .filter(|_| parts.len() == header.parts.len())
        .ok_or(Refusal::Corrupt(
            "a scan is of a colour that the frame lacks",
        ))?;
    let interval = usize::from(tables.restart_interval);
    let mut reader = Sequential {
        parts,
        coefficients: [0; 64],
    };
    let rest = units::each(bytes, size, interval, &mut reader, cancel)?;
    for part in reader.parts {
        part.component.complete = true;
    }
    Ok(rest)
}

/// The parts of a scan, and room for the coefficients of one block.
struct Sequential<'a> {
    parts: Vec<Part<'a>>,
    coefficients: [i16; 64],
}

impl Units for Sequential<'_> {
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
                part.read_unit(bits, row, column, &mut self.coefficients)?;
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    fn read_unit(
        &mut self,
        bits: &mut Bits<'_>,
        row: usize,
        column: usize,
        coefficients: &mut [i16; 64],
    ) -> Result<(), Refusal> {
        let side = self.component.side;
        for y in 0..self.unit.down {
            for x in 0..self.unit.across {
                let left = (column * self.unit.across + x) * side;
                let top = (row * self.unit.down + y) * side;
                let at = top * self.component.plane.stride() + left;
                match side {
                    8 => self.read_block::<8, 63>(bits, at, coefficients)?,
                    4 => self.read_block::<4, 24>(bits, at, coefficients)?,
                    2 => self.read_block::<2, 4>(bits, at, coefficients)?,
                    _ => self.read_block::<1, 0>(bits, at, coefficients)?,
                }
            }
        }
        Ok(())
    }

    /// Reads a block and stores its `SIDE` by `SIDE` samples. Coefficients after `KEPT`, in the
    /// order of the file, have no part in them.
    fn read_block<const SIDE: usize, const KEPT: usize>(
        &mut self,
        source: &mut Bits<'_>,
        at: usize,
        coefficients: &mut [i16; 64],
    ) -> Result<(), Refusal> {
        let mut bits = *source;
        let difference = next(&mut bits, self.dc).ok_or(DAMAGED)?.value;
        self.prediction = self.prediction.wrapping_add(i32::from(difference));
        coefficients[0] = self.prediction as i16;

        let (mut index, mut flat) = (1, true);
        'kept: while index <= KEPT {
            bits.refill();
            for _ in 0..PER_REFILL {
                let entry = self.ac.look_up(bits.ahead());
                let last = index + usize::from(entry.run);
                let Some(place) = NATURAL_ORDER.get(last) else {
                    break;
                };
                bits.take(entry.length);
                coefficients[usize::from(*place)] = entry.value;
                flat = false;
                index = last + 1;
                if index > KEPT {
                    break 'kept;
                }
            }
            // The end of the block, or a code that is too long for the table.
            let entry = next(&mut bits, self.ac).ok_or(DAMAGED)?;
            if entry.run == Entry::END {
                index = 64;
                break;
            }
            index += usize::from(entry.run);
            let place = NATURAL_ORDER.get(index).ok_or(DAMAGED)?;
            coefficients[usize::from(*place)] = entry.value;
            index += 1;
            flat = false;
        }
        if index < 64 {
            skip(&mut bits, self.ac, self.skip, index..64).ok_or(DAMAGED)?;
        }
        *source = bits;

        if flat {
            let sample = kernels::flat::<SIDE>(coefficients[0], self.steps[0]);
            self.component.plane.store(at, [[sample; SIDE]; SIDE]);
        } else {
            let samples = kernels::inverse::<SIDE>(coefficients, &self.steps);
            self.component.plane.store(at, samples);
            *coefficients = [0; 64];
        }
        Ok(())
    }
}

/// The tables that a scan uses, by number.
#[derive(Default)]
struct BuiltTables<'a> {
    dc: [Option<Table<'a>>; 4],
    ac: [Option<(Table<'a>, SkipTable)>; 4],
}

impl<'a> BuiltTables<'a> {
    fn build(&mut self, dc: u8, ac: u8, tables: &Tables<'a>) -> Result<(), Refusal> {
        const MISSING: Refusal = Refusal::Corrupt("a Huffman table is missing");
        let (dc, ac) = (usize::from(dc), usize::from(ac));
        let dc_code = tables.dc.get(dc).copied().flatten().ok_or(MISSING)?;
        let ac_code = tables.ac.get(ac).copied().flatten().ok_or(MISSING)?;
        if self.dc[dc].is_none() {
            self.dc[dc] = Some(Table::new(dc_code, Symbols::Sequential)?);
        }
        if self.ac[ac].is_none() {
            let table = Table::new(ac_code, Symbols::Sequential)?;
            let skip = SkipTable::new(&table);
            self.ac[ac] = Some((table, skip));
        }
        Ok(())
    }

    fn of(&self, dc: u8, ac: u8) -> (&Table<'a>, &Table<'a>, &SkipTable) {
        let built = self.dc[usize::from(dc)]
            .as_ref()
            .zip(self.ac[usize::from(ac)].as_ref());
        let (dc, (ac, skip)) = built.expect("the tables of every part were built");
        (dc, ac, skip)
    }
}
