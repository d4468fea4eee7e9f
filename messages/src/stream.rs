//! Pages of Neptune Streams in the property-graph format (`PG_JSON`), read leniently and written exactly.
//!
//! Source of the shapes: Amazon Neptune User Guide, "Neptune Streams API Response Format" and
//! "Neptune Streams Change Record Formats". The official SDK types event ids as strings while the service
//! sends numbers, so iyagi reads the body itself.

mod known_shape;
mod value;

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;
use thiserror::Error;

pub use value::{DataType, Scalar, TypedValue};

use crate::cursor::Cursor;
use crate::ids::{ElementId, Timestamp};

/// One answer of `GET /propertygraph/stream`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamPage {
    /// The last event in this page.
    #[serde(with = "event_id")]
    pub last_event_id: Cursor,
    /// When the last commit in this page was requested.
    #[serde(default)]
    pub last_trx_timestamp: Timestamp,
    /// `PG_JSON`, or `GREMLIN_JSON` from older engines.
    pub format: String,
    /// Changes in commit order.
    pub records: Vec<StreamRecord>,
    /// Number of records in this page.
    pub total_records: u64,
}

impl StreamPage {
    /// Reads the body of a 200.
    ///
    /// Pages are nearly all of one shape, which is read in one pass; whatever is not of it is read leniently.
    pub fn parse(body: &[u8]) -> Result<Self, UnknownShape> {
        match known_shape::read(body) {
            Some(page) => Ok(page),
            None => Self::parse_leniently(body),
        }
    }

    fn parse_leniently(body: &[u8]) -> Result<Self, UnknownShape> {
        let page: Self = serde_json::from_slice(body).map_err(|error| UnknownShape {
            reason: error.to_string(),
            excerpt: excerpt(body),
        })?;
        if matches!(page.format.as_str(), "PG_JSON" | "GREMLIN_JSON") {
            Ok(page)
        } else {
            Err(UnknownShape {
                reason: format!("format `{}` is not PG_JSON", page.format),
                excerpt: excerpt(body),
            })
        }
    }
}

/// A page that is not a property-graph stream page.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("unknown shape of stream page: {reason}; it begins with `{excerpt}`")]
pub struct UnknownShape {
    /// What the parser expected.
    pub reason: String,
    /// The first bytes of the body.
    pub excerpt: String,
}

/// Enough of a body to recognise what it is, and not so much that a log line becomes unreadable.
const EXCERPT_BYTES_MAX: usize = 200;

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES_MAX)]).into_owned()
}

/// One statement added to or removed from the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamRecord {
    /// When the commit was requested; absent from old engines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_timestamp: Option<Timestamp>,
    /// Where in the log this record is.
    #[serde(with = "event_id")]
    pub event_id: Cursor,
    /// The statement.
    pub data: RecordData,
    /// Whether the statement was added or removed.
    pub op: Op,
    /// True on the last operation of a commit, absent elsewhere and from old engines.
    #[serde(default, deserialize_with = "truthy", skip_serializing_if = "is_false")]
    pub is_last_op: bool,
}

/// Whether a statement was added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Op {
    /// The statement now holds.
    Add,
    /// The statement no longer holds.
    Remove,
}

/// A statement about a vertex or an edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordData {
    /// The vertex or edge.
    #[serde(deserialize_with = "text_or_number")]
    pub id: ElementId,
    /// What is said of it.
    #[serde(rename = "type")]
    pub kind: RecordKind,
    /// `label`, or the property's name.
    pub key: SmolStr,
    /// The label or the property's value.
    pub value: TypedValue,
    /// Source vertex, on edges.
    #[serde(
        default,
        deserialize_with = "optional_text_or_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub from: Option<ElementId>,
    /// Target vertex, on edges.
    #[serde(
        default,
        deserialize_with = "optional_text_or_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub to: Option<ElementId>,
}

/// What a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// A vertex's label.
    #[serde(rename = "vl")]
    VertexLabel,
    /// A vertex's property.
    #[serde(rename = "vp")]
    VertexProperty,
    /// An edge and its label.
    #[serde(rename = "e")]
    Edge,
    /// An edge's property.
    #[serde(rename = "ep")]
    EdgeProperty,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// `isLastOp` is a boolean; AWS's own consumers also compare it with the text `true`.
fn truthy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Ok(flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        Value::Null => Ok(false),
        other => Err(de::Error::custom(format!(
            "isLastOp is {other}, not a boolean"
        ))),
    }
}

struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = ElementId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an element id as text or number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ElementId, E> {
        Ok(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<ElementId, E> {
        Ok(text.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ElementId, E> {
        Ok(number.to_string().into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ElementId, E> {
        Ok(number.to_string().into())
    }
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ElementId, D::Error> {
    deserializer.deserialize_any(TextOrNumber)
}

fn optional_text_or_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ElementId>, D::Error> {
    #[derive(Deserialize)]
    struct Wrapped(#[serde(deserialize_with = "text_or_number")] ElementId);
    Option::<Wrapped>::deserialize(deserializer).map(|id| id.map(|Wrapped(id)| id))
}

/// Event ids are objects of numbers; the SDK's model says strings, and an old example says `"1:1"`. All are read.
mod event_id {
    use super::{Cursor, Deserialize, Deserializer, Visitor, de, fmt};
    use serde::{Serialize, Serializer};

    /// A number, also as text. Never by way of a float, which ends at 2^53.
    struct Number(u64);

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(NumberVisitor)
        }
    }

    struct NumberVisitor;

    impl Visitor<'_> for NumberVisitor {
        type Value = Number;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number from 0 on, as number or text")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
            Ok(Number(number))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
            let number = text.parse().map(Number);
            number.map_err(|_| E::custom(format!("`{text}` is not a number")))
        }
    }

    #[derive(Deserialize)]
    #[serde(field_identifier)]
    enum Part {
        #[serde(rename = "commitNum")]
        Commit,
        #[serde(rename = "opNum")]
        Op,
        #[serde(other)]
        Unknown,
    }

    /// Written by hand, because every record has one: the derived way keeps all of it before it looks at any.
    struct EventIdVisitor;

    impl<'de> Visitor<'de> for EventIdVisitor {
        type Value = Cursor;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an event id, as an object of commitNum and opNum or as `commit:op`")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Cursor, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut parts: A) -> Result<Cursor, A::Error> {
            let (mut commit, mut op) = (None, None);
            while let Some(part) = parts.next_key()? {
                match part {
                    Part::Commit => commit = Some(parts.next_value::<Number>()?.0),
                    Part::Op => op = Some(parts.next_value::<Number>()?.0),
                    Part::Unknown => drop(parts.next_value::<de::IgnoredAny>()?),
                }
            }
            Ok(Cursor {
                commit: commit.ok_or_else(|| de::Error::missing_field("commitNum"))?,
                op: op.ok_or_else(|| de::Error::missing_field("opNum"))?,
            })
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Cursor, D::Error> {
        d.deserialize_any(EventIdVisitor)
    }

    pub(super) fn serialize<S: Serializer>(cursor: &Cursor, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            commit_num: u64,
            op_num: u64,
        }
        Wire {
            commit_num: cursor.commit,
            op_num: cursor.op,
        }
        .serialize(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(event_id: &Value, element: &Value, last: &Value) -> Value {
        json!({
            "lastEventId": event_id, "lastTrxTimestamp": 1_700_000_000_000_i64, "format": "PG_JSON",
            "records": [{
                "eventId": event_id, "commitTimestamp": 1_700_000_000_000_i64, "op": "ADD",
                "isLastOp": last, "somethingNew": 1,
                "data": {"id": element, "type": "vl", "key": "label",
                         "value": {"value": "Person", "dataType": "String"}},
            }],
            "totalRecords": 1,
        })
    }

    #[test]
    fn reads_every_published_form_of_event_id_and_element_id() {
        let forms = [
            json!({"commitNum": 7, "opNum": 2}),
            json!({"commitNum": "7", "opNum": "2"}),
            json!("7:2"),
        ];
        for form in &forms {
            for element in [json!("768"), json!(768)] {
                let body = page(form, &element, &json!("true")).to_string();
                let parsed = StreamPage::parse(body.as_bytes()).expect("parses");
                assert_eq!(parsed.records[0].event_id, Cursor::new(7, 2));
                assert_eq!(parsed.records[0].data.id.as_str(), "768");
                assert!(parsed.records[0].is_last_op);
            }
        }
    }

    #[test]
    fn a_commit_number_beyond_two_to_the_53_survives() {
        let big = (1_u64 << 53) + 1;
        let body = page(
            &json!({"commitNum": big, "opNum": 1}),
            &json!("v"),
            &json!(true),
        );
        let parsed = StreamPage::parse(body.to_string().as_bytes()).expect("parses");
        assert_eq!(parsed.last_event_id.commit, big);
    }

    #[test]
    fn writes_numbers_as_the_service_does() {
        let body = page(&json!("7:2"), &json!("v"), &json!(true)).to_string();
        let parsed = StreamPage::parse(body.as_bytes()).expect("parses");
        let written = serde_json::to_value(&parsed).expect("serialises");
        assert_eq!(
            written["records"][0]["eventId"],
            json!({"commitNum": 7, "opNum": 2})
        );
        assert_eq!(written["records"][0]["isLastOp"], json!(true));
        assert!(written["records"][0]["data"].get("from").is_none());
    }

    #[test]
    fn a_page_of_unknown_shape_says_why_and_shows_its_beginning() {
        let error = StreamPage::parse(br#"{"stmt": "<a> <b> <c> ."}"#).unwrap_err();
        assert!(error.to_string().contains("lastEventId"), "{error}");
        assert!(error.excerpt.contains("stmt"));
        let sparql = json!({"lastEventId": {"commitNum": 1, "opNum": 1}, "format": "NQUADS",
                            "records": [], "totalRecords": 0});
        let error = StreamPage::parse(sparql.to_string().as_bytes()).unwrap_err();
        assert!(error.reason.contains("NQUADS"));
    }
}
