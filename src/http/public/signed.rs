//! What a link lets through on one machine, with no token. On AWS, S3 and `CloudFront` do that.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::ports::{ObjectStore, PutOptions, StoreFault};
use iyagi_messages::media::{DERIVED_PREFIX, owner_of_key};
use iyagi_messages::object::ObjectKey;

use super::files::{self, Stored};
use crate::embedded::links::{PATH, READ_PARAMETERS, Terms, UPLOAD_PARAMETERS, read_checksum};
use crate::embedded::objects::{EmbeddedObjects, Received};
use crate::http::State;
use crate::http::body;
use crate::http::openapi::parameters::{Bytes, IF_NONE_MATCH, KEY, RANGE};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::links::{Checksum, Upload};
use crate::surface::OneMachine;

/// A derived file's key names its content and its recipe, so what is behind it never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What a link to read leads to, on one machine.
#[utoipa::path(
    get,
    path = "/v1/signed/{key}",
    operation_id = "followLink",
    tag = "links",
    security(()),
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("expires" = i64, Query, description = "As the link has it"),
        ("signature" = String, Query, description = "As the link has it"),
        ("If-None-Match" = Option<String>, Header, description = IF_NONE_MATCH),
        ("Range" = Option<String>, Header, description = RANGE, example = "bytes=0-65535"),
    ),
    responses(
        (status = 200, description = "The file", body = inline(Bytes), content_type = "*/*", headers(("ETag" = String), ("Cache-Control" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "A part of it", body = inline(Bytes), content_type = "*/*", headers(("ETag" = String), ("Content-Range" = String))),
        (status = 304, description = "The client has it already"),
    ),
    extensions(("x-problems" = json!([
        Kind::UnknownParameter, Kind::InvalidField, Kind::InvalidKey, Kind::LinkRefused, Kind::NotFound, Kind::Elsewhere, Kind::NoSuchRange,
    ])))
)]
pub async fn read(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let here = here(&state)?;
    let query = Query::of(&request, &READ_PARAMETERS)?;
    let key = request::object_key(request::rest(&request, PATH)?)?;
    check(&state, here, &query, &key, None)?;
    let cache_control = if key.as_str().starts_with(DERIVED_PREFIX) {
        FOR_EVER
    } else {
        files::ASK_AGAIN
    };
    files::send(&state, &request, &key, cache_control).await
}

/// Takes exactly what was declared for a link to upload, once, on one machine.
#[utoipa::path(
    put,
    path = "/v1/signed/{key}",
    operation_id = "uploadByLink",
    tag = "links",
    security(()),
    params(
        ("key" = ObjectKey, Path, description = KEY),
        ("expires" = i64, Query, description = "As the link has it"),
        ("type" = String, Query, description = "As the link has it"),
        ("size" = u64, Query, description = "As the link has it"),
        ("checksum" = String, Query, description = "As the link has it"),
        ("signature" = String, Query, description = "As the link has it"),
    ),
    request_body(content = inline(Bytes), content_type = "application/octet-stream", description = "The file, with the declared `Content-Type`"),
    responses((status = 201, description = "It is stored", body = Stored<'_>, headers(("ETag" = String)))),
    extensions(("x-problems" = json!([Kind::UnknownParameter, Kind::InvalidField, Kind::InvalidKey, Kind::NotAsDeclared, Kind::LinkRefused, Kind::Elsewhere, Kind::AlreadyUploaded, Kind::StorageFull])))
)]
pub async fn write(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let here = here(&state)?;
    let upload = match admitted(&state, here, &request).await {
        Ok(upload) => upload,
        Err(problem) => {
            body::discard(payload).await;
            return Err(problem);
        }
    };
    let owner = owner_of_key(&upload.key).unwrap_or_default();
    let _place = state.transfers.place_of(&owner).await;
    let received = receive(&here.objects, payload, &upload).await?;
    let options = PutOptions {
        content_type: Some(upload.content_type.clone()),
        ..PutOptions::default()
    };
    let stored = here.objects.put_received(received, &upload.key, options);
    let stored = stored.await.map_err(|fault| files::problem_of(&fault))?;
    let body = Stored::of(&stored);
    let mut answer = response::json(StatusCode::CREATED, &body);
    let etag = header::HeaderValue::from_str(&format!("\"{}\"", stored.etag));
    let etag = etag.expect("an entity tag is hexadecimal");
    answer.headers_mut().insert(header::ETAG, etag);
    Ok(answer)
}

