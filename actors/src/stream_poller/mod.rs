//! `StreamPoller`: reads the graph's change log and hands whole commits to the matcher.
//!
//! Owns the reading position, which is ahead of the journal's cursor by what the matcher has in hand.
//! Told: [`Poll`], by itself. Writes nothing: the matcher moves the cursor.
//!
//! **Invariant:** a page that cannot be read moves nothing, and neither does one that misses a commit, unless the
//! configuration says that it may. The matcher journals every jump.

pub mod assembler;
mod pace;

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::StreamPage;

pub use self::assembler::CommitBounds;
use self::assembler::{Assembler, Gaps, Portion};
pub use self::pace::{OnExpired, OnGap, PollPace, Tip, out_of_patience, tip_of};
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
    /// Takes commits; its room is the poller's credit.
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
/// How often a host that does not read looks whether its turn has come.
const TURN_INTERVAL: Duration = Duration::from_millis(200);
/// Records that one message to the matcher carries at most, unless one commit or one page of it has more.
const BATCH_RECORDS: usize = 2_000;

/// Polls the change log.
pub struct StreamPoller {
    context: Arc<StreamPollerContext>,
    assembler: Assembler,
    limit: u32,
    /// Polls in a row that found nothing.
    misses: u32,
    /// Polls in a row that failed.
    failures: u32,
    /// Reads in a row that missed a commit.
    gaps: u32,
    /// Since when the log contradicts the position.
    contradicted_since: Option<Timestamp>,
    /// Whether reading was this host's work when it last looked.
    reads: bool,
    /// Whether the matcher knows that reading begins.
    announced: bool,
}

