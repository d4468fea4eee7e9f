//! Numbers for ids and labels, given once and kept: whoever compares them compares numbers.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;

use super::table::Table;

/// The numbers that the graph and the subscriptions share, so that an id of a change is looked up once.
#[derive(Debug, Clone, Default)]
pub struct Lexicon {
    /// People, things and edges.
    pub ids: Texts,
    /// Labels of vertices and edges.
    pub labels: Texts,
    /// Sets of labels.
    pub label_sets: LabelSets,
    /// Names of properties, as far as anybody asks for them.
    pub keys: Texts,
}

/// A lexicon that several share. It is taken last of all locks, and for as long as one commit needs.
#[derive(Debug, Clone, Default)]
pub struct SharedLexicon(Arc<RwLock<Lexicon>>);

impl SharedLexicon {
    /// To look something up.
    pub fn read(&self) -> RwLockReadGuard<'_, Lexicon> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To teach it something.
    pub fn write(&self) -> RwLockWriteGuard<'_, Lexicon> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another one is this one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// No number.
pub const NOBODY: u32 = u32::MAX;

/// Texts by number and numbers by text.
///
/// The hash is seeded anew in each process and each table, and no answer shows the order of anything in a table, so
/// whoever chooses ids cannot choose ids that collide.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    seed: RandomState,
    /// Where in `bytes` a text is, by its hash.
    table: Table,
    /// Where in `bytes` a text is, by its number; in units of [`ALIGNMENT`].
    starts: Vec<u32>,
    /// Number, length and text, each text at a multiple of [`ALIGNMENT`]: to look one up is to look at two places.
    bytes: Vec<u8>,
}

/// Lets 32 bits tell a place in 16 GiB of text.
const ALIGNMENT: usize = 4;
/// In the place of a length: it is longer, and its length follows.
const LONG: u8 = u8::MAX;
/// Texts that are looked up side by side.
const AT_ONCE: usize = 32;

impl Texts {
    /// A text's number, if it has one.
    pub fn get(&self, text: &str) -> Option<u32> {
        self.find(self.hash(text), text)
    }

    /// A text's number, from now on.
    pub fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hash(text);
        self.intern_hashed(hash, text)
    }

    /// Appends the numbers of many texts.
    ///
    /// Among millions each look-up waits for memory twice. Here the processor waits for many at once, because no step of
    /// one depends on another.
    pub fn intern_all(&mut self, texts: &[&str], numbers: &mut Vec<u32>) {
        for texts in texts.chunks(AT_ONCE) {
            let mut hashes = [0; AT_ONCE];
            for (hash, text) in hashes.iter_mut().zip(texts) {
                *hash = self.hash(text);
            }
            let guesses = hashes.map(|hash| self.table.find(hash, |_| true));
            for ((hash, guess), text) in hashes.into_iter().zip(guesses).zip(texts) {
                numbers.push(match guess.map(|start| self.entry(start)) {
                    Some((number, known)) if known == text.as_bytes() => number,
                    _ => self.intern_hashed(hash, text),
                });
            }
        }
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &str {
        let (_, text) = self.entry(self.starts[number as usize]);
        std::str::from_utf8(text).expect("only texts were put in")
    }

    /// How many there are; they are numbered from 0.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    fn hash(&self, text: &str) -> u64 {
        self.seed.hash_one(text.as_bytes())
    }

    fn find(&self, hash: u64, text: &str) -> Option<u32> {
        let is_it = |start| self.entry(start).1 == text.as_bytes();
        let start = self.table.find(hash, is_it)?;
        Some(self.entry(start).0)
    }

    fn intern_hashed(&mut self, hash: u64, text: &str) -> u32 {
        match self.find(hash, text) {
            Some(number) => number,
            None => self.add(hash, text),
        }
    }

    /// The number and the text at a place.
    #[inline]
    fn entry(&self, start: u32) -> (u32, &[u8]) {
        let bytes = &self.bytes[start as usize * ALIGNMENT..];
        let (number, bytes) = word(bytes);
        match bytes {
            [LONG, bytes @ ..] => {
                let (len, bytes) = word(bytes);
                (number, &bytes[..len as usize])
            }
            [len, bytes @ ..] => (number, &bytes[..usize::from(*len)]),
            [] => (number, &[]),
        }
    }

    fn add(&mut self, hash: u64, text: &str) -> u32 {
        const MEMORY: &str = "memory ends before four billion ids and 16 GiB of them";
        let number = u32::try_from(self.starts.len()).expect(MEMORY);
        let needed = text.len() + ALIGNMENT + 9;
        if self.bytes.capacity() - self.bytes.len() < needed {
            self.bytes.reserve_exact(needed + slack(self.bytes.len()));
        }
        let aligned = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(aligned, 0);
        let start = u32::try_from(aligned / ALIGNMENT).expect(MEMORY);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        match u8::try_from(text.len()) {
            Ok(len) if len != LONG => self.bytes.push(len),
            _ => {
                let len = u32::try_from(text.len()).expect(MEMORY);
                self.bytes.push(LONG);
                self.bytes.extend_from_slice(&len.to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text.as_bytes());
        push_tightly(&mut self.starts, start);
        self.table.insert(hash, start);
        number
    }
}

/// The word that bytes begin with, and the others.
fn word(bytes: &[u8]) -> (u32, &[u8]) {
    match bytes.split_first_chunk() {
        Some((word, rest)) => (u32::from_le_bytes(*word), rest),
        None => (0, &[]),
    }
}

/// Appends, and grows by an eighth rather than to the double: what is kept by the million should not have as much air.
pub(super) fn push_tightly<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(slack(list.len()));
    }
    list.push(item);
}

