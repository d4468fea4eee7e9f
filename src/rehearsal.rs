//! What the daemon would do, tried out: its own matcher, gates, merging and texts, over a journal in memory and a clock
//! that goes when it is told to. No phone rings.
//!
//! The matcher is the daemon's actor itself. What a sender does besides deciding, which is to call a gateway, is left
//! out (`sending`): here every gateway takes every push.

mod sending;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use iyagi_actors::fleet::Fleet;
use iyagi_actors::journal::{Draft, Journal, JournalFault, MemoryJournal};
use iyagi_actors::ports::{ChangeStream, Clock, GraphQueries, Payload};
use iyagi_actors::projections::{CatchUpPolicy, Place, Projections, RatePolicy, TrafficPolicy};
use iyagi_actors::push_sender::rendering::Names;
use iyagi_actors::push_sender::texts::{Texts, UnusableText};
use iyagi_actors::runtime::{Cx, Fault, Worker};
use iyagi_actors::stream_poller::PollPace;
use iyagi_actors::stream_poller::assembler::Portion;
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_actors::subscription_matcher::{
    Commits, SubscriptionMatcher, SubscriptionMatcherContext,
};
use iyagi_messages::device::Platform;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, PushSuppressed};
use iyagi_messages::ids::{Pos, PushId, Timestamp};
use iyagi_messages::push::{Push, SuppressReason};
use thiserror::Error;

/// Every platform that a push may be for.
const PLATFORMS: [Option<Platform>; 3] = [None, Some(Platform::Fcm), Some(Platform::Apns)];

/// Events that are looked at in one go.
const PAGE: usize = 10_000;
/// Times that what waits is waited for; more than any push can wait in a row.
const WAITS_MAX: usize = 100_000;

/// What a rehearsal is played with.
#[derive(Clone)]
pub struct Stage {
    /// The change log, from which the matcher learns of the graph.
    pub stream: Arc<dyn ChangeStream>,
    /// Names and titles.
    pub graph: Arc<dyn GraphQueries>,
    /// What the graph's labels mean.
    pub model: GraphModel,
    /// Default notifications and texts.
    pub templates: Arc<Templates>,
    /// How many notifications a person may have.
    pub rate: RatePolicy,
}

/// A clock that stands still until it is put on.
#[derive(Debug, Default)]
pub struct StageClock(AtomicI64);

impl StageClock {
    /// A clock that shows a moment.
    pub fn at(moment: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(moment.0)))
    }

    /// Puts the clock on; it never goes back.
    pub fn set(&self, moment: Timestamp) {
        self.0.fetch_max(moment.0, Ordering::Relaxed);
    }
}

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Something that a person would have noticed, or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// A phone rings.
    Sent {
        /// What was matched.
        push: Arc<Push>,
        /// When it leaves.
        at: Timestamp,
        /// What the phone shows.
        payload: Box<Payload>,
    },
    /// It goes with another one, which tells of it.
    Along {
        /// What was matched.
        push: Arc<Push>,
    },
    /// A gate is closed.
    Held {
        /// What was matched.
        push: Arc<Push>,
        /// Which gate.
        reason: SuppressReason,
    },
    /// It would ring, and cannot be put into words.
    Unrenderable {
        /// What was matched.
        push: Arc<Push>,
        /// Why not.
        reason: String,
    },
}

