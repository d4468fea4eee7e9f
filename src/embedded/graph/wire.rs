//! The change log as Neptune serves it: `GET /propertygraph/stream`, `/pg/stream` and `/gremlin/stream`.
//!
//! A handler passes the query string on and sends back what it gets. Stored records go into the body as they are.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use iyagi_actors::ports::{Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use rusqlite::Connection;
use serde::Serialize;
use uuid::{NoContext, Uuid};

use super::EmbeddedGraph;
use super::log::{self, LIMIT_MAX};

/// Paths that are served alike; the last is the name of engines before 1.1.
pub const PATHS: [&str; 3] = ["/propertygraph/stream", "/pg/stream", "/gremlin/stream"];
/// Type of every answer's body.
pub const CONTENT_TYPE: &str = "application/json";

/// Records in a page that names no limit.
const LIMIT_DEFAULT: u32 = 10;

/// An answer, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `gzip`, or nothing if the body is plain.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamQuery {
    /// Where the page begins.
    pub position: Position,
    /// Most records in the page.
    pub limit: u32,
}

impl StreamQuery {
    /// Reads a raw query string, without its `?`. Parameters that the stream does not know are ignored.
    pub fn parse(query: &str) -> Result<Self, StreamFault> {
        let mut parameters = Parameters::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => parameters.limit = Some(number("limit", &value)?),
                "iteratorType" => parameters.iterator = Some(value.into_owned()),
                "commitNum" => parameters.commit = Some(number("commitNum", &value)?),
                "opNum" => parameters.op = Some(number("opNum", &value)?),
                _ => {}
            }
        }
        parameters.into_query()
    }
}

#[derive(Default)]
struct Parameters {
    limit: Option<u64>,
    iterator: Option<String>,
    commit: Option<u64>,
    op: Option<u64>,
}

impl Parameters {
    fn into_query(self) -> Result<StreamQuery, StreamFault> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT.into());
        let limit = u32::try_from(limit)
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| invalid(format!("limit must be between 1 and {LIMIT_MAX}")))?;
        let iterator = self.iterator.as_deref().unwrap_or("AT_SEQUENCE_NUMBER");
        let cursor = || match self.commit {
            Some(commit) => Ok(Cursor::new(commit, self.op.unwrap_or(1))),
            None => Err(invalid(format!(
                "commitNum is required for iteratorType {iterator}"
            ))),
        };
        let position = match iterator {
            "AT_SEQUENCE_NUMBER" => Position::At(cursor()?),
            "AFTER_SEQUENCE_NUMBER" => Position::After(cursor()?),
            "TRIM_HORIZON" => Position::TrimHorizon,
            "LATEST" => Position::Latest,
            unknown => {
                return Err(invalid(format!(
                    "iteratorType {unknown} is not one of AT_SEQUENCE_NUMBER, \
                     AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST"
                )));
            }
        };
        Ok(StreamQuery { position, limit })
    }
}

/// Every number is a `long` that is not negative.
fn number(name: &str, value: &str) -> Result<u64, StreamFault> {
    value
        .parse::<i64>()
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| {
            invalid(format!(
                "{name} must be a whole number from 0 to {}",
                i64::MAX
            ))
        })
}

fn invalid(reason: String) -> StreamFault {
    StreamFault::InvalidRequest(reason)
}

impl EmbeddedGraph {
    /// Answers a request by its raw query string, without `?`.
    pub async fn answer(&self, query: &str, accept_gzip: bool) -> WireAnswer {
        match self.page_body(query, accept_gzip).await {
            Ok(body) => WireAnswer {
                status: 200,
                content_encoding: accept_gzip.then_some("gzip"),
                body,
            },
            Err(fault) => self.error_answer(&fault),
        }
    }

    async fn page_body(&self, query: &str, gzip: bool) -> Result<Vec<u8>, StreamFault> {
        if !self.stream_enabled() {
            return Err(StreamFault::Disabled);
        }
        let StreamQuery { position, limit } = StreamQuery::parse(query)?;
        let read = move |connection: &Connection| {
            let page = log::split(page_json(connection, position, limit))?;
            // Compression takes longer than the read: it stays on the same blocking thread.
            Ok(page.and_then(|page| {
                if gzip {
                    compress(&page)
                } else {
                    Ok(page.into_bytes())
                }
            }))
        };
        self.database
            .read(read)
            .await
            .map_err(|error| StreamFault::Unreachable(error.to_string()))?
    }

