//! How often to ask the stream, and what its silence means.

use std::time::Duration;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assembler::{CommitBounds, Gaps};
use crate::ports::Position;

/// How the stream is asked, and what is done where it has lost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PollPace {
    /// Most records in one page, 1 to 100,000; less after the service ran out of memory.
    pub limit: u32,
    /// Wait after a page that was not full, in milliseconds.
    pub interval_ms_min: u64,
    /// Longest wait while nothing happens, in milliseconds.
    pub interval_ms_max: u64,
    /// How often in a row a page that misses a commit is read before `on_gap` decides: a gap mends itself as a rule.
    pub gap_reads: u32,
    /// What is done about commits that stay missing.
    pub on_gap: OnGap,
    /// What is done when the position has been trimmed away.
    pub on_expired: OnExpired,
    /// How large a commit may be that somebody is told of.
    pub commit: CommitBounds,
}

/// What is done about commits that stay missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// Nothing goes on until they are there.
    #[default]
    Halt,
    /// They are passed over, and the journal says so.
    Skip,
}

/// What is done when the position has been trimmed away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpired {
    /// Nothing goes on.
    #[default]
    Halt,
    /// Reading goes on with the oldest record that is kept, and the journal says what was passed over.
    TrimHorizon,
}

impl Default for PollPace {
    fn default() -> Self {
        Self {
            limit: 10_000,
            interval_ms_min: 100,
            interval_ms_max: 2_000,
            gap_reads: 10,
            on_gap: OnGap::default(),
            on_expired: OnExpired::default(),
            commit: CommitBounds::default(),
        }
    }
}

/// Longest wait while the stream cannot be read.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long the log may contradict the position before that is an alarm: a replica that lags catches up sooner.
const PATIENCE: Duration = Duration::from_mins(1);

impl PollPace {
    /// The wait after a page that was not full.
    pub fn interval_min(&self) -> Duration {
        Duration::from_millis(self.interval_ms_min)
    }

    /// The wait after `misses` polls in a row found nothing; spread so that hosts do not ask in step.
    pub fn at_tip(&self, misses: u32) -> Duration {
        let doubled = self
            .interval_ms_min
            .max(1)
            .saturating_mul(1 << misses.min(16));
        let full = doubled.min(self.interval_ms_max.max(self.interval_ms_min));
        Duration::from_millis(full - fastrand::u64(0..=full / 4))
    }

    /// The wait after `failures` polls in a row could not be read.
    pub fn stalled(&self, failures: u32) -> Duration {
        let shortest = self.interval_min().max(Duration::from_millis(1));
        shortest
            .saturating_mul(1 << failures.min(16))
            .min(STALL_MAX)
    }

    /// What the next page may miss, after `reads` in a row missed a commit.
    pub fn after_gaps(&self, reads: u32) -> Gaps {
        if self.on_gap == OnGap::Skip && reads >= self.gap_reads {
            Gaps::Pass
        } else {
            Gaps::Refuse
        }
    }

    /// The limit after a page that was too much.
    pub fn less(limit: u32) -> u32 {
        (limit / 2).max(1)
    }

    /// The limit after a page that was not.
    pub fn more(&self, limit: u32) -> u32 {
        limit.saturating_add(self.limit / 10 + 1).min(self.limit)
    }
}

/// What "no such records" means, told apart by the log's last valid event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tip {
    /// Everything is read.
    AtTip,
    /// The log ends before the position: a replica lags, or the log was reset.
    Behind {
        /// Where it ends, if it is not empty.
        last_valid: Option<Cursor>,
    },
    /// The log goes on behind the position and yet gives nothing: records came between the two answers.
    Race {
        /// Where it ends.
        last_valid: Cursor,
    },
}

/// Tells the states of "no such records" apart. Whoever asked at the trim horizon has everything that is kept.
pub fn tip_of(position: Cursor, asked: Position, last_valid: Option<Cursor>) -> Tip {
    match last_valid {
        None if position == Cursor::START => Tip::AtTip,
        None => Tip::Behind { last_valid: None },
        Some(last) if last < position => Tip::Behind {
            last_valid: Some(last),
        },
        Some(last) if last == position || asked == Position::TrimHorizon => Tip::AtTip,
        Some(last) => Tip::Race { last_valid: last },
    }
}

/// Whether the log has contradicted the position for so long that waiting will not mend it.
pub fn out_of_patience(since: Timestamp, now: Timestamp) -> bool {
    u128::from(now.since_ms(since)) >= PATIENCE.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_slows_down_at_the_tip_up_to_its_ceiling() {
        let pace = PollPace::default();
        assert!(pace.at_tip(1) <= Duration::from_millis(200));
        for misses in 10..40 {
            let wait = pace.at_tip(misses);
            assert!(wait <= Duration::from_secs(2) && wait >= Duration::from_millis(1500));
        }
        assert_eq!(pace.stalled(40), STALL_MAX);
    }
}
