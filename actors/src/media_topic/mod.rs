//! `MediaTopic`: one notification from the object store, many independent consumers.
//!
//! On AWS an SNS topic does this; embedded, this actor mirrors it. It receives from the store's intake queue and
//! broadcasts to one [`QueueSubscription`] per consumer, each with its own mailbox and its own fate, which puts the
//! message in that consumer's queue.
//!
//! **Invariant:** a notification leaves the intake queue only when every subscription has it durably.

mod subscription;

use std::sync::Arc;
use std::time::Duration;

pub use subscription::{Notice, QueueSubscription};

use crate::health::Health;
use crate::ports::{Clock, Queue};
use crate::queue_intake::receive_unless_draining;
use crate::runtime::{Broadcast, Cx, Done, Failure, Fault, Outcome, Worker};

/// The loop's tick.
#[derive(Debug)]
pub struct Fan;

/// What the topic works with.
pub struct MediaTopicContext {
    /// Where the object store puts its notifications.
    pub intake: Arc<dyn Queue>,
    /// The subscriptions.
    pub topic: Broadcast<Notice>,
    /// How many subscriptions there are.
    pub subscriptions: usize,
    /// Where the queue's condition is reported.
    pub health: Arc<Health>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How long a notification is hidden: enough for every subscription to store it. It comes again otherwise.
const VISIBILITY: Duration = Duration::from_secs(30);
/// How soon a notification comes again for a subscription that had no room.
const RETRY: Duration = Duration::from_secs(1);

/// Fans notifications out.
pub struct MediaTopic {
    context: Arc<MediaTopicContext>,
}

impl MediaTopic {
    /// A topic with nothing received.
    pub fn new(context: Arc<MediaTopicContext>) -> Self {
        Self { context }
    }
}

impl Worker for MediaTopic {
    type Msg = Fan;

    async fn handle(&mut self, _: &Fan, cx: &Cx<Fan>) -> Result<Done, Fault> {
        let MediaTopicContext {
            intake,
            topic,
            subscriptions,
            health,
            clock,
        } = &*self.context;
        let name = format!("intake {}", intake.name());
        let received = receive_unless_draining(&**intake, VISIBILITY, cx).await;
        let received = received.map_err(|fault| {
            health.report(&name, false, fault.to_string(), clock.now());
            Fault::dependency(fault.to_string())
        })?;
        health.report(&name, true, "receiving", clock.now());
        for message in received {
            let receipt = message.receipt.clone();
            let notice = Arc::new(Notice::new(message, *subscriptions, Arc::clone(intake)));
            let deliveries = topic.publish(&notice);
            let refused = deliveries
                .iter()
                .find(|delivery| delivery.outcome != Outcome::Accepted);
            if let Some(refused) = refused {
                tracing::warn!(
                    subscriber = refused.subscriber.as_ref(), outcome = ?refused.outcome,
                    "a subscription had no room; the notification comes again"
                );
                // It comes again by itself if this fails.
                intake.change_visibility(&receipt, RETRY).await.ok();
            }
        }
        cx.tell_self_after(Duration::ZERO, Fan);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Fan, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::worker(format!(
            "the media topic keeps failing: {reason}"
        )))
    }
}
