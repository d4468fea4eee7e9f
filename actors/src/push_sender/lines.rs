//! Lines of phones whose first push waits for its next attempt.
//!
//! Pushes to one phone are sent in order, so what is behind such a push waits with it. A service may ask to be left alone
//! for an hour: what waits so long is not kept in the senders' pool, where it would take the room of everybody else's, but
//! here, by where it is in the journal, until the feeder offers the line again.
//!
//! **Invariant:** of a phone that has a line only the first push is attempted.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use iyagi_messages::device::Platform;
use iyagi_messages::ids::{Pos, Timestamp};
use iyagi_messages::push::Push;
use tokio::sync::Notify;

use crate::projections::Phone;

/// Where a push stands among those of its phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Its place; the lowest is the first.
    pub at: Pos,
    /// Where it was requested.
    pub requested: Pos,
}

/// Every phone's line, if it has one.
#[derive(Debug, Default)]
pub struct Lines {
    lines: Mutex<HashMap<Option<Platform>, OfPlatform>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct OfPlatform {
    lines: HashMap<Phone, Line>,
    /// Pushes in all of them.
    pushes: usize,
    /// Lines by when they are to be offered again.
    due: BTreeSet<(Timestamp, Phone)>,
}

/// Some phone's pushes, from the one that waits.
#[derive(Debug, Default)]
struct Line {
    /// In order. Most are taken from the front and put to the back, and there may be very many.
    places: VecDeque<Place>,
    /// When the line is to be offered; nothing once it is.
    due: Option<Timestamp>,
}

#[derive(Debug)]
struct Place {
    turn: Turn,
    /// Whether a sender has it or will.
    offered: bool,
}

/// At once.
const NOW: Timestamp = Timestamp(0);

impl Lines {
    /// Whether a push that was offered may be attempted as far as its phone's line goes. If not, it has joined the line.
    pub fn admit(&self, push: &Push, turn: Turn) -> bool {
        self.with_line(push, |line, _, _| {
            let place = line.join(turn);
            line.places[place].offered = place == 0;
            place == 0
        })
        .unwrap_or(true)
    }

    /// A push waits, and its phone's line with it.
    pub fn wait(&self, push: &Push, turn: Turn, until: Timestamp) {
        let phone = Phone::of(push);
        let mut lines = self.lock();
        let OfPlatform { lines, pushes, due } = lines.entry(push.platform).or_default();
        let line = lines.entry(phone).or_default();
        let before = line.places.len();
        line.join(turn);
        *pushes += line.places.len() - before;
        line.offer_at(until, phone, due);
        self.changed.notify_one();
    }

    /// A push is no longer to be sent, or was sent.
    pub fn leave(&self, push: &Push, turn: Turn) {
        let next_waits = self.with_line(push, |line, phone, due| {
            line.remove(turn);
            match line.places.front() {
                Some(first) if first.offered || line.due.is_some() => false,
                Some(_) => {
                    line.offer_at(NOW, phone, due);
                    true
                }
                None => {
                    line.offer_never(phone, due);
                    false
                }
            }
        });
        if next_waits == Some(true) {
            self.changed.notify_one();
        }
    }

    /// Some phone's line that is due; it is being offered from now on.
    pub fn next_due(&self, platform: Option<Platform>, now: Timestamp) -> Option<Vec<Turn>> {
        let mut lines = self.lock();
        let OfPlatform { lines, due, .. } = lines.get_mut(&platform)?;
        let (at, phone) = *due.first()?;
        if at > now {
            return None;
        }
        due.pop_first();
        let line = lines.get_mut(&phone)?;
        line.due = None;
        let offered = line.places.iter_mut().map(|place| {
            place.offered = true;
            place.turn
        });
        Some(offered.collect())
    }

    /// When the next line of a platform is due.
    pub fn due_at(&self, platform: Option<Platform>) -> Option<Timestamp> {
        let lines = self.lock();
        let (at, _) = lines.get(&platform)?.due.first()?;
        Some(*at)
    }

    /// Forgets the lines of a platform: all its pushes are offered anew, and what was offered before is not attempted.
    pub fn clear(&self, platform: Option<Platform>) {
        self.lock().remove(&platform);
    }

    /// Resolves once a line has become due, or will be, since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Pushes in all lines.
    pub fn len(&self) -> usize {
        self.lock().values().map(|of| of.pushes).sum()
    }

    /// Pushes that wait for another one, which is before them in their line.
    pub fn behind(&self) -> usize {
        self.lock()
            .values()
            .map(|of| of.pushes - of.lines.len())
            .sum()
    }

    /// Whether no phone has a line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does something to the line of a push's phone, if it has one, and drops the line if that left it empty.
    fn with_line<T>(
        &self,
        push: &Push,
        work: impl FnOnce(&mut Line, Phone, &mut BTreeSet<(Timestamp, Phone)>) -> T,
    ) -> Option<T> {
        let mut lines = self.lock();
        let OfPlatform { lines, pushes, due } = lines.get_mut(&push.platform)?;
        if lines.is_empty() {
            return None;
        }
        let phone = Phone::of(push);
        let line = lines.get_mut(&phone)?;
        let before = line.places.len();
        let done = work(line, phone, due);
        *pushes = *pushes - before + line.places.len();
        if line.places.is_empty() {
            lines.remove(&phone);
        }
        Some(done)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Platform>, OfPlatform>> {
        // Nothing panics while it is held.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Takes a push in, if it is not there, and yields how many are before it.
    fn join(&mut self, turn: Turn) -> usize {
        self.find(turn).unwrap_or_else(|place| {
            let offered = false;
            self.places.insert(place, Place { turn, offered });
            place
        })
    }

    fn remove(&mut self, turn: Turn) {
        if let Ok(place) = self.find(turn) {
            self.places.remove(place);
        }
    }

    /// Where a push is, or would be.
    fn find(&self, turn: Turn) -> Result<usize, usize> {
        self.places.binary_search_by_key(&turn, |place| place.turn)
    }

    fn offer_at(&mut self, at: Timestamp, phone: Phone, due: &mut BTreeSet<(Timestamp, Phone)>) {
        self.offer_never(phone, due);
        self.due = Some(at);
        due.insert((at, phone));
    }

    fn offer_never(&mut self, phone: Phone, due: &mut BTreeSet<(Timestamp, Phone)>) {
        if let Some(before) = self.due.take() {
            due.remove(&(before, phone));
        }
    }
}
