//! A graph in a temporary folder, and how tests speak to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use iyagi::embedded::graph::{CommitRejected, CommitRequest, Committed, EmbeddedGraph};
use iyagi::embedded::sqlite::DatabaseError;
use iyagi_actors::ports::{ChangeStream, Clock, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{StreamPage, StreamRecord};
use serde_json::{Value, json};

use crate::statements::{Statements, statements_in};

/// Every look at the clock is one millisecond later.
pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub(crate) const BEGINNING: i64 = 1_700_000_000_000;

pub(crate) struct Fixture {
    pub(crate) graph: EmbeddedGraph,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn open(folder: &Path) -> EmbeddedGraph {
    let clock = Arc::new(Ticking(AtomicI64::new(BEGINNING)));
    EmbeddedGraph::open(&folder.join("graph.db"), clock).expect("opens")
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let graph = open(folder.path());
        Self { graph, folder }
    }

    /// People `a`, `b`, `c` and `a` following `b` by edge `e` since 2020, in one commit.
    pub(crate) async fn with_people() -> Self {
        let fixture = Self::new();
        let operations = json!([
            {"op": "add_vertex", "id": "a", "label": "Person", "properties": {"name": "Ara"}},
            {"op": "add_vertex", "id": "b", "label": "Person::Author"},
            {"op": "add_vertex", "id": "c"},
            {"op": "add_edge", "id": "e", "from": "a", "to": "b", "label": "FOLLOWS",
             "properties": {"since": 2020}},
        ]);
        fixture.commit(&operations).await.expect("is accepted");
        fixture
    }

    pub(crate) async fn commit(&self, operations: &Value) -> Result<Committed, CommitRejected> {
        self.send(&json!({ "operations": operations })).await
    }

    pub(crate) async fn send(&self, body: &Value) -> Result<Committed, CommitRejected> {
        let request = CommitRequest::parse(body.to_string().as_bytes())?;
        match self.graph.commit_request(request).await {
            Ok(committed) => Ok(committed),
            Err(DatabaseError::Refused(rejected)) => Err(rejected),
            Err(other) => panic!("{other}"),
        }
    }

    /// `many` commits of one vertex with one property each: two records a commit.
    pub(crate) async fn with_commits(many: u64) -> Self {
        let fixture = Self::new();
        for number in 1..=many {
            let id = format!("v{number}");
            let operations = json!([{"op": "add_vertex", "id": id, "properties": {"n": number}}]);
            fixture.commit(&operations).await.expect("is accepted");
        }
        fixture
    }

    pub(crate) async fn fetch(
        &self,
        position: Position,
        limit: u32,
    ) -> Result<StreamPage, StreamFault> {
        self.graph.fetch(position, limit).await
    }

    /// The whole log, in pages of `limit`.
    pub(crate) async fn log(&self, limit: u32) -> Vec<StreamRecord> {
        let mut records = Vec::new();
        let mut position = Position::TrimHorizon;
        while let Ok(page) = self.fetch(position, limit).await {
            assert_eq!(page.total_records, page.records.len() as u64);
            position = Position::After(page.last_event_id);
            records.extend(page.records);
        }
        records
    }

    pub(crate) async fn wire(&self, query: &str) -> (u16, Value) {
        let answer = self.graph.answer(query, false).await;
        assert_eq!(answer.content_encoding, None);
        (
            answer.status,
            serde_json::from_slice(&answer.body).expect("JSON"),
        )
    }

    pub(crate) fn statements(&self) -> Statements {
        statements_in(&self.folder.path().join("graph.db"))
    }
}

pub(crate) fn not_found(commit: u64, op: u64) -> StreamFault {
    StreamFault::NotFound {
        last_valid: Some(Cursor::new(commit, op)),
    }
}
