//! What refuses a commit.

use std::collections::BTreeMap;

use iyagi::embedded::graph::{OPERATIONS_MAX, Operation, PAGE_BYTES_MAX, Problem};
use iyagi::embedded::sqlite::DatabaseError;
use iyagi_actors::ports::Position;
use iyagi_messages::cursor::Cursor;
use serde_json::{Value, json};

use crate::fixture::Fixture;

#[tokio::test]
async fn a_refused_commit_applies_nothing_and_names_the_field() {
    let fixture = Fixture::with_people().await;
    let before = (
        fixture.statements(),
        fixture.graph.tip().await.expect("a tip"),
    );
    let good = json!({"op": "add_vertex", "id": "new", "label": "Person"});
    let edge =
        |from: &str, to: &str| json!({"op": "add_edge", "from": from, "to": to, "label": "L"});
    let set = |value: Value| json!({"op": "set_property", "id": "a", "key": "k", "value": value});
    for (bad, field) in [
        (edge("a", "nobody"), "to"),
        (edge("nobody", "a"), "from"),
        (edge("a", "e"), "to"),
        (json!({"op": "explode"}), "op"),
        (
            json!({"op": "add_vertex", "id": "x", "colour": 1}),
            "colour",
        ),
        (json!({"op": "add_vertex"}), "id"),
        (json!({"op": "add_vertex", "id": ""}), "id"),
        (json!({"op": "add_vertex", "id": "x", "label": ""}), "label"),
        (
            json!({"op": "add_vertex", "id": "x", "label": "A::"}),
            "label",
        ),
        (
            json!({"op": "add_vertex", "id": "x", "properties": {"": 1}}),
            "properties.",
        ),
        (
            json!({"op": "add_vertex", "id": "x", "properties": {"k": [1]}}),
            "properties.k",
        ),
        (json!({"op": "add_vertex", "id": "a"}), "id"),
        (json!({"op": "add_vertex", "id": "e"}), "id"),
        (json!({"op": "add_vertex", "id": "new"}), "id"),
        (
            json!({"op": "add_edge", "id": "e", "from": "a", "to": "b", "label": "L"}),
            "id",
        ),
        (
            json!({"op": "add_edge", "id": "c", "from": "a", "to": "b", "label": "L"}),
            "id",
        ),
        (
            json!({"op": "add_edge", "from": "a", "to": "b", "label": ""}),
            "label",
        ),
        (json!({"op": "drop_vertex", "id": "nobody"}), "id"),
        (json!({"op": "drop_vertex", "id": "e"}), "id"),
        (json!({"op": "drop_edge", "id": "a"}), "id"),
        (
            json!({"op": "drop_property", "id": "a", "key": "age"}),
            "key",
        ),
        (
            json!({"op": "drop_property", "id": "a", "key": "name", "value": "Bora"}),
            "value",
        ),
        (
            json!({"op": "drop_property", "id": "nobody", "key": "name"}),
            "id",
        ),
        (
            json!({"op": "set_property", "id": "nobody", "key": "k", "value": 1}),
            "id",
        ),
        (
            json!({"op": "set_property", "id": "a", "key": "", "value": 1}),
            "key",
        ),
        (
            json!({"op": "add_property", "id": "e", "key": "k", "value": 1}),
            "id",
        ),
        (set(json!({"a": 1})), "value"),
        (set(json!(null)), "value"),
        (set(json!({"value": "NaN", "dataType": "Double"})), "value"),
        (set(json!({"value": 1, "dataType": "Vector"})), "value"),
        (json!(7), ""),
    ] {
        let rejected = fixture
            .commit(&json!([good, bad]))
            .await
            .expect_err("is refused");
        assert_eq!(rejected.index, Some(1), "{bad}");
        assert_eq!(
            rejected.field().unwrap_or_default(),
            field,
            "{bad}: {rejected}"
        );
        assert!(
            rejected.to_string().contains("; "),
            "{rejected} has no cure"
        );
        let after = (
            fixture.statements(),
            fixture.graph.tip().await.expect("a tip"),
        );
        assert_eq!(after, before, "{bad}");
    }
    assert_eq!(
        fixture
            .commit(&json!([]))
            .await
            .expect_err("is refused")
            .problem,
        Problem::Empty
    );
    fixture
        .commit(&json!([good, edge("new", "a")]))
        .await
        .expect("a vertex of the same commit");
}

#[tokio::test]
async fn a_hundred_thousand_operations_are_a_commit_and_one_more_is_not() {
    let fixture = Fixture::new();
    let vertices = |count: usize| -> Vec<Operation> {
        let vertex = |n: usize| Operation::AddVertex {
            id: format!("v{n}").into(),
            label: "Person".to_owned(),
            properties: BTreeMap::new(),
        };
        (0..count).map(vertex).collect()
    };
    match fixture.graph.commit(vertices(OPERATIONS_MAX + 1)).await {
        Err(DatabaseError::Refused(rejected)) => {
            assert_eq!(rejected.problem, Problem::TooMany { count: 100_001 });
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.graph.tip().await.expect("a tip"), Cursor::START);
    let committed = fixture
        .graph
        .commit(vertices(OPERATIONS_MAX))
        .await
        .expect("is accepted");
    assert_eq!((committed.commit, committed.records), (1, 100_000));
    let page = fixture
        .fetch(Position::TrimHorizon, 100_000)
        .await
        .expect("a page");
    let bytes = serde_json::to_vec(&page.records).expect("serialises").len();
    assert!(page.total_records == 100_000 || bytes >= PAGE_BYTES_MAX);
}
