//! A journal in memory: for tests, and for what needs no durability.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::ids::{EventId, Incarnation, Pos, Seq};

use super::{Append, Appended, CommitHook, Expected, Journal, JournalFault, Snapshot};
use crate::ports::Clock;

/// A journal that lives as long as its clones and reopenings do.
#[derive(Clone)]
pub struct MemoryJournal {
    store: Arc<Mutex<Store>>,
    hooks: Arc<Mutex<Vec<CommitHook>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Store {
    events: Vec<Event>,
    /// Index in `events` by id.
    ids: HashMap<EventId, usize>,
    entities: HashMap<Entity, Vec<usize>>,
    consequences: HashMap<EventId, Vec<usize>>,
    snapshots: HashMap<String, Vec<Kept>>,
}

struct Kept {
    snapshot: Snapshot,
    damaged: bool,
}

/// Snapshots kept per name.
const KEPT_PER_NAME: usize = 2;

impl MemoryJournal {
    /// An empty journal.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            store: Arc::default(),
            hooks: Arc::default(),
            clock,
        }
    }

    /// The same events and snapshots without the hooks, as after a restart.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            hooks: Arc::default(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Makes the newest snapshot of a name unreadable, as a failing disk would.
    pub fn damage_newest_snapshot(&self, name: &str) {
        let mut store = lock(&self.store);
        if let Some(newest) = store
            .snapshots
            .get_mut(name)
            .and_then(|kept| kept.last_mut())
        {
            newest.damaged = true;
        }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, append: Append) -> Result<Appended, JournalFault> {
        // Held over the hooks as well, so that they run in order of position.
        let mut store = lock(&self.store);
        let given = append.events.len();
        let fresh = store.fresh(append.events);
        let duplicates = given - fresh.len();
        if fresh.is_empty() && duplicates > 0 {
            return Ok(Appended {
                last: store.head(),
                duplicates,
            });
        }
        store.check(append.expected)?;
        let first = store.events.len();
        let at = self.clock.now();
        for new in fresh {
            store.push(new, at, &append.actor);
        }
        if first < store.events.len() {
            for hook in lock(&self.hooks).iter() {
                hook(&store.events[first..]);
            }
        }
        Ok(Appended {
            last: store.head(),
            duplicates,
        })
    }

    fn on_commit(&self, hook: CommitHook) {
        lock(&self.hooks).push(hook);
    }

    async fn read(&self, after: Pos, limit: usize) -> Result<Vec<Event>, JournalFault> {
        let skipped = usize::try_from(after.0).unwrap_or(usize::MAX);
        Ok(lock(&self.store)
            .events
            .iter()
            .skip(skipped)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn at(&self, positions: Vec<Pos>) -> Result<Vec<Event>, JournalFault> {
        let store = lock(&self.store);
        let index = |pos: &Pos| usize::try_from(pos.0.checked_sub(1)?).ok();
        let events = positions
            .iter()
            .filter_map(|pos| store.events.get(index(pos)?).cloned());
        Ok(events.collect())
    }

    async fn entity(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault> {
        let store = lock(&self.store);
        Ok(store.pick(store.entities.get(entity)))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, JournalFault> {
        let store = lock(&self.store);
        Ok(store.ids.get(&id).map(|&index| store.events[index].clone()))
    }

    async fn caused_by(&self, id: EventId) -> Result<Vec<Event>, JournalFault> {
        let store = lock(&self.store);
        Ok(store.pick(store.consequences.get(&id)))
    }

    async fn head(&self) -> Result<Pos, JournalFault> {
        Ok(lock(&self.store).head())
    }

    async fn save_snapshot(&self, name: &str, snapshot: Snapshot) -> Result<(), JournalFault> {
        let mut store = lock(&self.store);
        let kept = store.snapshots.entry(name.to_owned()).or_default();
        kept.retain(|old| {
            (old.snapshot.pos, old.snapshot.code_version) != (snapshot.pos, snapshot.code_version)
        });
        kept.push(Kept {
            snapshot,
            damaged: false,
        });
        kept.sort_by_key(|kept| kept.snapshot.pos);
        let excess = kept.len().saturating_sub(KEPT_PER_NAME);
        kept.drain(..excess);
        Ok(())
    }

    async fn snapshot(
        &self,
        name: &str,
        code_version: u32,
    ) -> Result<Option<Snapshot>, JournalFault> {
        let store = lock(&self.store);
        let kept = store.snapshots.get(name).into_iter().flatten().rev();
        let usable = kept
            .filter(|kept| !kept.damaged)
            .find(|kept| kept.snapshot.code_version == code_version);
        Ok(usable.map(|kept| kept.snapshot.clone()))
    }
}

impl Store {
    fn head(&self) -> Pos {
        Pos(self.events.len() as u64)
    }

    fn fresh(&self, events: Vec<NewEvent>) -> Vec<NewEvent> {
        let mut seen = HashSet::new();
        let new = |event: &NewEvent| seen.insert(event.id) && !self.ids.contains_key(&event.id);
        events.into_iter().filter(new).collect()
    }

    fn check(&self, expected: Vec<Expected>) -> Result<(), JournalFault> {
        for Expected { entity, seq } in expected {
            let actual = self.seq(&entity);
            if actual != seq {
                return Err(JournalFault::Conflict {
                    entity,
                    expected: seq,
                    actual,
                });
            }
        }
        Ok(())
    }

    fn seq(&self, entity: &Entity) -> Seq {
        Seq(self
            .entities
            .get(entity)
            .map_or(0, |events| events.len() as u64))
    }

    fn push(&mut self, new: NewEvent, at: iyagi_messages::ids::Timestamp, actor: &Incarnation) {
        let index = self.events.len();
        let seq = Seq(self.seq(&new.entity).0 + 1);
        self.ids.insert(new.id, index);
        self.entities
            .entry(new.entity.clone())
            .or_default()
            .push(index);
        if let Some(cause) = new.cause {
            self.consequences.entry(cause).or_default().push(index);
        }
        self.events.push(Event {
            pos: Pos(index as u64 + 1),
            id: new.id,
            entity: new.entity,
            seq,
            at,
            cause: new.cause,
            corr: new.corr,
            actor: actor.clone(),
            fact: new.fact,
        });
    }

    fn pick(&self, indexes: Option<&Vec<usize>>) -> Vec<Event> {
        let indexes = indexes.into_iter().flatten();
        indexes.map(|&index| self.events[index].clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Everything that can fail comes before the first change, so a panic leaves the store whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::contract;
    use iyagi_messages::ids::Timestamp;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(1_700_000_000_000)
        }
    }

    #[async_trait]
    impl contract::Store for MemoryJournal {
        async fn open(&self) -> Arc<dyn Journal> {
            Arc::new(self.reopen())
        }

        async fn damage_newest_snapshot(&self, name: &str) {
            MemoryJournal::damage_newest_snapshot(self, name);
        }
    }

    #[tokio::test]
    async fn keeps_the_journals_contract() {
        contract::holds(|| MemoryJournal::new(Arc::new(Still))).await;
    }
}
