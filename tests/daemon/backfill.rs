//! A graph that is older than its change log is made known, and nothing old is told.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use iyagi::backfill::{Backfill, BackfillError, Source};
use iyagi::clock::SystemClock;
use iyagi::embedded::graph::{EmbeddedGraph, Operation};
use iyagi::embedded::journal::{JournalReader, SqliteJournal};
use iyagi_actors::journal::{Journal, Snapshot};
use iyagi_actors::ports::{GraphFault, GraphQueries};
use iyagi_actors::stream_poller::PollPace;
use iyagi_actors::subscription_matcher::bootstrap::{Bootstrap, Sources};
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::{GRAPH_SNAPSHOT, GRAPH_VERSION};
use iyagi_messages::change::EdgeEnds;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{ElementId, PersonId, Pos};
use iyagi_messages::push::SuppressReason;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{World, config, play_in};

/// `ada` and `cho` follow `bora`, who blocks `cho`.
fn past() -> Vec<Value> {
    vec![
        json!([
            {"op": "add_vertex", "id": "ada", "label": "Person", "properties": {"name": "Ada"}},
            {"op": "add_vertex", "id": "bora", "label": "Person", "properties": {"name": "Bora"}},
            {"op": "add_vertex", "id": "cho", "label": "Person", "properties": {"name": "Cho"}},
        ]),
        json!([
            {"op": "add_edge", "id": "f1", "from": "ada", "label": "FOLLOWS", "to": "bora"},
            {"op": "add_edge", "id": "f2", "from": "cho", "label": "FOLLOWS", "to": "bora"},
        ]),
        json!([
            {"op": "add_vertex", "id": "old", "label": "Story", "properties": {"title": "Old"}},
            {"op": "add_edge", "id": "p1", "from": "bora", "label": "POSTED", "to": "old"},
        ]),
        json!([{"op": "add_edge", "id": "b1", "from": "bora", "label": "BLOCKS", "to": "cho"}]),
    ]
}

fn operations(commit: Value) -> Vec<Operation> {
    serde_json::from_value(commit).expect("operations")
}

fn open_graph(folder: &Path) -> EmbeddedGraph {
    EmbeddedGraph::open(&folder.join("graph.db"), Arc::new(SystemClock)).expect("opens")
}

/// A graph of which the log has nothing any more.
async fn graph_without_log(folder: &Path) {
    let graph = open_graph(folder);
    for commit in past() {
        graph.commit(operations(commit)).await.expect("accepted");
    }
    let tip = graph.tip().await.expect("a tip");
    graph.trim_before(tip.commit + 1).await.expect("trims");
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn offer(folder: &Path, source: &Source) -> Result<Cursor, BackfillError> {
    on_runtime(async {
        let backfill = Backfill::open(config(folder)).await?;
        let bootstrap = backfill.read(source, |_| ()).await?;
        let watermark = bootstrap.watermark();
        backfill.offer(bootstrap).await?;
        Ok(watermark)
    })
}

/// Both have phones, and `bora` posts a new story.
async fn something_new(world: World) -> World {
    for person in ["ada", "cho"] {
        world.device(person, person, "en").await;
    }
    world.story("bora", "new", "New").await;
    world.settle().await;
    world
}

fn shown(folder: &Path) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    let audit = play_in(folder, async |world: World| {
        let world = something_new(world).await;
        for person in ["ada", "cho"] {
            for text in world.shown(person) {
                shown.push((person.to_owned(), text));
            }
        }
        world
    });
    assert_eq!(audit.counts.pending, 0);
    shown
}

fn facts(folder: &Path) -> Vec<Fact> {
    let journal = JournalReader::open(&folder.join("journal.db")).expect("a journal");
    let events = journal.read(Pos::default(), usize::MAX).expect("reads");
    events.into_iter().map(|event| event.fact).collect()
}

