//! What every actor counts without being asked, and how it is read from outside.
//!
//! Recording is a handful of relaxed atomic operations per message; reading assembles a snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::crash::{Calls, Crash};

/// Powers of two of microseconds: the last bucket holds everything from 2^38 µs (three days) up.
const BUCKETS: usize = 40;

/// How a counter is added to.
pub(super) type Add = fn(&AtomicU64, u64);

/// For a counter that several threads add to.
pub(super) fn add_shared(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Relaxed);
}

/// For a counter that only its actor's own thread adds to, which spares the bus a lock.
pub(super) fn add_alone(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed) + count, Relaxed);
}

/// A histogram of durations in powers of two of microseconds.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum_us: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    pub(super) fn record(&self, took: Duration, add: Add) {
        let us = took.as_micros() as u64;
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        add(&self.buckets[bucket.min(BUCKETS - 1)], 1);
        add(&self.sum_us, us);
    }

    pub(super) fn snapshot(&self) -> Latency {
        let counts = self.buckets.each_ref().map(|bucket| bucket.load(Relaxed));
        let count = counts.iter().sum::<u64>();
        let quantile = |share: f64| {
            let rank = (count as f64 * share).ceil() as u64;
            let mut seen = 0;
            let bucket = counts.iter().position(|in_bucket| {
                seen += in_bucket;
                seen >= rank && seen > 0
            });
            bucket.map_or(0, upper_bound_us)
        };
        let buckets = counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| LatencyBucket {
                up_to_us: upper_bound_us(bucket),
                count: *count,
            })
            .collect();
        Latency {
            count,
            sum_us: self.sum_us.load(Relaxed),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            buckets,
        }
    }
}

/// Bucket 0 holds 0 µs, bucket n holds 2^(n-1) up to 2^n - 1.
fn upper_bound_us(bucket: usize) -> u64 {
    (1 << bucket) - 1
}

/// How long something took, as a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Latency {
    /// Observations.
    pub count: u64,
    /// Their sum.
    pub sum_us: u64,
    /// Half took no longer than this (upper bound of the bucket).
    pub p50_us: u64,
    /// 99 of 100 took no longer than this (upper bound of the bucket).
    pub p99_us: u64,
    /// Buckets that are not empty, in ascending order.
    pub buckets: Vec<LatencyBucket>,
}

/// One bucket of a [`Latency`]; its count excludes the buckets below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LatencyBucket {
    /// Largest duration it holds.
    pub up_to_us: u64,
    /// Observations in it.
    pub count: u64,
}

/// The counters of one actor or pool.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    pub(super) received: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) handed_back: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) peak: AtomicU64,
    pub(super) backpressure_us: AtomicU64,
    pub(super) handle_time: Histogram,
    pub(super) queue_time: Histogram,
    edges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    last_failure: Mutex<Option<LastFailure>>,
    last_panic: Mutex<Option<LastPanic>>,
}

impl Statistics {
    /// The counter of time that the named sender spends waiting for a permit, in microseconds.
    pub(super) fn edge(&self, sender: &str) -> Arc<AtomicU64> {
        let mut edges = self
            .edges
            .lock()
            .expect("no panic happens while it is held");
        Arc::clone(edges.entry(sender.to_owned()).or_default())
    }

    pub(super) fn accepted(&self, depth: usize) {
        self.received.fetch_add(1, Relaxed);
        let depth = depth as u64;
        if depth > self.peak.load(Relaxed) {
            self.peak.fetch_max(depth, Relaxed);
        }
    }

    pub(super) fn failure(&self, reason: &str, at: Duration) {
        let failure = LastFailure {
            reason: reason.to_owned(),
            at_ms: at.as_millis() as u64,
        };
        *self
            .last_failure
            .lock()
            .expect("no panic happens while it is held") = Some(failure);
    }

    pub(super) fn last_failure(&self) -> Option<LastFailure> {
        self.last_failure
            .lock()
            .expect("no panic happens while it is held")
            .clone()
    }

    pub(super) fn panicked(&self, crash: &Crash, at: Duration) {
        self.panics.fetch_add(1, Relaxed);
        let panic = LastPanic {
            reason: crash.text.clone(),
            at_ms: at.as_millis() as u64,
            calls: crash.calls.clone(),
        };
        *self
            .last_panic
            .lock()
            .expect("no panic happens while it is held") = Some(panic);
    }

    pub(super) fn last_panic(&self) -> Option<LastPanic> {
        self.last_panic
            .lock()
            .expect("no panic happens while it is held")
            .clone()
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            received: self.received.load(Relaxed),
            handled: self.handled.load(Relaxed),
            failed: self.failed.load(Relaxed),
            set_aside: self.set_aside.load(Relaxed),
            handed_back: self.handed_back.load(Relaxed),
            panics: self.panics.load(Relaxed),
            restarts: self.restarts.load(Relaxed),
        }
    }

    pub(super) fn backpressure(&self) -> (u64, BTreeMap<String, u64>) {
        let edges = self
            .edges
            .lock()
            .expect("no panic happens while it is held");
        let by_sender = edges
            .iter()
            .map(|(name, us)| (name.clone(), us.load(Relaxed) / 1_000))
            .collect();
        (self.backpressure_us.load(Relaxed) / 1_000, by_sender)
    }
}

