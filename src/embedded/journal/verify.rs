//! The full check of a journal: everything that opening checks, and all that it leaves out for speed.

use std::collections::HashMap;

use iyagi_actors::journal::{JournalFault, Snapshot};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::JournalCompacted;
use iyagi_messages::ids::{EventId, Pos, Seq};
use rusqlite::Connection;
use serde::Serialize;
use thiserror::Error;

use super::exports::{self, Export, Place};
use super::holes::Holes;
use super::lookup::{By, Covered, entity_key, id_key};
use super::rows::{COLUMNS, RowFault, Stored, statement_fault};
use super::{compacted, scan, snapshots};

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
    /// Events that were taken out: they are in exports alone.
    pub taken_out: u64,
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
    /// An event was taken out, and is there all the same.
    #[error("position {pos} was taken out, and is there all the same")]
    LeftOver {
        /// The event.
        pos: Pos,
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
    /// An export is not there, or does not hold what was exported.
    #[error("export {file}: {reason}")]
    Export {
        /// Where it should be, below the folder of exports.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// What is missing is not what was taken out.
    #[error(
        "{events} events are missing, {told} were taken out, and the exports end at position {exported}"
    )]
    TakenOut {
        /// Positions that are marked as taken out.
        events: u64,
        /// Events that were counted when they were taken out.
        told: u64,
        /// The last position that is in an export.
        exported: Pos,
    },
    /// The file itself is damaged.
    #[error("the file is damaged: {reason}")]
    File {
        /// SQLite's own words.
        reason: String,
    },
}

/// What the exports of a journal hold, and what is wrong with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportsReport {
    /// Exports that were read back.
    pub exports: u64,
    /// Events in them.
    pub events: u64,
    /// What is wrong.
    pub damages: Vec<Damage>,
}

/// What a journal says of what was taken out of it.
pub(super) struct Noted {
    exports: Vec<Export>,
    holes: Holes,
    compacted: JournalCompacted,
}

impl Noted {
    /// As of one moment.
    pub(super) fn load(connection: &Connection) -> Result<Self, JournalFault> {
        let failed = |error: rusqlite::Error| statement_fault(0, &error);
        Ok(Self {
            exports: exports::all(connection).map_err(failed)?,
            holes: Holes::load(connection).map_err(failed)?,
            compacted: compacted::read(connection)?.unwrap_or_default(),
        })
    }
}

/// Reads every export back. What was taken out of the journal must be in them.
pub(super) async fn verify_exports(noted: &Noted, kept: &Place) -> ExportsReport {
    let mut report = ExportsReport::default();
    let mut before: Option<&Export> = None;
    for export in &noted.exports {
        let due = before.map_or(1, |before| before.last.0 + 1);
        let mut damaged = |reason: String| {
            let file = export.file.clone();
            report.damages.push(Damage::Export { file, reason });
        };
        if export.first.0 != due {
            damaged(format!("the exports before it end ahead of position {due}"));
        }
        match kept.check(export, before).await {
            Ok(()) => report.events += export.last.0 - export.first.0 + 1,
            Err(fault) => damaged(fault.to_string()),
        }
        report.exports += 1;
        before = Some(export);
    }
    let exported = before.map_or(Pos(0), |export| export.last);
    let (events, told) = (noted.holes.events(), noted.compacted.events);
    if events != told || noted.holes.any_between(exported.0, u64::MAX) {
        report.damages.push(Damage::TakenOut {
            events,
            told,
            exported,
        });
    }
    report
}

/// Checks everything. An error means that the check itself could not start.
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Report> {
    let covered = Covered::load(connection)?;
    let holes = Holes::load(connection)?;
    let mut report = Report {
        taken_out: holes.events(),
        ..Report::default()
    };
    let file = |error: &rusqlite::Error| Damage::File {
        reason: error.to_string(),
    };
    // Each check goes as far as it can: what one cannot read may still be told by another.
    if let Err(error) = check_events(connection, &covered, &holes, &mut report) {
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
    holes: &Holes,
    report: &mut Report,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM event ORDER BY pos"))?;
    let mut rows = statement.query([])?;
    let mut heads: HashMap<i64, (u64, u64)> = HashMap::new();
    let mut lookup = 0_u64;
    while let Some(row) = rows.next()? {
        let pos = row.get::<_, i64>(0)? as u64;
        let due = holes.past(report.head.0 + 1);
        if pos > due {
            report.add(Damage::Gap {
                first: Pos(due),
                last: Pos(pos - 1),
            });
        }
        if pos < due {
            report.add(Damage::LeftOver { pos: Pos(pos) });
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
        let head = heads.entry(entity).or_default();
        check_row(connection, &stored, head, holes, report)?;
    }
    report.entities = heads.len() as u64;
    if covered.max() > report.head.0 {
        report.add(Damage::Gap {
            first: Pos(report.head.0 + 1),
            last: Pos(covered.max()),
        });
    }
    if scan::stored_digest(connection, holes)? != lookup {
        report.add(Damage::Lookup);
    }
    Ok(())
}

fn check_row(
    connection: &Connection,
    stored: &Stored<'_>,
    head: &mut (u64, u64),
    holes: &Holes,
    report: &mut Report,
) -> rusqlite::Result<()> {
    let pos = Pos(stored.place.pos);
    let (seq, before) = *head;
    let (expected, actual) = (Seq(seq + 1), Seq(stored.place.seq));
    *head = (actual.0, pos.0);
    let taken_out = actual > expected && holes.any_between(before, pos.0);
    if actual != expected && !taken_out {
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
        Some(cause_pos) if cause_pos < pos.0 => {
            holes.holds(cause_pos)
                || connection
                    .prepare_cached("SELECT 1 FROM event WHERE pos = ?1 AND id = ?2")?
                    .exists((cause_pos as i64, &cause.0[..]))?
        }
        Some(_) => false,
        // What follows on an event that was taken out before it.
        None => !holes.is_empty(),
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
