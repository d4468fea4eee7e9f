//! The whole way: from a commit of the graph to what a person finds, and from a document that is rejected to its redrive.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::config::{Config, SearchEngine};
use iyagi::embedded::graph::EmbeddedGraph;
use serde_json::{Value, json};

use super::{raw, under};
use crate::fixture::Fixture;
use crate::servers::{osmem, unique};

fn with_search(name: &str) -> impl FnOnce(&mut Config) {
    let name = name.to_owned();
    move |config| {
        config.search.engine = SearchEngine::OpenSearch;
        config.search.opensearch.endpoint = Some(osmem().url().to_owned());
        config.search.opensearch.index = name;
        config.search.properties.include.push("age".to_owned());
    }
}

/// What somebody finds as of an answer to a commit.
fn found(fixture: &Fixture, person: &str, query: &str, committed: &Value) -> Value {
    let last = &committed["last"];
    let query = percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
    let version = format!("{}:{}", last["commit"], last["op"]);
    let path = format!("/v1/search?q={query}&min_version={version}");
    // The first commit of an index that is made only then may take longer than one request waits.
    fixture.until("the index has the commit", |fixture| {
        let answer = fixture.public_as(person, "GET", &path, "");
        (answer.status == 200).then(|| answer.json())
    })
}

fn ids(found: &Value) -> Vec<&str> {
    let hits = found["hits"].as_array().expect("hits").iter();
    hits.map(|hit| hit["entity_id"].as_str().expect("an id"))
        .collect()
}

#[test]
fn a_person_finds_what_was_just_written_if_they_may_see_it() {
    let fixture = Fixture::with(with_search(&unique("iyagi"))).with_people();
    let committed = fixture.commit(&json!([
        {"op": "add_vertex", "id": "spring", "label": "Story", "properties": {"title": "봄 노래 이야기를 담은 K팝", "visibility": "public"}},
        {"op": "add_vertex", "id": "diary", "label": "Story", "properties": {"title": "봄 일기", "visibility": "private"}},
        {"op": "add_edge", "id": "p1", "from": "minji", "to": "spring", "label": "POSTED"},
        {"op": "add_edge", "id": "p2", "from": "minji", "to": "diary", "label": "POSTED"},
    ]));
    let committed = committed.json();
    let answer = found(&fixture, "grace", "이야기", &committed);
    assert_eq!(ids(&answer), ["spring"]);
    let hit = &answer["hits"][0];
    assert_eq!(
        (&hit["owner"], &hit["highlight"][0]["ranges"]),
        (&json!("minji"), &json!([{"start": 5, "end": 8}]))
    );
    assert_eq!(ids(&found(&fixture, "grace", "봄", &committed)), ["spring"]);
    let own = found(&fixture, "minji", "봄", &committed);
    assert_eq!(own["hits"].as_array().map(Vec::len), Some(2), "{own}");
}

