//! Finds positions by id and by entity, which are both as good as random.
//!
//! An index on random keys dirties one page per entry, so a small commit would write far more index than events.
//! Here new entries wait in memory, sorted, and go to their table one slice of the key space at a time: entries of
//! one slice lie side by side, so many share a page. What a slice's table does not cover yet is read back from the
//! last events when the journal is opened. What was never seen need not be looked for: `filter`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Mutex;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::EventId;
use rusqlite::{Connection, params};

pub(super) use self::filter::Filter;
use super::writer::lock;

mod filter;

/// Parts of the key space, by a key's leading bits.
pub(super) const SLICES: usize = 1 << SLICE_BITS;
const SLICE_BITS: u32 = 8;
/// Events between two slices' turns: what waits in memory is about `SLICES` times that.
const EVENTS_PER_TURN: u64 = 512;

/// What an entry is found by: 64 bits of the id or of the entity's hash. Two keys may collide, so whoever finds a
/// position checks its row.
pub(super) type Key = i64;

/// An id's key.
pub(super) fn id_key(id: EventId) -> Key {
    let head = id.0.first_chunk().expect("an id has 16 bytes");
    Key::from_be_bytes(*head)
}

/// An entity's key: FNV-1a, finished so that its leading bits are spread as well. It is stored, so it never changes.
pub(super) fn entity_key(entity: &str) -> Key {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in entity.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    spread(hash) as Key
}

/// A number that stands for an entry in an order-independent sum over many.
pub(super) fn digest(key: Key, pos: u64) -> u64 {
    spread((key as u64) ^ spread(pos.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

fn spread(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

pub(super) fn slice_of(key: Key) -> usize {
    (key as u64 >> (u64::BITS - SLICE_BITS)) as usize
}

fn keys_of(slice: usize) -> RangeInclusive<Key> {
    let first = (slice as u64) << (u64::BITS - SLICE_BITS);
    let last = first | (u64::MAX >> SLICE_BITS);
    (first as Key)..=(last as Key)
}

/// What a lookup finds: an event's own id, or its entity.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    Id,
    Entity,
}

impl By {
    pub(super) const ALL: [Self; 2] = [Self::Id, Self::Entity];

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Id => "lookup_id",
            Self::Entity => "lookup_entity",
        }
    }

    const fn insert(self) -> &'static str {
        match self {
            Self::Id => "INSERT INTO lookup_id(key, pos) VALUES(?1, ?2)",
            Self::Entity => "INSERT INTO lookup_entity(key, pos) VALUES(?1, ?2)",
        }
    }

    const fn select_behind(self) -> &'static str {
        match self {
            Self::Id => {
                "SELECT key, pos FROM lookup_id WHERE (key, pos) > (?1, ?2) ORDER BY key, pos LIMIT ?3"
            }
            Self::Entity => {
                "SELECT key, pos FROM lookup_entity WHERE (key, pos) > (?1, ?2) ORDER BY key, pos LIMIT ?3"
            }
        }
    }

    const fn delete(self) -> &'static str {
        match self {
            Self::Id => "DELETE FROM lookup_id WHERE key = ?1 AND pos = ?2",
            Self::Entity => "DELETE FROM lookup_entity WHERE key = ?1 AND pos = ?2",
        }
    }

    const fn select(self) -> &'static str {
        match self {
            Self::Id => "SELECT pos FROM lookup_id WHERE key = ?1",
            Self::Entity => "SELECT pos FROM lookup_entity WHERE key = ?1",
        }
    }
}

/// Up to which position each slice's tables are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Covered(Box<[u64; SLICES]>);

impl Covered {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut covered = Box::new([0; SLICES]);
        let mut statement = connection.prepare_cached("SELECT slice, pos FROM lookup_slice")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let slice = usize::try_from(row.get::<_, i64>(0)?).ok();
            if let Some(pos) = slice.and_then(|slice| covered.get_mut(slice)) {
                *pos = row.get::<_, i64>(1)? as u64;
            }
        }
        Ok(Self(covered))
    }

    pub(super) fn holds(&self, key: Key, pos: u64) -> bool {
        pos <= self.0[slice_of(key)]
    }

    pub(super) fn min(&self) -> u64 {
        self.0.iter().copied().min().unwrap_or(0)
    }

    pub(super) fn max(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }
}

/// Entries that wait for their slice's turn.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ids: BTreeSet<(Key, u64)>,
    entities: BTreeSet<(Key, u64)>,
}

impl Recent {
    fn of(&mut self, by: By) -> &mut BTreeSet<(Key, u64)> {
        match by {
            By::Id => &mut self.ids,
            By::Entity => &mut self.entities,
        }
    }

