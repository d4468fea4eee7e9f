//! `GET /metrics`. Names and labels are API: a snapshot test keeps them.
//!
//! Everything is read from counters that exist anyway, so a daemon that nobody scrapes pays nothing.

mod search;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::audio_worker::RenditionCounts;
use iyagi_actors::platforms::breaker::BreakerState;
use iyagi_actors::ports::{InboxCounts, QuotaLevel};
use iyagi_actors::projections::Outbox;
use iyagi_actors::push_feedback::FeedbackCounts;
use iyagi_actors::runtime::{ActorKind, ActorSnapshot, ActorState, Counters};
use iyagi_messages::push::PauseReason;

use super::exposition::Exposition;
use super::health::{self, Readiness};
use super::platforms::{self, PlatformStatus};
use super::status::{self, QueueStatus, StreamStatus};
use crate::http::State;
use crate::http::limits::{Limit, Limits};
use crate::http::listener::{Requests, Side};
use crate::http::problem::Problem;
use crate::http::public::inbox::{Live, LiveEnd};
use crate::http::request::Query;
use crate::surface::Surface;

/// The text format's media type.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Reads one figure of an actor.
type Gauge = fn(&ActorSnapshot) -> f64;
/// Reads one figure of a quota.
type QuotaGauge = fn(&QuotaLevel) -> f64;

const STATES: [ActorState; 9] = [
    ActorState::Starting,
    ActorState::Running,
    ActorState::Idle,
    ActorState::BackingOff,
    ActorState::Paused,
    ActorState::Draining,
    ActorState::Stuck,
    ActorState::Failed,
    ActorState::Stopped,
];

