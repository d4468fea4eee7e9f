//! A topic: every subscriber has a backlog and a forwarder of its own, and so its own fate.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use tokio::sync::mpsc;

use super::mailbox::Mailbox;
use super::place::Place;
use super::pool::PoolHandle;
use super::record::{Record, order};
use super::statistics::ActorState;

/// Something a topic can forward to.
pub trait Outlet<M>: Send + Sync + 'static {
    /// Takes one message, waiting for room; false once it is closed for good.
    fn accept(&self, message: M) -> impl Future<Output = bool> + Send;
}

impl<M: Send + 'static> Outlet<M> for Mailbox<M> {
    async fn accept(&self, message: M) -> bool {
        self.tell(message).await.is_ok()
    }
}

impl<M: Send + 'static> Outlet<M> for PoolHandle<M> {
    async fn accept(&self, message: M) -> bool {
        self.submit(message).await.is_ok()
    }
}

/// What became of a message at one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the subscriber's backlog.
    Accepted,
    /// The backlog is full; the message can be delivered to this subscriber again later.
    Full,
    /// The subscriber has stopped for good.
    Dead,
}

/// What became of a message at each subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The subscriber.
    pub subscriber: Arc<str>,
    /// What became of the message there.
    pub outcome: Outcome,
}

/// A topic. Clones are the same topic.
pub struct Broadcast<M: Send + Sync + 'static> {
    topic: Arc<Topic<M>>,
}

impl<M: Send + Sync + 'static> Broadcast<M> {
    pub(super) fn new(topic: Arc<Topic<M>>) -> Self {
        Self { topic }
    }

    /// Subscribes a mailbox or pool under a name; `convert` makes its own kind of message.
    pub fn subscribe<N, O, C>(&self, subscriber: &str, outlet: O, convert: C)
    where
        N: Send + 'static,
        O: Outlet<N>,
        C: Fn(Arc<M>) -> N + Send + 'static,
    {
        let (backlog, mut waiting) = mpsc::channel::<Arc<M>>(self.topic.record.capacity);
        let line = Arc::new(Line {
            subscriber: subscriber.into(),
            pending: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            record: Arc::clone(&self.topic.record),
        });
        let end = LineEnd(Arc::clone(&line));
        self.topic.subscribers().push(Subscriber { backlog, line });
        let forward = async move {
            let LineEnd(line) = &end;
            while let Some(message) = waiting.recv().await {
                if line.record.told(order::PAUSE) {
                    line.record.while_paused().await;
                    line.record.set_state(ActorState::Idle);
                }
                if line.closed.load(SeqCst) || !outlet.accept(convert(message)).await {
                    return;
                }
                line.pending.fetch_sub(1, SeqCst);
                line.record.statistics.handled.fetch_add(1, Relaxed);
                line.record.signal_drain();
            }
        };
        self.topic
            .place
            .run(move || drop(tokio::task::spawn_local(forward)));
    }

    /// Puts a message into every subscriber's backlog that has room, waiting for none.
    pub fn publish(&self, message: &Arc<M>) -> Vec<Delivery> {
        let topic = &self.topic;
        topic.record.statistics.received.fetch_add(1, Relaxed);
        let subscribers = topic.subscribers();
        let deliveries = subscribers.iter().map(|subscriber| Delivery {
            subscriber: Arc::clone(&subscriber.line.subscriber),
            outcome: topic.deliver(subscriber, message),
        });
        deliveries.collect()
    }

    /// Delivers a message to one subscriber again; `Dead` if there is none of that name.
    pub fn deliver(&self, subscriber: &str, message: &Arc<M>) -> Outcome {
        let subscribers = self.topic.subscribers();
        let found = subscribers
            .iter()
            .find(|known| &*known.line.subscriber == subscriber);
        found.map_or(Outcome::Dead, |subscriber| {
            self.topic.deliver(subscriber, message)
        })
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.topic.record.name
    }
}

impl<M: Send + Sync + 'static> Clone for Broadcast<M> {
    fn clone(&self) -> Self {
        Self {
            topic: Arc::clone(&self.topic),
        }
    }
}

