//! Full-text search over the graph's elements.
//!
//! One writes, in the order of the change log; any number ask. What was written is found once it is committed, and a
//! commit takes the place in the change log that it reaches with it: whoever goes on there misses nothing.

use async_trait::async_trait;
use iyagi_messages::cursor::Cursor;
use iyagi_search::document::DocumentId;
use iyagi_search::hits::{Page, Request};
use iyagi_search::projection::{Standing, Write};
use thiserror::Error;

/// An index of documents.
#[async_trait]
pub trait SearchIndex: Send + Sync + 'static {
    /// As of which operation of the change log the index is; [`Cursor::START`] of an empty one.
    async fn cursor(&self) -> Result<Cursor, SearchFault>;

    /// Documents as they stand, also where that is not committed yet. What is not among them is not in the index.
    async fn standing(&self, ids: &[DocumentId]) -> Result<Vec<Standing>, SearchFault>;

    /// Writes documents, and says of each, in their order, what became of it.
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, SearchFault>;

    /// Makes all that was written found, and durable together with the cursor.
    async fn commit(&self, cursor: Cursor) -> Result<(), SearchFault>;

    /// The best hits of what is committed.
    async fn search(&self, request: Request) -> Result<Page, SearchFault>;
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is written.
    Written,
    /// The index has the same or a newer one.
    Newer,
    /// The index will never take it, and says why.
    Rejected(String),
    /// The index has too much to do: the same again, later.
    Throttled,
}

/// Why the index does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchFault {
    /// The same may go well later.
    #[error("the search index is out of reach: {0}")]
    Unavailable(String),
    /// It cannot be used as it is.
    #[error("the search index must be rebuilt: {0}")]
    Damaged(String),
    /// Something is set up wrongly, which a person must mend.
    #[error("the search index refuses: {0}")]
    Refused(String),
}
