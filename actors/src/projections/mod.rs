//! What the actors know, folded from the journal and kept up to date by its commits.
//!
//! **Invariant:** a projection never knows more than the journal, and an append that has resolved is folded.

mod accepted;
mod audience;
mod backfills;
mod catch_up;
mod counts;
mod fan_outs;
mod members;
mod open_push;
mod outbox;
mod packing;
mod platform_queue;
mod services;
mod subscriptions;
mod traffic;
mod waiting_letters;
mod waiting_room;
mod wishes;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use iyagi_messages::compaction::Totals;
use iyagi_messages::event::Event;
use iyagi_messages::fact::{Fact, JournalCompacted};
use iyagi_messages::ids::Pos;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;

pub use accepted::RecentlyAccepted;
pub use audience::Audience;
pub use backfills::{Backfill, Backfills, Stage as BackfillStage};
pub use catch_up::{CatchUp, CatchUpPolicy, Turn};
pub use counts::Counts;
pub use fan_outs::FanOuts;
pub use members::Members;
pub use open_push::Phone;
pub use outbox::{InTurn, LetterState, Outbox};
pub use platform_queue::{Body, Pending, bodies};
pub use services::{DyingTokensPolicy, Pause, Services, Tokens};
pub use subscriptions::{Group, Subscriptions, clause, lexicon};
pub use traffic::{First, RatePolicy, Traffic, TrafficAhead, TrafficPolicy};
pub use waiting_letters::{LetterGroup, LetterPlace};
pub use waiting_room::Place;
pub use wishes::Wishes;

use self::packing::Unpackable;
use crate::journal::{Journal, JournalFault, Snapshot};

/// Version of the folding code: another one discards the snapshot and folds from the beginning.
const CODE_VERSION: u32 = 7;
const SNAPSHOT: &str = "projections";
/// Events that are read at once while folding.
const PAGE: usize = 10_000;

/// Every projection, behind locks that are never held across an await.
pub struct Projections {
    outbox: RwLock<Outbox>,
    audience: RwLock<Audience>,
    subscriptions: RwLock<Subscriptions>,
    members: RwLock<Members>,
    wishes: RwLock<Wishes>,
    traffic: RwLock<Traffic>,
    services: RwLock<Services>,
    catch_up: RwLock<CatchUp>,
    fan_outs: RwLock<FanOuts>,
    backfills: RwLock<Backfills>,
    /// How far the traffic is looked back at.
    policy: TrafficPolicy,
    /// How often the state was kept.
    saves: AtomicU32,
    /// The last event folded, for who waits for the next.
    folded: watch::Sender<Pos>,
}

/// A snapshot, but for the open pushes, which are in pieces of their own.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    saves: u32,
    pieces: usize,
    outbox: Outbox,
    audience: Audience,
    subscriptions: Subscriptions,
    members: Members,
    wishes: Wishes,
    traffic: Traffic,
    services: Services,
    catch_up: CatchUp,
    #[serde(default)]
    fan_outs: FanOuts,
    #[serde(default)]
    backfills: Backfills,
}

