//! What several operations take in path, query and headers, and what is no JSON.

use iyagi_messages::fact::KINDS;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::public::recordings;

pub(crate) const KEY: &str =
    "The file's key, as one segment: its slashes are written as they are, or as `%2F`";
pub(crate) const IF_NONE_MATCH: &str = "Entity tags of what the client has already";
pub(crate) const RANGE: &str = "The part that is wanted; the whole is sent for several at once";
pub(crate) const VERSION: &str =
    "The version, as the item's links have it: with it the answer may be kept for a while";
pub(crate) const REDIRECT: &str = "False to be told the link instead of being led to it; a link that begins with a slash is of this listener";

/// The name of something that is derived from recordings.
pub(crate) struct DerivedName;

impl PartialSchema for DerivedName {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(recordings::names()));
        name.into()
    }
}

impl ToSchema for DerivedName {}

/// A file, or a part of it.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it says what a body is")]
pub(crate) struct Bytes(Vec<u8>);

/// A name, or a reason in somebody's words.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
#[expect(dead_code, reason = "it says what a text is like")]
pub(crate) struct Name(String);

/// A kind of event.
pub(crate) struct EventKind;

impl PartialSchema for EventKind {
    fn schema() -> RefOr<Schema> {
        let kinds = KINDS.iter().map(|(kind, _)| *kind);
        let kind = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(kinds));
        kind.into()
    }
}

impl ToSchema for EventKind {}

/// A part of a page: `verdict`, `overview`, `actors`, `pipelines`, `dead-letters`, or one that is of an actor.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^(verdict|overview|actors(:[A-Za-z0-9-]+)?|actor:[A-Za-z0-9-]+|pipelines|dead-letters)$", example = "verdict")]
#[expect(dead_code, reason = "it says what a text is like")]
pub(crate) struct TopicName(String);
