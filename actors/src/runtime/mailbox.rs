//! A mailbox whose bound holds: a permit rides in every envelope until the message is done.
//!
//! So the capacity bounds what is queued and what is in hand together, senders wait for room, and
//! their waiting is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use actix::{Message, Recipient};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::Instant;

use super::fault::Failure;
use super::lanes::LaneKey;
use super::record::Record;

/// The actor has stopped for good; the message comes back.
#[derive(Debug, thiserror::Error)]
#[error("actor {actor} has stopped and takes no more messages")]
pub struct Closed<M> {
    /// Whose mailbox it was.
    pub actor: Arc<str>,
    /// The message that was not accepted.
    pub message: M,
}

/// The message was not accepted just now, and comes back.
#[derive(Debug, thiserror::Error)]
pub enum Refused<M> {
    /// There is no room: wait with `tell`, or let the message go and count it.
    #[error("the mailbox of actor {actor} is full")]
    Full {
        /// Whose mailbox it is.
        actor: Arc<str>,
        /// The message that was not accepted.
        message: M,
    },
    /// The actor has stopped for good.
    #[error("actor {actor} has stopped and takes no more messages")]
    Closed {
        /// Whose mailbox it was.
        actor: Arc<str>,
        /// The message that was not accepted.
        message: M,
    },
}

impl<M> Refused<M> {
    /// The message that was not accepted.
    pub fn into_message(self) -> M {
        match self {
            Self::Full { message, .. } | Self::Closed { message, .. } => message,
        }
    }
}

/// A message on its way, with everything that must survive the worker that holds it.
pub(super) struct Envelope<M> {
    pub(super) message: M,
    pub(super) accepted: Instant,
    /// Workers this message has killed.
    pub(super) deaths: u32,
    /// It is to be set aside by the next worker.
    pub(super) doomed: bool,
    pub(super) history: Vec<Failure>,
    /// A pool's job knows its place in the lanes.
    pub(super) ticket: Option<super::lanes::Ticket>,
    /// A tick that an actor sends to itself has none, lest a full mailbox stop its own clock.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl<M> Envelope<M> {
    pub(super) fn new(message: M, accepted: Instant, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            message,
            accepted,
            deaths: 0,
            doomed: false,
            history: Vec::new(),
            ticket: None,
            permit,
        }
    }
}

impl<M: Send + 'static> Message for Envelope<M> {
    type Result = ();
}

/// The way to an actor. It stays valid over every restart of the actor.
pub struct Mailbox<M: Send + 'static> {
    entrance: Entrance,
    recipient: Recipient<Envelope<M>>,
}

impl<M: Send + 'static> Mailbox<M> {
    pub(super) fn new(record: Arc<Record>, recipient: Recipient<Envelope<M>>) -> Self {
        Self {
            entrance: Entrance { record, edge: None },
            recipient,
        }
    }

    /// The same mailbox for a named sender, whose waiting is then counted apart.
    #[must_use]
    pub fn for_sender(&self, sender: &str) -> Self {
        Self {
            entrance: self.entrance.for_sender(sender),
            recipient: self.recipient.clone(),
        }
    }

    /// Sends a message, waiting for room.
    pub async fn tell(&self, message: M) -> Result<(), Closed<M>> {
        match self.entrance.enter(message).await {
            Ok(envelope) => {
                self.recipient.do_send(envelope);
                Ok(())
            }
            Err(closed) => Err(closed),
        }
    }

    /// Sends a message if there is room now.
    pub fn try_tell(&self, message: M) -> Result<(), Refused<M>> {
        let envelope = self.entrance.try_enter(message)?;
        self.recipient.do_send(envelope);
        Ok(())
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        &self.entrance.record.name
    }

    /// Messages accepted and not finished, the one in hand included.
    pub fn depth(&self) -> usize {
        self.entrance.record.depth()
    }

    /// The most it accepts.
    pub fn capacity(&self) -> usize {
        self.entrance.record.capacity
    }

    /// True once the actor has stopped for good.
    pub fn closed(&self) -> bool {
        self.entrance.record.permits.is_closed()
    }
}

impl<M: Send + 'static> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self {
            entrance: self.entrance.clone(),
            recipient: self.recipient.clone(),
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("actor", &self.name())
            .field("depth", &self.depth())
            .field("capacity", &self.capacity())
            .finish()
    }
}

/// Where a message gets its permit, or waits for it; a mailbox and a pool have the same one.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) record: Arc<Record>,
    edge: Option<Arc<AtomicU64>>,
}

impl Entrance {
    pub(super) fn new(record: Arc<Record>) -> Self {
        Self { record, edge: None }
    }

    pub(super) fn for_sender(&self, sender: &str) -> Self {
        let edge = self.record.statistics.edge(sender);
        Self {
            record: Arc::clone(&self.record),
            edge: Some(edge),
        }
    }

    pub(super) async fn enter<M>(&self, message: M) -> Result<Envelope<M>, Closed<M>> {
        let record = &self.record;
        let now = Instant::now();
        match Arc::clone(&record.permits).try_acquire_owned() {
            Ok(permit) => Ok(self.accept(message, now, permit)),
            Err(TryAcquireError::Closed) => Err(self.refuse(message)),
            Err(TryAcquireError::NoPermits) => {
                let acquired = Arc::clone(&record.permits).acquire_owned().await;
                let accepted = Instant::now();
                let waited = accepted.duration_since(now).as_micros() as u64;
                record.statistics.backpressure_us.fetch_add(waited, Relaxed);
                if let Some(edge) = &self.edge {
                    edge.fetch_add(waited, Relaxed);
                }
                match acquired {
                    Ok(permit) => Ok(self.accept(message, accepted, permit)),
                    Err(_) => Err(self.refuse(message)),
                }
            }
        }
    }

    pub(super) fn try_enter<M>(&self, message: M) -> Result<Envelope<M>, Refused<M>> {
        let actor = || Arc::clone(&self.record.name);
        match Arc::clone(&self.record.permits).try_acquire_owned() {
            Ok(permit) => Ok(self.accept(message, Instant::now(), permit)),
            Err(TryAcquireError::NoPermits) => Err(Refused::Full {
                actor: actor(),
                message,
            }),
            Err(TryAcquireError::Closed) => Err(Refused::Closed {
                actor: actor(),
                message,
            }),
        }
    }

    fn accept<M>(&self, message: M, now: Instant, permit: OwnedSemaphorePermit) -> Envelope<M> {
        self.record.statistics.accepted(self.record.depth());
        Envelope::new(message, now, Some(permit))
    }

    fn refuse<M>(&self, message: M) -> Closed<M> {
        Closed {
            actor: Arc::clone(&self.record.name),
            message,
        }
    }
}

/// Sorts a message into its lane.
pub(super) type LaneOf<M> = fn(&M) -> Option<LaneKey>;
