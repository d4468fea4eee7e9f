//! By which words vertices say who may see them.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::projections::lexicon::{LabelSets, NO_LABELS, Texts};
use crate::visibility::Visibility;

/// The values of one property of vertices. Most have one of three words, so a vertex costs two numbers.
///
/// Whole words are kept, not what they mean: of two that nobody knows one may be taken away, and the other still hides the
/// vertex. Adding what is there and removing what is not changes nothing, as with all that the graph folds.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    words: Texts,
    /// Sets of words.
    sets: LabelSets,
    /// By vertex that says anything: which set.
    by_vertex: HashMap<u32, u32, RandomState>,
}

impl Said {
    pub(super) fn add(&mut self, vertex: u32, word: &str) {
        let word = self.words.intern(word);
        let set = self.by_vertex.entry(vertex).or_insert(NO_LABELS);
        *set = self.sets.with(*set, word);
    }

    pub(super) fn remove(&mut self, vertex: u32, word: &str) {
        let Some(word) = self.words.get(word) else {
            return;
        };
        let Some(set) = self.by_vertex.get_mut(&vertex) else {
            return;
        };
        *set = self.sets.without(*set, word);
        if *set == NO_LABELS {
            self.by_vertex.remove(&vertex);
        }
    }

    /// What a vertex says; nothing if it does not.
    pub(super) fn of(&self, vertex: u32) -> Option<Visibility> {
        let set = *self.by_vertex.get(&vertex)?;
        let words = self.sets.labels(set).iter();
        Visibility::said(words.map(|word| self.text(*word)))
    }

    /// Every vertex that says anything, with the numbers of its words, in order.
    pub(super) fn all(&self) -> Vec<(u32, &[u32])> {
        let by_vertex = self.by_vertex.iter();
        let mut all: Vec<_> = by_vertex
            .map(|(vertex, set)| (*vertex, self.sets.labels(*set)))
            .collect();
        all.sort_unstable();
        all
    }

    /// The word of a number.
    pub(super) fn text(&self, word: u32) -> &str {
        self.words.text(word)
    }
}