/// `GET /metrics`
pub async fn scrape(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let text = render(&state).await;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

async fn render(state: &State) -> String {
    let surface = &state.surface;
    let (readiness, stream, queues, searched) = tokio::join!(
        health::readiness(surface),
        status::stream(surface),
        status::queues(surface),
        search::cursor(surface)
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
    of_actors(&mut text, &surface.actors.actors());
    of_pushes(&mut text, &surface.tree.projections.outbox());
    text.gauge(
        "iyagi_fan_out_waiting_people",
        "People who are still to be told of changes that concern many",
    )
    .sample(&[], surface.tree.projections.fan_outs().people());
    of_platforms(&mut text, &platforms::platforms(surface));
    of_catch_up(&mut text, surface);
    of_quotas(&mut text, &surface.gateway.quota_levels());
    of_feedback(&mut text, surface.tree.feedback.as_deref());
    of_renditions(&mut text, &surface.tree.renditions);
    of_fleet(&mut text, surface);
    of_stream(&mut text, &stream);
    search::of_search(&mut text, searched, surface.tree.search.as_deref());
    of_queues(&mut text, &queues);
    of_inbox(&mut text, surface.tree.inbox.store.counts(), &state.live);
    of_requests(&mut text, &state.requests, &state.limits);
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

fn of_actors(text: &mut Exposition, all: &[ActorSnapshot]) {
    // A pool counts what its workers do; a label per worker would grow with every resize.
    let actors = || all.iter().filter(|actor| actor.kind != ActorKind::Worker);
    let mut family = text.gauge("iyagi_actor_state", "1 for the state that an actor is in");
    for actor in actors() {
        for state in STATES {
            let labels = [
                ("actor", &*actor.name),
                ("state", status::state_name(state)),
            ];
            family.sample(&labels, u8::from(actor.state == state));
        }
    }
    let gauges: [(&str, &str, Gauge); 5] = [
        (
            "iyagi_actor_mailbox_messages",
            "Messages accepted and not finished",
            |actor| actor.mailbox.len as f64,
        ),
        (
            "iyagi_actor_mailbox_capacity_messages",
            "The most that a mailbox accepts",
            |actor| actor.mailbox.capacity as f64,
        ),
        (
            "iyagi_actor_mailbox_peak_messages",
            "The most there ever were in a mailbox",
            |actor| actor.mailbox.peak as f64,
        ),
        (
            "iyagi_actor_oldest_message_seconds",
            "Age of the oldest message in hand",
            |actor| actor.oldest_message_ms.unwrap_or(0) as f64 / 1_000.0,
        ),
        (
            "iyagi_actor_workers",
            "Workers of a pool, subscribers of a topic, 1 for an actor",
            |actor| actor.size.unwrap_or(1) as f64,
        ),
    ];
    for (name, help, value) in gauges {
        let mut family = text.gauge(name, help);
        actors().for_each(|actor| family.sample(&[("actor", &*actor.name)], value(actor)));
    }
    let mut family = text.counter(
        "iyagi_actor_messages_total",
        "Messages by what became of them",
    );
    for actor in actors() {
        for (outcome, count) in outcomes(&actor.counters) {
            family.sample(&[("actor", &*actor.name), ("outcome", outcome)], count);
        }
    }
    let mut family = text.counter("iyagi_actor_restarts_total", "Times an actor was rebuilt");
    actors().for_each(|actor| family.sample(&[("actor", &*actor.name)], actor.counters.restarts));
    let mut family = text.counter("iyagi_actor_panics_total", "Panics that were caught");
    actors().for_each(|actor| family.sample(&[("actor", &*actor.name)], actor.counters.panics));
    let mut family = text.counter(
        "iyagi_actor_backpressure_seconds_total",
        "Time that senders waited for room, by sender",
    );
    for actor in actors() {
        for (sender, ms) in &actor.backpressure_ms_by_sender {
            let labels = [("actor", &*actor.name), ("sender", &**sender)];
            family.sample(&labels, *ms as f64 / 1_000.0);
        }
    }
    let mut family = text.histogram(
        "iyagi_actor_handle_seconds",
        "Time from taking a message in hand until it was done",
    );
    actors().for_each(|actor| family.distribution(&[("actor", &*actor.name)], &actor.latency));
    let mut family = text.histogram(
        "iyagi_actor_queue_seconds",
        "Time from acceptance until a message was taken in hand",
    );
    actors().for_each(|actor| family.distribution(&[("actor", &*actor.name)], &actor.queue_time));
}

fn outcomes(counters: &Counters) -> [(&'static str, u64); 5] {
    [
        ("received", counters.received),
        ("handled", counters.handled),
        ("failed", counters.failed),
        ("set_aside", counters.set_aside),
        ("handed_back", counters.handed_back),
    ]
}

fn of_pushes(text: &mut Exposition, outbox: &Outbox) {
    let counts = &outbox.counts;
    text.counter(
        "iyagi_push_matched_total",
        "Pushes that were ever requested",
    )
    .sample(&[], counts.matched);
    text.counter("iyagi_push_sent_total", "Pushes that the gateway took")
        .sample(&[], counts.sent);
    let mut family = text.counter(
        "iyagi_push_suppressed_total",
        "Pushes that were not worth sending, by reason",
    );
    for (reason, count) in &counts.suppressed {
        family.sample(&[("reason", reason.as_str())], count);
    }
    let mut family = text.counter(
        "iyagi_push_bounced_total",
        "Pushes that the gateway took and that were not delivered, by kind of failure",
    );
    for (class, count) in &counts.bounced {
        family.sample(&[("failure_type", class.as_str())], count);
    }
    text.gauge("iyagi_push_dead_pushes", "Pushes given up and not redriven")
        .sample(&[], counts.dead);
    text.gauge("iyagi_push_pending_pushes", "Pushes not settled yet")
        .sample(&[], counts.pending);
    text.gauge(
        "iyagi_push_deferred_pushes",
        "Of those that are not settled, the ones that wait on purpose",
    )
    .sample(&[], outbox.deferred());
    let mut family = text.gauge(
        "iyagi_letter_waiting_letters",
        "Dead letters that wait, by job",
    );
    let mut waiting = std::collections::BTreeMap::<String, u64>::new();
    for group in outbox.letter_groups() {
        *waiting.entry(group.origin).or_default() += group.count;
    }
    for (origin, count) in waiting {
        family.sample(&[("origin", &origin)], count);
    }
    text.counter("iyagi_letter_redriven_total", "Dead letters tried anew")
        .sample(&[], counts.redriven);
    text.counter(
        "iyagi_letter_purged_total",
        "Dead letters given up for good",
    )
    .sample(&[], counts.purged);
    let mut family = text.counter(
        "iyagi_invariant_violations_total",
        "Broken promises; must be 0",
    );
    let broken = status::imbalance(counts);
    family.sample(&[("invariant", "conservation")], broken);
    family.sample(&[("invariant", "possible_history")], outbox.contradictions);
    text.gauge("iyagi_journal_head_position", "Position of the last event")
        .sample(&[], outbox.pos);
}

fn of_platforms(text: &mut Exposition, all: &[PlatformStatus]) {
    let mut family = text.gauge(
        "iyagi_push_breaker_state",
        "1 for the state that this host's breaker of a push service is in: closed is well",
    );
    for service in all {
        for state in BreakerState::ALL {
            let labels = [
                ("platform", service.platform.as_str()),
                ("state", state.as_str()),
            ];
            family.sample(&labels, u8::from(service.breaker == state));
        }
    }
    let mut family = text.gauge(
        "iyagi_push_paused",
        "Whether no host sends by a push service until a person says so (1) or not (0), by reason",
    );
    for service in all {
        for reason in PauseReason::ALL {
            let labels = [
                ("platform", service.platform.as_str()),
                ("reason", reason.as_str()),
            ];
            let paused = service.paused.as_ref();
            let holds = paused.is_some_and(|pause| pause.reason == reason);
            family.sample(&labels, u8::from(holds));
        }
    }
    let mut family = text.gauge(
        "iyagi_push_recent_tokens",
        "Tokens that attempts of the last five minutes found alive or dead",
    );
    for service in all {
        let alive = service.tokens_tried.saturating_sub(service.tokens_dead);
        for (state, count) in [("alive", alive), ("dead", service.tokens_dead)] {
            let labels = [("platform", service.platform.as_str()), ("state", state)];
            family.sample(&labels, count);
        }
    }
}

fn of_catch_up(text: &mut Exposition, surface: &Surface) {
    let catch_up = surface.tree.projections.catch_up();
    text.gauge(
        "iyagi_catch_up_active",
        "Whether changes are read so late that only what is urgent is told of at once (1) or not (0)",
    )
    .sample(&[], u8::from(catch_up.begun_at.is_some()));
    text.counter(
        "iyagi_catch_up_begun_total",
        "Times that changes were read so late",
    )
    .sample(&[], catch_up.times);
    text.gauge(
        "iyagi_catch_up_pace_ratio",
        "Part of the full rate at which pushes are sent: it grows from 0 to 1 when changes are read in time again",
    )
    .sample(
        &[],
        catch_up.pace(surface.clock.now(), surface.config.push.catch_up),
    );
}

fn of_quotas(text: &mut Exposition, levels: &[(&str, QuotaLevel)]) {
    let gauges: [(&str, &str, QuotaGauge); 3] = [
        (
            "iyagi_push_quota_limit_calls_per_second",
            "This host's share of a configured quota of the push service",
            |level| level.limit,
        ),
        (
            "iyagi_push_quota_rate_calls_per_second",
            "Calls a second that the push service bears at present, as its throttling tells",
            |level| level.rate,
        ),
        (
            "iyagi_push_quota_tokens_calls",
            "Calls that could be made now; below 0 while callers wait",
            |level| level.tokens,
        ),
    ];
    for (name, help, value) in gauges {
        let mut family = text.gauge(name, help);
        for (quota, level) in levels {
            family.sample(&[("quota", quota)], value(level));
        }
    }
    let mut family = text.counter(
        "iyagi_push_throttled_total",
        "Answers of the push service that told of throttling",
    );
    for (quota, level) in levels {
        family.sample(&[("quota", quota)], level.throttled);
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

fn of_feedback(text: &mut Exposition, counts: Option<&FeedbackCounts>) {
    let mut family = text.counter(
        "iyagi_push_feedback_ignored_total",
        "Messages about delivery that led to nothing, by reason",
    );
    for (reason, count) in counts.into_iter().flat_map(FeedbackCounts::ignored) {
        family.sample(&[("reason", reason)], count);
    }
}

fn of_inbox(text: &mut Exposition, counts: InboxCounts, live: &Live) {
    let mut family = text.counter(
        "iyagi_inbox_notifications_total",
        "Notifications that were listed in inboxes, and of those the ones that were withdrawn, since the start",
    );
    family.sample(&[("outcome", "listed")], counts.listed);
    family.sample(&[("outcome", "withdrawn")], counts.withdrawn);
    text.counter(
        "iyagi_inbox_read_entries_total",
        "Entries that were marked as read, since the start",
    )
    .sample(&[], counts.read);
    let mut family = text.counter(
        "iyagi_inbox_dropped_entries_total",
        "Entries that were dropped because their person has too many, or because they were too old, since the start",
    );
    family.sample(&[("reason", "count")], counts.dropped_over_count);
    family.sample(&[("reason", "age")], counts.dropped_over_age);
    text.gauge(
        "iyagi_inbox_live_connections",
        "Apps that listen to an inbox",
    )
    .sample(&[], live.connections());
    text.counter(
        "iyagi_inbox_live_refused_total",
        "Apps that could not listen because every place was taken",
    )
    .sample(&[], live.refused());
    let mut family = text.counter(
        "iyagi_inbox_live_ended_total",
        "Apps that no longer listen, by why",
    );
    for end in LiveEnd::ALL {
        family.sample(&[("reason", end.as_str())], live.ended(end));
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

fn of_requests(text: &mut Exposition, requests: &Requests, limits: &Limits) {
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
    let mut family = text.counter(
        "iyagi_http_limited_total",
        "Requests that were refused because somebody asked too often",
    );
    for limit in Limit::ALL {
        family.sample(&[("limit", limit.as_str())], limits.reached(limit));
    }
}
