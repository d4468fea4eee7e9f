//! Changes that concern many: their people are told some at a time, when the senders have room.

use std::sync::Arc;

use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, FanOutCompleted, FanOutQueued};
use iyagi_messages::ids::{EventId, PersonId};
use iyagi_messages::push::Notice;

use super::SubscriptionMatcher;
use crate::fleet::Lead;
use crate::journal::{Draft, JournalFault};
use crate::projections::TrafficAhead;
use crate::runtime::Fault;

/// People that one change may concern for all of them to be told in the append that moves the cursor behind it, and people
/// on one list if they are more.
pub(super) const PEOPLE_AT_ONCE: usize = 1_000;
/// Pending pushes below which the next list's turn comes: what else happens meanwhile waits for no more than these.
const PENDING_MAX: u64 = 2 * PEOPLE_AT_ONCE as u64;

/// Of one change, those who are told later.
#[derive(Debug, Clone, PartialEq)]
pub struct FanOut {
    /// What they are told.
    pub notice: Notice,
    /// Who, in the order in which they are told.
    pub people: Vec<PersonId>,
}

/// What became of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// Nobody is left.
    Empty,
    /// Some were told, and perhaps more are left.
    Told,
    /// Somebody is left, and the senders have enough to do.
    Waits,
}

impl SubscriptionMatcher {
    /// Drafts the lists of a change's people.
    pub(super) fn queue(fan_out: FanOut, matched: EventId, draft: &mut Draft) {
        let FanOut { notice, people } = fan_out;
        for (nth, some) in people.chunks(PEOPLE_AT_ONCE).enumerate() {
            let key = format!(
                "{}:{}:{}:{nth}",
                notice.commit.commit, notice.element, notice.template
            );
            let queued = FanOutQueued {
                notice: notice.clone(),
                people: some.to_vec(),
            };
            draft.follow(matched, Entity::new("fan_out", key), queued);
        }
    }

    /// Requests the pushes of the next list, if the senders have room.
    pub(super) async fn tell_next_list(&mut self, lead: Lead) -> Result<Queue, Fault> {
        let context = Arc::clone(&self.context);
        let projections = &context.projections;
        let Some(pos) = projections.fan_outs().next() else {
            return Ok(Queue::Empty);
        };
        if self.has_no_room(PENDING_MAX) {
            return Ok(Queue::Waits);
        }
        let event = context.journal.at(vec![pos]).await?.pop();
        let Some((event, queued)) = event.and_then(|event| match &event.fact {
            Fact::FanOutQueued(queued) => Some((event.clone(), queued.clone())),
            _ => None,
        }) else {
            return Err(Fault::worker(format!(
                "no list of people is at position {pos}"
            )));
        };
        let mut draft = Draft::new(&self.me, event.corr);
        draft.expect(event.entity.clone(), event.seq);
        lead.expect(&mut draft);
        let pushes = {
            let requested = projections.traffic();
            let mut traffic = TrafficAhead::of(&requested, projections.traffic_policy());
            let audience = projections.audience();
            let pushes = queued.people.iter().flat_map(|person| {
                let phones = audience.devices_of(person);
                queued.notice.to(person, phones)
            });
            let pushes: Vec<_> = pushes.collect();
            drop(audience);
            let count = pushes.len() as u64;
            self.request(
                event.id,
                pushes,
                projections.catch_up(),
                &mut traffic,
                &mut draft,
            );
            count
        };
        let completed = FanOutCompleted {
            queued: pos,
            people: queued.people.len() as u64,
            pushes,
        };
        draft.follow(event.id, event.entity, completed);
        match context.journal.append(draft.finish()).await {
            Ok(_) => Ok(Queue::Told),
            // Another host leads now, and has told them.
            Err(fault @ JournalFault::Conflict { .. }) => Err(Fault::worker(fault.to_string())),
            Err(fault) => Err(fault.into()),
        }
    }
}
