//! The graph's change log, with the semantics of Neptune Streams.

use async_trait::async_trait;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::{StreamPage, StreamRecord};
use thiserror::Error;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// At this operation.
    At(Cursor),
    /// Behind this operation.
    After(Cursor),
    /// At the oldest operation that is still kept.
    TrimHorizon,
    /// At the newest operation; at most one record is returned.
    Latest,
}

/// A place that no log reaches: who asks for it is told where the log ends.
const BEYOND: Cursor = Cursor::new(i64::MAX as u64, 1);

/// Reads the graph's change log.
#[async_trait]
pub trait ChangeStream: Send + Sync + 'static {
    /// At least one and at most `limit` records (1 to 100,000) from `position` on.
    async fn fetch(&self, position: Position, limit: u32) -> Result<StreamPage, StreamFault>;

    /// The newest operation of the log, trimmed or not; none in a log that never had one.
    async fn head(&self) -> Result<Option<Cursor>, StreamFault> {
        match self.fetch(Position::At(BEYOND), 1).await {
            Err(StreamFault::NotFound { last_valid }) => Ok(last_valid),
            Ok(page) => Ok(Some(page.last_event_id)),
            Err(fault) => Err(fault),
        }
    }

    /// The oldest record that is still kept; none in a log that keeps nothing.
    async fn oldest(&self) -> Result<Option<StreamRecord>, StreamFault> {
        match self.fetch(Position::TrimHorizon, 1).await {
            Ok(page) => Ok(page.records.into_iter().next()),
            Err(StreamFault::NotFound { .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The commit that the log begins with: the first that is kept, or else the next that will be made. It is not 1 in a
    /// log that has been trimmed, or was switched on late.
    async fn first_commit(&self) -> Result<u64, StreamFault> {
        if let Some(oldest) = self.oldest().await? {
            return Ok(oldest.event_id.commit);
        }
        Ok(self.head().await?.map_or(1, |head| head.commit + 1))
    }
}

/// Why there is no page.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum StreamFault {
    /// Nothing there: at the tip, on a replica that lags, or in a log that was reset. `last_valid` tells them apart.
    #[error("no stream records at the position; the last valid event is {last_valid:?}")]
    NotFound {
        /// The newest operation that the log has, if it says so.
        last_valid: Option<Cursor>,
    },
    /// The position has been trimmed away.
    #[error("the position is older than the stream keeps")]
    Expired,
    /// The log is switched off.
    #[error(
        "the stream is disabled on this cluster: set neptune_streams to 1 and reboot its instances"
    )]
    Disabled,
    /// The service does not let this host read the log.
    #[error(
        "the stream refuses access: allow this host's role neptune-db:GetStreamRecords on the cluster: {0}"
    )]
    Denied(String),
    /// The service asks for patience.
    #[error("the stream is throttled")]
    Throttled,
    /// The page is too big for the service's memory: ask for fewer records.
    #[error("the stream ran out of memory for a page of this size")]
    MemoryLimit,
    /// The request is wrong, which is a bug.
    #[error("the stream refused the request: {0}")]
    InvalidRequest(String),
    /// The answer is not a page. Nothing of it was used.
    #[error("the stream's answer is not a page: {0}")]
    Unparsable(String),
    /// No answer, or one from something in between.
    #[error("the stream cannot be reached: {0}")]
    Unreachable(String),
}
