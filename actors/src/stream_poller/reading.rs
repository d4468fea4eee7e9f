//! Reads the change log on and on from a place: what is available now, and how long to wait for more.
//!
//! **Invariant:** a page that cannot be read moves nothing, and neither does one that misses a commit, unless the
//! configuration says that it may.

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::StreamPage;

use super::assembler::{Assembler, Gaps, Portion};
use super::pace::{OnExpired, PollPace, Tip, out_of_patience, tip_of};
use crate::health::Health;
use crate::ports::{ChangeStream, Clock, Position, StreamFault};

/// What reading works with.
#[derive(Clone)]
pub struct LogSource {
    /// The change log.
    pub stream: Arc<dyn ChangeStream>,
    /// Where the log's condition is reported.
    pub health: Arc<Health>,
    /// What it is called there.
    pub dependency: &'static str,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How fast to ask.
    pub pace: PollPace,
    /// What makes whole again what missed a part of the log that was trimmed.
    pub cure: &'static str,
}

/// A place in the log that moves on.
pub struct LogReader {
    source: LogSource,
    assembler: Assembler,
    limit: u32,
    /// Reads in a row that found nothing.
    misses: u32,
    /// Reads in a row that failed.
    failures: u32,
    /// Reads in a row that missed a commit.
    gaps: u32,
    /// Since when the log contradicts the position.
    contradicted_since: Option<Timestamp>,
}

/// What a read came to.
#[derive(Debug)]
pub enum Reading {
    /// Part of the log, to be handed over before [`LogReader::handed_over`] is told.
    Available(Vec<Portion>, More),
    /// Nothing is to be had before some time has passed.
    Nothing(Duration),
}

/// Whether there is more behind what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// The page was full.
    AtOnce,
    /// The page was not full.
    Soon,
    /// This is the end of the log.
    AtTip,
}

impl LogReader {
    /// Goes on behind a place.
    pub fn behind(cursor: Cursor, source: LogSource) -> Self {
        Self {
            assembler: Assembler::behind(cursor, source.pace.commit),
            limit: source.pace.limit,
            misses: 0,
            failures: 0,
            gaps: 0,
            contradicted_since: None,
            source,
        }
    }

    /// The last operation of the last whole commit.
    pub fn done(&self) -> Cursor {
        self.assembler.done()
    }

    /// Asks once.
    pub async fn read(&mut self) -> Reading {
        let asked = self.assembler.next();
        match self.source.stream.fetch(asked, self.limit).await {
            Ok(page) => self.take(page),
            Err(StreamFault::NotFound { last_valid }) => self.nothing_there(asked, last_valid),
            Err(StreamFault::Expired) => Reading::Nothing(self.expired(asked)),
            Err(
                fault @ (StreamFault::MemoryLimit
                | StreamFault::Throttled
                // An answer that does not come in time may be too long.
                | StreamFault::Unreachable(_)),
            ) => {
                self.limit = PollPace::less(self.limit);
                Reading::Nothing(self.stall(&fault.to_string()))
            }
            Err(fault) => Reading::Nothing(self.stall(&fault.to_string())),
        }
    }

    /// Says how long to wait, now that what was read is with who works on it.
    pub fn handed_over(&mut self, more: More) -> Duration {
        let misses = if more == More::AtTip {
            self.misses + 1
        } else {
            0
        };
        self.contradicted_since = None;
        (self.misses, self.failures, self.gaps) = (misses, 0, 0);
        self.limit = self.source.pace.more(self.limit);
        self.report(true, format!("read to {}", self.assembler.done()));
        match more {
            More::AtOnce => Duration::ZERO,
            More::Soon => self.source.pace.interval_min(),
            More::AtTip => self.source.pace.at_tip(misses),
        }
    }

    fn take(&mut self, page: StreamPage) -> Reading {
        let full = page.records.len() >= self.limit as usize;
        let gaps = self.source.pace.after_gaps(self.gaps);
        let available = match self.assembler.take(page, gaps) {
            Ok(available) => available,
            Err(gap) => {
                self.gaps += 1;
                return Reading::Nothing(self.stall(&gap.to_string()));
            }
        };
        if gaps == Gaps::Pass {
            tracing::warn!(
                reads = self.gaps, at = %self.assembler.position(),
                "commits stayed missing and are passed over, as stream.on_gap says"
            );
        }
        Reading::Available(available, if full { More::AtOnce } else { More::Soon })
    }

    fn nothing_there(&mut self, asked: Position, last_valid: Option<Cursor>) -> Reading {
        match tip_of(self.assembler.position(), asked, last_valid) {
            Tip::AtTip => Reading::Available(self.assembler.close_at_tip(), More::AtTip),
            Tip::Behind { last_valid } => {
                let end = last_valid
                    .map_or_else(|| "is empty".to_owned(), |last| format!("ends at {last}"));
                Reading::Nothing(self.contradicted(&format!(
                    "the log {end}, before the cursor, for more than a minute: it was reset. Restore the \
                     cluster, or start on a fresh data folder"
                )))
            }
            Tip::Race { last_valid } => Reading::Nothing(self.contradicted(&format!(
                "the log ends at {last_valid} and yet gives nothing behind the cursor for more than a minute"
            ))),
        }
    }

    /// Nothing moves until the cause is gone; the same place is asked for again, more and more seldom.
    fn stall(&mut self, reason: &str) -> Duration {
        let wait = self.source.pace.stalled(self.failures);
        if self.failures == 0 {
            tracing::error!(
                dependency = self.source.dependency, at = %self.assembler.position(), reason,
                "the stream has stalled; nothing is lost"
            );
        }
        self.failures += 1;
        let detail = format!("stalled behind {}: {reason}", self.assembler.position());
        self.report(false, detail);
        wait
    }

    /// Waits for a replica to catch up, and no longer than one takes.
    fn contradicted(&mut self, reason: &str) -> Duration {
        let now = self.source.clock.now();
        let since = *self.contradicted_since.get_or_insert(now);
        if out_of_patience(since, now) {
            return self.stall(reason);
        }
        self.misses += 1;
        self.source.pace.at_tip(self.misses)
    }

    fn expired(&mut self, asked: Position) -> Duration {
        let may_go_on = self.source.pace.on_expired == OnExpired::TrimHorizon;
        // Nothing expires at the horizon itself; a service that says so is not to be asked without end.
        if !may_go_on || asked == Position::TrimHorizon {
            return self.stall(&format!(
                "{}: {}. stream.on_expired = \"trim_horizon\" goes on with the oldest that is kept instead",
                StreamFault::Expired,
                self.source.cure
            ));
        }
        tracing::warn!(
            behind = %self.assembler.done(),
            "commits have been trimmed away unread; reading goes on at the trim horizon, as stream.on_expired says"
        );
        self.assembler.go_on_at_horizon();
        Duration::ZERO
    }

    fn report(&self, ready: bool, detail: String) {
        let LogSource {
            health,
            dependency,
            clock,
            ..
        } = &self.source;
        health.report(dependency, ready, detail, clock.now());
    }
}
