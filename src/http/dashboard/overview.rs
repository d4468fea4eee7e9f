//! `GET /`: whether all is well, what is not, and how much is done.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_messages::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::frame::{Frame, Refusal, page};
use super::history::Columns;
use super::look::Look;
use super::marks::Mark;
use super::text::{self, Moment};
use super::verdict::{Trouble, troubles};
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::http::response;

/// Problems that are shown at once.
const TROUBLES_MAX: usize = 5;
/// Changes that are shown at once.
const CHANGES_MAX: usize = 8;

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
    /// What may have changed how the daemon works, the newest first.
    changes: Vec<Change>,
    /// Earlier ones, which are not shown.
    changes_before: usize,
}

/// A mark of the charts, in words.
struct Change {
    /// Its number in the charts.
    number: usize,
    at: Moment,
    kind: &'static str,
    what: String,
    href: String,
}

/// What is done a second, and how much was done in all.
struct Figure {
    name: &'static str,
    per_second: String,
    total: String,
}

impl Now {
    pub(super) fn of(look: &Look, marks: &[Mark]) -> Self {
        let rates = &look.rates;
        let figure = |name, per_second, total| Figure {
            name,
            per_second: text::rate(per_second),
            total: text::number(total),
        };
        let totals = &look.totals;
        let changes = marks.iter().enumerate().map(|(place, mark)| Change {
            number: place + 1,
            at: text::ago(mark.at, look.at),
            kind: mark.kind,
            what: mark.what.clone(),
            href: format!("/journal/{}", mark.event),
        });
        Self {
            changes: changes.rev().take(CHANGES_MAX).collect(),
            changes_before: marks.len().saturating_sub(CHANGES_MAX),
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
        now: Now::of(&look, &state.board.marks()),
    })
}

/// What charts show.
#[derive(Serialize, ToSchema)]
#[schema(as = History)]
struct Told {
    #[serde(flatten)]
    columns: Columns,
    /// All of the last hour, whatever `after` says.
    marks: Vec<Mark>,
}

/// What happened in each second of the last hour, in columns, and what may have changed it.
#[utoipa::path(
    get,
    path = "/v1/ops/history",
    operation_id = "showHistory",
    tag = "dashboard",
    params(("after" = Option<i64>, Query, minimum = 0, description = "Only what is later, in milliseconds since 1970")),
    responses((status = 200, description = "A value of each column every two seconds, and the hour's marks", body = Told)),
)]
pub(in crate::http) async fn history(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["after"])?;
    let after = query.number("after", 0..=i64::MAX as u64, 0)? as i64;
    Ok(response::ok(&Told {
        columns: state.board.columns(Timestamp(after)),
        marks: state.board.marks(),
    }))
}
