//! Whether a push service is sent to: pure state, for one service and one host.
//!
//! While the service stumbles at every other push, or says that it cannot serve this app at all, nothing is sent but a
//! probe now and then. What was given out before an outage is not sent after it: it is offered anew, in its order.

use iyagi_messages::ids::Timestamp;
use iyagi_messages::push::FailureClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When a push service counts as down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// Pushes without a usable answer, among the last 20, at which nothing more is sent by the service.
    pub failures: u32,
    /// Wait until one push tries whether it is back, in milliseconds; it doubles with each that fails.
    pub wait_ms_min: u64,
    /// Longest such wait, in milliseconds.
    pub wait_ms_max: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 10,
            wait_ms_min: 1_000,
            wait_ms_max: 60_000,
        }
    }
}

/// Answers that are looked back at.
pub const LOOKED_BACK_AT: u32 = 20;

/// What an answer says of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It works, whatever it thinks of this push.
    Usable,
    /// It stumbled, or did not answer.
    Stumbled,
    /// It serves nobody of this app until somebody mends that.
    Broken,
}

impl Answer {
    /// What a failure says of the service.
    pub fn of(class: FailureClass) -> Self {
        match class {
            FailureClass::Transient | FailureClass::Unknown => Self::Stumbled,
            FailureClass::ApplicationBroken | FailureClass::ConfigurationBroken => Self::Broken,
            FailureClass::Throttled | FailureClass::EndpointDead | FailureClass::Poison => {
                Self::Usable
            }
        }
    }
}

/// Whether a push service is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    phase: Phase,
    /// Counts outages, so that what was given out before one is told from what is given out after it.
    term: u64,
    /// Probes in a row that failed.
    failed_probes: u32,
    /// The last answers, one bit each: 1 for one that was not usable.
    answers: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open(Wait),
    /// One push is on its way; one that is never heard of again must not hold up all others.
    Probing(Wait),
}

/// A time in which nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait {
    since: Timestamp,
    until: Timestamp,
}

impl Wait {
    /// Whether it is not over. A clock that was set back to before it began must not keep the service away for as long.
    fn lasts(self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }

    fn over(now: Timestamp) -> Self {
        Self {
            since: now,
            until: now,
        }
    }
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Everything.
    All {
        /// The term in which.
        term: u64,
    },
    /// One push.
    Probe {
        /// The term in which.
        term: u64,
    },
    /// Nothing before a moment.
    Nothing {
        /// The moment.
        until: Timestamp,
    },
}

/// How a breaker is, as people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Everything is sent.
    Closed,
    /// A probe is on its way, or is sent as soon as there is a push.
    HalfOpen,
    /// Nothing is sent.
    Open,
}

impl BreakerState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The state as it stands in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// From here on nothing is sent.
    Opened,
    /// From here on everything is sent.
    Closed,
}

impl Default for Breaker {
    /// Everything may be sent.
    fn default() -> Self {
        Self {
            phase: Phase::Closed,
            term: 0,
            failed_probes: 0,
            answers: 0,
        }
    }
}

impl Breaker {
    /// One that was open when the daemon went down: a probe tells.
    pub fn left_open(now: Timestamp) -> Self {
        Self {
            phase: Phase::Open(Wait::over(now)),
            term: 1,
            ..Self::default()
        }
    }

