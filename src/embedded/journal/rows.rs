//! How an event lies in its table, and the checksum over its row.

use crc32fast::Hasher;
use iyagi_actors::journal::JournalFault;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, Incarnation, Pos, Seq, Timestamp};
use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Connection, Row, params};

use crate::embedded::sqlite::Schema;

/// The journal's file: the events, what finds them, and snapshots.
///
/// Rows go to the end of `event`, and its two indexes grow at their end too, because causes and correlations are
/// recent. What is random (ids, entities) is kept in the `lookup_` tables, see [`super::lookup`].
pub(super) const SCHEMA: Schema = Schema {
    application_id: 0x6979_6167,
    migrations: &["
        CREATE TABLE event(
            pos INTEGER PRIMARY KEY, id BLOB NOT NULL, entity TEXT NOT NULL, seq INTEGER NOT NULL,
            kind TEXT NOT NULL, v INTEGER NOT NULL, at INTEGER NOT NULL, cause BLOB, cause_pos INTEGER,
            corr TEXT NOT NULL, actor TEXT NOT NULL, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
        CREATE INDEX event_cause ON event(cause_pos) WHERE cause_pos IS NOT NULL;
        CREATE INDEX event_orphan ON event(cause) WHERE cause IS NOT NULL AND cause_pos IS NULL;
        CREATE TABLE lookup_id(key INTEGER, pos INTEGER, PRIMARY KEY(key, pos)) STRICT, WITHOUT ROWID;
        CREATE TABLE lookup_entity(key INTEGER, pos INTEGER, PRIMARY KEY(key, pos)) STRICT, WITHOUT ROWID;
        CREATE TABLE lookup_slice(slice INTEGER PRIMARY KEY, pos INTEGER NOT NULL) STRICT;
        CREATE TABLE snapshot(
            name TEXT NOT NULL, pos INTEGER NOT NULL, code_version INTEGER NOT NULL, body BLOB NOT NULL,
            sum INTEGER NOT NULL, PRIMARY KEY(name, pos, code_version)) STRICT;
    ", super::inbox_rows::TABLES, super::holes::TABLES],
    shrinks: true,
};

/// Every column, in the order that [`Stored::of_row`] reads.
pub(super) const COLUMNS: &str =
    "pos, id, entity, seq, kind, v, at, cause, cause_pos, corr, actor, body, sum";

/// A new event with everything that is known before its turn comes, made by the caller's thread.
pub(super) struct Draft {
    pub(super) event: NewEvent,
    body: String,
    sum: Hasher,
}

impl Draft {
    pub(super) fn new(event: NewEvent, actor: &Incarnation) -> Self {
        let body = event.fact.body();
        let sum = sum_of_content(&Content {
            id: event.id,
            entity: &event.entity.0,
            kind: event.fact.kind(),
            version: event.fact.version(),
            cause: event.cause,
            corr: &event.corr,
            actor: &actor.0,
            body: &body,
        });
        Self { event, body, sum }
    }

    /// An event that already has its place.
    pub(super) fn of(event: Event) -> Self {
        let draft = NewEvent {
            id: event.id,
            entity: event.entity,
            cause: event.cause,
            corr: event.corr,
            fact: event.fact,
        };
        Self::new(draft, &event.actor)
    }

    /// Writes the row and gives the event as it now stands.
    pub(super) fn insert(
        self,
        connection: &Connection,
        place: Place,
        actor: &Incarnation,
    ) -> rusqlite::Result<Event> {
        let Self { event, body, sum } = self;
        connection
            .prepare_cached(
                "INSERT INTO event(pos, id, entity, seq, kind, v, at, cause, cause_pos, corr, actor, body, sum)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                place.pos as i64,
                &event.id.0[..],
                event.entity.0,
                place.seq as i64,
                event.fact.kind(),
                event.fact.version(),
                place.at.0,
                event.cause.as_ref().map(|cause| &cause.0[..]),
                place.cause_pos.map(|pos| pos as i64),
                event.corr,
                actor.0,
                body,
                place.finish(sum),
            ])?;
        Ok(Event {
            pos: Pos(place.pos),
            id: event.id,
            entity: event.entity,
            seq: Seq(place.seq),
            at: place.at,
            cause: event.cause,
            corr: event.corr,
            actor: actor.clone(),
            fact: event.fact,
        })
    }
}

/// What the writer assigns to an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) pos: u64,
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) cause_pos: Option<u64>,
}

impl Place {
    fn finish(&self, mut sum: Hasher) -> u32 {
        sum.update(&self.pos.to_le_bytes());
        sum.update(&self.seq.to_le_bytes());
        sum.update(&self.at.0.to_le_bytes());
        sum.update(&self.cause_pos.unwrap_or(0).to_le_bytes());
        sum.finalize()
    }
}

pub(super) struct Content<'a> {
    pub(super) id: EventId,
    pub(super) entity: &'a str,
    pub(super) kind: &'a str,
    pub(super) version: u16,
    pub(super) cause: Option<EventId>,
    pub(super) corr: &'a str,
    pub(super) actor: &'a str,
    pub(super) body: &'a str,
}

