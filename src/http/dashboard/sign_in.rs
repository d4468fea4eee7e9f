//! What the way in looks like; who is let in is decided elsewhere.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::frame::{Frame, answer};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'p> {
    frame: Frame,
    action: &'p str,
    next: &'p str,
    /// What was wrong with the last attempt.
    said: &'p str,
}

/// A form that sends `token` and `next` to `action`.
pub(in crate::http) fn sign_in_page(
    request: &HttpRequest,
    status: StatusCode,
    action: &str,
    next: &str,
    said: &str,
) -> HttpResponse {
    let page = Page {
        frame: Frame::bare(request, "Sign in"),
        action,
        next,
        said,
    };
    answer(status, &page).unwrap_or_else(|refusal| refusal.error_response())
}
