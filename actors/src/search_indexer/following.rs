//! The way from the log to the index.

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_search::projection::{Projection, Write};

use super::batch::Batch;
use super::counts::SearchCounts;
use super::letters::DocumentLetters;
use crate::ports::{Clock, Rejection, SearchFault, SearchIndex};
use crate::stream_poller::reading::{LogReader, LogSource, More, Reading};

/// Where documents go.
#[derive(Clone)]
pub struct IndexTarget {
    /// The index.
    pub index: Arc<dyn SearchIndex>,
    /// From records to documents.
    pub projection: Projection,
    /// What became of records and documents.
    pub counts: Arc<SearchCounts>,
    /// Writes letters about documents that the index does not take; without it they are counted only.
    pub letters: Option<Arc<DocumentLetters>>,
}

impl IndexTarget {
    /// Writes a document off that the index does not take. That is durable before the cursor moves on.
    pub(super) async fn give_up(
        &self,
        write: &Write,
        rejection: &Rejection,
    ) -> Result<(), SearchFault> {
        let (Some(letters), Write::Index(standing)) = (&self.letters, write) else {
            return Ok(());
        };
        let written = letters.write(standing, rejection).await;
        // What is not in the journal is read, and rejected, again.
        written.map_err(|fault| SearchFault::Unavailable(fault.to_string()))
    }
}

/// A commit costs a tenth of a second however little is in it, so there are few of them.
const COMMIT_INTERVAL_MS: u64 = 500;
/// While the index is behind, what is new to it is old to people, and few large commits are cheaper than many small ones.
const COMMIT_INTERVAL_BEHIND_MS: u64 = 5_000;
/// Documents after which it is time for a commit all the same: they are held in memory until then.
pub(super) const COMMIT_DOCUMENTS: usize = 10_000;

/// A place on the way from the log to the index.
pub(super) struct Following {
    log: LogReader,
    batch: Batch,
    /// How the log goes on behind what is in hand, until it is known to be handed over.
    more: Option<More>,
    committed: Cursor,
    committed_at: Timestamp,
    clock: Arc<dyn Clock>,
}

/// Brings an index that nobody else writes forward to an operation of the log. `progress` is told after each step as of
/// which operation the index is. A log that cannot be read is not waited for.
pub async fn fill(
    log: LogSource,
    target: &IndexTarget,
    to: Cursor,
    mut progress: impl FnMut(Cursor),
) -> Result<(), SearchFault> {
    let (health, dependency) = (Arc::clone(&log.health), log.dependency);
    let mut following = Following::begin(log, target).await?;
    while following.committed < to {
        let wait = following.on(target).await?;
        progress(following.committed);
        if let Some(log) = health.all().remove(dependency).filter(|log| !log.ready) {
            return Err(SearchFault::Unavailable(log.detail));
        }
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

impl Following {
    /// Goes on where the index is.
    pub(super) async fn begin(log: LogSource, target: &IndexTarget) -> Result<Self, SearchFault> {
        let cursor = target.index.begin().await?;
        warn_of_a_late_beginning(&log, cursor).await;
        let names = target.index.property_names().await?;
        Ok(Self {
            clock: Arc::clone(&log.clock),
            batch: Batch::behind(cursor, names, log.pace),
            log: LogReader::behind(cursor, log),
            more: None,
            committed: cursor,
            committed_at: Timestamp(0),
        })
    }

    /// As of which operation the index was when it was committed last.
    pub(super) fn committed(&self) -> Cursor {
        self.committed
    }

    /// Writes what is in hand, and reads on once that is nothing.
    pub(super) async fn on(&mut self, target: &IndexTarget) -> Result<Duration, SearchFault> {
        let mut wait = Duration::ZERO;
        if self.batch.is_empty() {
            match self.log.read().await {
                Reading::Available(portions, more) => {
                    self.batch.take(portions);
                    self.more = Some(more);
                }
                Reading::Nothing(nothing) => wait = nothing,
            }
        }
        let throttled = self.batch.write(target).await?;
        let due = self.commit_due_in(self.clock.now());
        if due == Some(Duration::ZERO) || throttled.is_some() {
            self.commit(target).await?;
        }
        if let Some(wait) = throttled {
            return Ok(wait);
        }
        if self.batch.is_empty()
            && let Some(more) = self.more
        {
            self.more = None;
            wait = self.log.handed_over(more);
        }
        Ok(match self.commit_due_in(self.clock.now()) {
            Some(due) => wait.min(due),
            None => wait,
        })
    }

    /// How long what is written may wait for its commit; nothing if all is committed.
    fn commit_due_in(&self, now: Timestamp) -> Option<Duration> {
        if self.batch.written_to() == self.committed {
            return None;
        }
        let since = now.since_ms(self.committed_at);
        let interval = if self.more == Some(More::AtOnce) {
            COMMIT_INTERVAL_BEHIND_MS
        } else {
            COMMIT_INTERVAL_MS
        };
        let full = self.batch.uncommitted() >= COMMIT_DOCUMENTS;
        let left = if full {
            0
        } else {
            interval.saturating_sub(since)
        };
        Some(Duration::from_millis(left))
    }

    async fn commit(&mut self, target: &IndexTarget) -> Result<(), SearchFault> {
        let cursor = self.batch.written_to();
        target.index.commit(cursor).await?;
        self.batch.committed();
        self.committed = cursor;
        self.committed_at = self.clock.now();
        target.counts.commits.count(1);
        Ok(())
    }
}

/// An empty index begins with whatever is the oldest that the log keeps, which is told of: it will never be found missing.
async fn warn_of_a_late_beginning(log: &LogSource, cursor: Cursor) {
    if cursor != Cursor::START {
        return;
    }
    // A log that cannot be read now is told of when it is read.
    if let Ok(first @ 2..) = log.stream.first_commit().await {
        tracing::warn!(
            first,
            cure = log.cure,
            "the change log has lost its beginning, so the new search index lacks what did not change since"
        );
    }
}
