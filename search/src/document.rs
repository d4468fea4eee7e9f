//! What is indexed: one document a vertex or edge, in the shape that Neptune's own full-text search reads.
//!
//! Source of the shape: Amazon Neptune User Guide, "Neptune Full-Text Search: Document Model". `owner` is iyagi's own;
//! Neptune asks for `predicates.…` only and never sees it.

use std::collections::BTreeMap;
use std::fmt;

use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::stream::{DataType, Scalar, TypedValue};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// `_id`: the MD5 of `v://` or `e://` and the element's id. Written in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId([u8; 16]);

impl DocumentId {
    /// Of a vertex or edge.
    pub fn of(kind: ElementKind, element: &ElementId) -> Self {
        let scheme = match kind {
            ElementKind::Vertex => "v://",
            ElementKind::Edge => "e://",
        };
        let digest = Md5::new()
            .chain_update(scheme)
            .chain_update(element.as_str());
        Self(digest.finalize().into())
    }

    /// The sixteen bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As of which operation of the change log a document is: commit and operation in one number, because that is what an
/// external version of OpenSearch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u64);

/// Bits of the operation; the other 43 that a positive `long` has are the commit's.
const OPERATION_BITS: u32 = 20;
const COMMIT_BITS: u32 = 63 - OPERATION_BITS;

/// An operation that has no version.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error(
    "operation {0} has no document version: commits below 2^{COMMIT_BITS} of less than 2^{OPERATION_BITS} operations \
     have. Split what writes the graph, then rebuild the index"
)]
pub struct Unversioned(pub Cursor);

impl Version {
    /// That of an operation.
    pub fn of(operation: Cursor) -> Result<Self, Unversioned> {
        if operation.commit >> COMMIT_BITS != 0 || operation.op >> OPERATION_BITS != 0 {
            return Err(Unversioned(operation));
        }
        Ok(Self((operation.commit << OPERATION_BITS) | operation.op))
    }

    /// The operation that has it.
    pub fn operation(self) -> Cursor {
        let op = self.0 & ((1 << OPERATION_BITS) - 1);
        Cursor::new(self.0 >> OPERATION_BITS, op)
    }

    /// As an index keeps it.
    pub fn number(self) -> u64 {
        self.0
    }

    /// From what an index kept.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// A vertex or an edge with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The element.
    pub entity_id: ElementId,
    /// Its labels.
    pub entity_type: Vec<String>,
    /// Vertex or edge.
    pub document_type: ElementKind,
    /// Its properties by name, each with all its values.
    pub predicates: BTreeMap<String, Vec<PropertyValue>>,
    /// Who made it: once for each edge that says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner: Vec<PersonId>,
}

/// One value of a property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyValue {
    /// The value. A date is text: `YYYY-MM-DDTHH:MM:SS.mmm`, in UTC.
    pub value: Value,
    /// The graph's name of its type; none for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datatype: Option<String>,
}

/// A value that no document can hold.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("`{value}` is no value of type {datatype} that can be indexed")]
pub struct Unindexable {
    /// The value.
    pub value: String,
    /// What the graph says that it is.
    pub datatype: String,
}

impl Document {
    /// One of which nothing is known.
    pub fn new(kind: ElementKind, element: ElementId) -> Self {
        Self {
            entity_id: element,
            entity_type: Vec::new(),
            document_type: kind,
            predicates: BTreeMap::new(),
            owner: Vec::new(),
        }
    }

    /// Its place in the index.
    pub fn id(&self) -> DocumentId {
        DocumentId::of(self.document_type, &self.entity_id)
    }

    /// Whether nothing is known any more: then there is no such document.
    pub fn is_empty(&self) -> bool {
        self.entity_type.is_empty() && self.predicates.is_empty() && self.owner.is_empty()
    }

    /// What is searched: each text with the property that holds it.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.predicates.iter().flat_map(|(property, values)| {
            let texts = values.iter().filter(|value| value.datatype.is_none());
            texts.filter_map(|text| Some((property.as_str(), text.value.as_str()?)))
        })
    }
}

