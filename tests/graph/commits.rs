//! What a commit leaves in the log.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;
use iyagi::embedded::graph::Operation;
use iyagi_actors::ports::Position;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use serde_json::{Value, json};

use crate::fixture::{BEGINNING, Fixture, open};
use crate::statements::{fold, short};

#[tokio::test]
async fn an_insert_is_one_record_for_every_label_and_property() {
    let fixture = Fixture::with_people().await;
    let log = fixture.log(100).await;
    let records: Vec<String> = log.iter().map(short).collect();
    assert_eq!(
        records,
        [
            "+vl a label=Person",
            "+vp a name=Ara",
            "+vl b label=Person",
            "+vl b label=Author",
            "+vl c label=vertex",
            "+e e label=FOLLOWS",
            "+ep e since=2020",
        ]
    );
    assert!(
        log.iter()
            .all(|record| record.commit_timestamp == Some(Timestamp(BEGINNING)))
    );
    let last: Vec<u64> = log
        .iter()
        .filter(|r| r.is_last_op)
        .map(|r| r.event_id.op)
        .collect();
    assert_eq!(last, [7]);
}

#[tokio::test]
async fn an_update_removes_the_old_value_and_adds_the_new() {
    let fixture = Fixture::with_people().await;
    let operations = json!([
        {"op": "set_property", "id": "a", "key": "name", "value": "Bora"},
        {"op": "set_property", "id": "e", "key": "since", "value": 2021},
        {"op": "add_property", "id": "a", "key": "name", "value": "Chan"},
        {"op": "add_property", "id": "a", "key": "name", "value": "Chan"},
        {"op": "drop_property", "id": "a", "key": "name", "value": "Bora"},
        {"op": "drop_property", "id": "e", "key": "since"},
    ]);
    let committed = fixture.commit(&operations).await.expect("is accepted");
    assert_eq!((committed.commit, committed.records), (2, 7));
    let page = fixture
        .fetch(Position::At(Cursor::new(2, 1)), 100)
        .await
        .expect("a page");
    assert_eq!(
        page.records.iter().map(short).collect::<Vec<_>>(),
        [
            "-vp a name=Ara",
            "+vp a name=Bora",
            "-ep e since=2020",
            "+ep e since=2021",
            "+vp a name=Chan",
            "-vp a name=Bora",
            "-ep e since=2021",
        ]
    );
}

#[tokio::test]
async fn dropping_a_vertex_removes_edge_properties_then_edges_then_properties_then_labels() {
    let fixture = Fixture::with_people().await;
    let operations = json!([
        {"op": "add_edge", "id": "f", "from": "b", "to": "c", "label": "FOLLOWS", "properties": {"w": 0.5}},
        {"op": "add_edge", "id": "loop", "from": "b", "to": "b", "label": "KNOWS"},
        {"op": "set_property", "id": "b", "key": "name", "value": "Bora"},
        {"op": "drop_vertex", "id": "b"},
    ]);
    let committed = fixture.commit(&operations).await.expect("is accepted");
    let drop = Position::At(Cursor::new(2, 5));
    let page = fixture.fetch(drop, 100).await.expect("a page");
    assert_eq!(
        page.records.iter().map(short).collect::<Vec<_>>(),
        [
            "-ep e since=2020",
            "-ep f w=0.5",
            "-e e label=FOLLOWS",
            "-e f label=FOLLOWS",
            "-e loop label=KNOWS",
            "-vp b name=Bora",
            "-vl b label=Author",
            "-vl b label=Person",
        ]
    );
    assert_eq!(committed.last, Cursor::new(2, 12));
    assert_eq!(fixture.statements(), fold(&fixture.log(3).await));
}

