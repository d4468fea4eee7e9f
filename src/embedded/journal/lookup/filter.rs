//! Which keys were never seen.

use super::{By, Key, spread};

/// Knows of most keys that they were never seen, so that a new id or entity costs no search.
///
/// A Bloom filter of two probes: about one new key in seventy is searched for in vain at [`BITS_PER_EVENT`].
#[derive(Debug)]
pub(in crate::embedded::journal) struct Filter {
    words: Vec<u64>,
}

/// Bits per event, whose id and whose entity take two each.
const BITS_PER_EVENT: u64 = 32;
/// A new journal's filter serves this many events; twice as many as there are when a journal is opened.
const FILTER_EVENTS_MIN: u64 = 1 << 17;
/// Bounds the memory to 32 MiB; a fuller filter only says less.
const FILTER_EVENTS_MAX: u64 = 1 << 23;

impl Filter {
    pub(in crate::embedded::journal) fn for_journal_of(events: u64) -> Self {
        let events = (events * 2).clamp(FILTER_EVENTS_MIN, FILTER_EVENTS_MAX);
        let words = (events * BITS_PER_EVENT / 64).next_power_of_two();
        Self {
            words: vec![0; words as usize],
        }
    }

    pub(in crate::embedded::journal) fn insert(&mut self, by: By, key: Key) {
        for (word, bit) in self.probes(by, key) {
            self.words[word] |= bit;
        }
    }

    pub(in crate::embedded::journal) fn may_hold(&self, by: By, key: Key) -> bool {
        self.probes(by, key)
            .iter()
            .all(|&(word, bit)| self.words[word] & bit != 0)
    }

    /// Adds what another filter of the same size holds.
    pub(in crate::embedded::journal) fn merge(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word |= others;
        }
    }

    fn probes(&self, by: By, key: Key) -> [(usize, u64); 2] {
        let salt = match by {
            By::Id => 1,
            By::Entity => 2,
        };
        let hash = spread((key as u64).wrapping_add(salt));
        let mask = self.words.len() - 1;
        [hash, hash.rotate_left(32)].map(|probe| ((probe >> 6) as usize & mask, 1 << (probe & 63)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_never_denies_what_it_was_given() {
        let mut filter = Filter::for_journal_of(0);
        let key = |n: u64| spread(n) as Key;
        for n in 0..FILTER_EVENTS_MIN {
            filter.insert(By::Id, key(n));
        }
        assert!((0..FILTER_EVENTS_MIN).all(|n| filter.may_hold(By::Id, key(n))));
        let others = FILTER_EVENTS_MIN..2 * FILTER_EVENTS_MIN;
        let in_vain = others.filter(|n| filter.may_hold(By::Id, key(*n))).count() as u64;
        assert!(
            in_vain < FILTER_EVENTS_MIN / 20,
            "{in_vain} of {FILTER_EVENTS_MIN}"
        );
    }
}
