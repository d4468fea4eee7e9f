//! What many answers have in common: JSON, entity tags, choice of representation, bounded bodies, streams of events, routes.

use std::convert::Infallible;
use std::future::ready;
use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use actix_web::{Route, guard};
use futures_util::stream;
use iyagi_actors::ports::Pieces;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::problem::Problem;
use super::request;
/// A key or an id as it stands in a path, slashes kept.
pub use crate::links::escaped as encoded;

/// Enough of a digest that two contents of one key never share it.
const DIGEST_BYTES: usize = 12;

/// A JSON answer that nobody keeps.
pub fn json(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(value)
}

/// A JSON answer of 200.
pub fn ok(value: &impl Serialize) -> HttpResponse {
    json(StatusCode::OK, value)
}

/// Server-sent events as they come, until whoever sends them ends. `place` is given up with the connection, which may outlast
/// whoever fills it.
pub fn event_stream<P: 'static>(events: mpsc::Receiver<Bytes>, place: P) -> HttpResponse {
    let pieces = stream::unfold((events, place), |(mut events, place)| async move {
        let piece = events.recv().await?;
        Some((Ok::<_, Infallible>(piece), (events, place)))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(pieces))
}

/// A short digest of `parts`, for entity tags and versions in links.
pub fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    request::hexadecimal(&digest[..DIGEST_BYTES])
}

/// Begins an answer with an entity tag: 304 if the client has it already, 200 otherwise.
pub fn tagged(request: &HttpRequest, etag: &str, cache_control: &str) -> HttpResponseBuilder {
    let status = if client_has(request.headers(), etag) {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let mut response = HttpResponse::build(status);
    response.insert_header((header::ETAG, format!("\"{etag}\"")));
    response.insert_header((header::CACHE_CONTROL, cache_control));
    response
}

/// Whether `If-None-Match` names the entity tag, strongly or weakly.
pub fn client_has(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH);
    let mut named = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    named.any(|one| {
        let one = one.trim();
        let opaque = one.strip_prefix("W/").unwrap_or(one).trim_matches('"');
        one == "*" || opaque == etag
    })
}

/// How much the client wants a media type, from 0 to 1,000, and whether it names it.
pub fn wanted(headers: &HeaderMap, media_type: &str) -> (u16, bool) {
    let mut lists = headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if lists.peek().is_none() {
        return (1_000, false);
    }
    let family = media_type.split('/').next().unwrap_or_default();
    let mut best = (0, 0);
    for range in lists.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specificity = if name == media_type {
            3
        } else if name.strip_suffix("/*") == Some(family) {
            2
        } else if name == "*/*" {
            1
        } else {
            continue;
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1.0, |text| text.parse().unwrap_or(0.0f32).clamp(0.0, 1.0));
        if specificity > best.0 {
            best = (specificity, (quality * 1_000.0) as u16);
        }
    }
    (best.1, best.0 == 3)
}

/// Whether the client takes gzip.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING);
    let mut codings = codings
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|part| {
            let quality = part
                .strip_prefix("q=")
                .and_then(|text| text.parse::<f32>().ok());
            quality == Some(0.0)
        });
        gzip && !refused
    })
}

/// Begins to send a file of `size` bytes, or the `part` that was asked for, in pieces as the client takes them.
pub fn file(
    response: &mut HttpResponseBuilder,
    size: u64,
    part: Option<Range<u64>>,
    pieces: Pieces,
) -> HttpResponse {
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    let mut length = size;
    if let Some(part) = part {
        let sent = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        response
            .status(StatusCode::PARTIAL_CONTENT)
            .insert_header((header::CONTENT_RANGE, sent));
        length = part.end - part.start;
    }
    response.body(SizedStream::new(length, pieces))
}

/// Content that people uploaded must not run as a page of ours.
pub const HARMLESS: [(HeaderName, &str); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    ),
];

/// A route of GET, which answers HEAD too.
pub fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route()
        .guard(guard::Any(guard::Get()).or(guard::Head()))
        .to(handler)
}

/// Answers every other method.
pub fn otherwise(allowed: &'static str) -> Route {
    web::to(move || ready(Err::<HttpResponse, _>(Problem::method_not_allowed(allowed))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))]
            .into_iter()
            .collect()
    }

    #[test]
    fn an_entity_tag_is_found_in_every_spelling() {
        for value in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(
                client_has(&headers(header::IF_NONE_MATCH, value), "abc"),
                "{value}"
            );
        }
        assert!(!client_has(
            &headers(header::IF_NONE_MATCH, "\"abcd\""),
            "abc"
        ));
        assert!(!client_has(&HeaderMap::new(), "abc"));
    }

    #[test]
    fn the_most_specific_range_decides() {
        let want = |accept, media_type| wanted(&headers(header::ACCEPT, accept), media_type);
        assert_eq!(want("image/webp,*/*;q=0.5", "image/webp"), (1_000, true));
        assert_eq!(want("image/webp,*/*;q=0.5", "image/jpeg"), (500, false));
        assert_eq!(want("image/*, image/webp;q=0", "image/webp"), (0, true));
        assert_eq!(want("text/html", "image/jpeg"), (0, false));
        assert_eq!(wanted(&HeaderMap::new(), "image/jpeg"), (1_000, false));
    }

    #[test]
    fn gzip_can_be_refused() {
        assert!(takes_gzip(&headers(
            header::ACCEPT_ENCODING,
            "br, gzip;q=0.5"
        )));
        assert!(!takes_gzip(&headers(
            header::ACCEPT_ENCODING,
            "gzip;q=0, identity"
        )));
    }
}
