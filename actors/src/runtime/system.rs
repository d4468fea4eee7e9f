//! The root of a tree of actors: groups and children are declared on it, and it answers operators.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::observer::{Observer, RuntimeEvent};
use super::record::{Record, order};
use super::register::{Control, Entry, Shared};
use super::spec::{Intensity, Strategy};
use super::statistics::{ActorKind, ActorSnapshot, ActorState};
use super::supervision::Tree;
use super::tree::Group;

/// A system of supervised actors. Clones are the same system.
#[derive(Clone)]
pub struct System {
    pub(super) shared: Arc<Shared>,
}

/// A failure that nobody in the tree could bear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// The actor it began with.
    pub actor: String,
    /// What happened.
    pub reason: String,
}

/// Why an operator's order could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such actor.
    #[error("there is no actor {name}{}", did_you_mean(candidates))]
    UnknownActor {
        /// What was asked for.
        name: String,
        /// Names that come close.
        candidates: Vec<String>,
    },
    /// Only a pool has a size.
    #[error("actor {name} is not a pool, so it has no size to change")]
    NotAPool {
        /// The actor.
        name: String,
    },
    /// It has stopped for good.
    #[error("actor {name} has stopped")]
    Stopped {
        /// The actor.
        name: String,
    },
}

fn did_you_mean(candidates: &[String]) -> String {
    match candidates {
        [] => String::new(),
        some => format!("; did you mean {}?", some.join(" or ")),
    }
}