#[test]
fn a_graph_older_than_its_log_is_made_known_by_queries_and_nothing_old_is_told() {
    let folder = TempDir::new().expect("a folder");
    on_runtime(graph_without_log(folder.path()));
    let watermark = offer(folder.path(), &Source::Graph { page: 2 }).expect("read");
    assert_eq!(watermark.commit, 4);
    let shown = shown(folder.path());
    let [(person, text)] = &shown[..] else {
        panic!("ada alone hears of the new story: {shown:?}")
    };
    assert!(person == "ada" && text.contains("New"), "{shown:?}");
    let facts = facts(folder.path());
    let bootstrapped = facts.iter().filter_map(|fact| match fact {
        Fact::GraphBootstrapped(fact) => Some((fact.watermark, fact.vertices, fact.edges)),
        _ => None,
    });
    assert_eq!(bootstrapped.collect::<Vec<_>>(), [(watermark, 4, 4)]);
}

#[test]
fn without_a_backfill_what_the_log_has_lost_is_unknown() {
    let folder = TempDir::new().expect("a folder");
    on_runtime(graph_without_log(folder.path()));
    assert_eq!(shown(folder.path()), []);
}

#[test]
fn a_graph_is_taken_over_once_and_found_again_after_a_restart() {
    let folder = TempDir::new().expect("a folder");
    on_runtime(graph_without_log(folder.path()));
    offer(folder.path(), &Source::Graph { page: 100 }).expect("read");
    shown(folder.path());
    play_in(folder.path(), async |world: World| {
        world.story("bora", "newer", "Newer").await;
        world.settle().await;
        // The log of pushes tells of this run alone.
        let shown = world.shown("ada");
        assert!(shown.len() == 1 && shown[0].contains("Newer"), "{shown:?}");
        world
    });
    let taken_over = facts(folder.path())
        .iter()
        .filter(|fact| matches!(fact, Fact::GraphBootstrapped(_)))
        .count();
    assert_eq!(taken_over, 1);
}

/// Writes what neptune-export writes: additions only, with positions of its own and no times.
fn write_export(folder: &Path, last: Option<Cursor>) {
    let label = |id: &str, label: &str| {
        json!({"eventId": {"commitNum": 1, "opNum": 1},
            "data": {"id": id, "type": "vl", "key": "label",
                "value": {"value": label, "dataType": "String"}},
            "op": "ADD"})
    };
    let property = |id: &str, value: &str| {
        json!({"eventId": {"commitNum": 1, "opNum": 2},
            "data": {"id": id, "type": "vp", "key": "name",
                "value": {"value": value, "dataType": "String"}},
            "op": "ADD"})
    };
    let edge = |id: &str, from: &str, label: &str, to: &str| {
        json!({"eventId": {"commitNum": 1, "opNum": 1},
            "data": {"id": id, "type": "e", "key": "label",
                "value": {"value": label, "dataType": "String"}, "from": from, "to": to},
            "op": "ADD"})
    };
    let lines = |records: &[Value]| {
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        lines.join("\n")
    };
    fs::create_dir_all(folder.join("nodes")).expect("made");
    fs::create_dir_all(folder.join("edges")).expect("made");
    let people = [
        label("ada", "Person"),
        property("ada", "Ada"),
        label("bora", "Person"),
    ];
    fs::write(folder.join("nodes/Person-1.json"), lines(&people)).expect("written");
    let more = [label("cho", "Person"), label("old", "Story")];
    fs::write(folder.join("nodes/Story-1.json"), lines(&more)).expect("written");
    let edges = [
        edge("f1", "ada", "FOLLOWS", "bora"),
        edge("f2", "cho", "FOLLOWS", "bora"),
        edge("p1", "bora", "POSTED", "old"),
    ];
    fs::write(folder.join("edges/edges-1.json"), lines(&edges)).expect("written");
    if let Some(last) = last {
        let last = json!({"commitNum": last.commit, "opNum": last.op});
        fs::write(folder.join("lastEventId.json"), last.to_string()).expect("written");
    }
}

#[test]
fn an_export_is_taken_over_as_of_its_watermark_and_what_follows_is_told() {
    let folder = TempDir::new().expect("a folder");
    let export = TempDir::new().expect("a folder");
    let watermark = on_runtime(async {
        let graph = open_graph(folder.path());
        let mut ends = Vec::new();
        for commit in past() {
            graph.commit(operations(commit)).await.expect("accepted");
            ends.push(graph.tip().await.expect("a tip"));
        }
        // The block comes behind the export, and so does a story that nobody has been told of yet.
        graph.trim_before(4).await.expect("trims");
        ends[2]
    });
    write_export(export.path(), Some(watermark));
    let source = Source::Export {
        folder: export.path().to_owned(),
        watermark: None,
    };
    assert_eq!(offer(folder.path(), &source).expect("read"), watermark);
    let shown = shown(folder.path());
    let [(person, _)] = &shown[..] else {
        panic!("{shown:?}")
    };
    assert_eq!(person, "ada", "the block behind the watermark holds");
}

