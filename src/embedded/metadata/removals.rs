//! How long it is remembered that an object is gone, so that a late notification does not bring it back.

use std::time::Duration;

use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;
use rusqlite::Connection;

/// A row that is stored anew has no time to be forgotten at; one from before there were any counts from now.
pub(super) const SCHEMA: &str = "
    ALTER TABLE entry ADD COLUMN forget_at INTEGER;
    UPDATE entry SET forget_at = (unixepoch() + 30 * 86400) * 1000
        WHERE item IS NULL AND thumbnails IS NULL;
    CREATE INDEX entry_forgotten ON entry (forget_at) WHERE forget_at IS NOT NULL;
";

/// As long as the table on DynamoDB remembers it: a notification cannot wait as long in its queue and then among the dead
/// letters.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);
/// Removals that one change forgets: more than it can add.
const FORGOTTEN_AT_ONCE: i64 = 100;

/// Sets when a removal is forgotten.
pub(super) fn remember(
    connection: &Connection,
    key: &ObjectKey,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let forget_at = now.plus_ms(u64::try_from(REMEMBERED.as_millis()).expect("thirty days"));
    connection
        .prepare_cached("UPDATE entry SET forget_at = ?2 WHERE key = ?1")?
        .execute((key.as_str(), forget_at.0))?;
    Ok(())
}

/// Forgets some of the removals that are old enough.
pub(super) fn forget_some(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM entry WHERE key IN
                 (SELECT key FROM entry WHERE forget_at <= ?1 LIMIT ?2)",
        )?
        .execute((now.0, FORGOTTEN_AT_ONCE))?;
    Ok(())
}
