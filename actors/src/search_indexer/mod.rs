//! `SearchIndexer`: keeps the search index in step with the graph.
//!
//! Reads the change log by itself, from where the index says that it is: an index that is slow or away holds up nobody's
//! pushes, and the log keeps what it has missed. Told: [`Step`], by itself. Writes `letter.requested` about documents that
//! the index does not take, and nothing else: the index is a fold of the log, and its cursor is in it.
//!
//! **Invariant:** the cursor moves only past records that are in the index, or whose document has a letter, or that were
//! counted and reported because no document can show them. No more than one page of the log is in hand.

mod batch;
mod counts;
mod following;
mod letters;
mod loading;

use std::sync::Arc;
use std::time::Duration;

pub use self::counts::SearchCounts;
use self::following::Following;
pub use self::following::{IndexTarget, fill};
pub use self::letters::DocumentLetters;
pub use self::loading::load;
use crate::fleet::Fleet;
use crate::ports::SearchFault;
use crate::runtime::{Cx, Done, Failure, Fault, Worker};
use crate::stream_poller::TURN_INTERVAL;
use crate::stream_poller::reading::LogSource;

/// The loop's tick.
#[derive(Debug)]
pub struct Step;

/// What the indexer works with.
pub struct SearchIndexerContext {
    /// The change log, and how fast to ask.
    pub log: LogSource,
    /// The index.
    pub target: IndexTarget,
    /// Whether the change log is this host's work.
    pub fleet: Fleet,
}

/// Names among the dependencies: of the log as this actor reads it, and of the index.
pub const LOG: &str = "search-stream";
const INDEX: &str = "search";
/// What makes an index whole that missed a part of the log.
pub const CURE: &str = "`iyagi search rebuild` makes the index anew";

/// Follows the change log.
pub struct SearchIndexer {
    context: Arc<SearchIndexerContext>,
    following: Option<Following>,
    /// Calls to the index in a row that failed.
    failures: u32,
}

impl SearchIndexer {
    /// An indexer that will go on where the index is.
    pub fn new(context: Arc<SearchIndexerContext>) -> Self {
        Self {
            context,
            following: None,
            failures: 0,
        }
    }

    /// Does a little and says how long to wait before doing more.
    async fn step(&mut self) -> Duration {
        let context = Arc::clone(&self.context);
        if context.fleet.leads().is_none() {
            // Whoever leads next begins at what is committed.
            self.following = None;
            self.report(true, "written by another host");
            return TURN_INTERVAL;
        }
        match self.follow(&context).await {
            Ok(wait) => wait,
            // What was not committed may be lost, so the index is asked again where it is.
            Err(fault) => self.stumble(&fault),
        }
    }

    async fn follow(&mut self, context: &SearchIndexerContext) -> Result<Duration, SearchFault> {
        let mut following = match self.following.take() {
            Some(following) => following,
            None => Following::begin(context.log.clone(), &context.target).await?,
        };
        let wait = following.on(&context.target).await?;
        self.failures = 0;
        self.report(true, &format!("written to {}", following.committed()));
        self.following = Some(following);
        Ok(wait)
    }

    fn stumble(&mut self, fault: &SearchFault) -> Duration {
        if self.failures == 0 {
            tracing::error!(%fault, "the search index has stalled; the change log keeps what it misses");
        }
        let wait = self.context.log.pace.stalled(self.failures);
        self.failures += 1;
        self.report(false, &fault.to_string());
        wait
    }

    fn report(&self, ready: bool, detail: &str) {
        let LogSource { health, clock, .. } = &self.context.log;
        health.report(INDEX, ready, detail, clock.now());
    }
}

impl Worker for SearchIndexer {
    type Msg = Step;

    async fn handle(&mut self, _: &Step, cx: &Cx<Step>) -> Result<Done, Fault> {
        let delay = self.step().await;
        cx.tell_self_after(delay, Step);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Step, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::worker(format!(
            "the search indexer keeps failing: {reason}"
        )))
    }
}
