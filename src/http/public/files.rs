//! Files by key: what an object store's own API would be to its clients.

use std::io;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use futures_util::stream;
use iyagi_actors::ports::{LocalFile, ObjectInfo, PutOptions, StoreFault};
use iyagi_messages::media::{DERIVED_PREFIX, owner_of_key};
use iyagi_messages::object::{ObjectKey, Sequencer};
use serde::Serialize;
use utoipa::ToSchema;

use super::quota;
use crate::arriving::Arriving;
use crate::auth::Caller;
use crate::embedded::objects::{EmbeddedObjects, Received};
use crate::http::State;
use crate::http::body;
use crate::http::openapi::parameters::{Bytes, IF_NONE_MATCH, KEY, RANGE};
use crate::http::problem::{Kind, Problem};
use crate::http::range::{self, Wanted};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::http::visible;
use crate::spool;

const PREFIX: &str = "/v1/files/";
/// How often a file is looked at anew that is another one each time it is to be read.
const LOOKS_MAX: u32 = 3;
/// Whoever has a copy asks whether it is still the file.
pub(in crate::http) const ASK_AGAIN: &str = "private, max-age=0";

/// What is said of a file that was stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredFile)]
pub(crate) struct Stored<'a> {
    key: &'a ObjectKey,
    size: u64,
    etag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<&'a Sequencer>,
}

/// Stores a file under a key of the caller's own.
#[utoipa::path(
    put,
    path = "/v1/files/{key}",
    operation_id = "writeFile",
    tag = "files",
    params(("key" = ObjectKey, Path, description = KEY)),
    request_body(
        content = inline(Bytes),
        content_type = "application/octet-stream",
        description = "The file; its `Content-Type` is kept",
    ),
    responses(
        (status = 201, description = "It is stored", body = Stored<'_>, headers(("Location" = String), ("ETag" = String))),
        (status = 200, description = "It is stored in place of another one", body = Stored<'_>, headers(("Location" = String), ("ETag" = String))),
    ),
    extensions(("x-problems" = json!([Kind::InvalidKey, Kind::InvalidField, Kind::ReservedKey, Kind::Forbidden, Kind::StorageFull, Kind::QuotaExceeded])))
)]
pub async fn write(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let key = writable_key(&request, &caller)?;
    let options = PutOptions {
        content_type: content_type(&request)?,
        ..PutOptions::default()
    };
    let _place = state.transfers.place_of(caller.person.as_str()).await;
    let arrived = Arrived::of(&state, &request, payload).await?;
    quota::take(&state, &caller.person, arrived.size()).await?;
    let store = &state.surface.store;
    let known = match store.head(&key).await {
        Ok(_) => true,
        Err(StoreFault::NotFound(_)) => false,
        Err(fault) => return Err(problem_of(&fault)),
    };
    let info = arrived.store(&state, &key, options).await;
    let info = info.map_err(|fault| problem_of(&fault))?;
    let status = if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let at = format!("{PREFIX}{}", response::encoded(info.key.as_str()));
    Ok(HttpResponse::build(status)
        .insert_header((header::LOCATION, at))
        .insert_header((header::ETAG, format!("\"{}\"", info.etag)))
        .json(Stored::of(&info)))
}

/// A body that is not an object yet. It goes to the disk as it comes.
enum Arrived {
    /// Into the store's own folder.
    Here(Arc<EmbeddedObjects>, Received),
    /// Into the spool, for a store that is elsewhere.
    Spooled(LocalFile),
}

impl Arrived {
    async fn of(state: &State, request: &HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let surface = &state.surface;
        let bytes_max = surface.config.media.file_bytes_max;
        let unwritten = |error: io::Error| problem_of(&StoreFault::of_disk(&error));
        if let Some(here) = &surface.one_machine {
            let arriving = here.objects.receive();
            body::pass(request, payload, bytes_max, async |piece| {
                arriving.take(piece).await;
            })
            .await?;
            let received = arriving.end().await.map_err(unwritten)?;
            return Ok(Self::Here(Arc::clone(&here.objects), received));
        }
        let payload = body::refuse_larger(request, payload, bytes_max).await?;
        let room = body::stated(request).unwrap_or(bytes_max);
        let spooled = surface.spool.file(spool::Kind::Upload, room).await;
        let spooled = spooled.map_err(unwritten)?;
        let arriving = Arriving::begin(|coming| spooled.fill(coming, |_| {}));
        body::pass(request, payload, room, async |piece| {
            arriving.take(piece).await;
        })
        .await?;
        arriving.end().await.map_err(unwritten).map(Self::Spooled)
    }

    fn size(&self) -> u64 {
        match self {
            Self::Here(_, received) => received.digests.size,
            Self::Spooled(file) => file.size(),
        }
    }

    async fn store(
        self,
        state: &State,
        key: &ObjectKey,
        options: PutOptions,
    ) -> Result<ObjectInfo, StoreFault> {
        match self {
            Self::Here(objects, received) => objects.put_received(received, key, options).await,
            Self::Spooled(file) => state.surface.store.put_file(key, &file, options).await,
        }
    }
}

impl<'i> Stored<'i> {
    pub(super) fn of(info: &'i ObjectInfo) -> Self {
        Self {
            key: &info.key,
            size: info.size,
            etag: &info.etag,
            version_id: info.version_id.as_deref(),
            sequencer: info.sequencer.as_ref(),
        }
    }
}

