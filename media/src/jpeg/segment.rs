//! What stands between the scans of a JPEG: ITU-T T.81, annex B.

use std::ops::RangeInclusive;

use memchr::memchr;

use super::component::Component;
use super::huffman::Code;
use super::{NATURAL_ORDER, Refusal};

/// One marker segment, as far as this decoder cares.
pub(super) enum Segment<'a> {
    Frame(Frame),
    QuantisationTables(&'a [u8]),
    HuffmanTables(&'a [u8]),
    /// Units between two restart markers, 0 for none.
    RestartInterval(u16),
    /// What the writer did to red, green and blue: 0 is nothing.
    Adobe {
        transform: u8,
    },
    Jfif,
    Scan(ScanHeader),
    End,
    Other,
}

/// The frame header.
pub(super) struct Frame {
    /// Whether each scan brings a part of the coefficients, or some of their bits.
    pub(super) progressive: bool,
    pub(super) width: u16,
    pub(super) height: u16,
    /// One or three.
    pub(super) components: Vec<FrameComponent>,
}

/// One component of a frame.
#[derive(Clone, Copy)]
pub(super) struct FrameComponent {
    pub(super) id: u8,
    /// Blocks of a unit across, 1 to 4.
    pub(super) across: u8,
    /// Blocks of a unit down, 1 to 4.
    pub(super) down: u8,
    /// Which quantisation table, 0 to 3.
    pub(super) quantisation: u8,
}

/// The scan header: which components, and by which tables.
pub(super) struct ScanHeader {
    pub(super) parts: Vec<ScanPart>,
    /// Which coefficients, in the order of the file: of a progressive file only.
    pub(super) band: RangeInclusive<u8>,
    /// How many of their lowest bits scans before left out, 0 if there was none: of a progressive
    /// file only.
    pub(super) high: u8,
    /// How many of their lowest bits this scan leaves out: of a progressive file only.
    pub(super) low: u8,
}

/// One component of a scan.
pub(super) struct ScanPart {
    pub(super) id: u8,
    /// Which Huffman table of DC coefficients, 0 to 3.
    pub(super) dc: u8,
    /// Which Huffman table of AC coefficients, 0 to 3.
    pub(super) ac: u8,
}

/// Reads the next marker and its payload; returns what follows.
pub(super) fn next(bytes: &[u8]) -> Result<(Segment<'_>, &[u8]), Refusal> {
    const CUT: Refusal = Refusal::Corrupt("it is cut short between two segments");
    let (marker, rest) = marker(bytes).ok_or(CUT)?;
    match marker {
        0xd9 => return Ok((Segment::End, rest)),
        // Markers without payload.
        0x01 | 0xd0..=0xd8 => return Ok((Segment::Other, rest)),
        _ => {}
    }
    let (length, _) = rest.split_first_chunk().ok_or(CUT)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (segment, rest) = rest.split_at_checked(length).ok_or(CUT)?;
    let payload = segment.get(2..).ok_or(CUT)?;
    let segment = match marker {
        // Baseline, and extended sequential, which at 8 bits differs only in allowing four tables.
        0xc0..=0xc2 => Segment::Frame(Frame::read(payload, marker == 0xc2)?),
        0xc4 => Segment::HuffmanTables(payload),
        0xc3 | 0xc5..=0xcf | 0xdc | 0xde | 0xdf => return Err(Refusal::Unsupported),
        0xda => Segment::Scan(ScanHeader::read(payload)?),
        0xdb => Segment::QuantisationTables(payload),
        0xdd => match payload {
            &[high, low] => Segment::RestartInterval(u16::from_be_bytes([high, low])),
            _ => {
                return Err(Refusal::Corrupt(
                    "its restart interval has the wrong length",
                ));
            }
        },
        0xe0 if payload.starts_with(b"JFIF\0") => Segment::Jfif,
        0xee => match payload {
            [
                b'A',
                b'd',
                b'o',
                b'b',
                b'e',
                _,
                _,
                _,
                _,
                _,
                _,
                transform,
                ..,
            ] => Segment::Adobe {
                transform: *transform,
            },
            _ => Segment::Other,
        },
        _ => Segment::Other,
    };
    Ok((segment, rest))
}

/// The next marker, and what follows it. What comes before belongs to nothing, or to a scan, and is
/// stepped over, as every decoder does.
fn marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        rest = &rest[memchr(0xff, rest)? + 1..];
        match rest.split_first()? {
            (0x00 | 0xff, _) => {}
            (marker, after) => return Some((*marker, after)),
        }
    }
}

impl Frame {
    fn read(payload: &[u8], progressive: bool) -> Result<Self, Refusal> {
        const CUT: Refusal = Refusal::Corrupt("its frame header is cut short");
        let ([bits, h1, h0, w1, w0, count], rest) = payload.split_first_chunk().ok_or(CUT)?;
        if *bits != 8 || !matches!(count, 1 | 3) {
            return Err(Refusal::Unsupported);
        }
        let frame = Self {
            progressive,
            width: u16::from_be_bytes([*w1, *w0]),
            height: u16::from_be_bytes([*h1, *h0]),
            components: rest
                .as_chunks()
                .0
                .iter()
                .take(usize::from(*count))
                .copied()
                .map(FrameComponent::read)
                .collect::<Result<_, _>>()?,
        };
        if frame.components.len() != usize::from(*count) {
            return Err(CUT);
        }
        if frame.width == 0 || frame.height == 0 {
            return Err(Refusal::Corrupt("its width or height is 0"));
        }
        Ok(frame)
    }
}

