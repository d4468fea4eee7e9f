//! Whose eyes the search page looks with: an access token in a cookie that no script can read.
//!
//! On one machine the daemon signs the tokens itself, so it offers the people that the graph knows. Where a user pool does,
//! a token of its own is pasted. Either is believed by the same rules as on the public listener.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::ports::{GraphFault, GraphQueries};
use iyagi_messages::ids::ElementId;

use super::frame::Refusal;
use crate::auth::Caller;
use crate::http::State;
use crate::http::body;
use crate::http::cookie;
use crate::http::operations::access::Operator;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::visible;

const COOKIE: &str = "iyagi_searcher";
/// The only path that the cookie is sent to.
const PATH: &str = "/search";
/// How long somebody stays signed in.
const LIFETIME: Duration = Duration::from_hours(1);
/// Longest form that is read, in bytes: a user pool's token has about one thousand.
const FORM_BYTES_MAX: u64 = 16 * 1024;
/// People who are offered, and vertices that are looked at for them.
const PEOPLE_MAX: usize = 50;
const VERTICES_MAX: usize = 2_000;
const VERTICES_AT_ONCE: u32 = 500;

/// Somebody who can be signed in as.
pub(super) struct Person {
    pub(super) id: ElementId,
    pub(super) name: Option<String>,
}

/// Whoever is signed in, if the token still holds.
pub(super) async fn caller(state: &State, request: &HttpRequest) -> Option<Caller> {
    let token = cookie::find(request.headers(), COOKIE)?;
    state.surface.sign_in.caller(token).await.ok()
}

/// `POST /search/sign-in`, with the form's `person` or `token`
pub(super) async fn sign_in(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let form = body::read(&request, payload, FORM_BYTES_MAX).await?;
    let form = String::from_utf8_lossy(&form);
    let form = Query::parse(&form, &["person", "token"])?;
    let sign_in = &state.surface.sign_in;
    let token = match sign_in.issuer() {
        Some(issuer) => {
            let person = form.required("person")?;
            check_person(&state, person).await?;
            let operator = Operator::of(&request)?.name;
            tracing::info!(person, operator, "an operator searches as this person");
            let token = issuer.token(person, &[], state.surface.clock.now(), LIFETIME);
            token.map_err(|error| Problem::internal("the token", &error))?
        }
        None => form.text("token").unwrap_or_default().trim().to_owned(),
    };
    if let Err(refused) = sign_in.caller(&token).await {
        let detail = format!("that is no access token of this user pool: {refused}");
        return Err(Problem::new(Kind::Unauthenticated, detail).into());
    }
    Ok(with_cookie(&request, &token, LIFETIME))
}

/// Refuses whom the graph does not know: they would find what everybody finds, and nobody would see why.
async fn check_person(state: &State, person: &str) -> Result<(), Problem> {
    let Some(machine) = &state.surface.one_machine else {
        return Ok(());
    };
    let label = &state.surface.config.graph.person_label;
    let labels = machine.graph.labels_of(&person.into()).await;
    let labels = labels.map_err(|fault| visible::unanswered(&fault))?;
    if labels.contains(label) {
        return Ok(());
    }
    let detail = format!("the graph has nobody of the id `{person}` with the label `{label}`");
    Err(Problem::new(Kind::NotFound, detail).with("field", "person"))
}

/// `POST /search/sign-out`
pub(super) fn sign_out(request: HttpRequest) -> Ready<HttpResponse> {
    ready(with_cookie(&request, "", Duration::ZERO))
}

/// Back to the page, with another cookie. A token that was believed has no character that ends a cookie.
fn with_cookie(request: &HttpRequest, token: &str, lifetime: Duration) -> HttpResponse {
    let cookie = cookie::set((COOKIE, token), PATH, lifetime.as_secs(), request.headers());
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, PATH))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::SET_COOKIE, cookie))
        .finish()
}

/// Some of the people that the graph knows, where it is on this machine.
pub(super) async fn people(state: &State) -> Result<Vec<Person>, Problem> {
    let Some(machine) = &state.surface.one_machine else {
        return Ok(Vec::new());
    };
    let model = &state.surface.config.graph;
    let found = found(&*machine.graph, &model.person_label, &model.name_property).await;
    found.map_err(|fault| visible::unanswered(&fault))
}

async fn found(
    graph: &dyn GraphQueries,
    label: &str,
    name: &str,
) -> Result<Vec<Person>, GraphFault> {
    let mut people = Vec::new();
    let mut after: Option<ElementId> = None;
    let mut looked_at = 0;
    while looked_at < VERTICES_MAX {
        let vertices = graph.vertices(after.as_ref(), VERTICES_AT_ONCE).await?;
        let Some((last, _)) = vertices.last() else {
            break;
        };
        (after, looked_at) = (Some(last.clone()), looked_at + vertices.len());
        for (id, labels) in vertices {
            if labels.iter().any(|known| known == label) {
                let names = graph.values_of(&id, name).await?;
                let name = names.into_iter().next();
                people.push(Person { id, name });
            }
            if people.len() == PEOPLE_MAX {
                return Ok(people);
            }
        }
    }
    Ok(people)
}
