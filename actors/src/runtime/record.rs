//! What the rest of the system knows of one actor: its statistics, its bound and its orders.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::observer::RuntimeEvent;
use super::register::Shared;
use super::spec::ChildSpec;
use super::statistics::{
    ActorKind, ActorSnapshot, ActorState, Add, Handling, MailboxSnapshot, Statistics, add_alone,
    add_shared,
};
use super::supervision::NodeId;

/// Marks "none" in the fields that hold a moment.
const NEVER: u64 = u64::MAX;

/// Orders from outside that an actor obeys at the next point where it safely can.
pub(super) mod order {
    /// Take no further message in hand.
    pub(in crate::runtime) const PAUSE: u32 = 1;
    /// Finish the message in hand, then be rebuilt.
    pub(in crate::runtime) const BOUNCE: u32 = 1 << 1;
    /// Let go of the message in hand, be rebuilt, and see it again.
    pub(in crate::runtime) const CANCEL: u32 = 1 << 2;
    /// Finish the message in hand, hand back the others, and stop for good.
    pub(in crate::runtime) const STOP: u32 = 1 << 3;
    /// Let go of the message in hand too, hand back all, and stop for good.
    pub(in crate::runtime) const HAND_BACK: u32 = 1 << 4;
    /// A drain has begun: finish, and let no tick fire if the actor is a source.
    pub(in crate::runtime) const DRAIN: u32 = 1 << 5;
}

pub(super) struct Record {
    pub(super) name: Arc<str>,
    pub(super) group: String,
    pub(super) kind: ActorKind,
    pub(super) node: NodeId,
    pub(super) spec: ChildSpec,
    pub(super) statistics: Statistics,
    /// For a pool's worker: the pool, which counts what its workers do.
    pub(super) pool: Option<Arc<Record>>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) capacity: usize,
    pub(super) system: Weak<Shared>,
    pub(super) epoch: Instant,
    orders: AtomicU32,
    changed: watch::Sender<()>,
    state: AtomicU8,
    incarnation: AtomicU32,
    in_hand_since_us: AtomicU64,
    in_hand_accepted_us: AtomicU64,
    in_hand: Mutex<&'static str>,
    restart_at_us: AtomicU64,
}

