//! Looks at the daemon again and again: seldom while nobody watches, four times a second while somebody does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iyagi_messages::ids::Timestamp;
use tokio::sync::{Semaphore, watch};

use super::history::{self, Columns, History};
use super::look::{Counted, Look, Probes, sample};
use super::marks::{Mark, Marks};
use crate::surface::Surface;

/// Time between two looks while somebody watches.
const WATCHED: Duration = Duration::from_millis(250);
/// Time between two looks while nobody does, which only keeps the history.
const UNWATCHED: Duration = Duration::from_millis(history::EVERY_MS);
/// How old the answers of stores and queues may become while somebody watches.
const PROBES_MS: u64 = 2_000;
/// What the rates of actors are measured over, at least.
const COUNTED_MS: u64 = 5_000;
/// Pages that are open at once and kept up to date.
const WATCHERS_MAX: usize = 64;

/// What pages show.
pub struct Board {
    surface: Arc<Surface>,
    looks: watch::Sender<Arc<Look>>,
    measured: Mutex<Measured>,
    marks: Marks,
    /// Places for pages that are kept up to date.
    pub(super) places: Arc<Semaphore>,
}

/// What looks are compared with.
#[derive(Default)]
struct Measured {
    history: History,
    /// Some seconds old, and what takes its place once it is older.
    counted: [Counted; 2],
}

impl Board {
    /// Looks for the first time.
    pub async fn new(surface: Arc<Surface>) -> Arc<Self> {
        let marks = Marks::of(&*surface.journal).await;
        let probes = Arc::new(Probes::ask(&surface).await);
        let measured = Mutex::default();
        let first = Arc::new(look(&surface, &measured, probes));
        Arc::new(Self {
            surface,
            looks: watch::Sender::new(first),
            measured,
            marks,
            places: Arc::new(Semaphore::new(WATCHERS_MAX)),
        })
    }

    /// Looks again and again, until the listeners stop.
    pub async fn watch(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            let pause = if self.looks.receiver_count() > 0 {
                WATCHED
            } else {
                UNWATCHED
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => self.look(),
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Asks stores and queues again and again while somebody watches, until the listeners stop.
    pub async fn probe(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(PROBES_MS)) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            if self.looks.receiver_count() > 0 {
                self.ask().await;
            }
        }
    }

    /// Looks, and has stores and queues asked if that is too long ago.
    pub(super) async fn refresh(&self) -> Arc<Look> {
        let asked_at = self.now().probes.at;
        if self.surface.clock.now().since_ms(asked_at) > PROBES_MS {
            self.ask().await;
        }
        self.look();
        self.now()
    }

    /// The newest look.
    pub(super) fn now(&self) -> Arc<Look> {
        Arc::clone(&self.looks.borrow())
    }

    /// Every look from now on, or the newest of those that were missed.
    pub(super) fn looks(&self) -> watch::Receiver<Arc<Look>> {
        self.looks.subscribe()
    }

    /// The last hour, as far as it is later than a moment.
    pub(super) fn columns(&self, after: Timestamp) -> Columns {
        locked(&self.measured).history.columns(after)
    }

    /// What may have changed how the daemon works within the last hour, the oldest first.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let now = self.surface.clock.now();
        let begins = now.0.saturating_sub_unsigned(history::SPAN_MS);
        self.marks.since(Timestamp(begins))
    }

    fn look(&self) {
        let probes = Arc::clone(&self.now().probes);
        let look = look(&self.surface, &self.measured, probes);
        self.looks.send_replace(Arc::new(look));
    }

    async fn ask(&self) {
        let probes = Arc::new(Probes::ask(&self.surface).await);
        let look = look(&self.surface, &self.measured, probes);
        self.looks.send_replace(Arc::new(look));
    }
}

fn look(surface: &Surface, measured: &Mutex<Measured>, probes: Arc<Probes>) -> Look {
    let at = surface.clock.now();
    let actors = surface.actors.actors();
    let sample = sample(surface, at, &actors);
    let (actors, told) = {
        let mut measured = locked(measured);
        measured.turn(at, || Counted::of(at, &actors));
        measured.history.note(sample);
        let told = (
            sample,
            measured.history.rates(&sample),
            measured.history.restarts(&sample),
        );
        (measured.counted[0].rates(at, actors), told)
    };
    Look::take(surface, at, actors, told, probes)
}

impl Measured {
    /// The older of the two is let go once the younger one is old enough to measure by.
    fn turn(&mut self, now: Timestamp, count: impl FnOnce() -> Counted) {
        if now.since_ms(self.counted[1].at) >= COUNTED_MS {
            self.counted.swap(0, 1);
            self.counted[1] = count();
        }
    }
}

fn locked(measured: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}
