//! One scan, from bits to planes: T.81, annex F.2. A scan of a baseline file has all of one
//! component or of all three; coefficients of a block are transformed as soon as they are read.

use super::bits::Bits;
use super::huffman::{Entry, Skip, SkipTable, Table};
use super::segment::{Frame, FrameComponent, ScanHeader, Tables};
use super::{NATURAL_ORDER, Refusal, kernels};
use crate::planes::Plane;

const DAMAGED: Refusal = Refusal::Corrupt("its scan is damaged");

/// Look-ups for which the bits of one refill are enough.
const PER_REFILL: u32 = Bits::FILLED / Table::BITS;
/// Skips for which the bits of one refill are enough.
const SKIPS_PER_REFILL: u32 = Bits::FILLED / SkipTable::BITS;

/// Luma is decoded at least so many thirds as large as what is made of it. Nearer than that, what a
/// scaled transform has cut off is missed: similarity falls by more than a thousandth.
const MARGIN_THIRDS: u32 = 4;

/// One component of the picture, and its plane as far as it is decoded.
pub(super) struct Component {
    frame: FrameComponent,
    /// Samples that become of the eight of a block's side: 8, 4, 2 or 1.
    side: usize,
    /// Blocks in a scan of its own, which leaves out those beyond the picture.
    alone: Blocks,
    /// Units of a scan of all components.
    units: Blocks,
    plane: Plane,
    complete: bool,
}

#[derive(Clone, Copy)]
struct Blocks {
    across: usize,
    down: usize,
}

impl Component {
    /// Makes the components of a frame, each with a plane that is large enough to make a picture of
    /// the needed size from.
    pub(super) fn each(frame: &Frame, needed: (u32, u32)) -> Vec<Self> {
        // The factors of a single component say nothing: there is none to compare it with.
        let single = frame.components.len() == 1;
        let across = |component: &FrameComponent| if single { 1 } else { component.across };
        let down = |component: &FrameComponent| if single { 1 } else { component.down };
        let across_max = frame.components.iter().map(across).max().unwrap_or(1);
        let down_max = frame.components.iter().map(down).max().unwrap_or(1);
        let axis = |pixels: u16, factor: u8, factor_max: u8, needed: u32| Axis {
            pixels: usize::from(pixels),
            factor: usize::from(factor),
            factor_max: usize::from(factor_max),
            needed: needed as usize,
        };
        let component = |(index, frame_component): (usize, &FrameComponent)| {
            let share = |side: u32| match index {
                0 => (side * MARGIN_THIRDS).div_ceil(3),
                // Nobody sees colour as sharply.
                _ => side.div_ceil(2),
            };
            let (width, height) = (share(needed.0), share(needed.1));
            let x = axis(frame.width, across(frame_component), across_max, width);
            let y = axis(frame.height, down(frame_component), down_max, height);
            Self::new(*frame_component, &x, &y)
        };
        frame.components.iter().enumerate().map(component).collect()
    }

    fn new(frame: FrameComponent, x: &Axis, y: &Axis) -> Self {
        let enough = |side: &usize| x.enough(*side) && y.enough(*side);
        let side = [1, 2, 4].into_iter().find(enough).unwrap_or(8);
        Self {
            frame: FrameComponent {
                across: x.factor as u8,
                down: y.factor as u8,
                ..frame
            },
            side,
            alone: Blocks {
                across: x.samples().div_ceil(8),
                down: y.samples().div_ceil(8),
            },
            units: Blocks {
                across: x.units(),
                down: y.units(),
            },
            plane: Plane::within(
                (x.units() * x.factor * side, y.units() * y.factor * side),
                (x.extent(side), y.extent(side)),
            ),
            complete: false,
        }
    }

    pub(super) fn id(&self) -> u8 {
        self.frame.id
    }

    /// Tells whether its scan was read.
    pub(super) fn complete(&self) -> bool {
        self.complete
    }

    pub(super) fn into_plane(mut self) -> Plane {
        self.plane.repeat_edges();
        self.plane
    }
}

/// One direction of a component.
struct Axis {
    pixels: usize,
    factor: usize,
    factor_max: usize,
    needed: usize,
}

impl Axis {
    fn units(&self) -> usize {
        self.pixels.div_ceil(8 * self.factor_max)
    }

    fn samples(&self) -> usize {
        (self.pixels * self.factor).div_ceil(self.factor_max)
    }

    /// Samples that the picture spans once scaled.
    fn extent(&self, side: usize) -> f64 {
        (self.pixels * self.factor * side) as f64 / (self.factor_max * 8) as f64
    }

