//! The daemon in one document, for `iyagi status` and for scripts.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use iyagi_actors::health::Condition;
use iyagi_actors::ports::{Position, QueueDepth, StreamFault};
use iyagi_actors::projections::Counts;
use iyagi_actors::runtime::{ActorKind, ActorSnapshot, ActorState};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::fleet::FleetMember;
use iyagi_messages::ids::{MemberId, Pos, Timestamp};
use iyagi_messages::stream::StreamPage;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::health::{self, PROBE_TIMEOUT};
use super::platforms::{self, PlatformStatus};
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::http::response;
use crate::surface::Surface;

/// The daemon as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    version: &'static str,
    started_at: Timestamp,
    uptime_seconds: u64,
    ready: bool,
    dependencies: BTreeMap<String, Condition>,
    /// Absent where a daemon is alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetStatus>,
    stream: StreamStatus,
    journal: JournalStatus,
    pushes: Pushes,
    /// Push services, and whether anything is sent by them.
    platforms: Vec<PlatformStatus>,
    /// Since when changes are read so late that only what is urgent is told of at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    catching_up_since: Option<Timestamp>,
    dead_letters: DeadLetters,
    queues: Vec<QueueStatus>,
    actors: Actors,
    devices: usize,
}

/// Who shares the work.
#[derive(Debug, Serialize, ToSchema)]
struct FleetStatus {
    /// What the others know this host as.
    member: MemberId,
    /// The host that reads the change log.
    #[schema(required)]
    leader: Option<MemberId>,
    /// Which leadership it is.
    epoch: u64,
    /// Every host that lives.
    members: Vec<FleetMember>,
}

/// How far the change log is read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StreamStatus {
    /// The last operation that is done with.
    pub cursor: Cursor,
    /// The newest operation of the graph; absent if the graph does not say.
    #[schema(required)]
    pub tip: Option<Cursor>,
    /// Age of the oldest operation that is not done with; zero at the tip.
    #[schema(required)]
    pub lag_seconds: Option<f64>,
    /// Commits that are not done with.
    #[schema(required)]
    pub lag_commits: Option<u64>,
    /// The oldest operation that the graph still keeps.
    #[schema(required)]
    pub oldest: Option<Cursor>,
    /// How much older than the oldest operation that is not done with the graph's memory is. At zero, what is needed next
    /// is trimmed next.
    #[schema(required)]
    pub headroom_seconds: Option<f64>,
    /// Commits that were passed over, ever.
    pub skipped_commits: u64,
    /// Commits that nobody was told of because they changed too much at once, ever.
    pub withheld_commits: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct JournalStatus {
    head: Pos,
}

/// The conservation law's columns.
#[derive(Debug, Serialize, ToSchema)]
struct Pushes {
    #[serde(flatten)]
    counts: Counts,
    suppressed_total: u64,
    /// Whether `matched = sent + dead + suppressed + pending`, and no event contradicts its history.
    conserved: bool,
}

/// `matched = sent + dead + suppressed + pending`, with its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conservation {
    /// Pushes that were ever requested.
    pub matched: u64,
    /// Taken by a gateway.
    pub sent: u64,
    /// Given up.
    pub dead: u64,
    /// Not sent, for whatever reason.
    pub suppressed: u64,
    /// Not settled yet.
    pub pending: u64,
    /// What the columns do not account for; must be 0.
    pub difference: u64,
}

