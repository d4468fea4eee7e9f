//! A letter as it stands in the queue: versioned, with references instead of texts and tokens.

use iyagi_messages::ids::EventId;
use iyagi_messages::letter::{Letter, Origin};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of the body; a reader of another version leaves the message alone.
const VERSION: u32 = 1;

/// The body of a message in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Version of this shape.
    pub v: u32,
    /// The letter.
    #[serde(flatten)]
    pub letter: Letter,
}

/// A body that is no letter of this version.
#[derive(Debug, Error)]
#[error("the message is no dead letter of version {VERSION}: {0}")]
pub struct NotALetter(String);

impl DeadLetter {
    /// The message of a letter.
    pub fn of(letter: &Letter) -> Self {
        Self {
            v: VERSION,
            letter: letter.clone(),
        }
    }

    /// Reads a message's body.
    pub fn parse(body: &str) -> Result<Self, NotALetter> {
        let letter: Self =
            serde_json::from_str(body).map_err(|error| NotALetter(error.to_string()))?;
        if letter.v == VERSION {
            Ok(letter)
        } else {
            Err(NotALetter(format!("it has version {}", letter.v)))
        }
    }

    /// The body as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a letter has only text keys, so it is always JSON")
    }
}

/// Letters of one recipient, object or element are redriven in order; nobody else waits for them.
pub fn group_id(letter: &Letter) -> String {
    match &letter.origin {
        Origin::Push { recipient, .. } => {
            format!("r:{}", EventId::root("recipient", recipient.as_str()))
        }
        Origin::Object { key, .. } => format!("o:{}", EventId::root("object", key)),
        Origin::Document { element, .. } => {
            format!("d:{}", EventId::root("document", element.as_str()))
        }
    }
}

/// The generation keeps a job that dies again within five minutes from being dropped as a duplicate.
pub fn deduplication_id(letter: &Letter) -> String {
    format!(
        "{}.{}.{}",
        letter.origin.name(),
        letter.id,
        letter.generation
    )
}
