//! Raw stream records as a commit: each is one statement, added or removed exactly as written.

use std::collections::HashMap;

use iyagi_messages::ids::{ElementId, Timestamp};
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::commit::{Applied, Committed, Refusal, Writer, at_entry, not_there, refuse};
use super::operations::check_count;
use super::rejection::{CommitRejected, List, Problem};
use super::statement::{self, Edge, Kind, Statement};
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
    let id = named(&["data", "id"], data.id.0).map(ElementId)?;
    let key = named(&["data", "key"], data.key)?;
    let label = || {
        if key != "label" {
            let expected = "`label`";
            return Err((&["data", "key"][..], Problem::Expected { expected }));
        }
        match &data.value.value {
            Value::String(label) => named(VALUE, label.clone()),
            _ => Err((VALUE, Problem::Expected { expected: "a text" })),
        }
    };
    let end = |path: &'static [&'static str], end: Option<ElementId>| match end {
        Some(end) => named(path, end.0).map(ElementId),
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

fn named(path: &'static [&'static str], text: String) -> Result<String, Wrong> {
    if text.is_empty() {
        return Err((path, Problem::EmptyText));
    }
    Ok(text)
}

/// Applies all records, or refuses; the caller undoes what was applied before the refusal.
pub(super) fn apply(
    connection: &Connection,
    changes: &[Change],
    at: Timestamp,
) -> Result<Committed, WriteFault<CommitRejected>> {
    let mut writer = Writer::open(connection, at)?;
    let mut pending = Pending::default();
    for (index, change) in changes.iter().enumerate() {
        apply_one(&mut writer, change).map_err(|fault| at_entry(List::Records, index, fault))?;
        pending.note(index, change);
    }
    pending.check(connection)?;
    Ok(writer.finish()?)
}

fn apply_one(writer: &mut Writer<'_>, change: &Change) -> Applied<()> {
    let (add, statement) = (change.add, &change.statement);
    if add {
        check_id(writer.connection, statement)?;
    }
    if writer.change(add, statement)? {
        return Ok(());
    }
    match (add, statement) {
        (true, Statement::Edge(edge)) => {
            let id = edge.id.0.clone();
            refuse(&["data", "id"], Problem::DuplicateId { id })
        }
        (true, _) => refuse(&["data"], Problem::AlreadyHolds),
        (false, _) => {
            let what = "such statement to remove".to_owned();
            refuse(&["data"], Problem::NotThere { what })
        }
    }
}

/// An id names one element, and an edge's property holds one value.
fn check_id(connection: &Connection, statement: &Statement) -> Applied<()> {
    let taken = |id: &ElementId| {
        let id = id.0.clone();
        refuse(&["data", "id"], Problem::DuplicateId { id })
    };
    match statement {
        Statement::Label { vertex, .. } if statement::edge(connection, vertex)?.is_some() => {
            taken(vertex)
        }
        Statement::Edge(edge) if statement::vertex_exists(connection, &edge.id)? => taken(&edge.id),
        Statement::Property {
            of: Kind::Edge,
            element,
            key,
            value,
        } => {
            let values = statement::values(connection, element.as_str(), key)?;
            if values.iter().any(|held| held != value) {
                return refuse(&["data", "key"], Problem::EdgeHoldsOne);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What can be judged only at the end of the commit: records of one element may come in any order, and a vertex may
/// lose its last label to get another.
#[derive(Default)]
struct Pending<'c> {
    by_id: HashMap<&'c ElementId, Vec<Expectation>>,
}

struct Expectation {
    index: usize,
    kind: Kind,
    refusal: Refusal,
}

impl<'c> Pending<'c> {
    fn note(&mut self, index: usize, change: &'c Change) {
        let id: &'static [&'static str] = &["data", "id"];
        let missing = |id: &ElementId| Problem::MissingVertex { id: id.0.clone() };
        let left = |id: &ElementId| Problem::LeftBehind { id: id.0.clone() };
        match (change.add, &change.statement) {
            (true, Statement::Label { .. }) => {}
            (false, Statement::Label { vertex, .. }) => {
                self.expect(vertex, index, Kind::Vertex, id, left(vertex));
            }
            (true, Statement::Edge(edge)) => {
                let (from, to) = (&edge.source, &edge.target);
                self.expect(from, index, Kind::Vertex, &["data", "from"], missing(from));
                self.expect(to, index, Kind::Vertex, &["data", "to"], missing(to));
            }
            (false, Statement::Edge(edge)) => {
                self.expect(&edge.id, index, Kind::Edge, id, left(&edge.id));
            }
            (
                true,
                Statement::Property {
                    of: Kind::Vertex,
                    element,
                    ..
                },
            ) => {
                self.expect(element, index, Kind::Vertex, id, missing(element));
            }
            (
                true,
                Statement::Property {
                    of: Kind::Edge,
                    element,
                    ..
                },
            ) => {
                self.expect(element, index, Kind::Edge, id, not_there("edge", element));
            }
            (false, Statement::Property { .. }) => {}
        }
    }

    fn expect(
        &mut self,
        id: &'c ElementId,
        index: usize,
        kind: Kind,
        path: &'static [&'static str],
        problem: Problem,
    ) {
        let refusal = Refusal { path, problem };
        let expectation = Expectation {
            index,
            kind,
            refusal,
        };
        self.by_id.entry(id).or_default().push(expectation);
    }

    /// What does not exist may have neither properties nor edges. Reports the first record that breaks it.
    fn check(self, connection: &Connection) -> Result<(), WriteFault<CommitRejected>> {
        let mut broken: Option<Expectation> = None;
        for (id, expectations) in self.by_id {
            let kind = statement::kind_of(connection, id)?;
            if kind.is_none() && !statement::is_mentioned(connection, id)? {
                continue;
            }
            let first = expectations
                .into_iter()
                .find(|expectation| kind != Some(expectation.kind));
            if let Some(first) = first
                && broken
                    .as_ref()
                    .is_none_or(|broken| first.index < broken.index)
            {
                broken = Some(first);
            }
        }
        broken.map_or(Ok(()), |Expectation { index, refusal, .. }| {
            Err(at_entry(List::Records, index, WriteFault::Refused(refusal)))
        })
    }
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
