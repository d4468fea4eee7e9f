//! What a person was told, or would have been told had their phone rung: pages, marks, and what is new as it comes.

pub(crate) mod live;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::inbox::{ReadFault, Shown};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::InboxRead;
use iyagi_messages::ids::{PersonId, Pos, PushId};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::live::{Live, LiveEnd, listen};
use crate::auth::Caller;
use crate::http::State;
use crate::http::body;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::requests::InboxMark;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const FIELDS: [&str; 3] = ["person", "ids", "up_to"];
/// Largest body of a mark.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// Entries that one mark may name.
const IDS_MAX: usize = 100;
/// Entries on a page.
const LIMIT_MAX: u64 = 100;
const LIMIT_DEFAULT: u64 = 50;
/// Seconds after which a client may ask again while the graph does not answer.
const RETRY_SECONDS: u32 = 5;

/// A page of an inbox.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxPage)]
pub(crate) struct Listing<'a> {
    person: &'a PersonId,
    /// How many entries are unread, on whichever page.
    unread: u64,
    entries: Vec<Shown>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What a mark led to.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxMarked)]
pub(crate) struct Marked<'a> {
    person: &'a PersonId,
    unread: u64,
}

/// What a person has read.
#[derive(Debug, PartialEq)]
struct Mark {
    person: PersonId,
    /// Which entries; all if there are none.
    ids: Vec<PushId>,
    /// As far as they stand at or before this position.
    up_to: Option<Pos>,
}

/// A page of what a person was told, newest first.
#[utoipa::path(
    get,
    path = "/v1/inbox",
    operation_id = "listInbox",
    tag = "inbox",
    params(
        ("unread" = Option<bool>, Query, description = "Whether only what is unread is listed"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Entries on a page; 50 if absent"),
        ("person" = Option<PersonId>, Query, description = "The caller, who need not be named"),
    ),
    responses((status = 200, description = "A page", body = Listing<'_>)),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::NotFound])))
)]
pub async fn list(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["person", "unread", "cursor", "limit"])?;
    let person = caller.as_named("person", query.text("person"))?;
    let unread_only = query.flag("unread")?;
    let limit = query.number("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)? as usize;
    let before = query.position_cursor()?;
    let inbox = &state.surface.tree.inbox;
    let page = inbox.page(&person, before, unread_only, limit).await;
    let page = page.map_err(|fault| problem_of(&fault))?;
    let unread = unread(&state.surface, &person).await?;
    Ok(response::ok(&Listing {
        person: &person,
        unread,
        entries: page.entries,
        next: page
            .next
            .map(|pos| request::sealed_cursor(&pos.to_string())),
    }))
}

/// Marks entries as read.
#[utoipa::path(
    post,
    path = "/v1/inbox/read",
    operation_id = "markInbox",
    tag = "inbox",
    request_body = InboxMark,
    responses((status = 200, description = "How much is unread now", body = Marked<'_>)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::LimitReached, Kind::StorageFull])))
)]
pub async fn mark(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let mark = Mark::read(&body, &caller)?;
    let surface = &state.surface;
    record(surface, &mark).await?;
    let person = &mark.person;
    let unread = unread(surface, person).await?;
    Ok(response::ok(&Marked { person, unread }))
}

/// Writes a mark, unless everything that it names is read already.
async fn record(surface: &Surface, mark: &Mark) -> Result<(), Problem> {
    let Mark { person, ids, up_to } = mark;
    let store = &surface.tree.inbox.store;
    let fault = |fault| problem_of(&ReadFault::Inbox(fault));
    if let Some(up_to) = up_to
        && !surface.has_reached(*up_to).await
    {
        return Err(beyond(*up_to));
    }
    journalled::settle(&*surface.journal, async || {
        let standing = store.standing(person).await.map_err(fault)?;
        let up_to = up_to.unwrap_or(standing.as_of);
        let unread = if ids.is_empty() {
            // The oldest unread one is on the last page, so it is looked for before the first that is too new.
            let before = Some(Pos(up_to.0 + 1));
            let first = store.page(person, before, true, 1).await.map_err(fault)?;
            !first.is_empty()
        } else {
            let entries = store.entries(person, ids).await.map_err(fault)?;
            if let Some(unknown) = ids
                .iter()
                .find(|id| entries.iter().all(|entry| entry.id != **id))
            {
                let detail = format!("`{person}` has no entry `{unknown}` in their inbox");
                return Err(Problem::new(Kind::NotFound, detail));
            }
            let mut entries = entries.iter();
            entries.any(|entry| entry.read.is_none() && entry.pos <= up_to)
        };
        if !unread {
            return Ok(Decision::nothing(()));
        }
        let fact = InboxRead {
            person: person.clone(),
            entries: ids.clone(),
            up_to,
        };
        let entity = Entity::new("inbox", person);
        Ok(Decision::next("http", entity, standing.seq, fact, ()))
    })
    .await
}

fn beyond(up_to: Pos) -> Problem {
    let detail = format!("`up_to` is the position of an entry, and nothing has come to {up_to}");
    Problem::invalid("up_to", detail)
}

async fn unread(surface: &Surface, person: &PersonId) -> Result<u64, Problem> {
    let unread = surface.tree.inbox.unread(person).await;
    unread.map_err(|fault| problem_of(&ReadFault::Inbox(fault)))
}

fn problem_of(fault: &ReadFault) -> Problem {
    match fault {
        ReadFault::Inbox(fault) => Problem::internal("the inbox", fault),
        ReadFault::Graph(fault) => {
            tracing::warn!(%fault, "an inbox cannot be shown");
            let detail = "the graph does not tell the names at present";
            Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS)
        }
    }
}

