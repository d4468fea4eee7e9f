//! The operations interface, which operators and their tools ask.

use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr, Required};
use utoipa::{Modify, OpenApi};

use super::absent::Absent;
use super::parameters::{self, EventKind, TopicName};
use super::problems::{Problems, changing, is_signed_in};
use crate::embedded::graph::wire;
use crate::http::dashboard;
use crate::http::listener::Side;
use crate::http::operations::{
    access, actors, backfills, compaction, dead_letters, gateway, graph, health, journal, log,
    login, metrics, platforms, reprocessing, status, why_not,
};
use crate::http::problem::{Kind, Problem};

/// What the two ways to say who asks are called in the document.
const TOKEN: &str = "operator";
const SESSION: &str = "session";

/// What can happen whatever is asked for.
const PROBLEMS: Problems = Problems {
    always: &[Kind::ForeignOrigin, Kind::Internal],
    signed_in: &[
        Kind::UnknownParameter,
        Kind::InvalidField,
        Kind::Unauthenticated,
        Kind::TooManyRequests,
    ],
    changing: &[Kind::Forbidden],
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "iyagi operations",
        description = "What operators and their tools ask of a running daemon, and the orders that they give it.\n\n\
            While no operator is configured, nobody is asked who they are, and everybody may do everything. With any, \
            those of the role `read_only` may `GET` everything and are refused everything else; those of the role `admin` \
            may do all. A browser that asks for something without a session is led to `/login`. Every order is in the \
            journal, with who gave it and why, before it is carried out.\n\n\
            Moments are milliseconds since the Unix epoch. `GET` paths answer `HEAD` too. Parameters and fields that are \
            not listed are refused by name, but by the change log. Every refusal is a problem document (RFC 9457); its \
            `type` is part of the interface. The pages of the dashboard are no interface, and not listed. This document is \
            at [`/openapi.json`](/openapi.json).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The daemon that serves this document")),
    tags(
        (name = "health", description = "Whether the daemon lives and can work, and what it counts"),
        (name = "actors", description = "What works in the daemon"),
        (name = "platforms", description = "Push services, and whether anything is sent by them"),
        (name = "dead letters", description = "Jobs that were given up"),
        (name = "journal", description = "What has happened, and why"),
        (name = "backfills", description = "Files of changed presets and renditions for uploads that are there already"),
        (name = "media", description = "What is made of one upload"),
        (name = "log", description = "What a host logs"),
        (name = "gateway", description = "The push gateway of one machine"),
        (name = "graph", description = "The graph of one machine"),
        (name = "sessions", description = "The way in for a browser"),
        (name = "dashboard", description = "What keeps the dashboard's pages up to date"),
        (name = "description", description = "What there is to ask"),
    ),
    paths(
        health::live,
        health::ready,
        metrics::scrape,
        status::show,
        actors::list,
        actors::one,
        actors::scale,
        actors::order,
        platforms::list,
        platforms::order,
        dead_letters::listing::list,
        dead_letters::grouping::groups,
        dead_letters::listing::one,
        dead_letters::settling::redrive,
        dead_letters::settling::purge,
        journal::list,
        journal::one,
        journal::trace,
        compaction::show,
        compaction::order,
        why_not::answer,
        backfills::list,
        backfills::one,
        backfills::begin,
        backfills::order,
        reprocessing::order,
        log::show,
        log::change,
        log::change_back,
        gateway::faults,
        gateway::add_fault,
        gateway::clear_faults,
        gateway::tap,
        graph::commit,
        graph::stream,
        login::page,
        login::sign_in,
        login::sign_out,
        dashboard::overview::history,
        dashboard::live::listen,
        show,
    ),
    // Of lists in queries they are not found by themselves.
    components(schemas(EventKind, TopicName)),
    security(("operator" = []), ("session" = [])),
    modifiers(&SignIn, &Remark, &Aliases, &Absent, &PROBLEMS),
)]
pub(super) struct Operations;

/// How a request says who sends it.
struct SignIn;

impl Modify for SignIn {
    fn modify(&self, document: &mut Document) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The token of an operator, which `operations.operators` names the file of.",
            ));
        let session = ApiKeyValue::with_description(
            login::COOKIE,
            "What a browser gets at `/login` for such a token, for twelve hours.",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(token.build()));
        components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    }
}

/// Whoever gives an order may say more of who they are.
struct Remark;

impl Modify for Remark {
    fn modify(&self, document: &mut Document) {
        // Any UTF-8 does; a schema can only speak of what every client can send.
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(1024))
            .pattern(Some("^[!-~]([ -~]*[!-~])?$"));
        let remark = ParameterBuilder::new()
            .name(access::ACTOR_HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Who is at the other end, such as the user at a terminal; the journal has it beside the operator's name",
            ))
            .schema(Some(name))
            .build();
        let paths = document.paths.paths.values_mut();
        for order in paths.flat_map(changing).filter(|it| is_signed_in(it)) {
            order
                .parameters
                .get_or_insert_default()
                .push(RefOr::T(remark.clone()));
        }
    }
}

/// The change log is served under the names that Neptune has given it over time.
struct Aliases;

/// What its operations are called under the other names of [`wire::PATHS`].
const ALIASES: [&str; 2] = ["readChangesAsPg", "readChangesAsGremlin"];

impl Modify for Aliases {
    fn modify(&self, document: &mut Document) {
        let [path, aliases @ ..] = wire::PATHS;
        let described = document.paths.paths.get(path).cloned();
        let described = described.expect("the change log is described");
        for (alias, name) in aliases.into_iter().zip(ALIASES) {
            let mut described = described.clone();
            if let Some(read) = &mut described.get {
                read.operation_id = Some(name.to_owned());
                read.summary = Some(format!("The same as `{path}`."));
            }
            document.paths.paths.insert(alias.to_owned(), described);
        }
    }
}

/// This description.
#[utoipa::path(
    get,
    path = super::PATH,
    operation_id = "describe",
    tag = "description",
    params(("If-None-Match" = Option<String>, Header, description = parameters::IF_NONE_MATCH)),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "The client has it already"),
    ),
)]
pub async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    super::send(&request, Side::Operations)
}
