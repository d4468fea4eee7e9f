//! Links and cookies, as clients get them, and why somebody gets none.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::{files, uploads};
use crate::auth::Caller;
use crate::http::State;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::links::{Cookie, Cookies, Link, LinkFault};

/// Seconds after which a client may ask again for what could not be signed.
const RETRY_SECONDS: u32 = 5;

/// A link to a file.
#[derive(Serialize, ToSchema)]
#[schema(as = FileLink)]
pub(crate) struct Told {
    /// Where it is read, with no token; one that begins with a slash is of this listener.
    url: String,
    expires_at: Timestamp,
}

impl From<Link> for Told {
    fn from(Link { url, expires_at }: Link) -> Self {
        Self { url, expires_at }
    }
}

/// Cookies, for clients that keep them themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryCookies)]
pub(crate) struct CookieList<'c> {
    cookies: Vec<NamedCookie<'c>>,
    /// The domain that they are for; the API's own if null.
    domain: Option<&'c str>,
    expires_at: Timestamp,
}

/// A cookie.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryCookie)]
pub(crate) struct NamedCookie<'c> {
    name: &'static str,
    value: &'c str,
    path: &'c str,
}

/// Lets the caller's browser read their own originals from CloudFront.
///
/// Not what is derived from them: people who uploaded the same bytes share that, so that it lies under nobody's prefix.
#[utoipa::path(
    post,
    path = "/v1/delivery/cookies",
    operation_id = "requestCookies",
    tag = "links",
    responses((status = 200, description = "They are set, and listed", body = CookieList<'_>, headers(("Set-Cookie" = String)))),
    extensions(("x-problems" = json!([Kind::Forbidden, Kind::Elsewhere])))
)]
pub async fn cookies(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    uploads::check_prefix(&caller.person)?;
    let now = state.surface.clock.now();
    let cookies = state.surface.links.cookies(&caller.person, now);
    let cookies = cookies.map_err(|fault| problem_of(&fault))?;
    let Cookies {
        cookies,
        domain,
        expires_at,
    } = &cookies;
    let named = cookies.iter().map(|cookie| NamedCookie {
        name: cookie.name,
        value: &cookie.value,
        path: &cookie.path,
    });
    let body = CookieList {
        cookies: named.collect(),
        domain: domain.as_deref(),
        expires_at: *expires_at,
    };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    for cookie in cookies {
        answer.append_header((header::SET_COOKIE, set(cookie, domain.as_deref())));
    }
    Ok(answer.json(body))
}

/// Leads to a file by a link, or tells it to clients that are kept from seeing where they are led.
pub(super) async fn lead(
    state: &State,
    query: &Query,
    key: &ObjectKey,
    version: Option<String>,
    vary: Option<&'static str>,
) -> Result<HttpResponse, Problem> {
    let told = query.text("redirect").is_some() && !query.flag("redirect")?;
    let current = version.is_some() && query.text("v") == version.as_deref();
    let link = link(state, key).await?;
    let mut response = HttpResponse::build(if told {
        StatusCode::OK
    } else {
        StatusCode::TEMPORARY_REDIRECT
    });
    if let Some(header) = vary {
        response.insert_header((header::VARY, header));
    }
    if current {
        // Half of what a link holds at least: whoever kept it has the other half to follow it.
        let seconds = state.surface.config.delivery.link_seconds / 2;
        let kept = format!("private, max-age={seconds}");
        response.insert_header((header::CACHE_CONTROL, kept));
    } else {
        response.insert_header((header::CACHE_CONTROL, files::ASK_AGAIN));
    }
    if told {
        return Ok(response.json(Told::from(link)));
    }
    Ok(response
        .insert_header((header::LOCATION, link.url))
        .finish())
}

/// Makes a link to read an object that the caller may see, as of now.
async fn link(state: &State, key: &ObjectKey) -> Result<Link, Problem> {
    let now = state.surface.clock.now();
    let link = state.surface.links.to_read(key, now).await;
    link.map_err(|fault| problem_of(&fault))
}

/// What it is to a client that there is no link.
pub(super) fn problem_of(fault: &LinkFault) -> Problem {
    match fault {
        LinkFault::NotHere(why) => Problem::new(Kind::Elsewhere, *why),
        LinkFault::Unsigned(reason) => {
            tracing::error!(reason, "a link cannot be signed");
            let detail = "links cannot be signed at present; the log says why";
            Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS)
        }
    }
}

/// Until the browser is closed: CloudFront itself knows when it ends.
fn set(cookie: &Cookie, domain: Option<&str>) -> String {
    let Cookie { name, value, path } = cookie;
    let domain = domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
    format!("{name}={value}{domain}; Path={path}; Secure; HttpOnly")
}
