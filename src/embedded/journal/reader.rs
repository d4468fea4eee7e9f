//! Read-only access to a journal, for the command line: at rest, or next to the daemon that writes it.

use std::path::Path;
use std::sync::Mutex;

use iyagi_actors::invariants::{Audit, Report as AuditReport};
use iyagi_actors::journal::{JournalFault, Snapshot};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::JournalCompacted;
use iyagi_messages::ids::{EventId, Pos};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::exports::{self, Export, Place};
use super::lookup::{By, Covered, Recent, entity_key, id_key};
use super::rows::{COLUMNS, SCHEMA, statement_fault};
use super::trace::{self, Trace};
use super::verify::{self, ExportsReport, Noted, Report};
use super::{OpenError, compacted, damage_of_open, queries, snapshots};
use crate::embedded::sqlite::{DatabaseError, open_read_only};

/// Events that an audit holds at once.
const AUDIT_PAGE: usize = 10_000;

/// A journal that is only read. Every call sees one moment of it.
pub struct JournalReader {
    connection: Connection,
}

/// Which events are wanted; what is left at its default does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What the entity begins with, such as `push/`.
    pub entity_prefix: Option<String>,
    /// One of these kinds.
    pub kinds: Vec<String>,
    /// What the writer begins with, such as `push-sender`.
    pub actor_prefix: Option<String>,
    /// The commit or upload that it all began with.
    pub corr: Option<String>,
    /// Only what is behind this position.
    pub after: Pos,
    /// Only what is ahead of this position.
    pub before: Option<Pos>,
    /// From the newest event backwards.
    pub newest_first: bool,
}

