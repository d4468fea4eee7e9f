//! Queues with the semantics of SQS, many of them in one SQLite file.
//!
//! A message is one row. It is visible when its time has come, in flight while that time lies ahead and it has been
//! received, delayed while it has not. Every change runs in the file's one writer, so that no two receivers can take
//! the same message; receivers that wait are woken by whatever makes a message visible, or by the clock.

mod limits;
mod queue;
mod statements;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use iyagi_actors::ports::{Clock, Queue};
use thiserror::Error;
use tokio::sync::Notify;

use self::queue::EmbeddedQueue;
use crate::embedded::sqlite::{Database, DatabaseError, Schema};

const SCHEMA: Schema = Schema {
    application_id: 0x6979_5175,
    migrations: &[include_str!("schema.sql")],
    shrinks: false,
};

/// Every queue of one SQLite file.
#[derive(Clone)]
pub struct EmbeddedQueues {
    shared: Arc<Shared>,
}

/// How a queue behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// Its name; that of a FIFO queue ends in `.fifo`.
    pub name: String,
    /// Where messages go that nobody manages to handle; without it they come back for ever.
    pub redrive: Option<Redrive>,
}

/// When and where a message is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The queue that takes it, of the same kind.
    pub dead_letter_queue: String,
    /// How often it is received before.
    pub max_receive_count: u32,
}

/// A queue that cannot be.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum InvalidQueue {
    /// SQS would not take the name either.
    #[error(
        "`{0}` is not a queue name: use 1 to 80 letters, digits, `-` and `_`, and `.fifo` at the end of a FIFO queue"
    )]
    Name(String),
    /// Standard and FIFO queues do not mix.
    #[error(
        "queue {queue} cannot hand its dead letters to {dead_letter_queue}: both must be standard queues, or both `.fifo`"
    )]
    Kinds {
        /// The queue.
        queue: String,
        /// The other one.
        dead_letter_queue: String,
    },
    /// A message must be received at least once, and elsewhere than where it ends.
    #[error(
        "queue {0} needs a max_receive_count of at least 1 and a dead-letter queue other than itself"
    )]
    Redrive(String),
}

/// What the queues of one file have in common.
struct Shared {
    database: Database,
    clock: Arc<dyn Clock>,
    arrivals: Mutex<HashMap<String, Arc<Notify>>>,
}

impl EmbeddedQueues {
    /// Opens or creates the file.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        let database = Database::open(path, &SCHEMA)?;
        let shared = Shared {
            database,
            clock,
            arrivals: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// One of the queues. Handles of one name share their messages.
    pub fn queue(&self, config: QueueConfig) -> Result<Arc<dyn Queue>, InvalidQueue> {
        limits::check_config(&config)?;
        Ok(Arc::new(EmbeddedQueue::new(
            config,
            Arc::clone(&self.shared),
        )))
    }

    /// Shows every received message again at once; yields how many.
    ///
    /// For whoever is the only one to receive, and starts anew: what is in flight was in hands that are gone.
    pub async fn release_in_flight(&self) -> Result<usize, DatabaseError> {
        let now = self.shared.clock.now();
        self.shared
            .database
            .write(move |connection| Ok(statements::release_in_flight(connection, now)?))
            .await
    }

    /// Resolves with the reason once a full disk, an I/O error or damage has ended all writing.
    pub async fn stopped(&self) -> String {
        self.shared.database.stopped().await
    }
}

impl Shared {
    /// What rings when a message of the queue may have become visible.
    fn arrivals_of(&self, queue: &str) -> Arc<Notify> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(arrivals.entry(queue.to_owned()).or_default())
    }
}
