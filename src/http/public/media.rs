//! What is known of files, and what is derived from them.
//!
//! The files themselves are reached by redirect: to a link that needs no sign-in, so that what shows pictures and plays sound
//! can follow it, wherever it leads. A path with the version of what is derived may be kept for a while; the same path without
//! one is asked again every time, because the file behind a key can change.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_messages::ids::PersonId;
use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::delivery::Told;
use super::recordings::DERIVED;
use super::thumbnails::THUMBNAILS;
use super::{delivery, files, owned, recordings, thumbnails};
use crate::auth::Caller;
use crate::http::State;
use crate::http::openapi::parameters::{DerivedName, IF_NONE_MATCH, KEY, REDIRECT, VERSION};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::http::visible;

const PREFIX: &str = "/v1/media/";
/// What separates a key from the word for the file itself.
const ORIGINAL: &str = "/original";
/// Parameters of paths that lead to a file.
const LEADING: [&str; 2] = ["v", "redirect"];
/// Items in a page that names no limit, and the most there can be.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1_000;
/// What a path behind `/v1/media/` names.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Item(ObjectKey),
    Original(ObjectKey),
    Thumbnail { key: ObjectKey, preset: String },
    OfRecording { key: ObjectKey, name: String },
}

/// A page of what is known of files.
#[derive(Serialize, ToSchema)]
#[schema(as = MediaPage)]
pub(crate) struct Listing {
    #[schema(value_type = Vec<MetadataItem>)]
    items: Vec<Value>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// A page of what is known of files, in order of key.
///
/// It has what the caller may see among `limit` items: it may be short, or empty, and have another one behind it. Of what
/// recordings are duplicates, only the single item tells.
#[utoipa::path(
    get,
    path = "/v1/media",
    operation_id = "listMedia",
    tag = "media",
    params(
        ("owner" = Option<PersonId>, Query, description = "Whose files: those under `profile/<owner>/` and `uploads/<owner>/`"),
        ("prefix" = Option<String>, Query, description = "What the keys begin with", example = "posts/"),
        ("If-None-Match" = Option<String>, Header, description = IF_NONE_MATCH),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Items that are looked at; 100 if absent"),
    ),
    responses(
        (status = 200, description = "A page", body = Listing, headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "The client has it already"),
    ),
    extensions(("x-problems" = json!([Kind::InvalidField])))
)]
pub async fn list(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["owner", "prefix", "cursor", "limit"])?;
    let limit = query.number("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)? as u32;
    let after = query.cursor()?.map(ObjectKey::new).transpose();
    let after = after.map_err(|error| Problem::invalid("cursor", error.to_string()))?;
    let prefix = query.text("prefix").unwrap_or_default();
    let prefixes = match query.text("owner") {
        Some(owner) => {
            request::check_text("owner", owner)?;
            owned::prefixes(owner, prefix)?
        }
        None => vec![prefix.to_owned()],
    };
    let table = &*state.surface.table;
    let page = owned::page(table, &prefixes, after.as_ref(), limit).await;
    let page = page.map_err(|fault| Problem::internal("the metadata table", &fault))?;
    let mut look = visible::look(&state, &caller);
    let mut items = Vec::new();
    for mut item in page.items {
        let visible = look.sees_file(&item.key).await;
        if visible.map_err(|fault| visible::unanswered(&fault))? {
            recordings::leave_out_duplicate(&mut item);
            items.push(described(&item));
        }
    }
    let next = page.next.map(|key| request::sealed_cursor(key.as_str()));
    Ok(asked_again(&request, &Listing { items, next }))
}

/// Everything under `/v1/media/`: what is meant is known by how the path ends.
pub async fn one(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    match Named::parse(request::rest(&request, PREFIX)?)? {
        Named::Item(key) => item(&state, &caller, &request, &key).await,
        Named::Original(key) => original(&state, &caller, &request, &key).await,
        Named::Thumbnail { key, preset } => {
            thumbnail(&state, &caller, &request, &key, &preset).await
        }
        Named::OfRecording { key, name } => {
            of_recording(&state, &caller, &request, &key, &name).await
        }
    }
}

