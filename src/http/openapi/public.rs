//! The public interface, which apps read.

use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::absent::Absent;
use super::links::Links;
use super::parameters;
use super::problems::Problems;
use crate::http::listener::Side;
use crate::http::problem::{Kind, Problem};
use crate::http::public::{
    delivery, devices, files, inbox, keys, media, preferences, search, signed, subscriptions,
    uploads,
};

/// What the token of a request is called in the document.
const BEARER: &str = "bearer";

/// What can happen whatever is asked for.
const PROBLEMS: Problems = Problems {
    always: &[Kind::ForeignOrigin, Kind::TooManyRequests, Kind::Internal],
    signed_in: &[
        Kind::UnknownParameter,
        Kind::Unauthenticated,
        Kind::Unavailable,
    ],
    changing: &[],
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "iyagi",
        description = "What mobile clients read and write: files and what is derived from them, notifications, search.\n\n\
            Moments are milliseconds since the Unix epoch. `GET` paths answer `HEAD` too. Parameters and fields that are \
            not listed are refused by name. Every refusal is a problem document (RFC 9457); its `type` is part of the \
            interface. This document is at [`/openapi.json`](/openapi.json).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The daemon that serves this document")),
    tags(
        (name = "media", description = "What is known of files, and what is derived from them"),
        (name = "files", description = "Files by key"),
        (name = "uploads", description = "Files that go straight to the store"),
        (name = "links", description = "What lets somebody read or upload a file without a token"),
        (name = "inbox", description = "What a person was told"),
        (name = "subscriptions", description = "What a person wants to hear of"),
        (name = "preferences", description = "When, in which language and about whom a person wants to hear"),
        (name = "devices", description = "The phones that a person can be reached on"),
        (name = "search", description = "Search over people and what they made"),
        (name = "description", description = "What clients need before they have a token"),
    ),
    paths(
        media::list,
        media::item,
        media::original,
        media::thumbnail,
        media::of_recording,
        files::read,
        files::write,
        files::remove,
        uploads::grant,
        delivery::cookies,
        signed::read,
        signed::write,
        inbox::list,
        inbox::mark,
        inbox::live::listen,
        subscriptions::list,
        subscriptions::create,
        subscriptions::change,
        subscriptions::remove,
        preferences::show,
        preferences::replace,
        preferences::amend,
        devices::register,
        devices::remove,
        search::search,
        keys::show,
        show,
    ),
    security(("bearer" = [])),
    modifiers(&SignIn, &Links, &Absent, &PROBLEMS),
)]
pub(super) struct Public;

/// How a request says who sends it.
struct SignIn;

impl Modify for SignIn {
    fn modify(&self, document: &mut Document) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        bearer.description = Some(
            "An access token of the Cognito user pool; with `auth.mode = \"dev\"`, of `iyagi token`.".to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    }
}

/// This description.
#[utoipa::path(
    get,
    path = super::PATH,
    operation_id = "describe",
    tag = "description",
    security(()),
    params(("If-None-Match" = Option<String>, Header, description = parameters::IF_NONE_MATCH)),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "The client has it already"),
    ),
    extensions(("x-problems" = json!([Kind::UnknownParameter])))
)]
pub async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    super::send(&request, Side::Public)
}
