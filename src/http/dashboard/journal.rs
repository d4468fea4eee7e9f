//! `GET /journal` and what is below it: events, one event with its causes and consequences, and why somebody was not told.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_actors::subscription_matcher::correlation;
use iyagi_messages::event::Event;
use iyagi_messages::fact::KINDS;
use iyagi_messages::ids::{EventId, Pos, Timestamp};

use super::frame::{Frame, Refusal, page};
use super::lanes::Lanes;
use super::text::{self, Moment};
use crate::embedded::journal::{Filter, JournalReader, TakenOut, Trace, TraceNode};
use crate::http::State;
use crate::http::operations::journal::{self as api, EXPECTED};
use crate::http::problem::Problem;
use crate::http::request::{self, Query};
use crate::tell::{sentence, since};

const PARAMETERS: [&str; 6] = ["entity", "kind", "actor", "corr", "commit", "before"];
const PREFIX: &str = "/journal/";
/// Events on a page.
const PAGE: usize = 50;
/// Events in a file.
const EXPORT_MAX: usize = 10_000;
/// Consequences that are listed; the picture has fewer.
const STEPS_MAX: usize = 400;

#[derive(Template)]
#[template(path = "journal.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    kinds: Vec<&'static str>,
    rows: Vec<Row>,
    head: Pos,
    older: Option<String>,
    newest: Option<String>,
    export: String,
}

/// The filter as it was asked for.
struct Asked {
    entity: String,
    kind: String,
    actor: String,
    corr: String,
    commit: String,
}

struct Row {
    href: String,
    pos: Pos,
    at: Moment,
    kind: String,
    entity: String,
    sentence: String,
    actor: String,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct EventPage {
    frame: Frame,
    row: Row,
    id: String,
    exact: String,
    cause: Option<String>,
    corr: String,
    same_origin: String,
    same_entity: String,
    body: String,
    lanes: Lanes,
    steps: Vec<Step>,
    /// What the first of them followed from, if that is no longer in the journal.
    taken_out: Option<TakenOut>,
    /// Consequences that are not listed.
    left_out: bool,
}

/// One event of a causal trace.
pub(super) struct Step {
    pub(super) event: Event,
    pub(super) href: String,
    pub(super) sentence: String,
    pub(super) kind: String,
    pub(super) actor: String,
    /// Time since the first one.
    pub(super) after: String,
    /// Whether it is the one that the page is about.
    pub(super) chosen: bool,
}

/// `GET /journal?entity&kind&actor&corr&commit&before`
pub(super) async fn list(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let (asked, filter) = Asked::read(&request)?;
    let begins_at_head = filter.before.is_none();
    let (events, head) = api::read(&state.surface, move |journal| {
        Ok((journal.find(&filter, PAGE + 1)?, journal.head()?))
    })
    .await?;
    let now = state.surface.clock.now();
    let last = events.get(PAGE - 1).filter(|_| events.len() > PAGE);
    page(&Page {
        frame: Frame::of(&state, &request, "Journal", "/journal"),
        kinds: KINDS.iter().map(|(kind, _)| *kind).collect(),
        rows: events
            .iter()
            .take(PAGE)
            .map(|event| Row::of(event, now))
            .collect(),
        head,
        older: last.map(|event| asked.link("/journal", Some(event.pos))),
        newest: (!begins_at_head).then(|| asked.link("/journal", None)),
        export: asked.link("/journal/export.jsonl", None),
        asked,
    })
}

/// `GET /journal/export.jsonl`: the newest [`EXPORT_MAX`] events that a filter lets pass, one a line, in order.
pub(super) async fn export(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (_, filter) = Asked::read(&request)?;
    let lines = api::read(&state.surface, move |journal: &JournalReader| {
        let mut events = journal.find(&filter, EXPORT_MAX)?;
        events.reverse();
        let lines = events.iter().map(|event| {
            let line = serde_json::to_string(event);
            line.expect("an event has only text keys") + "\n"
        });
        Ok(lines.collect::<String>())
    });
    let file = "attachment; filename=\"iyagi-journal.jsonl\"";
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((header::CONTENT_DISPOSITION, file))
        .body(lines.await?))
}

