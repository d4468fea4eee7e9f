//! One queue: its limits, its waiting and its waking. What happens to rows is in `statements`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::queue::limits;
use iyagi_actors::ports::{Outgoing, Queue, QueueDepth, QueueFault, Received, Sent};
use iyagi_messages::ids::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::limits::is_fifo;
use super::{QueueConfig, Shared, statements};
use crate::embedded::sqlite::{Undo, WriteFault};
use crate::embedded::unique_id::unique_id;

/// The wall clock and the timer may disagree on when a moment has come; this keeps them from arguing in circles.
const WAIT_MIN: Duration = Duration::from_millis(1);

pub(super) struct EmbeddedQueue {
    config: QueueConfig,
    shared: Arc<Shared>,
    arrivals: Arc<Notify>,
    dead_letter_arrivals: Option<Arc<Notify>>,
}

impl EmbeddedQueue {
    pub(super) fn new(config: QueueConfig, shared: Arc<Shared>) -> Self {
        let redrive = config.redrive.as_ref();
        Self {
            arrivals: shared.arrivals_of(&config.name),
            dead_letter_arrivals: redrive
                .map(|redrive| shared.arrivals_of(&redrive.dead_letter_queue)),
            config,
            shared,
        }
    }

    /// Runs `work` in the writer and, once it is durable, `done` in the order of the writes, even if the caller has
    /// gone by then.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &QueueConfig) -> rusqlite::Result<T> + Send + 'static,
        done: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, QueueFault> {
        let config = self.config.clone();
        let work = move |connection: &Connection| {
            work(connection, &config).map_err(WriteFault::<std::convert::Infallible>::from)
        };
        let database = &self.shared.database;
        let written = database.write_then(Undo::Alone, work, done).await;
        written.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &dyn std::error::Error) -> QueueFault {
        QueueFault::Unavailable {
            queue: self.config.name.clone(),
            reason: error.to_string(),
        }
    }

    async fn take(
        &self,
        now: Timestamp,
        max: usize,
        visibility: Duration,
    ) -> Result<statements::Taken, QueueFault> {
        let dead_letter_arrivals = self.dead_letter_arrivals.clone();
        self.write(
            move |connection, config| {
                statements::take(connection, config, now, max, later(now, visibility))
            },
            move |taken| {
                if let (Some(arrivals), true) = (dead_letter_arrivals, taken.dead_lettered > 0) {
                    arrivals.notify_waiters();
                }
            },
        )
        .await
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn send(
        &self,
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        limits::check_batch(&self.config.name, &messages)?;
        let now = self.shared.clock.now();
        let fifo = is_fifo(&self.config.name);
        let messages: Vec<_> = messages
            .into_iter()
            .map(|message| {
                limits::check_message(&self.config.name, fifo, &message)?;
                Ok(statements::Arrival {
                    message_id: unique_id(now).to_string(),
                    sent_at: now,
                    visible_at: later(now, message.delay),
                    message,
                })
            })
            .collect();
        let arrivals = Arc::clone(&self.arrivals);
        self.write(
            move |connection, config| {
                let send = |message| match message {
                    Ok(arrival) => statements::send(connection, config, arrival).map(Ok),
                    Err(refusal) => Ok(Err(refusal)),
                };
                messages.into_iter().map(send).collect()
            },
            move |_| arrivals.notify_waiters(),
        )
        .await
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        limits::check_receive(&self.config.name, max, visibility)?;
        let deadline = Instant::now() + wait.min(limits::WAIT_MAX);
        loop {
            // It listens from here on: a message that comes while we look is not slept through.
            let arrival = self.arrivals.notified();
            let now = self.shared.clock.now();
            let taken = self.take(now, max, visibility).await?;
            if !taken.messages.is_empty() || Instant::now() >= deadline {
                return Ok(taken.messages);
            }
            let next_due = taken
                .next_due
                .map(|due| Instant::now() + Duration::from_millis(due.since_ms(now)).max(WAIT_MIN));
            let until = next_due.map_or(deadline, |due| due.min(deadline));
            // Whether it rang or the time is over, the next look tells.
            timeout_at(until, arrival).await.ok();
        }
    }

    /// Waiting changes nothing; a receive that has begun to take messages is finished by the writer all the same, and
    /// [`EmbeddedQueues::release_in_flight`](super::EmbeddedQueues::release_in_flight) gives them back at the next start.
    fn receive_can_be_dropped(&self) -> bool {
        true
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), QueueFault> {
        let now = self.shared.clock.now();
        let receipts = receipts.to_owned();
        let arrivals = Arc::clone(&self.arrivals);
        let run_out = self
            .write(
                move |connection, config| statements::delete(connection, config, &receipts, now),
                // The next message of a FIFO group is free now.
                move |_| arrivals.notify_waiters(),
            )
            .await?;
        if run_out > 0 {
            tracing::debug!(queue = %self.config.name, run_out, "deletes came after the visibility; the messages come again");
        }
        Ok(())
    }

    async fn change_visibility(
        &self,
        receipt: &str,
        visibility: Duration,
    ) -> Result<(), QueueFault> {
        limits::check_visibility(&self.config.name, visibility)?;
        let now = self.shared.clock.now();
        let receipt = receipt.to_owned();
        let arrivals = Arc::clone(&self.arrivals);
        let in_flight = self
            .write(
                move |connection, config| {
                    statements::hide(connection, config, &receipt, now, later(now, visibility))
                },
                // Waiters that sleep until the old time must learn of the new one.
                move |_| arrivals.notify_waiters(),
            )
            .await?;
        if in_flight {
            return Ok(());
        }
        Err(QueueFault::NotInFlight {
            queue: self.config.name.clone(),
        })
    }

    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        let now = self.shared.clock.now();
        let name = self.config.name.clone();
        let depth = self
            .shared
            .database
            .read(move |connection| statements::depth(connection, &name, now))
            .await;
        depth.map_err(|error| self.unavailable(&error))
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        let purged = self.write(statements::purge, |_| {}).await?;
        tracing::info!(queue = %self.config.name, purged, "queue purged");
        Ok(())
    }
}

fn later(now: Timestamp, duration: Duration) -> Timestamp {
    now.plus_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