/// A file as it was stored.
#[utoipa::path(
    get,
    path = "/v1/files/{key}",
    operation_id = "readFile",
    tag = "files",
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("If-None-Match" = Option<String>, Header, description = IF_NONE_MATCH),
        ("Range" = Option<String>, Header, description = RANGE, example = "bytes=0-65535"),
    ),
    responses(
        (status = 200, description = "The file", body = inline(Bytes), content_type = "*/*", headers(("ETag" = String), ("Cache-Control" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "A part of it", body = inline(Bytes), content_type = "*/*", headers(("ETag" = String), ("Content-Range" = String))),
        (status = 304, description = "The client has it already"),
    ),
    extensions(("x-problems" = json!([Kind::InvalidKey, Kind::NotFound, Kind::NoSuchRange])))
)]
pub async fn read(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let key = request::object_key(request::rest(&request, PREFIX)?)?;
    let missing = || problem_of(&StoreFault::NotFound(key.clone()));
    visible::check_file(&state, &caller, &key, missing).await?;
    send(&state, &request, &key, ASK_AGAIN).await
}

/// Sends a file, or the part of it that is asked for, to whoever does not have it.
pub(in crate::http) async fn send(
    state: &State,
    request: &HttpRequest,
    key: &ObjectKey,
    cache_control: &str,
) -> Result<HttpResponse, Problem> {
    let store = &state.surface.store;
    for _ in 0..LOOKS_MAX {
        let info = store.head(key).await.map_err(|fault| problem_of(&fault))?;
        if response::client_has(request.headers(), &info.etag) {
            return Ok(response::tagged(request, &info.etag, cache_control).finish());
        }
        let part = match range::wanted(request, &info.etag, info.size) {
            Wanted::Whole => None,
            Wanted::Part(part) => Some(part),
            Wanted::Nothing => return Ok(range::nothing(info.size)),
        };
        let pieces = if request.method() == Method::HEAD {
            Some(stream::empty().boxed())
        } else {
            let bytes = part.clone().unwrap_or(0..info.size);
            let opened = store.get_part(&info, bytes).await;
            opened.map_err(|fault| problem_of(&fault))?
        };
        let Some(pieces) = pieces else {
            tracing::debug!(%key, "the file was replaced between a look at it and a read");
            continue;
        };
        let mut response = response::tagged(request, &info.etag, cache_control);
        for header in response::HARMLESS {
            response.insert_header(header);
        }
        let content_type = info.options.content_type.as_deref();
        response.content_type(content_type.unwrap_or("application/octet-stream"));
        return Ok(response::file(&mut response, info.size, part, pieces));
    }
    let reason = format!("`{key}` was replaced {LOOKS_MAX} times while it was to be read");
    Err(problem_of(&StoreFault::Unavailable(reason)))
}

/// Removes a file of the caller's own; one that is not there is removed already.
#[utoipa::path(
    delete,
    path = "/v1/files/{key}",
    operation_id = "removeFile",
    tag = "files",
    params(("key" = ObjectKey, Path, description = KEY)),
    responses((status = 204, description = "It is not there any more")),
    extensions(("x-problems" = json!([Kind::InvalidKey, Kind::ReservedKey, Kind::Forbidden, Kind::StorageFull])))
)]
pub async fn remove(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let key = writable_key(&request, &caller)?;
    let removed = state.surface.store.delete(&key).await;
    removed.map_err(|fault| problem_of(&fault))?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a fault of the store is to a client.
pub(super) fn problem_of(fault: &StoreFault) -> Problem {
    match fault {
        StoreFault::NotFound(key) => {
            Problem::new(Kind::NotFound, format!("there is no file `{key}`"))
        }
        StoreFault::TooLarge { max, .. } => Problem::new(
            Kind::TooLarge,
            format!("the file has more than {max} bytes"),
        ),
        StoreFault::Full(reason) => {
            tracing::error!(reason, "the object store cannot write");
            // A daemon that has to be started again afterwards has ended, and says so itself.
            Problem::new(
                Kind::StorageFull,
                "the object store cannot write: its disk is to be freed",
            )
        }
        StoreFault::Unreadable { reason, .. } | StoreFault::Unavailable(reason) => {
            Problem::internal("the object store", reason)
        }
    }
}

/// A key that the caller may write: one of their own.
fn writable_key(request: &HttpRequest, caller: &Caller) -> Result<ObjectKey, Problem> {
    Query::of(request, &[])?;
    let key = request::object_key(request::rest(request, PREFIX)?)?;
    if key.as_str().starts_with(DERIVED_PREFIX) {
        let detail = format!("keys under {DERIVED_PREFIX} are written by the daemon alone");
        return Err(Problem::new(Kind::ReservedKey, detail).with("field", "key"));
    }
    let person = &caller.person;
    if !caller.is_admin && owner_of_key(&key).as_deref() != Some(person.as_str()) {
        let detail = format!(
            "`{key}` is not yours to write: keys under profile/{person}/ and uploads/{person}/ are"
        );
        return Err(Problem::new(Kind::Forbidden, detail).with("field", "key"));
    }
    Ok(key)
}

fn content_type(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok()
        .filter(|text| text.len() <= 255 && text.contains('/'));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        Problem::invalid(
            "Content-Type",
            "the Content-Type is a media type such as image/jpeg",
        )
    })
}
