//! Whether the change log is read so late that people are not told of each change at once any more.

use iyagi_messages::compaction::Totals;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done after an outage, when the changes of hours come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatchUpPolicy {
    /// Age of a change, in seconds, from which on nobody is told of it at once, but for what is urgent; 0 for never.
    pub lag_seconds: u32,
    /// How often a person gets what came meanwhile as one notification, in seconds.
    pub digest_seconds: u32,
    /// Time from the end of it until pushes are sent at their full rate again, in seconds.
    pub ramp_seconds: u32,
}

impl Default for CatchUpPolicy {
    fn default() -> Self {
        Self {
            lag_seconds: 300,
            digest_seconds: 600,
            ramp_seconds: 60,
        }
    }
}

/// How late the change log is read, folded up to a position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUp {
    /// When it began, while it lasts.
    pub begun_at: Option<Timestamp>,
    /// When the last one ended.
    pub ended_at: Option<Timestamp>,
    /// How many there were.
    pub times: u64,
}

/// A change of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It begins.
    Begins,
    /// It ends.
    Ends,
}

impl CatchUpPolicy {
    fn lag_ms(self) -> u64 {
        u64::from(self.lag_seconds) * 1_000
    }
}

impl CatchUp {
    /// Nothing but how many there were that are not folded any more.
    pub(super) fn behind(totals: &Totals) -> Self {
        Self {
            times: totals.catch_ups,
            ..Self::default()
        }
    }

    /// The entity whose events are about it.
    pub fn entity() -> Entity {
        Entity::new("catch_up", "graph")
    }

    /// Whether a fact may change it.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(fact, Fact::CatchUpBegun(_) | Fact::CatchUpEnded(_))
    }

    /// What a change of this age means. It ends at half the age at which it begins, so that it does not come and go.
    pub fn turn(self, lag_ms: u64, policy: CatchUpPolicy) -> Option<Turn> {
        match self.begun_at {
            None if policy.lag_seconds > 0 && lag_ms > policy.lag_ms() => Some(Turn::Begins),
            Some(_) if policy.lag_seconds == 0 || lag_ms <= policy.lag_ms() / 2 => Some(Turn::Ends),
            _ => None,
        }
    }

    /// After a turn at a moment.
    #[must_use]
    pub fn after(self, turn: Turn, at: Timestamp) -> Self {
        match turn {
            Turn::Begins => Self {
                begun_at: Some(at),
                times: self.times + 1,
                ..self
            },
            Turn::Ends => Self {
                begun_at: None,
                ended_at: Some(at),
                ..self
            },
        }
    }

    /// When what is matched now is told of; absent if that may be at once.
    pub fn told_at(self, now: Timestamp, policy: CatchUpPolicy) -> Option<Timestamp> {
        let begun_at = self.begun_at?;
        let every_ms = u64::from(policy.digest_seconds.max(1)) * 1_000;
        let rounds = now.since_ms(begun_at) / every_ms + 1;
        Some(begun_at.plus_ms(rounds.saturating_mul(every_ms)))
    }

    /// Part of the full rate at which pushes are sent, from 0 to 1: after the end it grows from nothing.
    pub fn pace(self, now: Timestamp, policy: CatchUpPolicy) -> f64 {
        match (self.begun_at, self.ended_at) {
            (None, Some(ended_at)) if policy.ramp_seconds > 0 => {
                let since_ms = now.since_ms(ended_at) as f64;
                (since_ms / (f64::from(policy.ramp_seconds) * 1_000.0)).min(1.0)
            }
            _ => 1.0,
        }
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::CatchUpBegun(begun) => *self = self.after(Turn::Begins, begun.at),
            Fact::CatchUpEnded(ended) => *self = self.after(Turn::Ends, ended.at),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: CatchUpPolicy = CatchUpPolicy {
        lag_seconds: 300,
        digest_seconds: 600,
        ramp_seconds: 60,
    };
    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn begun() -> CatchUp {
        CatchUp::default().after(Turn::Begins, NOW)
    }

    #[test]
    fn it_begins_when_a_change_is_too_old_and_ends_well_before_it_would_begin_again() {
        let before = CatchUp::default();
        assert_eq!(before.turn(300_000, POLICY), None);
        assert_eq!(before.turn(300_001, POLICY), Some(Turn::Begins));
        assert_eq!(begun().turn(300_001, POLICY), None);
        assert_eq!(begun().turn(150_001, POLICY), None);
        assert_eq!(begun().turn(150_000, POLICY), Some(Turn::Ends));
        let never = CatchUpPolicy {
            lag_seconds: 0,
            ..POLICY
        };
        assert_eq!(before.turn(u64::MAX, never), None);
        assert_eq!(begun().turn(u64::MAX, never), Some(Turn::Ends));
    }

    #[test]
    fn what_comes_meanwhile_is_told_of_in_rounds() {
        assert_eq!(CatchUp::default().told_at(NOW, POLICY), None);
        for (after_ms, told_ms) in [(0, 600_000), (599_999, 600_000), (600_000, 1_200_000)] {
            let told = begun().told_at(NOW.plus_ms(after_ms), POLICY);
            assert_eq!(told, Some(NOW.plus_ms(told_ms)));
        }
    }

    #[test]
    fn after_the_end_the_rate_grows_from_nothing_to_the_whole_within_the_ramp() {
        let ended = begun().after(Turn::Ends, NOW);
        for (after_ms, pace) in [(0, 0.0), (15_000, 0.25), (60_000, 1.0), (3_600_000, 1.0)] {
            let now = NOW.plus_ms(after_ms);
            assert!((ended.pace(now, POLICY) - pace).abs() < 1e-9, "{after_ms}");
        }
        assert!((CatchUp::default().pace(NOW, POLICY) - 1.0).abs() < 1e-9);
        assert!((begun().pace(NOW, POLICY) - 1.0).abs() < 1e-9);
    }
}
