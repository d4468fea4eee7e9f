//! A queue with the semantics of SQS, standard or FIFO.

pub mod limits;

use std::time::Duration;

use async_trait::async_trait;
use iyagi_messages::ids::Timestamp;
use thiserror::Error;

/// Most messages in one call, as in SQS.
pub const BATCH_MAX: usize = 10;

/// One queue.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// The queue's name; that of a FIFO queue ends in `.fifo`.
    fn name(&self) -> &str;

    /// Sends at most [`BATCH_MAX`] messages; each has its own result, in order.
    ///
    /// A send whose answer is lost may be repeated below, so a standard queue can hold a message twice; a FIFO queue
    /// knows the repeat by its deduplication id.
    async fn send(
        &self,
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault>;

    /// Receives at most `max` (1 to 10) messages and hides them for `visibility`. Waits at most `wait` for the first.
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueFault>;

    /// Whether a receive that is dropped before it answers leaves the messages where they are. Where it may not, they
    /// stay hidden from everyone with one receive spent, so its answer is to be awaited.
    fn receive_can_be_dropped(&self) -> bool {
        false
    }

    /// Deletes messages by receipt; a receipt that has run out is no error, its message just comes again.
    async fn delete(&self, receipts: &[String]) -> Result<(), QueueFault>;

    /// Hides a received message until `visibility` from now; zero gives it back at once.
    async fn change_visibility(
        &self,
        receipt: &str,
        visibility: Duration,
    ) -> Result<(), QueueFault>;

    /// Hides many received messages; each has its own result, in order.
    async fn change_visibilities(
        &self,
        receipts: &[String],
        visibility: Duration,
    ) -> Vec<Result<(), QueueFault>> {
        let mut results = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            results.push(self.change_visibility(receipt, visibility).await);
        }
        results
    }

    /// How much is waiting.
    async fn depth(&self) -> Result<QueueDepth, QueueFault>;

    /// Deletes everything.
    async fn purge(&self) -> Result<(), QueueFault>;
}

/// A message to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Text, at most 1 MiB.
    pub body: String,
    /// Standard queues only: how long it stays hidden at first.
    pub delay: Duration,
    /// FIFO queues only: messages of one group come in order, one receiver at a time.
    pub group: Option<String>,
    /// FIFO queues only: the same id within five minutes is taken once.
    pub deduplication_id: Option<String>,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The queue's id of it; that of the first copy if this one was a duplicate.
    pub message_id: String,
}

/// A message that was received and is hidden from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The queue's id of it.
    pub message_id: String,
    /// What deletes it.
    pub receipt: String,
    /// Text.
    pub body: String,
    /// How often it was received, from 1.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Its group, in FIFO queues.
    pub group: Option<String>,
}

/// How much is in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that someone has received.
    pub in_flight: u64,
    /// Messages that are not due yet.
    pub delayed: u64,
    /// When the oldest message was sent.
    pub oldest_sent_at: Option<Timestamp>,
}

/// Why a call to a queue failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum QueueFault {
    /// The message, or the whole call, is not one that the queue takes.
    #[error("queue {queue} refuses the request: {reason}")]
    Refused {
        /// The queue.
        queue: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The receipt is not of a message in flight.
    #[error("queue {queue} has no message in flight with that receipt")]
    NotInFlight {
        /// The queue.
        queue: String,
    },
    /// The queue cannot be reached, or stumbled.
    #[error("queue {queue} failed: {reason}")]
    Unavailable {
        /// The queue.
        queue: String,
        /// What happened.
        reason: String,
    },
}
