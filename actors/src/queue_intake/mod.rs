//! `QueueIntake`: receives from one queue and feeds one pool, and keeps what is in work hidden from other hosts.
//!
//! Owns the receipts of everything in work. Told: [`Receive`], by itself. It takes no more than the pool has room for,
//! so a slow pool stops the receiving, not the memory.

mod delivery;

use std::sync::Arc;
use std::time::Duration;

pub use delivery::{Deliveries, Delivery};

use crate::health::Health;
use crate::ports::{Clock, Queue, QueueFault};
use crate::runtime::{Cx, Done, Failure, Fault, PoolHandle, Worker};

/// The loop's tick.
#[derive(Debug)]
pub struct Receive;

/// What an intake works with.
pub struct QueueIntakeContext {
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The pool that does the work.
    pub pool: PoolHandle<Delivery>,
    /// What is in work.
    pub deliveries: Arc<Deliveries>,
    /// Where the queue's condition is reported.
    pub health: Arc<Health>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How long a message is hidden at a time; its receipt is renewed at half of it for as long as the work takes.
pub const VISIBILITY: Duration = Duration::from_secs(30);
/// How long one receive waits for a message, as SQS allows at most.
const WAIT: Duration = Duration::from_secs(20);
/// Messages in one receive, as SQS allows at most.
const BATCH: usize = 10;

/// Feeds a pool from a queue.
pub struct QueueIntake {
    context: Arc<QueueIntakeContext>,
}

impl QueueIntake {
    /// An intake with nothing received.
    pub fn new(context: Arc<QueueIntakeContext>) -> Self {
        Self { context }
    }

    async fn receive(&self, cx: &Cx<Receive>) -> Result<(), QueueFault> {
        let received = tokio::select! {
            received = self.context.queue.receive(BATCH, WAIT, VISIBILITY) => received?,
            () = cx.until_draining() => return Ok(()),
        };
        for message in received {
            let delivery = Delivery::new(
                Arc::clone(&self.context.queue),
                message,
                &self.context.deliveries,
            );
            if let Err(closed) = self.context.pool.submit(delivery).await {
                tracing::info!(
                    pool = closed.actor.as_ref(),
                    "the pool is closed; the message goes back to its queue"
                );
                closed.message.give_back(Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    /// Renews receipts for as long as `work` takes.
    async fn renewing<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(VISIBILITY / 2) => {
                    self.context.deliveries.renew(&*self.context.queue, VISIBILITY).await;
                }
            }
        }
    }
}

impl Worker for QueueIntake {
    type Msg = Receive;

    async fn handle(&mut self, _: &Receive, cx: &Cx<Receive>) -> Result<Done, Fault> {
        let name = format!("intake {}", self.context.queue.name());
        let now = self.context.clock.now();
        match self.renewing(self.receive(cx)).await {
            Ok(()) => {
                self.context.health.report(&name, true, "receiving", now);
                cx.tell_self_after(Duration::ZERO, Receive);
                Ok(Done::Finished)
            }
            Err(fault) => {
                self.context
                    .health
                    .report(&name, false, fault.to_string(), now);
                Err(Fault::dependency(fault.to_string()).caused_by(fault))
            }
        }
    }

    async fn set_aside(&mut self, _: &Receive, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        Err(Fault::worker(format!(
            "the intake of queue {} keeps failing: {}",
            self.context.queue.name(),
            history.last().map_or("no reason", Failure::reason)
        )))
    }
}
