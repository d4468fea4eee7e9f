//! Random histories that could have happened, appended step by step.
//!
//! # Layout
//! - this file: what happened so far, and the clock
//! - `pushes`, `files`, `people`, `operation`: what each step appends

mod files;
mod operation;
mod people;
mod pushes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use iyagi_actors::journal::{Draft, Journal};
use iyagi_actors::ports::Clock;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, PersonId, Pos, PushId, Timestamp};
use iyagi_messages::object::{ObjectKey, Sequencer};
use iyagi_messages::push::Push;

use super::steps::Step;

/// People, phones, subscriptions, files: few, so that they come back.
const NAMES: u8 = 4;

/// A clock that is put on by hand.
pub(super) struct Hands(AtomicI64);

impl Hands {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_767_225_600_000)))
    }

    pub(super) fn put_on_hours(&self, hours: u64) {
        let ms = i64::try_from(hours * 3_600_000).expect("a short time");
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        // Two appends are never of one moment.
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// What happened so far, as far as what can happen next depends on it.
pub(super) struct History {
    pub(super) clock: Arc<Hands>,
    commits: u64,
    nth: u64,
    pending: Vec<(Push, u32)>,
    accepted: Vec<PushId>,
    /// Given up, with how often.
    dead: Vec<(Push, u32)>,
    given_up_files: Vec<(ObjectKey, Sequencer)>,
    lists: Vec<(Pos, Entity)>,
    subscribed: BTreeMap<u8, bool>,
}

impl History {
    pub(super) fn new(clock: Arc<Hands>) -> Self {
        Self {
            clock,
            commits: 0,
            nth: 0,
            pending: Vec::new(),
            accepted: Vec::new(),
            dead: Vec::new(),
            given_up_files: Vec::new(),
            lists: Vec::new(),
            subscribed: BTreeMap::new(),
        }
    }

    pub(super) async fn go_on(&mut self, journal: &dyn Journal, steps: &[Step]) {
        for step in steps {
            let mut draft = Draft::new(&"test", "test");
            self.nth += 1;
            let many = self.take(*step, &mut draft);
            if draft.is_empty() {
                continue;
            }
            let appended = journal.append(draft.finish()).await.expect("appended");
            assert_eq!(appended.duplicates, 0, "{step:?}");
            if let Some(entity) = many {
                self.lists.push((appended.last, entity));
            }
        }
    }

    /// Drafts a step. Yields the list of people that it queues, if it does.
    fn take(&mut self, step: Step, draft: &mut Draft) -> Option<Entity> {
        match step {
            Step::QueueMany { people } => return Some(self.queue_many(people, draft)),
            Step::Wait { hours } => self.clock.put_on_hours(hours.into()),
            Step::Match { .. }
            | Step::Send { .. }
            | Step::Bounce { .. }
            | Step::Redrive { .. }
            | Step::Purge { .. }
            | Step::TellMany => self.of_pushes(step, draft),
            Step::GiveUpFile { .. }
            | Step::MakeFile { .. }
            | Step::Claim { .. }
            | Step::Release { .. } => self.of_files(step, draft),
            Step::Read { .. }
            | Step::Phone { .. }
            | Step::Subscription { .. }
            | Step::Wish { .. }
            | Step::Preferences { .. }
            | Step::Silence { .. } => self.of_people(step, draft),
            Step::Service { .. }
            | Step::Late { .. }
            | Step::Backfill { .. }
            | Step::Order { .. }
            | Step::Daemon { .. }
            | Step::Skip { .. } => self.of_operation(step, draft),
        }
        None
    }

    fn begin(&self, draft: &mut Draft, entity: Entity, fact: impl Into<Fact>) -> EventId {
        draft.begin(&format!("{}|{entity}", self.nth), entity, fact)
    }
}

fn picked<T>(from: &mut Vec<T>, which: u8) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(usize::from(which) % from.len()))
}

pub(super) fn person_of(which: u8) -> PersonId {
    PersonId::from(&*format!("person-{}", which % NAMES))
}

fn key_of(which: u8) -> ObjectKey {
    ObjectKey::new(&*format!("posts/{}/a.jpg", which % NAMES)).expect("a key")
}
