//! The graph as a set of statements, from its tables and from its log.

use std::collections::BTreeSet;
use std::path::Path;

use iyagi::embedded::sqlite::open_read_only;
use iyagi_messages::stream::{Op, RecordKind, StreamRecord};
use serde_json::{Value, json};

/// Type, id, key, value as the stream shows it, and the ends of an edge.
pub(crate) type Statement = (&'static str, String, String, String, String);
pub(crate) type Statements = BTreeSet<Statement>;

pub(crate) fn text(value: &str) -> String {
    json!({"value": value, "dataType": "String"}).to_string()
}

pub(crate) fn canonical(json: &str) -> String {
    serde_json::from_str::<Value>(json)
        .expect("JSON")
        .to_string()
}

pub(crate) fn label_statement(vertex: &str, label: &str) -> Statement {
    (
        "vl",
        vertex.to_owned(),
        "label".to_owned(),
        text(label),
        String::new(),
    )
}

pub(crate) fn edge_statement(id: &str, from: &str, to: &str, label: &str) -> Statement {
    (
        "e",
        id.to_owned(),
        "label".to_owned(),
        text(label),
        format!("{from}>{to}"),
    )
}

/// The graph as its tables have it.
pub(crate) fn statements_in(file: &Path) -> Statements {
    let connection = open_read_only(file).expect("opens");
    let rows = |sql: &str, columns: usize| -> Vec<Vec<String>> {
        let mut statement = connection.prepare(sql).expect("is valid");
        let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect());
        rows.expect("runs")
            .collect::<Result<_, _>>()
            .expect("texts")
    };
    let edges = rows("SELECT id, source, target, label FROM edges", 4);
    let ids: BTreeSet<&String> = edges.iter().map(|edge| &edge[0]).collect();
    let mut statements = Statements::new();
    for property in rows("SELECT element, key, value FROM properties", 3) {
        let kind = if ids.contains(&property[0]) {
            "ep"
        } else {
            "vp"
        };
        let [element, key, value] = property.try_into().expect("three columns");
        statements.insert((kind, element, key, canonical(&value), String::new()));
    }
    for row in rows("SELECT vertex, label FROM vertex_labels", 2) {
        statements.insert(label_statement(&row[0], &row[1]));
    }
    for edge in &edges {
        statements.insert(edge_statement(&edge[0], &edge[1], &edge[2], &edge[3]));
    }
    statements
}

pub(crate) fn statement_of(record: &StreamRecord) -> Statement {
    let data = &record.data;
    let kind = match data.kind {
        RecordKind::VertexLabel => "vl",
        RecordKind::VertexProperty => "vp",
        RecordKind::Edge => "e",
        RecordKind::EdgeProperty => "ep",
    };
    let value = serde_json::to_string(&data.value).expect("serialises");
    let ends = match (&data.from, &data.to) {
        (Some(from), Some(to)) => format!("{from}>{to}"),
        _ => String::new(),
    };
    (
        kind,
        data.id.to_string(),
        data.key.to_string(),
        canonical(&value),
        ends,
    )
}

/// Folds the log; no record may add what holds already or remove what does not.
pub(crate) fn fold(records: &[StreamRecord]) -> Statements {
    let mut statements = Statements::new();
    for record in records {
        let statement = statement_of(record);
        let changed = match record.op {
            Op::Add => statements.insert(statement),
            Op::Remove => statements.remove(&statement),
        };
        assert!(changed, "{record:?}");
    }
    statements
}

pub(crate) fn short(record: &StreamRecord) -> String {
    let sign = if record.op == Op::Add { '+' } else { '-' };
    let (kind, id, key, ..) = statement_of(record);
    format!("{sign}{kind} {id} {key}={}", record.data.value.text())
}
