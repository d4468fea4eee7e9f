//! A dead letter: a job that was given up and that a person or time can mend.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::change::ElementKind;
use crate::cursor::Cursor;
use crate::ids::{ElementId, LetterId, PersonId, PushId, Timestamp};

/// A job that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Letter {
    /// The same failed job always has the same letter.
    pub id: LetterId,
    /// How often the job has been given up, from 1; part of the queue's deduplication id.
    pub generation: u32,
    /// The job.
    pub origin: Origin,
    /// Why, as a stable word: a failure class or a reason code.
    pub reason: String,
    /// Why, in words.
    pub detail: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub at: Timestamp,
}

/// The job that a letter stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "job")]
pub enum Origin {
    /// A push.
    Push {
        /// The push.
        push: PushId,
        /// Its recipient, for order per person on redrive.
        recipient: PersonId,
    },
    /// A consumer's work on an object.
    Object {
        /// `thumbnails`, `audio` or `metadata`.
        consumer: String,
        /// The object's key, decoded.
        key: String,
        /// The queue message to send again.
        message: String,
    },
    /// A document that the search index does not take.
    Document {
        /// Vertex or edge.
        kind: ElementKind,
        /// The element that it is of.
        element: ElementId,
        /// As of which operation of the change log it was.
        as_of: Cursor,
    },
}

impl Origin {
    /// The job's kind as it stands in listings and metrics.
    pub fn name(&self) -> &str {
        match self {
            Self::Push { .. } => "push",
            Self::Object { consumer, .. } => consumer,
            Self::Document { .. } => "document",
        }
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} letter {} ({})",
            self.origin.name(),
            self.id,
            self.reason
        )
    }
}
