//! `GET /metrics`. Names and labels are API: a snapshot test keeps them.
//!
//! Everything is read from counters that exist anyway, so a daemon that nobody scrapes pays nothing.

mod actors;
mod inbox;
mod journal;
mod pushes;
mod search;

use std::sync::atomic::Ordering;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::audio_worker::RenditionCounts;
use iyagi_messages::ids::Pos;

use super::exposition::Exposition;
use super::health::{self, Readiness};
use super::platforms;
use super::status::{self, QueueStatus, StreamStatus};
use crate::http::State;
use crate::http::limits::Limit;
use crate::http::listener::Side;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::log;
use crate::surface::Surface;

/// The text format's media type.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the daemon counts, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "scrape",
    tag = "health",
    responses((status = 200, description = "The text format of Prometheus, version 0.0.4", body = String, content_type = "text/plain")),
)]
pub async fn scrape(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let text = render(&state).await;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

async fn render(state: &State) -> String {
    let surface = &state.surface;
    let (readiness, stream, queues, searched, compacted, oldest) = tokio::join!(
        health::readiness(surface),
        status::stream(surface),
        status::queues(surface),
        search::cursor(surface),
        surface.journal.compacted(),
        surface.journal.read(Pos(0), 1)
    );
    let mut text = Exposition::default();
    let uptime_ms = surface.clock.now().since_ms(surface.started_at);
    text.gauge("iyagi_build_info", "Version of the running build")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.gauge(
        "iyagi_daemon_uptime_seconds",
        "Time since the daemon came up",
    )
    .sample(&[], uptime_ms as f64 / 1_000.0);
    of_dependencies(&mut text, &readiness);
    actors::of_actors(&mut text, &surface.actors.actors());
    let tree = &surface.tree;
    let outbox = tree.projections.outbox();
    pushes::of_pushes(&mut text, &outbox, &tree.lines, &tree.second_look);
    let soon = surface.config.dead_letters.age().soon(surface.clock.now());
    pushes::of_expiring_letters(&mut text, &outbox, soon);
    drop(outbox);
    // A journal that cannot be read ends the daemon, so nobody asks what it would have told.
    let compacted = compacted.ok().flatten().unwrap_or_default();
    let oldest = oldest.ok().and_then(|events| Some(events.first()?.at));
    let standing = surface
        .compaction
        .as_ref()
        .map(|compaction| compaction.standing());
    journal::of_compaction(&mut text, &compacted, oldest, standing.unwrap_or_default());
    text.gauge(
        "iyagi_fan_out_waiting_people",
        "People who are still to be told of changes that concern many",
    )
    .sample(&[], surface.tree.projections.fan_outs().people());
    pushes::of_platforms(&mut text, &platforms::platforms(surface));
    pushes::of_catch_up(&mut text, surface);
    pushes::of_quotas(&mut text, &surface.gateway.quota_levels());
    pushes::of_feedback(&mut text, surface.tree.feedback.as_deref());
    of_renditions(&mut text, &surface.tree.renditions);
    of_fleet(&mut text, surface);
    of_stream(&mut text, &stream);
    search::of_search(&mut text, searched, surface.tree.search.as_deref());
    of_queues(&mut text, &queues);
    inbox::of_inbox(&mut text, surface.tree.inbox.store.counts(), &state.live);
    of_requests(&mut text, state);
    let devices = surface.tree.projections.audience().device_count();
    text.gauge("iyagi_audience_devices", "Registered phones")
        .sample(&[], devices);
    text.finish()
}

fn of_dependencies(text: &mut Exposition, readiness: &Readiness) {
    let mut family = text.gauge(
        "iyagi_dependency_ready",
        "Whether a dependency can be used (1) or not (0)",
    );
    for (name, condition) in &readiness.dependencies {
        family.sample(&[("dependency", name)], u8::from(condition.ready));
    }
}

/// A host that is alone leads, and shares with nobody.
fn of_fleet(text: &mut Exposition, surface: &Surface) {
    let members = surface.tree.projections.members();
    let pushes = members.all.iter().filter(|member| member.pushes).count();
    let leads = surface.member.is_none() || members.leader == surface.member;
    text.gauge(
        "iyagi_fleet_hosts",
        "Hosts that share the work, as this one knows",
    )
    .sample(&[], members.all.len().max(1));
    text.gauge(
        "iyagi_fleet_push_hosts",
        "Hosts among them that send pushes",
    )
    .sample(&[], pushes.max(1));
    text.gauge(
        "iyagi_fleet_leads",
        "Whether this host is the one that reads the change log (1) or not (0)",
    )
    .sample(&[], u8::from(leads));
    text.counter(
        "iyagi_fleet_leaderships_total",
        "Times that a host took the lead",
    )
    .sample(&[], members.epoch);
}

fn of_renditions(text: &mut Exposition, counts: &RenditionCounts) {
    let mut family = text.counter(
        "iyagi_renditions_total",
        "Copies of recordings for delivery since the daemon came up, by outcome: `made`, or why it was not",
    );
    for (rendition, outcome, count) in counts.all() {
        let labels = [("rendition", rendition.name()), ("outcome", outcome)];
        family.sample(&labels, count);
    }
}

fn of_stream(text: &mut Exposition, stream: &StreamStatus) {
    text.gauge(
        "iyagi_stream_cursor_commit",
        "The last commit that is done with",
    )
    .sample(&[], stream.cursor.commit);
    let mut family = text.gauge("iyagi_stream_tip_commit", "The newest commit of the graph");
    if let Some(tip) = stream.tip {
        family.sample(&[], tip.commit);
    }
    let mut family = text.gauge(
        "iyagi_stream_lag_seconds",
        "Age of the oldest change that is not done with; 0 at the tip",
    );
    if let Some(lag) = stream.lag_seconds {
        family.sample(&[], lag);
    }
    let mut family = text.gauge(
        "iyagi_stream_lag_commits",
        "Commits of the graph that are not done with",
    );
    if let Some(lag) = stream.lag_commits {
        family.sample(&[], lag);
    }
    let mut family = text.gauge(
        "iyagi_stream_headroom_seconds",
        "How much older than the oldest change that is not done with the graph's memory is; at 0 it is trimmed next",
    );
    if let Some(headroom) = stream.headroom_seconds {
        family.sample(&[], headroom);
    }
    text.counter(
        "iyagi_stream_skipped_commits_total",
        "Commits that were passed over because the stream did not have them",
    )
    .sample(&[], stream.skipped_commits);
    text.counter(
        "iyagi_stream_withheld_commits_total",
        "Commits that nobody was told of because they changed too much at once",
    )
    .sample(&[], stream.withheld_commits);
}

fn of_queues(text: &mut Exposition, queues: &[QueueStatus]) {
    let mut family = text.gauge("iyagi_queue_messages", "Messages in a queue, by state");
    for queue in queues {
        for (state, count) in [
            ("visible", queue.visible),
            ("in_flight", queue.in_flight),
            ("delayed", queue.delayed),
        ] {
            family.sample(&[("queue", &*queue.name), ("state", state)], count);
        }
    }
    let mut family = text.gauge(
        "iyagi_queue_oldest_seconds",
        "Age of a queue's oldest message",
    );
    for queue in queues {
        let seconds = queue.oldest_seconds.unwrap_or(0.0);
        family.sample(&[("queue", &*queue.name)], seconds);
    }
}

fn of_requests(text: &mut Exposition, state: &State) {
    let State {
        requests,
        limits,
        over_quota,
        ..
    } = state;
    let mut family = text.counter(
        "iyagi_http_requests_total",
        "Requests by listener and class of status",
    );
    for side in [Side::Public, Side::Operations] {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .iter()
            .zip(requests.answered(side))
        {
            family.sample(&[("listener", side.as_str()), ("status", class)], count);
        }
    }
    text.counter(
        "iyagi_http_unreadable_total",
        "Requests that are no HTTP, to either listener, since the process began",
    )
    .sample(&[], log::unreadable());
    let mut family = text.counter(
        "iyagi_http_limited_total",
        "Requests that were refused because somebody asked too often, or for too much in a day",
    );
    for limit in Limit::ALL {
        family.sample(&[("limit", limit.as_str())], limits.reached(limit));
    }
    let over_quota = over_quota.load(Ordering::Relaxed);
    family.sample(&[("limit", "upload_quota")], over_quota);
}
