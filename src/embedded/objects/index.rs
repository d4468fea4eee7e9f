//! What the store knows of its objects: the rows that decide which file is whose, and the notifications on their way.

use iyagi_actors::ports::{ObjectInfo, ObjectPage, ObjectSummary, PutOptions};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use super::files::Stored;

/// What a write is known by before it has a place in the order.
pub(super) struct Write {
    pub(super) key: ObjectKey,
    pub(super) stored: Stored,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) sha256: String,
    pub(super) options: PutOptions,
}

/// When a change happens and who is told.
pub(super) struct Change {
    pub(super) at: Timestamp,
    pub(super) bucket: String,
    /// False if nobody listens.
    pub(super) notify: bool,
}

/// Makes a write the object's current one; yields the file that it replaces.
pub(super) fn put(
    connection: &Connection,
    write: Write,
    change: &Change,
) -> rusqlite::Result<(ObjectInfo, Option<Stored>)> {
    let sequencer = next_sequencer(connection, change.at)?;
    let replaced = give_up_file(connection, &write.key)?;
    let metadata = serde_json::to_string(&write.options.metadata).expect("text to text is JSON");
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO object
                 (key, write_id, file, size, etag, sha256, sequencer, content_type, cache_control, metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            write.key.as_str(),
            &write.stored.write_id,
            &write.stored.file,
            i64::try_from(write.size).expect("no disk holds that many"),
            &write.etag,
            &write.sha256,
            &sequencer.0,
            &write.options.content_type,
            &write.options.cache_control,
            metadata,
        ))?;
    let info = ObjectInfo {
        key: write.key,
        size: write.size,
        etag: write.etag,
        sha256: Some(write.sha256),
        version_id: None,
        sequencer: Some(sequencer),
        options: write.options,
    };
    notify(connection, change, &created(&info, change))?;
    Ok((info, replaced))
}

fn created(info: &ObjectInfo, change: &Change) -> ObjectEvent {
    ObjectEvent {
        kind: ObjectEventKind::Created,
        bucket: change.bucket.clone(),
        key: info.key.clone(),
        size: Some(info.size),
        etag: Some(info.etag.clone()),
        version_id: None,
        sequencer: info.sequencer.clone().expect("every write here has one"),
    }
}

/// Removes an object; yields its file.
pub(super) fn delete(
    connection: &Connection,
    key: &ObjectKey,
    change: &Change,
) -> rusqlite::Result<Option<Stored>> {
    let Some(stored) = give_up_file(connection, key)? else {
        return Ok(None);
    };
    connection
        .prepare_cached("DELETE FROM object WHERE key = ?1")?
        .execute([key.as_str()])?;
    let event = ObjectEvent {
        kind: ObjectEventKind::Removed,
        bucket: change.bucket.clone(),
        key: key.clone(),
        size: None,
        etag: None,
        version_id: None,
        sequencer: next_sequencer(connection, change.at)?,
    };
    notify(connection, change, &event)?;
    Ok(Some(stored))
}

/// Remembers that the object's current file is to be deleted.
fn give_up_file(connection: &Connection, key: &ObjectKey) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached(
            "INSERT INTO garbage (write_id, file) SELECT write_id, file FROM object WHERE key = ?1
             RETURNING write_id, file",
        )?
        .query_row([key.as_str()], stored)
        .optional()
}

/// As S3's look: 18 hexadecimal digits that begin with the second. Strictly growing, whatever the clock does.
fn next_sequencer(connection: &Connection, at: Timestamp) -> rusqlite::Result<Sequencer> {
    let ms = u64::try_from(at.0).unwrap_or(0);
    let by_time = ((ms / 1000) << 32) | (((ms % 1000) << 32) / 1000);
    let last: Option<String> = connection
        .prepare_cached("SELECT last FROM sequence")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let last = last.and_then(|last| u64::from_str_radix(&last, 16).ok());
    let next = last.map_or(by_time, |last| by_time.max(last + 1));
    let next = format!("{next:018X}");
    connection
        .prepare_cached("INSERT OR REPLACE INTO sequence (one, last) VALUES (1, ?1)")?
        .execute([&next])?;
    Ok(Sequencer(next))
}

