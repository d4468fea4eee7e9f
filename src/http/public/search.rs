//! Search over the graph's elements, of which a person sees what they may.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::ports::{GraphFault, SearchFault, SearchIndex};
use iyagi_actors::visibility::Look;
use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_search::document::Document;
use iyagi_search::highlight::{Fragment, Highlighter};
use iyagi_search::hits::{Hit, Page, Place, Request};
use iyagi_search::query::Query as Searched;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::http::State;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::http::visible;

const PARAMETERS: [&str; 7] = [
    "person",
    "q",
    "type",
    "owner",
    "limit",
    "cursor",
    "min_version",
];
/// Hits on a page.
const LIMIT_MAX: u64 = 100;
const LIMIT_DEFAULT: u64 = 20;
/// Hits that one request looks at: a page may have less than it could, because most of what is found is not to be seen.
const LOOKED_AT_MAX: usize = 1_000;
/// And at once: asking the index costs more than a few hits too many.
const LOOKED_AT_AT_ONCE: usize = 100;
/// Labels that one request may name.
const TYPES_MAX: usize = 16;
/// How long a request waits for the index to come to a version, and how often it looks.
const BEHIND_MAX: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// Seconds after which a client may ask again.
const RETRY_SECONDS: u32 = 1;

/// A page of hits.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
pub(in crate::http) struct Listing {
    pub(in crate::http) hits: Vec<Found>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    pub(in crate::http) next: Option<String>,
    /// As of which operation of the change log, as `commit:op`.
    pub(in crate::http) index_version: String,
    pub(in crate::http) took_ms: u64,
}

/// One element that was found.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchHit)]
pub(in crate::http) struct Found {
    pub(in crate::http) entity_id: ElementId,
    pub(in crate::http) entity_type: Vec<String>,
    document_type: ElementKind,
    /// Who made it; null if nobody did.
    #[schema(required)]
    pub(in crate::http) owner: Option<PersonId>,
    score: f32,
    pub(in crate::http) highlight: Vec<Highlight>,
}

/// Where a property has what was searched for.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SearchHighlight)]
pub(in crate::http) struct Highlight {
    pub(in crate::http) property: String,
    /// Part of the property's text.
    pub(in crate::http) text: String,
    pub(in crate::http) ranges: Vec<Span>,
}

/// Part of a text in UTF-16 code units, as Dart, Kotlin, Swift's `NSString` and JavaScript count.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TextRange)]
pub(in crate::http) struct Span {
    pub(in crate::http) start: usize,
    pub(in crate::http) end: usize,
}

/// People and what they made, best first, of which the caller sees what they may.
#[utoipa::path(
    get,
    path = "/v1/search",
    operation_id = "search",
    tag = "search",
    params(
        ("q" = Option<String>, Query, description = "What to look for; everything if absent", example = "밤 기차"),
        ("type" = Option<String>, Query, description = "Labels, at most 16, with commas between", example = "Story"),
        ("owner" = Option<PersonId>, Query, description = "Who made it"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Hits on a page; 20 if absent"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("min_version" = Option<String>, Query, pattern = "^[0-9]+:[0-9]+$", description = "What the client knows to be written, as `commit:operation`: the answer waits for it, up to two seconds", example = "17:3"),
        ("person" = Option<PersonId>, Query, description = "The caller, who need not be named"),
    ),
    responses((status = 200, description = "A page", body = Listing)),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::NotFound, Kind::Elsewhere])))
)]
pub async fn search(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &PARAMETERS)?;
    caller.as_named("person", query.text("person"))?;
    Ok(response::ok(&find(&state, &caller, &query).await?))
}