impl PropertyValue {
    /// A property's value as a document holds it. Numbers and dates come as numbers or as text.
    pub fn of(typed: &TypedValue) -> Result<Self, Unindexable> {
        let value = match typed.data_type {
            DataType::String => Some(Value::from(typed.text())),
            DataType::Byte | DataType::Short | DataType::Int | DataType::Long => {
                whole_number(&typed.value).map(Value::from)
            }
            // JSON has no `NaN` and no infinities.
            DataType::Float | DataType::Double => number(&typed.value)
                .and_then(serde_json::Number::from_f64)
                .map(Value::from),
            DataType::Bool | DataType::Boolean => truth(&typed.value).map(Value::from),
            DataType::Date | DataType::DateTime => {
                whole_number(&typed.value).and_then(date).map(Value::from)
            }
            DataType::Other(_) => None,
        };
        let value = value.ok_or_else(|| Unindexable {
            value: typed.text().into_owned(),
            datatype: typed.data_type.to_string(),
        })?;
        let datatype = (typed.data_type != DataType::String).then(|| typed.data_type.to_string());
        Ok(Self { value, datatype })
    }
}

fn whole_number(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Number(number) => number.as_i64(),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn number(value: &Scalar) -> Option<f64> {
    match value {
        Scalar::Number(number) => number.as_f64(),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn truth(value: &Scalar) -> Option<bool> {
    match value {
        Scalar::Bool(truth) => Some(*truth),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn date(millis: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(millis).ok()?;
    let at = at.to_zoned(TimeZone::UTC);
    Some(at.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn typed(data_type: &str, value: Value) -> TypedValue {
        TypedValue {
            value: value.into(),
            data_type: data_type.into(),
        }
    }

    #[test]
    fn the_id_is_neptunes() {
        // `printf v://151 | md5sum`
        let id = DocumentId::of(ElementKind::Vertex, &"151".into());
        assert_eq!(id.to_string(), "723c31fc529b23952d1f21b165a8f437");
        assert_ne!(id, DocumentId::of(ElementKind::Edge, &"151".into()));
    }

    #[test]
    fn a_document_is_written_as_neptune_reads_it() {
        let mut document = Document::new(ElementKind::Vertex, "151".into());
        document.entity_type = vec!["label1".to_owned(), "label2".to_owned()];
        let values = [typed("String", json!("v1")), typed("String", json!("v2"))];
        let values = values
            .iter()
            .map(|value| PropertyValue::of(value).expect("a value"));
        document
            .predicates
            .insert("name".to_owned(), values.collect());
        let age = PropertyValue::of(&typed("Int", json!(42))).expect("a value");
        document.predicates.insert("age".to_owned(), vec![age]);
        let expected = json!({
            "entity_id": "151", "entity_type": ["label1", "label2"], "document_type": "vertex",
            "predicates": {"name": [{"value": "v1"}, {"value": "v2"}], "age": [{"value": 42, "datatype": "Int"}]},
        });
        assert_eq!(serde_json::to_value(&document).expect("JSON"), expected);
        let texts: Vec<_> = document.texts().collect();
        assert_eq!(texts, [("name", "v1"), ("name", "v2")]);
    }

    #[test]
    fn values_come_as_numbers_or_text_and_are_held_as_what_they_are() {
        for (data_type, value, expected) in [
            (
                "Long",
                json!("9007199254740993"),
                json!(9_007_199_254_740_993_i64),
            ),
            ("Double", json!("1.5"), json!(1.5)),
            ("Boolean", json!("true"), json!(true)),
            (
                "Date",
                json!(1_634_710_497_743_i64),
                json!("2021-10-20T06:14:57.743"),
            ),
            (
                "Date",
                json!("1634710497743"),
                json!("2021-10-20T06:14:57.743"),
            ),
        ] {
            let value = PropertyValue::of(&typed(data_type, value)).expect("a value");
            assert_eq!(
                (value.value, value.datatype.as_deref()),
                (expected, Some(data_type))
            );
        }
    }

    #[test]
    fn what_no_document_can_hold_is_refused_by_name() {
        for (data_type, value) in [
            ("Int", json!("many")),
            ("Double", json!("NaN")),
            ("Date", json!(i64::MAX)),
            ("Geometry", json!("POINT(0 0)")),
        ] {
            let refused = PropertyValue::of(&typed(data_type, value)).unwrap_err();
            assert!(refused.to_string().contains(data_type), "{refused}");
        }
    }

    #[test]
    fn versions_are_in_the_order_of_the_log_and_end_where_a_long_does() {
        let version = |commit, op| Version::of(Cursor::new(commit, op));
        let log = [(1, 1), (1, 2), (1, (1 << 20) - 1), (2, 1)];
        assert!(log.map(|(commit, op)| version(commit, op).ok()).is_sorted());
        let last = version((1 << 43) - 1, (1 << 20) - 1).expect("a version");
        assert_eq!(last.number(), i64::MAX as u64);
        assert_eq!(last.operation(), Cursor::new((1 << 43) - 1, (1 << 20) - 1));
        assert!(version(1 << 43, 1).is_err() && version(1, 1 << 20).is_err());
    }
}
