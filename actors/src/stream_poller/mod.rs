//! `StreamPoller`: reads the graph's change log and hands whole commits to the matcher.
//!
//! Owns the reading position, which is ahead of the journal's cursor by what the matcher has in hand.
//! Told: [`Poll`], by itself. Writes nothing: the matcher moves the cursor.
//!
//! **Invariant:** a page that cannot be read, or that misses a commit, moves nothing.

pub mod assembler;
mod pace;

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;

use self::assembler::Assembler;
pub use self::pace::{PollPace, Tip, tip_of};
use crate::fleet::Fleet;
use crate::health::Health;
use crate::ports::{ChangeStream, Clock, Position, StreamFault};
use crate::projections::Projections;
use crate::runtime::{Cx, Done, Failure, Fault, Mailbox, Worker};
use crate::subscription_matcher::Commits;

/// The loop's tick.
#[derive(Debug)]
pub struct Poll;

/// What the poller works with.
pub struct StreamPollerContext {
    /// The change log.
    pub stream: Arc<dyn ChangeStream>,
    /// The journal's cursor.
    pub projections: Arc<Projections>,
    /// Whether the change log is this host's work.
    pub fleet: Fleet,
    /// Takes whole commits; its room is the poller's credit.
    pub matcher: Mailbox<Commits>,
    /// Where the stream's condition is reported.
    pub health: Arc<Health>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How fast to ask.
    pub pace: PollPace,
}

/// Name of the stream among the dependencies.
const DEPENDENCY: &str = "stream";
/// How long a log that ends before the cursor may be a replica that lags; after that it was reset.
const RESET_AFTER: Duration = Duration::from_mins(1);
/// How often a host that does not read looks whether its turn has come.
const TURN_INTERVAL: Duration = Duration::from_millis(200);
/// Records that one message to the matcher carries at most, unless one commit has more.
const BATCH_RECORDS: usize = 2_000;

/// Polls the change log.
pub struct StreamPoller {
    context: Arc<StreamPollerContext>,
    assembler: Assembler,
    limit: u32,
    misses: u32,
    behind_since: Option<Timestamp>,
    reads: bool,
}

impl StreamPoller {
    /// A poller that goes on behind the journal's cursor.
    pub fn new(context: Arc<StreamPollerContext>) -> Self {
        let cursor = context.projections.outbox().cursor;
        let limit = context.pace.limit;
        Self {
            context,
            assembler: Assembler::behind(cursor),
            limit,
            misses: 0,
            behind_since: None,
            reads: true,
        }
    }

    /// Whether it is this host's turn to read; when it comes, reading goes on where the journal says.
    fn reads(&mut self) -> bool {
        let reads = self.context.fleet.leads().is_some();
        if reads && !self.reads {
            *self = Self::new(Arc::clone(&self.context));
        }
        self.reads = reads;
        reads
    }

    async fn poll(&mut self) -> Result<Duration, Fault> {
        if !self.reads() {
            let now = self.context.clock.now();
            self.context
                .health
                .report(DEPENDENCY, true, "read by another host", now);
            return Ok(TURN_INTERVAL);
        }
        let position = match self.assembler.position() {
            Cursor { commit: 0, .. } => Position::TrimHorizon,
            cursor => Position::After(cursor),
        };
        match self.context.stream.fetch(position, self.limit).await {
            Ok(page) => {
                let full = page.records.len() >= self.limit as usize;
                let commits = match self.assembler.take(page) {
                    Ok(commits) => commits,
                    Err(gap) => return Ok(self.stall(&gap.to_string())),
                };
                self.hand_over(commits).await?;
                self.flowing();
                Ok(if full {
                    Duration::ZERO
                } else {
                    self.context.pace.interval_min()
                })
            }
            Err(StreamFault::NotFound { last_valid }) => {
                match tip_of(self.assembler.position(), last_valid) {
                    Tip::AtTip => {
                        let last = self.assembler.close_at_tip();
                        self.hand_over(last.into_iter().collect()).await?;
                        let misses = self.misses + 1;
                        self.flowing();
                        self.misses = misses;
                        Ok(self.context.pace.at_tip(self.misses))
                    }
                    Tip::Race => Ok(self.context.pace.interval_min()),
                    Tip::Behind { last_valid } => Ok(self.behind(last_valid)),
                }
            }
            Err(fault @ (StreamFault::MemoryLimit | StreamFault::Throttled)) => {
                self.limit = (self.limit / 2).max(1);
                Ok(self.stall(&fault.to_string()))
            }
            Err(fault) => Ok(self.stall(&fault.to_string())),
        }
    }

    async fn hand_over(&mut self, commits: Vec<Commit>) -> Result<(), Fault> {
        let mut batch = Vec::new();
        let mut records = 0;
        for commit in commits {
            records += commit.records.len();
            batch.push(commit);
            if records >= BATCH_RECORDS {
                self.tell(std::mem::take(&mut batch)).await?;
                records = 0;
            }
        }
        if batch.is_empty() {
            Ok(())
        } else {
            self.tell(batch).await
        }
    }

    async fn tell(&self, batch: Vec<Commit>) -> Result<(), Fault> {
        let told = self.context.matcher.tell(Commits(batch)).await;
        told.map_err(|closed| Fault::worker(format!("actor {} is gone", closed.actor)))
    }

    fn flowing(&mut self) {
        self.behind_since = None;
        self.misses = 0;
        self.limit = (self.limit + self.context.pace.limit / 10 + 1).min(self.context.pace.limit);
        let detail = format!("read to {}", self.assembler.done());
        self.context
            .health
            .report(DEPENDENCY, true, detail, self.context.clock.now());
    }

    /// Nothing moves until the cause is gone; the same place is asked for again, more and more seldom.
    fn stall(&mut self, reason: &str) -> Duration {
        let wait = self.context.pace.stalled(self.misses);
        if self.misses == 0 {
            tracing::error!(at = %self.assembler.position(), reason, "the stream has stalled; nothing is lost");
        }
        self.misses += 1;
        let detail = format!("stalled behind {}: {reason}", self.assembler.position());
        self.context
            .health
            .report(DEPENDENCY, false, detail, self.context.clock.now());
        wait
    }

    fn behind(&mut self, last_valid: Option<Cursor>) -> Duration {
        let now = self.context.clock.now();
        let since = *self.behind_since.get_or_insert(now);
        let end =
            last_valid.map_or_else(|| "is empty".to_owned(), |last| format!("ends at {last}"));
        if u128::from(now.since_ms(since)) < RESET_AFTER.as_millis() {
            self.misses += 1;
            return self.context.pace.at_tip(self.misses);
        }
        self.stall(&format!(
            "the log {end}, before the cursor, for more than a minute: it was reset. Restore the cluster, or \
             start on a fresh data folder"
        ))
    }
}

impl Worker for StreamPoller {
    type Msg = Poll;

    async fn handle(&mut self, _: &Poll, cx: &Cx<Poll>) -> Result<Done, Fault> {
        let delay = self.poll().await?;
        cx.tell_self_after(delay, Poll);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Poll, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::worker(format!("the poller keeps failing: {reason}")))
    }
}