fn sum_of_content(content: &Content<'_>) -> Hasher {
    let mut sum = Hasher::new();
    sum.update(&content.id.0);
    sum.update(&content.version.to_le_bytes());
    match &content.cause {
        Some(cause) => sum.update(&cause.0),
        None => sum.update(&[0]),
    }
    // Lengths keep neighbouring fields apart.
    for text in [
        content.entity,
        content.kind,
        content.corr,
        content.actor,
        content.body,
    ] {
        sum.update(&(text.len() as u64).to_le_bytes());
        sum.update(text.as_bytes());
    }
    sum
}

/// A row whose checksum holds, borrowed from its page.
pub(super) struct Stored<'a> {
    pub(super) content: Content<'a>,
    pub(super) place: Place,
}

/// Why a row is no event.
#[derive(Debug)]
pub(super) enum RowFault {
    /// The row is damaged.
    Damaged(String),
    /// The row is whole, but this build cannot read its body.
    Undecodable(String),
}

impl<'a> Stored<'a> {
    /// Reads a row of [`COLUMNS`] and checks its sum.
    pub(super) fn of_row(row: &'a Row<'_>) -> Result<Self, RowFault> {
        let stored = Self::parse(row)
            .map_err(|error| RowFault::Damaged(format!("a row cannot be read: {error}")))?;
        let sum: u32 = row
            .get(12)
            .map_err(|error| RowFault::Damaged(format!("a checksum cannot be read: {error}")))?;
        if stored.place.finish(sum_of_content(&stored.content)) == sum {
            Ok(stored)
        } else {
            Err(RowFault::Damaged(
                "a row does not match its checksum".to_owned(),
            ))
        }
    }

    fn parse(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let cause = match row.get_ref(7)? {
            ValueRef::Null => None,
            value => Some(id_of(7, value)?),
        };
        let unsigned = |index| row.get::<_, i64>(index).map(|value| value as u64);
        Ok(Self {
            content: Content {
                id: id_of(1, row.get_ref(1)?)?,
                entity: text_of(row, 2)?,
                kind: text_of(row, 4)?,
                version: row.get(5)?,
                cause,
                corr: text_of(row, 9)?,
                actor: text_of(row, 10)?,
                body: text_of(row, 11)?,
            },
            place: Place {
                pos: unsigned(0)?,
                seq: unsigned(3)?,
                at: Timestamp(row.get(6)?),
                cause_pos: row.get::<_, Option<i64>>(8)?.map(|pos| pos as u64),
            },
        })
    }

    pub(super) fn id(&self) -> EventId {
        self.content.id
    }

    pub(super) fn entity(&self) -> &'a str {
        self.content.entity
    }

    pub(super) fn cause(&self) -> Option<EventId> {
        self.content.cause
    }

    /// The event itself, lifted to the current schema.
    pub(super) fn decode(&self) -> Result<Event, RowFault> {
        let Content {
            kind,
            version,
            body,
            ..
        } = self.content;
        let fact = Fact::decode(kind, version, body)
            .map_err(|error| RowFault::Undecodable(error.to_string()))?;
        Ok(Event {
            pos: Pos(self.place.pos),
            id: self.content.id,
            entity: Entity(self.content.entity.to_owned()),
            seq: Seq(self.place.seq),
            at: self.place.at,
            cause: self.content.cause,
            corr: self.content.corr.to_owned(),
            actor: Incarnation(self.content.actor.to_owned()),
            fact,
        })
    }
}

fn text_of<'a>(row: &'a Row<'_>, index: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(index)?
        .as_str()
        .map_err(|error| conversion(index, error))
}

fn id_of(index: usize, value: ValueRef<'_>) -> rusqlite::Result<EventId> {
    let bytes = value.as_blob().map_err(|error| conversion(index, error))?;
    let id = bytes.try_into().map_err(|_| {
        conversion(
            index,
            FromSqlError::InvalidBlobSize {
                expected_size: 16,
                blob_size: bytes.len(),
            },
        )
    })?;
    Ok(EventId(id))
}

fn conversion(index: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, Box::new(error))
}

/// The fault of the row behind `after`.
pub(super) fn fault_behind(after: u64, fault: RowFault) -> JournalFault {
    match fault {
        RowFault::Damaged(reason) => JournalFault::Corrupt {
            after: Pos(after),
            reason,
        },
        RowFault::Undecodable(reason) => {
            JournalFault::Unreadable(format!("position {}: {reason}", after + 1))
        }
    }
}

/// A failed statement, as the fault of what stands behind `after`.
pub(super) fn statement_fault(after: u64, error: &rusqlite::Error) -> JournalFault {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => JournalFault::Corrupt {
            after: Pos(after),
            reason: error.to_string(),
        },
        _ => JournalFault::Unreadable(error.to_string()),
    }
}
