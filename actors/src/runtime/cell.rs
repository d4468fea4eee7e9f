//! The one generic actix actor: a shell around a worker that keeps the message in hand safe.
//!
//! The message is stored outside the worker's future before the work begins, so neither a panic nor
//! a cancelled future takes it along; the worker is stored outside too, so that it is never dropped
//! while a panic unwinds.

use std::cell::{Cell as StdCell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Task, Poll, Waker};

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Supervised};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::fault::{Directive, Failure, Fault, FaultClass};
use super::mailbox::Envelope;
use super::observer::RuntimeEvent;
use super::pool::{Dispatch, Settled};
use super::record::{Record, order};
use super::statistics::ActorState;
use super::supervision::stable_hash;
use super::worker::{Cx, Done, Incarnation, Worker};

/// Messages handled in a row before the neighbours on the thread get their turn.
const FAIR_SHARE: u32 = 64;

/// Failures kept with a message: the first, and the last ones.
const HISTORY_MAX: usize = 16;

/// Builds a worker, for every incarnation anew.
pub(super) type Build<W> = Box<dyn Fn(Incarnation) -> LocalBoxFuture<'static, Result<W, Fault>>>;

/// Why a worker came to its end.
pub(super) enum Exit {
    Failed(Failure),
    Escalated(Failure),
    Bounced,
    StoppedItself,
    ToldToStop,
}

/// What outlives every worker of an actor. Shared by the cell and its guard, on one thread.
pub(super) struct Core<W: Worker> {
    pub(super) record: Arc<Record>,
    pub(super) address: Addr<Cell<W>>,
    pub(super) slot: RefCell<Slot<W>>,
    pub(super) exit: StdCell<Option<Exit>>,
    /// Set at the end: messages are collected instead of handled.
    pub(super) collected: RefCell<Option<Vec<Envelope<W::Msg>>>>,
    pub(super) ticks: RefCell<BTreeMap<(Instant, u64), W::Msg>>,
    pub(super) pool: Option<Arc<dyn Dispatch<W::Msg> + Send + Sync>>,
    pub(super) build: Build<W>,
    waker: RefCell<Waker>,
    cx: Cx<W::Msg>,
    /// The end of the last message, which is the start of the next in the same poll.
    clock: StdCell<Option<Instant>>,
    kind: StdCell<&'static str>,
    in_a_row: StdCell<u32>,
    tick_count: StdCell<u64>,
    outages: StdCell<u32>,
    rng: RefCell<fastrand::Rng>,
}

pub(super) struct Slot<W: Worker> {
    pub(super) worker: Option<W>,
    pub(super) in_hand: Option<Envelope<W::Msg>>,
}

impl<W: Worker> Core<W> {
    pub(super) fn new(
        record: Arc<Record>,
        address: Addr<Cell<W>>,
        pool: Option<Arc<dyn Dispatch<W::Msg> + Send + Sync>>,
        build: Build<W>,
        seed: u64,
    ) -> Rc<Self> {
        let seed = seed ^ stable_hash(&record.name).rotate_left(1);
        Rc::new(Self {
            cx: Cx::supervised(Arc::clone(&record)),
            record,
            address,
            slot: RefCell::new(Slot {
                worker: None,
                in_hand: None,
            }),
            exit: StdCell::new(None),
            collected: RefCell::new(None),
            ticks: RefCell::new(BTreeMap::new()),
            pool,
            build,
            waker: RefCell::new(Waker::noop().clone()),
            clock: StdCell::new(None),
            kind: StdCell::new(""),
            in_a_row: StdCell::new(0),
            tick_count: StdCell::new(0),
            outages: StdCell::new(0),
            rng: RefCell::new(fastrand::Rng::with_seed(seed)),
        })
    }

    /// True if an order that waits for the message in hand need not wait.
    pub(super) fn idle(&self) -> bool {
        self.slot
            .try_borrow()
            .is_ok_and(|slot| slot.worker.is_some() && slot.in_hand.is_none())
    }

