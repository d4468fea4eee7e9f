//! How often to ask the stream, and what its silence means.

use std::time::Duration;

use iyagi_messages::cursor::Cursor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast the stream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PollPace {
    /// Most records in one page, 1 to 100,000; less after the service ran out of memory.
    pub limit: u32,
    /// Wait after a page that was not full, in milliseconds.
    pub interval_ms_min: u64,
    /// Longest wait while nothing happens, in milliseconds.
    pub interval_ms_max: u64,
}

impl Default for PollPace {
    fn default() -> Self {
        Self {
            limit: 10_000,
            interval_ms_min: 100,
            interval_ms_max: 2_000,
        }
    }
}

/// Longest wait while the stream cannot be read.
const STALL_MAX: Duration = Duration::from_secs(30);

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
        let full = self.interval_min().max(Duration::from_millis(1)) * (1 << failures.min(16));
        full.min(STALL_MAX)
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
    /// Records came between the two answers.
    Race,
}

/// Tells the three states of "no such records" apart.
pub fn tip_of(position: Cursor, last_valid: Option<Cursor>) -> Tip {
    match last_valid {
        None if position == Cursor::START => Tip::AtTip,
        None => Tip::Behind { last_valid: None },
        Some(last) if last == position => Tip::AtTip,
        Some(last) if last < position => Tip::Behind {
            last_valid: Some(last),
        },
        Some(_) => Tip::Race,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_three_meanings() {
        let at = Cursor::new(5, 2);
        assert_eq!(tip_of(at, Some(at)), Tip::AtTip);
        assert_eq!(tip_of(Cursor::START, None), Tip::AtTip);
        assert_eq!(tip_of(at, None), Tip::Behind { last_valid: None });
        let reset = Cursor::new(1, 9);
        assert_eq!(
            tip_of(at, Some(reset)),
            Tip::Behind {
                last_valid: Some(reset)
            }
        );
        assert_eq!(tip_of(at, Some(Cursor::new(5, 3))), Tip::Race);
    }

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
