//! The inside of a pool: who is free, which job may be done next, and how many workers there are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use actix::Recipient;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::lanes::{Lanes, Ticket};
use super::mailbox::{Envelope, LaneOf};
use super::observer::RuntimeEvent;
use super::record::{Record, order};

/// What became of a job.
pub(super) enum Settled<M> {
    Finished,
    Held { job: Envelope<M>, until: Instant },
    Outage { job: Envelope<M>, reason: String },
}

/// What a worker's cell needs of its pool.
pub(super) trait Dispatch<M> {
    /// The worker is free.
    fn idle(&self, worker: &Arc<Record>);
    fn settled(&self, worker: &Arc<Record>, ticket: Ticket, settled: Settled<M>);
    /// Jobs nobody will do any more; empty unless the pool is being handed back.
    fn leftovers(&self) -> Vec<Envelope<M>>;
    /// The worker has stopped for good.
    fn gone(&self, worker: &Arc<Record>);
}

/// What the system needs of a pool, whatever its messages.
pub(super) trait PoolControl: Send + Sync {
    fn resize(&self, size: usize) -> usize;
    fn size(&self) -> usize;
    fn workers(&self) -> Vec<Arc<Record>>;
    /// Gives out whatever may be done now, after a pause ended.
    fn dispatch(&self);
    /// True if nothing here can be finished before the deadline.
    fn waits_until_after(&self, deadline: Instant) -> bool;
    /// From now on nothing is given out; workers hand back what is left.
    fn hand_back(&self);
}

/// One worker as its pool sees it.
pub(super) struct Hand<M: Send + 'static> {
    pub(super) record: Arc<Record>,
    pub(super) recipient: Recipient<Envelope<M>>,
    /// It was given a job that is not settled, perhaps one it has not seen yet.
    pub(super) busy: bool,
}

/// Starts the worker of that name.
pub(super) type Hire<M> = Box<dyn Fn(&Arc<PoolCore<M>>, String) -> Hand<M> + Send + Sync>;

pub(super) struct PoolCore<M: Send + 'static> {
    pub(super) record: Arc<Record>,
    state: Mutex<State<M>>,
    wake: Notify,
    lane: LaneOf<M>,
    turn: LaneOf<M>,
    hire: Hire<M>,
}

struct State<M: Send + 'static> {
    lanes: Lanes<Envelope<M>>,
    workers: BTreeMap<usize, Hand<M>>,
    idle: VecDeque<usize>,
    /// Workers that are to stop as soon as they are free.
    retiring: usize,
    handing_back: bool,
}

impl<M: Send + 'static> PoolCore<M> {
    pub(super) fn new(
        record: Arc<Record>,
        seed: u64,
        lane: LaneOf<M>,
        turn: LaneOf<M>,
        hire: Hire<M>,
    ) -> Arc<Self> {
        let lanes = Lanes::new(record.spec.backoff, seed);
        Arc::new(Self {
            record,
            state: Mutex::new(State {
                lanes,
                workers: BTreeMap::new(),
                idle: VecDeque::new(),
                retiring: 0,
                handing_back: false,
            }),
            wake: Notify::new(),
            lane,
            turn,
            hire,
        })
    }

    /// Gives out held jobs and probes when their time comes, as long as the pool lives.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let wake_at = self.lock().lanes.wake_at();
            let now = Instant::now();
            match wake_at {
                Some(at) if at > now => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.wake.notified() => {}
                    }
                }
                // Due already, so only workers are lacking, and those come by themselves.
                _ => self.wake.notified().await,
            }
            if self.record.permits.is_closed() && self.lock().workers.is_empty() {
                return;
            }
            self.dispatch_now(&mut self.lock());
        }
    }

    /// Starts workers or lets some go; returns the size before.
    pub(super) fn set_size(self: &Arc<Self>, size: usize) -> usize {
        let mut state = self.lock();
        let before = state.workers.len() - state.retiring;
        if size >= before {
            let kept = state.retiring.min(size - before);
            state.retiring -= kept;
            for _ in before + kept..size {
                let lowest_free = 1..=state.workers.len() + 1;
                let index = lowest_free
                    .into_iter()
                    .find(|index| !state.workers.contains_key(index));
                let index = index.expect("there are more numbers than workers");
                let hand = (self.hire)(self, format!("{}-{index}", self.record.name));
                state.workers.insert(index, hand);
            }
        } else {
            for _ in size..before {
                match state
                    .idle
                    .pop_back()
                    .and_then(|index| state.workers.remove(&index))
                {
                    Some(hand) => hand.record.give(order::STOP),
                    None => state.retiring += 1,
                }
            }
        }
        before
    }

    pub(super) fn push(&self, envelope: Envelope<M>) {
        let lane = (self.lane)(&envelope.message);
        let turn = (self.turn)(&envelope.message);
        let mut state = self.lock();
        state.lanes.push(lane, turn, envelope);
        self.dispatch_now(&mut state);
    }

    fn dispatch_now(&self, state: &mut State<M>) {
        if state.handing_back || self.record.told(order::PAUSE) {
            return;
        }
        let now = Instant::now();
        loop {
            let State { idle, workers, .. } = &mut *state;
            let free = |index: &usize| !workers[index].record.told(order::PAUSE);
            let Some(at) = idle.iter().position(free) else {
                break;
            };
            let Some((ticket, mut envelope)) = state.lanes.next(now) else {
                break;
            };
            let index = state.idle.remove(at).expect("it was just found");
            envelope.ticket = Some(ticket);
            let hand = state
                .workers
                .get_mut(&index)
                .expect("an idle worker is a worker");
            hand.busy = true;
            hand.recipient.do_send(envelope);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state
            .lock()
            .expect("no panic happens while it is held")
    }
}