#[tokio::test]
async fn values_keep_their_type() {
    let fixture = Fixture::new();
    let operations = json!([{"op": "add_vertex", "id": "v", "properties": {
        "bool": true, "date": {"value": 1_600_000_000_000_i64, "dataType": "Date"}, "double": 1.0,
        "int": -7, "long": 9_007_199_254_740_993_i64, "text": "이야기 \"\n\u{0}",
    }}]);
    fixture.commit(&operations).await.expect("is accepted");
    let (_, page) = fixture.wire("commitNum=1&opNum=2").await;
    let values: Vec<&Value> = page["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| &record["data"]["value"])
        .collect();
    assert_eq!(
        json!(values),
        json!([
            {"value": true, "dataType": "Bool"},
            {"value": 1_600_000_000_000_i64, "dataType": "Date"},
            {"value": 1.0, "dataType": "Double"},
            {"value": -7, "dataType": "Int"},
            {"value": 9_007_199_254_740_993_i64, "dataType": "Long"},
            {"value": "이야기 \"\n\u{0}", "dataType": "String"},
        ])
    );
}

#[tokio::test]
async fn a_commit_that_changes_nothing_gets_no_number() {
    let fixture = Fixture::with_people().await;
    let same = json!([{"op": "set_property", "id": "a", "key": "name", "value": "Ara"}]);
    let committed = fixture.commit(&same).await.expect("is accepted");
    assert_eq!((committed.commit, committed.records), (1, 0));
    let drop = json!([{"op": "drop_edge", "id": "e"}]);
    assert_eq!(fixture.commit(&drop).await.expect("is accepted").commit, 2);
}

#[tokio::test]
async fn an_edge_without_an_id_gets_one_and_the_client_is_told() {
    let fixture = Fixture::with_people().await;
    let edge = json!({"op": "add_edge", "from": "b", "to": "a", "label": "FOLLOWS"});
    let committed = fixture
        .commit(&json!([edge, edge]))
        .await
        .expect("is accepted");
    let [first, second] = &committed.derived_edges[..] else {
        panic!("{committed:?}")
    };
    assert_eq!((first.index, second.index), (0, 1));
    assert_ne!(first.id, second.id);
    let drop = json!([{"op": "drop_edge", "id": first.id}]);
    fixture.commit(&drop).await.expect("the id is right");
}

#[tokio::test]
async fn concurrent_commits_get_gapless_numbers() {
    let fixture = Fixture::new();
    let commits = (0..300).map(|n| {
        let id = format!("v{n}").into();
        let label = "Person".to_owned();
        let vertex = Operation::AddVertex {
            id,
            label,
            properties: BTreeMap::new(),
        };
        fixture.graph.commit(vec![vertex])
    });
    let mut numbers: Vec<u64> = join_all(commits)
        .await
        .into_iter()
        .map(|c| c.expect("is accepted").commit)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
    let log: Vec<u64> = fixture
        .log(7)
        .await
        .iter()
        .map(|r| r.event_id.commit)
        .collect();
    assert_eq!(log, numbers);
}

#[tokio::test]
async fn commits_survive_a_crash_at_any_byte_of_the_file() {
    let fixture = Fixture::with_commits(20).await;
    let file = |folder: &Path, name: &str| folder.join(name);
    let wal = std::fs::read(file(fixture.folder.path(), "graph.db-wal")).expect("a live log");
    for keep in [wal.len(), wal.len() - 1, wal.len() / 2, wal.len() / 3, 0] {
        let copy = tempfile::tempdir().expect("a temporary folder");
        let main = file(fixture.folder.path(), "graph.db");
        std::fs::copy(main, file(copy.path(), "graph.db")).expect("copies");
        std::fs::write(file(copy.path(), "graph.db-wal"), &wal[..keep]).expect("writes");
        let survivor = Fixture {
            graph: open(copy.path()),
            folder: copy,
        };
        let log = survivor.log(100).await;
        assert_eq!(survivor.statements(), fold(&log));
        let commits = log.last().map_or(0, |record| record.event_id.commit);
        assert!(log.last().is_none_or(|record| record.is_last_op));
        if keep == wal.len() {
            assert_eq!(commits, 20);
        }
        let next = json!([{"op": "add_vertex", "id": "next"}]);
        assert_eq!(
            survivor.commit(&next).await.expect("goes on").commit,
            commits + 1
        );
    }
}
