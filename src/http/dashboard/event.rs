//! An event of the journal as pages show it.

use iyagi_messages::event::Event;
use iyagi_messages::ids::Timestamp;

use super::text::{self, Moment};

/// An event.
pub(super) struct Told {
    pub(super) pos: String,
    pub(super) kind: String,
    pub(super) entity: String,
    pub(super) actor: String,
    pub(super) at: Moment,
    pub(super) id: String,
    /// All of it. Whole numbers are as exact as they are in the journal.
    pub(super) json: String,
}

/// An event as it is shown at a moment.
pub(super) fn told(event: &Event, now: Timestamp) -> Told {
    let json = serde_json::to_string_pretty(event);
    Told {
        pos: text::number(event.pos.0),
        kind: event.fact.kind().to_owned(),
        entity: event.entity.to_string(),
        actor: event.actor.to_string(),
        at: text::ago(event.at, now),
        id: event.id.to_string(),
        json: json.expect("an event has only text keys"),
    }
}
