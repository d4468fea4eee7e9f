//! A page on which people read the description, and try it. It comes from the daemon whole: nothing is loaded from elsewhere.

use actix_web::http::header;
use actix_web::web::{Bytes, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response::{self, get, otherwise};

/// Where the page is.
pub const PAGE: &str = "/docs";
/// Where its files are.
const FILES: &str = "/docs/";
/// Nothing has its version in its name, so it is asked for again.
const CACHE_CONTROL: &str = "public, max-age=0";
/// Scripts are files from here. The viewer writes styles into what it shows, which style sheets from here could not.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const PAGE_FILE: File = File {
    name: "",
    media_type: "text/html; charset=utf-8",
    content: include_str!("viewer/index.html"),
};

const ALL: [File; 4] = [
    File {
        name: "viewer.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("viewer/viewer.css"),
    },
    File {
        name: "viewer.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("viewer/viewer.js"),
    },
    File {
        name: "rapidoc.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("viewer/rapidoc/rapidoc-min.js"),
    },
    File {
        name: "rapidoc.LICENSE",
        media_type: "text/plain; charset=utf-8",
        content: include_str!("viewer/rapidoc/LICENSE"),
    },
];

/// The page and its files.
pub(in crate::http) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource(PAGE)
                .route(get(page))
                .default_service(otherwise("GET, HEAD")),
        )
        .service(
            resource("/docs/{name}")
                .route(get(file))
                .default_service(otherwise("GET, HEAD")),
        );
}

/// Whether the page or one of its files may be here.
pub(super) fn has(path: &str) -> bool {
    path == PAGE || path.starts_with(FILES)
}

/// `GET /docs`
async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    Ok(send(&request, &PAGE_FILE))
}

/// `GET /docs/{name}`
async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let name = request::rest(&request, FILES)?;
    let found = ALL.iter().find(|file| file.name == name);
    let found = found.ok_or_else(|| {
        let detail = format!("the page {PAGE} has no file `{name}`");
        Problem::new(Kind::NotFound, detail)
    })?;
    Ok(send(&request, found))
}

fn send(request: &HttpRequest, file: &File) -> HttpResponse {
    let etag = response::digest([file.content.as_bytes()]);
    let mut answer = response::tagged(request, &etag, CACHE_CONTROL);
    answer
        .content_type(file.media_type)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY));
    answer.body(Bytes::from_static(file.content.as_bytes()))
}