#[test]
fn silences_become_what_the_graph_says_where_the_log_did_not_tell() {
    let folder = TempDir::new().expect("a folder");
    play_in(folder.path(), async |world: World| {
        for commit in past() {
            world.commit(commit).await;
        }
        world.settle().await;
        world
    });
    on_runtime(async {
        let graph = open_graph(folder.path());
        let lost = json!([
            {"op": "drop_edge", "id": "b1"},
            {"op": "add_edge", "id": "b2", "from": "bora", "label": "BLOCKS", "to": "ada"},
        ]);
        graph.commit(operations(lost)).await.expect("accepted");
        let tip = graph.tip().await.expect("a tip");
        graph.trim_before(tip.commit + 1).await.expect("trims");
    });
    offer(folder.path(), &Source::Graph { page: 3 }).expect("read");
    let shown = shown(folder.path());
    let [(person, _)] = &shown[..] else {
        panic!("{shown:?}")
    };
    assert_eq!(
        person, "cho",
        "the block was lifted, and another one placed"
    );
    let skipped = facts(folder.path())
        .into_iter()
        .find_map(|fact| match fact {
            Fact::StreamSkipped(fact) => Some((fact.after.commit, fact.commits)),
            _ => None,
        });
    assert_eq!(
        skipped,
        Some((4, 1)),
        "what was passed over is accounted for"
    );
}

/// `ada` and `bora` want to hear of a story of `bora`'s, and its title changes. How many are told, and from how many it is hidden.
fn told_of_a_new_title(folder: &Path, story: &str) -> (u64, u64) {
    let audit = play_in(folder, async |world: World| {
        for person in ["ada", "bora"] {
            world.device(person, person, "en").await;
            world.subscribe(person, story).await;
        }
        let title = json!([{"op": "set_property", "id": story, "key": "title", "value": "New"}]);
        world.commit(title).await;
        world.settle().await;
        world
    });
    let hidden = audit.counts.suppressed.get(&SuppressReason::NotVisible);
    (audit.counts.sent, hidden.copied().unwrap_or_default())
}

#[test]
fn who_may_see_a_thing_is_read_with_the_graph_and_from_an_export() {
    let secret =
        json!([{"op": "set_property", "id": "old", "key": "visibility", "value": "private"}]);
    let past = || past().into_iter().chain([secret.clone()]);
    for by_export in [false, true] {
        let folder = TempDir::new().expect("a folder");
        let watermark = on_runtime(async {
            let graph = open_graph(folder.path());
            for commit in past() {
                graph.commit(operations(commit)).await.expect("accepted");
            }
            let tip = graph.tip().await.expect("a tip");
            graph.trim_before(tip.commit + 1).await.expect("trims");
            tip
        });
        let export = TempDir::new().expect("a folder");
        let source = if by_export {
            write_export(export.path(), Some(watermark));
            let record = json!({"eventId": {"commitNum": 1, "opNum": 3},
                "data": {"id": "old", "type": "vp", "key": "visibility",
                    "value": {"value": "private", "dataType": "String"}},
                "op": "ADD"});
            let file = export.path().join("nodes/Story-2.json");
            fs::write(file, record.to_string()).expect("written");
            Source::Export {
                folder: export.path().to_owned(),
                watermark: None,
            }
        } else {
            Source::Graph { page: 2 }
        };
        offer(folder.path(), &source).expect("read");
        assert_eq!(told_of_a_new_title(folder.path(), "old"), (1, 1));
    }
}

