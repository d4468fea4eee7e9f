//! How often somebody may ask: a bucket each, by the generic cell rate algorithm.
//!
//! On the public listener a person has one, and so has an address, and an address once more for tokens of it that are refused;
//! on the operations listener an address has one for tokens that it tries.
//!
//! Whoever asks chooses the key, or can have many, so the number of buckets is bounded by construction: keys are hashed into
//! a fixed number of them, by a hash that nobody outside can compute. Two keys that meet share a bucket, which one in a
//! quarter of a million does; and full buckets, which are as good as none, are shed.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

use super::origin;
use super::problem::{Kind, Problem};
use crate::config::LimitsConfig;

/// Buckets at most, some six megabytes of them.
const BUCKETS_MAX: u64 = 1 << 18;
/// Requests after which full buckets are shed. It is a pass over all of them, shared by so many requests.
const SHED_EVERY: u64 = 1 << 16;
/// Operators' tokens that one address may try: a slip of the finger now and then, and no search.
const GUESSES: Rate = Rate {
    burst: NonZeroU32::new(10).expect("ten"),
    per_minute: NonZeroU32::new(10).expect("ten"),
};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The requests of a person.
    Person,
    /// The requests from an address.
    Address,
    /// The requests from an address whose token is refused.
    Refused,
    /// The operators' tokens that are tried from an address.
    Operator,
}

/// All limits, and how often each was reached.
pub struct Limits {
    limiters: [Limiter; 4],
    reached: [AtomicU64; 4],
    /// Proxies that are believed.
    proxies: Vec<IpNet>,
}

impl Limit {
    /// Every one, in order of its place in [`Limits`].
    pub const ALL: [Self; 4] = [Self::Person, Self::Address, Self::Refused, Self::Operator];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Address => "address",
            Self::Refused => "refused",
            Self::Operator => "operator",
        }
    }

    /// The answer to whoever reached it.
    fn problem(self, wait: Duration) -> Problem {
        let detail = match self {
            Self::Person => "you ask more often than one person may",
            Self::Address => "your address asks more often than one may",
            Self::Refused => "too many tokens from your address were refused",
            Self::Operator => "too many tokens from your address were no operator's",
        };
        Problem::new(Kind::TooManyRequests, detail).retry_after(seconds(wait))
    }
}

impl Limits {
    /// As configured; nobody has asked yet.
    pub fn new(config: &LimitsConfig) -> Self {
        let rates = [
            Rate::of(config.person_burst, config.person_per_minute),
            Rate::of(config.address_burst, config.address_per_minute),
            Rate::of(config.refused_burst, config.refused_per_minute),
            GUESSES,
        ];
        Self {
            limiters: rates.map(Limiter::new),
            reached: Default::default(),
            proxies: config.proxies(),
        }
    }

    /// Whose bucket a request is taken from, besides that of its sender.
    pub fn address_of(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        peer.map(|peer| network(origin::of(peer.ip(), headers, &self.proxies)))
    }

    /// Takes one from somebody's bucket, or says how long it is empty.
    pub fn take(&self, limit: Limit, who: impl Hash) -> Result<(), Duration> {
        let taken = self.limiters[limit as usize].take(who);
        if taken.is_err() {
            self.reached[limit as usize].fetch_add(1, Relaxed);
        }
        taken
    }

    /// The same for a request that is answered at once if it is one too many.
    pub fn check(&self, limit: Limit, who: impl Hash) -> Result<(), Problem> {
        self.take(limit, who).map_err(|wait| limit.problem(wait))
    }

    /// Requests that were refused for a limit.
    pub fn reached(&self, limit: Limit) -> u64 {
        self.reached[limit as usize].load(Relaxed)
    }
}

/// Whose address it is: of IPv6 a subscriber has 64 bits to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(prefix).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Seconds to wait, for `Retry-After`: never too few.
pub fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

/// How much is in a bucket, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    /// Requests that may come at once.
    burst: NonZeroU32,
    /// Requests a minute, on and on.
    per_minute: NonZeroU32,
}

/// Buckets of one kind.
struct Limiter<C: Clock = MonotonicClock> {
    buckets: RateLimiter<u32, HashMapStateStore<u32>, C, NoOpMiddleware<C::Instant>>,
    hash: RandomState,
    asked: AtomicU64,
}

impl Rate {
    /// The configuration lets no zero through; one would be the least.
    fn of(burst: u32, per_minute: u32) -> Self {
        let some = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            burst: some(burst),
            per_minute: some(per_minute),
        }
    }
}

impl Limiter {
    /// All of them full.
    fn new(rate: Rate) -> Self {
        Self::with_clock(rate, MonotonicClock)
    }
}

impl<C: Clock> Limiter<C> {
    fn with_clock(rate: Rate, clock: C) -> Self {
        let quota = Quota::per_minute(rate.per_minute).allow_burst(rate.burst);
        Self {
            buckets: RateLimiter::hashmap_with_clock(quota, clock),
            hash: RandomState::new(),
            asked: AtomicU64::new(0),
        }
    }

    fn take(&self, who: impl Hash) -> Result<(), Duration> {
        if self.asked.fetch_add(1, Relaxed) % SHED_EVERY == SHED_EVERY - 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        let bucket = self.hash.hash_one(who) % BUCKETS_MAX;
        let taken = self.buckets.check_key(&(bucket as u32));
        taken.map_err(|until| until.wait_time_from(self.buckets.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limiter(burst: u32, per_minute: u32) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rate = Rate {
            burst: NonZeroU32::new(burst).expect("some"),
            per_minute: NonZeroU32::new(per_minute).expect("some"),
        };
        (Limiter::with_clock(rate, clock.clone()), clock)
    }

    #[test]
    fn a_bucket_is_empty_after_its_burst_and_fills_with_time() {
        let (limiter, clock) = limiter(3, 60);
        for _ in 0..3 {
            assert_eq!(limiter.take("minji"), Ok(()));
        }
        let wait = limiter.take("minji").expect_err("empty");
        assert_eq!(seconds(wait), 1);
        assert_eq!(limiter.take("grace"), Ok(()), "a bucket of her own");
        clock.advance(wait);
        assert_eq!(limiter.take("minji"), Ok(()));
        assert!(limiter.take("minji").is_err());
    }

    #[test]
    fn no_number_of_addresses_takes_more_memory_than_the_most() {
        let (limiter, clock) = limiter(1, 1);
        for n in 0..2 * BUCKETS_MAX {
            limiter.take(n).ok();
        }
        assert!(limiter.buckets.len() as u64 <= BUCKETS_MAX);
        clock.advance(Duration::from_mins(2));
        for _ in 0..SHED_EVERY {
            limiter.take("somebody").ok();
        }
        assert_eq!(limiter.buckets.len(), 1, "idle ones are shed");
    }

    #[test]
    fn addresses_that_one_subscriber_can_have_share_a_bucket() {
        let network = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(
            network("2001:db8:1:2:3::1"),
            network("2001:db8:1:2:ffff::2")
        );
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
