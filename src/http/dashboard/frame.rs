//! What every page has around it, and the headers it is sent with.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::assets;
use super::verdict::Strip;
use super::{Entry, NAV};
use crate::http::State;
use crate::http::cookie;
use crate::http::operations::access::Operator;
use crate::http::problem::Problem;

/// Nothing runs or is loaded but what this daemon serves as a file of its own, and nobody shows a page inside theirs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' blob:; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page is sent with.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// The cookie that keeps which of the two looks somebody prefers; not a secret, and written by the page's own script.
const THEME_COOKIE: &str = "iyagi_theme";

/// What a page has around it.
pub(super) struct Frame {
    /// What the page is called.
    pub(super) title: String,
    /// The entry of the rail that it belongs to.
    pub(super) at: &'static str,
    /// Every entry of the rail.
    pub(super) nav: &'static [Entry],
    /// Where scripts and styles are.
    pub(super) assets: String,
    /// `dark` or `light`, if somebody prefers one to what their system says.
    pub(super) theme: &'static str,
    /// How the daemon is; absent from pages that tell nothing of it.
    pub(super) strip: Option<Strip>,
    /// The daemon's version.
    pub(super) version: &'static str,
    /// Who looks, if a token says so.
    pub(super) operator: Option<String>,
    /// Whether whoever looks may change anything.
    pub(super) may_act: bool,
}

impl Frame {
    /// The frame of a page that belongs to the rail's entry `at`.
    pub(super) fn of(
        state: &State,
        request: &HttpRequest,
        title: impl Into<String>,
        at: &'static str,
    ) -> Self {
        let operator = Operator::of(request).ok();
        let may_act = operator.as_ref().is_some_and(Operator::may_act);
        let signed_in = operator.filter(|_| !state.surface.operators.is_empty());
        Self {
            strip: Some(Strip::of(&state.board.now())),
            at,
            operator: signed_in.map(|operator| operator.name),
            may_act,
            ..Self::bare(request, title)
        }
    }

    /// The frame of a page that tells nothing of the daemon.
    pub(super) fn bare(request: &HttpRequest, title: impl Into<String>) -> Self {
        Self {
            theme: theme(request),
            ..Self::anybodys(title.into())
        }
    }

    /// The frame of a page of which it is not known who looks at it.
    fn anybodys(title: String) -> Self {
        Self {
            title,
            at: "",
            nav: &NAV,
            assets: assets::folder(),
            theme: "",
            strip: None,
            version: env!("CARGO_PKG_VERSION"),
            operator: None,
            may_act: false,
        }
    }
}

fn theme(request: &HttpRequest) -> &'static str {
    match cookie::find(request.headers(), THEME_COOKIE) {
        Some("dark") => "dark",
        Some("light") => "light",
        _ => "",
    }
}

/// A page.
pub(super) fn page(template: &impl Template) -> Result<HttpResponse, Refusal> {
    answer(StatusCode::OK, template)
}

/// A page of another status than 200.
pub(super) fn answer(
    status: StatusCode,
    template: &impl Template,
) -> Result<HttpResponse, Refusal> {
    let html = template.render();
    let html = html.map_err(|error| Problem::internal("the page", &error))?;
    let mut response = HttpResponse::build(status);
    for header in HEADERS {
        response.insert_header(header);
    }
    Ok(response.content_type("text/html; charset=utf-8").body(html))
}

/// A page that cannot be shown, and why.
#[derive(Debug)]
pub(super) struct Refusal(Problem);

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    frame: Frame,
    status: u16,
    detail: String,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.0.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.0.status_code();
        let page = RefusalPage {
            frame: Frame::anybodys(self.0.kind().title().to_owned()),
            status: status.as_u16(),
            detail: self.0.detail().to_owned(),
        };
        answer(status, &page).unwrap_or_else(|refusal| refusal.0.error_response())
    }
}