#[test]
fn a_snapshot_of_an_older_build_is_passed_over_and_the_graph_folded_anew() {
    for trimmed in [false, true] {
        let folder = TempDir::new().expect("a folder");
        play_in(folder.path(), async |world: World| {
            for commit in past() {
                world.commit(commit).await;
            }
            let secret = json!([{"op": "set_property", "id": "old", "key": "visibility", "value": "private"}]);
            world.commit(secret).await;
            world.settle().await;
            world
        });
        on_runtime(async {
            let clock = Arc::new(SystemClock);
            let path = folder.path().join("journal.db");
            let journal = SqliteJournal::open(&path, clock).expect("opens");
            let body = json!({
                "cursor": {"commit": 5, "op": 1}, "ids": ["old", "bora"], "labels": ["Story"], "vertices": [[0, [0]]],
                "edges": [], "followers": [], "makers": [[0, 1]],
            });
            let snapshot = Snapshot {
                code_version: GRAPH_VERSION - 1,
                pos: Pos(1_000),
                body: body.to_string().into_bytes(),
            };
            let saved = journal.save_snapshot(GRAPH_SNAPSHOT, snapshot).await;
            saved.expect("saved");
            if trimmed {
                let graph = open_graph(folder.path());
                graph.trim_before(6).await.expect("trims");
            }
        });
        // Where the log does not tell any more whose it is, the graph itself does.
        assert_eq!(told_of_a_new_title(folder.path(), "old"), (1, 1));
    }
}

type Preparation<'a> = &'a dyn Fn(&Path);

