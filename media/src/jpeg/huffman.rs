//! Huffman codes as tables: the next bits of the file are an index, the entry says what they mean.

use std::ops::Range;

use super::Refusal;
use super::bits::Bits;

/// Look-ups for which the bits of one refill are enough.
pub(super) const PER_REFILL: u32 = Bits::FILLED / Table::BITS;
/// Skips for which the bits of one refill are enough.
const SKIPS_PER_REFILL: u32 = Bits::FILLED / SkipTable::BITS;

/// A Huffman code as a file declares it: how many codes there are of each length, and their symbols
/// in order.
#[derive(Clone, Copy)]
pub(super) struct Code<'a> {
    lengths: &'a [u8; 16],
    symbols: &'a [u8],
}

impl<'a> Code<'a> {
    /// Reads one from the payload of its segment; returns what follows.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refusal> {
        const CUT: Refusal = Refusal::Corrupt("a Huffman table is cut short");
        let (lengths, rest) = bytes.split_first_chunk().ok_or(CUT)?;
        let count = lengths.iter().map(|count| usize::from(*count)).sum();
        let (symbols, rest) = rest.split_at_checked(count).ok_or(CUT)?;
        Ok((Self { lengths, symbols }, rest))
    }
}

/// What the next bits mean.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Bits of code and value together; 0 if the entry is [`Entry::UNKNOWN`].
    pub(super) length: u8,
    /// Zero coefficients before the value. More than any block has, so that one comparison finds
    /// every case that is not a coefficient: [`Entry::END`] or [`Entry::UNKNOWN`].
    pub(super) run: u8,
    /// The coefficient; of an end how many blocks end with this one; of an unknown entry the symbol
    /// and the length of its code, if that much is known.
    pub(super) value: i16,
}

impl Entry {
    /// The run where there is nothing more in the block.
    pub(super) const END: u8 = 64;
    /// Bits that are no code, or more of them than the table was asked with.
    pub(super) const UNKNOWN: Self = Self {
        length: 0,
        run: 128,
        value: 0,
    };
}

/// Several coefficients to be passed over at once.
#[derive(Clone, Copy)]
struct Skip {
    /// Bits of all of them.
    length: u8,
    /// How many coefficients, zeros included, or more than any block has: [`Skip::END`] is added
    /// where the block ends with them, and [`Skip::UNKNOWN`] stands where not even one is complete.
    advance: u8,
}

impl Skip {
    const END: u8 = 0x80;
    const UNKNOWN: Self = Self {
        length: 0,
        advance: 0x7f,
    };
}

/// What the symbols of a code are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbols {
    /// A run and a size, or a size alone: T.81, F.1.2.
    Sequential,
    /// A run and a size, or how many bits say how many blocks end: T.81, G.1.2.2.
    Progressive,
}

/// A code ready to decode by.
pub(super) struct Table<'a> {
    entries: Box<[Entry; 1 << Table::BITS]>,
    code: Code<'a>,
    symbols: Symbols,
    /// By length of a code: one more than the last code, its bits at the top of 16; and what to add
    /// to a code for the index of its symbol.
    ends: [(u32, i32); 17],
}

impl<'a> Table<'a> {
    /// Nearly all coefficients of a photograph are complete within so many bits, and the tables of
    /// one scan stay within the first-level cache.
    pub(super) const BITS: u32 = 11;

    pub(super) fn new(code: Code<'a>, symbols: Symbols) -> Result<Self, Refusal> {
        let mut table = Self {
            entries: Box::new([Entry::UNKNOWN; 1 << Self::BITS]),
            code,
            symbols,
            ends: [(0, 0); 17],
        };
        let mut symbols = code.symbols.iter();
        let (mut next, mut index) = (0u32, 0);
        for length in 1..=16 {
            let count = u32::from(code.lengths[length - 1]);
            let unit = 1 << (16 - length);
            let start = next;
            for symbol in symbols.by_ref().take(count as usize) {
                if next + unit > 1 << 16 {
                    return Err(Refusal::Corrupt(
                        "a Huffman table has more codes than there are",
                    ));
                }
                table.enter(next, length as u32, *symbol);
                next += unit;
            }
            // A length without codes must not be found.
            let end = if count == 0 { 0 } else { next };
            table.ends[length] = (end, index - (start >> (16 - length)) as i32);
            index += count as i32;
        }
        Ok(table)
    }

    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let symbols = self.symbols;
        let size = symbols.extra_bits(symbol);
        if length > Self::BITS {
            return;
        }
        let first = (code >> (16 - Self::BITS)) as usize;
        let spare = Self::BITS - length;
        for (low, entry) in self.entries[first..][..1 << spare].iter_mut().enumerate() {
            *entry = if size <= spare {
                symbols.meaning(symbol, length, (low as u32) >> (spare - size))
            } else {
                Entry {
                    value: i16::from_be_bytes([symbol, length as u8]),
                    ..Entry::UNKNOWN
                }
            };
        }
    }

    /// Looks up the next bits, which are at the top. Of an entry that is [`Entry::UNKNOWN`],
    /// [`Table::search`] may know more.
    #[inline(always)]
    pub(super) fn look_up(&self, bits: u64) -> Entry {
        self.entries[(bits >> (64 - Self::BITS)) as usize]
    }

    /// Reads the value of a code that was found, or finds it, length by length.
    pub(super) fn search(&self, found: Entry, bits: u64) -> Entry {
        let [symbol, length] = found.value.to_be_bytes();
        if length > 0 {
            return self.symbols.read(symbol, u32::from(length), bits);
        }
        let sixteen = (bits >> 48) as u32;
        for length in Self::BITS + 1..=16 {
            let (end, offset) = self.ends[length as usize];
            if sixteen < end {
                let index = (sixteen >> (16 - length)) as i32 + offset;
                let symbol = usize::try_from(index)
                    .ok()
                    .and_then(|index| self.code.symbols.get(index));
                return symbol.map_or(Entry::UNKNOWN, |symbol| {
                    self.symbols.read(*symbol, length, bits)
                });
            }
        }
        Entry::UNKNOWN
    }
}

