//! The order of a pool's jobs as pure state: lanes, holds and the breaker; no worker in sight.
//!
//! Jobs of one lane are done one at a time and in order; jobs without a lane in any order. A lane
//! lives only while it has jobs. Among those for whom jobs wait, turns go round: one with a thousand
//! jobs and one with five get as many done, for as long as both have some.

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
enum Place {
    Keyed(LaneKey),
    Alone(u64),
}

/// A lane, and whose turn its jobs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Lane {
    place: Place,
    turn: Option<LaneKey>,
}

/// Lanes whose next job may be done, by whose turn it is.
#[derive(Debug, Default)]
struct Ready {
    lanes: HashMap<Option<LaneKey>, VecDeque<Lane>>,
    /// Who has any, the next one first.
    turns: VecDeque<Option<LaneKey>>,
}

impl Ready {
    fn push_back(&mut self, lane: Lane) {
        let lanes = self.lanes.entry(lane.turn).or_insert_with(|| {
            self.turns.push_back(lane.turn);
            VecDeque::with_capacity(1)
        });
        lanes.push_back(lane);
    }

    /// Puts a lane before all others.
    fn push_front(&mut self, lane: Lane) {
        self.turns.retain(|turn| *turn != lane.turn);
        self.turns.push_front(lane.turn);
        self.lanes.entry(lane.turn).or_default().push_front(lane);
    }

    fn pop_front(&mut self) -> Option<Lane> {
        let turn = self.turns.pop_front()?;
        let lanes = self.lanes.get_mut(&turn);
        let lanes = lanes.expect("who has a turn has a lane");
        let lane = lanes.pop_front();
        if lanes.is_empty() {
            self.lanes.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        lane
    }

    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn clear(&mut self) {
        self.lanes.clear();
        self.turns.clear();
    }
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
    ready: Ready,
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
            ready: Ready::default(),
            held: BTreeMap::new(),
            sequence: 0,
            breaker: Breaker::Closed,
            outages: 0,
            backoff,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes a job on: its lane, if it has one, and whose turn it is, if turns are counted.
    pub(super) fn push(&mut self, key: Option<LaneKey>, turn: Option<LaneKey>, job: J) {
        self.sequence += 1;
        let place = key.map_or(Place::Alone(self.sequence), Place::Keyed);
        let lane = Lane { place, turn };
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
            lanes.push(Some(LaneKey(key)), None, job);
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
            lanes.push(Some(LaneKey(key)), None, job);
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
        (0..4).for_each(|job| lanes.push(None, None, job));
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
    fn one_who_has_many_jobs_does_not_hold_up_one_who_has_few() {
        let (mut lanes, now) = (lanes(), Instant::now());
        let (many, few) = (Some(LaneKey(1)), Some(LaneKey(2)));
        (0..100).for_each(|job| lanes.push(None, many, job));
        (100..103).for_each(|job| lanes.push(None, few, job));
        let order: Vec<u32> = std::iter::from_fn(|| lanes.next(now).map(|(_, job)| job)).collect();
        assert_eq!(order[..8], [0, 100, 1, 101, 2, 102, 3, 4]);
        assert_eq!(order.len(), 103);
        assert!(lanes.ready.lanes.is_empty(), "nobody is remembered");
    }

    #[test]
    fn a_job_that_met_an_outage_is_the_probe_whoever_has_the_turn() {
        let (mut lanes, mut now) = (lanes(), Instant::now());
        lanes.push(None, Some(LaneKey(1)), 1);
        lanes.push(None, Some(LaneKey(1)), 2);
        lanes.push(None, Some(LaneKey(2)), 3);
        let (ticket, job) = lanes.next(now).unwrap();
        now += lanes.outage(ticket, job, now).expect("it opens");
        let (probe, job) = lanes.next(now).unwrap();
        assert_eq!(job, 1);
        lanes.finished(probe);
        assert_eq!((0..).map_while(|_| lanes.next(now)).count(), 2);
    }

    #[test]
    fn a_lane_is_gone_once_its_jobs_are() {
        let (mut lanes, now) = (lanes(), Instant::now());
        lanes.push(Some(LaneKey::of("u-1")), None, 1);
        let (ticket, _) = lanes.next(now).unwrap();
        lanes.finished(ticket);
        assert!(lanes.jobs.is_empty() && lanes.ready.is_empty());
    }
}
