//! A journal as the copy of a log that several hosts share.

use std::sync::Arc;

use async_trait::async_trait;
use iyagi_actors::journal::{JournalFault, Missing, Replica, Standing};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::EventId;
use rusqlite::Connection;

use super::holes::Holes;
use super::lookup::Recent;
use super::rows::statement_fault;
use super::writer::{Whole, Written, lock};
use super::{Shared, SqliteJournal, compacted, inbox, write_fault};
use crate::embedded::sqlite::{Undo, WriteFault};

/// Everything that is told of events, so that nothing is left of another beginning.
const FORGET: &str = "
    DELETE FROM event; DELETE FROM lookup_id; DELETE FROM lookup_entity; DELETE FROM lookup_slice;
    DELETE FROM hole; DELETE FROM export; DELETE FROM compaction; DELETE FROM snapshot;
    DELETE FROM inbox_entry; DELETE FROM inbox_person; UPDATE inbox_fold SET pos = 0;
";

#[async_trait]
impl Replica for SqliteJournal {
    async fn standing(
        &self,
        ids: Vec<EventId>,
        entities: Vec<Entity>,
    ) -> Result<Standing, JournalFault> {
        let shared = Arc::clone(&self.shared);
        let work = move |connection: &Connection| {
            let standing = lock(&shared.writer).standing(connection, &shared.recent, ids, entities);
            Ok(standing?)
        };
        // In the writer's turn, because it alone knows where each entity stands without searching.
        self.database.write(work).await.map_err(write_fault)
    }

    async fn follow(&self, events: Vec<Event>) -> Result<(), JournalFault> {
        let (writing, committed) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let written = self
            .database
            .write_then(
                Undo::WithGroup,
                move |connection| writing.follow(connection, events),
                move |parts: &Vec<Written>| parts.iter().for_each(|part| committed.announce(part)),
            )
            .await;
        written.map(drop).map_err(write_fault)
    }

    async fn begin_anew(&self) -> Result<(), JournalFault> {
        let shared = Arc::clone(&self.shared);
        let work = move |connection: &Connection| {
            connection.execute_batch(FORGET)?;
            lock(&shared.writer).begin_anew(connection)?;
            *lock(&shared.recent) = Recent::default();
            shared.inboxes.begin_anew();
            Ok(())
        };
        self.database.write(work).await.map_err(write_fault)
    }

    async fn gather(&self, events: Vec<Event>) -> Result<(), JournalFault> {
        let (writing, committed) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let written = self
            .database
            .write_then(
                Undo::WithGroup,
                move |connection| {
                    let mut writer = lock(&writing.writer);
                    writer.check_repeated(connection, &events, Whole::ButForWhatIsGone)?;
                    let written = writer.repeat(connection, &writing.recent, events)?;
                    Ok::<_, WriteFault<JournalFault>>(written)
                },
                move |written| committed.tidy(written),
            )
            .await;
        written.map(drop).map_err(write_fault)
    }

    async fn settle(&self) -> Result<(), JournalFault> {
        let shared = Arc::clone(&self.shared);
        let path = self.database.path().to_owned();
        let head = self.database.read(super::writer::head).await;
        let head = head.map_err(super::read_fault)?;
        let folded = tokio::task::spawn_blocking(move || {
            inbox::catch_up(&path, &shared.inboxes, &shared.recent, head)
        });
        let folded = folded.await.expect("folding does not panic");
        folded.map_err(|error| JournalFault::Unreadable(error.to_string()))
    }

    async fn missing(&self) -> Result<Missing, JournalFault> {
        self.query(|connection, _| {
            let holes = Holes::load(connection).map_err(|error| statement_fault(0, &error))?;
            Ok(Missing {
                events: holes.events(),
                told: compacted::read(connection)?.unwrap_or_default().events,
            })
        })
        .await
    }
}

impl Shared {
    /// In parts, none of which takes out what the part itself has not folded yet.
    fn follow(
        &self,
        connection: &Connection,
        mut events: Vec<Event>,
    ) -> Result<Vec<Written>, WriteFault<JournalFault>> {
        let mut writer = lock(&self.writer);
        writer.check_repeated(connection, &events, Whole::Yes)?;
        let mut parts = Vec::new();
        while !events.is_empty() {
            let takes_out = |event: &Event| matches!(event.fact, Fact::JournalTrimmed(_));
            let behind = events.iter().skip(1).position(takes_out);
            let rest = events.split_off(behind.map_or(events.len(), |at| at + 1));
            let mut written = writer.repeat(connection, &self.recent, events)?;
            self.fold(connection, &mut written)?;
            parts.push(written);
            events = rest;
        }
        Ok(parts)
    }
}
