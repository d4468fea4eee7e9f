//! Lines of phones whose first push waits.

use std::collections::{BTreeMap, VecDeque};

use iyagi_actors::push_sender::lines::{Lines, Turn};
use iyagi_messages::ids::{Pos, Timestamp};
use iyagi_messages::push::Push;

use crate::sample::{push, to_phone};

/// A feeder, a pool and its senders, as far as they have to do with lines, in any order that threads might take.
struct World {
    lines: Lines,
    random: fastrand::Rng,
    now: Timestamp,
    pushes: Vec<OnePush>,
    /// How many of them the feeder has offered.
    seen: usize,
    /// What of each phone is in the pool.
    lanes: BTreeMap<usize, VecDeque<usize>>,
}

struct OnePush {
    push: Push,
    phone: usize,
    failures_left: u32,
    not_before: Timestamp,
    settled: bool,
}

const PHONES: usize = 3;
/// What a pool keeps.
const HELD_MS_MAX: u64 = 1_000;

#[test]
fn of_every_phone_only_the_first_push_is_attempted_and_none_is_forgotten() {
    for seed in 0..3_000 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        for _ in 0..1_000 {
            if world.pushes.iter().all(|push| push.settled) {
                break;
            }
            world.now = world.now.plus_ms(10_000);
            world.feed_lines();
            world.feed_next();
            (0..PHONES).for_each(|phone| world.send(phone));
        }
        let forgotten = world.pushes.iter().filter(|push| !push.settled).count();
        assert_eq!(forgotten, 0, "seed {seed}");
        assert!(world.lines.is_empty(), "seed {seed}: {:?}", world.lines);
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let pushes = (0..random.usize(1..30)).map(|_| {
            let phone = random.usize(..PHONES);
            OnePush {
                push: to_phone(
                    push(1, Timestamp(1)),
                    format!("phone-{phone}").as_str().into(),
                ),
                phone,
                failures_left: [0, 0, 1, 3][random.usize(..4)],
                not_before: Timestamp(0),
                settled: false,
            }
        });
        Self {
            lines: Lines::default(),
            pushes: pushes.collect(),
            random,
            now: Timestamp(1),
            seen: 0,
            lanes: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        match self.random.u32(..8) {
            0 | 1 => self.feed_next(),
            2 => self.feed_lines(),
            3 => self.now = self.now.plus_ms(self.random.u64(..3_000)),
            // A feeder that died offers everything again.
            4 if self.random.u32(..20) == 0 => self.seen = 0,
            _ => {
                let phone = self.random.usize(..PHONES);
                self.send(phone);
            }
        }
    }

    fn feed_next(&mut self) {
        if self.seen < self.pushes.len() {
            self.offer(self.seen);
            self.seen += 1;
        }
    }

    fn feed_lines(&mut self) {
        while let Some(line) = self.lines.next_due(self.pushes[0].push.platform, self.now) {
            for turn in line {
                self.offer(index_of(turn));
            }
        }
    }

    fn offer(&mut self, index: usize) {
        let phone = self.pushes[index].phone;
        self.lanes.entry(phone).or_default().push_back(index);
    }

    fn send(&mut self, phone: usize) {
        let Some(index) = self.lanes.get_mut(&phone).and_then(VecDeque::pop_front) else {
            return;
        };
        let turn = turn_of(index);
        let earlier = self.pushes[..index].iter();
        let overtakes = earlier
            .filter(|other| other.phone == phone)
            .any(|other| !other.settled);
        let one = &mut self.pushes[index];
        if one.settled {
            self.lines.leave(&one.push, turn);
        } else if !self.lines.admit(&one.push, turn) {
        } else if one.not_before.since_ms(self.now) > HELD_MS_MAX {
            self.lines.wait(&one.push, turn, one.not_before);
        } else if one.not_before > self.now {
            self.lanes.entry(phone).or_default().push_front(index);
        } else {
            assert!(
                !overtakes,
                "push {index} overtakes an earlier one of phone {phone}"
            );
            if one.failures_left > 0 {
                one.failures_left -= 1;
                one.not_before = self.now.plus_ms(self.random.u64(..5_000));
                self.lanes.entry(phone).or_default().push_front(index);
            } else {
                one.settled = true;
                self.lines.leave(&one.push, turn);
            }
        }
    }
}

fn turn_of(index: usize) -> Turn {
    let at = Pos(index as u64 + 1);
    Turn { at, requested: at }
}

fn index_of(turn: Turn) -> usize {
    turn.at.0 as usize - 1
}
