//! What the runtime tells about itself, so that the daemon can journal and count it.

use std::time::Duration;

use serde::Serialize;

/// Is told of every change in the life of an actor.
///
/// Called on the actor's thread: it must not block and must not panic.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on(&self, event: &RuntimeEvent);
}

/// Hears nothing; for tests and tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn on(&self, _: &RuntimeEvent) {}
}

/// A change in the life of an actor, pool or group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[allow(
    missing_docs,
    reason = "the fields are named as in the variants' own words"
)]
pub enum RuntimeEvent {
    /// A worker was built and takes messages.
    Started { name: String, incarnation: u32 },
    /// A handler or factory panicked.
    Panicked {
        name: String,
        incarnation: u32,
        message: String,
    },
    /// A worker is given up and will be rebuilt after the delay; `incarnation` is the one that ended.
    Restarted {
        name: String,
        incarnation: u32,
        reason: String,
        delay: Duration,
    },
    /// A group, or the root, could not bear its child's failures any more.
    Escalated {
        group: String,
        actor: String,
        reason: String,
    },
    /// A message was set aside as poison.
    SetAside {
        name: String,
        incarnation: u32,
        deaths: u32,
        reason: String,
    },
    /// A message was let go as failed.
    Failed {
        name: String,
        incarnation: u32,
        reason: String,
    },
    /// What a pool depends on is down: it waits this long, then sends one job as a probe.
    BreakerOpened {
        pool: String,
        reason: String,
        delay: Duration,
    },
    /// The probe succeeded: the pool works again.
    BreakerClosed { pool: String },
    /// A pool has another number of workers.
    Resized {
        pool: String,
        from: usize,
        to: usize,
    },
    /// An operator told it to wait.
    Paused { name: String },
    /// An operator told it to go on.
    Resumed { name: String },
    /// It will not run again.
    Stopped { name: String, incarnation: u32 },
}