/// What a person finds.
pub(in crate::http) async fn find(
    state: &State,
    caller: &Caller,
    query: &Query,
) -> Result<Listing, Problem> {
    let began = Instant::now();
    let asked = asked(query)?;
    let index = state.surface.search.as_deref().ok_or_else(|| {
        Problem::new(
            Kind::Elsewhere,
            "this daemon keeps no search index: see `search.enabled`",
        )
    })?;
    if let Some(version) = min_version(query)? {
        wait_for(index, version).await?;
    }
    let mut look = visible::look(state, caller);
    let (page, next) = visible_page(index, &mut look, &asked).await?;
    let mut highlighter = Highlighter::default();
    let found = |hit| found(hit, &asked.query, &mut highlighter);
    Ok(Listing {
        index_version: page.as_of.to_string(),
        hits: page.hits.into_iter().map(found).collect(),
        next: next.map(|place| request::sealed_cursor(&place.to_string())),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn asked(query: &Query) -> Result<Request, Problem> {
    let text = query.text("q").unwrap_or_default();
    let searched = Searched::parse(text);
    let types: Vec<String> = query
        .text("type")
        .map(|types| types.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    if types.len() > TYPES_MAX {
        let detail = format!(
            "`type` names {} labels: give at most {TYPES_MAX}",
            types.len()
        );
        return Err(Problem::invalid("type", detail));
    }
    let owner = query.text("owner");
    if let Some(owner) = owner {
        request::check_text("owner", owner)?;
    }
    let after = query
        .cursor()?
        .map(|place| place.parse::<Place>())
        .transpose();
    Ok(Request {
        query: searched.map_err(|error| Problem::invalid("q", error.to_string()))?,
        types,
        owner: owner.map(PersonId::from),
        limit: query.number("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)? as usize,
        after: after.map_err(|error| Problem::invalid("cursor", error.to_string()))?,
    })
}

fn min_version(query: &Query) -> Result<Option<Cursor>, Problem> {
    let version = query.text("min_version").map(str::parse::<Cursor>);
    let version = version.transpose();
    version.map_err(|error| Problem::invalid("min_version", error.to_string()))
}

/// Waits until the index has what a client knows of.
async fn wait_for(index: &dyn SearchIndex, version: Cursor) -> Result<(), Problem> {
    let began = Instant::now();
    loop {
        let reached = index.cursor().await.map_err(|fault| problem_of(&fault))?;
        if reached >= version {
            return Ok(());
        }
        if began.elapsed() >= BEHIND_MAX {
            let detail =
                format!("the search index is as of {reached}, and has not come to {version} yet");
            let problem = Problem::new(Kind::Unavailable, detail);
            return Err(problem
                .with("field", "min_version")
                .retry_after(RETRY_SECONDS));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// As many hits as a page has of those that a person may see, and where to go on.
async fn visible_page(
    index: &dyn SearchIndex,
    look: &mut Look<'_>,
    asked: &Request,
) -> Result<(Page, Option<Place>), Problem> {
    let mut request = Request {
        limit: LOOKED_AT_AT_ONCE,
        ..asked.clone()
    };
    let mut seen = Vec::new();
    let mut looked_at = 0;
    loop {
        let page = index.search(request.clone()).await;
        let page = page.map_err(|fault| problem_of(&fault))?;
        let full = page.hits.len() == request.limit;
        let mut hits = page.hits.into_iter();
        for hit in hits.by_ref() {
            looked_at += 1;
            request.after = Some(hit.place);
            let visible = sees(look, &hit.standing.document).await;
            if visible.map_err(|fault| visible::unanswered(&fault))? {
                seen.push(hit);
            }
            if seen.len() == asked.limit {
                break;
            }
        }
        let goes_on = full || hits.len() > 0;
        if !goes_on || seen.len() == asked.limit || looked_at >= LOOKED_AT_MAX {
            let page = Page {
                hits: seen,
                as_of: page.as_of,
            };
            return Ok((page, request.after.filter(|_| goes_on)));
        }
    }
}

/// A vertex is asked of the graph as it is now, so that nothing is shown that was hidden a moment ago. An edge says nothing
/// of what it lies between, so nobody sees one here.
async fn sees(look: &mut Look<'_>, found: &Document) -> Result<bool, GraphFault> {
    match found.document_type {
        ElementKind::Vertex => look.sees_element(&found.entity_id).await,
        ElementKind::Edge => Ok(false),
    }
}

fn found(hit: Hit, query: &Searched, highlighter: &mut Highlighter) -> Found {
    let document = hit.standing.document;
    let mut highlight = Vec::new();
    for (property, text) in document.texts() {
        let fragment = highlighter.fragment(query, text);
        highlight.extend(fragment.map(|fragment| highlighted(property, fragment)));
    }
    Found {
        entity_id: document.entity_id,
        entity_type: document.entity_type,
        document_type: document.document_type,
        owner: document.owner.into_iter().next(),
        score: hit.place.score,
        highlight,
    }
}

fn highlighted(property: &str, Fragment { text, ranges }: Fragment) -> Highlight {
    let units = |end: usize| text[..end].encode_utf16().count();
    let ranges = ranges.into_iter().map(|range| Span {
        start: units(range.start),
        end: units(range.end),
    });
    Highlight {
        property: property.to_owned(),
        ranges: ranges.collect(),
        text,
    }
}

fn problem_of(fault: &SearchFault) -> Problem {
    match fault {
        SearchFault::Unavailable(_) => {
            tracing::warn!(%fault, "a search was not answered");
            Problem::new(
                Kind::Unavailable,
                "the search index does not answer at present",
            )
            .retry_after(RETRY_SECONDS)
        }
        fault => Problem::internal("the search index", fault),
    }
}
