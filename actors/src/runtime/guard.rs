//! The guard of one actor: it outlives every worker, catches their panics and asks the tree what next.
//!
//! It owns the actor's context and never drops it while a panic unwinds, because dropping a
//! context polls it once more. The mailbox lives inside the context, so addresses and queued
//! messages survive a restart.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use actix::Context;
use actix::dev::ContextFut;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::cell::{Cell, Core, Exit};
use super::crash::Crash;
use super::fault::{Directive, Failure, FaultClass};
use super::mailbox::Envelope;
use super::observer::RuntimeEvent;
use super::record::order;
use super::statistics::ActorState;
use super::supervision::Verdict;
use super::work::remember;
use super::worker::{Incarnation, Worker};

/// Attempts at clearing a context whose own futures panic when they are dropped.
const CLEAR_ATTEMPTS: u32 = 8;

type Body<W> = Pin<Box<ContextFut<Cell<W>, Context<Cell<W>>>>>;

/// How one incarnation ended, as its guard sees it.
enum End {
    Panicked(Crash),
    Exited(Exit),
    Cancelled,
}

/// What the guard does next.
enum Next {
    Restart { delay: Duration, reason: String },
    GiveUp,
    Finish,
}

/// Runs an actor until it stops for good.
pub(super) async fn guard<W: Worker>(
    core: Rc<Core<W>>,
    context: ContextFut<Cell<W>, Context<Cell<W>>>,
) {
    let mut body: Body<W> = Box::pin(context);
    loop {
        let end = incarnation(&core, &mut body).await;
        let keep_worker = matches!(end, End::Exited(Exit::ToldToStop));
        let had_worker = clear(&core, &mut body, keep_worker);
        match judge(&core, end, had_worker) {
            Next::Finish => break,
            Next::Restart { delay, reason } => {
                note_restart(&core, delay, reason);
                if !pause(&core, delay).await {
                    break;
                }
            }
            Next::GiveUp => {
                core.record.set_state(ActorState::Failed);
                core.record.signal();
                let wake = order::STOP | order::HAND_BACK | order::BOUNCE | order::CANCEL;
                core.record.until_told(wake).await;
                if core.record.told(order::STOP | order::HAND_BACK) {
                    break;
                }
                note_restart(
                    &core,
                    Duration::ZERO,
                    "restarted after it had failed".to_owned(),
                );
            }
        }
    }
    finish(&core, &mut body).await;
    // Nothing in the context is alive any more; what its drop still runs must not unwind further.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(body)));
}

/// Polls one incarnation to its end, fires its ticks and listens to orders.
async fn incarnation<W: Worker>(core: &Core<W>, body: &mut Body<W>) -> End {
    let mut ordered = pin!(urgent_order(core));
    let mut tick: Option<Pin<Box<tokio::time::Sleep>>> = None;
    poll_fn(|task| {
        core.begin_poll(task.waker());
        loop {
            match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(task))) {
                Err(panic) => return Poll::Ready(End::Panicked(Crash::caught(&*panic))),
                Ok(Poll::Ready(())) => {
                    let exit = core.exit.take().unwrap_or(Exit::StoppedItself);
                    return Poll::Ready(End::Exited(exit));
                }
                Ok(Poll::Pending) => {}
            }
            if let Poll::Ready(end) = ordered.as_mut().poll(task) {
                return Poll::Ready(end);
            }
            let Some(due) = core.fire_ticks(Instant::now()) else {
                return Poll::Pending;
            };
            let sleep = tick.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Orders that end an idle worker, and those that do not wait for the message in hand.
async fn urgent_order<W: Worker>(core: &Core<W>) -> End {
    let mut changed = core.record.subscribe();
    loop {
        if core.record.told(order::HAND_BACK) {
            return End::Exited(Exit::ToldToStop);
        }
        if core.record.told(order::CANCEL) {
            return End::Cancelled;
        }
        if core.idle() {
            if core.record.told(order::STOP) {
                return End::Exited(Exit::ToldToStop);
            }
            if core.record.told(order::BOUNCE) {
                return End::Exited(Exit::Bounced);
            }
        }
        changed
            .changed()
            .await
            .expect("the sender lives as long as the record");
    }
}

/// Drops what the incarnation left behind, outside any unwinding; true if it had a worker.
fn clear<W: Worker>(core: &Core<W>, body: &mut Body<W>, keep_worker: bool) -> bool {
    for _ in 0..CLEAR_ATTEMPTS {
        if catch_unwind(AssertUnwindSafe(|| body.restart())).is_ok() {
            break;
        }
    }
    let mut slot = core.slot.borrow_mut();
    let had_worker = slot.worker.is_some();
    if !keep_worker {
        let worker = slot.worker.take();
        drop(slot);
        drop_worker(core, worker);
    }
    had_worker
}

fn drop_worker<W: Worker>(core: &Core<W>, worker: Option<W>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(worker))) {
        let message = Crash::caught(&*panic).text;
        tracing::error!(actor = %core.record.name, message, "worker panicked while it was dropped");
    }
}

