//! Which scans a progressive file has, and what of them is wanted: T.81, annex G.1.1.
//!
//! All scan headers are read before the first scan is. A file that does not say what a decoder can
//! make sense of is refused before it costs anything, and a scan of nothing but fine detail, which a
//! small picture does not show, is passed over undecoded.

use std::ops::RangeInclusive;

use crate::jpeg::Refusal;
use crate::jpeg::component::Component;
use crate::jpeg::segment::{self, ScanHeader, Segment};

/// Coefficients of a block, a bit for each, the first in the order of the file the lowest.
pub(super) type Places = u64;

/// The coefficients of a band.
pub(super) fn places(band: &RangeInclusive<u8>) -> Places {
    u64::MAX >> (63 - band.end()) & u64::MAX << band.start()
}

/// The scans of a file.
pub(super) struct Script {
    scans: Vec<Scan>,
}

struct Scan {
    /// Of a scan of several components the first.
    component: usize,
    band: Places,
    refines: bool,
}

/// Bits of a coefficient that a scan may leave for later ones: T.81, table B.3.
const LOW_MAX: u8 = 13;

impl Script {
    /// Reads the headers of all scans that follow the frame header.
    pub(super) fn read(mut rest: &[u8], components: &[Component]) -> Result<Self, Refusal> {
        let mut scans = Vec::new();
        let mut known = vec![[None; 64]; components.len()];
        loop {
            let (segment, after) = segment::next(rest)?;
            rest = after;
            match segment {
                Segment::Scan(header) => scans.push(Scan::check(&header, components, &mut known)?),
                Segment::End => break,
                _ => {}
            }
        }
        if known.iter().any(|known| known[0].is_none()) {
            return Err(Refusal::Corrupt("it ends before all its colours"));
        }
        Ok(Self { scans })
    }

    /// What of each scan is wanted, if it is known for each component which coefficients have a
    /// part in its plane. A scan is not wanted at all if its part is empty.
    pub(super) fn wanted(&self, mut shown: Vec<Places>) -> Vec<Places> {
        let mut parts: Vec<_> = self
            .scans
            .iter()
            .rev()
            .map(|scan| {
                let wanted = &mut shown[scan.component];
                let part = scan.band & *wanted;
                // Bits of a refinement are found only by those who know of every coefficient of its
                // band whether it was zero.
                if scan.refines && part != 0 {
                    *wanted |= scan.band;
                    return scan.band;
                }
                part
            })
            .collect();
        parts.reverse();
        parts
    }
}

/// Of each coefficient of a component, how many of its lowest bits are not known yet.
type Known = [Option<u8>; 64];

impl Scan {
    fn check(
        header: &ScanHeader,
        components: &[Component],
        known: &mut [Known],
    ) -> Result<Self, Refusal> {
        const NONSENSE: Refusal = Refusal::Corrupt("a scan header contradicts itself");
        let (first, last) = (*header.band.start(), *header.band.end());
        let dc = first == 0 && last == 0;
        let ac = 0 < first && first <= last && last < 64 && header.parts.len() == 1;
        let bits = header.low <= LOW_MAX && (header.high == 0 || header.high == header.low + 1);
        if !(dc || ac) || !bits {
            return Err(NONSENSE);
        }
        let mut indices = header.parts.iter().map(|part| {
            let found = components.iter().position(|known| known.id() == part.id);
            found.ok_or(Refusal::Corrupt(
                "a scan is of a colour that the frame lacks",
            ))
        });
        let before = (header.high > 0).then_some(header.high);
        for index in indices.clone() {
            for known in &mut known[index?][usize::from(first)..=usize::from(last)] {
                if *known != before {
                    return Err(Refusal::Corrupt("a scan does not go on where others ended"));
                }
                *known = Some(header.low);
            }
        }
        Ok(Self {
            component: indices.next().ok_or(NONSENSE)??,
            band: places(&header.band),
            refines: header.high > 0,
        })
    }
}
