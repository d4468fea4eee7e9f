//! The letters that wait, in the order of lists and counted, so that a page or a count walks no others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use iyagi_messages::ids::{LetterId, Timestamp};
use iyagi_messages::letter::Letter;

/// A letter's place in lists: newest first, the id settling ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterPlace(pub Reverse<Timestamp>, pub LetterId);

/// Letters of one kind of job that were given up for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterGroup {
    /// The kind of job.
    pub origin: String,
    /// Why they were given up.
    pub reason: String,
    /// How many there are.
    pub count: u64,
    /// When the oldest was given up.
    pub oldest_at: Timestamp,
    /// When the newest was given up.
    pub newest_at: Timestamp,
    /// The newest.
    pub newest: LetterId,
}

/// The places of letters that wait.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitingLetters {
    all: BTreeSet<LetterPlace>,
    groups: BTreeMap<(String, String), BTreeSet<LetterPlace>>,
}

impl LetterPlace {
    /// Where a letter stands.
    pub fn of(letter: &Letter) -> Self {
        Self(Reverse(letter.at), letter.id)
    }
}

impl WaitingLetters {
    /// The places of some letters.
    pub(super) fn of<'l>(letters: impl Iterator<Item = &'l Letter>) -> Self {
        let mut waiting = Self::default();
        letters.for_each(|letter| waiting.insert(letter));
        waiting
    }

    pub(super) fn insert(&mut self, letter: &Letter) {
        let place = LetterPlace::of(letter);
        self.all.insert(place);
        self.groups
            .entry(group_of(letter))
            .or_default()
            .insert(place);
    }

    pub(super) fn remove(&mut self, letter: &Letter) {
        let (place, group) = (LetterPlace::of(letter), group_of(letter));
        self.all.remove(&place);
        if let Some(places) = self.groups.get_mut(&group) {
            places.remove(&place);
            if places.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Places between two bounds, of one kind of job and reason or of all.
    pub(super) fn between(
        &self,
        group: Option<(&str, &str)>,
        bounds: (Bound<LetterPlace>, Bound<LetterPlace>),
    ) -> impl Iterator<Item = LetterPlace> {
        let places = match group {
            None => Some(&self.all),
            Some((origin, reason)) => self.groups.get(&(origin.to_owned(), reason.to_owned())),
        };
        // A range that ends before it begins would be a panic.
        let places = places.filter(|_| !is_empty(bounds));
        places
            .into_iter()
            .flat_map(move |places| places.range(bounds).copied())
    }

    /// Places of letters that were given up at a moment or before, the oldest first.
    pub(super) fn since(&self, moment: Timestamp) -> impl Iterator<Item = LetterPlace> {
        let oldest_first = self.all.iter().rev().copied();
        oldest_first.take_while(move |place| place.0.0 <= moment)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = LetterGroup> {
        self.groups.iter().filter_map(|((origin, reason), places)| {
            let (newest, oldest) = (places.first()?, places.last()?);
            Some(LetterGroup {
                origin: origin.clone(),
                reason: reason.clone(),
                count: places.len() as u64,
                oldest_at: oldest.0.0,
                newest_at: newest.0.0,
                newest: newest.1,
            })
        })
    }
}

fn group_of(letter: &Letter) -> (String, String) {
    (letter.origin.name().to_owned(), letter.reason.clone())
}

fn is_empty((from, to): (Bound<LetterPlace>, Bound<LetterPlace>)) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_messages::letter::Origin;

    fn letter(key: &str, reason: &str, at: i64) -> Letter {
        Letter {
            id: LetterId::of_object("audio", key, "1"),
            generation: 1,
            origin: Origin::Object {
                consumer: "audio".to_owned(),
                key: key.to_owned(),
                message: String::new(),
            },
            reason: reason.to_owned(),
            detail: String::new(),
            attempts: 1,
            at: Timestamp(at),
        }
    }

    #[test]
    fn groups_are_counted_as_letters_come_and_go() {
        let letters = [
            letter("a", "bomb", 3),
            letter("b", "bomb", 1),
            letter("c", "truncated", 2),
        ];
        let mut waiting = WaitingLetters::of(letters.iter());
        let groups: Vec<_> = waiting.groups().collect();
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].count, groups[0].newest), (2, letters[0].id));
        assert_eq!(
            (groups[0].oldest_at, groups[0].newest_at),
            (Timestamp(1), Timestamp(3))
        );
        waiting.remove(&letters[2]);
        assert_eq!((waiting.len(), waiting.groups().count()), (2, 1));
    }

    #[test]
    fn places_are_newest_first_and_bounds_that_cross_hold_nothing() {
        let letters = [letter("a", "bomb", 1), letter("b", "bomb", 3)];
        let waiting = WaitingLetters::of(letters.iter());
        let (newest, oldest) = (LetterPlace::of(&letters[1]), LetterPlace::of(&letters[0]));
        let since = |moment| waiting.since(Timestamp(moment)).collect::<Vec<_>>();
        assert_eq!(
            (since(0), since(2), since(3)),
            (vec![], vec![oldest], vec![oldest, newest])
        );
        let within = |from, to| waiting.between(None, (from, to)).collect::<Vec<_>>();
        assert_eq!(within(Bound::Unbounded, Bound::Unbounded), [newest, oldest]);
        assert_eq!(within(Bound::Excluded(newest), Bound::Unbounded), [oldest]);
        assert_eq!(within(Bound::Excluded(oldest), Bound::Included(newest)), []);
        let other = waiting.between(Some(("push", "bomb")), (Bound::Unbounded, Bound::Unbounded));
        assert_eq!(other.count(), 0);
    }
}