fn slack(len: usize) -> usize {
    (len / 8).max(64)
}

/// Sets of labels by number: a vertex has one, and most have the same few.
#[derive(Debug, Clone)]
pub struct LabelSets {
    sets: Vec<LabelSet>,
    numbers: HashMap<Box<[u32]>, u32, RandomState>,
    /// By label: the set of it alone.
    single: Vec<u32>,
}

#[derive(Debug, Clone, Default)]
struct LabelSet {
    /// In order.
    labels: Box<[u32]>,
    mask: Mask,
}

/// The empty set.
pub const NO_LABELS: u32 = 0;

impl Default for LabelSets {
    fn default() -> Self {
        Self {
            sets: vec![LabelSet::default()],
            numbers: [(Box::default(), NO_LABELS)].into_iter().collect(),
            single: Vec::new(),
        }
    }
}

impl LabelSets {
    /// The labels of a set, in order.
    pub fn labels(&self, set: u32) -> &[u32] {
        &self.sets[set as usize].labels
    }

    /// Which labels are in a set, as far as a mask can say.
    pub fn mask(&self, set: u32) -> Mask {
        self.sets[set as usize].mask
    }

    /// Whether a set has a label.
    pub fn has(&self, set: u32, label: u32) -> bool {
        self.labels(set).contains(&label)
    }

    /// A set and one more label.
    pub fn with(&mut self, set: u32, label: u32) -> u32 {
        if set == NO_LABELS {
            return self.of_one(label);
        }
        if self.has(set, label) {
            return set;
        }
        let mut labels = self.labels(set).to_vec();
        labels.push(label);
        self.intern(labels)
    }

    /// A set without a label.
    pub fn without(&mut self, set: u32, label: u32) -> u32 {
        let labels = self.labels(set);
        if !labels.contains(&label) {
            return set;
        }
        let left = labels.iter().copied().filter(|other| *other != label);
        let left = left.collect();
        self.intern(left)
    }

    fn of_one(&mut self, label: u32) -> u32 {
        let at = label as usize;
        if self.single.len() <= at {
            self.single.resize(at + 1, NO_LABELS);
        }
        if self.single[at] == NO_LABELS {
            self.single[at] = self.intern(vec![label]);
        }
        self.single[at]
    }

    fn intern(&mut self, mut labels: Vec<u32>) -> u32 {
        labels.sort_unstable();
        let labels = labels.into_boxed_slice();
        if let Some(number) = self.numbers.get(&labels) {
            return *number;
        }
        let number = self.sets.len() as u32;
        let mask = labels.iter().copied().collect();
        self.numbers.insert(labels.clone(), number);
        self.sets.push(LabelSet { labels, mask });
        number
    }
}

/// A set of numbers in one word: exact up to 62, and above it only that there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mask(pub u64);

/// The bit of all numbers that have none of their own.
const REST: u64 = 1 << 63;

impl Mask {
    /// The mask of one number.
    pub fn of(number: u32) -> Self {
        Self(1 << number.min(63))
    }

    /// All numbers of two sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is of no numbers.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it cannot tell exactly which numbers it is of.
    pub fn is_vague(self) -> bool {
        self.0 & REST != 0
    }

    /// Whether two sets have a number in common; both being vague, whether they may have.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// As [`Self::meets`], of a restriction that does not restrict if it is empty.
    pub fn allows(self, other: Self) -> bool {
        self.is_empty() || self.meets(other)
    }
}

impl FromIterator<u32> for Mask {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(
            numbers
                .into_iter()
                .fold(0, |mask, number| mask | Self::of(number).0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_however_long_it_is_and_however_it_is_asked_for() {
        let mut texts = Texts::default();
        let all: Vec<String> = (0..700)
            .map(|len| format!("{}이름", "x".repeat(len)))
            .collect();
        for (text, number) in all.iter().zip(0..) {
            assert_eq!(texts.intern(text), number);
        }
        let twice: Vec<&str> = all.iter().chain(&all).map(String::as_str).collect();
        let mut numbers = Vec::new();
        let mut others = Texts::default();
        others.intern_all(&twice, &mut numbers);
        for (text, number) in all.iter().zip(0..) {
            assert_eq!(texts.get(text), Some(number));
            assert_eq!(texts.text(number), text);
            assert_eq!(numbers[number as usize], number);
            assert_eq!(numbers[number as usize + all.len()], number);
            assert_eq!(others.text(number), text);
        }
        assert_eq!(texts.get(""), None);
        assert_eq!(others.len(), all.len());
    }
}