/// Books the failure and asks the tree.
fn judge<W: Worker>(core: &Core<W>, end: End, had_worker: bool) -> Next {
    let record = &core.record;
    let (failure, not_before) = match end {
        End::Exited(Exit::ToldToStop) => return Next::Finish,
        End::Exited(Exit::Bounced) => {
            let reason = "rebuilt with a sibling or by an operator".to_owned();
            return Next::Restart {
                delay: Duration::ZERO,
                reason,
            };
        }
        End::Exited(Exit::StoppedItself) => {
            return ask_tree(core, "it stopped by itself", true, Duration::ZERO);
        }
        End::Exited(Exit::Escalated(failure)) => return escalate(core, failure.reason()),
        End::Exited(Exit::Failed(failure)) => (failure, Duration::ZERO),
        End::Cancelled => {
            let reason = "cancelled by an operator while a message was in hand".to_owned();
            let at = record.since_epoch(Instant::now());
            let failure = Failure::Fault {
                class: FaultClass::Worker,
                reason,
                at,
            };
            return match bury(core, &failure, had_worker) {
                Directive::Escalate => escalate(core, failure.reason()),
                _ => Next::Restart {
                    delay: Duration::ZERO,
                    reason: failure.reason().to_owned(),
                },
            };
        }
        End::Panicked(crash) => {
            let at = record.since_epoch(Instant::now());
            record.count(|statistics| statistics.panicked(&crash, at));
            let message = crash.text;
            tracing::error!(actor = %record.name, message, "worker panicked");
            record.observe(&RuntimeEvent::Panicked {
                name: record.name.to_string(),
                incarnation: record.incarnation(),
                message: message.clone(),
            });
            let failure = Failure::Panic { message, at };
            match bury(core, &failure, had_worker) {
                Directive::Escalate => return escalate(core, failure.reason()),
                Directive::Retry { after } => (failure, after),
                _ => (failure, Duration::ZERO),
            }
        }
    };
    record.count(|statistics| statistics.failure(failure.reason(), failure.at()));
    ask_tree(core, failure.reason(), false, not_before)
}

/// Charges a death to the message in hand and does what is decided about it.
fn bury<W: Worker>(core: &Core<W>, failure: &Failure, had_worker: bool) -> Directive {
    let mut slot = core.slot.borrow_mut();
    // A panic of the factory is no fault of the message that waits for it.
    let Some(envelope) = slot.in_hand.as_mut().filter(|_| had_worker) else {
        return Directive::Restart;
    };
    envelope.deaths += 1;
    remember(&mut envelope.history, failure.clone());
    let spec = &core.record.spec;
    let directive = (spec.decide)(failure, envelope.deaths, spec.max_deaths);
    match directive {
        Directive::DeadLetter => envelope.doomed = true,
        Directive::Resume => {
            let envelope = slot.in_hand.take().expect("it was just looked at");
            drop(slot);
            core.note_failed(failure.reason());
            core.settle(envelope);
        }
        Directive::Retry { .. } | Directive::Restart | Directive::Escalate => {}
    }
    directive
}

fn ask_tree<W: Worker>(
    core: &Core<W>,
    reason: &str,
    by_itself: bool,
    not_before: Duration,
) -> Next {
    let Some(system) = core.record.system.upgrade() else {
        return Next::Finish;
    };
    match system.failed(&core.record, reason, by_itself) {
        Verdict::Restart { delay, .. } => Next::Restart {
            delay: delay.max(not_before),
            reason: reason.to_owned(),
        },
        Verdict::Stop => Next::Finish,
        Verdict::Fail { .. } => Next::GiveUp,
    }
}

fn escalate<W: Worker>(core: &Core<W>, reason: &str) -> Next {
    let at = core.record.since_epoch(Instant::now());
    core.record
        .count(|statistics| statistics.failure(reason, at));
    if let Some(system) = core.record.system.upgrade() {
        system.fail(&core.record.name, reason);
    }
    Next::GiveUp
}

