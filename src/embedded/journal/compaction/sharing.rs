//! What is different where hosts share the journal.
//!
//! The host that leads exports and judges, on its copy. That an export is there, and that events are taken out, it says in the
//! journal (`journal.exported`, `journal.trimmed`), so that every copy heeds it at the same place of the log. What it says is
//! refused once another host has taken the lead, which then goes on behind the last that was not.

use std::collections::HashMap;
use std::sync::Arc;

use iyagi_actors::fleet::{Fleet, Lead};
use iyagi_actors::journal::{Draft, Journal, JournalFault, Replica, SharedLog};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{JournalCompacted, JournalExported, JournalTrimmed};
use iyagi_messages::ids::{Pos, Seq};

use super::{Compaction, CompactionFault};
use crate::embedded::journal::compacted::{self, Kept};
use crate::embedded::journal::exports::Export;
use crate::embedded::journal::holes::{self, Holes};
use crate::embedded::journal::writer::lock;

/// Writes that the journal says of itself.
const WRITER: &str = "retention";

/// What hosts that share a journal have besides their copies.
pub struct Sharing {
    /// The journal, to be written to.
    pub journal: Arc<dyn Journal>,
    /// Its log.
    pub log: Arc<dyn SharedLog>,
    /// This host among the others.
    pub fleet: Fleet,
}

impl Sharing {
    fn lead(&self) -> Result<Lead, CompactionFault> {
        self.fleet.leads().ok_or(CompactionFault::Follows)
    }

    /// Says that an export is there.
    pub(super) async fn remember(&self, export: &Export) -> Result<(), CompactionFault> {
        let mut draft = Draft::new(&WRITER, WRITER);
        self.lead()?.expect(&mut draft);
        let upstream = format!("{}-{}", export.first, export.last);
        draft.begin(&upstream, entity("exports"), JournalExported::from(export));
        self.append(draft).await
    }

    async fn append(&self, draft: Draft) -> Result<(), CompactionFault> {
        match self.journal.append(draft.finish()).await {
            Ok(_) => Ok(()),
            Err(JournalFault::Conflict { entity, .. }) => Err(CompactionFault::Overtaken(entity)),
            Err(fault) => Err(fault.into()),
        }
    }
}

impl Compaction {
    /// Whether it is for this host to take out what is over.
    pub fn leads(&self) -> bool {
        let sharing = self.sharing.as_ref();
        sharing.is_none_or(|sharing| sharing.fleet.leads().is_some())
    }

    /// Gives back the room of what another host has taken out.
    pub async fn give_room_back(&self) -> Result<(), CompactionFault> {
        let _turn = self.turn.lock().await;
        self.sweep().await?;
        let returned = self.give_back().await?;
        lock(&self.state).standing.returned_bytes += returned;
        Ok(())
    }

    /// Takes some events out of every copy, this one included.
    pub(super) async fn take_out_everywhere(
        &self,
        sharing: &Sharing,
        batch: &[Event],
    ) -> Result<(), CompactionFault> {
        let Some(first) = batch.first() else {
            return Ok(());
        };
        let lead = sharing.lead()?;
        let by_now = self.adding(batch).await?;
        let by_now = by_now.map_err(|reason| CompactionFault::Left {
            at: first.pos,
            reason,
        })?;
        let mut draft = Draft::new(&WRITER, WRITER);
        lead.expect(&mut draft);
        for (entity, seq) in self.ending_with(batch).await? {
            draft.expect(entity, seq);
        }
        let positions: Vec<u64> = batch.iter().map(|event| event.pos.0).collect();
        let upstream = by_now.events.to_string();
        let runs = holes::runs(&positions);
        let runs = runs.map(|(first, last)| (Pos(first), Pos(last))).collect();
        draft.begin(&upstream, entity("trims"), JournalTrimmed { runs, by_now });
        sharing.append(draft).await
    }

    /// What was taken out once these events are, or why they do not add up.
    async fn adding(
        &self,
        batch: &[Event],
    ) -> Result<Result<JournalCompacted, String>, CompactionFault> {
        let batch = batch.to_vec();
        let added =
            self.journal.query(
                move |connection, _| match compacted::with(connection, &batch) {
                    Ok(by_now) => Ok(Ok(by_now)),
                    Err(Kept::Journal(fault)) => Err(fault),
                    Err(kept) => Ok(Err(kept.to_string())),
                },
            );
        Ok(added.await?)
    }

    /// The entities of which nothing is left behind these events, and where they stand: whatever happened to one of them
    /// meanwhile was not judged.
    async fn ending_with(&self, batch: &[Event]) -> Result<Vec<(Entity, Seq)>, CompactionFault> {
        let mut last: HashMap<&Entity, Seq> = HashMap::new();
        for event in batch {
            let seq = last.entry(&event.entity).or_default();
            *seq = (*seq).max(event.seq);
        }
        let entities = last.keys().map(|entity| (*entity).clone()).collect();
        let standing = self.journal.standing(Vec::new(), entities).await?;
        let ending = standing.seqs.into_iter();
        Ok(ending
            .filter(|(entity, seq)| last.get(entity) == Some(seq))
            .collect())
    }

    /// Takes out of the shared log what every copy has taken out.
    pub(super) async fn sweep_log(
        &self,
        sharing: &Sharing,
        through: Pos,
    ) -> Result<(), CompactionFault> {
        let lead = sharing.lead()?;
        let holes = self.read(Holes::load).await?;
        let gone = |pos: Pos| holes.holds(pos.0);
        let goes_on = || sharing.fleet.leads() == Some(lead);
        let swept = sharing.log.sweep(through, &gone, &goes_on).await?;
        let mut state = lock(&self.state);
        state.standing.log_rewritten += swept.rewritten + swept.emptied;
        state.standing.log_removed += swept.removed;
        drop(state);
        tracing::info!(
            rewritten = swept.rewritten,
            emptied = swept.emptied,
            removed = swept.removed,
            "the shared log is swept"
        );
        // What is left is for whoever leads now.
        sharing.lead().map(drop)
    }
}

/// What the journal says of itself.
fn entity(what: &str) -> Entity {
    Entity::new("journal", what)
}