/// Why a rehearsal cannot go on.
#[derive(Debug, Error)]
pub enum RehearsalFault {
    /// A text cannot be used.
    #[error(transparent)]
    Text(#[from] UnusableText),
    /// The journal in memory refuses, which is a bug.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The matcher gives up.
    #[error("the matcher cannot go on: {}", .0.chain())]
    Matcher(Fault),
    /// Names and titles cannot be looked up.
    #[error(transparent)]
    Names(#[from] iyagi_actors::ports::GraphFault),
    /// Pushes keep waiting for each other, which is a bug.
    #[error("what waits is never done with")]
    Endless,
}

/// A rehearsal under way.
pub struct Rehearsal {
    stage: Stage,
    clock: Arc<StageClock>,
    journal: MemoryJournal,
    projections: Arc<Projections>,
    matcher: SubscriptionMatcher,
    names: Names,
    texts: Texts,
    seen: Pos,
    pushes: HashMap<PushId, Arc<Push>>,
    happened: Vec<Happened>,
}

impl Rehearsal {
    /// Goes on where a journal ends: its cursor says up to where the change log is done with.
    pub async fn over(
        journal: MemoryJournal,
        clock: Arc<StageClock>,
        stage: Stage,
    ) -> Result<Self, RehearsalFault> {
        let texts = Texts::of(&stage.templates)?;
        let policy = TrafficPolicy {
            rate: stage.rate,
            remembered_ms: stage.templates.longest_window_ms(),
        };
        let projections = Projections::recover(&journal, policy).await?;
        let context = SubscriptionMatcherContext {
            journal: Arc::new(journal.clone()),
            projections: Arc::clone(&projections),
            stream: Arc::clone(&stage.stream),
            pace: PollPace::default(),
            model: stage.model.clone(),
            templates: Arc::clone(&stage.templates),
            clock: Arc::clone(&clock) as _,
            // What is rehearsed is of another time: how late it is read tells nothing.
            catch_up: CatchUpPolicy {
                lag_seconds: 0,
                ..CatchUpPolicy::default()
            },
            fleet: Fleet::alone(Arc::clone(&projections)),
            lines: Arc::default(),
            // Whoever rehearses sends when all is matched.
            pending_max_per_host: u64::MAX,
        };
        let me = Cx::<Commits>::detached("matcher").incarnation();
        let matcher = SubscriptionMatcher::recover(me, Arc::new(context)).await;
        let seen = journal.head().await?;
        Ok(Self {
            matcher: matcher.map_err(RehearsalFault::Matcher)?,
            names: Names::new(
                Arc::clone(&stage.graph),
                Arc::clone(&clock) as _,
                stage.model.clone(),
            ),
            stage,
            clock,
            journal,
            projections,
            texts,
            seen,
            pushes: HashMap::new(),
            happened: Vec::new(),
        })
    }

    /// Writes down what happens elsewhere: a phone is registered, a preference changes.
    pub async fn learn(&self, entity: Entity, fact: Fact) -> Result<(), RehearsalFault> {
        learn(&self.journal, entity, fact).await
    }

    /// Matches a commit, or takes a part of one, and sends what may be sent at this moment.
    pub async fn read(&mut self, portion: Portion) -> Result<(), RehearsalFault> {
        let cx = Cx::detached("matcher");
        let mut message = Commits(vec![portion]);
        loop {
            let matched = self.matcher.handle(&message, &cx).await;
            matched.map_err(RehearsalFault::Matcher)?;
            self.observe().await?;
            self.send_pending().await?;
            if self.projections.fan_outs().next().is_none() {
                return Ok(());
            }
            // What concerns many is told some people at a time.
            message = Commits(Vec::new());
        }
    }

    /// Puts the clock on, and sends what becomes due meanwhile, each at its own moment.
    pub async fn wait_until(&mut self, moment: Timestamp) -> Result<(), RehearsalFault> {
        for _ in 0..WAITS_MAX {
            let due = self.next_due().filter(|due| *due <= moment);
            let Some(due) = due else {
                self.clock.set(moment);
                return Ok(());
            };
            self.clock.set(due);
            self.send_due().await?;
        }
        Err(RehearsalFault::Endless)
    }

    /// Waits for whatever waits.
    pub async fn settle(&mut self) -> Result<(), RehearsalFault> {
        for _ in 0..WAITS_MAX {
            let Some(due) = self.next_due() else {
                return Ok(());
            };
            self.clock.set(due);
            self.send_due().await?;
        }
        Err(RehearsalFault::Endless)
    }

    /// What happened since this was asked last, in order.
    pub fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// The moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn next_due(&self) -> Option<Timestamp> {
        let outbox = self.projections.outbox();
        let due = PLATFORMS.map(|platform| outbox.next_due(platform, Place::FIRST));
        due.into_iter().flatten().min()
    }

    /// Reads in the journal what was requested, and what a gate has held.
    async fn observe(&mut self) -> Result<(), RehearsalFault> {
        loop {
            let events = self.journal.read(self.seen, PAGE).await?;
            let Some(last) = events.last() else {
                return Ok(());
            };
            self.seen = last.pos;
            for event in events {
                match event.fact {
                    Fact::PushRequested(requested) => {
                        let push = Arc::new(requested.push);
                        self.pushes.insert(push.id, push);
                    }
                    Fact::PushSuppressed(PushSuppressed { reason }) => {
                        let id = event.entity.0.strip_prefix("push/");
                        let id = id.and_then(|id| id.parse::<PushId>().ok());
                        if let Some(push) = id.and_then(|id| self.pushes.get(&id)) {
                            let push = Arc::clone(push);
                            self.happened.push(match reason {
                                SuppressReason::Merged => Happened::Along { push },
                                reason => Happened::Held { push, reason },
                            });
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Writes down what happens elsewhere before a rehearsal begins.
pub async fn learn(
    journal: &MemoryJournal,
    entity: Entity,
    fact: Fact,
) -> Result<(), RehearsalFault> {
    let mut draft = Draft::new(&"rehearsal", "rehearsal");
    // Each is one of its own, however alike two are.
    let upstream = journal.head().await?.to_string();
    draft.begin(&upstream, entity, fact);
    journal.append(draft.finish()).await?;
    Ok(())
}
