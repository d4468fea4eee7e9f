//! Pushes that wait on purpose, by when they are due and by the phone that they are for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use iyagi_messages::ids::{DeviceToken, PersonId, Pos, PushId, Timestamp};
use iyagi_messages::push::Push;
use serde::{Deserialize, Serialize};

/// Pushes that wait on purpose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Waiting>", into = "Vec<Waiting>")]
pub struct WaitingRoom {
    by_time: BTreeMap<Place, PushId>,
    by_phone: HashMap<Phone, BTreeMap<Place, PushId>>,
}

/// Where a push is among those that wait: of several that are due at once the newest comes first, for it speaks for the
/// others if they go as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    until: Timestamp,
    requested: Reverse<Pos>,
}

/// Whose phone; nobody's if the person has none.
type Phone = (PersonId, Option<DeviceToken>);

/// One of them, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Waiting {
    place: Place,
    push: PushId,
    person: PersonId,
    device: Option<DeviceToken>,
}

impl Place {
    /// Before every push.
    pub const FIRST: Self = Self {
        until: Timestamp(i64::MIN),
        requested: Reverse(Pos(u64::MAX)),
    };

    /// Of the push that was requested at a position and waits until a moment.
    pub fn new(until: Timestamp, requested: Pos) -> Self {
        Self {
            until,
            requested: Reverse(requested),
        }
    }
}

impl WaitingRoom {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// The first moment at which one is due, behind a place.
    pub fn next_due(&self, after: Place) -> Option<Timestamp> {
        self.behind(after).next().map(|(place, _)| place.until)
    }

    /// At most `limit` pushes that are due at a moment, behind a place.
    pub fn due(
        &self,
        after: Place,
        now: Timestamp,
        limit: usize,
    ) -> impl Iterator<Item = (Place, PushId)> {
        let due = self
            .behind(after)
            .take_while(move |(place, _)| place.until <= now);
        due.take(limit).map(|(place, id)| (*place, *id))
    }

    /// Those that wait for the same phone as a push does, in the order in which they become due.
    pub fn with_phone_of(&self, push: &Push) -> impl Iterator<Item = PushId> {
        let of_phone = self.by_phone.get(&phone_of(push));
        of_phone.into_iter().flat_map(BTreeMap::values).copied()
    }

    pub(super) fn enter(&mut self, push: &Push, place: Place) {
        self.put(phone_of(push), place, push.id);
    }

    pub(super) fn leave(&mut self, push: &Push, place: Place) {
        self.by_time.remove(&place);
        let phone = phone_of(push);
        if let Some(waiting) = self.by_phone.get_mut(&phone) {
            waiting.remove(&place);
            if waiting.is_empty() {
                self.by_phone.remove(&phone);
            }
        }
    }

    fn put(&mut self, phone: Phone, place: Place, push: PushId) {
        self.by_time.insert(place, push);
        self.by_phone.entry(phone).or_default().insert(place, push);
    }

    fn behind(&self, after: Place) -> impl Iterator<Item = (&Place, &PushId)> {
        self.by_time
            .range((Bound::Excluded(after), Bound::Unbounded))
    }
}

fn phone_of(push: &Push) -> Phone {
    (push.recipient.clone(), push.device.clone())
}

impl From<Vec<Waiting>> for WaitingRoom {
    fn from(all: Vec<Waiting>) -> Self {
        let mut room = Self::default();
        for one in all {
            room.put((one.person, one.device), one.place, one.push);
        }
        room
    }
}

impl From<WaitingRoom> for Vec<Waiting> {
    fn from(room: WaitingRoom) -> Self {
        let phones = room.by_phone.into_iter();
        let all = phones.flat_map(|((person, device), waiting)| {
            waiting.into_iter().map(move |(place, push)| Waiting {
                place,
                push,
                person: person.clone(),
                device: device.clone(),
            })
        });
        all.collect()
    }
}
