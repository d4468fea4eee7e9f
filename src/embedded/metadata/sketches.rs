//! Which recordings have which value of a sketch, so that those of one sound find each other.

use iyagi_actors::ports::ALIKE_MAX;
use iyagi_messages::media::Sketch;
use rusqlite::Connection;

use super::json;

pub(super) const SCHEMA: &str = "
    CREATE TABLE sketch (
        value INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        PRIMARY KEY (value, sha256)
    ) STRICT, WITHOUT ROWID;
";

/// Notes each value that is not taken by too many others; yields how many are noted.
pub(super) fn index(
    connection: &Connection,
    sha256: &str,
    sketch: &Sketch,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO sketch (value, sha256)
             SELECT own.value, ?2 FROM json_each(?1) AS own
             WHERE (SELECT COUNT(*) FROM sketch WHERE sketch.value = own.value) < ?3",
        )?
        .execute((json(sketch), sha256, ALIKE_MAX as i64))?;
    let indexed: u32 = connection
        .prepare_cached(
            "SELECT COUNT(*) FROM sketch
             WHERE sha256 = ?2 AND value IN (SELECT own.value FROM json_each(?1) AS own)",
        )?
        .query_row((json(sketch), sha256), |row| row.get(0))?;
    Ok(indexed as usize)
}

/// The digests that have any of the values, those with most of them first.
pub(super) fn alike(connection: &Connection, sketch: &Sketch) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT sha256 FROM sketch
             WHERE value IN (SELECT own.value FROM json_each(?1) AS own)
             GROUP BY sha256 ORDER BY COUNT(*) DESC, sha256",
        )?
        .query_map([json(sketch)], |row| row.get(0))?
        .collect()
}

/// Forgets the values of some bytes.
pub(super) fn unindex(
    connection: &Connection,
    sha256: &str,
    sketch: &Sketch,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM sketch
             WHERE sha256 = ?2 AND value IN (SELECT own.value FROM json_each(?1) AS own)",
        )?
        .execute((json(sketch), sha256))?;
    Ok(())
}