/// One actor or pool as seen from outside at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ActorSnapshot {
    /// Its name, unique in the system.
    pub name: String,
    /// The group it belongs to; for a pool's worker, the pool.
    pub group: String,
    /// What it is.
    pub kind: ActorKind,
    /// What it is doing.
    pub state: ActorState,
    /// How many times it was started, the first time included; for a pool, its workers together.
    pub incarnation: u32,
    /// The message in hand.
    #[schema(required)]
    pub handling: Option<Handling>,
    /// What it accepted and has not finished.
    pub mailbox: MailboxSnapshot,
    /// Age of the oldest message it has not finished.
    #[schema(required)]
    pub oldest_message_ms: Option<u64>,
    /// Totals since the system started.
    pub counters: Counters,
    /// Restarts that count against its intensity now.
    pub restarts_in_window: u32,
    /// The last failure.
    #[schema(required)]
    pub last_failure: Option<LastFailure>,
    /// The last panic, be it ever so many other failures ago.
    #[schema(required)]
    pub last_panic: Option<LastPanic>,
    /// Time left of the pause before the next restart.
    #[schema(required)]
    pub next_restart_in_ms: Option<u64>,
    /// Time that senders spent waiting for room, together.
    pub backpressure_ms_total: u64,
    /// The same by sender, for the senders that gave a name.
    pub backpressure_ms_by_sender: BTreeMap<String, u64>,
    /// Time from taking a message in hand until it was done.
    pub latency: Latency,
    /// Time from acceptance until a message was taken in hand.
    pub queue_time: Latency,
    /// Number of workers, for a pool.
    #[schema(required)]
    pub size: Option<usize>,
    /// How it is supervised, for people.
    pub policy: String,
}

/// What an entry of [`ActorSnapshot`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// An actor with a mailbox of its own.
    Actor,
    /// A pool of equal workers.
    Pool,
    /// One worker of a pool.
    Worker,
    /// A topic that copies messages to its subscribers.
    Topic,
}

/// What an actor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ActorState {
    /// Its factory is rebuilding its state.
    Starting,
    /// It has a message in hand.
    Running,
    /// It waits for a message.
    Idle,
    /// It failed and waits for its restart.
    BackingOff,
    /// An operator told it to wait.
    Paused,
    /// It finishes what it accepted and then stops.
    Draining,
    /// Its message has been in hand for longer than its spec allows.
    Stuck,
    /// It gave up, and its failure went up the tree; its messages are kept.
    Failed,
    /// It will not run again.
    Stopped,
}

impl ActorState {
    pub(super) fn from_u8(value: u8) -> Self {
        use ActorState::{BackingOff, Draining, Failed, Idle, Paused, Running, Starting, Stuck};
        let states = [
            Starting, Running, Idle, BackingOff, Paused, Draining, Stuck, Failed,
        ];
        states
            .into_iter()
            .find(|state| *state as u8 == value)
            .unwrap_or(Self::Stopped)
    }
}

/// The message an actor has in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Handling {
    /// What kind of message it is.
    pub message: &'static str,
    /// How long it has been in hand.
    pub since_ms: u64,
}

/// The bound of a mailbox and how full it is; the message in hand counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MailboxSnapshot {
    /// Messages accepted and not finished.
    pub len: usize,
    /// The most it accepts.
    pub capacity: usize,
    /// The most there ever were.
    pub peak: usize,
}

/// Totals of one actor or pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counters {
    /// Messages accepted.
    pub received: u64,
    /// Messages finished well.
    pub handled: u64,
    /// Messages let go as failed.
    pub failed: u64,
    /// Messages set aside as poison.
    pub set_aside: u64,
    /// Messages handed back at the end of a drain.
    pub handed_back: u64,
    /// Panics caught.
    pub panics: u64,
    /// Restarts, those with a sibling included.
    pub restarts: u64,
}

/// The last failure of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastFailure {
    /// What happened.
    pub reason: String,
    /// When, since the system started.
    pub at_ms: u64,
}

/// The last panic of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastPanic {
    /// What it said, and where.
    pub reason: String,
    /// When, since the system started.
    pub at_ms: u64,
    /// The calls that led to it, if they are kept. Their names are looked up by whoever wants them.
    #[serde(skip)]
    pub calls: Option<Calls>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_upper_bound_of_their_bucket() {
        let histogram = Histogram::default();
        for us in 1..=100 {
            histogram.record(Duration::from_micros(us), add_alone);
        }
        let latency = histogram.snapshot();
        assert_eq!((latency.count, latency.sum_us), (100, 5_050));
        assert_eq!((latency.p50_us, latency.p99_us), (63, 127));
        assert_eq!(
            latency
                .buckets
                .iter()
                .map(|bucket| bucket.count)
                .sum::<u64>(),
            100
        );
    }

    #[test]
    fn an_empty_histogram_and_an_endless_duration_are_no_trouble() {
        let histogram = Histogram::default();
        assert_eq!(histogram.snapshot(), Latency::default());
        histogram.record(Duration::MAX, add_shared);
        assert_eq!(histogram.snapshot().count, 1);
    }
}
