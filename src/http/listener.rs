//! What holds for every request: where it may come from, its log line and count, and paths that nobody serves.
//!
//! Where loopback is a wall, a browser stands behind it: a web page of anyone must neither reach the listeners under a
//! name of its own (DNS rebinding) nor have the browser send writes to them.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};

use super::State;
use super::caller;
use super::limits::Limit;
use super::openapi;
use super::operations::access;
use super::problem::{Kind, Problem};
use crate::embedded::links;
use crate::surface::Surface;

/// One of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The public API.
    Public,
    /// Metrics, health and operations.
    Operations,
}

impl Side {
    /// Its name in configuration, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Operations => "operations",
        }
    }

    /// Whether other machines may reach it: if whoever asks must say who they are.
    pub(super) fn lets_others_in(self, surface: &Surface) -> bool {
        match self {
            Self::Public => surface.config.auth.lets_others_in(),
            Self::Operations => !surface.operators.is_empty(),
        }
    }

    /// What is missing if it does not let others in.
    pub(super) fn without(self) -> &'static str {
        match self {
            Self::Public => "no user pool says who they are",
            Self::Operations => "no operator has a token: name some with [[operations.operators]]",
        }
    }

    /// Whether it serves what is under this path.
    fn has(self, path: &str) -> bool {
        let of_operations = [
            "/metrics",
            "/livez",
            "/login",
            "/logout",
            "/readyz",
            "/v1/ops",
            "/v1/graph",
            "/propertygraph",
            "/pg/",
            "/gremlin",
        ];
        let of_public = [
            "/v1/media",
            "/v1/files",
            "/v1/subscriptions",
            "/v1/preferences",
            "/v1/inbox",
            "/v1/devices",
            "/v1/search",
            "/v1/uploads",
            "/v1/delivery",
            links::PATH,
            caller::KEYS_PATH,
            openapi::PATH,
            openapi::viewer::PAGE,
        ];
        let begins = |prefix: &&str| path.starts_with(*prefix);
        match self {
            Self::Public => of_public.iter().any(begins),
            Self::Operations => of_operations.iter().any(begins),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many requests were answered, by listener and class of status.
#[derive(Debug, Default)]
pub struct Requests([[AtomicU64; 5]; 2]);

impl Requests {
    fn count(&self, side: Side, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.0[side as usize][class].fetch_add(1, Relaxed);
    }

    /// Requests that were answered with `1xx` to `5xx`.
    pub fn answered(&self, side: Side) -> [u64; 5] {
        self.0[side as usize]
            .each_ref()
            .map(|count| count.load(Relaxed))
    }
}

/// Passes a request on if it comes from here, and writes and counts how it was answered.
pub async fn attend<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let state = request.app_data::<web::Data<State>>().cloned();
    let side = request.app_data::<Side>().copied().unwrap_or(Side::Public);
    let refused = match &state {
        Some(state) => refuse(&request, state, side).await,
        None => None,
    };
    let mut response = match refused {
        Some(refusal) => request.into_response(refusal).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    protect(response.headers_mut(), side);
    let status = response.status();
    if let Some(state) = state {
        state.requests.count(side, status);
    }
    let ms = began.elapsed().as_millis() as u64;
    tracing::debug!(listener = %side, %method, path, status = status.as_u16(), ms, "request");
    Ok(response)
}

/// What a browser must know of every answer: that it is what it says to be, and nothing that runs, that others may frame or
/// are told of. A page says for itself what it needs.
fn protect(headers: &mut HeaderMap, side: Side) {
    let mut say = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::REFERRER_POLICY, "no-referrer");
    say(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    if side == Side::Public {
        // Without TLS browsers pass it over.
        say(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// Answers on paths that nobody serves.
pub async fn unknown_path(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.uri().path();
    let other = match request.app_data::<Side>() {
        Some(Side::Public) if Side::Operations.has(path) => "; the operations listener has it",
        Some(Side::Operations) if Side::Public.has(path) => "; the public listener has it",
        _ => "",
    };
    let shown: String = path.chars().take(200).collect();
    Err(Problem::new(
        Kind::UnknownPath,
        format!("there is no path {shown} here{other}"),
    ))
}

/// Why a request goes no further, if it does not. One that does carries its caller, where somebody must be.
async fn refuse(request: &ServiceRequest, state: &State, side: Side) -> Option<HttpResponse> {
    let at_home = !side.lets_others_in(&state.surface);
    let (method, headers) = (request.method(), request.headers());
    let known = check_host(at_home, headers).and_then(|()| check_origin(method, headers));
    if let Err(problem) = known {
        return Some(problem.error_response());
    }
    if side == Side::Operations {
        return access::refuse(request, state);
    }
    let admitted = admit(request, state).await;
    admitted.err().map(|problem| problem.error_response())
}

/// Lets a request to the public listener through, with its caller, as long as neither they nor their address ask too often.
async fn admit(request: &ServiceRequest, state: &State) -> Result<(), Problem> {
    let (headers, limits) = (request.headers(), &state.limits);
    let address = limits.address_of(request.peer_addr(), headers);
    limits.check(Limit::Address, address)?;
    if caller::is_open(request.path()) {
        return Ok(());
    }
    let caller = match caller::identify(headers, &state.surface.sign_in).await {
        Ok(caller) => caller,
        Err(problem) => {
            if problem.kind() == Kind::Unauthenticated {
                limits.check(Limit::Refused, address)?;
            }
            return Err(problem);
        }
    };
    limits.check(Limit::Person, &caller.person)?;
    request.extensions_mut().insert(caller);
    Ok(())
}

/// Whether a request calls this machine by a name that leads nowhere else.
pub(super) fn is_at_home(headers: &HeaderMap) -> bool {
    text(headers, &header::HOST).is_none_or(names_loopback)
}

/// A listener that only this machine reaches is known by this machine's names.
fn check_host(at_home: bool, headers: &HeaderMap) -> Result<(), Problem> {
    if !at_home || is_at_home(headers) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::ForeignOrigin,
        "this listener is known as localhost, 127.0.0.1 or [::1] only",
    ))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// What changes something comes from a page of our own, if it comes from a page at all. A browser that says so is believed:
/// behind a proxy the name that it used need not be the one that arrives here.
fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let fetched = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let foreign = match (fetched, text(headers, &header::ORIGIN)) {
        (Some(site), _) => !matches!(site, b"same-origin" | b"none"),
        (None, Some(origin)) => {
            let authority = origin
                .strip_prefix("http://")
                .or(origin.strip_prefix("https://"));
            authority.is_none() || authority != text(headers, &header::HOST)
        }
        (None, None) => false,
    };
    if foreign {
        return Err(Problem::new(
            Kind::ForeignOrigin,
            "a page of another origin may not write here",
        ));
    }
    Ok(())
}

fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:9090",
        ] {
            assert_eq!(
                check_host(true, &headers(&[("host", host)])),
                Ok(()),
                "{host}"
            );
        }
        for host in [
            "evil.example:8080",
            "10.0.0.1",
            "[2001:db8::1]:80",
            "localhost.evil",
            "",
        ] {
            let elsewhere = headers(&[("host", host)]);
            assert_eq!(check_host(false, &elsewhere), Ok(()), "{host}");
            let refused = check_host(true, &elsewhere);
            assert_eq!(refused.unwrap_err().kind(), Kind::ForeignOrigin, "{host}");
        }
    }

    #[test]
    fn a_page_of_someone_else_cannot_write() {
        let own = [("host", "localhost:1"), ("origin", "http://localhost:1")];
        assert_eq!(check_origin(&Method::POST, &headers(&own)), Ok(()));
        for foreign in [
            ("origin", "http://localhost:2"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site, same-origin"),
        ] {
            let refused =
                check_origin(&Method::POST, &headers(&[("host", "localhost:1"), foreign]));
            assert_eq!(
                refused.unwrap_err().kind(),
                Kind::ForeignOrigin,
                "{foreign:?}"
            );
        }
    }
}
