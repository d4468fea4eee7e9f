//! Who is silent for so long that its work may be taken over.
//!
//! Whoever holds a lease raises its counter. An observer asks for the leases again and again, and notes on its own
//! monotonic clock for how long each has stood still; no two clocks are compared. Of what it finds unchanged it knows
//! only this: it was so when the earlier answer came, at the latest, and still when the later question was put, at the
//! earliest. Nothing else counts as silence, so that a slow answer makes nobody look dead.
//!
//! **Invariant:** a lease whose counter rises at least once in every patience, as the store sees it, is never found
//! silent; so a holder may count on its lease for one patience after it asked for the last rise that was granted.
//!
//! An observer that was itself stopped knows nothing of the time between, and whatever stopped it (a frozen
//! machine, a store out of reach) may have stopped the others too; so that time does not count, and it must look again
//! before it judges.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ports::Lease;

/// How many looks fit into one patience, so that one that fails or is late costs no more than its own time.
const LOOKS: u32 = 3;
/// An observer that did not look for longer than this part of its patience was stopped.
const STOPPED: u32 = 2;

/// One answer to a question for leases, with the observer's own time since some fixed moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Before the question was put.
    pub asked: Duration,
    /// After the answer came.
    pub answered: Duration,
    /// Every lease there is.
    pub leases: Vec<Lease>,
}

/// What an observer may conclude of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Someone has it, or may have.
    Held,
    /// Its holder is silent for too long.
    Silent,
    /// It was given up.
    Free,
}

/// What an observer knows of the leases that it looks at.
#[derive(Debug, Clone)]
pub struct Watch {
    patience: Duration,
    noted: BTreeMap<String, Noted>,
    /// When the last answer came.
    looked: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Noted {
    lease: Lease,
    /// How long it surely stood still while the observer was watching.
    still: Duration,
}

impl Watch {
    /// Watches leases whose holders may be silent for `patience`.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            noted: BTreeMap::new(),
            looked: None,
        }
    }

    /// Notes what was found. Leases that are no longer there are forgotten.
    pub fn note(&mut self, observation: Observation) {
        let watched = self.watched_until(observation.asked);
        let mut before = std::mem::take(&mut self.noted);
        for lease in observation.leases {
            let still = match before.remove(&lease.name) {
                Some(noted) if same_breath(&noted.lease, &lease) => noted.still + watched,
                _ => Duration::ZERO,
            };
            self.noted
                .insert(lease.name.clone(), Noted { lease, still });
        }
        self.looked = Some(observation.answered);
    }

    /// What may be concluded of a lease; nothing of one that was never seen.
    pub fn standing(&self, name: &str) -> Option<Standing> {
        self.noted.get(name).map(|noted| self.judge(noted))
    }

    /// The leases of those who live, as far as is known, by name.
    pub fn held(&self) -> impl Iterator<Item = &Lease> {
        self.of_standing(|standing| standing == Standing::Held)
    }

    /// The leases that may be taken, as they were seen, by name: the given up and the silent.
    pub fn vacant(&self) -> impl Iterator<Item = &Lease> {
        self.of_standing(|standing| standing != Standing::Held)
    }

    /// When to look again: when the longest silence may become too long, but several times in one patience. At once if
    /// the observer has not looked yet.
    pub fn next_look(&self) -> Duration {
        let Some(looked) = self.looked else {
            return Duration::ZERO;
        };
        let held = self
            .noted
            .values()
            .filter(|noted| noted.lease.owner.is_some());
        let left = held
            .map(|noted| self.patience.saturating_sub(noted.still))
            .filter(|left| !left.is_zero())
            .min();
        let stride = self.patience / LOOKS;
        looked + left.map_or(stride, |left| left.min(stride))
    }

    /// How long the observer surely was watching when it put its next question.
    fn watched_until(&self, asked: Duration) -> Duration {
        let since = self.looked.map(|looked| asked.saturating_sub(looked));
        since
            .filter(|since| *since <= self.patience / STOPPED)
            .unwrap_or_default()
    }

    fn judge(&self, noted: &Noted) -> Standing {
        if noted.lease.owner.is_none() {
            Standing::Free
        } else if noted.still >= self.patience {
            Standing::Silent
        } else {
            Standing::Held
        }
    }

    fn of_standing(&self, wanted: impl Fn(Standing) -> bool) -> impl Iterator<Item = &Lease> {
        let all = self.noted.values();
        all.filter(move |noted| wanted(self.judge(noted)))
            .map(|noted| &noted.lease)
    }
}