    fn set(&self, by: By) -> &BTreeSet<(Key, u64)> {
        match by {
            By::Id => &self.ids,
            By::Entity => &self.entities,
        }
    }

    pub(super) fn insert(&mut self, by: By, key: Key, pos: u64) {
        self.of(by).insert((key, pos));
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        for by in By::ALL {
            self.of(by).append(other.of(by));
        }
    }

    pub(super) fn positions(&self, by: By, key: Key) -> Vec<u64> {
        let entries = self.set(by).range((key, 0)..=(key, u64::MAX));
        entries.map(|&(_, pos)| pos).collect()
    }

    /// The last of an entity's positions from one to another, these included.
    fn last_of(&self, entity: Key, first: u64, last: u64) -> Option<u64> {
        if first > last {
            return None;
        }
        let mut entries = self.entities.range((entity, first)..=(entity, last));
        entries.next_back().map(|&(_, pos)| pos)
    }

    /// Forgets events that were taken out before their slice's turn.
    pub(super) fn remove(&mut self, events: &[Event]) {
        for event in events {
            self.ids.remove(&(id_key(event.id), event.pos.0));
            let entity = entity_key(&event.entity.0);
            self.entities.remove(&(entity, event.pos.0));
        }
    }

    /// Forgets what a slice's tables now hold durably.
    pub(super) fn forget(&mut self, turn: Turn) {
        for by in By::ALL {
            let held = self.waiting(by, turn.slice, 0, turn.upto);
            let set = self.of(by);
            for entry in held {
                set.remove(&entry);
            }
        }
    }

    fn waiting(&self, by: By, slice: usize, after: u64, upto: u64) -> Vec<(Key, u64)> {
        let keys = keys_of(slice);
        self.set(by)
            .range((*keys.start(), 0)..=(*keys.end(), u64::MAX))
            .filter(|&&(_, pos)| pos > after && pos <= upto)
            .copied()
            .collect()
    }
}

/// One slice whose tables were brought up to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    slice: usize,
    upto: u64,
}

/// Takes the slices' turns.
#[derive(Debug)]
pub(super) struct Turns {
    covered: Covered,
    next: usize,
    since: u64,
}

impl Turns {
    pub(super) fn new(covered: Covered, head: u64) -> Self {
        // The slice that is furthest behind has waited longest.
        let oldest = (0..SLICES).min_by_key(|&slice| covered.0[slice]);
        let since = head.saturating_sub(covered.max());
        Self {
            covered,
            next: oldest.unwrap_or(0),
            since,
        }
    }

    /// Counts `events` that now end at `head`, and writes the slices whose turn has come.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        recent: &Recent,
        events: u64,
        head: u64,
    ) -> rusqlite::Result<Vec<Turn>> {
        let mut taken = Vec::new();
        self.since += events;
        while self.since >= EVENTS_PER_TURN && taken.len() < SLICES {
            self.since -= EVENTS_PER_TURN;
            let slice = self.next;
            self.next = (slice + 1) % SLICES;
            for by in By::ALL {
                let mut insert = connection.prepare_cached(by.insert())?;
                for (key, pos) in recent.waiting(by, slice, self.covered.0[slice], head) {
                    insert.execute(params![key, pos as i64])?;
                }
            }
            connection
                .prepare_cached("INSERT OR REPLACE INTO lookup_slice(slice, pos) VALUES(?1, ?2)")?
                .execute(params![slice as i64, head as i64])?;
            self.covered.0[slice] = head;
            taken.push(Turn { slice, upto: head });
        }
        // After a turn of every slice nothing waits, however many events came.
        self.since %= EVENTS_PER_TURN;
        Ok(taken)
    }
}

