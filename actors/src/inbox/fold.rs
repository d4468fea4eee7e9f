//! What the journal's events do to inboxes: a pure function of the events.

use std::collections::HashSet;

use iyagi_messages::event::Event;
use iyagi_messages::fact::{Fact, InboxRead};
use iyagi_messages::ids::{Pos, PushId, Seq, Timestamp};
use iyagi_messages::push::{Push, SuppressReason};

/// The kinds of events that do something to inboxes.
pub const KINDS: [&str; 3] = ["push.requested", "push.suppressed", "inbox.read"];

/// What is to be done to one inbox.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'e> {
    /// A change is to be told.
    Tell {
        /// The push to one of the recipient's phones.
        push: &'e Push,
        /// Where it was requested.
        pos: Pos,
    },
    /// What a push told is not to be told after all.
    Withdraw {
        /// The push.
        push: PushId,
        /// The event that says so.
        pos: Pos,
    },
    /// A person has read something.
    Read {
        /// What.
        read: &'e InboxRead,
        /// Number of the event within the inbox.
        seq: Seq,
        /// The event.
        pos: Pos,
        /// When.
        at: Timestamp,
    },
}

/// Whether a push that is suppressed for this reason is kept from the inbox as well.
///
/// What the person does not want to know, may not know, or was just told, is. What only their phone could not or should not show is
/// what the inbox is for.
pub fn keeps_from_inbox(reason: SuppressReason) -> bool {
    use SuppressReason as Reason;
    match reason {
        Reason::Myself
        | Reason::Blocked
        | Reason::Muted
        | Reason::Unsubscribed
        | Reason::Duplicate
        | Reason::NotVisible => true,
        Reason::NoDevice
        | Reason::DeviceGone
        | Reason::EndpointDead
        | Reason::Stale
        | Reason::UnknownOutcome
        | Reason::Quiet
        | Reason::RateLimited
        | Reason::CatchUp
        // Of a burst the entry tells; of a digest each has an entry of its own, and only the phone tells of them together.
        | Reason::Merged => false,
    }
}

/// What the journal's next events do, in their order. What is told and taken back within them is not told at all.
pub fn steps(events: &[Event]) -> Vec<Step<'_>> {
    let mut kept_back: HashSet<PushId> = events.iter().filter_map(kept_back_by).collect();
    let mut steps = Vec::new();
    for event in events {
        match &event.fact {
            Fact::PushRequested(requested) => {
                let push = &requested.push;
                if !kept_back.remove(&push.id) {
                    steps.push(Step::Tell {
                        push,
                        pos: event.pos,
                    });
                }
            }
            Fact::PushSuppressed(_) => {
                // Those that were requested here are no longer in the set.
                if let Some(push) = kept_back_by(event).filter(|push| kept_back.contains(push)) {
                    steps.push(Step::Withdraw {
                        push,
                        pos: event.pos,
                    });
                }
            }
            Fact::InboxRead(read) => steps.push(Step::Read {
                read,
                seq: event.seq,
                pos: event.pos,
                at: event.at,
            }),
            _ => {}
        }
    }
    steps
}

/// The push that an event keeps from the inbox.
fn kept_back_by(event: &Event) -> Option<PushId> {
    match &event.fact {
        Fact::PushSuppressed(suppressed) if keeps_from_inbox(suppressed.reason) => {
            event.entity.0.strip_prefix("push/")?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use iyagi_messages::event::Entity;
    use iyagi_messages::fact::{PushRequested, PushSuppressed};
    use iyagi_messages::ids::EventId;

    use super::*;
    use crate::ports::contract::inbox::push;

    fn event(pos: u64, entity: Entity, fact: impl Into<Fact>) -> Event {
        Event {
            pos: Pos(pos),
            id: EventId::root("test", &pos.to_string()),
            entity,
            seq: Seq(1),
            at: Timestamp(0),
            cause: None,
            corr: String::new(),
            actor: "test".into(),
            fact: fact.into(),
        }
    }

    fn suppressed(pos: u64, push: &Push, reason: SuppressReason) -> Event {
        event(pos, Entity::new("push", push.id), PushSuppressed { reason })
    }

    fn requested(pos: u64, push: &Push) -> Event {
        let push = push.clone();
        event(pos, Entity::new("push", push.id), PushRequested { push })
    }

    #[test]
    fn what_a_gate_keeps_back_at_once_is_never_told() {
        let (blocked, limited) = (
            push("minji", "p", 1, "daniel"),
            push("minji", "p", 2, "grace"),
        );
        let events = [
            requested(1, &blocked),
            suppressed(2, &blocked, SuppressReason::Blocked),
            requested(3, &limited),
            suppressed(4, &limited, SuppressReason::RateLimited),
        ];
        let told = Step::Tell {
            push: &limited,
            pos: Pos(3),
        };
        assert_eq!(steps(&events), [told]);
    }

    #[test]
    fn what_a_gate_keeps_back_later_is_taken_back() {
        let late = push("minji", "p", 1, "daniel");
        let events = [suppressed(9, &late, SuppressReason::Unsubscribed)];
        let withdrawn = Step::Withdraw {
            push: late.id,
            pos: Pos(9),
        };
        assert_eq!(steps(&events), [withdrawn]);
        assert_eq!(
            steps(&[suppressed(9, &late, SuppressReason::DeviceGone)]),
            []
        );
    }
}