/// Whether nobody took, raised or gave up the lease in between: each of these changes one of the three.
fn same_breath(one: &Lease, other: &Lease) -> bool {
    (one.epoch, one.counter, &one.owner) == (other.epoch, other.counter, &other.owner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn lease(name: &str, epoch: u64, counter: u64) -> Lease {
        Lease {
            name: name.to_owned(),
            owner: Some(format!("{name}'s holder of {epoch}")),
            epoch,
            counter,
            detail: String::new(),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Looks at each moment, each answered at once.
    fn given(looks: impl IntoIterator<Item = (u64, Vec<Lease>)>) -> Watch {
        let mut watch = Watch::new(PATIENCE);
        for (at, leases) in looks {
            watch.note(Observation {
                asked: ms(at),
                answered: ms(at),
                leases,
            });
        }
        watch
    }

    /// The same leases at every look.
    fn still(at: &[u64], leases: &[Lease]) -> Watch {
        given(at.iter().map(|&at| (at, leases.to_vec())))
    }

    fn names<'a>(leases: impl Iterator<Item = &'a Lease>) -> Vec<&'a str> {
        leases.map(|lease| lease.name.as_str()).collect()
    }

    #[test]
    fn one_is_silent_after_a_whole_patience_without_a_sign() {
        let leases = [lease("a", 1, 7)];
        let watch = still(&[0, 3_333, 6_666, 9_999], &leases);
        assert_eq!(watch.standing("a"), Some(Standing::Held));
        assert_eq!(watch.next_look(), ms(10_000));
        let watch = still(&[0, 3_333, 6_666, 9_999, 10_000], &leases);
        assert_eq!(watch.standing("a"), Some(Standing::Silent));
        assert_eq!(
            watch.vacant().collect::<Vec<_>>(),
            [&leases[0]],
            "as it was seen"
        );
        assert_eq!(names(watch.held()), Vec::<&str>::new());
    }

    #[test]
    fn a_sign_of_life_begins_a_new_patience() {
        let watch = given([
            (0, vec![lease("a", 1, 7), lease("b", 1, 0)]),
            (4_000, vec![lease("a", 1, 7), lease("b", 1, 0)]),
            (8_000, vec![lease("a", 1, 8), lease("b", 1, 0)]),
            (12_000, vec![lease("a", 1, 8), lease("b", 1, 0)]),
        ]);
        assert_eq!(names(watch.held()), ["a"]);
        assert_eq!(names(watch.vacant()), ["b"]);
    }

    #[test]
    fn a_new_tenure_begins_a_new_patience_though_the_counter_is_the_same() {
        let watch = given([
            (0, vec![lease("a", 1, 0)]),
            (4_000, vec![lease("a", 1, 0)]),
            (8_000, vec![lease("a", 2, 0)]),
            (12_000, vec![lease("a", 2, 0)]),
        ]);
        assert_eq!(watch.standing("a"), Some(Standing::Held));
    }

    #[test]
    fn what_was_given_up_is_free_at_once() {
        let given_up = Lease {
            owner: None,
            ..lease("a", 3, 9)
        };
        let watch = given([(0, vec![lease("a", 3, 9)]), (100, vec![given_up.clone()])]);
        assert_eq!(watch.standing("a"), Some(Standing::Free));
        assert_eq!(watch.vacant().collect::<Vec<_>>(), [&given_up]);
        // Seen for the first time by one who has just begun to watch.
        assert_eq!(
            given([(0, vec![given_up])]).standing("a"),
            Some(Standing::Free)
        );
    }

    #[test]
    fn one_who_begins_to_watch_judges_nobody_before_a_whole_patience() {
        let watch = Watch::new(PATIENCE);
        assert_eq!(watch.next_look(), Duration::ZERO, "look at once");
        assert_eq!(watch.standing("a"), None);
        let watch = still(&[50_000], &[lease("a", 1, 7)]);
        assert_eq!(watch.standing("a"), Some(Standing::Held));
        assert_eq!(watch.next_look(), ms(50_000) + PATIENCE / LOOKS);
    }

    #[test]
    fn an_observer_that_was_stopped_looks_again_before_it_judges() {
        let all = [lease("a", 1, 7), lease("b", 1, 7), lease("c", 1, 7)];
        // Almost silent, then nobody looked for half a minute, in which nobody could be heard either.
        let watch = still(&[0, 4_500, 9_000, 39_000], &all);
        assert_eq!(names(watch.held()), ["a", "b", "c"]);
        let again = watch.next_look();
        assert_eq!(again, ms(40_000));
        let mut one_woke = watch;
        one_woke.note(Observation {
            asked: again,
            answered: again,
            leases: vec![lease("a", 1, 8), lease("b", 1, 7), lease("c", 1, 8)],
        });
        assert_eq!(names(one_woke.vacant()), ["b"]);
    }

    #[test]
    fn an_answer_that_was_read_late_makes_nobody_silent() {
        let mut watch = still(&[0], &[lease("a", 1, 7)]);
        // Put and answered in time, read after the observer was stopped for a minute.
        watch.note(Observation {
            asked: ms(3_000),
            answered: ms(63_000),
            leases: vec![lease("a", 1, 7)],
        });
        assert_eq!(watch.standing("a"), Some(Standing::Held));
        watch.note(Observation {
            asked: ms(63_100),
            answered: ms(63_200),
            leases: vec![lease("a", 1, 25)],
        });
        assert_eq!(watch.standing("a"), Some(Standing::Held));
    }

    #[test]
    fn a_lease_that_is_gone_is_forgotten() {
        let watch = given([(0, vec![lease("a", 1, 7)]), (1_000, vec![])]);
        assert_eq!(watch.standing("a"), None);
        let back = given([
            (0, vec![lease("a", 1, 7)]),
            (4_000, vec![]),
            (8_000, vec![lease("a", 1, 7)]),
            (12_000, vec![lease("a", 1, 7)]),
        ]);
        assert_eq!(back.standing("a"), Some(Standing::Held));
    }

    /// An observer's life: how long it sleeps before each look, and how long question and answer travel.
    fn looks() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        let sleep = prop_oneof![4 => 0..4_000_u64, 1 => 0..60_000_u64];
        let way = prop_oneof![4 => 0..200_u64, 1 => 0..20_000_u64];
        prop::collection::vec((sleep, way.clone(), way), 1..60)
    }

    proptest! {
        #[test]
        fn whoever_raises_the_counter_in_time_is_never_found_silent(
            rises in prop::collection::vec(1..10_000_u64, 300),
            looks in looks(),
        ) {
            let risen: Vec<u64> = rises
                .iter()
                .scan(0, |at, rise| { *at += rise; Some(*at) })
                .collect();
            let counter = |at: u64| risen.partition_point(|&rise| rise <= at) as u64;
            let alive_until = risen.last().copied().unwrap_or_default();
            let mut watch = Watch::new(PATIENCE);
            let mut now = 0;
            for (sleep, there, back) in looks {
                let asked = now + sleep;
                let read = asked + there;
                now = read + back;
                if read > alive_until {
                    break;
                }
                watch.note(Observation {
                    asked: ms(asked),
                    answered: ms(now),
                    leases: vec![lease("a", 1, counter(read))],
                });
                prop_assert_eq!(watch.standing("a"), Some(Standing::Held));
            }
        }

        #[test]
        fn whoever_died_is_found_silent_by_one_who_looks_when_told(way in 0..500_u64) {
            let mut watch = Watch::new(PATIENCE);
            let mut looks = 0;
            let mut answered = Duration::ZERO;
            while watch.standing("a") != Some(Standing::Silent) {
                looks += 1;
                prop_assert!(looks <= 6, "not silent by {answered:?}");
                let asked = watch.next_look();
                answered = asked + ms(way);
                watch.note(Observation { asked, answered, leases: vec![lease("a", 1, 7)] });
            }
            // The patience itself, and the way of each question and answer, which are not known to be silent.
            prop_assert!(answered <= PATIENCE + ms(way) * looks);
        }
    }
}
