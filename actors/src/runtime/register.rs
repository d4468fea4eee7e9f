//! What the parts of one system share: the register of actors, the tree, the threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tokio::time::Instant;

use super::broadcast::TopicControl;
use super::dispatcher::PoolControl;
use super::observer::{Observer, RuntimeEvent};
use super::place::Place;
use super::record::{Record, order};
use super::spec::{Intensity, Placement};
use super::statistics::ActorKind;
use super::supervision::{NodeId, Tree, Verdict};
use super::system::Escalation;

/// What the parts of one system share.
pub(super) struct Shared {
    pub(super) epoch: Instant,
    pub(super) seed: u64,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) tree: Mutex<Tree>,
    pub(super) entries: Mutex<Vec<Entry>>,
    pub(super) places: Mutex<HashMap<Placement, Arc<Place>>>,
    pub(super) failed: watch::Sender<Option<Escalation>>,
    pub(super) tasks: Mutex<BTreeMap<String, usize>>,
}

/// An actor, pool, worker or topic in the register.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) record: Arc<Record>,
    pub(super) control: Control,
}

/// What an entry can do beyond what every actor can.
#[derive(Clone)]
pub(super) enum Control {
    Actor,
    Pool(Arc<dyn PoolControl>),
    Topic(Arc<dyn TopicControl>),
}

impl Entry {
    /// The records that stand for running workers.
    pub(super) fn working_records(&self) -> Vec<Arc<Record>> {
        match &self.control {
            Control::Actor => vec![Arc::clone(&self.record)],
            Control::Pool(pool) => pool.workers(),
            Control::Topic(_) => Vec::new(),
        }
    }

    /// The entry's own and those, in the order in which they are to be told: a worker asks its pool whether it drains.
    pub(super) fn all_records(&self) -> Vec<Arc<Record>> {
        let mut records = self.working_records();
        if !matches!(self.control, Control::Actor) {
            records.insert(0, Arc::clone(&self.record));
        }
        records
    }

    pub(super) fn resume(&self) {
        for record in self.all_records() {
            record.revoke(order::PAUSE);
        }
        self.resume_dispatch();
    }

    pub(super) fn resume_dispatch(&self) {
        if let Control::Pool(pool) = &self.control {
            pool.dispatch();
        }
    }
}

impl Shared {
    pub(super) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().expect("no panic happens while it is held")
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries
            .lock()
            .expect("no panic happens while it is held")
            .clone()
    }

    /// Enters an actor; two of one name would be a mistake in the tree's declaration.
    pub(super) fn enter(&self, record: &Arc<Record>, control: Control) {
        let mut entries = self
            .entries
            .lock()
            .expect("no panic happens while it is held");
        let taken = entries.iter().any(|entry| {
            entry.record.name == record.name && entry.record.kind != ActorKind::Worker
        });
        if !taken {
            entries.push(Entry {
                record: Arc::clone(record),
                control,
            });
        }
        drop(entries);
        assert!(!taken, "two actors are named {}", record.name);
    }

    /// Takes a worker that stopped for good out of the register and the tree.
    pub(super) fn forget(&self, record: &Arc<Record>) {
        self.tree().remove(record.node);
        let mut entries = self
            .entries
            .lock()
            .expect("no panic happens while it is held");
        entries.retain(|entry| !Arc::ptr_eq(&entry.record, record));
    }

    pub(super) fn place(&self, placement: &Placement) -> Arc<Place> {
        let mut places = self
            .places
            .lock()
            .expect("no panic happens while it is held");
        let place = places.entry(placement.clone());
        Arc::clone(place.or_insert_with(|| Arc::new(Place::open(placement))))
    }

    pub(super) fn open_places(&self) -> Vec<Arc<Place>> {
        let places = self
            .places
            .lock()
            .expect("no panic happens while it is held");
        places.values().map(Arc::clone).collect()
    }

    pub(super) fn take_places(&self) -> Vec<Arc<Place>> {
        let mut places = self
            .places
            .lock()
            .expect("no panic happens while it is held");
        std::mem::take(&mut *places).into_values().collect()
    }

    /// Asks the tree about a failure and carries out what concerns others.
    pub(super) fn failed(&self, record: &Record, reason: &str, by_itself: bool) -> Verdict {
        let verdict = self.tree().failed(record.node, Instant::now(), by_itself);
        match &verdict {
            Verdict::Restart {
                bounce, escalated, ..
            } => {
                self.note_escalated(escalated, &record.name, reason);
                self.bounce(bounce);
            }
            Verdict::Stop => {}
            Verdict::Fail { escalated } => {
                self.note_escalated(escalated, &record.name, reason);
                self.fail(&record.name, reason);
            }
        }
        verdict
    }

    /// The system has failed. The first failure is the one that counts.
    pub(super) fn fail(&self, actor: &str, reason: &str) {
        self.note_escalated(&["root".to_owned()], actor, reason);
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                *failed = Some(Escalation {
                    actor: actor.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            first
        });
    }

    /// A pool bears as many restarts as its workers together.
    pub(super) fn pool_resized(&self, pool: &Record, size: usize) {
        self.tree()
            .set_intensity(pool.node, pool_intensity(pool.spec.intensity, size));
    }

    fn bounce(&self, nodes: &[NodeId]) {
        if nodes.is_empty() {
            return;
        }
        for entry in self.entries() {
            let worker = !matches!(entry.control, Control::Pool(_) | Control::Topic(_));
            if worker && nodes.contains(&entry.record.node) {
                entry.record.give(order::BOUNCE);
            }
        }
    }

    fn note_escalated(&self, groups: &[String], actor: &str, reason: &str) {
        for group in groups {
            tracing::error!(group, actor, reason, "failure escalated");
            self.observer.on(&RuntimeEvent::Escalated {
                group: group.clone(),
                actor: actor.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }
}

pub(super) fn pool_intensity(one: Intensity, size: usize) -> Intensity {
    let max = one
        .max
        .saturating_mul(u32::try_from(size).unwrap_or(u32::MAX).max(1));
    Intensity {
        max,
        within: one.within,
    }
}