#[test]
fn a_document_that_is_rejected_is_a_dead_letter_until_it_is_mended_and_redriven() {
    let name = unique("iyagi");
    let fixture = Fixture::with(with_search(&name)).with_people();
    fixture.commit(
        &json!([{"op": "add_vertex", "id": "first", "label": "Story", "properties": {"age": 42}}]),
    );
    let committed = fixture.commit(&json!([
        {"op": "add_vertex", "id": "strange", "label": "Story", "properties": {"age": "many", "title": "여름", "visibility": "public"}},
    ]));
    let committed = committed.json();
    assert_eq!(
        ids(&found(&fixture, "grace", "여름", &committed)),
        ["strange"]
    );
    let letters = "/v1/ops/dead-letters?origin=document";
    let waiting =
        |fixture: &Fixture| fixture.operations("GET", letters, "").json()["letters"].clone();
    let letter = fixture.until("a letter in the queue", |fixture| {
        let letter = waiting(fixture)[0].clone();
        letter["message_id"].is_string().then_some(letter)
    });
    assert_eq!(
        (&letter["reason"], &letter["origin"]["element"]),
        (&json!("mapping"), &json!("strange"))
    );
    assert!(
        letter["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("predicates.age.value")),
        "{letter}"
    );
    let metrics = fixture.operations("GET", "/metrics", "").text();
    assert!(
        metrics.contains("iyagi_search_rejected_total{reason=\"mapping\"} 1"),
        "{metrics}"
    );
    let redrive = || {
        let order = json!({"ids": [letter["id"]]}).to_string();
        fixture
            .operations("POST", "/v1/ops/dead-letters/redrive", order)
            .json()
    };
    let told = redrive();
    assert_eq!(
        (&told["done"], &told["skipped"]),
        (&json!(0), &json!(1)),
        "{told}"
    );
    assert_eq!(waiting(&fixture).as_array().map(Vec::len), Some(1));
    let mended = json!({"properties": {"predicates": {"properties": {"age": {"properties": {
        "value": {"type": "long", "ignore_malformed": true},
    }}}}}});
    assert_eq!(raw("PUT", &format!("/{name}/_mapping"), &mended).0, 200);
    let told = redrive();
    assert_eq!(
        (&told["done"], &told["skipped"]),
        (&json!(1), &json!(0)),
        "{told}"
    );
    assert_eq!(waiting(&fixture), json!([]));
    let sought = json!({"query": {"term": {"predicates.title.value.keyword": "여름"}}});
    let (_, answer) = raw("POST", &format!("/{name}/_search"), &sought);
    assert_eq!(
        answer["hits"]["hits"][0]["_source"]["entity_id"], "strange",
        "{answer}"
    );
}

/// The program in a folder, with that index and nothing of this machine's surroundings.
fn iyagi(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    let endpoint = osmem().url();
    let config = format!(
        "[search]\nengine = \"opensearch\"\n[search.opensearch]\nendpoint = \"{endpoint}\"\nindex = \"{name}\"\n"
    );
    std::fs::write(folder.join("iyagi.toml"), config).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_iyagi"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output();
    output.expect("the program starts")
}

#[tokio::test]
async fn an_index_is_rebuilt_beside_compared_and_put_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let graph = EmbeddedGraph::open(&data.join("graph.db"), Arc::new(SystemClock)).expect("opens");
    let operations = json!([
        {"op": "add_vertex", "id": "minji", "label": "Person", "properties": {"name": "민지", "phone": "010-1234"}},
        {"op": "add_vertex", "id": "spring", "label": "Story", "properties": {"title": "봄 노래"}},
        {"op": "add_edge", "id": "p1", "from": "minji", "to": "spring", "label": "POSTED"},
    ]);
    let operations = serde_json::from_value(operations).expect("operations");
    let last = graph.commit(operations).await.expect("accepted").last;
    drop(graph);
    let name = unique("iyagi");
    let index = under(osmem().url(), &name, &Config::default().projection());
    for (arguments, published) in [
        (
            &[
                "search",
                "rebuild",
                "--verify",
                "--dry-run",
                "--output",
                "json",
            ][..],
            false,
        ),
        (&["search", "rebuild", "--verify", "--output", "json"], true),
    ] {
        let output = iyagi(folder.path(), &name, arguments);
        assert!(output.status.success(), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let expected = json!({
            "as_of": last.to_string(), "documents": 2, "rejected": {}, "left_out": 1, "verified": true, "published": published,
        });
        assert_eq!(told, expected);
        let there = index.look().await.expect("answers");
        assert_eq!(there.map(|(_, cursor)| cursor), published.then_some(last));
        let (_, indexes) = raw("GET", &format!("/{name}-*/_alias"), &Value::Null);
        let expected = if published { 2 } else { 0 };
        assert_eq!(
            indexes.as_object().map_or(0, serde_json::Map::len),
            expected,
            "{indexes}"
        );
    }
    assert_eq!(super::found(&index, "노래").await, ["spring"]);
    let checked = iyagi(folder.path(), &name, &["check", "--output", "json"]);
    let told: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    let looked = told["surroundings"].as_array().expect("a list").iter();
    let found: Vec<&Value> = looked
        .filter(|looked| looked["at"] == "search index")
        .collect();
    assert_eq!((found.len(), &found[0]["ok"]), (1, &json!(true)), "{told}");
}

#[test]
fn a_server_that_is_not_there_is_told_of_by_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[search]\nengine = \"opensearch\"\n[search.opensearch]\nendpoint = \"http://127.0.0.1:9\"\n";
    std::fs::write(folder.path().join("iyagi.toml"), config).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_iyagi"))
        .args(["check"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && told.contains("BAD  search index"),
        "{told}"
    );
    assert!(told.contains("search.opensearch.endpoint"), "{told}");
}