impl System {
    /// A system with no actors yet. The seed makes every backoff repeatable; the intensity is what
    /// the root bears of its groups' failures before the system has failed.
    pub fn new(seed: u64, intensity: Intensity, observer: Arc<dyn Observer>) -> Self {
        let shared = Shared {
            epoch: Instant::now(),
            seed,
            observer,
            tree: Mutex::new(Tree::new(seed, intensity)),
            entries: Mutex::new(Vec::new()),
            places: Mutex::new(HashMap::new()),
            failed: watch::Sender::new(None),
            tasks: Mutex::new(BTreeMap::new()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A group beneath the root.
    pub fn group(&self, name: &str, strategy: Strategy, intensity: Intensity) -> Group {
        Group::new(
            Arc::clone(&self.shared),
            Tree::ROOT,
            name,
            strategy,
            intensity,
        )
    }

    /// Every actor, in the order of declaration; a pool is followed by its workers.
    pub fn actors(&self) -> Vec<ActorSnapshot> {
        let entries = self.shared.entries();
        let (workers, others) = entries
            .iter()
            .partition::<Vec<_>, _>(|entry| entry.record.kind == ActorKind::Worker);
        let mut snapshots = Vec::with_capacity(entries.len());
        for entry in others {
            snapshots.push(self.snapshot(entry));
            let own = workers.iter().filter(|worker| {
                worker
                    .record
                    .pool
                    .as_ref()
                    .is_some_and(|pool| Arc::ptr_eq(pool, &entry.record))
            });
            let mut own = own.map(|worker| self.snapshot(worker)).collect::<Vec<_>>();
            own.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
            snapshots.append(&mut own);
        }
        snapshots
    }

    /// One actor by name.
    pub fn actor(&self, name: &str) -> Result<ActorSnapshot, ControlError> {
        self.find(name).map(|entry| self.snapshot(&entry))
    }

    /// Lets an actor or pool take no further message; what it has in hand it finishes.
    pub fn pause(&self, name: &str) -> Result<(), ControlError> {
        let entry = self.find_alive(name)?;
        for record in entry.all_records() {
            record.give(order::PAUSE);
        }
        self.shared.observer.on(&RuntimeEvent::Paused {
            name: name.to_owned(),
        });
        Ok(())
    }

    /// Ends a pause.
    pub fn resume(&self, name: &str) -> Result<(), ControlError> {
        let entry = self.find_alive(name)?;
        entry.resume();
        if let Some(pool) = &entry.record.pool {
            // A worker was resumed: its pool may have a job for it.
            self.find(&pool.name.clone())?.resume_dispatch();
        }
        self.shared.observer.on(&RuntimeEvent::Resumed {
            name: name.to_owned(),
        });
        Ok(())
    }

    /// Rebuilds an actor, or every worker of a pool, once the message in hand is finished.
    ///
    /// One that is stuck is cut off, and its message is charged with the death; one that backs off
    /// or has failed is started at once.
    pub fn restart(&self, name: &str) -> Result<(), ControlError> {
        let entry = self.find_alive(name)?;
        let now = Instant::now();
        for record in entry.working_records() {
            let cut = record.stuck(now) || record.state() == ActorState::BackingOff;
            record.give(if cut { order::CANCEL } else { order::BOUNCE });
        }
        Ok(())
    }

    /// Changes the number of workers of a pool; returns the number before.
    pub fn scale(&self, name: &str, size: usize) -> Result<usize, ControlError> {
        let entry = self.find_alive(name)?;
        match &entry.control {
            Control::Pool(pool) => Ok(pool.resize(size)),
            _ => Err(ControlError::NotAPool {
                name: name.to_owned(),
            }),
        }
    }

    /// Resolves when the system has failed: only a restart of the process can help.
    pub async fn failed(&self) -> Escalation {
        let mut failed = self.shared.failed.subscribe();
        loop {
            if let Some(escalation) = failed.borrow_and_update().clone() {
                return escalation;
            }
            failed
                .changed()
                .await
                .expect("the sender lives as long as the system");
        }
    }

    /// Resolves when every thread of actors has taken something up: none of them is blocked.
    ///
    /// A message that waits for something else leaves its thread free; one that computes or blocks does not.
    pub async fn pulse(&self) {
        for place in self.shared.open_places() {
            let (beat, felt) = oneshot::channel();
            place.run(move || beat.send(()).unwrap_or(()));
            // A thread that has ended in a drain blocks nobody.
            felt.await.ok();
        }
    }

    fn snapshot(&self, entry: &Entry) -> ActorSnapshot {
        let now = Instant::now();
        let restarts = self
            .shared
            .tree()
            .restarts_in_window(entry.record.node, now);
        let mut snapshot = entry.record.snapshot(now, restarts);
        match &entry.control {
            Control::Actor => {}
            Control::Pool(pool) => {
                let workers = pool.workers();
                snapshot.size = Some(pool.size());
                snapshot.incarnation = workers.iter().map(|worker| worker.incarnation()).sum();
                let of_workers = workers.iter().map(|worker| worker.snapshot(now, 0));
                let of_workers = of_workers.collect::<Vec<_>>();
                snapshot.oldest_message_ms = of_workers
                    .iter()
                    .filter_map(|worker| worker.oldest_message_ms)
                    .max();
                snapshot.state = pool_state(&snapshot, &entry.record, &of_workers);
            }
            Control::Topic(topic) => {
                snapshot.size = Some(topic.subscribers());
                snapshot.mailbox.len = topic.deepest();
            }
        }
        snapshot
    }

    fn find(&self, name: &str) -> Result<Entry, ControlError> {
        let entries = self.shared.entries();
        entries
            .iter()
            .find(|entry| &*entry.record.name == name)
            .cloned()
            .ok_or_else(|| {
                let names = entries.iter().map(|entry| &*entry.record.name);
                ControlError::UnknownActor {
                    name: name.to_owned(),
                    candidates: close_to(name, names),
                }
            })
    }

    fn find_alive(&self, name: &str) -> Result<Entry, ControlError> {
        let entry = self.find(name)?;
        if entry.record.state() == ActorState::Stopped {
            return Err(ControlError::Stopped {
                name: name.to_owned(),
            });
        }
        Ok(entry)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("actors", &self.shared.entries().len())
            .finish()
    }
}

/// A pool does what its busiest worker does.
fn pool_state(pool: &ActorSnapshot, record: &Record, workers: &[ActorSnapshot]) -> ActorState {
    if matches!(pool.state, ActorState::Stopped) {
        return ActorState::Stopped;
    }
    if record.told(order::PAUSE) {
        return ActorState::Paused;
    }
    if record.told(order::DRAIN) {
        return ActorState::Draining;
    }
    let order = [
        ActorState::Stuck,
        ActorState::Failed,
        ActorState::Running,
        ActorState::BackingOff,
        ActorState::Starting,
    ];
    let has = |state: &ActorState| workers.iter().any(|worker| worker.state == *state);
    order.into_iter().find(has).unwrap_or(ActorState::Idle)
}

/// Names that someone who typed `name` may have meant, the closest first.
fn close_to<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    const SUGGESTIONS_MAX: usize = 3;
    let mut close = names
        .filter_map(|known| {
            let distance = strsim::damerau_levenshtein(name, known);
            let related = known.contains(name) || name.contains(known);
            (distance <= known.len().max(name.len()) / 3 || related).then_some((distance, known))
        })
        .collect::<Vec<_>>();
    close.sort_unstable();
    close
        .into_iter()
        .take(SUGGESTIONS_MAX)
        .map(|(_, known)| known.to_owned())
        .collect()
}
