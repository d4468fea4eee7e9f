//! The journal, read beside its writer.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::journal::JournalFault;
use iyagi_messages::event::Event;
use iyagi_messages::fact::KINDS;
use iyagi_messages::ids::{EventId, Pos};
use serde::Serialize;
use utoipa::ToSchema;

use crate::embedded::journal::{Filter, JournalReader, Trace};
use crate::http::State;
use crate::http::journalled;
use crate::http::openapi::parameters::EventKind;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/ops/journal/";
/// Events in a page that names no limit, and the most there can be.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 10_000;
/// What an id of an event looks like.
pub(in crate::http) const EXPECTED: &str = "an event id, which has 32 hexadecimal digits";

/// Some events in order.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = JournalPage)]
struct Page {
    events: Vec<Event>,
    /// Ask again with this as `after` for more; null at the end.
    #[schema(required)]
    next: Option<Pos>,
    /// Position of the last event of all.
    head: Pos,
}

/// Which events are wanted.
#[derive(Debug, PartialEq)]
struct Wanted {
    filter: Filter,
    limit: usize,
}

/// In which order events are wanted.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is used")]
enum Order {
    Oldest,
    Newest,
}

/// Events in the order of their positions, in pages.
#[utoipa::path(
    get,
    path = "/v1/ops/journal",
    operation_id = "listEvents",
    tag = "journal",
    params(
        ("after" = Option<i64>, Query, minimum = 0, description = "`next` of the page before, or any position"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "100 if absent"),
        ("kind" = Option<Vec<EventKind>>, Query, style = Form, explode = false, min_items = 1, description = "Kinds of events, with commas"),
        ("entity" = Option<String>, Query, description = "What the entities begin with", example = "push/"),
        ("corr" = Option<String>, Query, description = "The commit or upload that they all began with"),
        ("order" = inline(Option<Order>), Query, description = "Which comes first; `oldest` if absent. From `newest` on there is no next page"),
    ),
    responses((status = 200, description = "A page", body = Page)),
)]
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let wanted = Wanted::read(request.query_string())?;
    let page = read(&state.surface, move |journal| wanted.page(journal)).await?;
    Ok(response::ok(&page))
}

/// One event.
#[utoipa::path(
    get,
    path = "/v1/ops/journal/{id}",
    operation_id = "showEvent",
    tag = "journal",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The event", body = Event)),
    extensions(("x-problems" = json!([Kind::NotFound])))
)]
pub async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let id: EventId = request::id(request::rest(&request, PREFIX)?, "id", EXPECTED)?;
    let event = state.surface.journal.event(id).await;
    let event = event.map_err(|fault| journalled::problem_of(&fault))?;
    Ok(response::ok(&event.ok_or_else(|| unknown(id))?))
}

/// Why an event is there, and what it led to.
#[utoipa::path(
    get,
    path = "/v1/ops/journal/{id}/trace",
    operation_id = "traceEvent",
    tag = "journal",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The causes, and the consequences as a tree", body = Trace)),
    extensions(("x-problems" = json!([Kind::NotFound])))
)]
pub async fn trace(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let raw = request::rest(&request, PREFIX)?;
    let raw = raw.strip_suffix("/trace").unwrap_or(raw);
    let id: EventId = request::id(raw, "id", EXPECTED)?;
    let trace = read(&state.surface, move |journal| journal.trace(id)).await?;
    Ok(response::ok(&trace.ok_or_else(|| unknown(id))?))
}

impl Wanted {
    fn read(query: &str) -> Result<Self, Problem> {
        let known = ["after", "limit", "kind", "entity", "corr", "order"];
        let query = Query::parse(query, &known)?;
        let kinds = kinds(&query)?;
        let newest_first = match query.text("order") {
            None | Some("oldest") => false,
            Some("newest") => true,
            Some(other) => {
                let detail = format!("`order` is `oldest` or `newest`, not `{other}`");
                return Err(Problem::invalid("order", detail));
            }
        };
        Ok(Self {
            filter: Filter {
                entity_prefix: query.text("entity").map(str::to_owned),
                kinds,
                after: Pos(query.number("after", 0..=i64::MAX as u64, 0)?),
                newest_first,
                corr: query.text("corr").map(str::to_owned),
                ..Filter::default()
            },
            limit: query.number("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)? as usize,
        })
    }

    fn page(self, journal: &JournalReader) -> Result<Page, JournalFault> {
        let newest_first = self.filter.newest_first;
        // One more than asked for tells whether there are more.
        let mut events = journal.find(&self.filter, self.limit + 1)?;
        let more = events.len() > self.limit;
        events.truncate(self.limit);
        let last = events.last().map(|event| event.pos);
        Ok(Page {
            next: last.filter(|_| more && !newest_first),
            events,
            head: journal.head()?,
        })
    }
}

/// The kinds that a query names, all of which there are.
pub(in crate::http) fn kinds(query: &Query) -> Result<Vec<String>, Problem> {
    let kinds: Vec<String> = query
        .text("kind")
        .map(|kinds| kinds.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    for kind in &kinds {
        if !KINDS.iter().any(|(known, _)| known == kind) {
            let hint = request::did_you_mean(kind, KINDS.iter().map(|(known, _)| *known));
            let detail = format!("there is no kind `{kind}`{hint}");
            return Err(Problem::invalid("kind", detail));
        }
    }
    Ok(kinds)
}

/// Reads on a connection of its own, off the listener's thread.
pub(in crate::http) async fn read<T: Send + 'static>(
    surface: &Surface,
    query: impl FnOnce(&JournalReader) -> Result<T, JournalFault> + Send + 'static,
) -> Result<T, Problem> {
    let path = surface.journal_path.clone();
    let read = tokio::task::spawn_blocking(move || {
        let journal = JournalReader::open(&path);
        let journal = journal.map_err(|error| Problem::internal("reading the journal", &error))?;
        query(&journal).map_err(|fault| journalled::problem_of(&fault))
    });
    let read = read.await;
    read.map_err(|error| Problem::internal("reading the journal", &error))?
}

/// What is answered where there is no such event.
pub(in crate::http) fn unknown(id: EventId) -> Problem {
    Problem::new(
        Kind::NotFound,
        format!("there is no event {id} in the journal"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_with_a_mistake_names_its_parameter() {
        for (query, field) in [
            ("kind=push.acepted", "kind"),
            ("kind=push.accepted,", "kind"),
            ("after=-1", "after"),
            ("limit=10001", "limit"),
            ("order=down", "order"),
            ("entitty=push/", "entitty"),
        ] {
            let problem = Wanted::read(query).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{query}");
        }
        let wanted = Wanted::read("kind=push.accepted,push.failed&after=7").expect("well-formed");
        assert_eq!(wanted.filter.kinds.len(), 2);
        assert_eq!(wanted.filter.after, Pos(7));
    }
}
