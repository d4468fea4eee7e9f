//! The best hits behind a place.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::Weight;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::KEY;
use crate::hits::Place;

/// Keeps the best so many hits behind a place.
pub(super) struct Best {
    pub(super) limit: usize,
    pub(super) after: Option<Place>,
}

impl Collector for Best {
    type Fruit = Vec<(Place, DocAddress)>;
    type Child = BestOfSegment;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<BestOfSegment> {
        Ok(BestOfSegment {
            limit: self.limit,
            after: self.after,
            segment,
            keys: reader.fast_fields().u64(KEY)?,
            ranked: BinaryHeap::with_capacity(self.limit + 1),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    /// Lets the index leave out what cannot be among the best.
    fn collect_segment(
        &self,
        weight: &dyn Weight,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<Self::Fruit> {
        let mut best = self.for_segment(segment, reader)?;
        let alive = reader.alive_bitset();
        weight.for_each_pruning(best.threshold(), reader, &mut |doc, score| {
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                best.collect(doc, score);
            }
            best.threshold()
        })?;
        Ok(best.harvest())
    }

    fn merge_fruits(&self, segments: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let mut hits: Vec<_> = segments.into_iter().flatten().collect();
        hits.sort_unstable_by(|(left, _), (right, _)| left.compare(right));
        hits.truncate(self.limit);
        Ok(hits)
    }
}

pub(super) struct BestOfSegment {
    limit: usize,
    after: Option<Place>,
    segment: SegmentOrdinal,
    keys: Column<u64>,
    /// The last of them on top.
    ranked: BinaryHeap<Ranked>,
}

impl BestOfSegment {
    /// What a score must be above. Equal scores are told apart by key, so they must be seen.
    fn threshold(&self) -> Score {
        match self.ranked.peek() {
            Some(last) if self.ranked.len() >= self.limit => last.place.score.next_down(),
            _ => Score::MIN,
        }
    }
}

impl SegmentCollector for BestOfSegment {
    type Fruit = Vec<(Place, DocAddress)>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if self.after.is_some_and(|after| score > after.score) {
            return;
        }
        let key = self.keys.first(doc).unwrap_or_default();
        let place = Place { score, key };
        if self
            .after
            .is_some_and(|after| place.compare(&after).is_le())
        {
            return;
        }
        self.ranked.push(Ranked { place, doc });
        if self.ranked.len() > self.limit {
            self.ranked.pop();
        }
    }

    fn harvest(self) -> Self::Fruit {
        let segment = self.segment;
        let ranked = self.ranked.into_iter();
        ranked
            .map(|Ranked { place, doc }| (place, DocAddress::new(segment, doc)))
            .collect()
    }
}

struct Ranked {
    place: Place,
    doc: DocId,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.compare(&other.place)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
