//! Many documents in one request, and what became of each.

use std::ops::Range;

use iyagi_actors::ports::{Outcome, Rejection, RejectionClass, SearchFault};
use iyagi_search::projection::Write;
use serde_json::{Value, json};

use super::schema::{self, Predicates};
use super::transport::reason;

/// What one request may have, as AWS advises and its smaller instances demand.
pub(super) const BYTES_MAX: usize = 5 << 20;
pub(super) const DOCUMENTS_MAX: usize = 1_000;

/// Which documents a write takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Older ones.
    Older,
    /// Older ones, and the same.
    OlderOrSame,
}

/// A part of many writes.
pub(super) struct Request {
    /// Which of them.
    pub(super) writes: Range<usize>,
    pub(super) lines: Vec<u8>,
}

/// Writes as requests, none of which has too much.
pub(super) fn requests(
    index: &str,
    writes: &[&Write],
    over: Over,
    predicates: Predicates,
) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for (at, write) in writes.iter().enumerate() {
        let lines = lines(index, write, over, predicates);
        match requests.last_mut() {
            Some(last)
                if last.writes.len() < DOCUMENTS_MAX
                    && last.lines.len() + lines.len() <= BYTES_MAX =>
            {
                last.writes.end = at + 1;
                last.lines.extend(lines);
            }
            _ => requests.push(Request {
                writes: at..at + 1,
                lines,
            }),
        }
    }
    requests
}

fn lines(index: &str, write: &Write, over: Over, predicates: Predicates) -> Vec<u8> {
    let about = json!({
        "_index": index,
        "_id": write.id().to_string(),
        "version": write.version().number(),
        "version_type": match over {
            Over::Older => "external",
            Over::OlderOrSame => "external_gte",
        },
    });
    let mut lines = match write {
        Write::Index(_) => json!({"index": about}),
        Write::Delete { .. } => json!({"delete": about}),
    }
    .to_string();
    lines.push('\n');
    if let Write::Index(standing) = write {
        lines += &schema::body(&standing.document, predicates).to_string();
        lines.push('\n');
    }
    lines.into_bytes()
}

/// What became of each write of a request, by the service's answer to it.
pub(super) fn outcomes(answer: &Value, writes: &[&Write]) -> Result<Vec<Outcome>, SearchFault> {
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.len() != writes.len() {
        let (asked, told) = (writes.len(), items.len());
        let reason = format!("of {asked} documents the answer tells what became of {told}");
        return Err(SearchFault::Unavailable(reason));
    }
    let paired = items.iter().zip(writes);
    paired.map(|(item, write)| outcome(item, write)).collect()
}

fn outcome(item: &Value, write: &Write) -> Result<Outcome, SearchFault> {
    let (action, is_delete) = match write {
        Write::Index(_) => ("index", false),
        Write::Delete { .. } => ("delete", true),
    };
    let item = &item[action];
    let told = || format!("document {}: {}", write.id(), reason(item));
    let gone = is_delete && item.get("error").is_none();
    match item["status"].as_u64().unwrap_or_default() {
        200..=299 => Ok(Outcome::Written),
        // It was not there.
        404 if gone => Ok(Outcome::Written),
        409 => Ok(Outcome::Newer),
        429 | 500..=599 => Ok(Outcome::Throttled),
        401 | 403 => Err(SearchFault::Refused(told())),
        404 => Err(SearchFault::Unavailable(told())),
        400..=499 => Ok(Outcome::Rejected(Rejection {
            class: class_of(item),
            detail: reason(item),
        })),
        _ => Err(SearchFault::Unavailable(format!("no status; {}", told()))),
    }
}

/// Of what is wrong with a document, how it is mended. A limit on properties is told of as a wrong argument.
fn class_of(item: &Value) -> RejectionClass {
    match item["error"]["type"].as_str() {
        Some(
            "mapper_parsing_exception"
            | "document_parsing_exception"
            | "strict_dynamic_mapping_exception"
            | "illegal_argument_exception",
        ) => RejectionClass::Mapping,
        _ => RejectionClass::Refused,
    }
}
