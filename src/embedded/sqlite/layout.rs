//! How a file is opened, and what it must be: settings of a connection, and the layout of its tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::DatabaseError;
use super::damage::is_damage;

/// What a file is, and how it is laid out.
pub struct Schema {
    /// SQLite's `application_id`, so that one store is never taken for another.
    pub application_id: i32,
    /// One step per layout version; a file at version N has had the first N.
    pub migrations: &'static [&'static str],
    /// Whether pages that are no longer used can be given back to the file system. It costs a page for each thousand, and is
    /// decided when the file is made.
    pub shrinks: bool,
}

/// How long another process (the command line on a live journal) may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the write-ahead log that stay on the disk when it was larger once: more than a checkpoint lets it become.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// When a file is written anew to give the disk back what it no longer needs.
#[derive(Debug, Clone, Copy)]
struct Slack {
    /// Bytes of free pages below which it is not worth it.
    free_min: i64,
    /// Bytes of all others above which it would hold up the start for too long.
    live_max: i64,
}

const SLACK: Slack = Slack {
    free_min: 64 * 1024 * 1024,
    live_max: 1024 * 1024 * 1024,
};

/// Opens a file for its writer, and brings it to this build's layout. `tune` sets what that connection alone needs.
pub(super) fn open_to_write(
    path: &Path,
    schema: &Schema,
    tune: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, DatabaseError> {
    let mut connection = Connection::open(path).map_err(|error| open_error(path, error))?;
    let shrinks = if schema.shrinks {
        allow_shrinking(&connection)
    } else {
        Ok(())
    };
    shrinks
        .and_then(|()| configure(&connection))
        .and_then(|()| tune(&connection))
        .map_err(|error| open_error(path, error))?;
    migrate(&mut connection, path, schema)?;
    match shrink(&connection, SLACK) {
        Ok(0) => {}
        Ok(bytes) => tracing::info!(file = %path.display(), bytes, "a file was made smaller"),
        // Somebody reads it, or there is no room for the copy: it stays as it is, and its free pages are used again.
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "a file stays larger than it need be");
        }
    }
    Ok(connection)
}

/// Writes a file anew that is mostly free pages, and yields how many bytes that were. A file uses free pages again, but
/// does not become smaller by itself.
fn shrink(connection: &Connection, slack: Slack) -> rusqlite::Result<i64> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let page_bytes = read("page_size")?;
    let free = read("freelist_count")? * page_bytes;
    let live = read("page_count")? * page_bytes - free;
    if free < slack.free_min.max(live) || live > slack.live_max {
        return Ok(0);
    }
    connection.execute_batch("VACUUM")?;
    Ok(free)
}

/// Opens a file for reading only, next to a writer that may be live.
pub fn open_read_only(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| open_error(path, error))?;
    let configured = connection
        .busy_timeout(BUSY_TIMEOUT)
        .and_then(|()| keep_prepared(&connection));
    configured.map_err(|error| open_error(path, error))?;
    Ok(connection)
}

/// Refuses a file that has not exactly this build's layout.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    schema: &Schema,
) -> Result<(), DatabaseError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let statement = |source| DatabaseError::of(path, source);
    let application_id = read("application_id").map_err(statement)?;
    let version = read("user_version").map_err(statement)?;
    let layouts = schema.migrations.len();
    if application_id == schema.application_id && usize::try_from(version) == Ok(layouts) {
        return Ok(());
    }
    Err(DatabaseError::Foreign {
        path: path.to_owned(),
        reason: format!(
            "application id {application_id:#x}, layout {version}; this build reads {:#x}, layout {layouts}",
            schema.application_id
        ),
    })
}

fn open_error(path: &Path, error: rusqlite::Error) -> DatabaseError {
    if is_damage(&error) {
        return DatabaseError::of(path, error);
    }
    DatabaseError::Open {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// It must come before the first page is written, which the log's mode does; in a file that has pages it changes nothing.
fn allow_shrinking(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    keep_prepared(connection)
}

/// Lets statements be prepared once. This SQLite is built to plan by the values in hand, and would otherwise prepare a
/// statement with a range anew for each of them, which costs more than running it.
fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    let same_plan_for_all_values = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    connection.set_db_config(same_plan_for_all_values, true)?;
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), DatabaseError> {
    let statement = |source| DatabaseError::of(path, source);
    let foreign = |reason: String| DatabaseError::Foreign {
        path: path.to_owned(),
        reason,
    };
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application_id = read("application_id").map_err(statement)?;
    let version = read("user_version").map_err(statement)?;
    if version > 0 && application_id != schema.application_id {
        return Err(foreign(format!(
            "its application id is {application_id:#x}, not {:#x}",
            schema.application_id
        )));
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = schema.migrations.get(done..) else {
        return Err(foreign(format!(
            "its layout is version {version}, this build knows {}: use a newer build",
            schema.migrations.len()
        )));
    };
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(statement)?;
    for migration in missing {
        transaction.execute_batch(migration).map_err(statement)?;
    }
    let version = i64::try_from(schema.migrations.len()).expect("a file has few layout versions");
    transaction
        .pragma_update(None, "application_id", schema.application_id)
        .map_err(statement)?;
    transaction
        .pragma_update(None, "user_version", version)
        .map_err(statement)?;
    transaction.commit().map_err(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_mostly_free_is_written_anew_and_any_other_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.db");
        let schema = Schema {
            application_id: 1,
            migrations: &["CREATE TABLE one (number INTEGER PRIMARY KEY, text TEXT) STRICT;"],
            shrinks: false,
        };
        let connection = open_to_write(&path, &schema, |_| Ok(())).expect("opens");
        let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 1000)
             INSERT INTO one SELECT n, hex(zeroblob(1000)) FROM n";
        connection.execute_batch(fill).expect("fills");
        let any = Slack {
            free_min: 4096,
            live_max: i64::MAX,
        };
        let shrink = |slack| shrink(&connection, slack).expect("runs");
        let forget = |before: i64| {
            let forgotten = connection.execute("DELETE FROM one WHERE number < ?1", [before]);
            forgotten.expect("deletes");
        };
        forget(400);
        assert_eq!(shrink(any), 0, "more of it is used than free");
        forget(900);
        let most = |live_max| Slack { live_max, ..any };
        assert_eq!(shrink(most(1)), 0, "what is used takes too long to write");
        let bytes = || std::fs::metadata(&path).expect("there").len();
        connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("runs");
        let before = bytes();
        assert!(shrink(any) > 1_000_000);
        connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("runs");
        assert!(bytes() < before / 4, "{} of {before}", bytes());
        let left = connection.query_row("SELECT count(*) FROM one", [], |row| row.get::<_, i64>(0));
        assert_eq!(left.expect("reads"), 101);
    }
}
