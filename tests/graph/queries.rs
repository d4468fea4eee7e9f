//! Questions to the graph as it is now.

use iyagi_actors::ports::GraphQueries;
use iyagi_messages::ids::{ElementId, PersonId};
use serde_json::{Value, json};

use crate::fixture::Fixture;

#[tokio::test]
async fn followers_come_in_pages_by_id_and_once_each() {
    let fixture = Fixture::new();
    let people = ["z", "d", "b", "a", "c"];
    let mut operations: Vec<Value> = people
        .iter()
        .map(|id| json!({"op": "add_vertex", "id": id, "label": "Person"}))
        .collect();
    for from in ["d", "b", "a", "c", "c"] {
        operations.push(json!({"op": "add_edge", "from": from, "to": "z", "label": "FOLLOWS"}));
    }
    operations.push(json!({"op": "add_edge", "from": "z", "to": "z", "label": "BLOCKS"}));
    fixture
        .commit(&json!(operations))
        .await
        .expect("is accepted");
    let person = PersonId::from("z");
    let mut pages = Vec::new();
    let mut after: Option<PersonId> = None;
    loop {
        let page = fixture
            .graph
            .followers_of(&person, "FOLLOWS", after.as_ref(), 3)
            .await;
        let page = page.expect("an answer");
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        pages.push(page.into_iter().map(|person| person.0).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec!["a", "b", "c"], vec!["d"]]);
}

#[tokio::test]
async fn owner_labels_and_properties_are_those_of_now() {
    let fixture = Fixture::with_people().await;
    let operations = json!([
        {"op": "add_vertex", "id": "story", "label": "Story", "properties": {"title": "첫 이야기", "year": 2024}},
        {"op": "add_edge", "from": "a", "to": "story", "label": "LIKES"},
        {"op": "add_edge", "from": "b", "to": "story", "label": "POSTED"},
    ]);
    fixture.commit(&operations).await.expect("is accepted");
    let graph = &fixture.graph;
    let story = ElementId::from("story");
    let authored = ["RECORDED".to_owned(), "POSTED".to_owned()];
    assert_eq!(
        graph.owner_of(&story, &authored).await,
        Ok(Some("b".into()))
    );
    assert_eq!(graph.owner_of(&"a".into(), &authored).await, Ok(None));
    let ties = [
        ("b", "POSTED", true),
        ("a", "POSTED", false),
        ("b", "LIKES", false),
    ];
    for (person, label, expected) in ties {
        let tied = graph.has_edge(&person.into(), label, &"story".into()).await;
        assert_eq!(tied, Ok(expected), "{person} {label}");
    }
    assert_eq!(
        graph.labels_of(&"b".into()).await,
        Ok(vec!["Author".into(), "Person".into()])
    );
    assert_eq!(graph.labels_of(&"nobody".into()).await, Ok(Vec::new()));
    assert_eq!(
        graph.values_of(&story, "title").await,
        Ok(vec!["첫 이야기".into()])
    );
    assert_eq!(
        graph.values_of(&story, "year").await,
        Ok(vec!["2024".into()])
    );
    fixture
        .commit(&json!([{"op": "drop_vertex", "id": "story"}]))
        .await
        .expect("is accepted");
    assert_eq!(graph.owner_of(&story, &authored).await, Ok(None));
    assert_eq!(graph.values_of(&story, "title").await, Ok(Vec::new()));
}
