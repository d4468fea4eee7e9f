//! What the actors know, folded from the journal and kept up to date by its commits.
//!
//! **Invariant:** a projection never knows more than the journal, and an append that has resolved is folded.

mod accepted;
mod audience;
mod members;
mod outbox;
mod traffic;
mod waiting_room;
mod wishes;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Pos;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use accepted::RecentlyAccepted;
pub use audience::Audience;
pub use members::Members;
pub use outbox::{Counts, LetterState, Outbox};
pub use traffic::{First, RatePolicy, Traffic, TrafficAhead, TrafficPolicy};
pub use waiting_room::{Place, WaitingRoom};
pub use wishes::Wishes;

use crate::journal::{Journal, JournalFault, Snapshot};

/// Version of the folding code: another one discards the snapshot and folds from the beginning.
const CODE_VERSION: u32 = 5;
const SNAPSHOT: &str = "projections";
/// Events that are read at once while folding.
const PAGE: usize = 10_000;

/// Every projection, behind locks that are never held across an await.
pub struct Projections {
    outbox: RwLock<Outbox>,
    audience: RwLock<Audience>,
    members: RwLock<Members>,
    wishes: RwLock<Wishes>,
    traffic: RwLock<Traffic>,
    /// How far the traffic is looked back at.
    policy: TrafficPolicy,
    /// The last event folded, for who waits for the next.
    folded: watch::Sender<Pos>,
}

#[derive(Default, Serialize, Deserialize)]
struct Body {
    outbox: Outbox,
    audience: Audience,
    members: Members,
    wishes: Wishes,
    traffic: Traffic,
}

impl Projections {
    /// Folds the newest snapshot and what came after it, and from then on every commit.
    pub async fn recover(
        journal: &dyn Journal,
        policy: TrafficPolicy,
    ) -> Result<Arc<Self>, JournalFault> {
        let snapshot = journal.snapshot(SNAPSHOT, CODE_VERSION).await?;
        let body: Option<(Body, Pos)> =
            snapshot.and_then(|snapshot| match serde_json::from_slice(&snapshot.body) {
                Ok(body) => Some((body, snapshot.pos)),
                Err(error) => {
                    tracing::warn!(%error, "the snapshot is unreadable and is folded anew");
                    None
                }
            });
        let (body, mut pos) = body.unwrap_or_default();
        let projections = Arc::new(Self {
            outbox: RwLock::new(body.outbox),
            audience: RwLock::new(body.audience),
            members: RwLock::new(body.members),
            wishes: RwLock::new(body.wishes),
            traffic: RwLock::new(body.traffic),
            policy,
            folded: watch::Sender::new(pos),
        });
        loop {
            let events = journal.read(pos, PAGE).await?;
            let Some(last) = events.last() else { break };
            pos = last.pos;
            projections.apply(&events);
        }
        let folded = Arc::clone(&projections);
        journal.on_commit(Arc::new(move |events| folded.apply(events)));
        Ok(projections)
    }

    /// Keeps the folded state so that the next start has less to fold.
    pub async fn save(&self, journal: &dyn Journal) -> Result<Pos, JournalFault> {
        let (pos, body) = {
            // The outbox is locked first by whoever locks both, so this is one consistent moment.
            let outbox = self.outbox();
            let audience = self.audience();
            let members = self.members();
            let wishes = self.wishes();
            let traffic = self.traffic();
            let body = serde_json::to_vec(
                &(BodyRef {
                    outbox: &outbox,
                    audience: &audience,
                    members: &members,
                    wishes: &wishes,
                    traffic: &traffic,
                }),
            );
            (
                outbox.pos,
                body.expect("projections have only text keys, so they are always JSON"),
            )
        };
        let snapshot = Snapshot {
            code_version: CODE_VERSION,
            pos,
            body,
        };
        journal.save_snapshot(SNAPSHOT, snapshot).await?;
        Ok(pos)
    }

    /// Pushes, letters and the cursor.
    pub fn outbox(&self) -> RwLockReadGuard<'_, Outbox> {
        self.outbox.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Devices, subscriptions and opt-outs.
    pub fn audience(&self) -> RwLockReadGuard<'_, Audience> {
        self.audience.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who shares the work.
    pub fn members(&self) -> RwLockReadGuard<'_, Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What people wish.
    pub fn wishes(&self) -> RwLockReadGuard<'_, Wishes> {
        self.wishes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was requested of late.
    pub fn traffic(&self) -> RwLockReadGuard<'_, Traffic> {
        self.traffic.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the traffic is looked back at.
    pub fn traffic_policy(&self) -> TrafficPolicy {
        self.policy
    }

    /// The last event folded, and whether there is another one.
    pub fn folded(&self) -> watch::Receiver<Pos> {
        self.folded.subscribe()
    }

    fn apply(&self, events: &[Event]) {
        let mut outbox = self.outbox.write().unwrap_or_else(PoisonError::into_inner);
        // A snapshot of another host may be ahead of this host's copy of the journal, which then repeats what is in it.
        let events = &events[events.partition_point(|event| event.pos <= outbox.pos)..];
        for event in events {
            outbox.apply(event);
        }
        if events.iter().any(|event| Audience::concerns(&event.fact)) {
            let mut audience = self
                .audience
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            for event in events {
                audience.apply(event);
            }
        }
        if events
            .iter()
            .any(|event| matches!(event.fact, Fact::FleetLed(_) | Fact::FleetAssigned(_)))
        {
            let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                members.apply(event);
            }
        }
        if events.iter().any(|event| Wishes::concerns(&event.fact)) {
            let mut wishes = self.wishes.write().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                wishes.apply(event);
            }
        }
        if events.iter().any(|event| Traffic::concerns(&event.fact)) {
            let mut traffic = self.traffic.write().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                traffic.apply(event, self.policy);
            }
        }
        let pos = outbox.pos;
        drop(outbox);
        self.folded.send_replace(pos);
    }
}

#[derive(Serialize)]
struct BodyRef<'a> {
    outbox: &'a Outbox,
    audience: &'a Audience,
    members: &'a Members,
    wishes: &'a Wishes,
    traffic: &'a Traffic,
}
