//! Commits beyond the bounds: they become part of the graph as they are read, and nobody is told of them.
//!
//! A person who is told of a migration or a clean-up is told of nothing that anybody did. Such a commit may also be larger
//! than the memory, so that it comes in parts and is never in hand whole.

use iyagi_messages::event::Entity;
use iyagi_messages::fact::{CommitWithheld, CursorAdvanced};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::StreamRecord;

use super::{SubscriptionMatcher, correlation};
use crate::fleet::Lead;
use crate::journal::Draft;
use crate::runtime::Fault;
use crate::stream_poller::assembler::Extent;

impl SubscriptionMatcher {
    /// Takes some records of a commit beyond the bounds.
    pub(super) async fn take_part(
        &mut self,
        records: &[StreamRecord],
        lead: Lead,
    ) -> Result<(), Fault> {
        let Some(first) = records.first().map(|record| record.event_id) else {
            return Ok(());
        };
        if first.commit <= self.graph.cursor.commit {
            return Ok(());
        }
        if self.taken.0 != first.commit {
            self.taken = (first.commit, 0);
        }
        let mut draft = Draft::new(&self.me, correlation(first.commit));
        self.note_silences(records, &mut draft);
        if !draft.is_empty() {
            lead.expect(&mut draft);
            self.context.journal.append(draft.finish()).await?;
        }
        for record in records {
            self.graph.absorb(record, &self.context.model);
        }
        self.taken.1 += records.len() as u64;
        Ok(())
    }

    /// Moves the cursor behind a commit beyond the bounds, and says that nobody is told of it.
    pub(super) async fn withhold(&mut self, commit: Extent, lead: Lead) -> Result<(), Fault> {
        let (cursor, cursor_seq) = self.context.projections.outbox().cursor_and_seq();
        let taken = std::mem::take(&mut self.taken);
        if commit.end.commit <= cursor.commit {
            return Ok(());
        }
        if taken == (commit.end.commit, commit.records) {
            self.graph.cursor = commit.end;
        } else {
            // This matcher was rebuilt meanwhile, as of the commit before. What is folded twice changes nothing.
            self.fold_to(commit.end).await?;
        }
        tracing::warn!(
            commit = %commit.end, records = commit.records, edges = commit.edges,
            "a commit changes more than `stream.commit` bears, so nobody is told of it"
        );
        let number = commit.end.commit;
        let mut draft = Draft::new(&self.me, correlation(number));
        Self::admit_jump(cursor, number, &mut draft);
        let withheld = CommitWithheld {
            commit: commit.end,
            at: commit.at.unwrap_or(Timestamp(0)),
            records: commit.records,
            edges: commit.edges,
        };
        let entity = Entity::new("commit", number);
        draft.begin(&number.to_string(), entity, withheld);
        let advanced = CursorAdvanced {
            to: commit.end,
            commits: 1,
            records: commit.records,
        };
        self.advance(advanced, cursor_seq, lead, draft).await
    }
}
