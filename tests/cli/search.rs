//! `iyagi search rebuild`, as it is typed and as it ends.

use std::path::Path;
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::config::Config;
use iyagi::embedded::graph::EmbeddedGraph;
use iyagi::embedded::search::EmbeddedSearch;
use iyagi::search_rebuild::{Difference, Rebuild, RebuildError};
use iyagi_actors::ports::SearchIndex;
use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_search::document::{Document, DocumentId};
use serde_json::{Value, json};

use super::iyagi;

fn open_graph(folder: &Path) -> EmbeddedGraph {
    std::fs::create_dir_all(folder).expect("a folder");
    EmbeddedGraph::open(&folder.join("graph.db"), Arc::new(SystemClock)).expect("opens")
}

fn open_index(data: &Path) -> EmbeddedSearch {
    let projection = Config::default().projection();
    EmbeddedSearch::open(&data.join("search"), &projection).expect("opens")
}

async fn commit(graph: &EmbeddedGraph, operations: Value) -> Cursor {
    let operations = serde_json::from_value(operations).expect("operations");
    graph.commit(operations).await.expect("accepted").last
}

/// Two people and a story, one of whom has left.
async fn with_past(folder: &Path) -> Cursor {
    let graph = open_graph(folder);
    commit(
        &graph,
        json!([
            {"op": "add_vertex", "id": "minji", "label": "Person", "properties": {"name": "민지", "phone": "010-1234"}},
            {"op": "add_vertex", "id": "grace", "label": "Person", "properties": {"name": "Grace"}},
            {"op": "add_vertex", "id": "spring", "label": "Story", "properties": {"title": "봄 노래"}},
            {"op": "add_edge", "id": "p1", "from": "minji", "to": "spring", "label": "POSTED"},
        ]),
    )
    .await;
    commit(&graph, json!([{"op": "drop_vertex", "id": "grace"}])).await
}

#[tokio::test]
async fn an_index_is_built_compared_and_put_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let last = with_past(&data).await;
    for (arguments, published) in [
        (
            &[
                "search",
                "rebuild",
                "--verify",
                "--dry-run",
                "--output",
                "json",
            ] as &[&str],
            false,
        ),
        (&["search", "rebuild", "--verify", "--output", "json"], true),
    ] {
        let answer = iyagi(folder.path(), arguments);
        assert_eq!(answer.status, 0, "{}", answer.err);
        let told: Value = serde_json::from_str(&answer.out).expect("JSON");
        let expected = json!({
            "as_of": last.to_string(), "documents": 2, "rejected": {}, "left_out": 1, "verified": true, "published": published,
        });
        assert_eq!(told, expected);
        assert_eq!(data.join("search/current").exists(), published);
    }
    let index = open_index(&data);
    assert_eq!(index.documents(), 2);
}

#[tokio::test]
async fn an_index_that_is_not_what_the_graph_is_is_not_put_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.data.dir = folder.path().join("data");
    with_past(&config.data.dir).await;
    let rebuild = Rebuild::begin(config.clone()).await.expect("begins");
    rebuild.build(None, |_| {}).await.expect("builds");
    rebuild.verify().await.expect("the same");
    // What nobody else can do while the folder is locked.
    let graph = open_graph(&config.data.dir);
    let titled = |title: &str| json!([{"op": "set_property", "id": "spring", "key": "title", "value": title}]);
    commit(&graph, titled("가을 노래")).await;
    let verified = rebuild.verify().await;
    let Err(RebuildError::Differs(Difference::Texts {
        graph: told, index, ..
    })) = verified
    else {
        panic!("{verified:?}");
    };
    let texts = |text: &str| vec![text.to_owned()];
    assert_eq!((told, index), (texts("가을 노래"), texts("봄 노래")));
    commit(&graph, titled("봄 노래")).await;
    rebuild.verify().await.expect("the same again");
    let described =
        json!([{"op": "set_property", "id": "spring", "key": "description", "value": "봄"}]);
    commit(&graph, described).await;
    let verified = rebuild.verify().await;
    let Err(RebuildError::Differs(Difference::Texts {
        property, index, ..
    })) = verified
    else {
        panic!("{verified:?}");
    };
    assert_eq!((property.as_str(), index.len()), ("description", 0));
    commit(
        &graph,
        json!([{"op": "drop_property", "id": "spring", "key": "description"}]),
    )
    .await;
    commit(
        &graph,
        json!([{"op": "add_vertex", "id": "late", "label": "Story"}]),
    )
    .await;
    let verified = rebuild.verify().await;
    let Err(RebuildError::Differs(Difference::Labels { element, index, .. })) = verified else {
        panic!("{verified:?}");
    };
    assert_eq!((element.as_str(), index), ("late", None));
    commit(
        &graph,
        json!([{"op": "drop_vertex", "id": "late"}, {"op": "drop_vertex", "id": "spring"}]),
    )
    .await;
    let verified = rebuild.verify().await;
    let counted = Difference::Count { graph: 1, index: 2 };
    assert!(matches!(verified, Err(RebuildError::Differs(difference)) if difference == counted));
}

