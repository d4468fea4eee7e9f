//! What a commit leads to, as events: who is told, who is not and why, and what is passed over.

use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    CatchUpBegun, CatchUpEnded, CommitMatched, Fact, PushDeferred, PushRequested, PushSuppressed,
    SilenceLifted, SilencePlaced, StreamSkipped,
};
use iyagi_messages::ids::{EventId, PersonId};
use iyagi_messages::push::Push;
use iyagi_messages::stream::{Op, RecordKind, StreamRecord};

use super::addressing::Announced;
use super::{SubscriptionMatcher, correlation, cursor_entity};
use crate::journal::Draft;
use crate::projections::{CatchUp, TrafficAhead, Turn};
use crate::push_sender::gates::{Before, Recipient, Verdict, gate};

impl SubscriptionMatcher {
    /// Journals the commits that are missing between two that are there. Before the first of all nothing is missing.
    pub(super) fn admit_jump(passed: Cursor, next: u64, draft: &mut Draft) {
        let missing = next.saturating_sub(passed.commit + 1);
        if passed == Cursor::START || missing == 0 {
            return;
        }
        tracing::warn!(after = %passed, commits = missing, "commits are passed over");
        let skipped = StreamSkipped {
            after: passed,
            commits: missing,
        };
        draft.correlate(correlation(next));
        draft.begin(&passed.to_string(), cursor_entity(), skipped);
    }

    /// Journals that the change log is read late from here on, or in time again.
    pub(super) fn note_lag(&self, commit: &Commit, before: CatchUp, draft: &mut Draft) -> CatchUp {
        let at = self.context.clock.now();
        let lag_ms = at.since_ms(commit.at);
        let Some(turn) = before.turn(lag_ms, self.context.catch_up) else {
            return before;
        };
        draft.correlate(correlation(commit.number));
        let upstream = commit.number.to_string();
        match turn {
            Turn::Begins => {
                tracing::warn!(
                    commit = commit.number,
                    lag_ms,
                    "changes are read late: only what is urgent is told of at once"
                );
                let begun = CatchUpBegun { at, lag_ms };
                draft.begin(&upstream, CatchUp::entity(), begun);
            }
            Turn::Ends => {
                tracing::info!(
                    commit = commit.number,
                    lag_ms,
                    "changes are read in time again"
                );
                let ended = CatchUpEnded { at, lag_ms };
                draft.begin(&upstream, CatchUp::entity(), ended);
            }
        }
        before.after(turn, at)
    }

    pub(super) fn note_match(commit: &Commit, announced: &Announced, draft: &mut Draft) -> EventId {
        draft.correlate(correlation(commit.number));
        let matched = CommitMatched {
            commit: commit.end(),
            at: commit.at,
            records: commit.records.len() as u64,
            pushes: (announced.pushes.len() + announced.hidden.len()) as u64,
        };
        let entity = Entity::new("commit", commit.number);
        draft.begin(&commit.number.to_string(), entity, matched)
    }

    /// Requests pushes, and suppresses or defers at once those that a gate is closed to, which it is to all that are hidden.
    pub(super) fn request(
        &self,
        cause: EventId,
        pushes: Vec<Push>,
        hidden: bool,
        catch_up: CatchUp,
        traffic: &mut TrafficAhead<'_>,
        draft: &mut Draft,
    ) {
        let now = self.context.clock.now();
        let projections = &self.context.projections;
        let (audience, wishes) = (projections.audience(), projections.wishes());
        for mut push in pushes {
            let entity = Entity::new("push", push.id);
            let recipient = Recipient {
                hidden,
                ..Recipient::of(&push, &audience, &wishes, now)
            };
            let (urgent, mut before) = match self.context.templates.get(&push.template) {
                Some(template) => (
                    template.urgent,
                    Before::of(&push, template, recipient, traffic, now),
                ),
                None => (false, Before::default()),
            };
            before.catch_up = catch_up.told_at(now, self.context.catch_up);
            push.burst = before.burst.map(|(first, _)| first);
            let verdict = gate(&push, urgent, push.expires_at, recipient, before, now);
            traffic.note(&push, now, verdict);
            let id = draft.follow(cause, entity.clone(), PushRequested { push });
            match verdict {
                Verdict::Pass => {}
                Verdict::Suppress(reason) => {
                    draft.follow(id, entity, PushSuppressed { reason });
                }
                Verdict::Defer { until, reason } => {
                    draft.follow(id, entity, PushDeferred { until, reason });
                }
            }
        }
    }

    /// Writes down whom people block and mute by edges of the graph, so that every gate on every host knows.
    pub(super) fn note_silences(&self, records: &[StreamRecord], draft: &mut Draft) {
        let model = &self.context.model;
        for record in records {
            let data = &record.data;
            let (RecordKind::Edge, Some(from), Some(to)) = (data.kind, &data.from, &data.to) else {
                continue;
            };
            let Some(silence) = model.silence_of(&data.value.text()) else {
                continue;
            };
            let (person, other) = (PersonId::from(from.clone()), to.clone());
            let entity = Entity::new("silence", &data.id);
            let fact: Fact = match record.op {
                Op::Add => SilencePlaced {
                    person,
                    other,
                    silence,
                }
                .into(),
                Op::Remove => SilenceLifted {
                    person,
                    other,
                    silence,
                }
                .into(),
            };
            draft.correlate(correlation(record.event_id.commit));
            draft.begin(&record.event_id.to_string(), entity, fact);
        }
    }
}
