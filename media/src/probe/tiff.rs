//! The directory of a TIFF. Only its first page is a picture here; the others are walked to see
//! that their chain ends.

use super::{Colour, Fault, Probe, array};
use crate::format::Format;

/// Where counting pages stops. A chain of them that goes in a circle has no end.
const PAGES_COUNTED_MAX: u32 = 100_000;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES_PER_PIXEL: u16 = 277;
const STRIP_BYTE_COUNTS: u16 = 279;
const PREDICTOR: u16 = 317;
const COLOUR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
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
        3 => (Colour::Indexed, 1),
        5 => (Colour::Cmyk, 4),
        _ => {
            let why = "its colours are none of grey, RGB, a palette and CMYK; save it as PNG";
            return Err(Fault::Unsupported(why));
        }
    };
    let whole_numbers = number(SAMPLE_FORMAT, 1) == 1;
    if colour == Colour::Indexed {
        if !matches!(bits, 1 | 2 | 4 | 8) || !whole_numbers || samples != 1 {
            let why = "its palette is not of 1, 2, 4 or 8 bits a pixel; save it as PNG";
            return Err(Fault::Unsupported(why));
        }
        if bits < 8 && !page.is_plainly_packed() {
            let why = "its indices are packed as those of faxes are; save it as PNG";
            return Err(Fault::Unsupported(why));
        }
    } else if !matches!(bits, 1 | 8 | 16)
        || !whole_numbers
        || !(colours..=colours + 1).contains(&samples)
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
        // The decoder's buffer, the copy handed out, and grey or indices spread to three channels;
        // and the file, which is copied to show its indices.
        estimated_decode_bytes: pixels
            .saturating_mul(2 * stored + 4)
            .saturating_add(bytes.len() as u64),
    })
}

/// The colour profile.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = File::open(bytes).ok()?;
    let page = file.first_page().ok()?;
    page.bytes(PROFILE).map(<[u8]>::to_vec)
}

/// A picture whose pixels are indices into its palette.
pub(crate) struct Indexed {
    /// The same file, but for saying that the bytes of its rows are shades of grey: what decodes
    /// the one decodes the other.
    pub(crate) file: Vec<u8>,
    /// Bytes of a row.
    pub(crate) row_bytes: u32,
    /// Bits of an index. The first one of a byte is in its highest bits.
    pub(crate) bits: u8,
    /// Red, green and blue of each index.
    pub(crate) palette: Vec<[u8; 3]>,
}

/// The first page as indices and palette; none if it has no whole palette.
pub(crate) fn indexed(bytes: &[u8]) -> Option<Indexed> {
    const BLACK_IS_ZERO: u32 = 1;
    let file = File::open(bytes).ok()?;
    let page = file.first_page().ok()?;
    let bits = page.number(BITS_PER_SAMPLE).unwrap_or(1);
    let colours = 1_usize.checked_shl(bits)?;
    let map = page.entry(COLOUR_MAP)?;
    let shades: Vec<u32> = (0..3 * colours).map_while(|at| map.number(at)).collect();
    if shades.len() < 3 * colours {
        return None;
    }
    // Old writers filled the palette with bytes where TIFF has 16 bits; libtiff takes them for it, too.
    let wide = shades.iter().any(|shade| *shade > 255);
    let drop_bits = if wide { 8 } else { 0 };
    let colour = |index| {
        [0, 1, 2].map(|channel: usize| (shades[channel * colours + index] >> drop_bits) as u8)
    };
    let bytes_of = |indices: u32| indices.checked_mul(bits).map(|bits| bits.div_ceil(8));
    let row_bytes = bytes_of(page.number(WIDTH)?)?;
    let mut grey = bytes.to_vec();
    page.entry(PHOTOMETRIC)?.set(&mut grey, BLACK_IS_ZERO)?;
    if bits < 8 {
        page.entry(BITS_PER_SAMPLE)?.set(&mut grey, 8)?;
        page.entry(WIDTH)?.set(&mut grey, row_bytes)?;
        if let Some(tile) = page.entry(TILE_WIDTH) {
            tile.set(&mut grey, bytes_of(tile.number(0)?)?)?;
        }
    }
    Some(Indexed {
        file: grey,
        row_bytes,
        bits: bits as u8,
        palette: (0..colours).map(colour).collect(),
    })
}

