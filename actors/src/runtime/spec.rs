//! How an actor is to be supervised: what a tree declares for each of its children.

use std::time::Duration;

use serde::Serialize;

use super::fault::{Decide, decide};
use super::lanes::LaneKey;

/// Messages an actor may have accepted and not finished, unless its spec says otherwise.
pub const MAILBOX_CAPACITY: usize = 256;

/// When a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// After a failure and after it stopped by itself.
    Permanent,
    /// After a failure only.
    Transient,
    /// Never.
    Temporary,
}

/// The pause before a restart: it grows with each failure in a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Backoff {
    /// The first pause.
    pub min: Duration,
    /// The longest pause.
    pub max: Duration,
    /// What each further failure multiplies the pause by.
    pub factor: f64,
    /// The share of the pause that chance may take off, so that many do not return at once.
    pub jitter: f64,
    /// After this long without a failure the pause is `min` again.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(100),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.5,
            reset_after: Duration::from_mins(1),
        }
    }
}

impl Backoff {
    /// The pause after `streak` earlier failures in a row.
    pub fn delay(&self, streak: u32, rng: &mut fastrand::Rng) -> Duration {
        let growth = self.factor.max(1.0).powi(streak.min(1_000) as i32);
        let longest = self.max.max(self.min).as_secs_f64();
        let full = (self.min.as_secs_f64() * growth).min(longest);
        Duration::from_secs_f64(full * (1.0 - self.jitter.clamp(0.0, 1.0) * rng.f64()))
    }
}

/// How many restarts are borne in a window of time before the failure is passed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Intensity {
    /// Restarts borne.
    pub max: u32,
    /// The window.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self {
            max: 5,
            within: Duration::from_mins(1),
        }
    }
}

/// Whom a group rebuilds when one of its children fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The child alone.
    OneForOne,
    /// The child and those declared after it, which live off its work.
    RestForOne,
    /// Every child.
    OneForAll,
}

/// Where an actor runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// On the thread that declares it, which must be running a `LocalSet` (an actix system does).
    Here,
    /// On an OS thread of that name, shared by all that name it.
    Arbiter(String),
}

/// How one actor is supervised.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// Its name, unique in the system.
    pub name: String,
    /// When it is started again.
    pub restart: Restart,
    /// The pause before a restart.
    pub backoff: Backoff,
    /// The restarts it may use before its group is held to have failed.
    pub intensity: Intensity,
    /// The longest a drain waits for it to finish what it accepted.
    pub drain: Duration,
    /// Messages it may have accepted and not finished.
    pub mailbox_capacity: usize,
    /// Workers one message may kill before it is set aside.
    pub max_deaths: u32,
    /// A message in hand for longer than this makes the actor `stuck`.
    pub stuck_after: Duration,
    /// True for an actor that brings work in: it is drained first and its ticks stop.
    pub source: bool,
    /// Where it runs.
    pub placement: Placement,
    /// What follows from a failure.
    pub decide: Decide,
}

impl ChildSpec {
    /// A permanent child on this thread, with the defaults that suit most actors.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            restart: Restart::Permanent,
            backoff: Backoff::default(),
            intensity: Intensity::default(),
            drain: Duration::from_secs(10),
            mailbox_capacity: MAILBOX_CAPACITY,
            max_deaths: 3,
            stuck_after: Duration::from_secs(30),
            source: false,
            placement: Placement::Here,
            decide,
        }
    }

    pub(super) fn policy(&self) -> String {
        let restart = match self.restart {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        };
        let Intensity { max, within } = self.intensity;
        format!(
            "{restart}, {max} restarts in {within:?}, poison after {} deaths",
            self.max_deaths
        )
    }
}

/// How a pool of equal workers is supervised.
pub struct PoolSpec<M> {
    /// The spec of each worker; its name is the pool's, workers are `name-1`, `name-2` and so on.
    pub child: ChildSpec,
    /// Workers to begin with.
    pub size: usize,
    /// Jobs the pool may have accepted and not finished.
    pub capacity: usize,
    /// The lane of a job: jobs of one lane are done one at a time and in order.
    pub lane: fn(&M) -> Option<LaneKey>,
    /// Whose turn a job is: among those for whom jobs wait, turns go round.
    pub turn: fn(&M) -> Option<LaneKey>,
}

impl<M> PoolSpec<M> {
    /// A pool of `size` workers whose jobs have no order among them.
    pub fn new(child: ChildSpec, size: usize) -> Self {
        let capacity = child.mailbox_capacity;
        Self {
            child,
            size,
            capacity,
            lane: |_| None,
            turn: |_| None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_ceiling_and_jitter_only_shortens_it() {
        let backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(7);
        for (streak, full_ms) in [
            (0, 100),
            (1, 200),
            (2, 400),
            (8, 25_600),
            (9, 30_000),
            (900, 30_000),
        ] {
            let full = Duration::from_millis(full_ms);
            for _ in 0..100 {
                let delay = backoff.delay(streak, &mut rng);
                assert!(delay <= full && delay >= full / 2, "{streak}: {delay:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let delays = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (0..20)
                .map(|streak| Backoff::default().delay(streak, &mut rng))
                .collect::<Vec<_>>()
        };
        assert_eq!(delays(42), delays(42));
        assert_ne!(delays(42), delays(43));
    }
}
