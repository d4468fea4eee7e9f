//! The actor runtime: supervision, bounded mailboxes, pools, topics and statistics around actix.
//!
//! actix gives the mailbox and the loop that empties it; everything that decides what happens when
//! something goes wrong is here. No actix type leaves this module.
//!
//! # Layout
//!
//! - `worker`, `fault`, `spec`: what an actor is, what may go wrong with it, how it is supervised
//! - `tree`, `system`, `register`, `place`: groups and their children, orders to them, the threads
//! - `cell`, `work`, `guard`: one actor's shell, the course of its messages, what restarts it
//! - `crash`: what is left of a panic
//! - `supervision`, `lanes`: restarts and job order as pure state
//! - `mailbox`, `pool` (and its `dispatcher`), `broadcast`: the three ways to an actor
//! - `cpu_pool`, `task`: work that is not an actor
//! - `record`, `statistics`, `observer`, `drain`: what is known of an actor, and its orderly end
#![expect(
    clippy::disallowed_methods,
    reason = "the calls that are banned elsewhere are banned in favour of this module"
)]

mod broadcast;
mod cell;
mod cpu_pool;
mod crash;
mod dispatcher;
mod drain;
mod fault;
mod guard;
mod lanes;
mod mailbox;
mod observer;
mod place;
mod pool;
mod record;
mod register;
mod spec;
mod statistics;
mod supervision;
mod system;
mod task;
mod tree;
mod work;
mod worker;

use std::any::Any;

pub use broadcast::{Broadcast, Delivery, Outcome, Outlet};
pub use cpu_pool::{CpuError, CpuPool};
pub use crash::{Calls, keep_crashes};
pub use drain::{ActorDrain, DrainReport};
pub use fault::{Decide, Directive, Failure, Fault, FaultClass, decide};
pub use lanes::LaneKey;
pub use mailbox::{Closed, Mailbox, Refused};
pub use observer::{Observer, RuntimeEvent, Unobserved};
pub use pool::PoolHandle;
pub use spec::{
    Backoff, ChildSpec, Intensity, MAILBOX_CAPACITY, Placement, PoolSpec, Restart, Strategy,
};
pub use statistics::{
    ActorKind, ActorSnapshot, ActorState, Counters, Handling, LastFailure, LastPanic, Latency,
    LatencyBucket, MailboxSnapshot,
};
pub use system::{ControlError, Escalation, System};
pub use task::{Task, TaskError};
pub use tree::Group;
pub use worker::{Cx, Done, Incarnation, Worker};

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked without a text".to_owned())
}
