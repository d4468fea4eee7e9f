//! A received message on its way through a pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iyagi_messages::media::turn_of_key;
use iyagi_messages::object::Notification;

use crate::media_job::is_offer;
use crate::ports::{Queue, QueueFault, Received};
use crate::runtime::LaneKey;

/// A received message that someone is working on. Its queue has it until [`Delivery::done`].
pub struct Delivery {
    /// The message.
    pub received: Received,
    queue: Arc<dyn Queue>,
    deliveries: Arc<Deliveries>,
}

impl Delivery {
    /// Notes a message as in work.
    pub fn new(queue: Arc<dyn Queue>, received: Received, deliveries: &Arc<Deliveries>) -> Self {
        let mut in_work = deliveries.in_work();
        in_work.insert(received.message_id.clone(), received.receipt.clone());
        drop(in_work);
        Self {
            received,
            queue,
            deliveries: Arc::clone(deliveries),
        }
    }

    /// The name of the message's queue, which is the consumer's name.
    pub fn consumer(&self) -> &str {
        self.queue.name()
    }

    /// Deletes the message: its work is durable.
    pub async fn done(&self) -> Result<(), QueueFault> {
        self.queue
            .delete(std::slice::from_ref(&self.received.receipt))
            .await
    }

    /// Gives the message back, to come again after a while.
    pub async fn give_back(&self, after: Duration) -> Result<(), QueueFault> {
        self.queue
            .change_visibility(&self.received.receipt, after)
            .await
    }
}

impl Delivery {
    /// Whether it tells of nothing new, but offers an object once more.
    pub fn offers(&self) -> bool {
        serde_json::from_str(&self.received.body).is_ok_and(|body| is_offer(&body))
    }

    /// Whose turn it is. What is offered once more is one's turn together, so that it does not hold up what is new.
    pub fn turn(&self) -> Option<LaneKey> {
        if self.offers() {
            return Some(LaneKey::of("offers"));
        }
        match Notification::parse(&self.received.body) {
            Ok(Notification::Objects(events)) => {
                let first = events.first()?;
                Some(LaneKey::of(turn_of_key(&first.key)))
            }
            Ok(Notification::Test) | Err(_) => None,
        }
    }

    /// Gives back, at the end of a drain, a message that was not begun.
    pub async fn hand_back(&self) {
        if let Err(fault) = self.give_back(Duration::ZERO).await {
            tracing::warn!(%fault, "a job was not handed back; it comes again when its receipt runs out");
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Received {
            message_id,
            receipt,
            ..
        } = &self.received;
        let mut in_work = self.deliveries.in_work();
        // One that came once more meanwhile is in work by its newer receipt.
        if in_work.get(message_id) == Some(receipt) {
            in_work.remove(message_id);
        }
    }
}

/// Receipts of everything in work, so that they can be renewed.
#[derive(Debug, Default)]
pub struct Deliveries {
    receipts: Mutex<HashMap<String, String>>,
}

impl Deliveries {
    /// How many messages are in work.
    pub fn len(&self) -> usize {
        self.in_work().len()
    }

    /// Whether nothing is in work.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hides everything in work for another `visibility`.
    pub async fn renew(&self, queue: &dyn Queue, visibility: Duration) {
        let receipts: Vec<String> = self.in_work().values().cloned().collect();
        for renewed in queue.change_visibilities(&receipts, visibility).await {
            match renewed {
                Ok(()) | Err(QueueFault::NotInFlight { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "a receipt was not renewed; its message may be done twice");
                }
            }
        }
    }

    fn in_work(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
