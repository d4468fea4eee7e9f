//! Raw stream records as a commit: each is one statement, added or removed exactly as written.

use iyagi_messages::ids::{ElementId, Timestamp};
use iyagi_messages::stream::{Op, RecordData, RecordKind, Scalar, StreamRecord};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::commit::{Applied, Committed, Writer, at_entry, not_there, refuse};
use super::rejection::{CommitRejected, List, Problem};
use super::statement::{self, Edge, Kind, Statement};
use super::step::check_count;
use super::value::StoredValue;
use crate::embedded::sqlite::WriteFault;

/// A record of the stream without its place: the log gives it a new one.
///
/// Other fields of a stream record (`eventId`, `commitTimestamp`, `isLastOp`) may be there and are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PgRecord {
    /// The statement.
    pub data: RecordData,
    /// Whether it is added or removed.
    pub op: Op,
}

impl From<StreamRecord> for PgRecord {
    fn from(record: StreamRecord) -> Self {
        Self {
            data: record.data,
            op: record.op,
        }
    }
}

impl PgRecord {
    /// Reads the record at `index` of a list.
    pub fn parse(index: usize, json: &str) -> Result<Self, CommitRejected> {
        serde_json::from_str(json).map_err(|error| {
            let (path, problem) = explain(json, &error);
            CommitRejected::entry(List::Records, index, path, problem)
        })
    }
}

/// Finds the field that `error` is about, which the parser's own message does not always name.
fn explain(json: &str, error: &serde_json::Error) -> (&'static [&'static str], Problem) {
    type Good = fn(&Value) -> bool;
    const ID: &str = "a text or a whole number";
    const FIELDS: [(&[&str], Good, &str); 8] = [
        (&[], Value::is_object, "an object"),
        (
            &["op"],
            |op| op == "ADD" || op == "REMOVE",
            "`ADD` or `REMOVE`",
        ),
        (&["data"], Value::is_object, "an object"),
        (
            &["data", "id"],
            |id| id.is_string() || id.is_i64() || id.is_u64(),
            ID,
        ),
        (
            &["data", "type"],
            |kind| ["vl", "vp", "e", "ep"].iter().any(|known| kind == known),
            "`vl`, `vp`, `e` or `ep`",
        ),
        (&["data", "key"], Value::is_string, "a text"),
        (
            &["data", "value"],
            Value::is_object,
            "an object of `value` and `dataType`",
        ),
        (
            &["data", "value", "value"],
            |value| !value.is_object(),
            "a scalar",
        ),
    ];
    if let Ok(value) = serde_json::from_str::<Value>(json) {
        for (path, good, expected) in FIELDS {
            let found = path.iter().try_fold(&value, |value, name| value.get(name));
            match found {
                None => return (path, Problem::Missing),
                Some(found) if !good(found) => return (path, Problem::Expected { expected }),
                Some(_) => {}
            }
        }
    }
    let reason = error.to_string();
    (&[], Problem::Malformed { reason })
}

/// A record whose texts and values are known to be good.
#[derive(Debug)]
pub(super) struct Change {
    add: bool,
    statement: Statement,
}

/// Checks everything that can be known without the graph.
pub(super) fn check(records: Vec<PgRecord>) -> Result<Vec<Change>, CommitRejected> {
    check_count(List::Records, records.len())?;
    let checked = records.into_iter().enumerate().map(|(index, record)| {
        let add = record.op == Op::Add;
        statement_of(record.data)
            .map(|statement| Change { add, statement })
            .map_err(|(path, problem)| CommitRejected::entry(List::Records, index, path, problem))
    });
    checked.collect()
}

type Wrong = (&'static [&'static str], Problem);

fn statement_of(data: RecordData) -> Result<Statement, Wrong> {
    const VALUE: &[&str] = &["data", "value"];
    let value = StoredValue::try_from(&data.value).map_err(|problem| (VALUE, problem))?;
    let id = named(&["data", "id"], data.id.as_str()).map(ElementId::from)?;
    let key = named(&["data", "key"], &data.key)?;
    let label = || {
        if key != "label" {
            let expected = "`label`";
            return Err((&["data", "key"][..], Problem::Expected { expected }));
        }
        match &data.value.value {
            Scalar::Text(label) => named(VALUE, label),
            _ => Err((VALUE, Problem::Expected { expected: "a text" })),
        }
    };
    let end = |path: &'static [&'static str], end: Option<ElementId>| match end {
        Some(end) => named(path, end.as_str()).map(ElementId::from),
        None => Err((path, Problem::Missing)),
    };
    Ok(match data.kind {
        RecordKind::VertexLabel => Statement::Label {
            label: label()?,
            vertex: id,
        },
        RecordKind::Edge => Statement::Edge(Edge {
            label: label()?,
            id,
            source: end(&["data", "from"], data.from)?,
            target: end(&["data", "to"], data.to)?,
        }),
        RecordKind::VertexProperty => Statement::Property {
            of: Kind::Vertex,
            element: id,
            key,
            value,
        },
        RecordKind::EdgeProperty => Statement::Property {
            of: Kind::Edge,
            element: id,
            key,
            value,
        },
    })
}

