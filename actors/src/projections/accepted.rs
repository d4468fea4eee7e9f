//! Which push the gateway's own id stands for, for those that it took lately.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{Pos, PushId};

use crate::journal::{Journal, JournalFault};

/// Pushes that are remembered, in some ten megabytes. The failures that matter are told within seconds; of a push that
/// is told of later than 65,536 others, only the count suffers: its phone is found dead by its next push.
const PUSHES_MAX: usize = 65_536;
/// Events that are read again at a start: the pushes of the last minutes of a busy daemon.
const EVENTS_BACK: u64 = 50_000;
/// Events that are read at once.
const PAGE: usize = 10_000;

/// Pushes that the gateway took lately. Whoever does not ask has no such projection, and no cost of it.
#[derive(Debug, Default)]
pub struct RecentlyAccepted {
    pushes: Mutex<Pushes>,
}

#[derive(Debug, Default)]
struct Pushes {
    by_gateway_id: HashMap<Arc<str>, PushId>,
    order: VecDeque<Arc<str>>,
}

impl RecentlyAccepted {
    /// Reads the journal's end, and follows it from then on.
    pub async fn follow(journal: &dyn Journal) -> Result<Arc<Self>, JournalFault> {
        let accepted = Arc::new(Self::default());
        let followed = Arc::clone(&accepted);
        // First the hook, so that no commit falls between: one that is seen twice is the same entry.
        journal.on_commit(Arc::new(move |events| followed.apply(events)));
        let head = journal.head().await?;
        let mut pos = Pos(head.0.saturating_sub(EVENTS_BACK));
        while pos < head {
            let events = journal.read(pos, PAGE).await?;
            let Some(last) = events.last() else { break };
            pos = last.pos;
            accepted.apply(&events);
        }
        Ok(accepted)
    }

    /// The push that the gateway knows by this id.
    pub fn push(&self, gateway_id: &str) -> Option<PushId> {
        self.pushes().by_gateway_id.get(gateway_id).copied()
    }

    fn apply(&self, events: &[Event]) {
        for event in events {
            let Fact::PushAccepted(accepted) = &event.fact else {
                continue;
            };
            let key = event.entity.0.strip_prefix("push/");
            let Some(push) = key.and_then(|key| key.parse().ok()) else {
                tracing::error!(pos = %event.pos, entity = %event.entity, "a push was accepted that is no push");
                continue;
            };
            self.pushes().insert(&accepted.gateway_id, push);
        }
    }

    fn pushes(&self) -> MutexGuard<'_, Pushes> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pushes {
    fn insert(&mut self, gateway_id: &str, push: PushId) {
        let gateway_id: Arc<str> = gateway_id.into();
        let known = self.by_gateway_id.insert(Arc::clone(&gateway_id), push);
        if known.is_some() {
            return;
        }
        self.order.push_back(gateway_id);
        if self.order.len() > PUSHES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_gateway_id.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_oldest_push_is_forgotten_for_the_newest() {
        let mut pushes = Pushes::default();
        let push = PushId(Uuid::nil());
        for number in 0..=PUSHES_MAX {
            pushes.insert(&number.to_string(), push);
            pushes.insert(&number.to_string(), push);
        }
        assert_eq!(pushes.by_gateway_id.len(), PUSHES_MAX);
        assert_eq!(pushes.order.len(), PUSHES_MAX);
        assert!(!pushes.by_gateway_id.contains_key("0"));
        assert!(pushes.by_gateway_id.contains_key("1"));
    }
}
