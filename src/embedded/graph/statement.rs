//! Statements: what the graph is made of, what a commit adds and removes, and what the stream tells of.
//!
//! As in Neptune, a vertex exists while it has a label, an edge is one statement with its ends, and a property is
//! one statement a value. A stream record is a statement with a sign.

use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::RecordKind;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::value::StoredValue;

/// Layout of the file that holds the graph as it is now.
pub(super) const SCHEMA: &str = "
    CREATE TABLE vertex_labels (
        vertex TEXT NOT NULL,
        label TEXT NOT NULL,
        PRIMARY KEY (vertex, label)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE edges (
        id TEXT NOT NULL PRIMARY KEY,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        label TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Answers `who follows` in the order of its pages without touching the table.
    CREATE INDEX edges_by_target ON edges (target, label, source);
    CREATE INDEX edges_by_source ON edges (source);

    -- `element` is a vertex or an edge: an id names one element. `value` is the JSON that the stream shows.
    CREATE TABLE properties (
        element TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (element, key, value)
    ) STRICT, WITHOUT ROWID;
";

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    Label {
        vertex: ElementId,
        label: String,
    },
    Edge(Edge),
    Property {
        of: Kind,
        element: ElementId,
        key: String,
        value: StoredValue,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) id: ElementId,
    pub(super) source: ElementId,
    pub(super) target: ElementId,
    pub(super) label: String,
}

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Vertex,
    Edge,
}

