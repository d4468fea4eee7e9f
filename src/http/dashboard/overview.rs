//! `GET /`: whether all is well, what is not, and how much is done.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::frame::{Frame, Refusal, page};
use super::look::Look;
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
}

impl Now {
    pub(super) fn of(look: &Look) -> Self {
        Self {
            troubles: troubles(look),
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

/// `GET /v1/ops/history`: what happened in each second of the last hour, in columns.
pub(super) async fn history(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    Ok(response::ok(&state.board.columns()))
}
