//! The daemon at one moment, as pages show it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iyagi_actors::health::Condition;
use iyagi_actors::projections::Counts;
use iyagi_actors::runtime::{ActorKind, ActorSnapshot};
use iyagi_messages::ids::{Pos, Timestamp};

use super::history::{Rates, Sample};
use crate::http::operations::health;
use crate::http::operations::platforms::{self, PlatformStatus};
use crate::http::operations::status::{self, QueueStatus, StreamStatus};
use crate::surface::Surface;

/// Everything that pages show of the daemon as it is now.
pub(super) struct Look {
    pub(super) at: Timestamp,
    /// The journal's last event.
    pub(super) head: Pos,
    pub(super) started_at: Timestamp,
    pub(super) counts: Counts,
    /// Events that contradict the history before them.
    pub(super) contradictions: u64,
    /// Dead letters that wait.
    pub(super) letters: u64,
    /// Pushes that wait on purpose.
    pub(super) deferred: u64,
    pub(super) catching_up_since: Option<Timestamp>,
    pub(super) platforms: Vec<PlatformStatus>,
    pub(super) actors: Vec<ActorLook>,
    /// What was ever counted; that of actors since the daemon came up.
    pub(super) totals: Sample,
    /// What happens in a second.
    pub(super) rates: Rates,
    /// Restarts of all actors within the last hour.
    pub(super) restarts: u64,
    /// What others said when they were last asked.
    pub(super) probes: Arc<Probes>,
}

/// An actor, and how much it does.
pub(super) struct ActorLook {
    pub(super) actor: ActorSnapshot,
    /// Messages that it handled, a second; absent until that is known.
    pub(super) per_second: Option<f64>,
    /// Part of the time that senders waited for room; more than 1 if several did.
    pub(super) held_up: Option<f64>,
}

/// What stores, queues and the graph say when they are asked, which takes a while.
pub(super) struct Probes {
    pub(super) at: Timestamp,
    pub(super) ready: bool,
    pub(super) dependencies: BTreeMap<String, Condition>,
    pub(super) stream: StreamStatus,
    pub(super) queues: Vec<QueueStatus>,
}

impl Probes {
    /// Asks them all.
    pub(super) async fn ask(surface: &Surface) -> Self {
        let (readiness, stream, queues) = tokio::join!(
            health::readiness(surface),
            status::stream(surface),
            status::queues(surface)
        );
        Self {
            at: surface.clock.now(),
            ready: readiness.ready,
            dependencies: readiness.dependencies,
            stream,
            queues,
        }
    }

    /// Age of the oldest message of a queue that somebody works on.
    pub(super) fn backlog_seconds(&self) -> Option<f64> {
        let worked_on = self
            .queues
            .iter()
            .filter(|queue| !queue.name.starts_with("dead-letters"));
        let ages = worked_on.filter_map(|queue| queue.oldest_seconds);
        ages.reduce(f64::max)
    }
}

/// What an earlier look counted: messages handled and milliseconds waited, by actor.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) at: Timestamp,
    by_actor: HashMap<String, (u64, u64)>,
}

impl Counted {
    pub(super) fn of(at: Timestamp, actors: &[ActorSnapshot]) -> Self {
        let by_actor = actors.iter().map(|actor| {
            let counted = (actor.counters.handled, actor.backpressure_ms_total);
            (actor.name.clone(), counted)
        });
        Self {
            at,
            by_actor: by_actor.collect(),
        }
    }

    /// What each actor has done a second since then.
    pub(super) fn rates(&self, now: Timestamp, actors: Vec<ActorSnapshot>) -> Vec<ActorLook> {
        let seconds = now.since_ms(self.at).max(1) as f64 / 1_000.0;
        let looks = actors.into_iter().map(|actor| {
            let before = self.by_actor.get(&actor.name);
            let rate = |count: u64, before: u64| count.saturating_sub(before) as f64 / seconds;
            ActorLook {
                per_second: before.map(|before| rate(actor.counters.handled, before.0)),
                held_up: before.map(|before| rate(actor.backpressure_ms_total, before.1) / 1_000.0),
                actor,
            }
        });
        looks.collect()
    }
}

/// What is counted at this moment.
pub(super) fn sample(surface: &Surface, at: Timestamp, actors: &[ActorSnapshot]) -> Sample {
    let handled = |name: &str| {
        let found = actors.iter().find(|actor| actor.name == name);
        found.map_or(0, |actor| actor.counters.handled)
    };
    let own = actors
        .iter()
        .filter(|actor| actor.kind != ActorKind::Worker);
    let indexed = surface.tree.search.as_ref().map_or(0, |counts| {
        counts.documents().iter().map(|(_, count)| count).sum()
    });
    let outbox = surface.tree.projections.outbox();
    Sample {
        at,
        commits: outbox.cursor.commit,
        matched: outbox.counts.matched,
        sent: outbox.counts.sent,
        recorded: handled("metadata-recorder"),
        thumbnails: handled("thumbnail-worker"),
        recordings: handled("audio-worker"),
        indexed,
        restarts: own.map(|actor| actor.counters.restarts).sum(),
    }
}

impl Look {
    /// What can be seen without asking anybody.
    pub(super) fn take(
        surface: &Surface,
        at: Timestamp,
        actors: Vec<ActorLook>,
        (totals, rates, restarts): (Sample, Rates, u64),
        probes: Arc<Probes>,
    ) -> Self {
        let projections = &surface.tree.projections;
        let catching_up_since = projections.catch_up().begun_at;
        let platforms = platforms::platforms(surface);
        let outbox = projections.outbox();
        Self {
            at,
            head: outbox.pos,
            started_at: surface.started_at,
            counts: outbox.counts.clone(),
            contradictions: outbox.contradictions,
            letters: outbox.letter_count() as u64,
            deferred: outbox.deferred() as u64,
            catching_up_since,
            platforms,
            actors,
            totals,
            rates,
            restarts,
            probes,
        }
    }
}
