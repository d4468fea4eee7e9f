//! `iyagi search rebuild`, as it is typed and as it ends.

use std::path::Path;
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::config::Config;
use iyagi::embedded::graph::EmbeddedGraph;
use iyagi::embedded::search::EmbeddedSearch;
use iyagi::search_rebuild::{Difference, Rebuild, RebuildError};
use iyagi_messages::cursor::Cursor;
use serde_json::{Value, json};

use super::iyagi;

fn open_graph(folder: &Path) -> EmbeddedGraph {
    std::fs::create_dir_all(folder).expect("a folder");
    EmbeddedGraph::open(&folder.join("graph.db"), Arc::new(SystemClock)).expect("opens")
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
            {"op": "add_vertex", "id": "minji", "label": "Person", "properties": {"name": "민지"}},
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
            "as_of": last.to_string(), "documents": 2, "rejected": {}, "verified": true, "published": published,
        });
        assert_eq!(told, expected);
        assert_eq!(data.join("search/current").exists(), published);
    }
    let index = EmbeddedSearch::open(&data.join("search")).expect("opens");
    assert_eq!(index.documents(), 2);
}

#[tokio::test]
async fn an_index_that_is_not_what_the_graph_is_is_not_put_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.data.dir = folder.path().join("data");
    with_past(&config.data.dir).await;
    let rebuild = Rebuild::begin(config.clone()).await.expect("begins");
    rebuild.build(|_| {}).await.expect("builds");
    rebuild.verify().await.expect("the same");
    // What nobody else can do while the folder is locked.
    let graph = open_graph(&config.data.dir);
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
async fn a_log_that_has_lost_its_beginning_is_not_taken_for_the_graph() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let last = with_past(&data).await;
    open_graph(&data)
        .trim_before(last.commit)
        .await
        .expect("trims");
    let answer = iyagi(folder.path(), &["search", "rebuild"]);
    assert_eq!(answer.status, 1);
    assert!(answer.err.contains("begins at"), "{}", answer.err);
    assert!(!data.join("search/current").exists());
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
