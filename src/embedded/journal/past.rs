//! What is asked of a journal while it is judged what of it may be taken out.

use std::sync::Mutex;

use iyagi_actors::inbox::Entry;
use iyagi_actors::journal::JournalFault;
use iyagi_actors::retention::Past;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::{PersonId, Pos};
use iyagi_messages::push::Push;
use rusqlite::{Connection, OptionalExtension};

use super::lookup::{self, Recent};
use super::queries;
use super::rows::statement_fault;

/// A journal and its inboxes, on a connection that reads.
pub(super) struct StoredPast<'a> {
    pub(super) connection: &'a Connection,
    pub(super) recent: &'a Mutex<Recent>,
}

impl Past for StoredPast<'_> {
    type Fault = JournalFault;

    fn history(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault> {
        queries::entity(self.connection, self.recent, entity)
    }

    fn later(
        &self,
        event: &Event,
        through: Pos,
        of_kind: bool,
    ) -> Result<Option<Pos>, JournalFault> {
        self.last_behind(event, through, of_kind)
            .map_err(|error| statement_fault(0, &error))
    }

    fn tells_of(&self, push: &Push) -> Result<bool, JournalFault> {
        let id = Entry::id_of(push);
        let told = self
            .connection
            .prepare_cached("SELECT 1 FROM inbox_entry WHERE person = ?1 AND id = ?2")
            .and_then(|mut entry| entry.exists((push.recipient.as_str(), &id.0.as_bytes()[..])));
        told.map_err(|error| statement_fault(0, &error))
    }

    fn marks(&self, person: &PersonId, pos: Pos) -> Result<bool, JournalFault> {
        let marks = self
            .connection
            .prepare_cached("SELECT 1 FROM inbox_entry WHERE person = ?1 AND read_pos = ?2")
            .and_then(|mut entry| entry.exists((person.as_str(), pos.0 as i64)));
        marks.map_err(|error| statement_fault(0, &error))
    }
}

impl StoredPast<'_> {
    fn last_behind(
        &self,
        event: &Event,
        through: Pos,
        of_kind: bool,
    ) -> rusqlite::Result<Option<Pos>> {
        let within = event.pos.0 + 1..=through.0.min(i64::MAX as u64);
        lookup::newest(self.connection, self.recent, &event.entity, within, |pos| {
            Ok(self.is_of(pos, event, of_kind)?.then_some(Pos(pos)))
        })
    }

    /// Whether the event at a position is of the same entity, and kind if that is asked.
    fn is_of(&self, pos: u64, event: &Event, of_kind: bool) -> rusqlite::Result<bool> {
        let kind = self
            .connection
            .prepare_cached("SELECT kind FROM event WHERE pos = ?1 AND entity = ?2")?
            .query_row((pos as i64, &event.entity.0), |row| row.get::<_, String>(0))
            .optional()?;
        Ok(kind.is_some_and(|kind| !of_kind || kind == event.fact.kind()))
    }
}
