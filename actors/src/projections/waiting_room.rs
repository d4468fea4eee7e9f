//! Pushes that wait on purpose, by when they are due and by the phone that they are for.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Bound;

use iyagi_messages::ids::{Pos, Timestamp};

use super::open_push::Phone;

/// Pushes of one platform that wait on purpose.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct WaitingRoom {
    by_time: BTreeSet<Place>,
    by_phone: BTreeSet<(Phone, Place)>,
}

/// Where a push is among those that wait: of several that are due at once the newest comes first, for it speaks for the
/// others if they go as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    until: Timestamp,
    requested: Reverse<Pos>,
}

impl Place {
    /// Before every push.
    pub const FIRST: Self = Self {
        until: Timestamp(i64::MIN),
        requested: Reverse(Pos(u64::MAX)),
    };

    /// Behind every push.
    const LAST: Self = Self {
        until: Timestamp(i64::MAX),
        requested: Reverse(Pos(0)),
    };

    /// Of the push that was requested at a position and waits until a moment.
    pub fn new(until: Timestamp, requested: Pos) -> Self {
        Self {
            until,
            requested: Reverse(requested),
        }
    }

    /// Where the push was requested.
    pub fn requested(self) -> Pos {
        self.requested.0
    }
}

impl WaitingRoom {
    pub(super) fn of(waiting: impl IntoIterator<Item = (Phone, Place)>) -> Self {
        let by_phone: BTreeSet<_> = waiting.into_iter().collect();
        let by_time = by_phone.iter().map(|(_, place)| *place).collect();
        Self { by_time, by_phone }
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// The first moment at which one is due, behind a place.
    pub(super) fn next_due(&self, after: Place) -> Option<Timestamp> {
        self.behind(after).next().map(|place| place.until)
    }

    /// Those that are due at a moment, behind a place.
    pub(super) fn due(&self, after: Place, now: Timestamp) -> impl Iterator<Item = Place> {
        let due = self.behind(after).copied();
        due.take_while(move |place| place.until <= now)
    }

    /// Those that wait for the same phone, in the order in which they become due.
    pub(super) fn of_phone(&self, phone: Phone) -> impl Iterator<Item = Place> {
        let range = (phone, Place::FIRST)..=(phone, Place::LAST);
        self.by_phone.range(range).map(|(_, place)| *place)
    }

    pub(super) fn enter(&mut self, phone: Phone, place: Place) {
        self.by_time.insert(place);
        self.by_phone.insert((phone, place));
    }

    pub(super) fn leave(&mut self, phone: Phone, place: Place) {
        self.by_time.remove(&place);
        self.by_phone.remove(&(phone, place));
    }

    fn behind(&self, after: Place) -> impl Iterator<Item = &Place> {
        self.by_time
            .range((Bound::Excluded(after), Bound::Unbounded))
    }
}