    fn error_answer(&self, fault: &StreamFault) -> WireAnswer {
        let (status, code) = status_and_code(fault);
        if status == 500 {
            tracing::error!(%fault, "a stream page could not be read");
        }
        let message = message(fault);
        let error = ErrorBody {
            detailed_message: &message,
            request_id: self.request_id(),
            code,
            message: &message,
        };
        WireAnswer {
            status,
            content_encoding: None,
            body: serde_json::to_vec(&error).expect("texts are always JSON"),
        }
    }

    fn request_id(&self) -> Uuid {
        let ms = self.clock.now().0.max(0).unsigned_abs();
        let nanos = (ms % 1000) as u32 * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, ms / 1000, nanos))
    }
}

fn page_json(
    connection: &Connection,
    position: Position,
    limit: u32,
) -> Result<String, log::ReadFault> {
    let mut records = String::new();
    let end = log::read_page(connection, position, limit, |record| {
        let before = records.len();
        if before > 0 {
            records.push(',');
        }
        record.write_json(&mut records);
        Ok(records.len() - before)
    })?;
    let (last, at, total) = (end.last, end.at.0, end.records);
    Ok(format!(
        concat!(
            r#"{{"lastEventId":{{"commitNum":{},"opNum":{}}},"lastTrxTimestamp":{},"#,
            r#""format":"PG_JSON","records":[{}],"totalRecords":{}}}"#
        ),
        last.commit, last.op, at, records, total
    ))
}

fn compress(page: &str) -> Result<Vec<u8>, StreamFault> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(page.as_bytes())
        .and_then(|()| encoder.finish())
        .map_err(|error| StreamFault::Unreachable(error.to_string()))
}

/// The service's own error body, in its order of keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    detailed_message: &'a str,
    request_id: Uuid,
    code: &'static str,
    message: &'a str,
}

fn status_and_code(fault: &StreamFault) -> (u16, &'static str) {
    match fault {
        StreamFault::NotFound { .. } => (404, "StreamRecordsNotFoundException"),
        StreamFault::Expired => (400, "ExpiredStreamException"),
        StreamFault::Disabled => (400, "UnsupportedOperationException"),
        StreamFault::InvalidRequest(_) => (400, "InvalidParameterException"),
        StreamFault::Denied(_) => (403, "AccessDeniedException"),
        StreamFault::Throttled => (500, "ThrottlingException"),
        StreamFault::MemoryLimit => (500, "MemoryLimitExceededException"),
        StreamFault::Unparsable(_) | StreamFault::Unreachable(_) => {
            (500, "InternalFailureException")
        }
    }
}

fn message(fault: &StreamFault) -> String {
    match fault {
        StreamFault::NotFound { last_valid: None } => {
            "Requested startEventId is from the future.".to_owned()
        }
        StreamFault::NotFound {
            last_valid: Some(last),
        } => format!(
            "Requested startEventId is from the future. \
             Last valid eventId is [commitNum = {}, opNum = {}]",
            last.commit, last.op
        ),
        StreamFault::Expired => "Requested startEventId has expired.".to_owned(),
        StreamFault::Disabled => "Neptune Streams is not enabled.".to_owned(),
        StreamFault::InvalidRequest(reason) => reason.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_at_sequence_number_operation_one_and_ten_records() {
        let query = StreamQuery {
            position: Position::At(Cursor::new(5, 1)),
            limit: 10,
        };
        assert_eq!(StreamQuery::parse("commitNum=5"), Ok(query));
        let query = StreamQuery::parse("iteratorType=LATEST&commitNum=9&new=1").expect("parses");
        assert_eq!(query.position, Position::Latest);
        let probe = StreamQuery::parse("commitNum=9223372036854775807&limit=1").expect("parses");
        assert_eq!(
            probe.position,
            Position::At(Cursor::new(i64::MAX as u64, 1))
        );
    }

    #[test]
    fn a_parameter_out_of_range_is_named() {
        for (query, name) in [
            ("", "commitNum"),
            ("iteratorType=AFTER_SEQUENCE_NUMBER", "commitNum"),
            ("commitNum=9223372036854775808", "commitNum"),
            ("commitNum=-1", "commitNum"),
            ("commitNum=1&opNum=x", "opNum"),
            ("iteratorType=LATEST&limit=0", "limit"),
            ("iteratorType=LATEST&limit=100001", "limit"),
            ("iteratorType=LATEST&limit=", "limit"),
            ("iteratorType=latest", "iteratorType"),
        ] {
            match StreamQuery::parse(query) {
                Err(StreamFault::InvalidRequest(reason)) => {
                    assert!(reason.contains(name), "{reason}");
                }
                other => panic!("{query}: {other:?}"),
            }
        }
    }
}
