//! Full-text search over the graph's elements.
//!
//! One writes, in the order of the change log; any number ask. What was written is found once it is committed, and a
//! commit takes the place in the change log that it reaches with it: whoever goes on there misses nothing.

use std::collections::BTreeSet;

use async_trait::async_trait;
use iyagi_messages::cursor::Cursor;
use iyagi_search::document::DocumentId;
use iyagi_search::hits::{Page, Request};
use iyagi_search::projection::{Standing, Write};
use thiserror::Error;

/// An index of documents.
#[async_trait]
pub trait SearchIndex: Send + Sync + 'static {
    /// Where to go on writing. Whoever writes asks this first, and again after a fault: the index may be another one by then.
    /// One whose documents were made by another projection than this port was opened with is not written.
    async fn begin(&self) -> Result<Cursor, SearchFault>;

    /// Names of the properties that committed documents have. One that no document has any more may be among them.
    async fn property_names(&self) -> Result<BTreeSet<String>, SearchFault>;

    /// As of which operation of the change log the index is; [`Cursor::START`] of an empty one.
    async fn cursor(&self) -> Result<Cursor, SearchFault>;

    /// Documents as they stand, also where that is not committed yet. What is not among them is not in the index.
    async fn standing(&self, ids: &[DocumentId]) -> Result<Vec<Standing>, SearchFault>;

    /// Writes documents, and says of each, in their order, what became of it.
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, SearchFault>;

    /// Makes all that was written found, and durable together with the cursor.
    async fn commit(&self, cursor: Cursor) -> Result<(), SearchFault>;

    /// Tries a document once more that was rejected, as it stands now.
    async fn retry(&self, id: &DocumentId) -> Result<Outcome, SearchFault>;

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
    /// The index does not take it as it is, and says why. It stands all the same, if the index can keep what it does not
    /// index, so that what comes next is not folded onto less.
    Rejected(Rejection),
    /// The index has too much to do: the same again, later.
    Throttled,
}

/// Why an index does not take a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct Rejection {
    /// What kind of trouble that is.
    pub class: RejectionClass,
    /// What the index says.
    pub detail: String,
}

/// Troubles with a document that are mended in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectionClass {
    /// A property is of another type than it was, or there is one too many: a rebuild, or another limit, mends it.
    Mapping,
    /// It is more than the index takes in one request.
    TooLarge,
    /// Anything else.
    Refused,
}

impl RejectionClass {
    /// As a stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mapping => "mapping",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
        }
    }
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