impl JournalReader {
    /// Opens a journal that exists. Nothing is checked beforehand: see [`JournalReader::verify`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = open_read_only(path)?;
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .map_err(|source| DatabaseError::of(path, source))
        };
        let application_id = pragma("application_id").map_err(damage_of_open)?;
        let version = pragma("user_version").map_err(damage_of_open)?;
        let layouts = SCHEMA.migrations.len();
        if application_id != SCHEMA.application_id || usize::try_from(version) != Ok(layouts) {
            return Err(OpenError::Database(DatabaseError::Foreign {
                path: path.to_owned(),
                reason: format!(
                    "application id {application_id:#x}, layout {version}; this build reads {:#x}, layout {layouts}",
                    SCHEMA.application_id
                ),
            }));
        }
        Ok(Self { connection })
    }

    /// Position of the last event.
    pub fn head(&self) -> Result<Pos, JournalFault> {
        queries::head(&self.connection)
    }

    /// What was taken out, if anything was.
    pub fn compacted(&self) -> Result<Option<JournalCompacted>, JournalFault> {
        compacted::read(&self.connection)
    }

    /// The export that holds the event at a position, if its event was taken out.
    pub fn taken_out(&self, pos: Pos) -> Result<Option<Export>, JournalFault> {
        self.in_transaction(|connection| {
            exports::of_taken_out(connection, pos).map_err(|error| statement_fault(0, &error))
        })
    }

    /// Events behind `after`, at most `limit`.
    pub fn read(&self, after: Pos, limit: usize) -> Result<Vec<Event>, JournalFault> {
        queries::read(&self.connection, after, limit)
    }

    /// An entity's events in order.
    pub fn entity(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault> {
        self.at_one_moment(|connection, recent| queries::entity(connection, recent, entity))
    }

    /// The event with an id.
    pub fn event(&self, id: EventId) -> Result<Option<Event>, JournalFault> {
        self.at_one_moment(|connection, recent| queries::event(connection, recent, id))
    }

    /// Events that an event led to directly.
    pub fn caused_by(&self, id: EventId) -> Result<Vec<Event>, JournalFault> {
        self.at_one_moment(|connection, recent| queries::caused_by(connection, recent, id))
    }

    /// All events that began with one commit or upload.
    ///
    /// It reads the whole journal: people ask this seldom, and an index would cost every append.
    pub fn by_corr(&self, corr: &str) -> Result<Vec<Event>, JournalFault> {
        let sql = format!("SELECT {COLUMNS} FROM event WHERE corr = ?1 ORDER BY pos");
        queries::events_of(&self.connection, &sql, [corr], 0)
    }

    /// Events that pass a filter, at most `limit`.
    pub fn find(&self, filter: &Filter, limit: usize) -> Result<Vec<Event>, JournalFault> {
        let mut wanted = vec!["pos > ?".to_owned()];
        let mut values = vec![Value::from(filter.after.0 as i64)];
        if let Some(before) = filter.before {
            wanted.push("pos < ?".to_owned());
            values.push(Value::from(before.0 as i64));
        }
        for (column, prefix) in [
            ("entity", &filter.entity_prefix),
            ("actor", &filter.actor_prefix),
        ] {
            if let Some(prefix) = prefix {
                wanted.push(format!("substr({column}, 1, length(?)) = ?"));
                values.extend([Value::from(prefix.clone()), Value::from(prefix.clone())]);
            }
        }
        if let Some(corr) = &filter.corr {
            wanted.push("corr = ?".to_owned());
            values.push(Value::from(corr.clone()));
        }
        if !filter.kinds.is_empty() {
            let places = vec!["?"; filter.kinds.len()].join(", ");
            wanted.push(format!("kind IN ({places})"));
            values.extend(filter.kinds.iter().cloned().map(Value::from));
        }
        let wanted = wanted.join(" AND ");
        let order = if filter.newest_first { "DESC" } else { "ASC" };
        let sql =
            format!("SELECT {COLUMNS} FROM event WHERE {wanted} ORDER BY pos {order} LIMIT ?");
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        queries::events_of(&self.connection, &sql, params_from_iter(values), 0)
    }

    /// Every snapshot of a name and code version that is whole, the newest first.
    pub fn snapshots(&self, name: &str, code_version: u32) -> Result<Vec<Snapshot>, JournalFault> {
        let kept = snapshots::kept(&self.connection, name, code_version, usize::MAX);
        kept.map_err(|error| statement_fault(0, &error))
    }

    /// Why an event is there, up to the root, and everything it led to. None if there is no such event.
    pub fn trace(&self, id: EventId) -> Result<Option<Trace>, JournalFault> {
        self.at_one_moment(|connection, recent| trace::trace(connection, recent, id))
    }

    /// Checks that everything promised holds of the events.
    pub fn audit(&self) -> Result<AuditReport, JournalFault> {
        let compacted = self.compacted()?;
        let mut audit = compacted.map_or_else(Audit::default, |it| Audit::behind(&it));
        let mut after = Pos::default();
        loop {
            let events = self.read(after, AUDIT_PAGE)?;
            let Some(last) = events.last() else {
                return Ok(audit.finish());
            };
            after = last.pos;
            for event in &events {
                audit.event(event);
            }
        }
    }

    /// Checks everything that can be checked of the file. It reads the whole file more than once.
    pub fn verify(&self) -> Result<Report, JournalFault> {
        self.in_transaction(|connection| {
            verify::verify(connection).map_err(|error| statement_fault(0, &error))
        })
    }

    /// Reads every export back from where they are kept, to the last byte, and checks that what was taken out is in one.
    pub async fn verify_exports(&self, kept: &Place) -> Result<ExportsReport, JournalFault> {
        let noted = self.in_transaction(Noted::load)?;
        Ok(verify::verify_exports(&noted, kept).await)
    }

    fn at_one_moment<T>(
        &self,
        query: impl FnOnce(&Connection, &Mutex<Recent>) -> Result<T, JournalFault>,
    ) -> Result<T, JournalFault> {
        self.in_transaction(|connection| {
            let recent = uncovered(connection).map_err(|error| statement_fault(0, &error))?;
            query(connection, &Mutex::new(recent))
        })
    }

    fn in_transaction<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, JournalFault>,
    ) -> Result<T, JournalFault> {
        let transaction = self
            .connection
            .unchecked_transaction()
            .map_err(|error| statement_fault(0, &error))?;
        query(&transaction)
    }
}

/// What the daemon keeps in memory, read back from the last events.
fn uncovered(connection: &Connection) -> rusqlite::Result<Recent> {
    let covered = Covered::load(connection)?;
    let mut recent = Recent::default();
    let mut statement =
        connection.prepare_cached("SELECT pos, id, entity FROM event WHERE pos > ?1")?;
    let mut rows = statement.query([covered.min() as i64])?;
    while let Some(row) = rows.next()? {
        let pos = row.get::<_, i64>(0)? as u64;
        let keys = [
            (By::Id, id_key(EventId(row.get(1)?))),
            (By::Entity, entity_key(row.get_ref(2)?.as_str()?)),
        ];
        for (by, key) in keys {
            if !covered.holds(key, pos) {
                recent.insert(by, key, pos);
            }
        }
    }
    Ok(recent)
}