impl FrameComponent {
    fn read([id, factors, quantisation]: [u8; 3]) -> Result<Self, Refusal> {
        let component = Self {
            id,
            across: factors >> 4,
            down: factors & 0xf,
            quantisation,
        };
        let factors = 1..=4;
        if !factors.contains(&component.across) || !factors.contains(&component.down) {
            return Err(Refusal::Corrupt("its sampling factors are not 1 to 4"));
        }
        Ok(component)
    }
}

impl ScanHeader {
    fn read(payload: &[u8]) -> Result<Self, Refusal> {
        const CUT: Refusal = Refusal::Corrupt("its scan header is cut short");
        let (count, rest) = payload.split_first().ok_or(CUT)?;
        let parts: Vec<ScanPart> = rest
            .as_chunks()
            .0
            .iter()
            .take(usize::from(*count))
            .map(|&[id, tables]| ScanPart {
                id,
                dc: tables >> 4,
                ac: tables & 0xf,
            })
            .collect();
        if parts.is_empty() || parts.len() != usize::from(*count) {
            return Err(CUT);
        }
        let rest = &rest[2 * parts.len()..];
        let [first, last, bits] = *rest.first_chunk().ok_or(CUT)?;
        Ok(Self {
            parts,
            band: first..=last,
            high: bits >> 4,
            low: bits & 0xf,
        })
    }
}

/// What later segments refer to: the last of each that was read.
#[derive(Default)]
pub(super) struct Tables<'a> {
    /// By number, in the order of a block's rows.
    quantisation: [Option<[i16; 64]>; 4],
    /// By number. Only the tables that a scan uses are built, so that a file of nothing but tables
    /// costs no more than reading it.
    pub(super) dc: [Option<Code<'a>>; 4],
    pub(super) ac: [Option<Code<'a>>; 4],
    /// Units between two restart markers, 0 for none.
    pub(super) restart_interval: u16,
    pub(super) adobe_transform: Option<u8>,
    pub(super) jfif: bool,
}

impl<'a> Tables<'a> {
    pub(super) fn read_quantisation(&mut self, mut payload: &[u8]) -> Result<(), Refusal> {
        const CUT: Refusal = Refusal::Corrupt("a quantisation table is cut short");
        while let Some((head, rest)) = payload.split_first() {
            let (wide, number) = (head >> 4, usize::from(head & 0xf));
            let mut table = [0; 64];
            if wide == 0 {
                let (steps, rest) = rest.split_first_chunk::<64>().ok_or(CUT)?;
                for (step, place) in steps.iter().zip(NATURAL_ORDER) {
                    table[usize::from(place)] = i16::from(*step);
                }
                payload = rest;
            } else {
                let (steps, rest) = rest.split_first_chunk::<128>().ok_or(CUT)?;
                for (step, place) in steps.as_chunks().0.iter().zip(NATURAL_ORDER) {
                    // Steps that coarse leave nothing of a picture; no encoder writes them.
                    table[usize::from(place)] =
                        i16::try_from(u16::from_be_bytes(*step)).unwrap_or(i16::MAX);
                }
                payload = rest;
            }
            *self.quantisation.get_mut(number).ok_or(Refusal::Corrupt(
                "a quantisation table has a number above 3",
            ))? = Some(table);
        }
        Ok(())
    }

    pub(super) fn read_huffman(&mut self, mut payload: &'a [u8]) -> Result<(), Refusal> {
        while let Some((head, rest)) = payload.split_first() {
            let (code, rest) = Code::read(rest)?;
            payload = rest;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(Refusal::Corrupt("a Huffman table is of no known class")),
            };
            *tables
                .get_mut(usize::from(head & 0xf))
                .ok_or(Refusal::Corrupt("a Huffman table has a number above 3"))? = Some(code);
        }
        Ok(())
    }

    /// The quantisation table of this number.
    pub(super) fn steps(&self, number: u8) -> Result<[i16; 64], Refusal> {
        let table = self.quantisation.get(usize::from(number));
        table
            .copied()
            .flatten()
            .ok_or(Refusal::Corrupt("a quantisation table is missing"))
    }

    /// Tells whether components are luma and chroma, by the rules that libjpeg set: JFIF knows
    /// nothing else, Adobe says so, and in other files the ids do.
    pub(super) fn luma_and_chroma(&self, components: &[Component]) -> bool {
        if components.len() == 1 || self.jfif {
            return true;
        }
        match self.adobe_transform {
            Some(transform) => transform == 1,
            None => !components.iter().map(Component::id).eq(*b"RGB"),
        }
    }
}
