//! What can go wrong in each operation, under the status that comes with it.
//!
//! An operation lists its own kinds of problem in the extension [`LIST`]; what can happen to every request is added here.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder, Responses};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, KnownFormat, OpenApi, Ref, RefOr, Schema};

use crate::http::problem::{CONTENT_TYPE, Kind};

/// Where an operation lists its kinds of problem.
const LIST: &str = "x-problems";
/// The document's schema.
const SCHEMA: &str = "Problem";
/// What can happen to every body.
const BODY: [Kind; 3] = [Kind::BodyLost, Kind::BodyStalled, Kind::TooLarge];
/// What can be wrong with a body that is JSON.
const JSON: [Kind; 2] = [Kind::MalformedJson, Kind::InvalidField];

/// Gives every operation its refusals: its own, and those that it shares with others.
pub(super) struct Problems {
    /// What can happen to every request.
    pub(super) always: &'static [Kind],
    /// To every one that says who sends it.
    pub(super) signed_in: &'static [Kind],
    /// To every one of these that is to change something.
    pub(super) changing: &'static [Kind],
}

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components
            .schemas
            .insert(SCHEMA.to_owned(), RefOr::T(schema()));
        for path in document.paths.paths.values_mut() {
            for operation in reading(path) {
                self.refuse(operation, &[]);
            }
            for operation in changing(path) {
                self.refuse(operation, self.changing);
            }
        }
    }
}

/// The operations of a path that only look.
pub(super) fn reading(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    path.get.iter_mut()
}

/// The operations of a path that are to change something.
pub(super) fn changing(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        put,
        post,
        delete,
        patch,
        ..
    } = path;
    [put, post, delete, patch].into_iter().flatten()
}

/// Whether an operation asks who sends it. Only those say anything of it that do not.
pub(super) fn is_signed_in(operation: &Operation) -> bool {
    operation.security.is_none()
}

impl Problems {
    fn refuse(&self, operation: &mut Operation, more: &[Kind]) {
        let mut general = Vec::from(self.always);
        if is_signed_in(operation) {
            general.extend(self.signed_in);
            general.extend(more);
        }
        general.extend(of_body(operation));
        let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
        for kind in general.into_iter().chain(listed(operation)) {
            let kinds = by_status.entry(kind.status().as_u16()).or_default();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for (status, kinds) in by_status {
            add(&mut operation.responses, status, response(&kinds));
        }
    }
}

/// Adds what is answered with a status to what else is.
fn add(responses: &mut Responses, status: u16, response: Response) {
    let responses = &mut responses.responses;
    if let Some(RefOr::T(other)) = responses.get_mut(&status.to_string()) {
        other.description = format!("{}. {}", other.description, response.description);
        other.headers.extend(response.headers);
        other.content.extend(response.content);
    } else {
        responses.insert(status.to_string(), RefOr::T(response));
    }
}

/// What can happen to every body that is like those of an operation.
fn of_body(operation: &Operation) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if let Some(RefOr::T(body)) = &operation.request_body {
        kinds.extend(BODY);
        if body.content.contains_key("application/json") {
            kinds.extend(JSON);
        }
    }
    kinds
}

/// Takes the list of an operation's own kinds out of it.
fn listed(operation: &mut Operation) -> Vec<Kind> {
    let extensions = operation.extensions.as_mut();
    let Some(Value::Array(slugs)) = extensions.and_then(|all| all.remove(LIST)) else {
        return Vec::new();
    };
    operation.extensions.take_if(|all| all.is_empty());
    let kind = |slug: &Value| Kind::ALL.iter().copied().find(|kind| slug == kind.slug());
    slugs.iter().filter_map(kind).collect()
}

fn response(kinds: &[Kind]) -> Response {
    let told = kinds
        .iter()
        .map(|kind| format!("`{}`: {}.", kind.slug(), kind.title()));
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(SCHEMA)));
    let mut response = ResponseBuilder::new()
        .description(told.collect::<Vec<_>>().join(" "))
        .content(CONTENT_TYPE, content.build());
    for (name, description, kind) in HEADERS {
        if kinds.contains(&kind) {
            let schema = ObjectBuilder::new().schema_type(Type::String);
            let mut header = Header::new(schema);
            header.description = Some(description.to_owned());
            response = response.header(name, header);
        }
    }
    response.build()
}

/// Headers that come with a kind of problem.
const HEADERS: [(&str, &str, Kind); 6] = [
    ("WWW-Authenticate", "`Bearer`", Kind::Unauthenticated),
    (
        "Retry-After",
        "Seconds after which it may be asked again, where waiting helps",
        Kind::Unavailable,
    ),
    (
        "Retry-After",
        "Seconds after which it may be asked again",
        Kind::Contended,
    ),
    (
        "Retry-After",
        "Seconds after which there may be one more",
        Kind::TooManyRequests,
    ),
    (
        "Retry-After",
        "Seconds after which it may be asked again, while it is being made",
        Kind::NoThumbnail,
    ),
    (
        "Content-Range",
        "`bytes */` and the size of the file",
        Kind::NoSuchRange,
    ),
];

fn schema() -> Schema {
    let text = |description: &str| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(description))
    };
    let kinds = Kind::ALL.iter().map(|kind| kind.urn());
    let status = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .description(Some("The status of the answer"));
    let problem = ObjectBuilder::new()
        .description(Some("Why a request is refused (RFC 9457)"))
        .property(
            "type",
            text("What it is. Clients decide by this").enum_values(Some(kinds)),
        )
        .required("type")
        .property("title", text("What it is, in words"))
        .required("title")
        .property("status", status)
        .required("status")
        .property("detail", text("What exactly is wrong, and what helps"))
        .required("detail")
        .property("field", text("Which parameter or field is wrong"))
        .property(
            "reason",
            text("Why there is no such derived file, as a stable word"),
        )
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .examples([json!({
            "type": Kind::InvalidField.urn(),
            "title": Kind::InvalidField.title(),
            "status": 400,
            "detail": "`limit` is a whole number from 1 to 100, not `0`",
            "field": "limit",
        })]);
    problem.into()
}
