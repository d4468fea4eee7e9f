//! Uploads that go to the store itself: what a client declares is signed, and nothing else is taken.

use std::collections::BTreeMap;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iyagi_messages::ids::{PersonId, Timestamp};
use iyagi_messages::media::owner_of_key;
use iyagi_messages::object::ObjectKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::{delivery, quota};
use crate::auth::Caller;
use crate::config::MediaConfig;
use crate::embedded::unique_id::unique_id;
use crate::http::State;
use crate::http::body;
use crate::http::openapi::requests::UploadDeclaration;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::links::{Checksum, Grant, GrantForm, Upload};

/// The types that are taken, and what the names of such files end in. What a name said is the client's to choose, so it has no
/// part in the key.
const TYPES: [(&str, &str); 14] = [
    ("audio/aac", "aac"),
    ("audio/amr", "amr"),
    ("audio/flac", "flac"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("audio/webm", "webm"),
    ("image/avif", "avif"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/webp", "webp"),
];
/// Those that are taken where something decodes them.
const HEIF: [&str; 2] = ["image/avif", "image/heic"];
const FIELDS: [&str; 5] = [
    "content_type",
    "size",
    "checksum_sha256",
    "checksum_crc32",
    "method",
];
/// Largest body that asks for an upload.
const BODY_BYTES_MAX: u64 = 16 * 1024;

/// How the upload is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Put,
    Post,
}

/// What a client is granted.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadGrant)]
pub(crate) struct Granted<'g> {
    key: &'g ObjectKey,
    /// How to send the file: `PUT` or `POST`.
    method: &'static str,
    /// Where; one that begins with a slash is of this listener.
    url: &'g str,
    /// What a `PUT` is sent with.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<&'g BTreeMap<String, String>>,
    /// What a form of a `POST` has before its last field, `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'g BTreeMap<String, String>>,
    /// Until when it can be begun.
    expires_at: Timestamp,
}

/// What to send where, for a file that is declared.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    operation_id = "requestUpload",
    tag = "uploads",
    request_body = UploadDeclaration,
    responses((status = 200, description = "What is taken, and nothing else", body = Granted<'_>)),
    extensions(("x-problems" = json!([Kind::Forbidden, Kind::Elsewhere, Kind::UnsupportedType, Kind::QuotaExceeded])))
)]
pub async fn grant(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let now = state.surface.clock.now();
    let media = &state.surface.config.media;
    let (upload, method) = declared(Fields::parse(&body)?, media, &caller.person, now)?;
    let links = &state.surface.links;
    let grant = match method {
        Method::Put => links.to_put(&upload, now).await,
        Method::Post => links.to_post(&upload, now).await,
    };
    let grant = grant.map_err(|fault| delivery::problem_of(&fault))?;
    // What is signed and not handed out costs nobody anything.
    quota::take(&state, &caller.person, upload.size).await?;
    Ok(response::ok(&Granted::of(&upload, &grant)))
}

impl<'g> Granted<'g> {
    fn of(upload: &'g Upload, grant: &'g Grant) -> Self {
        let (method, headers, fields) = match &grant.form {
            GrantForm::Put(headers) => ("PUT", Some(headers), None),
            GrantForm::Post(fields) => ("POST", None, Some(fields)),
        };
        Self {
            key: &upload.key,
            method,
            url: &grant.url,
            headers,
            fields,
            expires_at: grant.expires_at,
        }
    }
}

fn declared(
    mut fields: Fields,
    media: &MediaConfig,
    person: &PersonId,
    now: Timestamp,
) -> Result<(Upload, Method), Problem> {
    let content_type = fields.required_text("content_type")?;
    let extension = extension_of(&content_type, media)?;
    let size: u64 = fields.required("size")?;
    check_size(size, &content_type, media)?;
    let checksum = checksum(&mut fields)?;
    let method = match fields.optional::<String>("method")?.as_deref() {
        None | Some("PUT") => Method::Put,
        Some("POST") => Method::Post,
        Some(other) => {
            let detail = format!("`method` is \"PUT\" or \"POST\", not `{other}`");
            return Err(Problem::invalid("method", detail));
        }
    };
    fields.end(&FIELDS)?;
    let upload = Upload {
        key: new_key(person, extension, now)?,
        content_type,
        size,
        checksum,
    };
    Ok((upload, method))
}

fn extension_of(content_type: &str, media: &MediaConfig) -> Result<&'static str, Problem> {
    let mut taken = TYPES
        .iter()
        .filter(|(taken, _)| media.heif || !HEIF.contains(taken));
    let found = taken.clone().find(|(taken, _)| *taken == content_type);
    found.map(|(_, extension)| *extension).ok_or_else(|| {
        let taken: Vec<_> = taken.by_ref().map(|(taken, _)| *taken).collect();
        let hint = request::did_you_mean(content_type, taken.iter().copied());
        let detail = format!("files of type `{content_type}` are not taken{hint}");
        Problem::new(Kind::UnsupportedType, detail)
            .with("field", "content_type")
            .with("available", taken)
    })
}