    /// How it is.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open(wait) if wait.lasts(now) => BreakerState::Open,
            Phase::Open(_) | Phase::Probing(_) => BreakerState::HalfOpen,
        }
    }

    /// What may be sent now.
    pub fn offer(&self, now: Timestamp) -> Offer {
        let term = self.term;
        match self.phase {
            Phase::Closed => Offer::All { term },
            Phase::Open(wait) if !wait.lasts(now) => Offer::Probe { term },
            Phase::Open(Wait { until, .. }) | Phase::Probing(Wait { until, .. }) => {
                Offer::Nothing { until }
            }
        }
    }

    /// A probe is sent, and an outcome expected before a moment.
    pub fn probe(&mut self, now: Timestamp, until: Timestamp) {
        self.phase = Phase::Probing(Wait { since: now, until });
    }

    /// Whether a push that was given out in a term may be sent.
    pub fn admits(&self, term: u64, probe: bool) -> bool {
        let probing = matches!(self.phase, Phase::Probing(_));
        self.term == term && probe == probing && (probing || self.phase == Phase::Closed)
    }

    /// The probe was not sent, and the next push may be one.
    pub fn unspent(&mut self, term: u64, now: Timestamp) {
        if self.admits(term, true) {
            self.phase = Phase::Open(Wait::over(now));
        }
    }

    /// The probe may not be sent before a moment, and no other one is to overtake it.
    pub fn postpone(&mut self, term: u64, now: Timestamp, until: Timestamp) {
        if self.admits(term, true) {
            self.phase = Phase::Open(Wait { since: now, until });
            self.term += 1;
        }
    }

    /// A probe that has not been heard of in time is given up.
    pub fn expire(&mut self, now: Timestamp) {
        if let Phase::Probing(wait) = self.phase
            && !wait.lasts(now)
        {
            self.postpone(self.term, now, now);
        }
    }

    /// Takes in what a push that was given out in a term was answered.
    pub fn note(
        &mut self,
        term: u64,
        probe: bool,
        answer: Answer,
        policy: BreakerPolicy,
        now: Timestamp,
    ) -> Option<Change> {
        // What was on its way when it opened tells nothing new.
        if !self.admits(term, probe) {
            return None;
        }
        if probe {
            if answer == Answer::Usable {
                self.phase = Phase::Closed;
                self.failed_probes = 0;
                // The probe itself may have to be sent once more, before those behind it.
                self.term += 1;
                return Some(Change::Closed);
            }
            self.failed_probes = self.failed_probes.saturating_add(1);
            self.open(policy, now);
            return None;
        }
        self.answers = (self.answers << 1) | u32::from(answer == Answer::Stumbled);
        let seen = self.answers & ((1 << LOOKED_BACK_AT) - 1);
        if answer == Answer::Broken || seen.count_ones() >= policy.failures.max(1) {
            self.open(policy, now);
            return Some(Change::Opened);
        }
        None
    }

    fn open(&mut self, policy: BreakerPolicy, now: Timestamp) {
        let doubled = policy
            .wait_ms_min
            .saturating_mul(1 << self.failed_probes.min(20));
        let wait_ms = doubled.min(policy.wait_ms_max).max(1);
        self.phase = Phase::Open(Wait {
            since: now,
            until: now.plus_ms(wait_ms),
        });
        self.term += 1;
        self.answers = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 3,
        wait_ms_min: 1_000,
        wait_ms_max: 4_000,
    };
    const NOW: Timestamp = Timestamp(1_000_000);

    /// A breaker that has seen these answers, all of them out of the first term.
    fn after(answers: &[Answer]) -> (Breaker, Option<Change>) {
        let mut breaker = Breaker::default();
        let mut change = None;
        for answer in answers {
            change = change.or(breaker.note(0, false, *answer, POLICY, NOW));
        }
        (breaker, change)
    }

    #[test]
    fn stumbles_open_it_only_if_they_are_many_of_the_last_answers() {
        use Answer::{Stumbled, Usable};
        let (_, change) = after(&[Stumbled, Usable, Stumbled, Usable]);
        assert_eq!(change, None);
        let (_, change) = after(&[Stumbled, Usable, Stumbled, Usable, Stumbled]);
        assert_eq!(change, Some(Change::Opened));
        let mut long_ago = vec![Stumbled, Stumbled];
        long_ago.extend([Usable; LOOKED_BACK_AT as usize]);
        long_ago.push(Stumbled);
        assert_eq!(after(&long_ago).1, None);
    }

    #[test]
    fn one_word_that_the_app_is_not_served_is_enough() {
        let (breaker, change) = after(&[Answer::Broken]);
        assert_eq!(change, Some(Change::Opened));
        assert_eq!(breaker.state(NOW), BreakerState::Open);
        let until = NOW.plus_ms(1_000);
        assert_eq!(breaker.offer(NOW), Offer::Nothing { until });
        assert_eq!(breaker.offer(until), Offer::Probe { term: 1 });
    }

    #[test]
    fn what_was_given_out_before_the_outage_is_neither_sent_nor_listened_to() {
        let (mut breaker, _) = after(&[Answer::Broken]);
        assert!(!breaker.admits(0, false));
        let late = breaker.note(0, false, Answer::Usable, POLICY, NOW);
        assert_eq!((late, breaker.state(NOW)), (None, BreakerState::Open));
    }

    #[test]
    fn one_probe_at_a_time_closes_it_or_lets_it_wait_twice_as_long() {
        let (mut breaker, _) = after(&[Answer::Broken]);
        let mut now = NOW;
        for (term, wait_ms) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 4_000)] {
            now = now.plus_ms(wait_ms - 1);
            assert!(
                matches!(breaker.offer(now), Offer::Nothing { .. }),
                "{term}"
            );
            now = now.plus_ms(1);
            assert_eq!(breaker.offer(now), Offer::Probe { term });
            breaker.probe(now, now.plus_ms(60_000));
            assert!(
                matches!(breaker.offer(now), Offer::Nothing { .. }),
                "one is out"
            );
            assert!(breaker.admits(term, true) && !breaker.admits(term, false));
            assert_eq!(
                breaker.note(term, true, Answer::Stumbled, POLICY, now),
                None
            );
        }
        now = now.plus_ms(4_000);
        breaker.probe(now, now.plus_ms(60_000));
        let closed = breaker.note(5, true, Answer::Usable, POLICY, now);
        assert_eq!(closed, Some(Change::Closed));
        let from_the_beginning = Offer::All { term: 6 };
        assert_eq!(breaker.offer(now), from_the_beginning);
        let (mut fresh, _) = after(&[Answer::Broken]);
        fresh.probe(NOW, NOW);
        fresh.unspent(1, NOW);
        assert_eq!(fresh.offer(NOW), Offer::Probe { term: 1 }, "the next one");
    }

    #[test]
    fn a_probe_that_must_wait_is_overtaken_by_none_and_a_lost_one_holds_up_nobody() {
        let (mut breaker, _) = after(&[Answer::Broken]);
        let until = NOW.plus_ms(5_000);
        breaker.probe(NOW, NOW);
        breaker.postpone(1, NOW, until);
        assert_eq!(breaker.offer(NOW), Offer::Nothing { until });
        assert_eq!(
            breaker.offer(until),
            Offer::Probe { term: 2 },
            "from the beginning"
        );
        breaker.probe(until, until.plus_ms(1_000));
        breaker.expire(until.plus_ms(999));
        assert!(breaker.admits(2, true));
        breaker.expire(until.plus_ms(1_000));
        assert_eq!(
            breaker.offer(until.plus_ms(1_000)),
            Offer::Probe { term: 3 }
        );
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_no_service_away() {
        let (mut breaker, _) = after(&[Answer::Broken]);
        let yesterday = Timestamp(0);
        assert_eq!(breaker.offer(yesterday), Offer::Probe { term: 1 });
        assert_eq!(breaker.state(yesterday), BreakerState::HalfOpen);
        breaker.probe(NOW, NOW.plus_ms(60_000));
        breaker.expire(yesterday);
        assert_eq!(breaker.offer(yesterday), Offer::Probe { term: 2 });
    }
}