impl<M: Send + 'static> State<M> {
    fn index_of(&self, worker: &Arc<Record>) -> Option<usize> {
        let found = self
            .workers
            .iter()
            .find(|(_, hand)| Arc::ptr_eq(&hand.record, worker));
        found.map(|(index, _)| *index)
    }
}

impl<M: Send + 'static> Dispatch<M> for PoolCore<M> {
    fn idle(&self, worker: &Arc<Record>) {
        let mut state = self.lock();
        let Some(index) = state.index_of(worker) else {
            return;
        };
        // Rebuilt while a job waits in its mailbox: it will ask again after that one.
        if state.workers[&index].busy {
            return;
        }
        if state.retiring > 0 {
            state.retiring -= 1;
            state.workers.remove(&index);
            worker.give(order::STOP);
            return;
        }
        if !state.idle.contains(&index) {
            state.idle.push_back(index);
        }
        self.dispatch_now(&mut state);
        drop(state);
        // The earliest moment to wake at may have changed with the job this worker gave back.
        self.wake.notify_one();
        self.record.signal_drain();
    }

    fn settled(&self, worker: &Arc<Record>, ticket: Ticket, settled: Settled<M>) {
        let name = || self.record.name.to_string();
        let mut state = self.lock();
        if let Some(index) = state.index_of(worker)
            && let Some(hand) = state.workers.get_mut(&index)
        {
            hand.busy = false;
        }
        let event =
            match settled {
                Settled::Finished => state
                    .lanes
                    .finished(ticket)
                    .then(|| RuntimeEvent::BreakerClosed { pool: name() }),
                Settled::Held { job, until } => state
                    .lanes
                    .hold(ticket, job, until)
                    .then(|| RuntimeEvent::BreakerClosed { pool: name() }),
                Settled::Outage { job, reason } => state
                    .lanes
                    .outage(ticket, job, Instant::now())
                    .map(|delay| RuntimeEvent::BreakerOpened {
                        pool: name(),
                        reason,
                        delay,
                    }),
            };
        self.dispatch_now(&mut state);
        drop(state);
        if let Some(event) = event {
            self.record.observe(&event);
        }
        self.wake.notify_one();
    }

    fn leftovers(&self) -> Vec<Envelope<M>> {
        let mut state = self.lock();
        if state.handing_back {
            state.lanes.take_all()
        } else {
            Vec::new()
        }
    }

    fn gone(&self, worker: &Arc<Record>) {
        let mut state = self.lock();
        if let Some(index) = state.index_of(worker) {
            state.workers.remove(&index);
            state.idle.retain(|idle| *idle != index);
            // One that ends before it retires need not retire any more.
            state.retiring = state.retiring.min(state.workers.len());
        }
        drop(state);
        if let Some(system) = self.record.system.upgrade() {
            system.forget(worker);
        }
        self.wake.notify_one();
        self.record.signal();
    }
}

/// A pool behind its `Arc`, as the system holds it.
impl<M: Send + 'static> PoolControl for Arc<PoolCore<M>> {
    fn resize(&self, size: usize) -> usize {
        PoolCore::resize(self, size)
    }

    fn size(&self) -> usize {
        PoolCore::size(self)
    }

    fn workers(&self) -> Vec<Arc<Record>> {
        self.lock()
            .workers
            .values()
            .map(|hand| Arc::clone(&hand.record))
            .collect()
    }

    fn dispatch(&self) {
        self.dispatch_now(&mut self.lock());
    }

    fn waits_until_after(&self, deadline: Instant) -> bool {
        let state = self.lock();
        state.idle.len() == state.workers.len() && state.lanes.idle_until_after(deadline)
    }

    fn hand_back(&self) {
        self.record.permits.close();
        self.lock().handing_back = true;
        self.wake.notify_one();
    }
}

impl<M: Send + 'static> PoolCore<M> {
    pub(super) fn resize(self: &Arc<Self>, size: usize) -> usize {
        let before = self.set_size(size);
        if let Some(system) = self.record.system.upgrade() {
            system.pool_resized(&self.record, size);
        }
        if before != size {
            tracing::info!(pool = %self.record.name, from = before, to = size, "pool resized");
            let pool = self.record.name.to_string();
            self.record.observe(&RuntimeEvent::Resized {
                pool,
                from: before,
                to: size,
            });
        }
        before
    }

    pub(super) fn size(&self) -> usize {
        let state = self.lock();
        state.workers.len() - state.retiring
    }
}
