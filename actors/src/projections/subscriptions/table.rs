//! A hash table from texts, kept elsewhere, to numbers.

/// By which bits of a hash the segment is chosen: the top ones, for the table uses the others.
const SEGMENT_BITS: u32 = 8;
/// Places of a new segment.
const PLACES_MIN: usize = 8;

/// Numbers by the hash of what they stand for.
///
/// Open addressing in segments that grow by themselves and a little at a time: nobody ever waits until millions of
/// entries have been moved. An entry has half of its hash with it, so that moving it needs no text, nor does passing by.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Default)]
struct Segment {
    /// 0, or half of a hash and a number plus one. Ordered as far as possible by the hash.
    places: Vec<u64>,
    used: usize,
}

impl Table {
    /// The number with this hash that is `the_one`.
    pub(super) fn find(&self, hash: u64, the_one: impl Fn(u32) -> bool) -> Option<u32> {
        self.segments.get(segment_of(hash))?.find(hash, the_one)
    }

    /// Adds a number that is not there.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if self.segments.is_empty() {
            self.segments = vec![Segment::default(); 1 << SEGMENT_BITS];
        }
        self.segments[segment_of(hash)].insert(hash, number);
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        if let Some(segment) = self.segments.get_mut(segment_of(hash)) {
            segment.remove(entry(hash, number));
        }
    }
}

fn segment_of(hash: u64) -> usize {
    (hash >> (u64::BITS - SEGMENT_BITS)) as usize
}

fn entry(hash: u64, number: u32) -> u64 {
    (hash << 32) | (u64::from(number) + 1)
}

fn number_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

impl Segment {
    /// Where an entry is at home: places are ordered by hash, so that any number of them is as good as a power of two.
    fn home(&self, entry: u64) -> usize {
        (((entry >> 32) * self.places.len() as u64) >> 32) as usize
    }

    fn next(&self, place: usize) -> usize {
        if place + 1 == self.places.len() {
            0
        } else {
            place + 1
        }
    }

    fn find(&self, hash: u64, the_one: impl Fn(u32) -> bool) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let half = hash as u32;
        let mut place = self.home(hash << 32);
        loop {
            let entry = self.places[place];
            if entry == 0 {
                return None;
            }
            if (entry >> 32) as u32 == half && the_one(number_of(entry)) {
                return Some(number_of(entry));
            }
            place = self.next(place);
        }
    }

    fn insert(&mut self, hash: u64, number: u32) {
        // From three quarters on, searches become long.
        if (self.used + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.put(entry(hash, number));
        self.used += 1;
    }

    fn put(&mut self, entry: u64) {
        let mut place = self.home(entry);
        while self.places[place] != 0 {
            place = self.next(place);
        }
        self.places[place] = entry;
    }

    fn grow(&mut self) {
        let more = (self.places.len() / 4).max(PLACES_MIN);
        let places = vec![0; self.places.len() + more];
        let entries = std::mem::replace(&mut self.places, places);
        for entry in entries.into_iter().filter(|entry| *entry != 0) {
            self.put(entry);
        }
    }

    fn remove(&mut self, entry: u64) {
        if self.places.is_empty() {
            return;
        }
        let mut gap = self.home(entry);
        while self.places[gap] != entry {
            if self.places[gap] == 0 {
                return;
            }
            gap = self.next(gap);
        }
        self.used -= 1;
        // What lies behind and is not at home moves up, so that no search ends at the gap.
        let mut place = self.next(gap);
        while self.places[place] != 0 {
            let len = self.places.len();
            let from_home = |to: usize| (to + len - self.home(self.places[place])) % len;
            if from_home(gap) < from_home(place) {
                self.places[gap] = self.places[place];
                gap = place;
            }
            place = self.next(place);
        }
        self.places[gap] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_not_taken_out(
            steps in prop::collection::vec((0..400_u32, any::<bool>()), 1..2_000), spread in 0..3_u32,
        ) {
            // Hashes of few bits make entries collide, wrap around and share a home.
            let hash = |number: u32| u64::from(number % [1_000, 7, 1][spread as usize]) << 20;
            let (mut table, mut known) = (Table::default(), BTreeMap::new());
            for (number, add) in steps {
                if add && known.insert(number, hash(number)).is_none() {
                    table.insert(hash(number), number);
                } else if !add && known.remove(&number).is_some() {
                    table.remove(hash(number), number);
                }
            }
            for number in 0..400 {
                let found = table.find(hash(number), |other| other == number);
                prop_assert_eq!(found.is_some(), known.contains_key(&number), "{}", number);
            }
        }
    }
}
