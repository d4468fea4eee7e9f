//! The order of a pool's jobs as pure state: lanes, holds and the breaker; no worker in sight.
//!
//! Jobs of one lane are done one at a time and in order; jobs without a lane in any order. A lane
//! lives only while it has jobs.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use super::spec::Backoff;

/// The lane of a job. Two keys that collide share a lane, which costs speed but never order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey(pub u64);

impl LaneKey {
    /// The lane of whatever identifies the one whose order matters.
    pub fn of(id: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        id.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// A ticket for a job given out, to be returned when it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    lane: Lane,
    probe: bool,
}

/// Each job without a key has a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Lane {
    Keyed(LaneKey),
    Alone(u64),
}

#[derive(Debug)]
enum Breaker {
    Closed,
    /// Nothing is given out before this moment; then one probe is.
    Open {
        until: Instant,
    },
    Probing,
}

pub(super) struct Lanes<J> {
    jobs: HashMap<Lane, VecDeque<J>>,
    ready: VecDeque<Lane>,
    held: BTreeMap<(Instant, u64), Lane>,
    sequence: u64,
    breaker: Breaker,
    outages: u32,
    backoff: Backoff,
    rng: fastrand::Rng,
}

impl<J> Lanes<J> {
    pub(super) fn new(backoff: Backoff, seed: u64) -> Self {
        Self {
            jobs: HashMap::new(),
            ready: VecDeque::new(),
            held: BTreeMap::new(),
            sequence: 0,
            breaker: Breaker::Closed,
            outages: 0,
            backoff,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn push(&mut self, key: Option<LaneKey>, job: J) {
        self.sequence += 1;
        let lane = key.map_or(Lane::Alone(self.sequence), Lane::Keyed);
        let jobs = self.jobs.entry(lane).or_insert_with(|| {
            self.ready.push_back(lane);
            VecDeque::with_capacity(1)
        });
        jobs.push_back(job);
    }

    /// The next job that may be done now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Ticket, J)> {
        self.release_due(now);
        let probe = match self.breaker {
            Breaker::Closed => false,
            Breaker::Open { until } if now >= until => true,
            Breaker::Open { .. } | Breaker::Probing => return None,
        };
        let lane = self.ready.pop_front()?;
        let job = self.jobs.get_mut(&lane).and_then(VecDeque::pop_front);
        if probe {
            self.breaker = Breaker::Probing;
        }
        Some((Ticket { lane, probe }, job.expect("a ready lane has a job")))
    }

    /// The job was done, or let go. True if that closed the breaker.
    pub(super) fn finished(&mut self, ticket: Ticket) -> bool {
        if self.jobs.get(&ticket.lane).is_some_and(VecDeque::is_empty) {
            self.jobs.remove(&ticket.lane);
        } else {
            self.ready.push_back(ticket.lane);
        }
        self.answered(ticket)
    }

    /// The job returns to the head of its lane until a moment. True if that closed the breaker.
    pub(super) fn hold(&mut self, ticket: Ticket, job: J, until: Instant) -> bool {
        self.give_back(ticket, job);
        self.sequence += 1;
        self.held.insert((until, self.sequence), ticket.lane);
        self.answered(ticket)
    }

    /// The job met a dependency that is down; returns the pause if this opened the breaker anew.
    pub(super) fn outage(&mut self, ticket: Ticket, job: J, now: Instant) -> Option<Duration> {
        self.give_back(ticket, job);
        self.ready.push_front(ticket.lane);
        // Those given out before the breaker opened meet the same outage: one outage, one pause.
        if !ticket.probe && !matches!(self.breaker, Breaker::Closed) {
            return None;
        }
        let delay = self.backoff.delay(self.outages, &mut self.rng);
        self.outages = self.outages.saturating_add(1);
        self.breaker = Breaker::Open { until: now + delay };
        Some(delay)
    }

    /// When something that waits may be given out: the earliest hold or the breaker's next probe.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let held = self.held.first_key_value().map(|((until, _), _)| *until);
        match self.breaker {
            Breaker::Closed => held,
            Breaker::Open { until } if !self.ready.is_empty() => Some(until),
            Breaker::Open { until } => held.map(|held| held.max(until)),
            Breaker::Probing => None,
        }
    }

