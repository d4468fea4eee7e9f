//! Questions to the graph by openCypher get the answers that the embedded graph gives.

use iyagi_actors::ports::GraphQueries;
use iyagi_messages::ids::{ElementId, PersonId};
use serde_json::{Value, json};

use super::client::graph;
use super::fake::{Fake, Reply, Server};

/// Names that would end a careless quotation.
const HOSTILE: [&str; 4] = [
    "FOLLOWS",
    "팔로우",
    "X`]->() DETACH DELETE person //",
    "``' OR $person = '\\u0060",
];

async fn with_people() -> Fake {
    let fake = Fake::start();
    let mut operations: Vec<Value> = ["z", "d", "b", "a", "it's \"me\""]
        .map(|id| json!({"op": "add_vertex", "id": id, "label": "Person::Author", "properties": {"name": format!("{id} 한")}}))
        .into();
    operations.push(json!({"op": "add_vertex", "id": "story", "label": "Story",
        "properties": {"title": "첫 이야기", "year": 2024, "score": 0.5, "a`b": "quoted"}}));
    for label in HOSTILE {
        for from in ["d", "b", "a", "it's \"me\""] {
            operations.push(json!({"op": "add_edge", "from": from, "to": "z", "label": label}));
        }
    }
    operations.push(json!({"op": "add_edge", "from": "a", "to": "z", "label": "FOLLOWS"}));
    operations.push(json!({"op": "add_edge", "from": "d", "to": "story", "label": "POSTED"}));
    operations.push(json!({"op": "add_edge", "from": "b", "to": "story", "label": "POSTED"}));
    operations.push(json!({"op": "add_edge", "from": "a", "to": "story", "label": "LIKES"}));
    fake.commit(Value::from(operations)).await;
    fake
}

#[tokio::test]
async fn neptune_answers_as_the_embedded_graph_does() {
    let fake = with_people().await;
    let (remote, embedded) = (graph(fake.url()), fake.graph());
    let ids = ["z", "d", "b", "a", "it's \"me\"", "story", "nobody", ""];
    for id in ids {
        let (person, element) = (PersonId::from(id), ElementId::from(id));
        for via in HOSTILE.into_iter().chain(["LIKES", "NOBODY_DOES"]) {
            for after in [None, Some("a"), Some("d"), Some("zz")] {
                let after = after.map(PersonId::from);
                for limit in [1, 2, 100] {
                    let answer = remote
                        .followers_of(&person, via, after.as_ref(), limit)
                        .await;
                    let expected = embedded
                        .followers_of(&person, via, after.as_ref(), limit)
                        .await;
                    assert_eq!(answer, expected, "{id} {via} {after:?} {limit}");
                }
            }
        }
        for to in ids.map(PersonId::from) {
            for via in HOSTILE.into_iter().chain(["LIKES", "NOBODY_DOES"]) {
                let answer = remote.has_edge(&person, via, &to).await;
                let expected = embedded.has_edge(&person, via, &to).await;
                assert_eq!(answer, expected, "{id} {via} {to}");
            }
        }
        for authored in [
            &["POSTED"][..],
            &["LIKES", "POSTED"],
            &["NOBODY_DOES", "POSTED"],
            &[],
        ] {
            let authored: Vec<String> = authored.iter().map(ToString::to_string).collect();
            let answer = remote.owner_of(&element, &authored).await;
            assert_eq!(
                answer,
                embedded.owner_of(&element, &authored).await,
                "{id} {authored:?}"
            );
        }
        assert_eq!(
            remote.labels_of(&element).await,
            embedded.labels_of(&element).await,
            "{id}"
        );
        for key in ["name", "title", "year", "score", "a`b", "none"] {
            let answer = remote.values_of(&element, key).await;
            let expected = embedded.values_of(&element, key).await;
            // openCypher shows one of several.
            let expected = expected.map(|values| values.into_iter().take(1).collect());
            assert_eq!(answer, expected, "{id} {key}");
        }
    }
    for limit in [1, 3, 100] {
        for after in [None, Some("a"), Some("it's \"me\""), Some("zzz")] {
            let after = after.map(ElementId::from);
            assert_eq!(
                remote.vertices(after.as_ref(), limit).await,
                embedded.vertices(after.as_ref(), limit).await
            );
            for key in ["name", "a`b", "none"] {
                assert_eq!(
                    remote.vertices_with(key, after.as_ref(), limit).await,
                    embedded.vertices_with(key, after.as_ref(), limit).await
                );
            }
            assert_eq!(
                remote.edges(after.as_ref(), limit).await,
                embedded.edges(after.as_ref(), limit).await
            );
        }
    }
    let edges = embedded.edges(None, 100).await.expect("an answer");
    for (id, ends) in edges {
        assert_eq!(remote.ends_of(&id).await, Ok(Some(ends)));
    }
    assert_eq!(remote.ends_of(&"nobody".into()).await, Ok(None));
    let score = remote.values_of(&"story".into(), "score").await;
    assert_eq!(
        score,
        Ok(vec!["0.5".to_owned()]),
        "the comparison is not between empty answers"
    );
}

#[tokio::test]
async fn values_travel_as_parameters_and_never_within_the_query() {
    let fake = with_people().await;
    let id = "it's \"me\"";
    graph(fake.url())
        .labels_of(&id.into())
        .await
        .expect("an answer");
    let requests = fake.requests();
    let [request] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(
        (&*request.method, &*request.target),
        ("POST", "/opencypher")
    );
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert!(
        !body["query"].as_str().expect("a text").contains("me"),
        "{body}"
    );
    let parameters: Value =
        serde_json::from_str(body["parameters"].as_str().expect("a text")).expect("JSON");
    assert_eq!(parameters, json!({ "vertex": id }));
    let signature = request.header("authorization").expect("is signed");
    assert!(
        signature.contains("/neptune-db/aws4_request"),
        "{signature}"
    );
}

#[tokio::test]
async fn a_question_without_an_answer_says_why() {
    for (reply, reason) in [
        (
            Reply::error(400, "MalformedQueryException", "at line 1"),
            "MalformedQueryException (400): at line 1",
        ),
        (
            Reply::error(403, "AccessDeniedException", "not you"),
            "not you",
        ),
        (
            Reply::error(500, "QueryLimitExceededException", "too many"),
            "too many",
        ),
        (Reply::empty(404), "not the service's own"),
        (Reply::html(502), "<h1>502</h1>"),
        (Reply::json(r#"{"results": 7}"#), "no list of results"),
        (
            Reply::json(r#"{"results": [{"other": 1}]}"#),
            "lacks its column",
        ),
        (
            Reply::json(r#"{"results": [{"answer": "Person"}]}"#),
            "not a list",
        ),
    ] {
        let server = Server::always(reply);
        let answer = graph(server.url()).labels_of(&"v".into()).await;
        let fault = answer.expect_err("is no answer").to_string();
        assert!(fault.contains(reason), "{fault}");
    }
    let server = Server::always(Reply::json(r#"{"results": [{"answer": null}]}"#));
    let answer = graph(server.url())
        .owner_of(&"v".into(), &["POSTED".to_owned()])
        .await;
    assert!(answer.is_err(), "an owner without an id");
}