impl Record {
    pub(super) fn new(
        shared: &Arc<Shared>,
        kind: ActorKind,
        node: NodeId,
        group: &str,
        spec: ChildSpec,
        capacity: usize,
        pool: Option<Arc<Record>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: spec.name.as_str().into(),
            group: group.to_owned(),
            kind,
            node,
            spec,
            statistics: Statistics::default(),
            pool,
            permits: Arc::new(Semaphore::new(capacity)),
            capacity,
            system: Arc::downgrade(shared),
            epoch: shared.epoch,
            orders: AtomicU32::new(0),
            changed: watch::Sender::new(()),
            state: AtomicU8::new(ActorState::Starting as u8),
            incarnation: AtomicU32::new(0),
            in_hand_since_us: AtomicU64::new(NEVER),
            in_hand_accepted_us: AtomicU64::new(NEVER),
            in_hand: Mutex::new(""),
            restart_at_us: AtomicU64::new(NEVER),
        })
    }

    // === orders

    pub(super) fn give(&self, orders: u32) {
        self.orders.fetch_or(orders, SeqCst);
        self.changed.send_replace(());
    }

    pub(super) fn revoke(&self, orders: u32) {
        self.orders.fetch_and(!orders, SeqCst);
        self.changed.send_replace(());
    }

    /// Revokes without a signal, by the actor itself once it has obeyed.
    pub(super) fn obeyed(&self, orders: u32) {
        self.orders.fetch_and(!orders, SeqCst);
    }

    pub(super) fn told(&self, orders: u32) -> bool {
        self.orders.load(SeqCst) & orders != 0
    }

    /// True if nothing at all was ordered: the common case, checked once per message.
    pub(super) fn unordered(&self) -> bool {
        self.orders.load(SeqCst) == 0
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Wakes everyone who waits for this actor to change.
    pub(super) fn signal(&self) {
        self.changed.send_replace(());
    }

    /// Tells a drain that waits for this actor, or for its pool, that a message is done.
    pub(super) fn signal_drain(&self) {
        for record in [Some(self), self.pool.as_deref()].into_iter().flatten() {
            if record.told(order::DRAIN) {
                record.signal();
            }
        }
    }

    /// Waits until one of `orders` was given.
    pub(super) async fn until_told(&self, orders: u32) {
        let mut changed = self.changed.subscribe();
        while !self.told(orders) {
            changed
                .changed()
                .await
                .expect("the sender lives as long as the record");
        }
    }

    /// Whether what is in hand is to be the last. A worker asks its pool, which is told of a drain before any of its workers.
    pub(super) fn draining(&self) -> bool {
        let pool_drains = |pool: &Arc<Self>| pool.told(order::DRAIN);
        self.told(order::DRAIN | order::STOP | order::HAND_BACK)
            || self.pool.as_ref().is_some_and(pool_drains)
    }

    /// Waits until it is.
    pub(super) async fn until_draining(&self) {
        let mut changed = self.changed.subscribe();
        while !self.draining() {
            changed
                .changed()
                .await
                .expect("the sender lives as long as the record");
        }
    }

    /// Waits while a pause is ordered and nothing that ends it.
    pub(super) async fn while_paused(&self) {
        let mut changed = self.changed.subscribe();
        while self.told(order::PAUSE) && !self.told(order::STOP | order::HAND_BACK) {
            self.set_state(ActorState::Paused);
            changed
                .changed()
                .await
                .expect("the sender lives as long as the record");
        }
    }

    // === state

    pub(super) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(super) fn state(&self) -> ActorState {
        ActorState::from_u8(self.state.load(Relaxed))
    }

    pub(super) fn incarnation(&self) -> u32 {
        self.incarnation.load(Relaxed)
    }

    pub(super) fn next_incarnation(&self) -> u32 {
        self.restart_at_us.store(NEVER, Relaxed);
        self.incarnation.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn restart_at(&self, at: Instant) {
        self.restart_at_us.store(self.us(at), Relaxed);
    }

    /// What kind of message is taken in hand from now on.
    pub(super) fn takes(&self, kind: &'static str) {
        *self
            .in_hand
            .lock()
            .expect("no panic happens while it is held") = kind;
    }

    pub(super) fn taken(&self, accepted: Instant, now: Instant) {
        self.in_hand_accepted_us.store(self.us(accepted), Relaxed);
        self.in_hand_since_us.store(self.us(now), Relaxed);
        self.set_state(ActorState::Running);
    }

    pub(super) fn let_go(&self) {
        self.in_hand_since_us.store(NEVER, Relaxed);
        self.in_hand_accepted_us.store(NEVER, Relaxed);
        self.set_state(ActorState::Idle);
    }

    /// True while a message is in hand, a tick included.
    pub(super) fn busy(&self) -> bool {
        self.in_hand_since_us.load(Relaxed) != NEVER
    }

    pub(super) fn in_hand_for(&self, now: Instant) -> Duration {
        let since = self.in_hand_since_us.load(Relaxed);
        Duration::from_micros(if since == NEVER {
            0
        } else {
            self.us(now).saturating_sub(since)
        })
    }

    pub(super) fn observe(&self, event: &RuntimeEvent) {
        if let Some(system) = self.system.upgrade() {
            system.observer.on(event);
        }
    }

    /// Messages accepted and not finished, the one in hand included.
    pub(super) fn depth(&self) -> usize {
        self.capacity
            .saturating_sub(self.permits.available_permits())
    }

    pub(super) fn since_epoch(&self, at: Instant) -> Duration {
        at.duration_since(self.epoch)
    }

    fn us(&self, at: Instant) -> u64 {
        self.since_epoch(at).as_micros() as u64
    }

    /// Records in this actor's statistics and in those of the pool it belongs to.
    pub(super) fn count(&self, add: impl Fn(&Statistics)) {
        add(&self.statistics);
        if let Some(pool) = &self.pool {
            add(&pool.statistics);
        }
    }

    /// The same for what happens with every message, where it must be cheap.
    #[inline]
    pub(super) fn count_often(&self, count: impl Fn(&Statistics, Add)) {
        count(&self.statistics, add_alone);
        if let Some(pool) = &self.pool {
            count(&pool.statistics, add_shared);
        }
    }

    pub(super) fn snapshot(&self, now: Instant, restarts_in_window: u32) -> ActorSnapshot {
        let now_us = self.us(now);
        let ms_since = |at: u64| (at != NEVER).then(|| now_us.saturating_sub(at) / 1_000);
        let since_ms = ms_since(self.in_hand_since_us.load(Relaxed));
        let message = *self
            .in_hand
            .lock()
            .expect("no panic happens while it is held");
        let restart_at = self.restart_at_us.load(Relaxed);
        let (backpressure_ms_total, backpressure_ms_by_sender) = self.statistics.backpressure();
        ActorSnapshot {
            name: self.name.to_string(),
            group: self.group.clone(),
            kind: self.kind,
            state: self.visible_state(since_ms),
            incarnation: self.incarnation(),
            handling: since_ms.map(|since_ms| Handling {
                message: without_path(message),
                since_ms,
            }),
            mailbox: MailboxSnapshot {
                len: self.depth(),
                capacity: self.capacity,
                peak: self.statistics.peak.load(Relaxed) as usize,
            },
            oldest_message_ms: ms_since(self.in_hand_accepted_us.load(Relaxed)),
            counters: self.statistics.counters(),
            restarts_in_window,
            last_failure: self.statistics.last_failure(),
            last_panic: self.statistics.last_panic(),
            next_restart_in_ms: (restart_at != NEVER)
                .then(|| restart_at.saturating_sub(now_us) / 1_000),
            backpressure_ms_total,
            backpressure_ms_by_sender,
            latency: self.statistics.handle_time.snapshot(),
            queue_time: self.statistics.queue_time.snapshot(),
            size: None,
            policy: self.spec.policy(),
        }
    }

    pub(super) fn stuck(&self, now: Instant) -> bool {
        let since = self.in_hand_since_us.load(Relaxed);
        since != NEVER
            && self.state() == ActorState::Running
            && self.us(now).saturating_sub(since) > self.spec.stuck_after.as_micros() as u64
    }

    fn visible_state(&self, since_ms: Option<u64>) -> ActorState {
        let state = self.state();
        match state {
            ActorState::Running
                if since_ms
                    .is_some_and(|ms| u128::from(ms) > self.spec.stuck_after.as_millis()) =>
            {
                ActorState::Stuck
            }
            ActorState::Idle if self.told(order::PAUSE) => ActorState::Paused,
            ActorState::Running | ActorState::Idle if self.told(order::DRAIN) => {
                ActorState::Draining
            }
            _ => state,
        }
    }
}

/// The last part of a type's path, without what it is generic over.
fn without_path(kind: &'static str) -> &'static str {
    let kind = kind.split('<').next().unwrap_or(kind);
    kind.rsplit("::").next().unwrap_or(kind)
}