/// More than what is looked at would be kept, and nothing made of it.
fn check_size(size: u64, content_type: &str, media: &MediaConfig) -> Result<(), Problem> {
    let looked_at = if content_type.starts_with("image/") {
        media.limits.bytes_max
    } else {
        media.audio.limits.bytes_max
    };
    let bytes_max = media.file_bytes_max.min(looked_at);
    if size == 0 {
        return Err(Problem::invalid("size", "`size` is 0; an upload has bytes"));
    }
    if size > bytes_max {
        let detail = format!("a file of type `{content_type}` has at most {bytes_max} bytes");
        let problem = Problem::new(Kind::TooLarge, detail);
        return Err(problem.with("field", "size").with("bytes_max", bytes_max));
    }
    Ok(())
}

fn checksum(fields: &mut Fields) -> Result<Checksum, Problem> {
    let mut given = Vec::new();
    for (field, algorithm) in [("checksum_sha256", "sha256"), ("checksum_crc32", "crc32")] {
        let Some(text) = fields.optional::<String>(field)? else {
            continue;
        };
        let bytes = STANDARD.decode(&text).ok();
        let checksum = bytes.and_then(|bytes| Checksum::of(algorithm, &bytes));
        let detail = format!("`{field}` is the checksum's bytes in Base64, most significant first");
        given.push(checksum.ok_or_else(|| Problem::invalid(field, detail))?);
    }
    match given[..] {
        [only] => Ok(only),
        _ => Err(Problem::invalid(
            "checksum_sha256",
            "name one checksum of the file: `checksum_sha256` or `checksum_crc32`",
        )),
    }
}

/// A key under the person's own prefix that nobody has chosen.
fn new_key(person: &PersonId, extension: &str, now: Timestamp) -> Result<ObjectKey, Problem> {
    let day = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    let day = day.strftime("%Y/%m/%d");
    let id = unique_id(now);
    check_prefix(person)?;
    let key = ObjectKey::new(format!("uploads/{person}/{day}/{id}.{extension}"));
    key.map_err(|error| Problem::new(Kind::Forbidden, error.to_string()))
}

/// Whoever has a slash, or dots alone, in their name has no prefix that is theirs alone.
pub(super) fn check_prefix(person: &PersonId) -> Result<(), Problem> {
    let inside = ObjectKey::new(format!("uploads/{person}/x"));
    let owner = inside.ok().as_ref().and_then(owner_of_key);
    if owner.as_deref() == Some(person.as_str()) {
        return Ok(());
    }
    let detail = format!("`{person}` cannot be part of a key, so there is no prefix of theirs");
    Err(Problem::new(Kind::Forbidden, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_767_225_600_000);
    const SHA256: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    fn read(body: &Value, person: &str) -> Result<(Upload, Method), Problem> {
        let fields = Fields::parse(body.to_string().as_bytes()).expect("an object");
        declared(fields, &MediaConfig::default(), &person.into(), NOW)
    }

    #[test]
    fn a_key_is_computed_and_lies_under_the_persons_own_prefix() {
        let body = json!({"content_type": "image/jpeg", "size": 3, "checksum_sha256": SHA256});
        let (upload, method) = read(&body, "민지").expect("declared");
        let key = upload.key.as_str();
        assert!(key.starts_with("uploads/민지/2026/01/01/"), "{key}");
        assert_eq!(
            key.rsplit_once('.').map(|(_, extension)| extension),
            Some("jpg")
        );
        assert_eq!(owner_of_key(&upload.key).as_deref(), Some("민지"));
        assert_eq!(method, Method::Put);
        let (again, _) = read(&body, "민지").expect("declared");
        assert_ne!(upload.key, again.key);
        for stranger in ["minji/2026", "..", ".", "a/../minji"] {
            let problem = read(&body, stranger).expect_err(stranger);
            assert_eq!(problem.kind(), Kind::Forbidden, "{stranger}");
        }
    }

    #[test]
    fn what_cannot_be_declared_is_told_by_its_field() {
        let good = json!({"content_type": "audio/mp4", "size": 3, "checksum_crc32": "NSRBwg=="});
        assert!(read(&good, "minji").is_ok());
        let sound = MediaConfig::default().audio.limits.bytes_max;
        for (field, value, kind) in [
            ("content_type", json!("text/html"), Kind::UnsupportedType),
            ("content_type", json!("image/avif"), Kind::UnsupportedType),
            (
                "content_type",
                json!("image/svg+xml"),
                Kind::UnsupportedType,
            ),
            ("size", json!(0), Kind::InvalidField),
            ("size", json!(-1), Kind::InvalidField),
            ("size", json!(sound + 1), Kind::TooLarge),
            ("checksum_crc32", json!("NSRB"), Kind::InvalidField),
            ("checksum_crc32", json!("not Base64"), Kind::InvalidField),
            ("method", json!("PATCH"), Kind::InvalidField),
            ("key", json!("uploads/grace/a.jpg"), Kind::InvalidField),
        ] {
            let mut body = good.clone();
            body[field] = value;
            let problem = read(&body, "minji").expect_err(field);
            assert_eq!(problem.kind(), kind, "{body}");
            assert_eq!(problem.to_json()["field"], field, "{body}");
        }
        let mut both = good.clone();
        both["checksum_sha256"] = json!(SHA256);
        let mut none = good;
        none.as_object_mut()
            .expect("fields")
            .remove("checksum_crc32");
        for body in [both, none] {
            let problem = read(&body, "minji").expect_err("not one");
            assert_eq!(problem.to_json()["field"], "checksum_sha256", "{body}");
        }
    }
}