impl<M: Send + Sync + 'static> fmt::Debug for Broadcast<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscribers = self.topic.subscribers().len();
        f.debug_struct("Broadcast")
            .field("subscribers", &subscribers)
            .finish_non_exhaustive()
    }
}

/// What the system needs of a topic, whatever its messages.
pub(super) trait TopicControl: Send + Sync {
    fn subscribers(&self) -> usize;
    /// The backlog of the slowest subscriber.
    fn deepest(&self) -> usize;
    /// Messages in any backlog.
    fn pending(&self) -> usize;
    /// Lets the forwarders end; what is left in a backlog is counted as handed back.
    fn stop(&self);
}

pub(super) struct Topic<M: Send + Sync + 'static> {
    record: Arc<Record>,
    place: Arc<Place>,
    subscribers: Mutex<Vec<Subscriber<M>>>,
}

struct Subscriber<M> {
    backlog: mpsc::Sender<Arc<M>>,
    line: Arc<Line>,
}

/// The way to one subscriber, as its topic and its forwarder see it.
struct Line {
    subscriber: Arc<str>,
    pending: AtomicUsize,
    closed: AtomicBool,
    record: Arc<Record>,
}

impl Line {
    fn pending(&self) -> usize {
        if self.closed.load(SeqCst) {
            0
        } else {
            self.pending.load(SeqCst)
        }
    }
}

/// Held by the forwarder: however it ends, what it leaves behind is counted and said.
struct LineEnd(Arc<Line>);

impl Drop for LineEnd {
    fn drop(&mut self) {
        let Line {
            subscriber, record, ..
        } = &*self.0;
        let left = self.0.pending();
        self.0.closed.store(true, SeqCst);
        if left > 0 {
            record.statistics.failed.fetch_add(left as u64, Relaxed);
            tracing::error!(topic = %record.name, %subscriber, left, "subscriber is gone; what waited for it is left to the source");
        }
        record.signal_drain();
    }
}

impl<M: Send + Sync + 'static> Topic<M> {
    pub(super) fn new(record: Arc<Record>, place: Arc<Place>) -> Arc<Self> {
        record.set_state(ActorState::Idle);
        Arc::new(Self {
            record,
            place,
            subscribers: Mutex::new(Vec::new()),
        })
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscriber<M>>> {
        self.subscribers
            .lock()
            .expect("no panic happens while it is held")
    }

    fn deliver(&self, subscriber: &Subscriber<M>, message: &Arc<M>) -> Outcome {
        let statistics = &self.record.statistics;
        if subscriber.line.closed.load(SeqCst) {
            return Outcome::Dead;
        }
        match subscriber.backlog.try_reserve() {
            Ok(room) => {
                let depth = subscriber.line.pending.fetch_add(1, SeqCst) + 1;
                statistics.peak.fetch_max(depth as u64, Relaxed);
                room.send(Arc::clone(message));
                Outcome::Accepted
            }
            Err(mpsc::error::TrySendError::Full(())) => Outcome::Full,
            Err(mpsc::error::TrySendError::Closed(())) => Outcome::Dead,
        }
    }
}

impl<M: Send + Sync + 'static> TopicControl for Topic<M> {
    fn subscribers(&self) -> usize {
        self.subscribers().len()
    }

    fn deepest(&self) -> usize {
        let subscribers = self.subscribers();
        let depths = subscribers
            .iter()
            .map(|subscriber| subscriber.line.pending());
        depths.max().unwrap_or(0)
    }

    fn pending(&self) -> usize {
        let subscribers = self.subscribers();
        subscribers
            .iter()
            .map(|subscriber| subscriber.line.pending())
            .sum()
    }

    fn stop(&self) {
        let left = self.pending();
        self.record
            .statistics
            .handed_back
            .fetch_add(left as u64, Relaxed);
        self.record.give(order::STOP);
        for subscriber in self.subscribers().iter() {
            subscriber.line.closed.store(true, SeqCst);
        }
        self.record.set_state(ActorState::Stopped);
        self.record.signal();
    }
}