impl Symbols {
    /// Bits that follow the code of a symbol.
    fn extra_bits(self, symbol: u8) -> u32 {
        let (run, size) = (symbol >> 4, symbol & 0xf);
        let ends = size == 0 && run < 15 && self == Self::Progressive;
        u32::from(if ends { run } else { size })
    }

    /// The meaning of a symbol whose code has this length and is at the top of the bits.
    fn read(self, symbol: u8, length: u32, bits: u64) -> Entry {
        // Shifted twice, since a shift by all 64 bits is none.
        let extra = (bits << length) >> 1 >> (63 - self.extra_bits(symbol));
        self.meaning(symbol, length, extra as u32)
    }

    /// The meaning of a symbol and the bits after it.
    fn meaning(self, symbol: u8, length: u32, extra: u32) -> Entry {
        let size = self.extra_bits(symbol);
        let length = (length + size) as u8;
        let (run, value) = match (symbol >> 4, symbol & 0xf) {
            // Sixteen zeros, as fifteen and a value that is zero.
            (15, 0) => (15, 0),
            (_, 0) => (Entry::END, (1 << size) - 1 + extra as i32),
            (run, _) => {
                let negative = extra >> (size - 1) == 0;
                let below = if negative { (1 << size) - 1 } else { 0 };
                (run, extra as i32 - below)
            }
        };
        let value = value as i16;
        Entry { length, run, value }
    }
}

/// The next coefficient; nothing if the bits are no code.
#[inline(always)]
pub(super) fn next(bits: &mut Bits<'_>, table: &Table<'_>) -> Option<Entry> {
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

/// Passes over these coefficients, the last of a block. Returns how many blocks more end with it;
/// nothing if it is damaged.
#[inline(always)]
pub(super) fn skip(
    bits: &mut Bits<'_>,
    table: &Table<'_>,
    skips: &SkipTable,
    coefficients: Range<usize>,
) -> Option<i16> {
    let Range { mut start, end } = coefficients;
    while start < end {
        bits.refill();
        for _ in 0..SKIPS_PER_REFILL {
            let skip = skips.look_up(bits.ahead());
            let past = start + usize::from(skip.advance);
            if past >= end {
                if skip.advance & Skip::END != 0 && past - usize::from(Skip::END) < end {
                    bits.take(skip.length);
                    return Some(0);
                }
                break;
            }
            bits.take(skip.length);
            start = past;
        }
        // Near the end of the block, or a long code: one at a time.
        let entry = next(bits, table)?;
        if entry.run == Entry::END {
            return Some(entry.value);
        }
        start += usize::from(entry.run) + 1;
    }
    (start == end).then_some(0)
}

/// A table by which coefficients are passed over that a smaller picture has no use for.
pub(super) struct SkipTable(Box<[Skip; 1 << SkipTable::BITS]>);

impl SkipTable {
    /// Two or three coefficients of the high frequencies: their codes are short.
    pub(super) const BITS: u32 = 12;

    pub(super) fn new(table: &Table<'_>) -> Self {
        let mut skips = Box::new([Skip::UNKNOWN; 1 << Self::BITS]);
        for (index, skip) in skips.iter_mut().enumerate() {
            let bits = (index as u64) << (64 - Self::BITS);
            let (mut length, mut advance) = (0, 0);
            loop {
                let entry = table.look_up(bits << length);
                if entry.length == 0 || length + u32::from(entry.length) > Self::BITS {
                    break;
                }
                // An end of several blocks is more than a skip can tell.
                if entry.run == Entry::END && entry.value > 0 {
                    break;
                }
                length += u32::from(entry.length);
                if entry.run == Entry::END {
                    advance |= Skip::END;
                    break;
                }
                advance += entry.run + 1;
                // Nearly a whole block: another could reach into the bit that marks the end.
                if advance >= 64 {
                    break;
                }
            }
            if length > 0 {
                *skip = Skip {
                    length: length as u8,
                    advance,
                };
            }
        }
        Self(skips)
    }

    #[inline(always)]
    fn look_up(&self, bits: u64) -> Skip {
        self.0[(bits >> (64 - Self::BITS)) as usize]
    }
}