fn note_restart<W: Worker>(core: &Core<W>, delay: Duration, reason: String) {
    let record = &core.record;
    record.count(|statistics| _ = statistics.restarts.fetch_add(1, Relaxed));
    tracing::info!(actor = %record.name, reason, ?delay, "worker restarts");
    record.observe(&RuntimeEvent::Restarted {
        name: record.name.to_string(),
        incarnation: record.incarnation(),
        reason,
        delay,
    });
}

/// Waits out the backoff; false if the actor was told to stop meanwhile.
async fn pause<W: Worker>(core: &Core<W>, delay: Duration) -> bool {
    let record = &core.record;
    if !delay.is_zero() {
        record.set_state(ActorState::BackingOff);
        record.restart_at(Instant::now() + delay);
        tokio::select! {
            biased;
            () = record.until_told(order::STOP | order::HAND_BACK | order::CANCEL) => {}
            () = tokio::time::sleep(delay) => {}
        }
    }
    !record.told(order::STOP | order::HAND_BACK)
}

/// Shuts the mailbox, hands back whatever is undone, and lets the last worker go.
async fn finish<W: Worker>(core: &Rc<Core<W>>, body: &mut Body<W>) {
    let record = &core.record;
    let undone = collect(core, body).await;
    if !undone.is_empty() {
        hand_back(core, undone).await;
    }
    let worker = core.slot.borrow_mut().worker.take();
    drop_worker(core, worker);
    record.let_go();
    record.set_state(ActorState::Stopped);
    if let Some(pool) = &core.pool {
        pool.gone(record);
    }
    record.observe(&RuntimeEvent::Stopped {
        name: record.name.to_string(),
        incarnation: record.incarnation(),
    });
    record.signal();
}

/// Takes every message out of the mailbox, the one in hand first.
async fn collect<W: Worker>(core: &Core<W>, body: &mut Body<W>) -> Vec<Envelope<W::Msg>> {
    core.record.permits.close();
    let mut undone = Vec::from_iter(core.slot.borrow_mut().in_hand.take());
    *core.collected.borrow_mut() = Some(Vec::new());
    loop {
        poll_fn(|task| {
            let _ = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(task)));
            Poll::Ready(())
        })
        .await;
        if let Some(collected) = &mut *core.collected.borrow_mut() {
            undone.append(collected);
        }
        // A sender on another thread may hold its permit and be about to put its message in.
        let held = undone
            .iter()
            .filter(|envelope| envelope.permit.is_some())
            .count();
        if core.pool.is_some() || held >= core.record.depth() {
            break;
        }
        tokio::task::yield_now().await;
    }
    if let Some(pool) = &core.pool {
        undone.extend(pool.leftovers());
    }
    // A tick is the actor's own and dies with it.
    undone.retain(|envelope| envelope.permit.is_some());
    undone
}

async fn hand_back<W: Worker>(core: &Rc<Core<W>>, undone: Vec<Envelope<W::Msg>>) {
    let record = &core.record;
    let count = undone.len();
    let sound = core.slot.borrow_mut().worker.take();
    let Some(mut worker) = (match sound {
        Some(worker) => Some(worker),
        None => build_last(core).await,
    }) else {
        tracing::error!(actor = %record.name, count, "no worker to hand messages back to; their source still has them");
        return;
    };
    for mut envelope in undone {
        if let (Some(pool), Some(ticket)) = (&core.pool, envelope.ticket.take()) {
            pool.settled(record, ticket, super::dispatcher::Settled::Finished);
        }
        let Envelope {
            message, permit, ..
        } = envelope;
        if AssertUnwindSafe(worker.hand_back(message))
            .catch_unwind()
            .await
            .is_err()
        {
            tracing::error!(actor = %record.name, "worker panicked while a message was handed back");
        }
        record.count(|statistics| _ = statistics.handed_back.fetch_add(1, Relaxed));
        drop(permit);
    }
    core.slot.borrow_mut().worker = Some(worker);
}

/// Builds one more worker, only to hand messages back to.
async fn build_last<W: Worker>(core: &Core<W>) -> Option<W> {
    let record = &core.record;
    let incarnation = Incarnation {
        name: record.name.clone(),
        number: record.next_incarnation(),
    };
    let build = AssertUnwindSafe(async { (core.build)(incarnation).await }).catch_unwind();
    build.await.ok()?.ok()
}
