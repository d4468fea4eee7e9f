//! A token bucket whose rate gives way to throttling.
//!
//! The service's quota is one for all hosts and may be lower than is configured, so the rate is found out as TCP finds
//! out a line's: it halves when the service throttles and grows back by a constant amount. `governor`'s limiters have a
//! rate that is fixed for their life, which is why the bucket is our own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iyagi_actors::ports::QuotaLevel;
use thiserror::Error;
use tokio::time::Instant;

/// Limits how often one kind of call is made, over all callers in this process.
#[derive(Debug)]
pub struct Quota {
    bucket: Mutex<Bucket>,
}

/// There are too many callers before this one.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("this host's share of the quota is used up for the next {} ms", .wait.as_millis())]
pub struct Exhausted {
    /// When it is worth trying again.
    pub wait: Duration,
}

/// Part of a second's calls that may be made at once: enough to ride out a scheduler's pause.
const BURST_SECONDS: f64 = 0.1;
/// Part of the limit by which the rate grows back in a second: a halved rate is whole again after ten.
const RECOVERY_PER_SECOND: f64 = 0.05;
/// Part of the limit that is always left, so that the end of the throttling is noticed.
const RATE_MIN: f64 = 0.01;
/// How long a turn is waited for at most, before it is asked for again.
const TURN_MAX: Duration = Duration::from_millis(200);
/// Throttling answers within this time are about calls made at one and the same rate, so they count as one.
const HALVING_INTERVAL: Duration = Duration::from_secs(1);

