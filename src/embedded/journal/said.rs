//! What a shared log says of itself, heeded by each copy at the same place of the log: which exports there are, and which
//! events are taken out.

use iyagi_actors::journal::JournalFault;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Pos;
use rusqlite::Connection;

use super::exports::{self, Export};
use super::holes::Holes;
use super::{compacted, holes, queries};
use crate::embedded::sqlite::WriteFault;

/// Refuses events that would take out what a copy that has everything does not have, or will not have before them.
pub(super) fn check(
    connection: &Connection,
    head: u64,
    events: &[Event],
) -> Result<(), WriteFault<JournalFault>> {
    for event in events {
        let Fact::JournalTrimmed(trimmed) = &event.fact else {
            continue;
        };
        for &(first, last) in &trimmed.runs {
            let known = last.0.min(head);
            let expected = (known + 1).saturating_sub(first.0);
            let there: i64 = connection
                .prepare_cached("SELECT count(*) FROM event WHERE pos BETWEEN ?1 AND ?2")?
                .query_row((first.0 as i64, known as i64), |row| row.get(0))?;
            if there.unsigned_abs() != expected || last >= event.pos || first > last {
                let reason = format!(
                    "event {} takes out positions {first} to {last}, which are not all there",
                    event.pos
                );
                return Err(WriteFault::Refused(JournalFault::Corrupt {
                    after: Pos(first.0.saturating_sub(1)),
                    reason,
                }));
            }
        }
    }
    Ok(())
}

/// Does what an event says, if it says anything of the journal itself. Yields what is no longer there.
pub(super) fn heed(connection: &Connection, event: &Event) -> rusqlite::Result<Vec<Event>> {
    match &event.fact {
        Fact::JournalExported(exported) => {
            exports::remember(connection, &Export::from(exported))?;
            Ok(Vec::new())
        }
        Fact::JournalTrimmed(trimmed) => {
            let mut gone = Vec::new();
            for &run in &trimmed.runs {
                gone.extend(take_out(connection, run)?);
            }
            compacted::write(connection, &trimmed.by_now)?;
            Ok(gone)
        }
        _ => Ok(Vec::new()),
    }
}

/// Takes out what is still there of a run, and notes the rest as taken out as well.
fn take_out(connection: &Connection, (first, last): (Pos, Pos)) -> rusqlite::Result<Vec<Event>> {
    let known = Holes::within(connection, first.0, last.0)?;
    let positions: Vec<u64> = (first.0..=last.0)
        .filter(|pos| !known.holds(*pos))
        .collect();
    let gone = queries::at_positions(connection, &positions)
        .map_err(|fault| rusqlite::Error::ToSqlConversionFailure(Box::new(fault)))?;
    connection
        .prepare_cached("DELETE FROM event WHERE pos BETWEEN ?1 AND ?2")?
        .execute((first.0 as i64, last.0 as i64))?;
    holes::add(connection, &positions)?;
    Ok(gone)
}
