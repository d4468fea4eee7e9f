//! Scripts and styles, which are part of the binary.
//!
//! All of them are under one folder that is named after what is in them, so browsers keep them for good, and a module finds
//! its neighbours by relative paths.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::problem::{Kind, Problem};
use crate::http::request;
use crate::http::response;

/// What all of them are under.
pub const PREFIX: &str = "/assets/";
const FOREVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const ALL: [Asset; 5] = [
    Asset {
        name: "dashboard.js",
        media_type: SCRIPT,
        bytes: include_bytes!("assets/dashboard.js"),
    },
    Asset {
        name: "dashboard.css",
        media_type: STYLE,
        bytes: include_bytes!("assets/dashboard.css"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        bytes: include_bytes!("assets/icon.svg"),
    },
    Asset {
        name: "uplot.js",
        media_type: SCRIPT,
        bytes: include_bytes!("assets/uplot/uPlot.iife.min.js"),
    },
    Asset {
        name: "uplot.css",
        media_type: STYLE,
        bytes: include_bytes!("assets/uplot/uPlot.min.css"),
    },
];

/// The version that all of them are under.
static VERSION: LazyLock<String> =
    LazyLock::new(|| response::digest(ALL.iter().map(|asset| asset.bytes)));

/// The folder that all of them are in.
pub(super) fn folder() -> String {
    format!("{PREFIX}{}", *VERSION)
}

/// `GET /assets/{version}/{name}`
pub(super) async fn send(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request::rest(&request, PREFIX)?;
    let (version, name) = path.split_once('/').unwrap_or((path, ""));
    let found = ALL.iter().find(|asset| asset.name == name);
    let found = found.filter(|_| version == *VERSION).ok_or_else(|| {
        let detail = "there is no such asset in this version; load the page again";
        Problem::new(Kind::NotFound, detail)
    })?;
    // The version names the content; the name tells it from its neighbours.
    let etag = response::digest([VERSION.as_bytes(), name.as_bytes()]);
    let mut answer = response::tagged(&request, &etag, FOREVER);
    answer
        .content_type(found.media_type)
        .insert_header(("x-content-type-options", "nosniff"));
    Ok(answer.body(Bytes::from_static(found.bytes)))
}
