//! `GET /pipelines`: both ways through the daemon, stage by stage, with what flows and where it backs up.

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

/// From a commit of the graph to a push.
const OF_CHANGES: [(&str, &str); 4] = [
    ("stream-poller", "Read"),
    ("subscription-matcher", "Match"),
    ("push-feeder", "Feed"),
    ("push-sender", "Send"),
];
/// From an uploaded file to what is made of it.
const OF_FILES: [(&str, &str); 4] = [
    ("metadata-recorder", "Record"),
    ("thumbnail-worker", "Pictures"),
    ("audio-worker", "Recordings"),
    ("search-indexer", "Index"),
];

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
    lanes: [Lane; 2],
    services: Vec<Service>,
    queues: Vec<QueueRow>,
    may_act: bool,
}

struct Lane {
    title: &'static str,
    /// What comes in, in words.
    source: String,
    stages: Vec<Stage>,
    /// What has come out, in words.
    sink: String,
}

/// One stage, with the edge that leads to it.
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
    /// How much the stage holds up what is before it.
    pressure: Grade,
    pressure_says: String,
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
        let lag = stream.lag_seconds.map_or_else(
            || "lag unknown".to_owned(),
            |lag| format!("lag {}", text::span((lag * 1_000.0) as u64)),
        );
        let visible: u64 = look
            .probes
            .queues
            .iter()
            .filter(|queue| ["metadata", "thumbnails", "audio"].contains(&&*queue.name))
            .map(|queue| queue.visible)
            .sum();
        Self {
            lanes: [
                Lane {
                    title: "Changes to pushes",
                    source: format!("{} commits/s, {lag}", text::rate(rates.commits)),
                    stages: stages(look, &OF_CHANGES),
                    sink: format!("{} pushes sent/s", text::rate(rates.sent)),
                },
                Lane {
                    title: "Uploads to files",
                    source: format!("{} queued", text::count(visible, "message")),
                    stages: stages(look, &OF_FILES),
                    sink: format!("{} documents indexed/s", text::rate(rates.indexed)),
                },
            ],
            services: services(look),
            queues: look.probes.queues.iter().map(QueueRow::of).collect(),
            may_act,
        }
    }
}

/// The stages that this host has.
fn stages(look: &Look, all: &[(&str, &'static str)]) -> Vec<Stage> {
    let found = all.iter().filter_map(|(name, title)| {
        let found = look.actors.iter().find(|one| one.actor.name == *name)?;
        Some(Stage::of(found, title))
    });
    found.collect()
}

impl Stage {
    fn of(look: &ActorLook, title: &'static str) -> Self {
        let actor = &look.actor;
        let counters = &actor.counters;
        let ended = counters.handled + counters.failed + counters.set_aside;
        let lost = counters.failed + counters.set_aside;
        let share = lost as f64 * 100.0 / ended.max(1) as f64;
        let held_up = look.held_up.unwrap_or(0.0);
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
            pressure: match held_up {
                share if share >= PRESSURE_BAD => Grade::Bad,
                share if share >= PRESSURE_FAIR => Grade::Fair,
                _ => Grade::Good,
            },
            pressure_says: format!("senders wait {:.0}% of the time", held_up * 100.0),
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
