//! Opening checks every row: a journal that lost or changed one event is not one to decide upon.

use std::path::Path;
use std::thread;

use iyagi_actors::journal::JournalFault;
use iyagi_messages::ids::Pos;
use rusqlite::Connection;

use super::holes::Holes;
use super::lookup::{By, Covered, Filter, Recent, digest, entity_key, id_key};
use super::queries::missing;
use super::rows::{COLUMNS, Stored, fault_behind, statement_fault};
use super::writer::head;
use crate::embedded::sqlite::{DatabaseError, open_read_only};

/// Below this many events a second thread costs more than it saves.
const EVENTS_PER_THREAD_MIN: u64 = 20_000;
/// Threads that read the events; the tables that find them are read by one more.
const THREADS_MAX: u64 = 2;

/// What a sound journal holds.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) head: u64,
    pub(super) covered: Covered,
    /// Entries that no table holds yet.
    pub(super) recent: Recent,
    /// Every id and entity that is there.
    pub(super) filter: Filter,
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub(super) enum ScanFault {
    Database(DatabaseError),
    Journal(JournalFault),
}

impl From<DatabaseError> for ScanFault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<JournalFault> for ScanFault {
    fn from(fault: JournalFault) -> Self {
        Self::Journal(fault)
    }
}

/// Reads the whole file: every row's checksum, that no position is missing but of what was taken out, and that the lookup
/// tables say what the rows say.
pub(super) fn scan(path: &Path) -> Result<Sound, ScanFault> {
    let connection = open_read_only(path)?;
    let covered = Covered::load(&connection).map_err(|error| statement_fault(0, &error))?;
    let holes = Holes::load(&connection).map_err(|error| statement_fault(0, &error))?;
    let known = Known {
        covered: &covered,
        holes: &holes,
    };
    // A damaged tree may hide its end. Reading from the front then names the place.
    let head = match head(&connection) {
        Ok(head) => head,
        Err(error) => {
            scan_range(path, known, (1, u64::MAX), Filter::for_journal_of(0))?;
            return Err(statement_fault(0, &error).into());
        }
    };
    let threads = (head / EVENTS_PER_THREAD_MIN).clamp(1, THREADS_MAX);
    let share = head.div_ceil(threads).max(1);
    let (parts, stored) = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let (first, last) = (part * share + 1, ((part + 1) * share).min(head));
                let filter = Filter::for_journal_of(head);
                scope.spawn(move || scan_range(path, known, (first, last), filter))
            })
            .collect();
        let stored = stored_digest(&connection, &holes);
        let parts: Vec<_> = parts
            .into_iter()
            .map(|part| part.join().expect("reading rows does not panic"))
            .collect();
        (parts, stored)
    });
    let mut recent = Recent::default();
    let mut filter = Filter::for_journal_of(head);
    let mut expected = 0_u64;
    // In order of position, so that the first damage is the one that is named.
    for part in parts {
        let part = part?;
        recent.merge(part.recent);
        filter.merge(&part.filter);
        expected = expected.wrapping_add(part.digest);
    }
    let damaged = |reason: String| JournalFault::Corrupt {
        after: Pos(head),
        reason,
    };
    if covered.max() > head {
        let reason = format!("events up to position {} are missing", covered.max());
        return Err(damaged(reason).into());
    }
    let stored = stored.map_err(|error| statement_fault(head, &error))?;
    if stored != expected {
        let reason = "the tables that find events do not match the events".to_owned();
        return Err(damaged(reason).into());
    }
    Ok(Sound {
        head,
        covered,
        recent,
        filter,
    })
}

/// What is known before the rows are read.
#[derive(Clone, Copy)]
struct Known<'a> {
    covered: &'a Covered,
    holes: &'a Holes,
}

struct Part {
    recent: Recent,
    filter: Filter,
    digest: u64,
}

fn scan_range(
    path: &Path,
    known: Known<'_>,
    (first, last): (u64, u64),
    filter: Filter,
) -> Result<Part, ScanFault> {
    let connection = open_read_only(path)?;
    let mut whole = first - 1;
    let mut part = Part {
        recent: Recent::default(),
        filter,
        digest: 0,
    };
    scan_rows(&connection, known, last, &mut whole, &mut part)
        .map_err(|error| statement_fault(whole, &error))??;
    if last != u64::MAX && known.holes.past(whole + 1) <= last {
        return Err(missing(whole, known.holes).into());
    }
    Ok(part)
}

/// Reads what is behind `whole` up to `last`; `whole` follows the rows that are.
fn scan_rows(
    connection: &Connection,
    Known { covered, holes }: Known<'_>,
    last: u64,
    whole: &mut u64,
    part: &mut Part,
) -> rusqlite::Result<Result<(), JournalFault>> {
    let sql = format!("SELECT {COLUMNS} FROM event WHERE pos > ?1 AND pos <= ?2 ORDER BY pos");
    let mut statement = connection.prepare(&sql)?;
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    let mut rows = statement.query((*whole as i64, last))?;
    while let Some(row) = rows.next()? {
        let stored = match Stored::of_row(row) {
            Ok(stored) => stored,
            Err(fault) => return Ok(Err(fault_behind(*whole, fault))),
        };
        let pos = stored.place.pos;
        let due = holes.past(*whole + 1);
        if pos > due {
            return Ok(Err(missing(*whole, holes)));
        }
        if pos < due {
            return Ok(Err(left_over(*whole, pos)));
        }
        *whole = pos;
        let keys = [
            (By::Id, id_key(stored.id())),
            (By::Entity, entity_key(stored.entity())),
        ];
        for (by, key) in keys {
            part.filter.insert(by, key);
            if covered.holds(key, pos) {
                part.digest = part.digest.wrapping_add(entry_digest(by, key, pos));
            } else {
                part.recent.insert(by, key, pos);
            }
        }
    }
    Ok(Ok(()))
}

fn left_over(whole: u64, pos: u64) -> JournalFault {
    JournalFault::Corrupt {
        after: Pos(whole),
        reason: format!("position {pos} was taken out, and is there all the same"),
    }
}

/// What the tables hold, but for entries of events that were taken out: these go later, many at a time.
pub(super) fn stored_digest(connection: &Connection, holes: &Holes) -> rusqlite::Result<u64> {
    let mut sum = 0_u64;
    for by in By::ALL {
        let mut statement = connection.prepare(&format!("SELECT key, pos FROM {}", by.table()))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let pos = row.get::<_, i64>(1)? as u64;
            if !holes.holds(pos) {
                sum = sum.wrapping_add(entry_digest(by, row.get(0)?, pos));
            }
        }
    }
    Ok(sum)
}

pub(super) fn entry_digest(by: By, key: i64, pos: u64) -> u64 {
    // The same entry means another thing in the other table.
    match by {
        By::Id => digest(key, pos),
        By::Entity => digest(!key, pos),
    }
}