impl Mark {
    fn read(body: &[u8], caller: &Caller) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let person = caller.as_field("person", &mut fields)?;
        let named: Option<Vec<String>> = fields.optional("ids")?;
        let up_to: Option<u64> = fields.optional("up_to")?;
        fields.end(&FIELDS)?;
        if named.is_none() && up_to.is_none() {
            let detail =
                "name the `ids` of the entries, or the position `up_to` which all are read";
            return Err(Problem::invalid("ids", detail));
        }
        let named = match named {
            Some(named) if named.is_empty() => {
                let detail = "`ids` is empty; leave it out to mark all `up_to` a position";
                return Err(Problem::invalid("ids", detail));
            }
            Some(named) if named.len() > IDS_MAX => {
                let detail = format!("`ids` has more than {IDS_MAX} entries");
                return Err(Problem::new(Kind::LimitReached, detail).with("field", "ids"));
            }
            other => other.unwrap_or_default(),
        };
        let ids = named
            .iter()
            .map(|id| request::id(id, "ids", "the id of an entry"));
        Ok(Self {
            person,
            ids: ids.collect::<Result<_, _>>()?,
            up_to: up_to.map(Pos),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_with_a_mistake_names_its_field() {
        let caller = Caller {
            person: "p".into(),
            is_admin: false,
        };
        let id = "8c5f6f1c-6f0f-5c7b-8f0e-3a1a2b3c4d5e";
        for (body, field) in [
            (r#"{"person": "q", "up_to": 3}"#.to_owned(), "person"),
            (r#"{"person": "p"}"#.to_owned(), "ids"),
            (r#"{"person": "p", "ids": []}"#.to_owned(), "ids"),
            (r#"{"person": "p", "ids": ["7"]}"#.to_owned(), "ids"),
            (r#"{"person": "p", "ids": "7"}"#.to_owned(), "ids"),
            (r#"{"person": "p", "up_to": -1}"#.to_owned(), "up_to"),
            (r#"{"person": "p", "up_to": "3"}"#.to_owned(), "up_to"),
            (r#"{"person": "p", "upto": 3}"#.to_owned(), "upto"),
        ] {
            let problem = Mark::read(body.as_bytes(), &caller).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{body}");
        }
        let body = format!(r#"{{"person": "p", "ids": ["{id}"], "up_to": 3}}"#);
        let mark = Mark::read(body.as_bytes(), &caller).expect("well-formed");
        assert_eq!((mark.ids.len(), mark.up_to), (1, Some(Pos(3))));
    }
}
