//! The Huffman code that makes a picture smallest: T.81, annex K.2, with the limit of sixteen bits.

/// A code, by symbol and as the file declares it.
pub(super) struct Code {
    /// Bits and how many; none of a symbol that does not occur.
    by_symbol: [(u16, u8); 256],
    lengths: [u8; 16],
    symbols: Vec<u8>,
}

/// Takes part in the code so that none is all ones, which T.81 forbids. The rarest, so the longest.
const RESERVED: u16 = 256;

impl Code {
    /// Makes the code for symbols that occur so often.
    pub(super) fn best_for(counts: &[u32; 256]) -> Self {
        let (lengths, symbols) = lengths_for(counts);
        let mut by_symbol = [(0, 0); 256];
        let (mut next, mut rest) = (0, &symbols[..]);
        for (length, count) in (1u8..).zip(lengths) {
            let (these, others) = rest.split_at(usize::from(count));
            rest = others;
            for symbol in these {
                by_symbol[usize::from(*symbol)] = (next, length);
                next += 1;
            }
            next <<= 1;
        }
        Self {
            by_symbol,
            lengths,
            symbols,
        }
    }

    /// The bits of a symbol, and how many.
    #[inline(always)]
    pub(super) fn of(&self, symbol: u8) -> (u32, u32) {
        let (bits, length) = self.by_symbol[usize::from(symbol)];
        (u32::from(bits), u32::from(length))
    }

    /// How many codes there are of each length.
    pub(super) fn lengths(&self) -> [u8; 16] {
        self.lengths
    }

    /// Symbols in the order of their codes.
    pub(super) fn symbols(&self) -> &[u8] {
        &self.symbols
    }
}

/// How many codes of each length, and the symbols from the most to the least frequent.
fn lengths_for(counts: &[u32; 256]) -> ([u8; 16], Vec<u8>) {
    let mut leaves: Vec<(u64, u16)> = (0u16..)
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(symbol, count)| (u64::from(*count) + 1, symbol))
        .collect();
    leaves.push((1, RESERVED));
    leaves.sort_unstable_by_key(|(count, symbol)| (*count, u16::MAX - symbol));

    let depths = depths(&leaves);
    let mut lengths = vec![0u32; leaves.len().max(16) + 2];
    for depth in depths {
        lengths[depth] += 1;
    }
    limit(&mut lengths);
    // The reserved one is among the longest, and is not declared.
    let longest = lengths.iter().rposition(|count| *count > 0).unwrap_or(0);
    lengths[longest] -= 1;

    let declared = std::array::from_fn(|index| lengths[index + 1] as u8);
    let symbols = leaves.iter().rev().map(|(_, symbol)| *symbol);
    let symbols = symbols.filter(|symbol| *symbol != RESERVED);
    (declared, symbols.map(|symbol| symbol as u8).collect())
}

/// The depth of each leaf in Huffman's tree. Leaves come sorted, and so do the nodes made of them,
/// so the two rarest are always at the head of one list or the other.
fn depths(leaves: &[(u64, u16)]) -> Vec<usize> {
    let count = leaves.len();
    if count == 1 {
        return vec![1];
    }
    let mut weights: Vec<u64> = leaves.iter().map(|(count, _)| *count).collect();
    let mut parents = vec![0; 2 * count - 1];
    let (mut leaf, mut node) = (0, count);
    for made in count..2 * count - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let leaf_is_rarer = leaf < count && (node >= made || weights[leaf] <= weights[node]);
            let rarest = if leaf_is_rarer { &mut leaf } else { &mut node };
            weight += weights[*rarest];
            parents[*rarest] = made;
            *rarest += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; 2 * count - 1];
    for at in (0..2 * count - 2).rev() {
        depths[at] = depths[parents[at]] + 1;
    }
    depths.truncate(count);
    depths
}

/// Shortens what is longer than sixteen bits, at the cost of shorter codes: figure K.3.
fn limit(lengths: &mut [u32]) {
    for long in (17..lengths.len()).rev() {
        while lengths[long] > 0 {
            // Two leaves too deep become one, a level higher; the other hangs beside a shorter one.
            let short = (1..long - 1)
                .rev()
                .find(|length| lengths[*length] > 0)
                .expect("a tree of at most 257 leaves has one above the sixteenth level");
            lengths[long] -= 2;
            lengths[long - 1] += 1;
            lengths[short + 1] += 2;
            lengths[short] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(counts: &[(u8, u32)]) -> Vec<(u8, u8)> {
        let mut table = [0; 256];
        for (symbol, count) in counts {
            table[usize::from(*symbol)] = *count;
        }
        let code = Code::best_for(&table);
        counts
            .iter()
            .map(|(symbol, _)| (*symbol, code.by_symbol[usize::from(*symbol)].1))
            .collect()
    }

    #[test]
    fn frequent_symbols_have_short_codes() {
        assert_eq!(lengths(&[(7, 1)]), [(7, 1)]);
        assert_eq!(
            lengths(&[(1, 100), (2, 50), (3, 20), (4, 3)]),
            [(1, 1), (2, 2), (3, 3), (4, 4)]
        );
    }

    #[test]
    fn no_code_is_longer_than_sixteen_bits_or_all_ones() {
        // Powers of two make the deepest tree there is.
        let mut counts = [0; 256];
        for (power, count) in counts.iter_mut().take(31).enumerate() {
            *count = 1 << power;
        }
        for count in counts.iter_mut().skip(31) {
            *count = 1;
        }
        let code = Code::best_for(&counts);
        let mut share = 0;
        for (bits, length) in code.by_symbol {
            assert!((1..=16).contains(&length));
            assert_ne!(u32::from(bits), (1 << length) - 1, "all ones");
            share += 1 << (16 - length);
        }
        assert!(share < 1 << 16, "a code is left");
    }

    #[test]
    fn nothing_to_encode_is_an_empty_code() {
        let code = Code::best_for(&[0; 256]);
        assert_eq!(code.lengths(), [0; 16]);
        assert!(code.symbols().is_empty());
    }
}
