//! Stream records as a commit.

use iyagi_actors::ports::Position;
use iyagi_messages::cursor::Cursor;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::statements::{fold, short};

fn record(op: &str, kind: &str, id: &str, key: &str, value: &str) -> Value {
    json!({"op": op, "data": {"id": id, "type": kind, "key": key,
        "value": {"value": value, "dataType": "String"}}})
}

fn edge_record(op: &str, id: &str, from: &str, to: &str) -> Value {
    let mut record = record(op, "e", id, "label", "FOLLOWS");
    record["data"]["from"] = json!(from);
    record["data"]["to"] = json!(to);
    record
}

#[tokio::test]
async fn raw_records_are_renumbered_and_logged_as_they_are() {
    let fixture = Fixture::with_people().await;
    let mut swap = [
        record("REMOVE", "vl", "a", "label", "Person"),
        record("ADD", "vl", "a", "label", "Poet"),
        record("ADD", "vl", "7", "label", "Person"),
        edge_record("ADD", "g", "7", "a"),
        record("ADD", "ep", "g", "since", "2021"),
    ];
    swap[0]["eventId"] = json!("99:1");
    swap[3]["data"]["from"] = json!(7);
    let committed = fixture
        .send(&json!({"records": swap}))
        .await
        .expect("is accepted");
    assert_eq!((committed.commit, committed.records), (2, 5));
    let page = fixture
        .fetch(Position::At(Cursor::new(2, 1)), 10)
        .await
        .expect("a page");
    assert_eq!(
        page.records.iter().map(short).collect::<Vec<_>>(),
        [
            "-vl a label=Person",
            "+vl a label=Poet",
            "+vl 7 label=Person",
            "+e g label=FOLLOWS",
            "+ep g since=2021",
        ]
    );
    assert_eq!(fixture.statements(), fold(&fixture.log(2).await));
}

#[tokio::test]
async fn raw_records_that_contradict_the_graph_are_refused_whole() {
    let fixture = Fixture::with_people().await;
    let before = (
        fixture.statements(),
        fixture.graph.tip().await.expect("a tip"),
    );
    let good = record("ADD", "vl", "new", "label", "Person");
    let mut endless = edge_record("ADD", "g", "a", "b");
    endless["data"]
        .as_object_mut()
        .expect("an object")
        .remove("to");
    for (bad, field) in [
        (record("ADD", "vl", "a", "label", "Person"), "data"),
        (record("ADD", "vl", "a", "name", "Person"), "data.key"),
        (record("ADD", "vl", "a", "label", ""), "data.value"),
        (record("ADD", "vl", "e", "label", "Person"), "data.id"),
        (record("ADD", "vp", "nobody", "name", "x"), "data.id"),
        (record("ADD", "vp", "e", "name", "x"), "data.id"),
        (record("ADD", "ep", "a", "name", "x"), "data.id"),
        (record("ADD", "ep", "e", "since", "x"), "data.key"),
        (record("REMOVE", "vp", "a", "name", "x"), "data"),
        (record("REMOVE", "ep", "a", "name", "Ara"), "data.id"),
        (record("REMOVE", "vl", "a", "label", "Person"), "data.id"),
        (edge_record("REMOVE", "e", "a", "b"), "data.id"),
        (edge_record("REMOVE", "e", "b", "a"), "data"),
        (edge_record("ADD", "e", "b", "a"), "data.id"),
        (edge_record("ADD", "a", "b", "a"), "data.id"),
        (edge_record("ADD", "g", "a", "nobody"), "data.to"),
        (edge_record("ADD", "g", "nobody", "a"), "data.from"),
        (endless, "data.to"),
        (record("UPSERT", "vl", "x", "label", "x"), "op"),
        (record("ADD", "v1", "x", "label", "x"), "data.type"),
    ] {
        let body = json!({"records": [good, bad]});
        let rejected = fixture.send(&body).await.expect_err("is refused");
        let place = (rejected.index, rejected.field().unwrap_or_default());
        assert_eq!(place, (Some(1), field.to_owned()), "{bad}: {rejected}");
        let after = (
            fixture.statements(),
            fixture.graph.tip().await.expect("a tip"),
        );
        assert_eq!(after, before, "{bad}");
    }
}
