//! The full check of a journal: everything that opening checks, and all that it leaves out for speed.

use std::collections::HashMap;

use iyagi_actors::journal::Snapshot;
use iyagi_messages::event::Entity;
use iyagi_messages::ids::{EventId, Pos, Seq};
use rusqlite::Connection;
use serde::Serialize;
use thiserror::Error;

use super::lookup::{By, Covered, entity_key, id_key};
use super::rows::{COLUMNS, RowFault, Stored};
use super::{scan, snapshots};

/// Damages that are listed; more say nothing new.
pub const DAMAGES_MAX: usize = 1_000;
/// Lines of SQLite's own report that are listed.
const INTEGRITY_LINES_MAX: u32 = 20;

/// What a journal holds, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Position of the last event.
    pub head: Pos,
    /// Events read.
    pub events: u64,
    /// Entities seen.
    pub entities: u64,
    /// Snapshots read.
    pub snapshots: u64,
    /// What is wrong, at most [`DAMAGES_MAX`] of it.
    pub damages: Vec<Damage>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn sound(&self) -> bool {
        self.damages.is_empty()
    }

    fn add(&mut self, damage: Damage) {
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(damage);
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, Error, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "damage")]
pub enum Damage {
    /// A row does not hold what was written.
    #[error("position {pos}: {reason}")]
    Row {
        /// The row.
        pos: Pos,
        /// What is wrong.
        reason: String,
    },
    /// Events are missing.
    #[error("positions {first} to {last} are missing")]
    Gap {
        /// The first that is missing.
        first: Pos,
        /// The last that is missing.
        last: Pos,
    },
    /// An entity's events are not numbered one by one.
    #[error("position {pos}: {entity} goes on with {actual} where {expected} is due")]
    Sequence {
        /// The event.
        pos: Pos,
        /// Its entity.
        entity: Entity,
        /// The number that is due.
        expected: Seq,
        /// The number it has.
        actual: Seq,
    },
    /// An event names a cause that is not there, or not before it.
    #[error("position {pos}: its cause {cause} is not in the journal before it")]
    Cause {
        /// The event.
        pos: Pos,
        /// The cause it names.
        cause: EventId,
    },
    /// An event was written twice.
    #[error("event {id} is there {times} times")]
    Duplicate {
        /// The event.
        id: EventId,
        /// How often.
        times: u64,
    },
    /// A snapshot does not hold what was written.
    #[error("the snapshot of {name} at position {pos} does not match its checksum")]
    Snapshot {
        /// Whose state it is.
        name: String,
        /// As of which event.
        pos: Pos,
    },
    /// The tables that find events by id and entity say something else than the events.
    #[error("the tables that find events by id and entity do not match the events")]
    Lookup,
    /// The file itself is damaged.
    #[error("the file is damaged: {reason}")]
    File {
        /// SQLite's own words.
        reason: String,
    },
}

/// Checks everything. An error means that the check itself could not start.
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Report> {
    let covered = Covered::load(connection)?;
    let mut report = Report::default();
    let file = |error: &rusqlite::Error| Damage::File {
        reason: error.to_string(),
    };
    // Each check goes as far as it can: what one cannot read may still be told by another.
    if let Err(error) = check_events(connection, &covered, &mut report) {
        report.add(file(&error));
    }
    if let Err(error) = check_duplicates(connection, &mut report) {
        report.add(file(&error));
    }
    if let Err(error) = check_snapshots(connection, &mut report) {
        report.add(file(&error));
    }
    if let Err(error) = check_file(connection, &mut report) {
        report.add(file(&error));
    }
    Ok(report)
}

fn check_events(
    connection: &Connection,
    covered: &Covered,
    report: &mut Report,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM event ORDER BY pos"))?;
    let mut rows = statement.query([])?;
    let mut heads: HashMap<i64, u64> = HashMap::new();
    let mut lookup = 0_u64;
    while let Some(row) = rows.next()? {
        let pos = row.get::<_, i64>(0)? as u64;
        if pos > report.head.0 + 1 {
            report.add(Damage::Gap {
                first: Pos(report.head.0 + 1),
                last: Pos(pos - 1),
            });
        }
        report.head = Pos(pos);
        report.events += 1;
        let stored = match Stored::of_row(row) {
            Ok(stored) => stored,
            Err(RowFault::Damaged(reason) | RowFault::Undecodable(reason)) => {
                report.add(Damage::Row {
                    pos: Pos(pos),
                    reason,
                });
                continue;
            }
        };
        let entity = entity_key(stored.entity());
        for (by, key) in [(By::Id, id_key(stored.id())), (By::Entity, entity)] {
            if covered.holds(key, pos) {
                lookup = lookup.wrapping_add(scan::entry_digest(by, key, pos));
            }
        }
        check_row(
            connection,
            &stored,
            heads.entry(entity).or_default(),
            report,
        )?;
    }
    report.entities = heads.len() as u64;
    if covered.max() > report.head.0 {
        report.add(Damage::Gap {
            first: Pos(report.head.0 + 1),
            last: Pos(covered.max()),
        });
    }
    if scan::stored_digest(connection)? != lookup {
        report.add(Damage::Lookup);
    }
    Ok(())
}

fn check_row(
    connection: &Connection,
    stored: &Stored<'_>,
    head: &mut u64,
    report: &mut Report,
) -> rusqlite::Result<()> {
    let pos = Pos(stored.place.pos);
    let (expected, actual) = (Seq(*head + 1), Seq(stored.place.seq));
    *head = actual.0;
    if actual != expected {
        let entity = Entity(stored.entity().to_owned());
        report.add(Damage::Sequence {
            pos,
            entity,
            expected,
            actual,
        });
    }
    if let Err(RowFault::Damaged(reason) | RowFault::Undecodable(reason)) = stored.decode() {
        report.add(Damage::Row { pos, reason });
    }
    let Some(cause) = stored.cause() else {
        return Ok(());
    };
    let found = match stored.place.cause_pos {
        Some(cause_pos) if cause_pos < pos.0 => connection
            .prepare_cached("SELECT 1 FROM event WHERE pos = ?1 AND id = ?2")?
            .exists((cause_pos as i64, &cause.0[..]))?,
        _ => false,
    };
    if !found {
        report.add(Damage::Cause { pos, cause });
    }
    Ok(())
}

fn check_duplicates(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("SELECT id, count(*) FROM event GROUP BY id HAVING count(*) > 1")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let times = row.get::<_, i64>(1)? as u64;
        report.add(Damage::Duplicate {
            id: EventId(row.get(0)?),
            times,
        });
    }
    Ok(())
}

fn check_snapshots(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("SELECT name, pos, code_version, body, sum FROM snapshot")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.snapshots += 1;
        let name: String = row.get(0)?;
        let snapshot = Snapshot {
            pos: Pos(row.get::<_, i64>(1)? as u64),
            code_version: row.get(2)?,
            body: row.get(3)?,
        };
        if row.get::<_, u32>(4)? != snapshots::sum(&name, &snapshot) {
            report.add(Damage::Snapshot {
                name,
                pos: snapshot.pos,
            });
        }
    }
    Ok(())
}

/// SQLite's own check of every page, and of each index against its table.
fn check_file(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare(&format!("PRAGMA integrity_check({INTEGRITY_LINES_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.add(Damage::File { reason: line });
        }
    }
    Ok(())
}
