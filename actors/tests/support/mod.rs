//! What the runtime's tests share: a script of what a worker is to do, and a log of what it did.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iyagi_actors::runtime::{
    Backoff, ChildSpec, Cx, Done, Failure, Fault, Incarnation, Intensity, Observer, RuntimeEvent,
    System, Worker,
};

pub const SECOND: Duration = Duration::from_secs(1);

/// Runs a test body where local tasks may be started.
pub async fn local<F: Future>(body: F) -> F::Output {
    tokio::task::LocalSet::new().run_until(body).await
}

/// An intensity nothing exceeds.
pub fn endless() -> Intensity {
    Intensity {
        max: 1_000_000,
        within: SECOND,
    }
}

/// A child that backs off shortly and is never given up.
pub fn sturdy(name: &str) -> ChildSpec {
    let backoff = Backoff {
        min: Duration::from_millis(1),
        max: 50 * SECOND / 1_000,
        ..Backoff::default()
    };
    ChildSpec {
        intensity: endless(),
        backoff,
        ..ChildSpec::new(name)
    }
}

/// Remembers every event of the runtime.
#[derive(Default)]
pub struct Witness {
    pub events: Mutex<Vec<RuntimeEvent>>,
}

impl Observer for Witness {
    fn on(&self, event: &RuntimeEvent) {
        self.events.lock().unwrap().push(event.clone());
    }
}

impl Witness {
    pub fn count(&self, wanted: impl Fn(&RuntimeEvent) -> bool) -> usize {
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| wanted(event))
            .count()
    }

    pub fn restarts_of(&self, actor: &str) -> usize {
        self.count(|event| matches!(event, RuntimeEvent::Restarted { name, .. } if name == actor))
    }

    pub fn delays_of(&self, actor: &str) -> Vec<Duration> {
        let events = self.events.lock().unwrap();
        let delays = events.iter().filter_map(|event| match event {
            RuntimeEvent::Restarted { name, delay, .. } if name == actor => Some(*delay),
            _ => None,
        });
        delays.collect()
    }
}

pub fn system() -> (System, Arc<Witness>) {
    seeded(7, endless())
}

pub fn seeded(seed: u64, root: Intensity) -> (System, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    (
        System::new(seed, root, Arc::clone(&witness) as Arc<dyn Observer>),
        witness,
    )
}

/// What a worker did, over all its incarnations.
#[derive(Clone, Default)]
pub struct Log {
    pub done: Arc<Mutex<Vec<u32>>>,
    pub tried: Arc<Mutex<Vec<u32>>>,
    pub set_aside: Arc<Mutex<Vec<(u32, usize)>>>,
    pub handed_back: Arc<Mutex<Vec<u32>>>,
    pub built: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub fn done(&self) -> Vec<u32> {
        self.done.lock().unwrap().clone()
    }

    pub fn note_tried(&self, job: u32) {
        self.tried.lock().unwrap().push(job);
    }

    pub fn tried(&self) -> Vec<u32> {
        self.tried.lock().unwrap().clone()
    }

    pub fn set_aside(&self) -> Vec<u32> {
        self.set_aside
            .lock()
            .unwrap()
            .iter()
            .map(|(job, _)| *job)
            .collect()
    }

    pub fn handed_back(&self) -> Vec<u32> {
        self.handed_back.lock().unwrap().clone()
    }

    pub fn built(&self) -> usize {
        self.built.lock().unwrap().len()
    }
}

/// What happens at one attempt of one job.
pub type Script = fn(job: u32, attempt: u32) -> Act;

pub enum Act {
    Finish,
    FinishAfter(Duration),
    Panic,
    Fail(Fault),
    HoldFor(Duration),
}

/// Does what its script says; the attempts of a job are counted over incarnations.
pub struct Scripted {
    pub script: Script,
    pub log: Log,
    pub attempts: Arc<Mutex<HashMap<u32, u32>>>,
}

impl Worker for Scripted {
    type Msg = u32;

    async fn handle(&mut self, job: &u32, _: &Cx<u32>) -> Result<Done, Fault> {
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap();
            let attempt = attempts.entry(*job).or_default();
            *attempt += 1;
            *attempt - 1
        };
        self.log.tried.lock().unwrap().push(*job);
        match (self.script)(*job, attempt) {
            Act::Finish => {}
            Act::FinishAfter(delay) => tokio::time::sleep(delay).await,
            Act::Panic => panic!("job {job} panics"),
            Act::Fail(fault) => return Err(fault),
            Act::HoldFor(delay) => {
                return Ok(Done::Held {
                    until: tokio::time::Instant::now() + delay,
                });
            }
        }
        self.log.done.lock().unwrap().push(*job);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, job: &u32, history: &[Failure]) -> Result<(), Fault> {
        self.log
            .set_aside
            .lock()
            .unwrap()
            .push((*job, history.len()));
        Ok(())
    }

    async fn hand_back(&mut self, job: u32) {
        self.log.handed_back.lock().unwrap().push(job);
    }
}

/// A factory of scripted workers that share a log.
pub fn scripted(
    script: Script,
    log: &Log,
) -> impl Fn(Incarnation) -> std::future::Ready<Result<Scripted, Fault>> + Clone + Send + Sync + 'static
{
    let log = log.clone();
    let attempts = Arc::default();
    move |incarnation| {
        log.built.lock().unwrap().push(incarnation.to_string());
        std::future::ready(Ok(Scripted {
            script,
            log: log.clone(),
            attempts: Arc::clone(&attempts),
        }))
    }
}

/// Waits, in virtual time, until something holds; fails after an hour of it.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..360_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}
