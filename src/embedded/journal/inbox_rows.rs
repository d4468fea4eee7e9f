//! How an entry of an inbox lies in its table.

use iyagi_actors::inbox::{Content, Entry, ReadMark};
use iyagi_messages::ids::{PersonId, Pos, PushId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// The layout's second version.
pub(super) const TABLES: &str = "
    CREATE TABLE inbox_entry(
        person TEXT, pos INTEGER, id BLOB NOT NULL, changed INTEGER NOT NULL, at INTEGER NOT NULL,
        count INTEGER NOT NULL, read_pos INTEGER, read_at INTEGER, content TEXT NOT NULL,
        PRIMARY KEY(person, pos)) STRICT, WITHOUT ROWID;
    CREATE TABLE inbox_person(person TEXT PRIMARY KEY, entries INTEGER NOT NULL, seq INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
    CREATE TABLE inbox_fold(pos INTEGER NOT NULL, code_version INTEGER NOT NULL) STRICT;
    INSERT INTO inbox_fold VALUES(0, 0);
";

/// Every column, in the order that [`entry_of`] reads.
pub(super) const ENTRY: &str = "id, pos, changed, read_pos, read_at, content";

pub(super) fn find(
    connection: &Connection,
    person: &PersonId,
    id: PushId,
    after: u64,
) -> rusqlite::Result<Option<Entry>> {
    let sql = format!(
        "SELECT {ENTRY} FROM inbox_entry WHERE person = ?1 AND pos > ?2 AND id = ?3 ORDER BY pos DESC LIMIT 1"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(
            (person.as_str(), after as i64, &id.0.as_bytes()[..]),
            entry_of,
        )
        .optional()
}

pub(super) fn insert(
    connection: &Connection,
    person: &PersonId,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let at = entry.content.noted.last().map_or(0, |newest| newest.at.0);
    let content =
        serde_json::to_string(&entry.content).expect("content has only text keys, so it is JSON");
    connection
        .prepare_cached(
            "INSERT INTO inbox_entry(person, pos, id, changed, at, count, read_pos, read_at, content)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            person.as_str(),
            entry.pos.0 as i64,
            &entry.id.0.as_bytes()[..],
            entry.changed.0 as i64,
            at,
            entry.count(),
            entry.read.map(|read| read.pos.0 as i64),
            entry.read.map(|read| read.at.0),
            content,
        ])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, person: &PersonId, pos: Pos) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM inbox_entry WHERE person = ?1 AND pos = ?2")?
        .execute((person.as_str(), pos.0 as i64))?;
    Ok(())
}

/// What a person has not read.
pub(super) fn count_unread(connection: &Connection, person: &PersonId) -> rusqlite::Result<u64> {
    let sql =
        "SELECT count(*) FROM inbox_entry WHERE person = ?1 AND count > 0 AND read_pos IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([person.as_str()], |row| Ok(row.get::<_, i64>(0)? as u64))
}

pub(super) fn entry_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let content: Content = serde_json::from_str(row.get_ref(5)?.as_str()?)
        .map_err(|error| unreadable(format!("an entry's content cannot be read: {error}")))?;
    let pos = |index| row.get::<_, i64>(index).map(|pos| Pos(pos as u64));
    let read_pos: Option<i64> = row.get(3)?;
    let read_at: Option<i64> = row.get(4)?;
    let read = read_pos.zip(read_at).map(|(pos, at)| ReadMark {
        pos: Pos(pos as u64),
        at: Timestamp(at),
    });
    Ok(Entry {
        id: id_of(row, 0)?,
        pos: pos(1)?,
        changed: pos(2)?,
        read,
        content,
    })
}

pub(super) fn id_of(row: &Row<'_>, index: usize) -> rusqlite::Result<PushId> {
    let bytes = row.get_ref(index)?.as_blob()?;
    let id = Uuid::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(PushId(id))
}

pub(super) fn unreadable(reason: String) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(reason.into())
}
