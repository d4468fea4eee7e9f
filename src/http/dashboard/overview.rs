//! `GET /`: whether all is well, what is not, and how much is done.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_messages::ids::Timestamp;

use super::frame::{Frame, Refusal, page};
use super::history::Columns;
use super::look::Look;
use super::text;
use super::verdict::{Trouble, troubles};
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::http::response;

/// Problems that are shown at once.
const TROUBLES_MAX: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    now: Now,
}

/// What the page says of now.
#[derive(Template)]
#[template(path = "overview_now.html")]
pub(super) struct Now {
    troubles: Vec<Trouble>,
    figures: Vec<Figure>,
}

/// What is done a second, and how much was done in all.
struct Figure {
    name: &'static str,
    per_second: String,
    total: String,
}

impl Now {
    pub(super) fn of(look: &Look) -> Self {
        let rates = &look.rates;
        let figure = |name, per_second, total| Figure {
            name,
            per_second: text::rate(per_second),
            total: text::number(total),
        };
        let totals = &look.totals;
        Self {
            troubles: troubles(look),
            figures: vec![
                figure("Commits read", rates.commits, totals.commits),
                figure("Pushes matched", rates.matched, totals.matched),
                figure("Pushes sent", rates.sent, totals.sent),
                figure("Files recorded", rates.recorded, totals.recorded),
                figure("Documents indexed", rates.indexed, totals.indexed),
            ],
        }
    }
}

/// `GET /`
pub(super) async fn show(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    Query::of(&request, &[])?;
    let look = state.board.refresh().await;
    page(&Page {
        frame: Frame::of(&state, &request, "Overview", "/"),
        now: Now::of(&look),
    })
}

/// What happened in each second of the last hour, in columns.
#[utoipa::path(
    get,
    path = "/v1/ops/history",
    operation_id = "showHistory",
    tag = "dashboard",
    params(("after" = Option<i64>, Query, minimum = 0, description = "Only what is later, in milliseconds since 1970")),
    responses((status = 200, description = "A value of each column every two seconds", body = Columns)),
)]
pub(in crate::http) async fn history(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["after"])?;
    let after = query.number("after", 0..=i64::MAX as u64, 0)? as i64;
    Ok(response::ok(&state.board.columns(Timestamp(after))))
}