    /// Called at the beginning of every poll.
    pub(super) fn begin_poll(&self, waker: &Waker) {
        self.clock.set(None);
        let mut own = self.waker.borrow_mut();
        if !own.will_wake(waker) {
            own.clone_from(waker);
        }
    }

    /// Sends the ticks that are due; returns when the next one is.
    pub(super) fn fire_ticks(&self, now: Instant) -> Option<Instant> {
        let mut ticks = self.ticks.borrow_mut();
        if self.ticks_ended() {
            ticks.clear();
        }
        while let Some(entry) = ticks.first_entry() {
            let due = entry.key().0;
            if due > now {
                return Some(due);
            }
            self.address
                .do_send(Envelope::new(entry.remove(), due, None));
        }
        None
    }

    pub(super) fn failure(&self, fault: &Fault) -> Failure {
        let at = self.record.since_epoch(Instant::now());
        Failure::Fault {
            class: fault.class,
            reason: fault.chain(),
            at,
        }
    }

    /// Ends the message in hand, whatever became of it.
    pub(super) fn settle(&self, mut envelope: Envelope<W::Msg>) {
        let now = Instant::now();
        self.clock.set(Some(now));
        let took = self.record.in_hand_for(now);
        self.record
            .count_often(|statistics, add| statistics.handle_time.record(took, add));
        self.record.let_go();
        if let (Some(pool), Some(ticket)) = (&self.pool, envelope.ticket.take()) {
            pool.settled(&self.record, ticket, Settled::Finished);
        }
        drop(envelope);
        self.record.signal_drain();
    }

    fn ticks_ended(&self) -> bool {
        self.record.spec.source && self.record.told(order::DRAIN)
    }

    /// What the worker must end for before it takes another message.
    fn pending_exit(&self) -> Option<Exit> {
        if self.cx.wants_stop() {
            return Some(Exit::StoppedItself);
        }
        if self.record.unordered() {
            return None;
        }
        if self.record.told(order::STOP | order::HAND_BACK) {
            return Some(Exit::ToldToStop);
        }
        self.record.told(order::BOUNCE).then_some(Exit::Bounced)
    }

    /// After a message: end, or ask the pool for the next.
    fn next(&self) -> Option<Exit> {
        let exit = self.pending_exit();
        if exit.is_none()
            && let Some(pool) = &self.pool
        {
            pool.idle(&self.record);
        }
        exit
    }

    fn finished(&self, envelope: Envelope<W::Msg>) -> Option<Exit> {
        self.record
            .count_often(|statistics, add| add(&statistics.handled, 1));
        self.outages.set(0);
        let asked = self.cx.take_ticks();
        if !asked.is_empty() {
            let mut ticks = self.ticks.borrow_mut();
            for (at, message) in asked {
                let nth = self.tick_count.get();
                self.tick_count.set(nth + 1);
                ticks.insert((at, nth), message);
            }
        }
        self.settle(envelope);
        self.next()
    }

    fn let_fail(&self, envelope: Envelope<W::Msg>, reason: &str) -> Option<Exit> {
        self.note_failed(reason);
        self.settle(envelope);
        self.next()
    }

    pub(super) fn note_failed(&self, reason: &str) {
        let record = &self.record;
        record.count(|statistics| _ = statistics.failed.fetch_add(1, Relaxed));
        tracing::warn!(actor = %record.name, reason, "message failed");
        record.observe(&RuntimeEvent::Failed {
            name: record.name.to_string(),
            incarnation: record.incarnation(),
            reason: reason.to_owned(),
        });
    }

    fn give_back(&self, mut envelope: Envelope<W::Msg>, settled: GiveBack) -> Option<Exit> {
        let pool = self.pool.as_ref().expect("only a pool takes a job back");
        let ticket = envelope.ticket.take().expect("a pool's job has a ticket");
        self.record.let_go();
        pool.settled(
            &self.record,
            ticket,
            match settled {
                GiveBack::Held(until) => Settled::Held {
                    job: envelope,
                    until,
                },
                GiveBack::Outage(reason) => Settled::Outage {
                    job: envelope,
                    reason,
                },
            },
        );
        self.next()
    }