/// `GET /journal/{event id}`
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Query::of(&request, &[])?;
    let id: EventId = request::id(request::rest(&request, PREFIX)?, "id", EXPECTED)?;
    let trace = api::read(&state.surface, move |journal| journal.trace(id)).await?;
    let trace = trace.ok_or_else(|| api::unknown(id))?;
    let event = trace.event.event.clone();
    let taken_out = trace.taken_out.clone();
    // Without causes that are there, what was taken out is its own.
    let cause = event.cause.filter(|_| !trace.causes.is_empty());
    let (steps, left_out) = steps(trace);
    let body = serde_json::to_value(&event).expect("an event has only text keys");
    page(&EventPage {
        frame: Frame::of(&state, &request, event.fact.kind(), "/journal"),
        row: Row::of(&event, state.surface.clock.now()),
        id: id.to_string(),
        exact: text::exact(event.at),
        cause: cause.map(|cause| format!("{PREFIX}{cause}")),
        same_entity: format!("/journal?{}", encoded(&[("entity", &event.entity.0)])),
        same_origin: format!("/journal?{}", encoded(&[("corr", &event.corr)])),
        corr: event.corr,
        body: format!("{body:#}"),
        lanes: Lanes::of(&steps),
        steps,
        taken_out,
        left_out,
    })
}

impl Asked {
    fn read(request: &HttpRequest) -> Result<(Self, Filter), Problem> {
        let query = Query::of(request, &PARAMETERS)?;
        let text = |name| query.text(name).unwrap_or_default().trim().to_owned();
        let asked = Self {
            entity: text("entity"),
            kind: text("kind"),
            actor: text("actor"),
            corr: text("corr"),
            commit: text("commit"),
        };
        // A browser sends the fields that are left empty, too.
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let commit = match asked.commit.as_str() {
            "" => None,
            _ => Some(correlation(query.number("commit", 0..=u64::MAX, 0)?)),
        };
        let before = match query.text("before") {
            None | Some("") => None,
            Some(_) => Some(Pos(query.number("before", 0..=i64::MAX as u64, 0)?)),
        };
        let filter = Filter {
            entity_prefix: some(&asked.entity),
            kinds: match asked.kind.as_str() {
                "" => Vec::new(),
                _ => api::kinds(&query)?,
            },
            actor_prefix: some(&asked.actor),
            corr: some(&asked.corr).or(commit),
            before,
            newest_first: true,
            ..Filter::default()
        };
        Ok((asked, filter))
    }

    /// An address with the same filter.
    fn link(&self, path: &str, before: Option<Pos>) -> String {
        let before = before.map_or_else(String::new, |pos| pos.to_string());
        let query = encoded(&[
            ("entity", &self.entity),
            ("kind", &self.kind),
            ("actor", &self.actor),
            ("corr", &self.corr),
            ("commit", &self.commit),
            ("before", &before),
        ]);
        format!("{path}?{query}")
    }
}

/// A query string without what is empty.
fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

impl Row {
    fn of(event: &Event, now: Timestamp) -> Self {
        Self {
            href: format!("{PREFIX}{}", event.id),
            pos: event.pos,
            at: text::ago(event.at, now),
            kind: event.fact.kind().to_owned(),
            entity: event.entity.to_string(),
            sentence: sentence(event),
            actor: event.actor.to_string(),
        }
    }
}

/// The events of a trace in the order in which they were written, and whether some are left out.
fn steps(trace: Trace) -> (Vec<Step>, bool) {
    let chosen = trace.event.event.id;
    let mut events = trace.causes;
    gather(trace.event, &mut events);
    events.sort_by_key(|event| event.pos);
    let left_out = trace.truncated || events.len() > STEPS_MAX;
    events.truncate(STEPS_MAX);
    let began = events.first().map_or(Timestamp(0), |event| event.at);
    let steps = events.into_iter().map(|event| Step {
        href: format!("{PREFIX}{}", event.id),
        sentence: sentence(&event),
        kind: event.fact.kind().to_owned(),
        actor: lane(event.actor.as_str()).to_owned(),
        after: since(began, event.at),
        chosen: event.id == chosen,
        event,
    });
    (steps.collect(), left_out)
}

fn gather(node: TraceNode, events: &mut Vec<Event>) {
    events.push(node.event);
    for consequence in node.consequences {
        gather(consequence, events);
    }
}

/// An actor's name without the numbers of its place in a pool and of its incarnation: `push-sender-3#12` is `push-sender`.
fn lane(incarnation: &str) -> &str {
    let name = incarnation.split('#').next().unwrap_or(incarnation);
    let in_pool = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    in_pool.strip_suffix('-').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_pool_share_a_lane() {
        assert_eq!(lane("push-sender-3#12"), "push-sender");
        assert_eq!(lane("subscription-matcher#1"), "subscription-matcher");
        assert_eq!(lane("operations"), "operations");
    }
}
