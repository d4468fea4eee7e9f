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

use super::dispatcher::{Dispatch, Settled};
use super::fault::{Failure, Fault};
use super::mailbox::Envelope;
use super::observer::RuntimeEvent;
use super::record::{Record, order};
use super::statistics::ActorState;
use super::supervision::stable_hash;
use super::work::{incarnate, work};
use super::worker::{Cx, Incarnation, Worker};

/// Messages handled in a row before the neighbours on the thread get their turn.
const FAIR_SHARE: u32 = 64;

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
    pub(super) cx: Cx<W::Msg>,
    /// The end of the last message, which is the start of the next in the same poll.
    pub(super) clock: StdCell<Option<Instant>>,
    pub(super) kind: StdCell<&'static str>,
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
    pub(super) fn next(&self) -> Option<Exit> {
        let exit = self.pending_exit();
        if exit.is_none()
            && let Some(pool) = &self.pool
        {
            pool.idle(&self.record);
        }
        exit
    }

    pub(super) fn finished(&self, envelope: Envelope<W::Msg>) -> Option<Exit> {
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

    pub(super) fn let_fail(&self, envelope: Envelope<W::Msg>, reason: &str) -> Option<Exit> {
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

    pub(super) fn give_back(
        &self,
        mut envelope: Envelope<W::Msg>,
        settled: GiveBack,
    ) -> Option<Exit> {
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
    pub(super) async fn wait_in_place(&self, until: Instant) {
        self.record.set_state(ActorState::BackingOff);
        tokio::time::sleep_until(until).await;
        self.record.set_state(ActorState::Running);
    }

    pub(super) fn outage_delay(&self) -> std::time::Duration {
        let outages = self.outages.get();
        self.outages.set(outages.saturating_add(1));
        self.record
            .spec
            .backoff
            .delay(outages, &mut self.rng.borrow_mut())
    }
}

pub(super) enum GiveBack {
    Held(Instant),
    Outage(String),
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
