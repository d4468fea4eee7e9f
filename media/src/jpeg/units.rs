//! The way through a scan, unit after unit, from one restart marker to the next: T.81, annex E.2.

use std::ops::Range;

use super::Refusal;
use super::bits::Bits;
use super::component::Blocks;

pub(super) const DAMAGED: Refusal = Refusal::Corrupt("its scan is damaged");

/// What reads the units of a scan.
pub(super) trait Units {
    /// Forgets what is carried from one unit to the next.
    fn restart(&mut self);

    /// Reads units of a row that follow each other.
    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> Result<(), Refusal>;
}

/// Has all units of a scan read; returns what follows it. `interval` is how many units there are
/// between two restart markers, 0 if there is none. `cancel` is asked before each row.
pub(super) fn each<'a>(
    bytes: &'a [u8],
    size: Blocks,
    interval: usize,
    reader: &mut impl Units,
    cancel: &dyn Fn() -> bool,
) -> Result<&'a [u8], Refusal> {
    const SHORT: Refusal = Refusal::Corrupt("its scan ends before the picture does");
    let whole = |bits: Bits<'_>| if bits.overrun() { Err(SHORT) } else { Ok(()) };
    let mut bits = Bits::new(bytes);
    let (mut left, mut restarts) = (interval, 0);
    for row in 0..size.down {
        if cancel() {
            return Err(Refusal::Cancelled);
        }
        let mut column = 0;
        while column < size.across {
            let mut end = size.across;
            if interval > 0 {
                if left == 0 {
                    whole(bits)?;
                    bits = Bits::new(after_restart(bits.rest(), restarts)?);
                    restarts = (restarts + 1) % 8;
                    left = interval;
                    reader.restart();
                }
                end = end.min(column + left);
                left -= end - column;
            }
            reader.read(&mut bits, row, column..end)?;
            column = end;
        }
        // Asked once a row: what was made up of zeros until then is thrown away with the rest.
        whole(bits)?;
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