impl Statement {
    /// Makes the statement hold. False if it holds already, or if its edge's id is taken.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let inserted = match self {
            Self::Label { vertex, label } => connection
                .prepare_cached("INSERT OR IGNORE INTO vertex_labels VALUES (?1, ?2)")?
                .execute(params![vertex.as_str(), label])?,
            Self::Edge(edge) => connection
                .prepare_cached("INSERT OR IGNORE INTO edges VALUES (?1, ?2, ?3, ?4)")?
                .execute(edge.params())?,
            Self::Property {
                element,
                key,
                value,
                ..
            } => connection
                .prepare_cached("INSERT OR IGNORE INTO properties VALUES (?1, ?2, ?3)")?
                .execute(params![element.as_str(), key, value.as_json()])?,
        };
        Ok(inserted > 0)
    }

    /// Makes the statement no longer hold. False if it did not.
    pub(super) fn delete(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let deleted = match self {
            Self::Label { vertex, label } => connection
                .prepare_cached("DELETE FROM vertex_labels WHERE vertex = ?1 AND label = ?2")?
                .execute(params![vertex.as_str(), label])?,
            Self::Edge(edge) => connection
                .prepare_cached(
                    "DELETE FROM edges WHERE id = ?1 AND source = ?2 AND target = ?3 AND label = ?4",
                )?
                .execute(edge.params())?,
            Self::Property { element, key, value, .. } => connection
                .prepare_cached(
                    "DELETE FROM properties WHERE element = ?1 AND key = ?2 AND value = ?3",
                )?
                .execute(params![element.as_str(), key, value.as_json()])?,
        };
        Ok(deleted > 0)
    }

    /// The `data` of the statement's stream record.
    pub(super) fn data_json(&self) -> String {
        let data = |id: &ElementId, kind, key: &str, value: &StoredValue, ends: &str| {
            let (id, key) = (quoted(id.as_str()), quoted(key));
            let (kind, value) = (type_name(kind), value.as_json());
            format!(r#"{{"id":{id},"type":"{kind}","key":{key},"value":{value}{ends}}}"#)
        };
        match self {
            Self::Label { vertex, label } => {
                let label = StoredValue::string(label);
                data(vertex, RecordKind::VertexLabel, "label", &label, "")
            }
            Self::Edge(edge) => {
                let (from, to) = (quoted(edge.source.as_str()), quoted(edge.target.as_str()));
                let ends = format!(r#","from":{from},"to":{to}"#);
                let label = StoredValue::string(&edge.label);
                data(&edge.id, RecordKind::Edge, "label", &label, &ends)
            }
            Self::Property {
                of,
                element,
                key,
                value,
            } => {
                let kind = match of {
                    Kind::Vertex => RecordKind::VertexProperty,
                    Kind::Edge => RecordKind::EdgeProperty,
                };
                data(element, kind, key, value, "")
            }
        }
    }
}

impl Edge {
    fn params(&self) -> [&str; 4] {
        let Self {
            id,
            source,
            target,
            label,
        } = self;
        [id.as_str(), source.as_str(), target.as_str(), label]
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn type_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::VertexLabel => "vl",
        RecordKind::VertexProperty => "vp",
        RecordKind::Edge => "e",
        RecordKind::EdgeProperty => "ep",
    }
}

/// What `id` names, if anything.
pub(super) fn kind_of(connection: &Connection, id: &ElementId) -> rusqlite::Result<Option<Kind>> {
    if vertex_exists(connection, id)? {
        return Ok(Some(Kind::Vertex));
    }
    Ok(edge(connection, id)?.map(|_| Kind::Edge))
}

pub(super) fn vertex_exists(connection: &Connection, id: &ElementId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM vertex_labels WHERE vertex = ?1 LIMIT 1")?
        .exists([id.as_str()])
}

pub(super) fn edge(connection: &Connection, id: &ElementId) -> rusqlite::Result<Option<Edge>> {
    connection
        .prepare_cached("SELECT id, source, target, label FROM edges WHERE id = ?1")?
        .query_row([id.as_str()], edge_of_row)
        .optional()
}

/// Every edge from or to a vertex, a loop once.
pub(super) fn incident_edges(
    connection: &Connection,
    vertex: &ElementId,
) -> rusqlite::Result<Vec<Edge>> {
    connection
        .prepare_cached(
            "SELECT id, source, target, label FROM edges WHERE source = ?1
             UNION
             SELECT id, source, target, label FROM edges WHERE target = ?1
             ORDER BY id",
        )?
        .query_map([vertex.as_str()], edge_of_row)?
        .collect()
}

pub(super) fn labels(connection: &Connection, vertex: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT label FROM vertex_labels WHERE vertex = ?1 ORDER BY label")?
        .query_map([vertex], |row| row.get(0))?
        .collect()
}

/// Every property value of an element, by key.
pub(super) fn properties(
    connection: &Connection,
    of: Kind,
    element: &ElementId,
) -> rusqlite::Result<Vec<Statement>> {
    connection
        .prepare_cached("SELECT key, value FROM properties WHERE element = ?1 ORDER BY key, value")?
        .query_map([element.as_str()], |row| {
            Ok(Statement::Property {
                of,
                element: element.clone(),
                key: row.get(0)?,
                value: StoredValue::from_stored(row.get(1)?),
            })
        })?
        .collect()
}

/// Every value of one property.
pub(super) fn values(
    connection: &Connection,
    element: &str,
    key: &str,
) -> rusqlite::Result<Vec<StoredValue>> {
    connection
        .prepare_cached(
            "SELECT value FROM properties WHERE element = ?1 AND key = ?2 ORDER BY value",
        )?
        .query_map([element, key], |row| {
            row.get(0).map(StoredValue::from_stored)
        })?
        .collect()
}

/// Whether a property of `id`, or an edge from or to it, is there. The properties of an edge that took the id of a vertex
/// are that edge's.
pub(super) fn is_mentioned(connection: &Connection, id: &ElementId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM properties WHERE element = ?1 AND NOT EXISTS (SELECT 1 FROM edges WHERE id = ?1)
             UNION ALL SELECT 1 FROM edges WHERE source = ?1
             UNION ALL SELECT 1 FROM edges WHERE target = ?1
             LIMIT 1",
        )?
        .exists([id.as_str()])
}

fn edge_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Edge> {
    let text = |column| row.get::<_, String>(column);
    Ok(Edge {
        id: text(0)?.into(),
        source: text(1)?.into(),
        target: text(2)?.into(),
        label: text(3)?,
    })
}
