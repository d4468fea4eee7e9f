//! A Neptune for tests: the embedded graph behind HTTP, with everything that the service is known to do to its readers.
//!
//! - `http`: a small server, whose answers may be as broken as a network makes them
//! - `switches`: what can be made to go wrong
//! - `stream`: `GET /propertygraph/stream`; `cypher`: `POST /opencypher`

mod cypher;
mod http;
mod stream;
mod switches;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use iyagi::embedded::graph::{Committed, EmbeddedGraph, Operation};
use iyagi_actors::ports::{ChangeStream, Clock, Position};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::StreamRecord;
use serde_json::{Value, json};

pub(crate) use http::{Reply, Request, Server};
pub(crate) use switches::{EventIds, Switches, TipText};

const BEGINNING: i64 = 1_700_000_000_000;

/// Every look at the clock is one millisecond later.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A cluster with one database.
pub(crate) struct Fake {
    server: Server,
    state: Arc<State>,
}

/// What the server and the test share.
struct State {
    graph: Mutex<EmbeddedGraph>,
    switches: Mutex<Switches>,
    folder: tempfile::TempDir,
}

impl State {
    fn graph(&self) -> EmbeddedGraph {
        self.graph.lock().expect("sound").clone()
    }

    async fn answer(&self, request: &Request) -> Reply {
        let canned = self.switches.lock().expect("sound").next.pop_front();
        if let Some(reply) = canned {
            return reply;
        }
        let switches = self.switches.lock().expect("sound").clone();
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        match (&*request.method, path) {
            ("GET", "/propertygraph/stream" | "/pg/stream" | "/gremlin/stream") => {
                stream::answer(&self.graph(), query, request.takes_gzip(), &switches).await
            }
            ("POST", "/opencypher" | "/openCypher") => {
                cypher::answer(&self.graph(), &request.body).await
            }
            _ => Reply::error(404, "PathNotFoundException", "there is no such path"),
        }
    }
}

fn open(folder: &Path, name: &str) -> EmbeddedGraph {
    let clock = Arc::new(Ticking(AtomicI64::new(BEGINNING)));
    open_at(folder, name, clock)
}

fn open_at(folder: &Path, name: &str, clock: Arc<dyn Clock>) -> EmbeddedGraph {
    EmbeddedGraph::open(&folder.join(name), clock).expect("opens")
}

impl Fake {
    pub(crate) fn start() -> Self {
        Self::start_at(Arc::new(Ticking(AtomicI64::new(BEGINNING))))
    }

    /// A cluster whose commits are of another time.
    pub(crate) fn start_at(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = Arc::new(State {
            graph: Mutex::new(open_at(folder.path(), "graph.db", clock)),
            switches: Mutex::default(),
            folder,
        });
        let answering = Arc::clone(&state);
        let server = Server::start(move |request| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(answering.answer(request))
        });
        Self { server, state }
    }

    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// What goes wrong from now on.
    pub(crate) fn switches(&self) -> MutexGuard<'_, Switches> {
        self.state.switches.lock().expect("sound")
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// The graph behind it all.
    pub(crate) fn graph(&self) -> EmbeddedGraph {
        self.state.graph()
    }

    /// The file of the graph that the cluster began with.
    pub(crate) fn file(&self) -> PathBuf {
        self.state.folder.path().join("graph.db")
    }

    /// A fast reset: the graph and its log begin anew.
    pub(crate) fn reset(&self) {
        let graph = open(self.state.folder.path(), "reset.db");
        *self.state.graph.lock().expect("sound") = graph;
    }

    pub(crate) async fn commit(&self, operations: Value) -> Committed {
        let operations: Vec<Operation> =
            serde_json::from_value(operations).expect("operations of the graph");
        let committed = self.graph().commit(operations).await;
        committed.expect("is accepted")
    }

    /// `many` more commits of one vertex with one property each: two records a commit.
    pub(crate) async fn commit_vertices(&self, many: u64) {
        let tip = self.graph().tip().await.expect("a tip").commit;
        for number in tip + 1..=tip + many {
            let id = format!("v{number}");
            let vertex = json!({"op": "add_vertex", "id": id, "label": "Story", "properties": {"n": number}});
            self.commit(Value::from(vec![vertex])).await;
        }
    }

    /// The whole log as the graph itself has it.
    pub(crate) async fn log(&self) -> Vec<StreamRecord> {
        let mut records = Vec::new();
        let mut position = Position::TrimHorizon;
        while let Ok(page) = self.graph().fetch(position, 1_000).await {
            position = Position::After(page.last_event_id);
            records.extend(page.records);
        }
        records
    }
}
