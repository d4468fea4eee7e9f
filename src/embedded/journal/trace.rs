//! The causal tree around an event: the chain of causes up to the root, and all consequences.

use std::collections::HashMap;
use std::sync::Mutex;

use iyagi_actors::journal::JournalFault;
use iyagi_messages::event::Event;
use iyagi_messages::ids::{EventId, Pos};
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::exports;
use super::lookup::Recent;
use super::queries;
use super::rows::{COLUMNS, statement_fault};
use super::writer;

/// Consequences that are shown; a root of more is a batch, which nobody reads as a tree.
pub const CONSEQUENCES_MAX: usize = 10_000;

/// Why an event is there, and what it led to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Trace {
    /// The causes, root first, nearest last.
    pub causes: Vec<Event>,
    /// The event itself, with its consequences.
    pub event: TraceNode,
    /// What the first of them followed from, if that is no longer in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_out: Option<TakenOut>,
    /// Whether consequences beyond [`CONSEQUENCES_MAX`] are left out.
    pub truncated: bool,
}

/// A cause that was taken out of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CauseTakenOut)]
pub struct TakenOut {
    /// Where it stood.
    pub pos: Pos,
    /// The export that holds it, below the folder of exports.
    pub export: String,
}

/// An event with what it led to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TraceNode {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Direct consequences, in order.
    #[schema(no_recursion)]
    pub consequences: Vec<TraceNode>,
}

pub(super) fn trace(
    connection: &Connection,
    recent: &Mutex<Recent>,
    id: EventId,
) -> Result<Option<Trace>, JournalFault> {
    let pos =
        writer::position_of(connection, recent, id).map_err(|error| statement_fault(0, &error))?;
    let Some(pos) = pos else { return Ok(None) };
    // A cause always stands before its consequences, so neither walk can turn in a circle.
    let up = format!(
        "WITH RECURSIVE up(at) AS (
            SELECT cause_pos FROM event WHERE pos = ?1 AND cause_pos < pos
            UNION ALL SELECT cause_pos FROM event JOIN up ON pos = up.at WHERE cause_pos < pos)
         SELECT {COLUMNS} FROM event WHERE pos IN up ORDER BY pos"
    );
    let down = format!(
        "WITH RECURSIVE down(at) AS (
            VALUES(?1)
            UNION SELECT pos FROM event JOIN down ON cause_pos = down.at ORDER BY 1 LIMIT ?2)
         SELECT {COLUMNS} FROM event WHERE pos IN down ORDER BY pos"
    );
    let causes = queries::events_of(connection, &up, [pos as i64], 0)?;
    let first = causes.first().map_or(pos, |first| first.pos.0);
    let taken_out =
        cause_taken_out(connection, first).map_err(|error| statement_fault(0, &error))?;
    let limit = CONSEQUENCES_MAX as i64 + 2;
    let mut events = queries::events_of(connection, &down, (pos as i64, limit), 0)?;
    let truncated = events.len() > CONSEQUENCES_MAX + 1;
    events.truncate(CONSEQUENCES_MAX + 1);
    let event = tree(events);
    Ok(event.map(|event| Trace {
        causes,
        event,
        taken_out,
        truncated,
    }))
}

/// The cause of the event at a position, if it was taken out.
fn cause_taken_out(connection: &Connection, pos: u64) -> rusqlite::Result<Option<TakenOut>> {
    let cause: Option<i64> = connection
        .prepare_cached("SELECT cause_pos FROM event WHERE pos = ?1")?
        .query_row([pos as i64], |row| row.get(0))?;
    let Some(cause) = cause.map(|pos| Pos(pos as u64)) else {
        return Ok(None);
    };
    let export = exports::of_taken_out(connection, cause)?;
    Ok(export.map(|export| TakenOut {
        pos: cause,
        export: export.file,
    }))
}

/// Hangs events, given in order of position and the root first, under their causes.
fn tree(events: Vec<Event>) -> Option<TraceNode> {
    let mut waiting: HashMap<EventId, Vec<TraceNode>> = HashMap::new();
    let node = |event: Event, waiting: &mut HashMap<EventId, Vec<TraceNode>>| {
        let mut consequences = waiting.remove(&event.id).unwrap_or_default();
        consequences.reverse();
        TraceNode {
            event,
            consequences,
        }
    };
    let mut events = events.into_iter();
    let root = events.next()?;
    // From the last to the first: whatever an event led to is complete when its own turn comes.
    for event in events.rev() {
        let Some(cause) = event.cause else { continue };
        let node = node(event, &mut waiting);
        waiting.entry(cause).or_default().push(node);
    }
    Some(node(root, &mut waiting))
}
