//! One consumer's subscription to the topic: it stores what is published in the consumer's queue.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ports::{Outgoing, Queue, Received};
use crate::runtime::{Cx, Done, Failure, Fault, Worker};

/// A notification on its way to every subscription.
pub struct Notice {
    received: Received,
    intake: Arc<dyn Queue>,
    subscriptions: usize,
    stored_by: Mutex<HashSet<String>>,
}

impl Notice {
    /// A notification that `subscriptions` subscriptions must store before it leaves `intake`.
    pub fn new(received: Received, subscriptions: usize, intake: Arc<dyn Queue>) -> Self {
        Self {
            received,
            intake,
            subscriptions,
            stored_by: Mutex::default(),
        }
    }

    /// Notes that a subscription has stored it; true once all have.
    fn stored(&self, subscription: &str) -> bool {
        let mut stored_by = self
            .stored_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        stored_by.insert(subscription.to_owned());
        stored_by.len() == self.subscriptions
    }

    fn is_stored_by(&self, subscription: &str) -> bool {
        self.stored_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(subscription)
    }
}

/// Stores notifications in one consumer's queue.
pub struct QueueSubscription {
    queue: Arc<dyn Queue>,
}

impl QueueSubscription {
    /// A subscription of `queue`.
    pub fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue }
    }
}

impl Worker for QueueSubscription {
    type Msg = Arc<Notice>;

    async fn handle(&mut self, notice: &Arc<Notice>, _: &Cx<Arc<Notice>>) -> Result<Done, Fault> {
        if !notice.is_stored_by(self.queue.name()) {
            let message = Outgoing {
                body: notice.received.body.clone(),
                ..Outgoing::default()
            };
            let sent = self.queue.send(vec![message]).await;
            let sent = sent.and_then(|sent| sent.into_iter().collect::<Result<Vec<_>, _>>());
            sent.map_err(|fault| Fault::dependency(fault.to_string()))?;
        }
        if notice.stored(self.queue.name()) {
            let receipt = std::slice::from_ref(&notice.received.receipt);
            if let Err(fault) = notice.intake.delete(receipt).await {
                tracing::warn!(%fault, "a stored notification was not deleted and is stored again");
            }
        }
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, notice: &Arc<Notice>, history: &[Failure]) -> Result<(), Fault> {
        // It is still in the intake queue and comes again from there.
        tracing::error!(
            message = notice.received.message_id,
            ?history,
            "a notification was not stored"
        );
        Ok(())
    }
}
