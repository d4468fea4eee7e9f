//! Who asks on the operations listener, and whether they may: before every route, so that none can forget it.
//!
//! With no operator configured, loopback is the wall, and whoever is behind it may do everything. With any, nobody gets
//! further than the state of health and the way in without a token, or without the session that a browser got for one. An
//! operator who may only look is known by the method: what changes something is neither `GET` nor `HEAD`.

use std::future::{Ready, ready};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};

use super::login;
use crate::http::State;
use crate::http::caller::bearer;
use crate::http::dashboard;
use crate::http::limits::Limit;
use crate::http::problem::{Kind, Problem};
use crate::http::request::check_text;
use crate::http::response;

pub use crate::auth::operators::Operator;
pub use crate::config::OperatorRole as Role;

/// What anybody may ask for: the state of health, for whoever restarts and balances hosts; and the way in.
pub const OPEN_PATHS: [&str; 3] = ["/livez", "/readyz", login::PATH];
/// Scripts and styles, which the way in has, too, and which are the same for everybody.
const OPEN_PREFIX: &str = dashboard::ASSETS;

/// Whoever asks while no token is asked for.
const LOCAL: &str = "local";
/// Names who is at the other end, such as the user at a terminal.
pub const ACTOR_HEADER: &str = "x-iyagi-actor";

/// Lets a request through, with the operator who sends it, or says how it is answered instead.
pub fn refuse(request: &ServiceRequest, state: &State) -> Option<HttpResponse> {
    if OPEN_PATHS.contains(&request.path()) || request.path().starts_with(OPEN_PREFIX) {
        return None;
    }
    let (method, headers) = (request.method(), request.headers());
    let operator = match find(headers, state) {
        Some(operator) => operator,
        None if navigates(method, headers) => return Some(login::redirect(request.uri())),
        None => return Some(unknown(request, state).error_response()),
    };
    let looks = matches!(*method, Method::GET | Method::HEAD);
    if operator.role == Role::ReadOnly && !looks && request.path() != login::OUT_PATH {
        let detail = format!("`{}` may look, and change nothing", operator.name);
        return Some(Problem::new(Kind::Forbidden, detail).error_response());
    }
    match named(operator, headers, state) {
        Ok(operator) => {
            request.extensions_mut().insert(operator);
            None
        }
        Err(problem) => Some(problem.error_response()),
    }
}

fn find(headers: &HeaderMap, state: &State) -> Option<Operator> {
    let operators = &state.surface.operators;
    if operators.is_empty() {
        return Some(Operator {
            name: LOCAL.to_owned(),
            role: Role::Admin,
        });
    }
    if let Some(token) = bearer(headers) {
        return operators.holder(token).cloned();
    }
    let session = login::session_of(headers)?;
    state.sessions.holder(session, state.surface.clock.now())
}

/// A refusal. Too many of them, and not even that is said: it is the log that they would fill.
fn unknown(request: &ServiceRequest, state: &State) -> Problem {
    if !request.headers().contains_key(header::AUTHORIZATION) {
        let detail = "send `Authorization: Bearer` with an operator's token; the command line takes it from --token-file";
        return Problem::new(Kind::Unauthenticated, detail);
    }
    let peer = state
        .limits
        .address_of(request.peer_addr(), request.headers());
    if let Err(problem) = state.limits.check(Limit::Operator, peer) {
        return problem;
    }
    tracing::warn!(?peer, "an operator's token is refused");
    Problem::new(Kind::Unauthenticated, "the token is no operator's")
}

/// Whether a person opens a page, whom a problem document would not help. Who brings a token is no browser.
fn navigates(method: &Method, headers: &HeaderMap) -> bool {
    let (_, named) = response::wanted(headers, "text/html");
    *method == Method::GET && named && !headers.contains_key(header::AUTHORIZATION)
}

/// The operator as the journal is to name them. Who is at the other end is taken at its word as long as that is all there is;
/// beside the holder of a token it is only a remark.
fn named(mut operator: Operator, headers: &HeaderMap, state: &State) -> Result<Operator, Problem> {
    let Some(said) = headers.get(ACTOR_HEADER) else {
        return Ok(operator);
    };
    let said = std::str::from_utf8(said.as_bytes()).map_err(|_| {
        let detail = format!("the header `{ACTOR_HEADER}` is not UTF-8");
        Problem::invalid(ACTOR_HEADER, detail)
    })?;
    check_text(ACTOR_HEADER, said)?;
    operator.name = if state.surface.operators.is_empty() {
        said.to_owned()
    } else {
        format!("{} ({said})", operator.name)
    };
    Ok(operator)
}

impl Operator {
    /// Whether they may change anything.
    pub fn may_act(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whoever [`refuse`] found to have sent the request.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let operator = request.extensions().get::<Self>().cloned();
        operator.ok_or_else(|| Problem::new(Kind::Unauthenticated, "sign in first"))
    }
}

impl FromRequest for Operator {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