impl Conservation {
    /// The law as it stands with these counts.
    pub fn of(counts: &Counts) -> Self {
        Self {
            matched: counts.matched,
            sent: counts.sent,
            dead: counts.dead,
            suppressed: counts.suppressed_total(),
            pending: counts.pending,
            difference: imbalance(counts),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct DeadLetters {
    waiting: u64,
    by_origin: BTreeMap<String, u64>,
}

/// How much is in a queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueueStatus {
    /// The queue.
    pub name: String,
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that someone has received.
    pub in_flight: u64,
    /// Messages that are not due yet.
    pub delayed: u64,
    /// Age of the oldest message.
    #[schema(required)]
    pub oldest_seconds: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Actors {
    total: usize,
    by_state: BTreeMap<&'static str, usize>,
    restarts: u64,
    panics: u64,
    /// Actors that do not work as they should, with what is known of why.
    troubled: Vec<Troubled>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Troubled {
    name: String,
    state: ActorState,
    #[schema(required)]
    last_failure: Option<String>,
}

/// The daemon in one document.
#[utoipa::path(
    get,
    path = "/v1/ops/status",
    operation_id = "showStatus",
    tag = "health",
    responses((status = 200, description = "The daemon as it is now", body = Status)),
)]
pub async fn show(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    Ok(response::ok(&status(&state.surface).await))
}

/// The daemon as it is now.
pub async fn status(surface: &Surface) -> Status {
    let (readiness, stream, queues) =
        tokio::join!(health::readiness(surface), stream(surface), queues(surface));
    let now = surface.clock.now();
    let uptime_seconds = now.since_ms(surface.started_at) / 1_000;
    let devices = surface.tree.projections.audience().device_count();
    let platforms = platforms::platforms(surface);
    let outbox = surface.tree.projections.outbox();
    let mut by_origin = BTreeMap::new();
    for group in outbox.letter_groups() {
        *by_origin.entry(group.origin).or_default() += group.count;
    }
    let counts = outbox.counts.clone();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: surface.started_at,
        uptime_seconds,
        ready: readiness.ready,
        dependencies: readiness.dependencies,
        fleet: fleet(surface),
        stream,
        journal: JournalStatus { head: outbox.pos },
        pushes: Pushes {
            suppressed_total: counts.suppressed_total(),
            conserved: imbalance(&counts) == 0 && outbox.contradictions == 0,
            counts,
        },
        platforms,
        catching_up_since: surface.tree.projections.catch_up().begun_at,
        dead_letters: DeadLetters {
            waiting: by_origin.values().sum(),
            by_origin,
        },
        queues,
        actors: actors(&surface.actors.actors()),
        devices,
    }
}

fn fleet(surface: &Surface) -> Option<FleetStatus> {
    let members = surface.tree.projections.members();
    Some(FleetStatus {
        member: surface.member.clone()?,
        leader: members.leader.clone(),
        epoch: members.epoch,
        members: members.all.clone(),
    })
}

/// Pushes that the four columns do not account for; must be 0.
pub fn imbalance(counts: &Counts) -> u64 {
    let settled = counts.sent + counts.dead + counts.suppressed_total() + counts.pending;
    counts.matched.abs_diff(settled)
}

/// How far the change log is read. What the graph does not say in time is left out: nobody who watches must wait for it.
pub async fn stream(surface: &Surface) -> StreamStatus {
    let (cursor, skipped_commits, withheld_commits) = {
        let outbox = surface.tree.projections.outbox();
        let counts = (outbox.skipped_commits, outbox.withheld_commits);
        (outbox.cursor, counts.0, counts.1)
    };
    let position = if cursor == Cursor::START {
        Position::TrimHorizon
    } else {
        Position::After(cursor)
    };
    let log = &*surface.stream;
    let (head, next, oldest) = tokio::join!(
        timeout(PROBE_TIMEOUT, log.head()),
        timeout(PROBE_TIMEOUT, log.fetch(position, 1)),
        timeout(PROBE_TIMEOUT, log.oldest())
    );
    let tip = head.ok().and_then(Result::ok).flatten();
    let next = next.map_or_else(|_| Next::Unknown, |answer| Next::of(answer, cursor));
    let oldest = oldest.ok().and_then(Result::ok).flatten();
    let lag_seconds = match next {
        Next::None => Some(0.0),
        Next::At(at) => Some(seconds_since(surface, at)),
        Next::Unknown => None,
    };
    let kept_since = oldest.as_ref().and_then(|record| record.commit_timestamp);
    let headroom_seconds = match (next, kept_since) {
        (Next::At(at), Some(kept)) => Some(at.since_ms(kept) as f64 / 1_000.0),
        (Next::None, Some(kept)) => Some(seconds_since(surface, kept)),
        _ => None,
    };
    StreamStatus {
        cursor,
        tip,
        lag_seconds,
        lag_commits: tip.map(|tip| tip.commit.saturating_sub(cursor.commit)),
        oldest: oldest.map(|record| record.event_id),
        headroom_seconds,
        skipped_commits,
        withheld_commits,
    }
}

/// The oldest operation that is not done with.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// There is none: everything is read.
    None,
    /// It was requested then.
    At(Timestamp),
    /// The graph does not say.
    Unknown,
}

impl Next {
    fn of(answer: Result<StreamPage, StreamFault>, cursor: Cursor) -> Self {
        match answer {
            Ok(page) => {
                let first = page.records.first();
                first
                    .and_then(|record| record.commit_timestamp)
                    .map_or(Self::Unknown, Self::At)
            }
            // A replica that lags and a log that was reset have nothing there either, and are no reason to call it read.
            Err(StreamFault::NotFound { last_valid }) => {
                if last_valid.unwrap_or(Cursor::START) == cursor {
                    Self::None
                } else {
                    Self::Unknown
                }
            }
            Err(_) => Self::Unknown,
        }
    }
}

/// How much is in each queue; a queue that does not answer is left out.
pub async fn queues(surface: &Surface) -> Vec<QueueStatus> {
    let asked = surface.queues.iter().map(|queue| async move {
        let QueueDepth {
            visible,
            in_flight,
            delayed,
            oldest_sent_at,
        } = queue.depth().await.ok()?;
        Some(QueueStatus {
            name: queue.name().to_owned(),
            visible,
            in_flight,
            delayed,
            oldest_seconds: oldest_sent_at.map(|at| seconds_since(surface, at)),
        })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn seconds_since(surface: &Surface, at: Timestamp) -> f64 {
    surface.clock.now().since_ms(at) as f64 / 1_000.0
}

fn actors(all: &[ActorSnapshot]) -> Actors {
    let own = || all.iter().filter(|actor| actor.kind != ActorKind::Worker);
    let mut by_state = BTreeMap::new();
    for actor in own() {
        *by_state.entry(state_name(actor.state)).or_default() += 1;
    }
    let troubled = own().filter(|actor| {
        use ActorState::{BackingOff, Failed, Stopped, Stuck};
        matches!(actor.state, BackingOff | Failed | Stopped | Stuck)
    });
    let troubled = troubled.map(|actor| Troubled {
        name: actor.name.clone(),
        state: actor.state,
        last_failure: actor
            .last_failure
            .as_ref()
            .map(|failure| failure.reason.clone()),
    });
    Actors {
        total: own().count(),
        by_state,
        restarts: own().map(|actor| actor.counters.restarts).sum(),
        panics: own().map(|actor| actor.counters.panics).sum(),
        troubled: troubled.collect(),
    }
}

/// A state as it stands in metrics.
pub fn state_name(state: ActorState) -> &'static str {
    match state {
        ActorState::Starting => "starting",
        ActorState::Running => "running",
        ActorState::Idle => "idle",
        ActorState::BackingOff => "backing_off",
        ActorState::Paused => "paused",
        ActorState::Draining => "draining",
        ActorState::Stuck => "stuck",
        ActorState::Failed => "failed",
        ActorState::Stopped => "stopped",
    }
}