/// What is known of a file.
#[utoipa::path(
    get,
    path = "/v1/media/{key}",
    operation_id = "readMedia",
    tag = "media",
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("If-None-Match" = Option<String>, Header, description = IF_NONE_MATCH),
    ),
    responses(
        (status = 200, description = "The item", body = MetadataItem, headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "The client has it already"),
    ),
    extensions(("x-problems" = json!([Kind::InvalidKey, Kind::NotFound])))
)]
pub(crate) async fn item(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    key: &ObjectKey,
) -> Result<HttpResponse, Problem> {
    Query::of(request, &[])?;
    let mut item = find(state, caller, key).await?;
    recordings::withhold_duplicate(state, caller, &mut item).await?;
    Ok(asked_again(request, &described(&item)))
}

/// JSON for whoever does not have it, which is known by its content.
fn asked_again(request: &HttpRequest, value: &impl Serialize) -> HttpResponse {
    let body = serde_json::to_string(value).expect("it has only text keys");
    let mut response = response::tagged(
        request,
        &response::digest([body.as_bytes()]),
        files::ASK_AGAIN,
    );
    response.content_type("application/json").body(body)
}

/// The file itself, by a link that needs no token.
#[utoipa::path(
    get,
    path = "/v1/media/{key}/original",
    operation_id = "findOriginal",
    tag = "media",
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("redirect" = Option<bool>, Query, description = REDIRECT),
    ),
    responses(
        (status = 307, description = "Where the file is read", headers(("Location" = String), ("Cache-Control" = String))),
        (status = 200, description = "The same, for clients that cannot see where they are led", body = Told, headers(("Cache-Control" = String))),
    ),
    extensions(("x-problems" = json!([Kind::InvalidKey, Kind::InvalidField, Kind::NotFound])))
)]
pub(crate) async fn original(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    key: &ObjectKey,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(request, &["redirect"])?;
    find(state, caller, key).await?;
    delivery::lead(state, &query, key, None, None).await
}

/// A picture made smaller, as a preset says.
#[utoipa::path(
    get,
    path = "/v1/media/{key}/thumbnails/{preset}",
    operation_id = "readThumbnail",
    tag = "media",
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("preset" = String, Path, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", description = "One of the configured presets", example = "small"),
        ("v" = Option<String>, Query, description = VERSION),
        ("redirect" = Option<bool>, Query, description = REDIRECT),
    ),
    responses(
        (status = 307, description = "Where the picture is read, as WebP for those who name it in `Accept`", headers(("Location" = String), ("Cache-Control" = String), ("Vary" = String))),
        (status = 200, description = "The same, for clients that cannot see where they are led", body = Told, headers(("Cache-Control" = String), ("Vary" = String))),
    ),
    extensions(("x-problems" = json!([
        Kind::InvalidKey, Kind::InvalidField, Kind::NotFound, Kind::UnknownPreset, Kind::NoThumbnail, Kind::NotAcceptable,
    ])))
)]
pub(crate) async fn thumbnail(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    key: &ObjectKey,
    preset: &str,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(request, &LEADING)?;
    thumbnails::check_preset(&state.surface, preset)?;
    let item = find(state, caller, key).await?;
    let (derived, version) = thumbnails::find(&state.surface, request, &item, preset).await?;
    let vary = Some("Accept");
    delivery::lead(state, &query, derived, Some(version), vary).await
}

/// What is derived from a recording.
#[utoipa::path(
    get,
    path = "/v1/media/{key}/derived/{name}",
    operation_id = "readDerived",
    tag = "media",
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("name" = inline(DerivedName), Path),
        ("v" = Option<String>, Query, description = VERSION),
        ("redirect" = Option<bool>, Query, description = REDIRECT),
    ),
    responses(
        (status = 307, description = "Where the file is read", headers(("Location" = String), ("Cache-Control" = String))),
        (status = 200, description = "The same, for clients that cannot see where they are led", body = Told, headers(("Cache-Control" = String))),
    ),
    extensions(("x-problems" = json!([Kind::InvalidKey, Kind::InvalidField, Kind::NotFound])))
)]
pub(crate) async fn of_recording(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    key: &ObjectKey,
    name: &str,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(request, &LEADING)?;
    let item = find(state, caller, key).await?;
    let derived = recordings::find(&item, name)?;
    let version = recordings::version(derived);
    delivery::lead(state, &query, derived, Some(version), None).await
}

