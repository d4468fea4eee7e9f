//! What actors are declared by: their thread, their room, their patience.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::ports::Queue;
use crate::queue_intake::{Deliveries, Delivery, QueueIntake, QueueIntakeContext, Receive};
use crate::runtime::{ChildSpec, Group, Mailbox, Placement, PoolHandle, PoolSpec};

/// Actors of one kind of work share a thread.
pub(super) fn on(thread: &str, spec: ChildSpec) -> ChildSpec {
    ChildSpec {
        placement: Placement::Arbiter(thread.to_owned()),
        ..spec
    }
}

/// A pool that takes on little more than it works on: the rest stays in its queue, where other hosts can have it.
pub(super) fn few(child: ChildSpec, size: usize) -> PoolSpec<Delivery> {
    PoolSpec {
        capacity: size * 2,
        ..PoolSpec::new(child, size)
    }
}

/// A pool that looks ahead, so that turns can go round among those whose files wait.
pub(super) fn fair(child: ChildSpec, size: usize, backlog: usize) -> PoolSpec<Delivery> {
    PoolSpec {
        capacity: backlog.max(size * 2),
        turn: Delivery::turn,
        ..PoolSpec::new(child, size)
    }
}

/// A long poll is no sign of being stuck.
pub(super) fn waiting(spec: ChildSpec) -> ChildSpec {
    ChildSpec {
        stuck_after: Duration::from_mins(5),
        ..spec
    }
}

/// Feeds a pool from a queue.
pub(super) fn intake(
    group: &Group,
    name: &str,
    queue: &Arc<dyn Queue>,
    pool: &PoolHandle<Delivery>,
    shared: &Shared<'_>,
) {
    let context = Arc::new(QueueIntakeContext {
        queue: Arc::clone(queue),
        pool: pool.for_sender(name),
        deliveries: Arc::new(Deliveries::default()),
        health: Arc::clone(shared.health),
        clock: Arc::clone(&shared.ports.clock),
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("media", ChildSpec::new(name)))
    };
    let mailbox = group.child(spec, move |_| {
        let context = Arc::clone(&context);
        async move { Ok(QueueIntake::new(context)) }
    });
    tell_now(&mailbox, Receive);
}

/// Sets an actor going that has just been declared.
pub(super) fn tell_now<M: Send + 'static>(mailbox: &Mailbox<M>, message: M) {
    let told = mailbox.try_tell(message);
    debug_assert!(told.is_ok(), "a new mailbox has room");
}
