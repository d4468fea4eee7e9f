//! Where events were taken out. A position that is missing elsewhere is damage.

use rusqlite::{Connection, OptionalExtension};

/// The layout's third version. Holes are as wide as can be: no two touch.
pub(super) const TABLES: &str = "
    CREATE TABLE hole(first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
    CREATE TABLE export(
        first INTEGER PRIMARY KEY, last INTEGER NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL, manifest_sha256 TEXT NOT NULL) STRICT;
    CREATE TABLE compaction(v INTEGER NOT NULL, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
";

/// Holes in order of position.
#[derive(Debug, Default)]
pub(super) struct Holes(Vec<(u64, u64)>);

impl Holes {
    /// All of a journal's.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        Self::within(connection, 0, i64::MAX as u64)
    }

    /// Those that have a position between two, these included. Whoever compares them with rows reads the rows first: what
    /// is taken out in between is then in a hole, and not missing.
    pub(super) fn within(connection: &Connection, first: u64, last: u64) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached(
            "SELECT first, last FROM hole
             WHERE first >= coalesce((SELECT max(first) FROM hole WHERE first <= ?1), ?1) AND first <= ?2
             ORDER BY first",
        )?;
        let holes = statement.query_map((first as i64, last as i64), |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })?;
        holes.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many events were taken out.
    pub(super) fn events(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether the event at a position was taken out.
    pub(super) fn holds(&self, pos: u64) -> bool {
        self.around(pos).is_some()
    }

    /// The first position from `pos` on whose event was not taken out.
    pub(super) fn past(&self, pos: u64) -> u64 {
        self.around(pos).map_or(pos, |(_, last)| last + 1)
    }

    /// Whether an event behind one position and before another was taken out.
    pub(super) fn any_between(&self, after: u64, before: u64) -> bool {
        let next = self.0.partition_point(|(_, last)| *last <= after);
        self.0.get(next).is_some_and(|(first, _)| *first < before)
    }

    fn around(&self, pos: u64) -> Option<(u64, u64)> {
        let next = self.0.partition_point(|(_, last)| *last < pos);
        self.0.get(next).copied().filter(|(first, _)| *first <= pos)
    }
}

/// Whether an event behind one position and before another was taken out.
pub(super) fn any_between(
    connection: &Connection,
    after: u64,
    before: u64,
) -> rusqlite::Result<bool> {
    Ok(Holes::within(connection, after + 1, before.saturating_sub(1))?.any_between(after, before))
}

/// Notes that the events at some positions, in order, are taken out.
pub(super) fn add(connection: &Connection, positions: &[u64]) -> rusqlite::Result<()> {
    runs(positions).try_for_each(|(first, last)| add_run(connection, first, last))
}

/// The first and the last of each run of positions, which are given in order.
pub(super) fn runs(positions: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let runs = positions.chunk_by(|before, next| before + 1 == *next);
    runs.filter_map(|run| Some((*run.first()?, *run.last()?)))
}

/// Notes that the events of a run of positions are taken out, none of which was before.
pub(super) fn add_run(connection: &Connection, first: u64, last: u64) -> rusqlite::Result<()> {
    let before: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT first, last FROM hole WHERE first < ?1 ORDER BY first DESC LIMIT 1",
        )?
        .query_row([first as i64], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let behind: Option<i64> = connection
        .prepare_cached("SELECT last FROM hole WHERE first = ?1")?
        .query_row([last as i64 + 1], |row| row.get(0))
        .optional()?;
    let touches = before.filter(|(_, end)| *end as u64 + 1 == first);
    if behind.is_some() {
        connection
            .prepare_cached("DELETE FROM hole WHERE first = ?1")?
            .execute([last as i64 + 1])?;
    }
    let first = touches.map_or(first as i64, |(start, _)| start);
    connection
        .prepare_cached("INSERT OR REPLACE INTO hole(first, last) VALUES(?1, ?2)")?
        .execute((first, behind.unwrap_or(last as i64)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(connection: &Connection) -> Vec<(u64, u64)> {
        Holes::load(connection).expect("read").0
    }

    #[test]
    fn holes_that_touch_become_one() {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch(TABLES).expect("made");
        for (positions, holes) in [
            (vec![5, 6, 9], vec![(5, 6), (9, 9)]),
            (vec![7], vec![(5, 7), (9, 9)]),
            (vec![3, 8], vec![(3, 3), (5, 9)]),
            (vec![4], vec![(3, 9)]),
            (vec![1, 10, 12], vec![(1, 1), (3, 10), (12, 12)]),
        ] {
            add(&connection, &positions).expect("written");
            assert_eq!(all(&connection), holes);
        }
        let holes = Holes::load(&connection).expect("read");
        assert_eq!(
            [1, 2, 3, 10, 11, 12].map(|pos| holes.past(pos)),
            [2, 2, 11, 11, 11, 13]
        );
        assert_eq!(holes.events(), 10);
        for (after, before, any) in [(0, 2, true), (1, 3, false), (2, 4, true), (10, 12, false)] {
            assert_eq!(holes.any_between(after, before), any, "{after} to {before}");
            let asked = any_between(&connection, after, before).expect("read");
            assert_eq!(asked, any, "{after} to {before}");
        }
        let some = Holes::within(&connection, 4, 11).expect("read");
        assert_eq!(some.0, [(3, 10)]);
    }
}
