//! What the log forgets. The graph itself forgets nothing.

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::EmbeddedGraph;
use super::log::{Tip, signed, tip_of_row};
use crate::embedded::sqlite::DatabaseError;

/// Commits that one write looks at.
const COMMITS_MAX: u32 = 1_000;
/// Records after which a write ends with the commit that reaches them, so that others' commits need not wait long.
const RECORDS_MAX: u64 = 10_000;

/// What may be forgotten: commits that end at or ahead of an operation and were made before a moment, up to the first that
/// is neither.
#[derive(Debug, Clone, Copy)]
struct Spent {
    through: Cursor,
    before: Timestamp,
}

impl EmbeddedGraph {
    /// When the oldest commit was made that the log keeps; nothing if it keeps none.
    pub async fn kept_since(&self) -> Result<Option<Timestamp>, DatabaseError> {
        self.database.read(kept_since).await
    }

    /// Trims commits that were made before a moment from the log, and none that goes on behind the last operation that
    /// everybody is done with. Returns how many were trimmed.
    pub async fn expire(&self, before: Timestamp, done: Cursor) -> Result<u64, DatabaseError> {
        let through = done;
        self.forget(Spent { through, before }).await
    }

    /// Trims commits older than `commit` from the log, whatever their age. Returns how many were trimmed.
    pub async fn trim_before(&self, commit: u64) -> Result<u64, DatabaseError> {
        let before = Timestamp(i64::MAX);
        // No commit ends with its operation 0.
        let through = Cursor::new(commit, 0);
        self.forget(Spent { through, before }).await
    }

    async fn forget(&self, spent: Spent) -> Result<u64, DatabaseError> {
        let mut total = 0;
        loop {
            let forget = move |connection: &Connection| Ok(forget_some(connection, spent)?);
            let forgotten: u64 = self.database.write(forget).await?;
            if forgotten == 0 {
                return Ok(total);
            }
            total += forgotten;
        }
    }
}

fn kept_since(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT at FROM commits ORDER BY number LIMIT 1")?
        .query_row([], |row| row.get(0).map(Timestamp))
        .optional()
}

/// Trims the oldest of what is spent. Returns how many commits were.
fn forget_some(connection: &Connection, spent: Spent) -> rusqlite::Result<u64> {
    let Some((commits, Tip { last, seq })) = oldest(connection, spent)? else {
        return Ok(0);
    };
    connection
        .prepare_cached("DELETE FROM log WHERE seq <= ?1")?
        .execute([seq])?;
    connection
        .prepare_cached("DELETE FROM commits WHERE number <= ?1")?
        .execute([signed(last.commit)])?;
    connection
        .prepare_cached("UPDATE purged SET number = ?1, op = ?2, seq = ?3")?
        .execute([signed(last.commit), signed(last.op), seq])?;
    Ok(commits)
}

/// How many of the oldest commits are spent and fit into one write, and where the last of them ends.
fn oldest(connection: &Connection, spent: Spent) -> rusqlite::Result<Option<(u64, Tip)>> {
    let (mut commits, mut records) = (0, 0);
    let mut end = None;
    let mut oldest_first = connection.prepare_cached(
        "SELECT number, records, first + records - 1, at FROM commits
         WHERE (number, records) <= (?1, ?2) ORDER BY number LIMIT ?3",
    )?;
    let Cursor { commit, op } = spent.through;
    let mut rows = oldest_first.query(params![signed(commit), signed(op), COMMITS_MAX])?;
    while records < RECORDS_MAX
        && let Some(row) = rows.next()?
        && row.get::<_, i64>(3)? < spent.before.0
    {
        let commit = tip_of_row(row)?;
        commits += 1;
        records += commit.last.op;
        end = Some((commits, commit));
    }
    Ok(end)
}