impl StreamPoller {
    /// A poller that goes on behind the journal's cursor.
    pub fn new(context: Arc<StreamPollerContext>) -> Self {
        let cursor = context.projections.outbox().cursor;
        let pace = context.pace;
        Self {
            context,
            assembler: Assembler::behind(cursor, pace.commit),
            limit: pace.limit,
            misses: 0,
            failures: 0,
            gaps: 0,
            contradicted_since: None,
            reads: true,
            announced: false,
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

    /// Asks once and says how long to wait before asking again.
    async fn poll(&mut self) -> Result<Duration, Fault> {
        if self.context.projections.outbox().cursor > self.assembler.done() {
            // The matcher has taken over a graph as of there.
            let cursor = self.context.projections.outbox().cursor;
            self.assembler = Assembler::behind(cursor, self.context.pace.commit);
        }
        if !self.reads() {
            let now = self.context.clock.now();
            self.context
                .health
                .report(DEPENDENCY, true, "read by another host", now);
            return Ok(TURN_INTERVAL);
        }
        if !self.announced {
            // It may have a graph to take over, which is what a log that cannot be read waits for.
            self.tell(Vec::new()).await?;
            self.announced = true;
        }
        let asked = self.assembler.next();
        match self.context.stream.fetch(asked, self.limit).await {
            Ok(page) => self.take(page).await,
            Err(StreamFault::NotFound { last_valid }) => {
                match tip_of(self.assembler.position(), asked, last_valid) {
                    Tip::AtTip => self.rest_at_tip().await,
                    Tip::Behind { last_valid } => {
                        let end = last_valid
                            .map_or_else(|| "is empty".to_owned(), |last| format!("ends at {last}"));
                        Ok(self.contradicted(&format!(
                            "the log {end}, before the cursor, for more than a minute: it was reset. Restore the \
                             cluster, or start on a fresh data folder"
                        )))
                    }
                    Tip::Race { last_valid } => Ok(self.contradicted(&format!(
                        "the log ends at {last_valid} and yet gives nothing behind the cursor for more than a minute"
                    ))),
                }
            }
            Err(StreamFault::Expired) => Ok(self.expired(asked)),
            Err(
                fault @ (StreamFault::MemoryLimit
                | StreamFault::Throttled
                // An answer that does not come in time may be too long.
                | StreamFault::Unreachable(_)),
            ) => {
                self.limit = PollPace::less(self.limit);
                Ok(self.stall(&fault.to_string()))
            }
            Err(fault) => Ok(self.stall(&fault.to_string())),
        }
    }

    async fn take(&mut self, page: StreamPage) -> Result<Duration, Fault> {
        let full = page.records.len() >= self.limit as usize;
        let gaps = self.context.pace.after_gaps(self.gaps);
        let available = match self.assembler.take(page, gaps) {
            Ok(available) => available,
            Err(gap) => {
                self.gaps += 1;
                return Ok(self.stall(&gap.to_string()));
            }
        };
        if gaps == Gaps::Pass {
            tracing::warn!(
                reads = self.gaps, at = %self.assembler.position(),
                "commits stayed missing and are passed over, as stream.on_gap says"
            );
        }
        self.hand_over(available).await?;
        self.flowing();
        Ok(if full {
            Duration::ZERO
        } else {
            self.context.pace.interval_min()
        })
    }

    async fn rest_at_tip(&mut self) -> Result<Duration, Fault> {
        let last = self.assembler.close_at_tip();
        self.hand_over(last).await?;
        if self.context.projections.fan_outs().next().is_some() {
            // A matcher that was rebuilt goes on with whom it has queued at its next message, and here none may come.
            self.tell(Vec::new()).await?;
        }
        let misses = self.misses + 1;
        self.flowing();
        self.misses = misses;
        Ok(self.context.pace.at_tip(self.misses))
    }

    async fn hand_over(&mut self, available: Vec<Portion>) -> Result<(), Fault> {
        let mut batch = Vec::new();
        let mut records = 0;
        for portion in available {
            records += portion.records();
            batch.push(portion);
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

    async fn tell(&self, batch: Vec<Portion>) -> Result<(), Fault> {
        let told = self.context.matcher.tell(Commits(batch)).await;
        told.map_err(|closed| Fault::worker(format!("actor {} is gone", closed.actor)))
    }

    fn flowing(&mut self) {
        self.contradicted_since = None;
        (self.misses, self.failures, self.gaps) = (0, 0, 0);
        self.limit = self.context.pace.more(self.limit);
        let detail = format!("read to {}", self.assembler.done());
        self.context
            .health
            .report(DEPENDENCY, true, detail, self.context.clock.now());
    }

    /// Nothing moves until the cause is gone; the same place is asked for again, more and more seldom.
    fn stall(&mut self, reason: &str) -> Duration {
        let wait = self.context.pace.stalled(self.failures);
        if self.failures == 0 {
            tracing::error!(at = %self.assembler.position(), reason, "the stream has stalled; nothing is lost");
        }
        self.failures += 1;
        let detail = format!("stalled behind {}: {reason}", self.assembler.position());
        self.context
            .health
            .report(DEPENDENCY, false, detail, self.context.clock.now());
        wait
    }

    /// Waits for a replica to catch up, and no longer than one takes.
    fn contradicted(&mut self, reason: &str) -> Duration {
        let now = self.context.clock.now();
        let since = *self.contradicted_since.get_or_insert(now);
        if out_of_patience(since, now) {
            return self.stall(reason);
        }
        self.misses += 1;
        self.context.pace.at_tip(self.misses)
    }

    fn expired(&mut self, asked: Position) -> Duration {
        let may_go_on = self.context.pace.on_expired == OnExpired::TrimHorizon;
        // Nothing expires at the horizon itself; a service that says so is not to be asked without end.
        if !may_go_on || asked == Position::TrimHorizon {
            return self.stall(&format!(
                "{}. stream.on_expired = \"trim_horizon\" goes on with the oldest that is kept instead",
                StreamFault::Expired
            ));
        }
        tracing::warn!(
            behind = %self.assembler.done(),
            "commits have been trimmed away unread; reading goes on at the trim horizon, as stream.on_expired says"
        );
        self.assembler.go_on_at_horizon();
        Duration::ZERO
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
