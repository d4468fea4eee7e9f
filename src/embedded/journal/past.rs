//! What is asked of a journal while it is judged what of it may be taken out.

use std::sync::Mutex;

use iyagi_actors::inbox::Entry;
use iyagi_actors::journal::JournalFault;
use iyagi_actors::retention::Past;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::{PersonId, Pos};
use iyagi_messages::push::Push;
use rusqlite::{Connection, OptionalExtension};

use super::lookup::{By, Recent, entity_key};
use super::queries;
use super::rows::statement_fault;
use super::writer::lock;

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
    /// The newest are looked at first: of an entity of a million events, one of them is the answer.
    fn last_behind(
        &self,
        event: &Event,
        through: Pos,
        of_kind: bool,
    ) -> rusqlite::Result<Option<Pos>> {
        let key = entity_key(&event.entity.0);
        let range = event.pos.0 + 1..=through.0.min(i64::MAX as u64);
        let waiting = lock(self.recent).positions(By::Entity, key);
        let waiting = waiting.into_iter().rev();
        for pos in waiting.filter(|pos| range.contains(pos)) {
            if self.is_of(pos, event, of_kind)? {
                return Ok(Some(Pos(pos)));
            }
        }
        let mut stored = self.connection.prepare_cached(
            "SELECT pos FROM lookup_entity WHERE key = ?1 AND pos BETWEEN ?2 AND ?3 ORDER BY pos DESC",
        )?;
        let mut stored = stored.query((key, *range.start() as i64, *range.end() as i64))?;
        while let Some(row) = stored.next()? {
            let pos = row.get::<_, i64>(0)? as u64;
            if self.is_of(pos, event, of_kind)? {
                return Ok(Some(Pos(pos)));
            }
        }
        Ok(None)
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