struct File<'a> {
    bytes: &'a [u8],
    little_endian: bool,
    /// Whether counts and offsets have 64 bits, as they have in `BigTIFF`.
    big: bool,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let file = Self {
            bytes,
            little_endian: bytes.starts_with(b"II"),
            big: false,
        };
        match (file.u16(2), file.u16(4), file.u16(6)) {
            (Some(42), _, _) => Ok(file),
            (Some(43), Some(8), Some(0)) => Ok(Self { big: true, ..file }),
            (Some(_), Some(_), Some(_)) => {
                Err(Fault::Corrupt("its offsets have no size that is known"))
            }
            _ => Err(Fault::Corrupt("it ends before it says its size")),
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

    fn u64(&self, at: usize) -> Option<u64> {
        let bytes = array(self.bytes, at)?;
        Some(if self.little_endian {
            u64::from_le_bytes(bytes)
        } else {
            u64::from_be_bytes(bytes)
        })
    }

    /// A count or an offset.
    fn word(&self, at: usize) -> Option<usize> {
        if self.big {
            usize::try_from(self.u64(at)?).ok()
        } else {
            self.u32(at).map(|word| word as usize)
        }
    }

    fn word_len(&self) -> usize {
        if self.big { 8 } else { 4 }
    }

    fn first_directory(&self) -> Option<usize> {
        self.word(if self.big { 8 } else { 4 })
    }

    fn directory(&self, at: usize) -> Option<Directory<'_>> {
        let (entries, first_entry) = if self.big {
            (usize::try_from(self.u64(at)?).ok()?, at.checked_add(8)?)
        } else {
            (usize::from(self.u16(at)?), at.checked_add(2)?)
        };
        let end = first_entry.checked_add(entries.checked_mul(self.entry_len())?)?;
        self.bytes.get(first_entry..end)?;
        Some(Directory {
            file: self,
            first_entry,
            entries,
        })
    }

    /// A tag, a type, how many values, and these or where they are.
    fn entry_len(&self) -> usize {
        4 + 2 * self.word_len()
    }

    fn first_page(&self) -> Result<Directory<'_>, Fault> {
        let first = self.first_directory();
        let first = first.and_then(|at| self.directory(at));
        first.ok_or(Fault::Corrupt("its directory is cut short"))
    }

    /// How many directories the chain has; more than any file has if it goes in a circle.
    fn pages(&self) -> u32 {
        let next = |at: usize| {
            let directory = self.directory(at)?;
            self.word(directory.first_entry + self.entry_len() * directory.entries)
        };
        // A chain that leads out of the file ends there.
        let chain = std::iter::successors(self.first_directory(), |at| {
            next(*at).filter(|next| *next > 0)
        });
        chain.take(PAGES_COUNTED_MAX as usize).count() as u32
    }
}

struct Directory<'a> {
    file: &'a File<'a>,
    first_entry: usize,
    entries: usize,
}

impl<'a> Directory<'a> {
    fn entry(&self, tag: u16) -> Option<Entry<'a>> {
        (0..self.entries)
            .map(|entry| self.first_entry + self.file.entry_len() * entry)
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

    /// Whether indices of less than a byte lie side by side, the first one in the highest bits, and
    /// whatever compresses them takes them for bytes.
    fn is_plainly_packed(&self) -> bool {
        const FAX: std::ops::RangeInclusive<u32> = 2..=4;
        let number = |tag| self.number(tag).unwrap_or(1);
        !FAX.contains(&number(COMPRESSION)) && number(FILL_ORDER) == 1 && number(PREDICTOR) == 1
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
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 1,
        };
        let count = file.word(at + 4)?;
        let values = at + 4 + file.word_len();
        let inline = count.checked_mul(size)? <= file.word_len();
        let at = if inline { values } else { file.word(values)? };
        Some(Self {
            file,
            count,
            size,
            at,
        })
    }

    /// Writes another first number into a copy of the file.
    fn set(&self, copy: &mut [u8], number: u32) -> Option<()> {
        let value = copy.get_mut(self.at..self.at.checked_add(self.size)?)?;
        let number = u64::from(number);
        if self.file.little_endian {
            value.copy_from_slice(&number.to_le_bytes()[..self.size]);
        } else {
            value.copy_from_slice(&number.to_be_bytes()[8 - self.size..]);
        }
        Some(())
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
            // No file that is read is longer than 32 bits can say.
            _ => self.file.u64(at)?.try_into().ok(),
        }
    }
}