/// Keeps the notification of a change with the change itself, so that neither is there without the other.
/// False if nobody is to be told.
fn notify(connection: &Connection, change: &Change, event: &ObjectEvent) -> rusqlite::Result<bool> {
    if !change.notify || event.key.as_str().starts_with(DERIVED_PREFIX) {
        return Ok(false);
    }
    let at = jiff::Timestamp::from_millisecond(change.at.0).unwrap_or_default();
    let at = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    connection
        .prepare_cached("INSERT INTO event (body) VALUES (?1)")?
        .execute([event.to_notification(&at).to_string()])?;
    Ok(true)
}

/// Raises the notification of the current write of some objects behind `after` once more; yields how many were raised, and
/// the last of the objects.
pub(super) fn announce_some(
    connection: &Connection,
    after: &str,
    limit: usize,
    change: &Change,
) -> rusqlite::Result<(u64, Option<String>)> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM object WHERE key > ?1 ORDER BY key LIMIT ?2")?;
    let limit = i64::try_from(limit).expect("a batch is small");
    let (mut count, mut last) = (0, None);
    for object in statement.query_map((after, limit), info)? {
        let event = created(&object?, change);
        count += u64::from(notify(connection, change, &event)?);
        last = Some(event.key.as_str().to_owned());
    }
    Ok((count, last))
}

/// Notifications behind `after` that the queue may not have yet, oldest first.
pub(super) fn unsent(
    connection: &Connection,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let limit = i64::try_from(limit).expect("a batch is small");
    let mut statement = connection
        .prepare_cached("SELECT id, body FROM event WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map((after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Forgets the notifications up to `id`.
pub(super) fn forget_sent(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM event WHERE id <= ?1")?
        .execute([id])?;
    Ok(())
}

/// Files that no object owns any more.
pub(super) fn garbage(connection: &Connection) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached("SELECT write_id, file FROM garbage")?;
    let rows = statement.query_map([], stored)?;
    rows.collect()
}

/// Forgets a file that is deleted.
pub(super) fn forget_garbage(connection: &Connection, write_id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM garbage WHERE write_id = ?1")?
        .execute([write_id])?;
    Ok(())
}

/// The file of a write that is some object's current one.
pub(super) fn of_write(
    connection: &Connection,
    write_id: &str,
) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached("SELECT write_id, file FROM object WHERE write_id = ?1")?
        .query_row([write_id], stored)
        .optional()
}

/// An object's facts and file.
pub(super) fn find(
    connection: &Connection,
    key: &ObjectKey,
) -> rusqlite::Result<Option<(ObjectInfo, Stored)>> {
    connection
        .prepare_cached("SELECT * FROM object WHERE key = ?1")?
        .query_row([key.as_str()], |row| Ok((info(row)?, stored(row)?)))
        .optional()
}

/// Objects under a prefix, in order of their keys' bytes.
pub(super) fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&ObjectKey>,
    limit: usize,
) -> rusqlite::Result<ObjectPage> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM object WHERE key >= ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key",
    )?;
    // Seek to whichever is further on, or a deep page would walk over all before it.
    let from = after.map_or(prefix, |after| after.as_str().max(prefix));
    let mut rows = statement.query((from, after.map(ObjectKey::as_str)))?;
    let mut objects: Vec<ObjectSummary> = Vec::new();
    while let Some(row) = rows.next()? {
        let object = info(row)?;
        // Keys of one prefix stand together, so the first other one ends them; `LIKE` would take `%` for a wildcard.
        if !object.key.as_str().starts_with(prefix) {
            break;
        }
        if objects.len() == limit {
            let next = objects.last().map(|object| object.key.clone());
            return Ok(ObjectPage { objects, next });
        }
        objects.push(ObjectSummary {
            key: object.key,
            size: object.size,
            etag: object.etag,
        });
    }
    let next = None;
    Ok(ObjectPage { objects, next })
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        write_id: row.get("write_id")?,
        file: row.get("file")?,
    })
}

fn info(row: &Row<'_>) -> rusqlite::Result<ObjectInfo> {
    let key: String = row.get("key")?;
    let metadata: String = row.get("metadata")?;
    Ok(ObjectInfo {
        key: ObjectKey::new(key).map_err(corrupt)?,
        size: row.get("size").map(i64::unsigned_abs)?,
        etag: row.get("etag")?,
        sha256: row.get("sha256")?,
        version_id: None,
        sequencer: Some(Sequencer(row.get("sequencer")?)),
        options: PutOptions {
            content_type: row.get("content_type")?,
            cache_control: row.get("cache_control")?,
            metadata: serde_json::from_str(&metadata).map_err(corrupt)?,
        },
    })
}

fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}
