//! `QueueIntake`: receives from one queue and feeds one pool, and keeps what is in work hidden from other hosts.
//!
//! Owns the receipts of everything in work. Told: [`Receive`], by itself. It takes no more than the pool has room for,
//! so a slow pool stops the receiving, not the memory.

mod delivery;

use std::sync::Arc;
use std::time::Duration;

pub use delivery::{Deliveries, Delivery};
use tokio::time::{Instant, sleep_until};

use crate::health::Health;
use crate::ports::queue::BATCH_MAX as BATCH;
use crate::ports::{Clock, Queue, QueueFault, Received};
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
/// How long one receive waits for a message. SQS allows 20 seconds, but a drain waits for a receive that is on its way.
const WAIT: Duration = Duration::from_secs(5);

/// Receives a batch, or nothing if a drain begins. A receive that may not be dropped is awaited even then.
pub async fn receive_unless_draining<M>(
    queue: &dyn Queue,
    visibility: Duration,
    cx: &Cx<M>,
) -> Result<Vec<Received>, QueueFault> {
    let mut receiving = queue.receive(BATCH, WAIT, visibility);
    tokio::select! {
        received = &mut receiving => received,
        () = cx.until_draining() => {
            if queue.receive_can_be_dropped() {
                return Ok(Vec::new());
            }
            receiving.await
        }
    }
}

/// Feeds a pool from a queue.
pub struct QueueIntake {
    context: Arc<QueueIntakeContext>,
    /// When the receipts in work are to be renewed. It outlives a tick, which can be shorter than that.
    renew_at: Instant,
}

impl QueueIntake {
    /// An intake with nothing received.
    pub fn new(context: Arc<QueueIntakeContext>) -> Self {
        Self {
            context,
            renew_at: Instant::now() + VISIBILITY / 2,
        }
    }

    /// What arrives while the drain begins is still taken on: the pool is drained after its intake, so a deploy spends no
    /// receive.
    async fn receive(&self, cx: &Cx<Receive>) -> Result<(), QueueFault> {
        let QueueIntakeContext {
            queue, deliveries, ..
        } = &*self.context;
        let received = receive_unless_draining(&**queue, VISIBILITY, cx).await?;
        // All of them at once, so that those stay hidden too that wait here for room in the pool.
        let received: Vec<Delivery> = received
            .into_iter()
            .map(|message| Delivery::new(Arc::clone(queue), message, deliveries))
            .collect();
        for delivery in received {
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
}

impl QueueIntakeContext {
    /// Renews receipts for as long as `work` takes, at `renew_at` first.
    async fn renewing<T>(&self, renew_at: &mut Instant, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                // In this order, or a queue that always has something would starve it.
                biased;
                () = sleep_until(*renew_at) => {
                    *renew_at = Instant::now() + VISIBILITY / 2;
                    self.deliveries.renew(&*self.queue, VISIBILITY).await;
                }
                done = &mut work => return done,
            }
        }
    }
}

impl Worker for QueueIntake {
    type Msg = Receive;

    async fn handle(&mut self, _: &Receive, cx: &Cx<Receive>) -> Result<Done, Fault> {
        let name = format!("intake {}", self.context.queue.name());
        let now = self.context.clock.now();
        let mut renew_at = self.renew_at;
        let receiving = self.receive(cx);
        let received = self.context.renewing(&mut renew_at, receiving).await;
        self.renew_at = renew_at;
        match received {
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