/// At most `limit` of a table's entries, behind one, in the order in which they lie.
pub(super) fn behind(
    connection: &Connection,
    by: By,
    (key, pos): (Key, i64),
    limit: i64,
) -> rusqlite::Result<Vec<(Key, i64)>> {
    let mut statement = connection.prepare_cached(by.select_behind())?;
    let entries = statement.query_map((key, pos, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
    entries.collect()
}

/// Removes entries from a table.
pub(super) fn remove(
    connection: &Connection,
    by: By,
    entries: &[(Key, i64)],
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(by.delete())?;
    for entry in entries {
        delete.execute(*entry)?;
    }
    Ok(())
}

const NEWEST_STORED: &str =
    "SELECT pos FROM lookup_entity WHERE key = ?1 AND pos BETWEEN ?2 AND ?3 ORDER BY pos DESC";

/// What is found at the last of an entity's positions within some at which there is anything. None before that is looked at,
/// however many they are: the cursor has one for every commit.
pub(super) fn newest<T>(
    connection: &Connection,
    recent: &Mutex<Recent>,
    entity: &Entity,
    within: RangeInclusive<u64>,
    mut look: impl FnMut(u64) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    let key = entity_key(&entity.0);
    let (first, mut last) = (*within.start(), *within.end());
    // What waits is behind what is stored, and an entry leaves memory only once its table holds it.
    loop {
        let Some(pos) = lock(recent).last_of(key, first, last) else {
            break;
        };
        if let Some(found) = look(pos)? {
            return Ok(Some(found));
        }
        last = pos - 1;
    }
    let mut stored = connection.prepare_cached(NEWEST_STORED)?;
    let mut stored = stored.query((key, first as i64, last as i64))?;
    while let Some(row) = stored.next()? {
        if let Some(found) = look(row.get::<_, i64>(0)? as u64)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Positions that a key's table holds.
pub(super) fn stored(connection: &Connection, by: By, key: Key) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection.prepare_cached(by.select())?;
    let positions = statement.query_map([key], |row| row.get::<_, i64>(0).map(|pos| pos as u64))?;
    positions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::journal::rows::SCHEMA;

    #[test]
    fn every_entry_waits_or_is_stored_once_over_many_rounds_of_turns() {
        const EVENTS: u64 = EVENTS_PER_TURN * SLICES as u64 * 5 / 2;
        let connection = Connection::open_in_memory().expect("opens");
        connection
            .execute_batch(SCHEMA.migrations[0])
            .expect("made");
        let mut turns = Turns::new(Covered::load(&connection).expect("loads"), 0);
        let mut recent = Recent::default();
        let key = |pos: u64| spread(pos) as Key;
        for pos in 1..=EVENTS {
            for by in By::ALL {
                recent.insert(by, key(pos), pos);
            }
            let taken = turns.take(&connection, &recent, 1, pos).expect("written");
            for turn in taken {
                recent.forget(turn);
            }
        }
        let covered = Covered::load(&connection).expect("loads");
        assert_eq!(covered, turns.covered);
        for pos in 1..=EVENTS {
            let held = covered.holds(key(pos), pos);
            for by in By::ALL {
                let there = stored(&connection, by, key(pos)).expect("read");
                let waiting = recent.positions(by, key(pos));
                let expected = if held {
                    (vec![pos], vec![])
                } else {
                    (vec![], vec![pos])
                };
                assert_eq!((there, waiting), expected);
            }
        }
        let waiting = recent.ids.len() as u64;
        assert!(waiting <= EVENTS_PER_TURN * SLICES as u64, "{waiting} wait");
    }

    #[test]
    fn the_newest_is_found_without_a_look_at_those_before_it() {
        let connection = Connection::open_in_memory().expect("opens");
        connection
            .execute_batch(SCHEMA.migrations[0])
            .expect("made");
        let entity = Entity::new("cursor", "graph");
        let key = entity_key(&entity.0);
        for pos in 1..=60 {
            let stored =
                connection.execute("INSERT INTO lookup_entity VALUES (?1, ?2)", (key, pos));
            stored.expect("written");
        }
        let mut recent = Recent::default();
        for pos in 61..=100 {
            recent.insert(By::Entity, key, pos);
        }
        let recent = Mutex::new(recent);
        let mut looked_at = Vec::new();
        let mut newest = |within: RangeInclusive<u64>, even: bool| {
            looked_at.clear();
            let found = newest(&connection, &recent, &entity, within, |pos| {
                looked_at.push(pos);
                Ok((!even || pos % 2 == 0).then_some(pos))
            });
            (found.expect("read"), looked_at.clone())
        };
        assert_eq!(newest(0..=1_000, false), (Some(100), vec![100]));
        assert_eq!(newest(0..=99, true), (Some(98), vec![99, 98]));
        assert_eq!(newest(0..=61, true), (Some(60), vec![61, 60]));
        assert_eq!(newest(5..=5, true), (None, vec![5]));
        assert_eq!(newest(101..=1_000, false), (None, vec![]));
        let nothing = RangeInclusive::new(8, 7);
        assert_eq!(newest(nothing, false), (None, vec![]));
        let plan: Vec<String> = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {NEWEST_STORED}"))
            .expect("is valid")
            .query_map((1, 1, 1), |row| row.get(3))
            .expect("runs")
            .collect::<Result<_, _>>()
            .expect("is text");
        let search = "SEARCH lookup_entity USING PRIMARY KEY (key=? AND pos>? AND pos<?)";
        assert_eq!(plan, [search], "by a seek, and sorted by none");
    }
}