#[test]
fn what_is_no_export_of_this_graph_is_refused_with_a_reason() {
    let folder = TempDir::new().expect("a folder");
    on_runtime(graph_without_log(folder.path()));
    let refused = |prepare: Preparation<'_>| {
        let export = TempDir::new().expect("a folder");
        prepare(export.path());
        let source = Source::Export {
            folder: export.path().to_owned(),
            watermark: None,
        };
        let error = offer(folder.path(), &source).expect_err("is refused");
        error.to_string()
    };
    let within = Some(Cursor::new(4, 1));
    let cases: [(Preparation<'_>, &str); 6] = [
        (&|_| (), "--include-last-event-id"),
        (
            &|export| {
                fs::write(
                    export.join("lastEventId.json"),
                    r#"{"commitNum":1,"opNum":1}"#,
                )
                .expect("written");
            },
            "is no export",
        ),
        (
            &|export| write_export(export, Some(Cursor::new(99, 1))),
            "not of this graph",
        ),
        (
            &|export| {
                write_export(export, within);
                fs::write(export.join("nodes/x.json"), "{\"eventId\": 7}").expect("written");
            },
            "what follows record 0 is no record",
        ),
        (
            &|export| {
                write_export(export, within);
                let path = export.join("edges/edges-1.json");
                let text = fs::read_to_string(&path).expect("read");
                fs::write(path, text.replace("\"ADD\"", "\"REMOVE\"")).expect("written");
            },
            "an export only adds",
        ),
        (
            &|export| {
                write_export(export, within);
                let path = export.join("edges/edges-1.json");
                let text = fs::read_to_string(&path).expect("read");
                fs::write(path, text.replace("\"from\"", "\"form\"")).expect("written");
            },
            "no ends",
        ),
    ];
    for (prepare, reason) in cases {
        let error = refused(prepare);
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(
        shown(folder.path()),
        [],
        "nothing of it was left for the daemon"
    );
}

/// A graph that changes before each of its pages.
struct Restless {
    graph: EmbeddedGraph,
    pages: AtomicU32,
}

impl Restless {
    async fn change(&self) {
        let page = self.pages.fetch_add(1, Ordering::Relaxed);
        // Early ids and late ones, so that some lie in pages that were read and some in pages to come.
        let (first, last) = (format!("a{page}"), format!("z{page}"));
        let mut commit = vec![
            json!({"op": "add_vertex", "id": first, "label": "Person", "properties": {"visibility": "private"}}),
            json!({"op": "add_vertex", "id": last, "label": "Person", "properties": {"visibility": "public"}}),
            json!({"op": "add_edge", "id": format!("e{page}"), "from": first, "label": "FOLLOWS", "to": last}),
        ];
        if page > 0 {
            for (id, word) in [("a", "public"), ("z", "friends")] {
                let id = format!("{id}{}", page - 1);
                commit.push(
                    json!({"op": "set_property", "id": id, "key": "visibility", "value": word}),
                );
            }
            let gone = format!("e{}", page - 1);
            commit.push(json!({"op": "drop_edge", "id": gone}));
            // The same id, turned round.
            let (from, to) = (format!("z{}", page - 1), format!("a{}", page - 1));
            commit.push(
                json!({"op": "add_edge", "id": gone, "from": from, "label": "FOLLOWS", "to": to}),
            );
        }
        if page > 1 {
            commit.push(json!({"op": "drop_vertex", "id": format!("a{}", page - 2)}));
        }
        let committed = self.graph.commit(operations(Value::from(commit))).await;
        committed.expect("accepted");
    }
}

#[async_trait]
impl GraphQueries for Restless {
    async fn followers_of(
        &self,
        person: &PersonId,
        via: &str,
        after: Option<&PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, GraphFault> {
        self.graph.followers_of(person, via, after, limit).await
    }

    async fn has_edge(
        &self,
        from: &PersonId,
        via: &str,
        to: &PersonId,
    ) -> Result<bool, GraphFault> {
        self.graph.has_edge(from, via, to).await
    }

    async fn owner_of(
        &self,
        thing: &ElementId,
        authored: &[String],
    ) -> Result<Option<PersonId>, GraphFault> {
        self.graph.owner_of(thing, authored).await
    }

    async fn labels_of(&self, vertex: &ElementId) -> Result<Vec<String>, GraphFault> {
        self.graph.labels_of(vertex).await
    }

    async fn values_of(&self, vertex: &ElementId, key: &str) -> Result<Vec<String>, GraphFault> {
        self.graph.values_of(vertex, key).await
    }

    async fn ends_of(&self, edge: &ElementId) -> Result<Option<EdgeEnds>, GraphFault> {
        self.graph.ends_of(edge).await
    }

    async fn vertices_with(
        &self,
        key: &str,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        if self.pages.load(Ordering::Relaxed) < 25 {
            self.change().await;
        }
        self.graph.vertices_with(key, after, limit).await
    }

    async fn vertices(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        // Not for ever, or the pages would never end.
        if self.pages.load(Ordering::Relaxed) < 20 {
            self.change().await;
        }
        self.graph.vertices(after, limit).await
    }

    async fn edges(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, EdgeEnds)>, GraphFault> {
        if self.pages.load(Ordering::Relaxed) < 30 {
            self.change().await;
        }
        self.graph.edges(after, limit).await
    }
}

#[test]
fn pages_of_a_graph_that_changes_meanwhile_become_the_graph_of_one_moment() {
    let folder = TempDir::new().expect("a folder");
    on_runtime(async {
        let graph = open_graph(folder.path());
        for commit in past() {
            graph.commit(operations(commit)).await.expect("accepted");
        }
        let restless = Restless {
            graph,
            pages: AtomicU32::new(0),
        };
        let model = GraphModel::default();
        let sources = || Sources {
            queries: &restless,
            stream: &restless.graph,
            pace: PollPace::default(),
            clock: &SystemClock,
            model: &model,
            page: 3,
        };
        let read = Bootstrap::by_queries(sources(), |_| ())
            .await
            .expect("reads");
        assert_eq!(read.watermark(), restless.graph.tip().await.expect("a tip"));
        // Now that it rests, one page shows it as it is.
        let calm = Sources {
            queries: &restless.graph,
            page: 100_000,
            ..sources()
        };
        let whole = Bootstrap::by_queries(calm, |_| ()).await.expect("reads");
        assert_eq!(seen(read), seen(whole));
    });
}

/// What a graph knows, in an order of its own.
fn seen(bootstrap: Bootstrap) -> (Vec<String>, Vec<String>) {
    let offer = bootstrap.into_offer();
    let graph: Graph = serde_json::from_slice(&offer.body).expect("a graph");
    let mut edges: Vec<String> = graph
        .edges()
        .iter()
        .map(|edge| format!("{edge:?}"))
        .collect();
    edges.sort_unstable();
    let mut vertices = Vec::new();
    for name in ('a'..='z').flat_map(|letter| (0..40).map(move |page| format!("{letter}{page}"))) {
        let id = ElementId::from(name);
        let mut followers: Vec<_> = graph.followers_of(&id);
        followers.sort_unstable();
        let labels = graph.labels_of(&id);
        if !labels.is_empty() || !followers.is_empty() {
            let visibility = graph.visibility_of(&id);
            vertices.push(format!("{id} {labels:?} {followers:?} {visibility:?}"));
        }
    }
    (edges, vertices)
}