impl Named {
    /// A key that itself ends in `/original`, `/thumbnails/<word>` or `/derived/<name>` is written with that slash as `%2F`.
    fn parse(raw: &str) -> Result<Self, Problem> {
        if let Some((key, name)) = raw.rsplit_once(DERIVED)
            && recordings::names().any(|known| known == name)
        {
            return Ok(Self::OfRecording {
                key: request::object_key(key)?,
                name: name.to_owned(),
            });
        }
        if let Some(key) = raw.strip_suffix(ORIGINAL) {
            return request::object_key(key).map(Self::Original);
        }
        match raw.rsplit_once(THUMBNAILS) {
            Some((key, preset)) if !preset.contains('/') => Ok(Self::Thumbnail {
                key: request::object_key(key)?,
                preset: request::decoded(preset, "preset")?,
            }),
            _ => request::object_key(raw).map(Self::Item),
        }
    }
}

async fn find(state: &State, caller: &Caller, key: &ObjectKey) -> Result<MetadataItem, Problem> {
    let missing = || {
        let detail =
            format!("nothing is known of `{key}`; metadata follows an upload within moments");
        Problem::new(Kind::NotFound, detail)
    };
    visible::check_file(state, caller, key, missing).await?;
    let found = state.surface.table.get(key).await;
    let found = found.map_err(|fault| Problem::internal("the metadata table", &fault))?;
    found.ok_or_else(missing)
}

/// The item as clients see it: every derived file has its link.
fn described(item: &MetadataItem) -> Value {
    let mut view = serde_json::to_value(item).expect("an item has only text keys");
    let at = format!("{PREFIX}{}", response::encoded(item.key.as_str()));
    view["url"] = format!("{at}{ORIGINAL}").into();
    if let Some(thumbnails) = view.get_mut("thumbnails").and_then(Value::as_object_mut) {
        thumbnails.remove("rendered_in_ms");
    }
    thumbnails::link(item, &at, &mut view);
    recordings::link(item, &at, &mut view);
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_item_or_its_thumbnail_and_an_encoded_slash_settles_doubt() {
        let key = |text: &str| ObjectKey::new(text).expect("valid");
        let item = |text| Ok(Named::Item(key(text)));
        assert_eq!(Named::parse("posts/1/a.jpg"), item("posts/1/a.jpg"));
        assert_eq!(
            Named::parse("posts/1/a.jpg/thumbnails/small"),
            Ok(Named::Thumbnail {
                key: key("posts/1/a.jpg"),
                preset: "small".to_owned(),
            })
        );
        assert_eq!(
            Named::parse("a/thumbnails%2Fsmall"),
            item("a/thumbnails/small")
        );
        assert_eq!(Named::parse("a/thumbnails/b/c"), item("a/thumbnails/b/c"));
        assert_eq!(
            Named::parse("posts/1/a.m4a/derived/opus-32k"),
            Ok(Named::OfRecording {
                key: key("posts/1/a.m4a"),
                name: "opus-32k".to_owned(),
            })
        );
        assert_eq!(
            Named::parse("posts/1/a.m4a/original"),
            Ok(Named::Original(key("posts/1/a.m4a")))
        );
        assert_eq!(Named::parse("a/b%2Foriginal"), item("a/b/original"));
        assert_eq!(Named::parse("a/derived/b.m4a"), item("a/derived/b.m4a"));
        assert_eq!(
            Named::parse("a/derived%2Fwaveform.svg"),
            item("a/derived/waveform.svg")
        );
    }
}
