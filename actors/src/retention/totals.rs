//! What events add up to.

use iyagi_messages::compaction::Totals;
use iyagi_messages::event::Event;
use iyagi_messages::fact::{Fact, NO_OUTCOME};
use thiserror::Error;

use crate::projections::Outbox;

/// Some events are no whole stories, so it is not known what they add up to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{pending} pushes among them are not settled, and {contradictions} events contradict the others"
)]
pub struct NotWhole {
    pending: u64,
    contradictions: u64,
}

/// Adds what some events add up to, given in order of position: of each push that is among them, all events are.
pub fn add(totals: &mut Totals, events: &[Event]) -> Result<(), NotWhole> {
    let mut folded = Outbox::behind(totals);
    let mut added = totals.clone();
    for event in events {
        folded.apply(event);
        match &event.fact {
            Fact::CatchUpBegun(_) => added.catch_ups += 1,
            Fact::PlatformPaused(paused) => {
                *added.pauses.entry(paused.platform).or_default() += 1;
            }
            Fact::DaemonStarted(_) => added.starts += 1,
            Fact::PushFailed(failed) if failed.code == NO_OUTCOME => added.unknown_outcomes += 1,
            _ => {}
        }
    }
    let counts = folded.counts;
    if counts.pending > 0 || folded.contradictions > 0 {
        return Err(NotWhole {
            pending: counts.pending,
            contradictions: folded.contradictions,
        });
    }
    *totals = Totals {
        matched: counts.matched,
        sent: counts.sent,
        dead: counts.dead,
        suppressed: counts.suppressed,
        bounced: counts.bounced,
        redriven: counts.redriven,
        purged: counts.purged,
        expired: counts.expired,
        skipped_commits: folded.skipped_commits,
        withheld_commits: folded.withheld_commits,
        ..added
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use iyagi_messages::event::Entity;
    use iyagi_messages::fact::{PushRequested, PushSuppressed};
    use iyagi_messages::ids::{EventId, Pos, Seq, Timestamp};
    use iyagi_messages::push::SuppressReason;

    use super::*;
    use crate::ports::contract::inbox::push;

    fn event(pos: u64, entity: &Entity, fact: impl Into<Fact>) -> Event {
        Event {
            pos: Pos(pos),
            id: EventId::root("test", &pos.to_string()),
            entity: entity.clone(),
            seq: Seq(pos),
            at: Timestamp(0),
            cause: None,
            corr: String::new(),
            actor: "test".into(),
            fact: fact.into(),
        }
    }

    #[test]
    fn half_of_a_story_adds_up_to_nothing() {
        let push = push("minji", "phone", 1, "daniel");
        let entity = Entity::new("push", push.id);
        let requested = event(1, &entity, PushRequested { push });
        let reason = SuppressReason::Stale;
        let suppressed = event(2, &entity, PushSuppressed { reason });
        let mut totals = Totals::default();
        for half in [&requested, &suppressed] {
            let refused = add(&mut totals, std::slice::from_ref(half));
            assert!(refused.is_err(), "{half:?}");
            assert_eq!(totals, Totals::default());
        }
        assert_eq!(add(&mut totals, &[requested, suppressed]), Ok(()));
        assert_eq!(totals.matched, 1);
        assert_eq!(totals.suppressed, [(reason, 1)].into());
    }
}