impl Projections {
    /// Folds the newest snapshot and what came after it, and from then on every commit.
    pub async fn recover(
        journal: &dyn Journal,
        policy: TrafficPolicy,
    ) -> Result<Arc<Self>, JournalFault> {
        let compacted = journal.compacted().await?;
        let body = match Kept::load(journal, compacted.as_ref()).await {
            Ok(kept) => kept,
            Err(Unusable::Journal(fault)) => return Err(fault),
            Err(error) => {
                tracing::warn!(%error, "the snapshot cannot be used; the journal is folded anew");
                None
            }
        };
        let (body, mut pos) = body.unwrap_or_else(|| {
            let totals = compacted.map(|compacted| compacted.totals);
            (Kept::behind(&totals.unwrap_or_default()), Pos::default())
        });
        let projections = Arc::new(Self {
            outbox: RwLock::new(body.outbox),
            audience: RwLock::new(body.audience),
            subscriptions: RwLock::new(body.subscriptions),
            members: RwLock::new(body.members),
            wishes: RwLock::new(body.wishes),
            traffic: RwLock::new(body.traffic),
            services: RwLock::new(body.services),
            catch_up: RwLock::new(body.catch_up),
            fan_outs: RwLock::new(body.fan_outs),
            backfills: RwLock::new(body.backfills),
            policy,
            saves: AtomicU32::new(body.saves),
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
        let saves = self.saves.fetch_add(1, Ordering::Relaxed) + 1;
        let (pos, pieces, body) = {
            // The outbox is locked first by whoever locks both, so this is one consistent moment.
            let outbox = self.outbox();
            let audience = self.audience();
            let subscriptions = self.subscriptions();
            let members = self.members();
            let wishes = self.wishes();
            let traffic = self.traffic();
            let services = self.platforms();
            let fan_outs = self.fan_outs();
            let backfills = self.backfills();
            let pieces = outbox.pack();
            let body = serde_json::to_vec(
                &(BodyRef {
                    saves,
                    pieces: pieces.len(),
                    outbox: &outbox,
                    audience: &audience,
                    subscriptions: &subscriptions,
                    members: &members,
                    wishes: &wishes,
                    traffic: &traffic,
                    services: &services,
                    catch_up: self.catch_up(),
                    fan_outs: &fan_outs,
                    backfills: &backfills,
                }),
            );
            (
                outbox.pos,
                pieces,
                body.expect("projections have only text keys, so they are always JSON"),
            )
        };
        let snapshot = |body| Snapshot {
            code_version: CODE_VERSION,
            pos,
            body,
        };
        // The pieces first: a crash in between leaves the last snapshot and its pieces as they are.
        for (index, piece) in pieces.into_iter().enumerate() {
            let name = piece_name(saves, index);
            journal.save_snapshot(&name, snapshot(piece)).await?;
        }
        journal.save_snapshot(SNAPSHOT, snapshot(body)).await?;
        Ok(pos)
    }

    /// Pushes, letters and the cursor.
    pub fn outbox(&self) -> RwLockReadGuard<'_, Outbox> {
        self.outbox.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Devices and opt-outs.
    pub fn audience(&self) -> RwLockReadGuard<'_, Audience> {
        self.audience.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who wants to hear of what.
    pub fn subscriptions(&self) -> RwLockReadGuard<'_, Subscriptions> {
        self.subscriptions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
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

    /// How push services are.
    pub fn platforms(&self) -> RwLockReadGuard<'_, Services> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the change log is read late.
    pub fn catch_up(&self) -> CatchUp {
        *self.catch_up.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is still to be told of changes that concern many.
    pub fn fan_outs(&self) -> RwLockReadGuard<'_, FanOuts> {
        self.fan_outs.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which presets' files are being made for older pictures.
    pub fn backfills(&self) -> RwLockReadGuard<'_, Backfills> {
        self.backfills
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the traffic is looked back at.
    pub fn traffic_policy(&self) -> TrafficPolicy {
        self.policy
    }

    /// How far back it counts for what is to come what happened to pushes, in milliseconds.
    pub fn looked_back_ms(&self) -> u64 {
        let RatePolicy {
            burst,
            refill_seconds,
        } = self.policy.rate;
        let refill_ms = u64::from(burst) * u64::from(refill_seconds) * 1_000;
        let windows = [self.policy.remembered_ms, refill_ms, services::WINDOW_MS];
        windows.into_iter().max().unwrap_or_default()
    }

    /// The last event folded, and whether there is another one.
    pub fn folded(&self) -> watch::Receiver<Pos> {
        self.folded.subscribe()
    }

    fn apply(&self, events: &[Event]) {
        let mut outbox = self.outbox.write().unwrap_or_else(PoisonError::into_inner);
        // A snapshot of another host may be ahead of this host's copy of the journal, which then repeats what is in it.
        let events = &events[events.partition_point(|event| event.pos <= outbox.pos)..];
        {
            let mut services = self
                .services
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            for event in events {
                // Once it is settled, nothing is known of the push any more.
                services.apply(event, outbox.platform_of(event));
                outbox.apply(event);
            }
        }
        fold(&self.catch_up, events, CatchUp::concerns, CatchUp::apply);
        fold(&self.fan_outs, events, FanOuts::concerns, FanOuts::apply);
        fold(
            &self.backfills,
            events,
            Backfills::concerns,
            Backfills::apply,
        );
        fold(&self.audience, events, Audience::concerns, Audience::apply);
        fold(
            &self.subscriptions,
            events,
            Subscriptions::concerns,
            Subscriptions::apply,
        );
        fold(&self.members, events, Members::concerns, Members::apply);
        fold(&self.wishes, events, Wishes::concerns, Wishes::apply);
        fold(
            &self.traffic,
            events,
            Traffic::concerns,
            |traffic, event| {
                traffic.apply(event, self.policy);
            },
        );
        let pos = outbox.pos;
        drop(outbox);
        self.folded.send_replace(pos);
    }
}

/// Folds events into a part of the state, which is locked only if any of them is about it.
fn fold<T>(
    part: &RwLock<T>,
    events: &[Event],
    concerns: impl Fn(&Fact) -> bool,
    apply: impl Fn(&mut T, &Event),
) {
    if !events.iter().any(|event| concerns(&event.fact)) {
        return;
    }
    let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
    for event in events {
        apply(&mut part, event);
    }
}

#[derive(Serialize)]
struct BodyRef<'a> {
    saves: u32,
    pieces: usize,
    outbox: &'a Outbox,
    audience: &'a Audience,
    subscriptions: &'a Subscriptions,
    members: &'a Members,
    wishes: &'a Wishes,
    traffic: &'a Traffic,
    services: &'a Services,
    catch_up: CatchUp,
    fan_outs: &'a FanOuts,
    backfills: &'a Backfills,
}

/// Why a snapshot cannot be used.
#[derive(Debug, Error)]
enum Unusable {
    #[error(transparent)]
    Journal(#[from] JournalFault),
    #[error(
        "it is of position {of}, and what followed was taken out of the journal up to {through}"
    )]
    Overtaken { of: Pos, through: Pos },
    #[error("its piece {0} is missing, or of another moment")]
    NoPiece(usize),
    #[error(transparent)]
    Packed(#[from] Unpackable),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Kept {
    /// What is known of events that are not folded any more.
    fn behind(totals: &Totals) -> Self {
        Self {
            outbox: Outbox::behind(totals),
            services: Services::behind(totals),
            catch_up: CatchUp::behind(totals),
            ..Self::default()
        }
    }

    /// The newest snapshot, and the position that it is of.
    async fn load(
        journal: &dyn Journal,
        compacted: Option<&JournalCompacted>,
    ) -> Result<Option<(Self, Pos)>, Unusable> {
        let Some(snapshot) = journal.snapshot(SNAPSHOT, CODE_VERSION).await? else {
            return Ok(None);
        };
        if let Some(compacted) = compacted.filter(|compacted| snapshot.pos < compacted.through) {
            return Err(Unusable::Overtaken {
                of: snapshot.pos,
                through: compacted.through,
            });
        }
        let mut kept: Self = serde_json::from_slice(&snapshot.body)?;
        let mut open = Vec::new();
        for index in 0..kept.pieces {
            let name = piece_name(kept.saves, index);
            let piece = journal.snapshot(&name, CODE_VERSION).await?;
            let piece = piece.filter(|piece| piece.pos == snapshot.pos);
            let piece = piece.ok_or(Unusable::NoPiece(index))?;
            open.append(&mut packing::unpack(&piece.body)?);
        }
        kept.outbox.restore(open);
        Ok(Some((kept, snapshot.pos)))
    }
}

/// The pieces of two snapshots in a row have different names, so that one is whole while the next is written.
fn piece_name(saves: u32, index: usize) -> String {
    format!("{SNAPSHOT}-{}-{index}", saves % 2)
}
