//! How a file is opened, and what it must be: settings of a connection, and the layout of its tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::DatabaseError;

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

/// Opens a file for its writer, and brings it to this build's layout. `tune` sets what that connection alone needs.
pub(super) fn open_to_write(
    path: &Path,
    schema: &Schema,
    tune: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, DatabaseError> {
    let mut connection = Connection::open(path).map_err(|error| open_error(path, &error))?;
    let shrinks = if schema.shrinks {
        allow_shrinking(&connection)
    } else {
        Ok(())
    };
    shrinks
        .and_then(|()| configure(&connection))
        .and_then(|()| tune(&connection))
        .map_err(|error| open_error(path, &error))?;
    migrate(&mut connection, path, schema)?;
    Ok(connection)
}

/// Opens a file for reading only, next to a writer that may be live.
pub fn open_read_only(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| open_error(path, &error))?;
    let configured = connection
        .busy_timeout(BUSY_TIMEOUT)
        .and_then(|()| keep_prepared(&connection));
    configured.map_err(|error| open_error(path, &error))?;
    Ok(connection)
}

/// Refuses a file that has not exactly this build's layout.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    schema: &Schema,
) -> Result<(), DatabaseError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let statement = |source| DatabaseError::Statement {
        path: path.to_owned(),
        source,
    };
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

fn open_error(path: &Path, error: &rusqlite::Error) -> DatabaseError {
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
    let statement = |source| DatabaseError::Statement {
        path: path.to_owned(),
        source,
    };
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
