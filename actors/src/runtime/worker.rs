//! What an actor is to its author: a plain struct that handles one message at a time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::{Failure, Fault};
use super::record::Record;

/// One actor's behaviour. A plain struct; its futures run on one thread and need not be `Send`.
#[allow(
    async_fn_in_trait,
    reason = "a worker never leaves its thread, so no Send bound is wanted"
)]
pub trait Worker: Sized + 'static {
    /// What it is told.
    type Msg: Send + 'static;

    /// Does the work of one message. After a failure the next incarnation may see it again.
    async fn handle(&mut self, message: &Self::Msg, cx: &Cx<Self::Msg>) -> Result<Done, Fault>;

    /// Writes off, durably and with its history, a message that can not be done.
    async fn set_aside(&mut self, message: &Self::Msg, history: &[Failure]) -> Result<(), Fault>;

    /// Takes back a message still undone when the drain ended; by default its source still has it.
    async fn hand_back(&mut self, message: Self::Msg) {
        drop(message);
    }

    /// The kind of a message, as metrics and the dashboard name it; paths are cut off there.
    fn kind(message: &Self::Msg) -> &'static str {
        let _ = message;
        std::any::type_name::<Self::Msg>()
    }
}

/// How a message ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is done.
    Finished,
    /// It is to be offered again at a moment.
    ///
    /// In a pool it goes back to the head of its lane, later jobs of that lane wait behind it and
    /// the worker is free; an actor with a mailbox of its own keeps it in hand until then.
    Held {
        /// The moment.
        until: Instant,
    },
}

/// Which start of an actor this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// The actor's name.
    pub name: Arc<str>,
    /// 1 for the first start.
    pub number: u32,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.number)
    }
}

/// What a worker may ask of the runtime while it handles a message.
pub struct Cx<M> {
    identity: Identity,
    number: Cell<u32>,
    deaths: Cell<u32>,
    ticks: RefCell<Vec<(Instant, M)>>,
    stopping: Cell<bool>,
}

enum Identity {
    Supervised(Arc<Record>),
    Detached(Arc<str>),
}

impl<M> Cx<M> {
    /// A context outside any system, to test a handler by itself.
    pub fn detached(name: &str) -> Self {
        Self::with(Identity::Detached(name.into()), 1)
    }

    pub(super) fn supervised(record: Arc<Record>) -> Self {
        Self::with(Identity::Supervised(record), 0)
    }

    fn with(identity: Identity, number: u32) -> Self {
        Self {
            identity,
            number: Cell::new(number),
            deaths: Cell::new(0),
            ticks: RefCell::new(Vec::new()),
            stopping: Cell::new(false),
        }
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        match &self.identity {
            Identity::Supervised(record) => &record.name,
            Identity::Detached(name) => name,
        }
    }

    /// Which start of the actor this is; displays as `push-3#12`.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation {
            name: self.name().into(),
            number: self.number.get(),
        }
    }

    /// Workers that the message in hand has killed so far.
    pub fn attempt(&self) -> u32 {
        self.deaths.get()
    }

    /// True once the actor is to finish what it has and stop. All workers of a pool see a drain begin at the same moment.
    pub fn draining(&self) -> bool {
        match &self.identity {
            Identity::Supervised(record) => record.draining(),
            Identity::Detached(_) => false,
        }
    }

    /// Waits until the actor is to finish and stop, so that a long wait can be left early.
    pub async fn until_draining(&self) {
        match &self.identity {
            Identity::Supervised(record) => record.until_draining().await,
            Identity::Detached(_) => std::future::pending().await,
        }
    }

    /// Sends the actor a message of its own after a delay: the next tick of a loop.
    ///
    /// It takes effect when the message in hand is done, so a handler that fails and is run again
    /// does not start a second loop; from then on it survives restarts. It needs no room in the
    /// mailbox. A source's ticks end when the drain begins.
    pub fn tell_self_after(&self, delay: Duration, message: M) {
        self.ticks
            .borrow_mut()
            .push((Instant::now() + delay, message));
    }

    /// Stops the actor once the message in hand is done; a permanent actor is started again.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Takes what `tell_self_after` was given since the last call.
    pub fn take_ticks(&self) -> Vec<(Instant, M)> {
        self.ticks.take()
    }

    pub(super) fn begin(&self, deaths: u32) {
        self.deaths.set(deaths);
        self.stopping.set(false);
        // Ticks that a failed run asked for die with it: its next run asks again.
        self.ticks.borrow_mut().clear();
    }

    pub(super) fn incarnate(&self, number: u32) {
        self.number.set(number);
    }

    pub(super) fn wants_stop(&self) -> bool {
        self.stopping.get()
    }
}
