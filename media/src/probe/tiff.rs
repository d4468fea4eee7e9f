//! The directory of a TIFF. Only its first page is a picture here; the others are walked to see
//! that their chain ends.

use super::{Colour, Fault, Probe, array};
use crate::format::Format;

/// Where counting pages stops. A chain of them that goes in a circle has no end.
const PAGES_COUNTED_MAX: u32 = 100_000;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES_PER_PIXEL: u16 = 277;
const STRIP_BYTE_COUNTS: u16 = 279;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;
const PROFILE: u16 = 34_675;

pub(super) fn headers(bytes: &[u8]) -> Result<Probe, Fault> {
    let file = File::open(bytes)?;
    let page = file.first_page()?;
    let number = |tag, otherwise| page.number(tag).unwrap_or(otherwise);
    let (width, height) = (number(WIDTH, 0), number(HEIGHT, 0));
    let bits = number(BITS_PER_SAMPLE, 1);
    let samples = number(SAMPLES_PER_PIXEL, 1);
    let (colour, colours) = match number(PHOTOMETRIC, 1) {
        0 | 1 => (Colour::Gray, 1),
        2 => (Colour::Rgb, 3),
        5 => (Colour::Cmyk, 4),
        _ => {
            let why = "its colours are none of grey, RGB and CMYK; save it as PNG";
            return Err(Fault::Unsupported(why));
        }
    };
    let whole_numbers = number(SAMPLE_FORMAT, 1) == 1;
    if !matches!(bits, 1 | 8 | 16) || !whole_numbers || !(colours..=colours + 1).contains(&samples)
    {
        let why = "its samples are not of 8 or 16 bits, or too many; save it as PNG";
        return Err(Fault::Unsupported(why));
    }
    let pixels = u64::from(width) * u64::from(height);
    let stored = u64::from(samples) * u64::from(bits).div_ceil(8);
    Ok(Probe {
        format: Format::Tiff,
        width,
        height,
        frames: file.pages(),
        // Pages are no animation: only the first is ever shown.
        animated: false,
        bits_per_channel: bits as u8,
        colour,
        alpha: samples > colours,
        orientation: match number(ORIENTATION, 1) {
            turned @ 1..=8 => turned as u8,
            _ => 1,
        },
        scans: 1,
        profile_bytes: page.bytes(PROFILE).map_or(0, |data| data.len() as u64),
        complete: page.pixels_inside(),
        // The decoder's buffer, the copy handed out, and grey spread to three channels.
        estimated_decode_bytes: pixels.saturating_mul(2 * stored + 4),
    })
}

/// The colour profile.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = File::open(bytes).ok()?;
    let page = file.first_page().ok()?;
    page.bytes(PROFILE).map(<[u8]>::to_vec)
}

struct File<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let little_endian = bytes.starts_with(b"II");
        let file = Self {
            bytes,
            little_endian,
        };
        match file.u16(2) {
            Some(42) => Ok(file),
            Some(_) => Err(Fault::Unsupported("it is a BigTIFF; save it as PNG")),
            None => Err(Fault::Corrupt("it ends before it says its size")),
        }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = array(self.bytes, at)?;
        Some(if self.little_endian {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = array(self.bytes, at)?;
        Some(if self.little_endian {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    fn first_page(&self) -> Result<Directory<'_>, Fault> {
        const CUT: Fault = Fault::Corrupt("its directory is cut short");
        let at = self.u32(4).ok_or(CUT)? as usize;
        let entries = self.u16(at).ok_or(CUT)?;
        let end = at + 2 + ENTRY_LEN * usize::from(entries);
        self.bytes.get(at..end).ok_or(CUT)?;
        Ok(Directory {
            file: self,
            first_entry: at + 2,
            entries,
        })
    }

    /// How many directories the chain has; more than any file has if it goes in a circle.
    fn pages(&self) -> u32 {
        let directory = |at: usize| {
            let entries = usize::from(self.u16(at)?);
            let next = self.u32(at + 2 + ENTRY_LEN * entries)?;
            Some(next as usize)
        };
        let first = self.u32(4).map(|at| at as usize);
        // A chain that leads out of the file ends there.
        let chain = std::iter::successors(first, |at| directory(*at).filter(|next| *next > 0));
        chain.take(PAGES_COUNTED_MAX as usize).count() as u32
    }
}

const ENTRY_LEN: usize = 12;

struct Directory<'a> {
    file: &'a File<'a>,
    first_entry: usize,
    entries: u16,
}

impl<'a> Directory<'a> {
    fn entry(&self, tag: u16) -> Option<Entry<'a>> {
        (0..usize::from(self.entries))
            .map(|entry| self.first_entry + ENTRY_LEN * entry)
            .find(|&at| self.file.u16(at) == Some(tag))
            .and_then(|at| Entry::read(self.file, at))
    }

    /// The first number of an entry.
    fn number(&self, tag: u16) -> Option<u32> {
        self.entry(tag)?.number(0)
    }

    fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        let length = entry.count.checked_mul(entry.size)?;
        entry
            .file
            .bytes
            .get(entry.at..entry.at.checked_add(length)?)
    }

    /// Whether every strip or tile ends before the file does.
    fn pixels_inside(&self) -> bool {
        let pieces = |offsets, counts| self.entry(offsets).zip(self.entry(counts));
        let pieces = pieces(STRIP_OFFSETS, STRIP_BYTE_COUNTS)
            .or_else(|| pieces(TILE_OFFSETS, TILE_BYTE_COUNTS));
        let Some((offsets, counts)) = pieces else {
            return false;
        };
        // An array that claims more than the file holds ends where the file does.
        (0..offsets.count).all(|piece| {
            let end = offsets
                .number(piece)
                .zip(counts.number(piece))
                .map(|(offset, count)| u64::from(offset) + u64::from(count));
            end.is_some_and(|end| end <= self.file.bytes.len() as u64)
        })
    }
}

/// An array of values of one type.
struct Entry<'a> {
    file: &'a File<'a>,
    count: usize,
    /// Bytes of one value.
    size: usize,
    /// Where the first value is.
    at: usize,
}

impl<'a> Entry<'a> {
    fn read(file: &'a File<'a>, at: usize) -> Option<Self> {
        let size = match file.u16(at + 2)? {
            3 | 8 => 2,
            4 | 9 | 11 => 4,
            5 | 10 | 12 => 8,
            _ => 1,
        };
        let count = file.u32(at + 4)? as usize;
        let inline = count.checked_mul(size)? <= 4;
        let at = if inline {
            at + 8
        } else {
            file.u32(at + 8)? as usize
        };
        Some(Self {
            file,
            count,
            size,
            at,
        })
    }

    fn number(&self, index: usize) -> Option<u32> {
        if index >= self.count {
            return None;
        }
        let at = self.at.checked_add(index * self.size)?;
        match self.size {
            1 => self.file.bytes.get(at).map(|byte| u32::from(*byte)),
            2 => self.file.u16(at).map(u32::from),
            4 => self.file.u32(at),
            _ => None,
        }
    }
}