    /// True if every job here is held until after the given moment, or waits behind such a one.
    pub(super) fn idle_until_after(&self, deadline: Instant) -> bool {
        self.ready.is_empty()
            && self
                .held
                .first_key_value()
                .is_none_or(|((until, _), _)| *until > deadline)
    }

    /// Takes every job that is not given out, each lane in order.
    pub(super) fn take_all(&mut self) -> Vec<J> {
        let mut lanes = self.jobs.keys().copied().collect::<Vec<_>>();
        lanes.sort_unstable();
        self.ready.clear();
        self.held.clear();
        lanes
            .iter()
            .flat_map(|lane| {
                self.jobs
                    .get_mut(lane)
                    .map(std::mem::take)
                    .unwrap_or_default()
            })
            .collect()
    }

    fn give_back(&mut self, ticket: Ticket, job: J) {
        self.jobs.entry(ticket.lane).or_default().push_front(job);
    }

    /// A probe that got any answer but an outage shows that the dependency is up.
    fn answered(&mut self, ticket: Ticket) -> bool {
        if ticket.probe {
            self.breaker = Breaker::Closed;
            self.outages = 0;
        }
        ticket.probe
    }

    fn release_due(&mut self, now: Instant) {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= now
        {
            self.ready.push_back(entry.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes<u32> {
        Lanes::new(Backoff::default(), 1)
    }

    #[test]
    fn one_job_of_a_lane_is_out_at_a_time_and_lanes_do_not_wait_for_each_other() {
        let (mut lanes, now) = (lanes(), Instant::now());
        for (key, job) in [(1, 10), (1, 11), (2, 20)] {
            lanes.push(Some(LaneKey(key)), job);
        }
        let (first, job) = lanes.next(now).unwrap();
        assert_eq!(job, 10);
        assert_eq!(lanes.next(now).unwrap().1, 20);
        assert!(lanes.next(now).is_none());
        lanes.finished(first);
        assert_eq!(lanes.next(now).unwrap().1, 11);
    }

    #[test]
    fn a_held_job_keeps_its_place_and_stops_its_lane_only() {
        let (mut lanes, now) = (lanes(), Instant::now());
        for (key, job) in [(1, 10), (1, 11), (2, 20)] {
            lanes.push(Some(LaneKey(key)), job);
        }
        let until = now + Duration::from_secs(1);
        let (ticket, job) = lanes.next(now).unwrap();
        lanes.hold(ticket, job, until);
        assert_eq!(lanes.next(now).unwrap().1, 20);
        assert!(lanes.next(now).is_none());
        assert_eq!(lanes.wake_at(), Some(until));
        let (ticket, job) = lanes.next(until).unwrap();
        assert_eq!(job, 10);
        lanes.finished(ticket);
        assert_eq!(lanes.next(until).unwrap().1, 11);
    }

    #[test]
    fn an_outage_lets_one_probe_through_at_a_time_until_one_succeeds() {
        let (mut lanes, mut now) = (lanes(), Instant::now());
        (0..4).for_each(|job| lanes.push(None, job));
        let (a, job_a) = lanes.next(now).unwrap();
        let (b, job_b) = lanes.next(now).unwrap();
        let delay = lanes.outage(a, job_a, now).expect("it opens");
        assert_eq!(
            lanes.outage(b, job_b, now),
            None,
            "the same outage opens it once"
        );
        assert!(lanes.next(now).is_none());
        now += delay;
        let (probe, job) = lanes.next(now).unwrap();
        assert!(lanes.next(now).is_none(), "one probe at a time");
        now += lanes
            .outage(probe, job, now)
            .expect("the probe failed: it opens again");
        let (probe, _) = lanes.next(now).unwrap();
        assert!(lanes.finished(probe));
        assert_eq!((0..).map_while(|_| lanes.next(now)).count(), 3);
    }

    #[test]
    fn a_lane_is_gone_once_its_jobs_are() {
        let (mut lanes, now) = (lanes(), Instant::now());
        lanes.push(Some(LaneKey::of("u-1")), 1);
        let (ticket, _) = lanes.next(now).unwrap();
        lanes.finished(ticket);
        assert!(lanes.jobs.is_empty() && lanes.ready.is_empty());
    }
}
