//! How much of the last block of a `WebM` file is padding, which the demuxer does not tell.
//!
//! Element numbers and the meaning of `DiscardPadding` are from RFC 9559 (Matroska).

use std::io::{BufReader, Read, Seek};

use super::source::Source;

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const SIMPLE_BLOCK: u32 = 0xa3;
const DISCARD_PADDING: u32 = 0x75a2;

/// Nanoseconds to drop from the end.
pub(super) fn discarded_at_the_end_ns(file: &mut Source<'_>) -> u64 {
    let end = file.size();
    if file.rewind().is_err() {
        return 0;
    }
    let mut walk = Walk {
        file: BufReader::new(file),
        at: 0,
    };
    let mut padding = 0;
    while let Some(element) = walk.element(end) {
        let id = element.id;
        if id == SEGMENT || id == CLUSTER {
            // Their children are walked in place, so it does not matter that a recorder that
            // streams leaves their size unknown.
            continue;
        }
        let Some(element_end) = element.end else {
            break;
        };
        if id == BLOCK_GROUP {
            padding = walk.discard_padding(element_end);
        } else if id == SIMPLE_BLOCK {
            // A block after the padded one: the padding was not at the end.
            padding = 0;
        }
        if walk.skip_to(element_end).is_none() {
            break;
        }
    }
    padding
}

/// An element, of which the header was read.
struct Element {
    id: u32,
    /// Where its body ends, if that is known and not behind the end of what it is in.
    end: Option<u64>,
}

/// A walk over the elements of a file.
struct Walk<'a, 's> {
    file: BufReader<&'a mut Source<'s>>,
    at: u64,
}

impl Walk<'_, '_> {
    /// Reads the header of the next element, `None` if none ends before `end`.
    fn element(&mut self, end: u64) -> Option<Element> {
        const ID_BYTES_MAX: u32 = 4;
        let (id, _) = self.number(end, ID_BYTES_MAX)?;
        let (marked, length) = self.number(end, u8::BITS)?;
        let mask = (1_u64 << (7 * length)) - 1;
        let size = marked & mask;
        let known = size != mask;
        let element_end = self.at.checked_add(size).filter(|at| known && *at <= end);
        Some(Element {
            id: u32::try_from(id).ok()?,
            end: element_end,
        })
    }

    /// Reads a number that begins with a mark of its length; yields both.
    fn number(&mut self, end: u64, bytes_max: u32) -> Option<(u64, u32)> {
        let first = self.byte(end)?;
        let length = first.leading_zeros() + 1;
        if length > bytes_max {
            return None;
        }
        let mut number = u64::from(first);
        for _ in 1..length {
            number = number << 8 | u64::from(self.byte(end)?);
        }
        Some((number, length))
    }

    fn byte(&mut self, end: u64) -> Option<u8> {
        let mut byte = [0];
        if self.at == end {
            return None;
        }
        self.file.read_exact(&mut byte).ok()?;
        self.at += 1;
        Some(byte[0])
    }

    fn skip_to(&mut self, at: u64) -> Option<()> {
        let skipped = at.checked_signed_diff(self.at)?;
        self.file.seek_relative(skipped).ok()?;
        self.at = at;
        Some(())
    }

    /// Nanoseconds to drop from the end of the block of a group, which ends at `end`.
    fn discard_padding(&mut self, end: u64) -> u64 {
        while let Some(element) = self.element(end) {
            let Some(element_end) = element.end else {
                break;
            };
            let length = element_end - self.at;
            if element.id == DISCARD_PADDING && (1..=8).contains(&length) {
                return self.positive(element_end).unwrap_or(0);
            }
            if self.skip_to(element_end).is_none() {
                break;
            }
        }
        0
    }

    /// Reads a number up to `end`, `None` if it is negative: a padding at the beginning of a block,
    /// where nobody writes it.
    fn positive(&mut self, end: u64) -> Option<u64> {
        let first = self.byte(end)?;
        if first & 0x80 != 0 {
            return None;
        }
        let mut number = u64::from(first);
        while self.at < end {
            number = number << 8 | u64::from(self.byte(end)?);
        }
        Some(number)
    }
}