    fn enough(&self, side: usize) -> bool {
        (self.samples() * side).div_ceil(8) >= self.needed
    }
}

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
    let mut units = None;
    for component in components {
        let Some(part) = header.parts.iter().find(|part| part.id == component.id()) else {
            continue;
        };
        if component.complete {
            return Err(Refusal::Corrupt("a colour is there twice"));
        }
        let (frame, alone) = (component.frame, component.alone);
        let one = Blocks { across: 1, down: 1 };
        let unit = Blocks {
            across: usize::from(frame.across),
            down: usize::from(frame.down),
        };
        units = Some(if interleaved { component.units } else { alone });
        let (dc, ac, skip) = built.of(part.dc, part.ac);
        parts.push(Part {
            dc,
            ac,
            skip,
            steps: tables
                .quantisation
                .get(usize::from(frame.quantisation))
                .copied()
                .flatten()
                .ok_or(Refusal::Corrupt("a quantisation table is missing"))?,
            unit: if interleaved { unit } else { one },
            prediction: 0,
            component,
        });
    }
    let units = units
        .filter(|_| parts.len() == header.parts.len())
        .ok_or(Refusal::Corrupt(
            "a scan is of a colour that the frame lacks",
        ))?;
    let interval = usize::from(tables.restart_interval);
    let rest = read_units(bytes, &mut parts, units, interval, cancel)?;
    for part in parts {
        part.component.complete = true;
    }
    Ok(rest)
}

fn read_units<'a>(
    bytes: &'a [u8],
    parts: &mut [Part<'_>],
    units: Blocks,
    interval: usize,
    cancel: &dyn Fn() -> bool,
) -> Result<&'a [u8], Refusal> {
    const SHORT: Refusal = Refusal::Corrupt("its scan ends before the picture does");
    let mut bits = Bits::new(bytes);
    let mut coefficients = [0; 64];
    let (mut left, mut restarts) = (interval, 0);
    for row in 0..units.down {
        if cancel() {
            return Err(Refusal::Cancelled);
        }
        for column in 0..units.across {
            if interval > 0 {
                if left == 0 {
                    if bits.overrun() {
                        return Err(SHORT);
                    }
                    bits = Bits::new(after_restart(bits.rest(), restarts)?);
                    restarts = (restarts + 1) % 8;
                    left = interval;
                    for part in parts.iter_mut() {
                        part.prediction = 0;
                    }
                }
                left -= 1;
            }
            for part in parts.iter_mut() {
                part.read_unit(&mut bits, row, column, &mut coefficients)?;
            }
        }
        // Asked once a row: what was made up of zeros until then is thrown away with the rest.
        if bits.overrun() {
            return Err(SHORT);
        }
    }
    let rest = bits.rest();
    stray(rest)?;
    Ok(rest)
}

/// Bytes before the next marker, which belong to nothing. Some writers pad; more than that is the
/// rest of a scan that was read wrongly because it is damaged.
fn stray(bytes: &[u8]) -> Result<usize, Refusal> {
    const PADDING_MAX: usize = 16;
    bytes
        .windows(2)
        .take(PADDING_MAX + 1)
        .position(|pair| pair[0] == 0xff && pair[1] != 0)
        .ok_or(DAMAGED)
}

/// What follows the restart marker of this number, which must come next. Another number means that
/// part of the picture is missing.
fn after_restart(bytes: &[u8], number: u8) -> Result<&[u8], Refusal> {
    const MISSING: Refusal = Refusal::Corrupt("a restart marker is missing");
    let mut rest = &bytes[stray(bytes)?..];
    // Any number of 0xff may stand before a marker.
    while let [0xff, after @ ..] = rest {
        rest = after;
    }
    match rest.split_first() {
        Some((marker, after)) if *marker == 0xd0 + number => Ok(after),
        _ => Err(MISSING),
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
            self.skip(&mut bits, index).ok_or(DAMAGED)?;
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

    /// Passes over what is left of a block from this coefficient on; nothing if it is damaged.
    #[inline(always)]
    fn skip(&self, bits: &mut Bits<'_>, mut index: usize) -> Option<()> {
        while index < 64 {
            bits.refill();
            for _ in 0..SKIPS_PER_REFILL {
                let skip = self.skip.look_up(bits.ahead());
                let past = index + usize::from(skip.advance);
                if past > 63 {
                    if skip.advance & Skip::END != 0 && past - usize::from(Skip::END) < 64 {
                        bits.take(skip.length);
                        return Some(());
                    }
                    break;
                }
                bits.take(skip.length);
                index = past;
            }
            // Near the end of the block, or a long code: one at a time.
            let entry = next(bits, self.ac)?;
            if entry.run == Entry::END {
                return Some(());
            }
            index += usize::from(entry.run) + 1;
        }
        (index == 64).then_some(())
    }
}

/// The next coefficient; nothing if the bits are no code.
#[inline(always)]
fn next(bits: &mut Bits<'_>, table: &Table<'_>) -> Option<Entry> {
    bits.refill();
    let mut entry = table.look_up(bits.ahead());
    if entry.length == 0 {
        entry = table.search(entry, bits.ahead());
        if entry.length == 0 {
            return None;
        }
    }
    bits.take(entry.length);
    Some(entry)
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
            self.dc[dc] = Some(Table::new(dc_code)?);
        }
        if self.ac[ac].is_none() {
            let table = Table::new(ac_code)?;
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
