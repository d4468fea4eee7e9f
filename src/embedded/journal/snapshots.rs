//! Folded state, kept beside the events. It can always be folded anew, so a damaged one is only passed over.

use crc32fast::Hasher;
use iyagi_actors::journal::Snapshot;
use iyagi_messages::ids::Pos;
use rusqlite::{Connection, params};

/// Snapshots kept per name: the newest, and the one before in case the newest is damaged.
const KEPT_PER_NAME: i64 = 2;

pub(super) fn save(
    connection: &Connection,
    name: &str,
    snapshot: &Snapshot,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO snapshot(name, pos, code_version, body, sum) VALUES(?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            name,
            snapshot.pos.0 as i64,
            snapshot.code_version,
            snapshot.body,
            sum(name, snapshot),
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM snapshot WHERE name = ?1 AND rowid NOT IN
                (SELECT rowid FROM snapshot WHERE name = ?1 ORDER BY pos DESC, rowid DESC LIMIT ?2)",
        )?
        .execute((name, KEPT_PER_NAME))?;
    Ok(())
}

pub(super) fn newest(
    connection: &Connection,
    name: &str,
    code_version: u32,
) -> rusqlite::Result<Option<Snapshot>> {
    Ok(kept(connection, name, code_version, 1)?.pop())
}

/// At most `limit` snapshots of a name and code version that are whole, the newest first.
pub(super) fn kept(
    connection: &Connection,
    name: &str,
    code_version: u32,
    limit: usize,
) -> rusqlite::Result<Vec<Snapshot>> {
    let mut statement = connection.prepare_cached(
        "SELECT pos, code_version, body, sum FROM snapshot WHERE name = ?1 ORDER BY pos DESC, rowid DESC",
    )?;
    let mut rows = statement.query([name])?;
    let mut kept = Vec::new();
    while kept.len() < limit
        && let Some(row) = rows.next()?
    {
        let snapshot = Snapshot {
            pos: Pos(row.get::<_, i64>(0)? as u64),
            code_version: row.get(1)?,
            body: row.get(2)?,
        };
        let pos = snapshot.pos.0;
        if snapshot.code_version != code_version {
            let other = snapshot.code_version;
            tracing::warn!(
                name,
                pos,
                other,
                code_version,
                "snapshot of another code version passed over"
            );
        } else if row.get::<_, u32>(3)? != sum(name, &snapshot) {
            tracing::warn!(name, pos, "damaged snapshot passed over");
        } else {
            kept.push(snapshot);
        }
    }
    Ok(kept)
}

/// The checksum over all of a snapshot's fields.
pub(super) fn sum(name: &str, snapshot: &Snapshot) -> u32 {
    let mut sum = Hasher::new();
    sum.update(name.as_bytes());
    sum.update(&snapshot.pos.0.to_le_bytes());
    sum.update(&snapshot.code_version.to_le_bytes());
    sum.update(&snapshot.body);
    sum.finalize()
}
