//! How much of the last block of a `WebM` file is padding, which the demuxer does not tell.
//!
//! Element numbers and the meaning of `DiscardPadding` are from RFC 9559 (Matroska).

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const DISCARD_PADDING: u32 = 0x75a2;

/// Nanoseconds to drop from the end.
pub(super) fn discarded_at_the_end_ns(file: &[u8]) -> u64 {
    let mut rest = file;
    let mut padding = 0;
    while let Some((id, size, body)) = element(rest) {
        match id {
            // Their children are walked in place, so it does not matter that a recorder that
            // streams leaves their size unknown.
            SEGMENT | CLUSTER => rest = body,
            BLOCK_GROUP => {
                let Some(group) = size.and_then(|size| body.get(..size)) else {
                    break;
                };
                padding = discard_padding(group);
                rest = &body[group.len()..];
            }
            _ => match size.and_then(|size| body.get(size..)) {
                Some(next) => {
                    // A block after the padded one: the padding was not at the end.
                    const SIMPLE_BLOCK: u32 = 0xa3;
                    if id == SIMPLE_BLOCK {
                        padding = 0;
                    }
                    rest = next;
                }
                None => break,
            },
        }
    }
    padding
}

fn discard_padding(mut group: &[u8]) -> u64 {
    while let Some((id, size, body)) = element(group) {
        let Some(value) = size.and_then(|size| body.get(..size)) else {
            break;
        };
        if id == DISCARD_PADDING && (1..=8).contains(&value.len()) {
            let negative = value[0] & 0x80 != 0;
            let number = value
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            // A negative padding is at the beginning of a block, where nobody writes it.
            return if negative { 0 } else { number };
        }
        group = &body[value.len()..];
    }
    0
}

/// An element's number, its size if it is known, and all that follows its header.
fn element(bytes: &[u8]) -> Option<(u32, Option<usize>, &[u8])> {
    let first = *bytes.first()?;
    let id_length = first.leading_zeros() as usize + 1;
    if id_length > 4 {
        return None;
    }
    let id = bytes
        .get(..id_length)?
        .iter()
        .fold(0, |id, byte| id << 8 | u32::from(*byte));
    let rest = &bytes[id_length..];
    let first = *rest.first()?;
    let size_length = first.leading_zeros() as usize + 1;
    if size_length > 8 {
        return None;
    }
    let marked = rest
        .get(..size_length)?
        .iter()
        .fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
    let mask = (1_u64 << (7 * size_length)) - 1;
    let size = marked & mask;
    let size = (size != mask).then(|| usize::try_from(size).unwrap_or(usize::MAX));
    Some((id, size, &rest[size_length..]))
}