impl Quota {
    /// A quota of this many calls a second, all of it for this host.
    pub fn new(per_second: u32) -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(per_second, Instant::now())),
        }
    }

    /// Waits for this call's turn, at most for `wait_max`; callers come in order.
    pub async fn take(&self, wait_max: Duration) -> Result<(), Exhausted> {
        let wait = self.bucket().take(Instant::now(), wait_max)?;
        pass(wait).await;
        Ok(())
    }

    /// Waits for a turn at `pace`, a part of the rate from 0 to 1; false if it does not come within a moment. It is to be asked
    /// for again then, for the pace may be another one by that time.
    pub async fn turn(&self, pace: f64) -> bool {
        let wait = {
            let mut bucket = self.bucket();
            bucket.set_pace(pace, Instant::now());
            bucket.take(Instant::now(), TURN_MAX)
        };
        pass(wait.unwrap_or(TURN_MAX)).await;
        wait.is_ok()
    }

    /// Notes that the service throttled a call.
    pub fn throttled(&self) {
        self.bucket().throttled(Instant::now());
    }

    /// Notes how many hosts the quota is shared with, this one included.
    pub fn set_share(&self, hosts: u32) {
        self.bucket().set_share(hosts, Instant::now());
    }

    /// The state now.
    pub fn level(&self) -> QuotaLevel {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        QuotaLevel {
            limit: bucket.limit(),
            rate: bucket.paced(),
            tokens: bucket.tokens,
            throttled: bucket.throttled,
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets time pass. No time takes none: the timer would round it up to its next millisecond.
async fn pass(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// The decisions, as functions of the moment.
#[derive(Debug)]
struct Bucket {
    per_second: u32,
    hosts: u32,
    /// What the service bears.
    rate: f64,
    /// The part of the limit that is made use of.
    pace: f64,
    tokens: f64,
    refilled_at: Instant,
    halved_at: Option<Instant>,
    throttled: u64,
}

impl Bucket {
    fn new(per_second: u32, now: Instant) -> Self {
        let mut bucket = Self {
            per_second: per_second.max(1),
            hosts: 1,
            rate: 0.0,
            pace: 1.0,
            tokens: 0.0,
            refilled_at: now,
            halved_at: None,
            throttled: 0,
        };
        bucket.rate = bucket.limit();
        bucket.tokens = bucket.burst();
        bucket
    }

    fn limit(&self) -> f64 {
        f64::from(self.per_second) / f64::from(self.hosts)
    }

    fn paced(&self) -> f64 {
        self.rate.min(self.limit() * self.pace)
    }

    fn burst(&self) -> f64 {
        (self.paced() * BURST_SECONDS).max(1.0)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now
            .saturating_duration_since(self.refilled_at)
            .as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        let before = self.paced();
        self.rate = (self.rate + self.limit() * RECOVERY_PER_SECOND * elapsed).min(self.limit());
        // While the rate grew, its mean flowed in.
        let inflow = f64::midpoint(before, self.paced()) * elapsed;
        self.tokens = (self.tokens + inflow).min(self.burst());
    }

    /// Takes a token, if need be one that is not there yet; yields when it will be.
    fn take(&mut self, now: Instant, wait_max: Duration) -> Result<Duration, Exhausted> {
        self.refill(now);
        let missing = (1.0 - self.tokens).max(0.0);
        // At no pace at all a turn never comes.
        let wait = Duration::try_from_secs_f64(missing / self.paced()).unwrap_or(Duration::MAX);
        if wait > wait_max {
            return Err(Exhausted { wait });
        }
        self.tokens -= 1.0;
        Ok(wait)
    }

    fn throttled(&mut self, now: Instant) {
        self.refill(now);
        self.throttled += 1;
        let halved_at = self.halved_at;
        if halved_at.is_some_and(|at| now.saturating_duration_since(at) < HALVING_INTERVAL) {
            return;
        }
        self.halved_at = Some(now);
        self.rate = (self.rate / 2.0).max(self.limit() * RATE_MIN);
        self.tokens = self.tokens.min(0.0);
    }

    fn set_pace(&mut self, pace: f64, now: Instant) {
        self.refill(now);
        self.pace = pace.clamp(0.0, 1.0);
        self.tokens = self.tokens.min(self.burst());
    }

    fn set_share(&mut self, hosts: u32, now: Instant) {
        self.refill(now);
        let before = self.limit();
        self.hosts = hosts.max(1);
        // What throttling has taught about the whole account holds for the new share as well.
        self.rate *= self.limit() / before;
        self.tokens = self.tokens.min(self.burst());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn no_second_has_more_calls_than_the_limit_and_a_tenth_at_once() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        let mut made = 0;
        for step in 0..10_000 {
            let now = at(start, f64::from(step) / 1_000.0);
            while bucket.take(now, Duration::ZERO).is_ok() {
                made += 1;
            }
            let allowed = 10.0 + 100.0 * f64::from(step) / 1_000.0;
            assert!(f64::from(made) <= allowed + 1e-6, "{made} at step {step}");
        }
        assert!((1_008..=1_010).contains(&made), "{made}");
    }

    #[test]
    fn callers_wait_in_order_and_one_that_would_wait_too_long_is_told_for_how_long() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        let second = Duration::from_secs(1);
        let waits: Vec<_> = (0..12).map(|_| bucket.take(start, second)).collect();
        assert_eq!(waits[0], Ok(Duration::ZERO));
        for (index, wait) in waits[1..11].iter().enumerate() {
            let wait = wait.expect("within a second").as_millis();
            assert_eq!(wait, 100 * (index as u128 + 1));
        }
        let refused = waits[11].expect_err("later than a second");
        assert_eq!(refused.wait.as_millis(), 1_100);
        // Who was refused has taken nothing.
        assert_eq!(bucket.take(start, LONG), Ok(refused.wait));
    }

    #[test]
    fn throttling_halves_the_rate_once_per_wave_and_it_grows_back_by_a_constant() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1_000, start);
        for _ in 0..50 {
            bucket.throttled(start);
        }
        assert_eq!((bucket.rate, bucket.tokens), (500.0, 0.0));
        assert_eq!(bucket.throttled, 50);
        bucket.throttled(at(start, 1.0));
        assert!((bucket.rate - 275.0).abs() < 1e-6, "{}", bucket.rate);
        let mut before = bucket.rate;
        for second in 2..=15 {
            bucket.refill(at(start, f64::from(second)));
            let expected = (before + 50.0).min(1_000.0);
            assert!((bucket.rate - expected).abs() < 1e-6, "{}", bucket.rate);
            before = bucket.rate;
        }
        bucket.refill(at(start, 16.0));
        assert!((bucket.rate - 1_000.0).abs() < 1e-6, "{}", bucket.rate);
    }

    #[test]
    fn a_service_that_throttles_for_long_is_still_asked_now_and_then() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1_000, start);
        for second in 0..600 {
            bucket.throttled(at(start, f64::from(second)));
        }
        assert!(bucket.rate >= 10.0, "{}", bucket.rate);
        let wait = bucket.take(at(start, 600.0), LONG).expect("its turn comes");
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
    }

    #[test]
    fn hosts_share_the_quota_and_what_throttling_taught() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1_200, start);
        bucket.set_share(4, start);
        assert_eq!((bucket.limit(), bucket.rate), (300.0, 300.0));
        bucket.throttled(start);
        bucket.set_share(2, start);
        assert_eq!((bucket.limit(), bucket.rate), (600.0, 300.0));
        bucket.set_share(0, start);
        assert!((bucket.limit() - 1_200.0).abs() < 1e-6);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_turns_come_first_seldom_and_within_the_ramp_at_the_whole_rate() {
        let quota = Quota::new(100);
        let began = Instant::now();
        let mut turns = [0; 8];
        loop {
            let seconds = began.elapsed().as_secs_f64();
            if seconds >= 80.0 {
                break;
            }
            if quota.turn((seconds / 60.0).min(1.0)).await {
                turns[(seconds / 10.0) as usize] += 1;
            }
        }
        // A sixth of the rate more in each ten seconds, and the whole of it from the sixtieth on.
        for (index, made) in turns.into_iter().enumerate() {
            let whole = f64::midpoint((index as f64).min(6.0), (index as f64 + 1.0).min(6.0)) / 6.0
                * 1_000.0;
            let close = (f64::from(made) - whole).abs() <= 30.0;
            assert!(close, "{made} in the {index}th ten seconds, not {whole}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_callers_are_spread_over_the_time_that_the_quota_asks_for() {
        let quota = Quota::new(100);
        let began = Instant::now();
        let callers = (0..1_000).map(|_| quota.take(LONG));
        let taken = futures_util::future::join_all(callers).await;
        assert!(taken.iter().all(Result::is_ok));
        let took = began.elapsed();
        assert!(
            (Duration::from_millis(9_850)..Duration::from_millis(9_950)).contains(&took),
            "{took:?}"
        );
        assert!(quota.level().tokens <= 1.0);
    }
}
