//! `GET /pipelines`: the ways through the daemon, stage by stage, with what flows and where it backs up.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_actors::platforms::breaker::BreakerState;

use super::actors::{grade_of, state_words};
use super::bar::Bar;
use super::frame::{Frame, Refusal, page};
use super::look::{ActorLook, Look};
use super::text;
use super::verdict::Grade;
use crate::http::State;
use crate::http::operations::status::QueueStatus;
use crate::http::request::Query;
use crate::http::response::encoded;

/// Actors that work side by side, each with what its stage is called.
type Abreast = &'static [(&'static str, &'static str)];

/// From a commit of the graph to a push.
const OF_CHANGES: [Abreast; 4] = [
    &[("stream-poller", "Read")],
    &[("subscription-matcher", "Match")],
    &[("push-feeder", "Feed")],
    &[("push-sender", "Send")],
];
/// From an uploaded file to what is made of it.
const OF_FILES: [Abreast; 1] = [&[
    ("metadata-recorder", "Record"),
    ("thumbnail-worker", "Pictures"),
    ("audio-worker", "Recordings"),
]];
/// From a commit of the graph to the search index.
const OF_SEARCH: [Abreast; 1] = [&[("search-indexer", "Index")]];

/// Part of the time that senders wait for room, from which on a stage holds up those before it. It is what the alerts in
/// `deploy/prometheus` say, too.
const PRESSURE_BAD: f64 = 0.5;
/// The same, from which on it begins to show.
const PRESSURE_FAIR: f64 = 0.05;

#[derive(Template)]
#[template(path = "pipelines.html")]
struct Page {
    frame: Frame,
    now: Lanes,
}

/// The lanes as they are now.
#[derive(Template)]
#[template(path = "pipelines_now.html")]
pub(super) struct Lanes {
    ways: Vec<Lane>,
    services: Vec<Service>,
    queues: Vec<QueueRow>,
    may_act: bool,
}

struct Lane {
    title: &'static str,
    /// What comes in, in words.
    source: String,
    steps: Vec<Step>,
    /// What has come out, in words.
    sink: String,
}

/// Stages side by side, and the edge that leads to them.
struct Step {
    stages: Vec<Stage>,
    /// How much they hold up what is before them.
    pressure: Grade,
    pressure_says: String,
}

/// One stage.
struct Stage {
    title: &'static str,
    actor: String,
    href: String,
    state: String,
    grade: Grade,
    per_second: String,
    mailbox: Bar,
    failed: String,
    failed_grade: Grade,
    /// Part of the time that senders wait for room.
    held_up: f64,
}

struct Service {
    name: &'static str,
    says: String,
    grade: Grade,
    paused: bool,
}

struct QueueRow {
    name: String,
    visible: String,
    in_flight: String,
    delayed: String,
    oldest: String,
}

impl Lanes {
    pub(super) fn of(look: &Look, may_act: bool) -> Self {
        let stream = &look.probes.stream;
        let rates = &look.rates;
        let lag = text::delay(stream.lag_seconds);
        let visible: u64 = look
            .probes
            .queues
            .iter()
            .filter(|queue| ["metadata", "thumbnails", "audio"].contains(&&*queue.name))
            .map(|queue| queue.visible)
            .sum();
        let lane = |title, source, steps: &[Abreast], sink| {
            let steps: Vec<Step> = steps
                .iter()
                .filter_map(|step| Step::of(look, step))
                .collect();
            (!steps.is_empty()).then_some(Lane {
                title,
                source,
                steps,
                sink,
            })
        };
        let commits = format!("{} commits/s, lag {lag}", text::rate(rates.commits));
        let lanes = [
            lane(
                "Changes to pushes",
                commits.clone(),
                &OF_CHANGES,
                format!("{} pushes sent/s", text::rate(rates.sent)),
            ),
            lane(
                "Uploads to files",
                format!("{} queued", text::count(visible, "message")),
                &OF_FILES,
                format!("{} files recorded/s", text::rate(rates.recorded)),
            ),
            lane(
                "Changes to search",
                commits,
                &OF_SEARCH,
                format!("{} documents indexed/s", text::rate(rates.indexed)),
            ),
        ];
        Self {
            ways: lanes.into_iter().flatten().collect(),
            services: services(look),
            queues: look.probes.queues.iter().map(QueueRow::of).collect(),
            may_act,
        }
    }
}

impl Step {
    /// The stages that this host has; nothing if it has none of them.
    fn of(look: &Look, abreast: Abreast) -> Option<Self> {
        let found = abreast.iter().filter_map(|(name, title)| {
            let found = look.actors.iter().find(|one| one.actor.name == *name)?;
            Some(Stage::of(found, title))
        });
        let stages: Vec<Stage> = found.collect();
        let held_up = stages.iter().map(|stage| stage.held_up).reduce(f64::max)?;
        Some(Self {
            stages,
            pressure: match held_up {
                share if share >= PRESSURE_BAD => Grade::Bad,
                share if share >= PRESSURE_FAIR => Grade::Fair,
                _ => Grade::Good,
            },
            pressure_says: format!("senders wait {:.0}% of the time", held_up * 100.0),
        })
    }
}

impl Stage {
    fn of(look: &ActorLook, title: &'static str) -> Self {
        let actor = &look.actor;
        let counters = &actor.counters;
        let ended = counters.handled + counters.failed + counters.set_aside;
        let lost = counters.failed + counters.set_aside;
        let share = lost as f64 * 100.0 / ended.max(1) as f64;
        Self {
            title,
            href: format!("/actors/{}", encoded(&actor.name)),
            actor: actor.name.clone(),
            state: state_words(actor.state),
            grade: grade_of(actor.state),
            per_second: look.per_second.map_or_else(|| "–".to_owned(), text::rate),
            mailbox: Bar::of(actor.mailbox.len as u64, actor.mailbox.capacity as u64),
            failed: format!("{share:.1}%"),
            failed_grade: if lost > 0 { Grade::Fair } else { Grade::Good },
            held_up: look.held_up.unwrap_or(0.0),
        }
    }
}

fn services(look: &Look) -> Vec<Service> {
    let services = look.platforms.iter().map(|service| {
        let breaker = service.breaker;
        let (says, grade) = match &service.paused {
            Some(pause) => {
                let reason = pause.reason.as_str().replace('_', " ");
                (format!("paused: {reason}"), Grade::Bad)
            }
            None if breaker == BreakerState::Closed => ("open for sending".to_owned(), Grade::Good),
            None => (format!("breaker {}", breaker.as_str()), Grade::Bad),
        };
        Service {
            name: service.platform.as_str(),
            says,
            grade,
            paused: service.paused.is_some(),
        }
    });
    services.collect()
}

impl QueueRow {
    fn of(queue: &QueueStatus) -> Self {
        Self {
            name: queue.name.clone(),
            visible: text::number(queue.visible),
            in_flight: text::number(queue.in_flight),
            delayed: text::number(queue.delayed),
            oldest: queue.oldest_seconds.map_or_else(
                || "–".to_owned(),
                |seconds| text::span((seconds * 1_000.0) as u64),
            ),
        }
    }
}

/// `GET /pipelines`
pub(super) async fn show(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    Query::of(&request, &[])?;
    let look = state.board.refresh().await;
    let frame = Frame::of(&state, &request, "Pipelines", "/pipelines");
    let now = Lanes::of(&look, frame.may_act);
    page(&Page { frame, now })
}
