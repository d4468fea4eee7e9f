//! The course of one incarnation: the worker is built, and each message is seen through to its end.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::cell::{Core, Exit, GiveBack, Slot};
use super::fault::{Directive, Failure, FaultClass};
use super::observer::RuntimeEvent;
use super::record::{Record, order};
use super::statistics::ActorState;
use super::worker::{Done, Worker};

/// Failures kept with a message: the first, and the last ones.
const HISTORY_MAX: usize = 16;

/// Starts an incarnation: builds the worker, then sees to the message in hand.
pub(super) async fn incarnate<W: Worker>(core: Rc<Core<W>>) -> Option<Exit> {
    let record = &core.record;
    record.obeyed(order::BOUNCE | order::CANCEL);
    record.set_state(ActorState::Starting);
    let number = record.next_incarnation();
    core.cx.incarnate(number);
    core.cx.begin(0);
    match (core.build)(core.cx.incarnation()).await {
        Ok(worker) => core.slot.borrow_mut().worker = Some(worker),
        Err(fault) => {
            let failure = core.failure(&fault);
            return Some(match fault.class {
                FaultClass::Fatal => Exit::Escalated(failure),
                _ => Exit::Failed(failure),
            });
        }
    }
    record.set_state(ActorState::Idle);
    record.observe(&RuntimeEvent::Started {
        name: record.name.to_string(),
        incarnation: number,
    });
    if core.slot.borrow().in_hand.is_some() {
        return work(Rc::clone(&core)).await;
    }
    core.next()
}

/// Sees the message in hand through to one of its ends.
#[expect(
    clippy::await_holding_refcell_ref,
    reason = "the slot is the worker's for as long as it works; everyone else only tries to borrow"
)]
pub(super) async fn work<W: Worker>(core: Rc<Core<W>>) -> Option<Exit> {
    let mut slot = core.slot.borrow_mut();
    let Slot { worker, in_hand } = &mut *slot;
    let worker = worker
        .as_mut()
        .expect("a worker is built before a message is taken");
    let record = &core.record;
    if !record.unordered() {
        record.while_paused().await;
    }
    {
        let envelope = in_hand
            .as_ref()
            .expect("a message is taken before the work begins");
        let now = core.clock.take().unwrap_or_else(Instant::now);
        let kind = W::kind(&envelope.message);
        if !std::ptr::eq(core.kind.replace(kind), kind) {
            record.takes(kind);
        }
        record.taken(envelope.accepted, now);
        if envelope.history.is_empty() {
            let queued = now.duration_since(envelope.accepted);
            record.count_often(|statistics, add| statistics.queue_time.record(queued, add));
        }
    }
    loop {
        let envelope = in_hand
            .as_mut()
            .expect("a message leaves the hand only by its end");
        if envelope.doomed {
            if let Err(fault) = worker.set_aside(&envelope.message, &envelope.history).await {
                return Some(Exit::Failed(core.failure(&fault)));
            }
            let deaths = envelope.deaths;
            let reason = envelope
                .history
                .last()
                .map_or("", Failure::reason)
                .to_owned();
            note_set_aside(record, deaths, reason);
            core.settle(in_hand.take().expect("it was just set aside"));
            return core.next();
        }
        core.cx.begin(envelope.deaths);
        let fault = match worker.handle(&envelope.message, &core.cx).await {
            Ok(Done::Finished) => {
                return core.finished(in_hand.take().expect("it was just handled"));
            }
            Ok(Done::Held { until }) if core.pool.is_some() => {
                let envelope = in_hand.take().expect("it was just handled");
                return core.give_back(envelope, GiveBack::Held(until));
            }
            Ok(Done::Held { until }) => {
                core.wait_in_place(until).await;
                continue;
            }
            Err(fault) => fault,
        };
        let failure = core.failure(&fault);
        record.count(|statistics| statistics.failure(failure.reason(), failure.at()));
        let deadly = failure.deadly();
        let deaths = envelope.deaths + u32::from(deadly);
        remember(&mut envelope.history, failure.clone());
        match (record.spec.decide)(&failure, deaths, record.spec.max_deaths) {
            Directive::Resume => {
                let envelope = in_hand.take().expect("it was just handled");
                return core.let_fail(envelope, failure.reason());
            }
            Directive::Retry { after } => {
                let outage = fault.class == FaultClass::Dependency;
                match (core.pool.is_some(), outage) {
                    (true, true) => {
                        let envelope = in_hand.take().expect("it was just handled");
                        let reason = failure.reason().to_owned();
                        return core.give_back(envelope, GiveBack::Outage(reason));
                    }
                    (true, false) => {
                        let envelope = in_hand.take().expect("it was just handled");
                        return core.give_back(envelope, GiveBack::Held(Instant::now() + after));
                    }
                    (false, true) => {
                        let delay = core.outage_delay().max(after);
                        core.wait_in_place(Instant::now() + delay).await;
                    }
                    (false, false) => core.wait_in_place(Instant::now() + after).await,
                }
            }
            Directive::Restart => {
                envelope.deaths = deaths;
                return Some(Exit::Failed(failure));
            }
            Directive::DeadLetter => {
                envelope.deaths = deaths;
                envelope.doomed = true;
                if deadly {
                    return Some(Exit::Failed(failure));
                }
            }
            Directive::Escalate => return Some(Exit::Escalated(failure)),
        }
    }
}

fn note_set_aside(record: &Record, deaths: u32, reason: String) {
    record.count(|statistics| _ = statistics.set_aside.fetch_add(1, Relaxed));
    tracing::warn!(actor = %record.name, deaths, reason, "message set aside");
    record.observe(&RuntimeEvent::SetAside {
        name: record.name.to_string(),
        incarnation: record.incarnation(),
        deaths,
        reason,
    });
}

/// Keeps the first failure of a message and its last ones.
pub(super) fn remember(history: &mut Vec<Failure>, failure: Failure) {
    if history.len() >= HISTORY_MAX {
        history.remove(1);
    }
    history.push(failure);
}
