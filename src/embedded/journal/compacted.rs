//! What is left to know of events that were taken out, and how some more are.

use crc32fast::Hasher;
use iyagi_actors::journal::JournalFault;
use iyagi_actors::retention::{self, NotWhole};
use iyagi_messages::event::Event;
use iyagi_messages::fact::{Fact, JournalCompacted};
use iyagi_messages::ids::Pos;
use rusqlite::{Connection, OptionalExtension};

use super::holes;
use super::rows::statement_fault;
use crate::embedded::sqlite::WriteFault;

/// Why some events were not taken out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Kept {
    #[error(transparent)]
    Journal(JournalFault),
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    #[error("position {0} is not there to be taken out")]
    Gone(Pos),
}

/// What was taken out so far, if anything was.
pub(super) fn read(connection: &Connection) -> Result<Option<JournalCompacted>, JournalFault> {
    let stored = connection
        .prepare_cached("SELECT v, body, sum FROM compaction")
        .and_then(|mut statement| {
            let row = statement.query_row([], |row| {
                Ok((
                    row.get::<_, u16>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, u32>(2)?,
                ))
            });
            row.optional()
        });
    let Some((version, body, kept)) = stored.map_err(|error| statement_fault(0, &error))? else {
        return Ok(None);
    };
    let corrupt = |reason: String| JournalFault::Corrupt {
        after: Pos(0),
        reason,
    };
    if sum(version, &body) != kept {
        let reason = "what was taken out does not match its checksum";
        return Err(corrupt(reason.to_owned()));
    }
    match Fact::decode(KIND, version, &body) {
        Ok(Fact::JournalCompacted(compacted)) => Ok(Some(compacted)),
        Ok(_) => Err(JournalFault::Unreadable(format!(
            "what was taken out is told in version {version}, which this build does not know"
        ))),
        Err(error) => Err(corrupt(error.to_string())),
    }
}

/// Takes out some events, given in order of position, which are whole stories and are all in exports.
pub(super) fn take_out(connection: &Connection, events: &[Event]) -> Result<(), WriteFault<Kept>> {
    let refused = |kept: Kept| WriteFault::Refused(kept);
    let compacted = with(connection, events).map_err(refused)?;
    let mut delete = connection.prepare_cached("DELETE FROM event WHERE pos = ?1")?;
    for event in events {
        if delete.execute([event.pos.0 as i64])? == 0 {
            return Err(refused(Kept::Gone(event.pos)));
        }
    }
    let positions: Vec<u64> = events.iter().map(|event| event.pos.0).collect();
    holes::add(connection, &positions)?;
    Ok(write(connection, &compacted)?)
}

/// What was taken out once some more events are, given in order of position.
pub(super) fn with(connection: &Connection, events: &[Event]) -> Result<JournalCompacted, Kept> {
    let before = read(connection).map_err(Kept::Journal)?;
    let mut compacted = before.unwrap_or_default();
    retention::add(&mut compacted.totals, events)?;
    compacted.events += events.len() as u64;
    let last = events.last().map_or(Pos::default(), |event| event.pos);
    compacted.through = compacted.through.max(last);
    Ok(compacted)
}

/// Keeps what was taken out so far in place of what was kept before.
pub(super) fn write(connection: &Connection, compacted: &JournalCompacted) -> rusqlite::Result<()> {
    let fact = Fact::from(compacted.clone());
    let (version, body) = (fact.version(), fact.body());
    connection
        .prepare_cached("DELETE FROM compaction")?
        .execute([])?;
    connection
        .prepare_cached("INSERT INTO compaction(v, body, sum) VALUES(?1, ?2, ?3)")?
        .execute((version, &body, sum(version, &body)))?;
    Ok(())
}

/// The kind of the fact as which it is kept, so that later builds read it as they read events.
const KIND: &str = "journal.compacted";

fn sum(version: u16, body: &str) -> u32 {
    let mut sum = Hasher::new();
    sum.update(&version.to_le_bytes());
    sum.update(body.as_bytes());
    sum.finalize()
}