    /// Keeps the message in hand for a while, visible as backing off.
    async fn wait_in_place(&self, until: Instant) {
        self.record.set_state(ActorState::BackingOff);
        tokio::time::sleep_until(until).await;
        self.record.set_state(ActorState::Running);
    }

    fn outage_delay(&self) -> std::time::Duration {
        let outages = self.outages.get();
        self.outages.set(outages.saturating_add(1));
        self.record
            .spec
            .backoff
            .delay(outages, &mut self.rng.borrow_mut())
    }
}

enum GiveBack {
    Held(Instant),
    Outage(String),
}

/// Keeps the first failure of a message and its last ones.
pub(super) fn remember(history: &mut Vec<Failure>, failure: Failure) {
    if history.len() >= HISTORY_MAX {
        history.remove(1);
    }
    history.push(failure);
}

/// Starts an incarnation: builds the worker, then sees to the message in hand.
async fn incarnate<W: Worker>(core: Rc<Core<W>>) -> Option<Exit> {
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
async fn work<W: Worker>(core: Rc<Core<W>>) -> Option<Exit> {
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

/// The actix actor. `Actor::stopping` is never implemented: it may run while a panic unwinds.
pub(super) struct Cell<W: Worker> {
    pub(super) core: Rc<Core<W>>,
}

impl<W: Worker> Cell<W> {
    fn end(&self, exit: Option<Exit>, ctx: &mut Context<Self>) {
        if let Some(exit) = exit {
            self.core.exit.set(Some(exit));
            ctx.terminate();
        }
    }
}

impl<W: Worker> Unpin for Cell<W> {}

impl<W: Worker> Actor for Cell<W> {
    type Context = Context<Self>;

    /// Runs for every incarnation, and `wait` keeps the mailbox shut until it is built.
    fn started(&mut self, ctx: &mut Self::Context) {
        if self.core.collected.borrow().is_none() {
            let built = wrap_future::<_, Self>(incarnate(Rc::clone(&self.core)));
            ctx.wait(built.map(|exit, cell, ctx| cell.end(exit, ctx)));
        }
    }
}

impl<W: Worker> Supervised for Cell<W> {}

impl<W: Worker> Handler<Envelope<W::Msg>> for Cell<W> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<W::Msg>, ctx: &mut Self::Context) {
        if let Some(collected) = &mut *self.core.collected.borrow_mut() {
            collected.push(envelope);
            return;
        }
        if envelope.permit.is_none() && envelope.ticket.is_none() && self.core.ticks_ended() {
            return;
        }
        self.core.slot.borrow_mut().in_hand = Some(envelope);
        let mut work: LocalBoxFuture<'static, _> = Box::pin(work(Rc::clone(&self.core)));
        // Most messages are done in one go: those never wait in the context at all.
        let polled = {
            let waker = self.core.waker.borrow();
            work.as_mut().poll(&mut Task::from_waker(&waker))
        };
        match polled {
            Poll::Ready(exit) => {
                self.end(exit, ctx);
                let in_a_row = self.core.in_a_row.get() + 1;
                self.core.in_a_row.set(in_a_row % FAIR_SHARE);
                if in_a_row == FAIR_SHARE {
                    ctx.wait(wrap_future::<_, Self>(tokio::task::yield_now()));
                }
            }
            Poll::Pending => {
                let rest = wrap_future::<_, Self>(Begun { work, polled: true });
                ctx.wait(rest.map(|exit, cell, ctx| cell.end(exit, ctx)));
            }
        }
    }
}

/// Work that was polled once already: its first poll here is left out, or a worker that yields
/// would be polled again at once and have yielded to nobody.
struct Begun {
    work: LocalBoxFuture<'static, Option<Exit>>,
    polled: bool,
}

impl Future for Begun {
    type Output = Option<Exit>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.polled) {
            return Poll::Pending;
        }
        self.work.as_mut().poll(task)
    }
}
