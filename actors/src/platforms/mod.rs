//! Which push services are sent to at present: by this host's own breakers, and by what the journal says of all hosts.
//!
//! One pool sends everything, so that its size is the bound on what is in flight; a service that is down costs the others
//! nothing, because nothing of it is given to the pool. Whatever the pool holds of it at that moment is let go unsent and
//! offered again later, in its order: the journal has it.
//!
//! # Layout
//! - this file: what senders, feeder, matcher and operations ask
//! - [`breaker`]: one service's breaker, as pure state

pub mod breaker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iyagi_messages::device::Platform;
use iyagi_messages::ids::{MemberId, Timestamp};
use iyagi_messages::push::FailureClass;
use tokio::sync::watch;

use self::breaker::{Answer, Breaker, BreakerPolicy, BreakerState, Change, Offer};
use crate::projections::Projections;

/// Every push service's breaker.
pub struct Platforms {
    breakers: Mutex<BTreeMap<Platform, Breaker>>,
    projections: Arc<Projections>,
    policy: BreakerPolicy,
    /// How long a probe may take.
    patience_ms: u64,
    changed: watch::Sender<()>,
}

/// The circumstances under which a push was given out: under others it is offered anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    term: u64,
    pauses: u64,
    probe: bool,
}

impl Pass {
    /// Whether the push tries if the service is back.
    pub fn probe(self) -> bool {
        self.probe
    }

    /// Whether two were given out without an outage or a pause in between.
    pub fn same_term(self, other: Self) -> bool {
        (self.term, self.pauses) == (other.term, other.pauses)
    }
}

/// What may be given out of a service's pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everything, or one push if it is a probe.
    Granted(Pass),
    /// Nothing before a moment; nothing until a change where there is none.
    Refused {
        /// The moment.
        until: Option<Timestamp>,
    },
}

/// How long beyond the gateway's own timeout a probe is waited for: rendering, and two appends.
const PROBE_MARGIN: Duration = Duration::from_secs(20);

impl Platforms {
    /// Breakers as `me` left them.
    pub fn new(
        projections: Arc<Projections>,
        me: Option<&MemberId>,
        policy: BreakerPolicy,
        gateway_timeout: Duration,
        now: Timestamp,
    ) -> Arc<Self> {
        let breakers = Platform::ALL.map(|platform| {
            let left_open = projections.platforms().is_down_at(platform, me);
            let breaker = if left_open {
                Breaker::left_open(now)
            } else {
                Breaker::default()
            };
            (platform, breaker)
        });
        let patience = gateway_timeout + PROBE_MARGIN;
        Arc::new(Self {
            breakers: Mutex::new(breakers.into()),
            projections,
            policy,
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            changed: watch::Sender::new(()),
        })
    }

    /// What may be given out now. A push without a platform is settled without one.
    pub fn admission(&self, platform: Option<Platform>, now: Timestamp) -> Admission {
        let Some(platform) = platform else {
            return Admission::Granted(Pass::default());
        };
        let (paused, pauses) = self.paused(platform);
        if paused {
            return Admission::Refused { until: None };
        }
        let mut breakers = self.breakers();
        let breaker = breakers.entry(platform).or_default();
        breaker.expire(now);
        let granted = |term, probe| {
            Admission::Granted(Pass {
                term,
                pauses,
                probe,
            })
        };
        match breaker.offer(now) {
            Offer::All { term } => granted(term, false),
            Offer::Probe { term } => granted(term, true),
            Offer::Nothing { until } => Admission::Refused { until: Some(until) },
        }
    }

    /// A probe is given out.
    pub fn probe(&self, platform: Option<Platform>, now: Timestamp) {
        self.with(platform, |breaker| {
            breaker.probe(now, now.plus_ms(self.patience_ms));
        });
    }

    /// Whether a push may be sent that was given out under a pass.
    pub fn admits(&self, platform: Option<Platform>, pass: Pass) -> bool {
        let Some(platform) = platform else {
            return true;
        };
        let (paused, pauses) = self.paused(platform);
        let breakers = self.breakers();
        let breaker = breakers.get(&platform);
        !paused
            && pauses == pass.pauses
            && breaker.is_none_or(|breaker| breaker.admits(pass.term, pass.probe))
    }

    /// Takes in what became of an attempt.
    pub fn note<T>(
        &self,
        platform: Option<Platform>,
        pass: Pass,
        answer: &Result<T, FailureClass>,
        now: Timestamp,
    ) -> Option<Change> {
        let answer = match answer {
            Ok(_) => Answer::Usable,
            Err(class) => Answer::of(*class),
        };
        let change = self.with(platform, |breaker| {
            breaker.note(pass.term, pass.probe, answer, self.policy, now)
        });
        // A probe that failed changes when the next one may go.
        if change.is_some() || pass.probe {
            self.changed.send_replace(());
        }
        change.flatten()
    }

    /// A push that was given out as a probe is let go. It was not sent if nothing was noted; if it may not be before a moment,
    /// then no other one is to overtake it.
    pub fn let_go(
        &self,
        platform: Option<Platform>,
        pass: Pass,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.with(platform, |breaker| match not_before {
            Some(until) => breaker.postpone(pass.term, now, until),
            None => breaker.unspent(pass.term, now),
        });
        self.changed.send_replace(());
    }

    /// Whether an attempt that failed like this is no fault of its push: the whole service is away.
    pub fn excuses(&self, platform: Option<Platform>, class: FailureClass, now: Timestamp) -> bool {
        Answer::of(class) == Answer::Stumbled
            && platform.is_some_and(|platform| self.state(platform, now) != BreakerState::Closed)
    }

    /// How a service's breaker is.
    pub fn state(&self, platform: Platform, now: Timestamp) -> BreakerState {
        let breakers = self.breakers();
        let breaker = breakers.get(&platform);
        breaker.map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// Whenever more or less may be given out.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn paused(&self, platform: Platform) -> (bool, u64) {
        let platforms = self.projections.platforms();
        let paused = platforms.pause(platform).is_some();
        (paused, platforms.pauses(platform))
    }

    fn with<T>(
        &self,
        platform: Option<Platform>,
        change: impl FnOnce(&mut Breaker) -> T,
    ) -> Option<T> {
        let mut breakers = self.breakers();
        Some(change(breakers.entry(platform?).or_default()))
    }

    fn breakers(&self) -> MutexGuard<'_, BTreeMap<Platform, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