#[tokio::test]
async fn where_the_log_has_lost_its_beginning_the_graph_itself_makes_the_same_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let last = with_past(&data).await;
    let answer = iyagi(folder.path(), &["search", "rebuild"]);
    assert_eq!(answer.status, 0, "{}", answer.err);
    let from_log = documents(&data).await;
    for before in [last.commit, u64::MAX] {
        open_graph(&data).trim_before(before).await.expect("trims");
        let answer = iyagi(folder.path(), &["search", "rebuild", "--verify"]);
        assert_eq!(answer.status, 0, "{}", answer.err);
        assert!(answer.out.contains(&last.to_string()), "{}", answer.out);
        assert_eq!(documents(&data).await, from_log);
    }
}

/// As neptune-export writes it: additions only, with positions of its own.
fn write_export(folder: &Path, last: Cursor) {
    let record = |kind: &str, id: &str, key: &str, value: &str| {
        json!({"eventId": {"commitNum": 1, "opNum": 1}, "op": "ADD",
            "data": {"id": id, "type": kind, "key": key, "value": {"value": value, "dataType": "String"}}})
    };
    let nodes = [
        record("vl", "minji", "label", "Person"),
        record("vp", "minji", "name", "민지"),
        record("vl", "grace", "label", "Person"),
        record("vp", "grace", "name", "Grace"),
        record("vl", "spring", "label", "Story"),
        record("vp", "spring", "title", "봄 노래"),
    ];
    let mut posted = record("e", "p1", "label", "POSTED");
    posted["data"]["from"] = "minji".into();
    posted["data"]["to"] = "spring".into();
    let write = |file: &str, records: &[Value]| {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        std::fs::write(path, lines.join("\n")).expect("written");
    };
    write("nodes/all.json", &nodes);
    write("edges/all.json", &[posted]);
    let last = json!({"commitNum": last.commit, "opNum": last.op});
    write("lastEventId.json", &[last]);
}

async fn documents(data: &Path) -> Vec<Document> {
    let index = open_index(data);
    let ids = ["minji", "grace", "spring"]
        .map(|id| DocumentId::of(ElementKind::Vertex, &ElementId::from(id)));
    let standing = index.standing(&ids).await.expect("answers");
    standing.into_iter().map(|one| one.document).collect()
}

#[tokio::test]
async fn an_export_and_the_log_behind_it_make_the_index_that_the_whole_log_makes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, export) = (folder.path().join("data"), folder.path().join("export"));
    let last = with_past(&data).await;
    let answer = iyagi(folder.path(), &["search", "rebuild"]);
    assert_eq!(answer.status, 0, "{}", answer.err);
    let from_log = documents(&data).await;
    assert_eq!(from_log.len(), 2, "one has left");
    open_graph(&data)
        .trim_before(last.commit)
        .await
        .expect("trims");
    let rebuild = ["search", "rebuild", "--verify", "--from-export", "export"];
    write_export(&export, Cursor::new(1, u64::MAX >> 44));
    let answer = iyagi(folder.path(), &rebuild);
    assert_eq!(answer.status, 0, "{}", answer.err);
    assert!(
        answer.out.contains(&last.to_string()),
        "what the log tells behind it is in: {}",
        answer.out
    );
    assert_eq!(documents(&data).await, from_log);

    for (watermark, why) in [
        (Cursor::new(0, 1), "begins at"),
        (Cursor::new(99, 1), "not of this graph"),
    ] {
        write_export(&export, watermark);
        let answer = iyagi(folder.path(), &rebuild);
        assert_eq!(answer.status, 1, "{watermark}");
        assert!(answer.err.contains(why), "{}", answer.err);
    }
    assert_eq!(
        documents(&data).await,
        from_log,
        "the index that was there is left"
    );
}

#[tokio::test]
async fn a_daemon_that_runs_keeps_its_index_to_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.data.dir = folder.path().join("data");
    let _rebuild = Rebuild::begin(config).await.expect("begins");
    let answer = iyagi(folder.path(), &["search", "rebuild"]);
    assert_eq!(answer.status, 75, "{}", answer.err);
}
