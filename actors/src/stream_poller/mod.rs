//! `StreamPoller`: reads the graph's change log and hands whole commits to the matcher.
//!
//! Owns the reading position, which is ahead of the journal's cursor by what the matcher has in hand.
//! Told: [`Poll`], by itself. Writes nothing: the matcher moves the cursor.
//!
//! **Invariant:** what is read is with the matcher before more is read. The matcher journals every jump.

pub mod assembler;
mod pace;
pub mod reading;

use std::sync::Arc;
use std::time::Duration;

pub use self::assembler::CommitBounds;
use self::assembler::Portion;
pub use self::pace::{OnExpired, OnGap, PollPace, Tip, out_of_patience, tip_of};
use self::reading::{LogReader, LogSource, More, Reading};
use crate::fleet::Fleet;
use crate::health::Health;
use crate::ports::{ChangeStream, Clock};
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
pub const TURN_INTERVAL: Duration = Duration::from_millis(200);
/// Records that one message to the matcher carries at most, unless one commit or one page of it has more.
const BATCH_RECORDS: usize = 2_000;

/// Polls the change log.
pub struct StreamPoller {
    context: Arc<StreamPollerContext>,
    log: LogReader,
    /// Whether reading was this host's work when it last looked.
    reads: bool,
    /// Whether the matcher knows that reading begins.
    announced: bool,
}

impl StreamPoller {
    /// A poller that goes on behind the journal's cursor.
    pub fn new(context: Arc<StreamPollerContext>) -> Self {
        Self {
            log: log_behind_cursor(&context),
            context,
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
        if self.context.projections.outbox().cursor > self.log.done() {
            // The matcher has taken over a graph as of there.
            self.log = log_behind_cursor(&self.context);
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
        match self.log.read().await {
            Reading::Available(available, more) => {
                self.hand_over(available).await?;
                if more == More::AtTip && self.context.projections.fan_outs().next().is_some() {
                    // A matcher that was rebuilt goes on with whom it has queued at its next message, and here none may come.
                    self.tell(Vec::new()).await?;
                }
                Ok(self.log.handed_over(more))
            }
            Reading::Nothing(wait) => Ok(wait),
        }
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
}

fn log_behind_cursor(context: &StreamPollerContext) -> LogReader {
    let source = LogSource {
        stream: Arc::clone(&context.stream),
        health: Arc::clone(&context.health),
        dependency: DEPENDENCY,
        clock: Arc::clone(&context.clock),
        pace: context.pace,
        cure: "`iyagi backfill` makes the graph known as it is now",
    };
    LogReader::behind(context.projections.outbox().cursor, source)
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