fn named(path: &'static [&'static str], text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        return Err((path, Problem::EmptyText));
    }
    Ok(text.to_owned())
}

/// Applies all records, or refuses; the caller undoes what was applied before the refusal.
pub(super) fn apply(
    connection: &Connection,
    changes: &[Change],
    at: Timestamp,
) -> Result<Committed, WriteFault<CommitRejected>> {
    let at_entry = |index, fault| at_entry(List::Records, index, fault);
    let mut writer = Writer::open(connection, at)?;
    let mut unlabelled: Vec<(usize, &ElementId)> = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        apply_one(&mut writer, change).map_err(|fault| at_entry(index, fault))?;
        if let (false, Statement::Label { vertex, .. }) = (change.add, &change.statement) {
            unlabelled.push((index, vertex));
        }
    }
    // Only the end of the commit tells a vertex that is gone from one that changed its label.
    for (index, vertex) in unlabelled {
        if !statement::vertex_exists(connection, vertex)? {
            check_alone(connection, vertex).map_err(|fault| at_entry(index, fault))?;
        }
    }
    Ok(writer.finish()?)
}

const ID: &[&str] = &["data", "id"];

fn apply_one(writer: &mut Writer<'_>, change: &Change) -> Applied<()> {
    let (add, statement) = (change.add, &change.statement);
    check_elements(writer.connection, add, statement)?;
    if writer.change(add, statement)? {
        if let (false, Statement::Edge(edge)) = (add, statement) {
            check_alone(writer.connection, &edge.id)?;
        }
        return Ok(());
    }
    if add {
        return refuse(&["data"], Problem::AlreadyHolds);
    }
    let what = "such statement to remove".to_owned();
    refuse(&["data"], Problem::NotThere { what })
}

/// An id names one element, an edge has two ends, a property has an element, and an edge's property has one value.
fn check_elements(connection: &Connection, add: bool, statement: &Statement) -> Applied<()> {
    let taken = |id: &ElementId| refuse(ID, Problem::DuplicateId { id: id.to_string() });
    match statement {
        Statement::Label { vertex, .. } => match statement::kind_of(connection, vertex)? {
            Some(Kind::Edge) => taken(vertex),
            Some(Kind::Vertex) | None => Ok(()),
        },
        Statement::Edge(edge) if add => {
            if statement::kind_of(connection, &edge.id)?.is_some() {
                return taken(&edge.id);
            }
            check_vertex(connection, &["data", "from"], &edge.source)?;
            check_vertex(connection, &["data", "to"], &edge.target)
        }
        Statement::Edge(_) => Ok(()),
        Statement::Property {
            of: Kind::Vertex,
            element,
            ..
        } => check_vertex(connection, ID, element),
        Statement::Property {
            of: Kind::Edge,
            element,
            key,
            ..
        } => {
            if statement::edge(connection, element)?.is_none() {
                return refuse(ID, not_there("edge", element));
            }
            if add && !statement::values(connection, element.as_str(), key)?.is_empty() {
                return refuse(&["data", "key"], Problem::EdgeHoldsOne);
            }
            Ok(())
        }
    }
}

fn check_vertex(
    connection: &Connection,
    path: &'static [&'static str],
    id: &ElementId,
) -> Applied<()> {
    if statement::vertex_exists(connection, id)? {
        return Ok(());
    }
    refuse(path, Problem::MissingVertex { id: id.to_string() })
}

/// What is gone has neither properties nor edges.
fn check_alone(connection: &Connection, gone: &ElementId) -> Applied<()> {
    if statement::is_mentioned(connection, gone)? {
        return refuse(
            ID,
            Problem::LeftBehind {
                id: gone.to_string(),
            },
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_points_at_the_field() {
        let pointer = |json: &str| PgRecord::parse(2, json).unwrap_err().pointer();
        assert_eq!(pointer("7"), "/records/2");
        assert_eq!(pointer(r#"{"data": {}}"#), "/records/2/op");
        assert_eq!(pointer(r#"{"op": "ADD"}"#), "/records/2/data");
        let v1 = r#"{"op": "ADD", "data": {"id": 1, "type": "v1"}}"#;
        assert_eq!(pointer(v1), "/records/2/data/type");
        let bare =
            r#"{"op": "ADD", "data": {"id": 1, "type": "vl", "key": "label", "value": "x"}}"#;
        assert_eq!(pointer(bare), "/records/2/data/value");
    }
}
