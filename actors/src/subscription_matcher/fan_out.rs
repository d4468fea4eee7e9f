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
use crate::projections::lexicon::NOBODY;
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
    /// Whether they may not see it, so that they are not.
    pub hidden: bool,
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
    /// Drafts the lists of people of one of a commit's fan-outs. Two may be of one change and one template.
    pub(super) fn queue(fan_out: FanOut, which: usize, matched: EventId, draft: &mut Draft) {
        let FanOut {
            notice,
            people,
            hidden,
        } = fan_out;
        for (nth, some) in people.chunks(PEOPLE_AT_ONCE).enumerate() {
            let key = format!(
                "{}:{}:{}:{which}:{nth}",
                notice.commit.commit, notice.element, notice.template
            );
            let queued = FanOutQueued {
                notice: notice.clone(),
                people: some.to_vec(),
                hidden,
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
        let (seen, hidden) = self.by_sight(&queued);
        let pushes = {
            let requested = projections.traffic();
            let mut traffic = TrafficAhead::of(&requested, projections.traffic_policy());
            let mut count = 0;
            for (people, hidden) in [(seen, false), (hidden, true)] {
                let pushes = {
                    let audience = projections.audience();
                    let pushes = people.into_iter().flat_map(|person| {
                        let phones = audience.devices_of(person);
                        queued.notice.to(person, phones)
                    });
                    pushes.collect::<Vec<_>>()
                };
                count += pushes.len() as u64;
                let catch_up = projections.catch_up();
                self.request(event.id, pushes, hidden, catch_up, &mut traffic, &mut draft);
            }
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

    /// Those on a list who may see what it tells of, and those who may not. It may have been hidden since it was matched.
    fn by_sight<'q>(&mut self, queued: &'q FanOutQueued) -> (Vec<&'q PersonId>, Vec<&'q PersonId>) {
        let FanOutQueued {
            notice,
            people,
            hidden,
        } = queued;
        let wishes = self.context.projections.wishes();
        self.matcher.look(&mut self.graph, &wishes, |by| {
            let sight = by.sight_of_element(&notice.element);
            people.iter().partition(|person| {
                let number = by.lexicon.ids.get(person.as_str()).unwrap_or(NOBODY);
                // What is gone from the graph is told as it was matched.
                let may = sight
                    .as_ref()
                    .is_none_or(|sight| sight.is_of(number, person));
                may && !hidden
            })
        })
    }
}
