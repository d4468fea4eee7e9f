//! Takes over a graph that was read from elsewhere than the change log.

use std::collections::HashSet;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    CursorAdvanced, Fact, GraphBootstrapped, SilenceLifted, SilencePlaced, StreamSkipped,
};
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::preferences::Silence;

use super::graph::{Graph, GraphModel};
use super::{SubscriptionMatcher, cursor_entity};
use crate::fleet::Lead;
use crate::journal::{Draft, JournalFault};
use crate::projections::Wishes;
use crate::runtime::Fault;

/// Silences in one append.
const APPENDED_AT_ONCE: usize = 1_000;

impl SubscriptionMatcher {
    /// Makes an offered graph the one that is matched with. If it is ahead of the cursor, what lies between is passed
    /// over: it is not news any more, and the graph before it is not known.
    pub(super) async fn take_over_offer(&mut self, lead: Lead) -> Result<(), Fault> {
        let Some(watermark) = self.offered else {
            return Ok(());
        };
        let (cursor, cursor_seq, taken_over) = {
            let outbox = self.context.projections.outbox();
            (outbox.cursor, outbox.cursor_seq, outbox.bootstrapped)
        };
        if taken_over == Some(watermark) {
            self.offered = None;
            return Ok(());
        }
        if self.graph.cursor < cursor {
            self.fold_to_cursor().await?;
        }
        let corr = format!("bootstrap:{watermark}");
        self.mend_silences(lead, &corr).await?;
        let mut draft = Draft::new(&self.me, corr);
        draft.expect(cursor_entity(), cursor_seq);
        lead.expect(&mut draft);
        let bootstrapped = GraphBootstrapped {
            watermark,
            vertices: self.graph.vertex_count(),
            edges: self.graph.edge_count(),
        };
        let entity = Entity::new("graph", "main");
        let cause = draft.begin(&watermark.to_string(), entity, bootstrapped);
        let ahead = watermark > cursor;
        if ahead {
            // Commits may number from anywhere where nothing was ever read.
            let commits = if cursor == Cursor::START {
                0
            } else {
                watermark.commit - cursor.commit
            };
            if commits > 0 {
                let skipped = StreamSkipped {
                    after: cursor,
                    commits,
                };
                draft.follow(cause, cursor_entity(), skipped);
            }
            let advanced = CursorAdvanced {
                to: watermark,
                commits: 0,
                records: 0,
            };
            draft.follow(cause, cursor_entity(), advanced);
        }
        if let Err(fault) = self.context.journal.append(draft.finish()).await {
            return Err(match fault {
                JournalFault::Conflict { .. } => Fault::worker(fault.to_string()),
                fault => fault.into(),
            });
        }
        // Only now: whatever fails before is tried again with the same offer.
        self.offered = None;
        tracing::info!(
            %watermark, passed_over_from = ahead.then(|| tracing::field::display(cursor)),
            "a graph that was read from elsewhere than the change log is taken over"
        );
        self.save().await
    }

    /// Makes what the journal knows of blocks and mutes what the graph says.
    async fn mend_silences(&self, lead: Lead, corr: &str) -> Result<(), Fault> {
        let differences = differences(
            &self.graph,
            &self.context.model,
            &self.context.projections.wishes(),
        );
        for some in differences.chunks(APPENDED_AT_ONCE) {
            let mut draft = Draft::new(&self.me, corr);
            lead.expect(&mut draft);
            for (entity, fact) in some {
                let upstream = format!("{corr}:{}", entity.0);
                draft.begin(&upstream, entity.clone(), fact.clone());
            }
            self.context.journal.append(draft.finish()).await?;
        }
        Ok(())
    }
}

/// What has to be said so that the wishes' silences are the graph's.
fn differences(graph: &Graph, model: &GraphModel, wishes: &Wishes) -> Vec<(Entity, Fact)> {
    let mut holds: HashSet<(PersonId, ElementId, Silence)> = HashSet::new();
    let mut found = Vec::new();
    for (id, ends) in graph.edges() {
        let Some(silence) = model.silence_of(&ends.label) else {
            continue;
        };
        let (person, other) = (PersonId::from(ends.from), ends.to);
        let known = wishes.silences(&person, &other, silence);
        if holds.insert((person.clone(), other.clone(), silence)) && !known {
            let placed = SilencePlaced {
                person,
                other,
                silence,
            };
            found.push((Entity::new("silence", id), placed.into()));
        }
    }
    for (person, other, silence) in wishes.all_silences() {
        let key = (person.clone(), other.clone(), silence);
        if !holds.contains(&key) {
            let (person, other, _) = key;
            let entity = Entity::new("silence", format!("{person}>{other}"));
            let lifted = SilenceLifted {
                person,
                other,
                silence,
            };
            found.push((entity, lifted.into()));
        }
    }
    found
}
