//! What is read from the events, by the daemon and by the command line alike.

use std::sync::Mutex;

use iyagi_actors::journal::JournalFault;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::{EventId, Pos, Seq};
use rusqlite::{Connection, Params};

use super::holes::{self, Holes};
use super::lookup::Recent;
use super::rows::{COLUMNS, Stored, fault_behind, statement_fault};
use super::writer;

pub(super) fn read(
    connection: &Connection,
    after: Pos,
    limit: usize,
) -> Result<Vec<Event>, JournalFault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT {COLUMNS} FROM event WHERE pos > ?1 ORDER BY pos LIMIT ?2");
    let events = events_of(connection, &sql, (after.0 as i64, limit), after.0)?;
    let last = events.last().map_or(after, |event| event.pos);
    if last.0 - after.0 == events.len() as u64 {
        return Ok(events);
    }
    let holes = Holes::within(connection, after.0 + 1, last.0).map_err(|error| unplaced(&error))?;
    let mut whole = after.0;
    for event in &events {
        if holes.past(whole + 1) < event.pos.0 {
            return Err(missing(whole, &holes));
        }
        whole = event.pos.0;
    }
    Ok(events)
}

/// The fault of a position that is missing behind a whole one.
pub(super) fn missing(whole: u64, holes: &Holes) -> JournalFault {
    JournalFault::Corrupt {
        after: Pos(whole),
        reason: format!("position {} is missing", holes.past(whole + 1)),
    }
}

pub(super) fn entity(
    connection: &Connection,
    recent: &Mutex<Recent>,
    entity: &Entity,
) -> Result<Vec<Event>, JournalFault> {
    let positions =
        writer::candidates(connection, recent, entity).map_err(|error| unplaced(&error))?;
    let mut events = at_positions(connection, &positions)?;
    events.retain(|event| event.entity == *entity);
    let (mut seq, mut pos) = (0, 0);
    for event in &events {
        let follows = event.seq == Seq(seq + 1)
            || event.seq > Seq(seq)
                && holes::any_between(connection, pos, event.pos.0)
                    .map_err(|error| unplaced(&error))?;
        if !follows {
            return Err(JournalFault::Corrupt {
                after: Pos(event.pos.0.saturating_sub(1)),
                reason: format!("{entity} has no event {}", seq + 1),
            });
        }
        (seq, pos) = (event.seq.0, event.pos.0);
    }
    Ok(events)
}

pub(super) fn event(
    connection: &Connection,
    recent: &Mutex<Recent>,
    id: EventId,
) -> Result<Option<Event>, JournalFault> {
    let Some(pos) =
        writer::position_of(connection, recent, id).map_err(|error| unplaced(&error))?
    else {
        return Ok(None);
    };
    Ok(at_positions(connection, &[pos])?.pop())
}

pub(super) fn caused_by(
    connection: &Connection,
    recent: &Mutex<Recent>,
    id: EventId,
) -> Result<Vec<Event>, JournalFault> {
    let pos = writer::position_of(connection, recent, id).map_err(|error| unplaced(&error))?;
    // An event may be older than the import that brought its cause, or name a cause that is not here.
    let sql = format!(
        "SELECT {COLUMNS} FROM event WHERE cause_pos = ?1
         UNION ALL SELECT {COLUMNS} FROM event WHERE cause = ?2 AND cause IS NOT NULL AND cause_pos IS NULL
         ORDER BY pos"
    );
    events_of(connection, &sql, (pos.map(|pos| pos as i64), &id.0[..]), 0)
}

pub(super) fn head(connection: &Connection) -> Result<Pos, JournalFault> {
    writer::head(connection)
        .map(Pos)
        .map_err(|error| unplaced(&error))
}

/// The events at these positions, as far as they are committed.
pub(super) fn at_positions(
    connection: &Connection,
    positions: &[u64],
) -> Result<Vec<Event>, JournalFault> {
    let sql = format!("SELECT {COLUMNS} FROM event WHERE pos = ?1");
    let mut events = Vec::with_capacity(positions.len());
    for &pos in positions {
        events.extend(events_of(
            connection,
            &sql,
            [pos as i64],
            pos.saturating_sub(1),
        )?);
    }
    Ok(events)
}

/// The events of a query over [`COLUMNS`]; `after` is the last position known to be whole.
pub(super) fn events_of(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut after: u64,
) -> Result<Vec<Event>, JournalFault> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| statement_fault(after, &error))?;
    let mut rows = statement
        .query(params)
        .map_err(|error| statement_fault(after, &error))?;
    let mut events = Vec::new();
    while let Some(row) = rows
        .next()
        .map_err(|error| statement_fault(after, &error))?
    {
        // The position is the table's own key, so it tells the place even if the row is damaged.
        let pos = row
            .get::<_, i64>(0)
            .map_err(|error| statement_fault(after, &error))? as u64;
        let event = Stored::of_row(row).and_then(|stored| stored.decode());
        events.push(event.map_err(|fault| fault_behind(pos.saturating_sub(1), fault))?);
        after = pos;
    }
    Ok(events)
}

fn unplaced(error: &rusqlite::Error) -> JournalFault {
    statement_fault(0, error)
}