/// What is let in, found out before a byte of it is read.
async fn admitted(
    state: &State,
    here: &OneMachine,
    request: &HttpRequest,
) -> Result<Upload, Problem> {
    let query = Query::of(request, &UPLOAD_PARAMETERS)?;
    let upload = declared(request, &query)?;
    check(state, here, &query, &upload.key, Some(&upload))?;
    check_headers(request, &upload)?;
    refuse_second(&here.objects, &upload.key).await?;
    Ok(upload)
}

fn here(state: &State) -> Result<&OneMachine, Problem> {
    let here = state.surface.one_machine.as_ref();
    here.ok_or_else(|| {
        let detail = "links lead to S3 or CloudFront themselves where the files lie there";
        Problem::new(Kind::Elsewhere, detail)
    })
}

fn check(
    state: &State,
    here: &OneMachine,
    query: &Query,
    key: &ObjectKey,
    upload: Option<&Upload>,
) -> Result<(), Problem> {
    let refused = |why: String| Problem::new(Kind::LinkRefused, why);
    let expires = query.required("expires")?.parse();
    let terms = Terms {
        key,
        expires: expires.map_err(|_| refused("the link is not as it was made".to_owned()))?,
        upload,
    };
    let now = state.surface.clock.now();
    let checked = here.links.check(&terms, query.required("signature")?, now);
    checked.map_err(|why| refused(why.to_string()))
}

/// What a link says that it lets in. Only its signature makes that true.
fn declared(request: &HttpRequest, query: &Query) -> Result<Upload, Problem> {
    let altered = || Problem::new(Kind::LinkRefused, "the link is not as it was made");
    Ok(Upload {
        key: request::object_key(request::rest(request, PATH)?)?,
        content_type: query.required("type")?.to_owned(),
        size: query.required("size")?.parse().map_err(|_| altered())?,
        checksum: read_checksum(query.required("checksum")?).ok_or_else(altered)?,
    })
}

fn check_headers(request: &HttpRequest, upload: &Upload) -> Result<(), Problem> {
    let sent = |name: &header::HeaderName| {
        let value = request.headers().get(name)?;
        value.to_str().ok()
    };
    let declared = [
        (header::CONTENT_TYPE, upload.content_type.clone()),
        (header::CONTENT_LENGTH, upload.size.to_string()),
    ];
    for (name, declared) in declared {
        if sent(&name) != Some(declared.as_str()) {
            let sent = sent(&name).unwrap_or("nothing");
            let detail = format!("`{name}` was declared as {declared}, and is {sent}");
            return Err(not_as_declared(name.as_str(), detail));
        }
    }
    Ok(())
}

/// As S3 does with `If-None-Match: *`. Two of one link at the same moment write the same bytes.
async fn refuse_second(objects: &EmbeddedObjects, key: &ObjectKey) -> Result<(), Problem> {
    match objects.head(key).await {
        Err(StoreFault::NotFound(_)) => Ok(()),
        Err(fault) => Err(files::problem_of(&fault)),
        Ok(_) => {
            let detail = format!("`{key}` is there already; ask for another upload");
            Err(Problem::new(Kind::AlreadyUploaded, detail))
        }
    }
}

async fn receive(
    objects: &EmbeddedObjects,
    mut payload: Payload,
    upload: &Upload,
) -> Result<Received, Problem> {
    let incoming = objects.receive();
    let mut size = 0;
    let mut arrival = body::Arrival::begin();
    while let Some(piece) = arrival.next(&mut payload).await? {
        size += piece.len() as u64;
        if size > upload.size {
            body::discard(payload).await;
            let detail = format!("more than the declared {} bytes came", upload.size);
            return Err(not_as_declared("content-length", detail));
        }
        incoming.take(piece).await;
    }
    let received = incoming.end().await;
    let received = received.map_err(|error| files::problem_of(&StoreFault::of_disk(&error)))?;
    let digests = &received.digests;
    if digests.size != upload.size {
        let detail = format!(
            "{} of the declared {} bytes came",
            digests.size, upload.size
        );
        return Err(not_as_declared("content-length", detail));
    }
    let came = match upload.checksum {
        Checksum::Crc32(_) => Checksum::Crc32(digests.crc32),
        Checksum::Sha256(_) => Checksum::Sha256(digests.sha256),
    };
    if came != upload.checksum {
        let algorithm = came.algorithm();
        let detail = format!("the {algorithm} of what came is another one than was declared");
        return Err(not_as_declared("checksum", detail));
    }
    Ok(received)
}

fn not_as_declared(field: &str, detail: String) -> Problem {
    Problem::new(Kind::NotAsDeclared, detail).with("field", field)
}
