//! The orderly end: sources stop first, then everything accepted is finished or handed back.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::record::{Record, order};
use super::register::{Control, Entry};
use super::statistics::{ActorKind, ActorState, Counters};
use super::system::System;

/// What an actor that was told to stop is given for handing back before it is left behind.
const HAND_BACK_GRACE: Duration = Duration::from_secs(2);

/// How a drain went, actor by actor in the order of declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// One entry an actor, pool or topic.
    pub actors: Vec<ActorDrain>,
    /// How long it took.
    pub took: Duration,
}

impl DrainReport {
    /// True if every message was finished and every actor stopped.
    pub fn clean(&self) -> bool {
        self.actors
            .iter()
            .all(|actor| actor.handed_back == 0 && actor.stopped_in_time)
    }
}

/// How one actor was drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActorDrain {
    /// Its name.
    pub name: String,
    /// Messages it brought to an end during the drain: done, failed or set aside.
    pub finished: u64,
    /// Messages it handed back undone.
    pub handed_back: u64,
    /// False if it had to be left behind.
    pub stopped_in_time: bool,
}

impl System {
    /// Stops every actor: sources first, then the others once they are empty, upstream to
    /// downstream. What is still undone at the deadline is handed back.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        let began = Instant::now();
        let deadline = began + within;
        let entries = self.shared.entries().into_iter();
        let entries = entries.filter(|entry| entry.record.kind != ActorKind::Worker);
        let entries = entries.collect::<Vec<_>>();
        let before = entries
            .iter()
            .map(|entry| entry.record.statistics.counters());
        let before = before.collect::<Vec<_>>();

        let (sources, others) = entries
            .iter()
            .partition::<Vec<_>, _>(|entry| entry.record.spec.source);
        begin(&sources);
        for source in &sources {
            wait_empty(source, deadline).await;
            stop(source).await;
        }
        begin(&others);
        wait_all_empty(&others, deadline).await;
        for entry in &others {
            stop(entry).await;
        }
        for place in self.shared.take_places() {
            place.close().await;
        }
        let actors = entries
            .iter()
            .zip(before)
            .map(|(entry, before)| report(entry, before));
        DrainReport {
            actors: actors.collect(),
            took: began.elapsed(),
        }
    }
}

fn begin(entries: &[&Entry]) {
    for entry in entries {
        for record in entry.all_records() {
            record.give(order::DRAIN);
        }
        entry.resume();
    }
}

/// Waits for one after the other, and again if a later one sent something back to an earlier one.
async fn wait_all_empty(entries: &[&Entry], deadline: Instant) {
    loop {
        let mut gave_up = false;
        for entry in entries {
            gave_up |= !wait_empty(entry, deadline).await;
        }
        if gave_up || entries.iter().all(|entry| empty(entry)) {
            return;
        }
    }
}

/// Waits until an actor has finished what it accepted; false if that will not be.
async fn wait_empty(entry: &Entry, deadline: Instant) -> bool {
    let deadline = deadline.min(Instant::now() + entry.record.spec.drain);
    let mut changed = entry.record.subscribe();
    loop {
        if empty(entry) {
            return true;
        }
        if hopeless(entry) || Instant::now() >= deadline {
            return false;
        }
        tokio::select! {
            signal = changed.changed() => signal.expect("the sender lives as long as the record"),
            () = sleep_until(deadline) => {}
        }
    }
}

fn empty(entry: &Entry) -> bool {
    match &entry.control {
        Control::Actor => entry.record.depth() == 0 && !entry.record.busy(),
        Control::Pool(_) => entry.record.depth() == 0,
        Control::Topic(topic) => topic.pending() == 0,
    }
}

/// True if nothing is in work. A job that waits for its time is not waited for: its source still has it.
fn hopeless(entry: &Entry) -> bool {
    match &entry.control {
        Control::Actor => matches!(
            entry.record.state(),
            ActorState::Failed | ActorState::Stopped
        ),
        Control::Pool(pool) => pool.waits_until_after(Instant::now()),
        Control::Topic(_) => false,
    }
}

/// Ends an actor, handing back what is undone.
async fn stop(entry: &Entry) {
    let undone = !empty(entry);
    match &entry.control {
        Control::Actor => {}
        Control::Pool(pool) => pool.hand_back(),
        Control::Topic(topic) => topic.stop(),
    }
    let records = entry.working_records();
    for record in &records {
        record.give(if undone {
            order::HAND_BACK
        } else {
            order::STOP
        });
    }
    let grace = Instant::now() + HAND_BACK_GRACE;
    let mut all_stopped = true;
    for record in &records {
        all_stopped &= timeout_at(grace, until_stopped(record)).await.is_ok();
    }
    if matches!(entry.control, Control::Pool(_)) {
        let left = entry.record.depth();
        if left > 0 {
            let pool = &*entry.record.name;
            tracing::error!(
                pool,
                left,
                "jobs are left behind; their source still has them"
            );
        }
        if all_stopped {
            entry.record.set_state(ActorState::Stopped);
        }
    }
}

async fn until_stopped(record: &Arc<Record>) {
    let mut changed = record.subscribe();
    while record.state() != ActorState::Stopped {
        changed
            .changed()
            .await
            .expect("the sender lives as long as the record");
    }
}

fn report(entry: &Entry, before: Counters) -> ActorDrain {
    let after = entry.record.statistics.counters();
    let ended = |counters: Counters| counters.handled + counters.failed + counters.set_aside;
    ActorDrain {
        name: entry.record.name.to_string(),
        finished: ended(after) - ended(before),
        handed_back: after.handed_back - before.handed_back,
        stopped_in_time: entry.record.state() == ActorState::Stopped,
    }
}
