//! What the next commits are about, looked up at once: in one pass over the lexicon, which is faster than one look-up for each
//! of their records as its turn comes.

use std::collections::VecDeque;
use std::ops::Range;

use iyagi_messages::change::Commit;

use super::graph::RecordNumbers;
use super::matching::Matcher;
use crate::projections::Subscriptions;
use crate::projections::lexicon::Lexicon;

impl Matcher {
    /// Looks up at once what the commits that are matched next are about, which is faster than one after the other.
    pub fn look_ahead<'c>(
        &mut self,
        commits: impl Iterator<Item = &'c Commit> + Clone,
        subscriptions: &Subscriptions,
    ) {
        let sizes = commits
            .clone()
            .map(|commit| (commit.number, commit.records.len()));
        self.ahead.clear();
        self.ahead.coming.extend(sizes);
        let records = commits.flat_map(|commit| commit.records.iter());
        let numbers = &mut self.ahead.numbers;
        RecordNumbers::look_up(records, &mut self.lexicon.write(), numbers);
        let ids = numbers.iter().map(|numbers| numbers.id);
        let ends = numbers.iter().filter_map(|numbers| numbers.ends);
        subscriptions.touch(ids.chain(ends.flat_map(|(from, to)| [from, to])));
    }
}

/// Numbers of what the next commits are about.
#[derive(Default)]
pub(super) struct LookedUp {
    /// Their numbers and how many records each has.
    coming: VecDeque<(u64, usize)>,
    pub(super) numbers: Vec<RecordNumbers>,
    /// How many of `numbers` are used up.
    used: usize,
}

impl LookedUp {
    /// Where the numbers of a commit's records are; looked up now if that was not foreseen.
    pub(super) fn take(&mut self, commit: &Commit, lexicon: &mut Lexicon) -> Range<usize> {
        let records = commit.records.len();
        if self.coming.pop_front() != Some((commit.number, records)) {
            self.clear();
            RecordNumbers::look_up(commit.records.iter(), lexicon, &mut self.numbers);
        }
        let begin = self.used;
        self.used += records;
        begin..self.used
    }

    fn clear(&mut self) {
        self.coming.clear();
        self.numbers.clear();
        self.used = 0;
    }
}
