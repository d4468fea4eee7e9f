//! The interfaces in the words of OpenAPI 3.1, made from the handlers that serve them.
//!
//! # Layout
//! - [`public`], [`operations`]: the interface of each listener
//! - this file: where clients read them
//! - `parameters`, `requests`, `orders`, `events`: what several operations take, what bodies bring to either listener, and what
//!   is told as it comes
//! - `neptune`: the change log, in the shapes of another service
//! - `problems`: what can go wrong, with which status
//! - `absent`: where null is nothing that a field can be
//! - `links`: what views add to what is stored
//! - [`viewer`]: the page on which people read it

mod absent;
pub(crate) mod events;
mod links;
pub(crate) mod neptune;
pub mod operations;
pub(crate) mod orders;
pub(crate) mod parameters;
mod problems;
pub mod public;
pub(crate) mod requests;
pub mod viewer;

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::OpenApi;

use super::listener::Side;
use super::problem::Problem;
use super::request::Query;
use super::response;

/// Where clients read the description of the listener that they ask.
pub const PATH: &str = "/openapi.json";
/// A daemon's interface changes only with the daemon.
const CACHE_CONTROL: &str = "public, max-age=0";

/// Whether a path is of the description.
pub fn has(path: &str) -> bool {
    path == PATH || viewer::has(path)
}

/// The description of a listener's interface, as JSON for people and for diffs.
pub fn json(of: Side) -> String {
    let document = match of {
        Side::Public => public::Public::openapi(),
        Side::Operations => operations::Operations::openapi(),
    };
    let text = document.to_pretty_json();
    let mut text = text.expect("it has only text keys");
    text.push('\n');
    text
}

/// A description that is kept, and its entity tag.
struct Kept {
    text: String,
    etag: String,
}

impl Kept {
    fn new(of: Side) -> Self {
        let text = json(of);
        let etag = response::digest([text.as_bytes()]);
        Self { text, etag }
    }
}

fn send(request: &HttpRequest, of: Side) -> Result<HttpResponse, Problem> {
    static PUBLIC: LazyLock<Kept> = LazyLock::new(|| Kept::new(Side::Public));
    static OPERATIONS: LazyLock<Kept> = LazyLock::new(|| Kept::new(Side::Operations));
    Query::of(request, &[])?;
    let kept = match of {
        Side::Public => &*PUBLIC,
        Side::Operations => &*OPERATIONS,
    };
    let mut answer = response::tagged(request, &kept.etag, CACHE_CONTROL);
    answer.insert_header((header::CONTENT_TYPE, "application/json"));
    Ok(answer.body(kept.text.as_str()))
}
