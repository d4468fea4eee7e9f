//! Takes what is over out of the journal: exports what is old, takes out what of it is over, and gives the room back.
//!
//! Each step is durable before the next one begins, and a run begins where the last one ended, however that was: an export
//! is remembered only once it was read back, and nothing is taken out that no remembered export holds. What is taken out
//! goes in small batches between the appends, each with the totals that stand for it.
//!
//! # Layout
//! - this file: a run from its beginning to its end, and who wants one
//! - `sharing`: what is different where hosts share the journal
//! - `walk`: what is judged
//! - `room`: how the room is given back

mod room;
mod sharing;
mod walk;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use iyagi_actors::journal::{Draft, Journal, JournalFault};
use iyagi_actors::projections::Projections;
use iyagi_actors::retention::{Bounds, Count};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, JournalCompacted};
use iyagi_messages::ids::{Pos, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Notify;
use utoipa::ToSchema;

pub use self::sharing::Sharing;
use self::walk::{Walk, older_than};
use super::compacted::{self, Kept};
use super::exports::{self, Export, ExportFault, Place};
use super::rows::statement_fault;
use super::writer::lock;
use super::{SqliteJournal, write_fault};
use crate::embedded::sqlite::{DatabaseError, Undo};

/// Takes what is over out of one journal.
pub struct Compaction {
    journal: SqliteJournal,
    projections: Arc<Projections>,
    kept: Place,
    /// Other hosts have the same journal.
    sharing: Option<Sharing>,
    /// Two runs would take out the same.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Rings when a run is ordered.
    bell: Notify,
}

/// What came of the runs since the journal was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompactionStanding)]
pub struct Standing {
    /// Whether one is at work.
    pub running: bool,
    /// Runs that have ended.
    pub runs: u64,
    /// Those among them that ended too early: the log says why.
    pub failed: u64,
    /// When the last one ended that did not.
    #[schema(required)]
    pub done_at: Option<Timestamp>,
    /// Bytes of the file that were given back to the file system.
    pub returned_bytes: u64,
    /// Items of the log that hosts share that were written anew, with what was left.
    pub log_rewritten: u64,
    /// Items of that log that were deleted.
    pub log_removed: u64,
}

/// How the runs stand, and what is to be done.
#[derive(Default)]
struct State {
    standing: Standing,
    last: Option<Outcome>,
    /// Somebody wants a run of what is older than this.
    ordered: Option<Timestamp>,
}

/// What a run did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CompactionOutcome)]
pub struct Outcome {
    /// The exports that it made.
    pub exports: Vec<Export>,
    /// Events that it took out, or would.
    pub taken_out: u64,
    /// Bytes of the file that it gave back to the file system.
    pub returned_bytes: u64,
    /// What was judged, by kind: no more than is old enough.
    pub kinds: BTreeMap<String, Count>,
}

/// Why a run ended early. What it did until then is done.
#[derive(Debug, Error)]
pub enum CompactionFault {
    /// No export could be made, so nothing was taken out.
    #[error("nothing more was exported, so nothing more was taken out: {0}")]
    Export(#[from] ExportFault),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// Another host does it.
    #[error("the journal of a fleet is compacted by the host that leads, and this one does not")]
    Follows,
    /// What was judged is no longer so.
    #[error("{0} has changed since it was judged")]
    Overtaken(Entity),
    /// Some events do not add up, so they were left.
    #[error("some events at and behind position {at} were left: {reason}")]
    Left {
        /// The first of them.
        at: Pos,
        /// Why.
        reason: String,
    },
}

impl Compaction {
    /// Of a journal that `projections` are folded from, with exports at a place; of the copy of one, if hosts share it.
    pub fn new(
        journal: SqliteJournal,
        projections: Arc<Projections>,
        kept: Place,
        sharing: Option<Sharing>,
    ) -> Self {
        Self {
            journal,
            projections,
            kept,
            sharing,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// What came of the runs so far.
    pub fn standing(&self) -> Standing {
        lock(&self.state).standing
    }

    /// What the last run did that ended as it should.
    pub fn last(&self) -> Option<Outcome> {
        lock(&self.state).last.clone()
    }

    /// Wants a run, by whoever waits for orders, of what was appended before `until`.
    pub fn order(&self, until: Timestamp) {
        let mut state = lock(&self.state);
        state.ordered = state.ordered.max(Some(until));
        drop(state);
        self.bell.notify_one();
    }

    /// Resolves when a run is ordered. One that is ordered while nobody waits is told to the next who does.
    pub async fn ordered(&self) -> Timestamp {
        loop {
            let ordered = lock(&self.state).ordered.take();
            if let Some(until) = ordered {
                return until;
            }
            self.bell.notified().await;
        }
    }

    /// Takes out what is over and was appended before `until`. Of several calls at once one runs after the other.
    pub async fn run(&self, until: Timestamp) -> Result<Outcome, CompactionFault> {
        let _turn = self.turn.lock().await;
        if !self.leads() {
            return Err(CompactionFault::Follows);
        }
        lock(&self.state).standing.running = true;
        let ran = self.run_alone(until).await;
        let now = self.journal.shared.clock.now();
        let mut state = lock(&self.state);
        let standing = &mut state.standing;
        standing.running = false;
        standing.runs += 1;
        match &ran {
            Ok(outcome) => {
                standing.done_at = Some(now);
                standing.returned_bytes += outcome.returned_bytes;
                state.last = Some(outcome.clone());
            }
            Err(_) => standing.failed += 1,
        }
        ran
    }

    async fn run_alone(&self, until: Timestamp) -> Result<Outcome, CompactionFault> {
        let mut outcome = Outcome {
            exports: self.export(until).await?,
            ..Outcome::default()
        };
        let exported = self.read(exports::last).await?;
        let exported = exported.map_or(Pos::default(), |export| export.last);
        let bounds = self.bounds(until, exported).await?;
        let mut walk = Walk::default();
        while self.judge(bounds, &mut walk).await? {
            if walk.batch.is_empty() {
                continue;
            }
            if outcome.taken_out == 0 {
                // A snapshot from before what is taken out could not be folded on.
                self.projections.save(self.written_by()).await?;
            }
            let batch: Vec<Event> = std::mem::take(&mut walk.batch).into_values().collect();
            outcome.taken_out += batch.len() as u64;
            let begun = Instant::now();
            match &self.sharing {
                None => self.take_out(batch).await?,
                Some(sharing) => self.take_out_everywhere(sharing, &batch).await?,
            }
            // Half of the writer's time is left to others, whatever waits.
            tokio::time::sleep(begun.elapsed()).await;
        }
        outcome.kinds = walk.kinds;
        // Also what a run has left that was interrupted.
        if let Some(compacted) = self.not_noted().await? {
            if let Some(sharing) = &self.sharing {
                self.sweep_log(sharing, compacted.through).await?;
            }
            self.sweep().await?;
            outcome.returned_bytes = self.give_back().await?;
            self.note(compacted).await?;
        }
        Ok(outcome)
    }

    /// The journal as the actors write to it.
    fn written_by(&self) -> &dyn Journal {
        match &self.sharing {
            None => &self.journal,
            Some(sharing) => &*sharing.journal,
        }
    }

    /// What a run would take out at this moment. It writes nothing.
    pub async fn preview(&self, until: Timestamp) -> Result<Outcome, CompactionFault> {
        let bounds = self.bounds(until, Pos(u64::MAX)).await?;
        let mut walk = Walk::default();
        let mut taken_out = 0;
        while self.judge(bounds, &mut walk).await? {
            taken_out += std::mem::take(&mut walk.batch).len() as u64;
        }
        Ok(Outcome {
            taken_out,
            kinds: walk.kinds,
            ..Outcome::default()
        })
    }

    async fn export(&self, until: Timestamp) -> Result<Vec<Export>, CompactionFault> {
        let mut made = Vec::new();
        self.kept.clear()?;
        loop {
            let folder = self.kept.folder().to_owned();
            let next = self.journal.query(move |connection, _| {
                let before =
                    exports::last(connection).map_err(|error| statement_fault(0, &error))?;
                Ok(exports::write_next(
                    connection,
                    &folder,
                    before.as_ref(),
                    until,
                ))
            });
            let Some(export) = next.await?? else {
                return Ok(made);
            };
            self.kept.keep(&export).await?;
            match &self.sharing {
                None => self.remember(export.clone()).await?,
                Some(sharing) => sharing.remember(&export).await?,
            }
            tracing::info!(
                file = export.file,
                events = export.last.0 - export.first.0 + 1,
                "a part of the journal is exported"
            );
            made.push(export);
        }
    }

    async fn remember(&self, export: Export) -> Result<(), CompactionFault> {
        let write = move |connection: &Connection| Ok(exports::remember(connection, &export)?);
        let written = self.journal.database.write(write).await;
        Ok(written.map_err(write_fault)?)
    }

    async fn bounds(&self, until: Timestamp, exported: Pos) -> Result<Bounds, CompactionFault> {
        let older = self
            .read(move |connection| older_than(connection, until))
            .await?;
        let looked_back_ms = self.projections.looked_back_ms();
        let now = self.journal.shared.clock.now();
        let folded = self.projections.outbox().pos;
        Ok(Bounds {
            through: older.min(exported).min(folded),
            looked_back_at: Timestamp(now.0.saturating_sub_unsigned(looked_back_ms)),
        })
    }

    /// Judges the next events; false once all are judged.
    async fn judge(&self, bounds: Bounds, walk: &mut Walk) -> Result<bool, CompactionFault> {
        if walk.place >= bounds.through {
            return Ok(false);
        }
        let projections = Arc::clone(&self.projections);
        let mut going = std::mem::take(walk);
        let judged = self.journal.query(move |connection, recent| {
            going.go_on(connection, recent, &projections, bounds)?;
            Ok(going)
        });
        *walk = judged.await?;
        Ok(true)
    }

    async fn take_out(&self, batch: Vec<Event>) -> Result<(), CompactionFault> {
        let at = batch.first().map_or(Pos::default(), |event| event.pos);
        let batch = Arc::new(batch);
        let (going, gone) = (Arc::clone(&batch), batch);
        let shared = Arc::clone(&self.journal.shared);
        let written = self.journal.database.write_then(
            Undo::Alone,
            move |connection| compacted::take_out(connection, &going),
            move |()| {
                lock(&shared.writer).forget(&gone);
                lock(&shared.recent).remove(&gone);
            },
        );
        match written.await {
            Ok(()) => Ok(()),
            Err(DatabaseError::Refused(Kept::Journal(fault))) => Err(fault.into()),
            Err(DatabaseError::Refused(kept)) => Err(CompactionFault::Left {
                at,
                reason: kept.to_string(),
            }),
            Err(stopped @ DatabaseError::Stopped { .. }) => {
                Err(JournalFault::Stopped(stopped.to_string()).into())
            }
            Err(other) => Err(JournalFault::Unreadable(other.to_string()).into()),
        }
    }

    /// What was taken out, unless the journal says so already, which is the end of a run.
    async fn not_noted(&self) -> Result<Option<JournalCompacted>, CompactionFault> {
        let Some(compacted) = self.journal.compacted().await? else {
            return Ok(None);
        };
        let noted = self.journal.entity(&own_entity()).await?;
        let is_noted = |event: &Event| event.fact == Fact::from(compacted.clone());
        Ok(if noted.iter().any(is_noted) {
            None
        } else {
            Some(compacted)
        })
    }

    /// Says in the journal how much of it was taken out by now.
    async fn note(&self, compacted: JournalCompacted) -> Result<(), CompactionFault> {
        let mut draft = Draft::new(&"retention", "retention");
        let upstream = format!("{}|{}", compacted.through, compacted.events);
        draft.begin(&upstream, own_entity(), compacted);
        self.written_by().append(draft.finish()).await?;
        Ok(())
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CompactionFault> {
        let read = self.journal.query(move |connection, _| {
            query(connection).map_err(|error| statement_fault(0, &error))
        });
        Ok(read.await?)
    }
}

/// What the journal says of itself.
fn own_entity() -> Entity {
    Entity::new("journal", "iyagi")
}
