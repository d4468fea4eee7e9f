//! The way in for a browser: it shows an operator's token once, and keeps a cookie instead.

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{StatusCode, Uri};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::sessions::LIFETIME_SECONDS;
use crate::http::State;
use crate::http::body;
use crate::http::cookie;
use crate::http::dashboard::sign_in_page;
use crate::http::limits::{self, Limit};
use crate::http::openapi::orders::SignInForm;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;

/// Where it is.
pub const PATH: &str = "/login";
/// The way out.
pub const OUT_PATH: &str = "/logout";

/// Holds the id of a session.
pub const COOKIE: &str = "iyagi_session";
/// Where a person is taken who asked for no other page.
const HOME: &str = "/";
/// Largest body of a sign-in.
const BODY_BYTES_MAX: u64 = 8 * 1024;

/// The page to sign in on.
///
/// While no operator is configured it leads to `next` at once.
#[utoipa::path(
    get,
    path = PATH,
    operation_id = "showSignIn",
    tag = "sessions",
    security(()),
    params(("next" = Option<String>, Query, pattern = "^/([!-.0-\\[\\]-~][!-\\[\\]-~]*)?$", description = "Where the browser is led afterwards, a path of this listener; `/` if absent")),
    responses(
        (status = 200, description = "A form", body = String, content_type = "text/html"),
        (status = 303, description = "Nobody has to sign in", headers(("Location" = String))),
    ),
    extensions(("x-problems" = json!([Kind::UnknownParameter, Kind::InvalidField])))
)]
pub async fn page(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["next"])?;
    let next = own_page(query.text("next"))?;
    if state.surface.operators.is_empty() {
        // Whoever comes here is in already.
        return Ok(see_other(next).finish());
    }
    Ok(sign_in_page(&request, StatusCode::OK, PATH, next, ""))
}

/// Begins a session.
///
/// An address may try ten tokens at once, and one more every six seconds.
#[utoipa::path(
    post,
    path = PATH,
    operation_id = "signIn",
    tag = "sessions",
    security(()),
    request_body(content = SignInForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "The session has begun", headers(("Location" = String), ("Set-Cookie" = String, description = "The session, for twelve hours"))),
        (status = 401, description = "The form once more: the token is no operator's", body = String, content_type = "text/html"),
        (status = 429, description = "The form once more: that is too often", body = String, content_type = "text/html", headers(("Retry-After" = String, description = "Seconds after which there may be one more"))),
    ),
    extensions(("x-problems" = json!([Kind::UnknownParameter, Kind::InvalidField])))
)]
pub async fn sign_in(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let form = std::str::from_utf8(&body)
        .map_err(|_| Problem::invalid("token", "the form is not UTF-8"))?;
    let form = Query::parse(form, &["token", "next"])?;
    let next = own_page(form.text("next"))?;
    // Attempts are counted, not failures: one that is not compared tells nothing.
    let peer = state
        .limits
        .address_of(request.peer_addr(), request.headers());
    if let Err(wait) = state.limits.take(Limit::Operator, peer) {
        let said = "Too many attempts. Wait a little.";
        let mut response = sign_in_page(&request, StatusCode::TOO_MANY_REQUESTS, PATH, next, said);
        let seconds = HeaderValue::from(limits::seconds(wait));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        return Ok(response);
    }
    let token = form.text("token").unwrap_or_default().trim_ascii();
    let Some(operator) = state.surface.operators.holder(token) else {
        tracing::warn!(?peer, "an operator's token is refused");
        let said = "That token is not known.";
        let status = StatusCode::UNAUTHORIZED;
        return Ok(sign_in_page(&request, status, PATH, next, said));
    };
    let begun = state
        .sessions
        .begin(operator.clone(), state.surface.clock.now());
    let session =
        begun.ok_or_else(|| Problem::internal("the sign-in", &"the system has no randomness"))?;
    tracing::info!(name = operator.name, role = ?operator.role, ?peer, "an operator signs in");
    let cookie = cookie::set(
        (COOKIE, &session),
        HOME,
        LIFETIME_SECONDS,
        request.headers(),
    );
    Ok(see_other(next)
        .insert_header((header::SET_COOKIE, cookie))
        .finish())
}

/// Ends the session. Whoever has one may, whatever their role.
#[utoipa::path(
    post,
    path = OUT_PATH,
    operation_id = "signOut",
    tag = "sessions",
    security(("session" = [])),
    responses((status = 303, description = "It has ended", headers(("Location" = String), ("Set-Cookie" = String, description = "No session")))),
    extensions(("x-problems" = json!([Kind::UnknownParameter, Kind::InvalidField, Kind::Unauthenticated])))
)]
pub async fn sign_out(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    if let Some(session) = session_of(request.headers()) {
        state.sessions.end(session);
    }
    let gone = cookie::set((COOKIE, ""), HOME, 0, request.headers());
    Ok(see_other(PATH)
        .insert_header((header::SET_COOKIE, gone))
        .finish())
}

/// Takes a person here who asked for another page, and there again afterwards.
pub(super) fn redirect(from: &Uri) -> HttpResponse {
    let page = from.path_and_query().map_or(HOME, |page| page.as_str());
    let next = utf8_percent_encode(page, NON_ALPHANUMERIC);
    see_other(&format!("{PATH}?next={next}")).finish()
}

/// What the cookie holds.
pub(super) fn session_of(headers: &HeaderMap) -> Option<&str> {
    cookie::find(headers, COOKIE)
}

/// A page of this listener; another one would take whoever has just signed in elsewhere.
fn own_page(named: Option<&str>) -> Result<&str, Problem> {
    let page = named.unwrap_or(HOME);
    let own = page.starts_with('/')
        && !page.starts_with("//")
        && page
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    own.then_some(page)
        .ok_or_else(|| Problem::invalid("next", "`next` is a path of this listener, such as `/`"))
}

fn see_other(page: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response
        .insert_header((header::LOCATION, page))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_elsewhere_by_signing_in() {
        for own in ["/", "/dead-letters?group=push&page=2", "/a%20b#c"] {
            assert_eq!(own_page(Some(own)), Ok(own));
        }
        assert_eq!(own_page(None), Ok(HOME));
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\r\nSet-Cookie: a=b",
            "/한",
        ] {
            assert_eq!(
                own_page(Some(foreign)).unwrap_err().kind(),
                Kind::InvalidField,
                "{foreign:?}"
            );
        }
    }
}
