//! Commits over HTTP, and the change log as Neptune serves it.

use std::io::Read;

use serde_json::{Value, json};

use crate::fixture::Fixture;

fn post(fixture: &Fixture, body: &Value) -> crate::fixture::Answer {
    fixture.operations("POST", "/v1/graph/commits", body.to_string())
}

#[test]
fn a_commit_says_what_it_became() {
    let fixture = Fixture::start();
    let answer = fixture.commit(&json!([
        {"op": "add_vertex", "id": "a", "label": "person"},
        {"op": "add_vertex", "id": "b", "label": "person"},
        {"op": "add_edge", "from": "a", "to": "b", "label": "FOLLOWS"},
    ]));
    let commit = answer.json();
    assert_eq!(commit["commit"], 1);
    assert_eq!(commit["records"], 3);
    assert_eq!(commit["last"], json!({"commit": 1, "op": 3}));
    assert_eq!(commit["derived_edges"][0]["index"], 2);
    let record = json!({"records": [{
        "data": {"id": "c", "type": "vl", "key": "label", "value": {"value": "person", "dataType": "String"}}, "op": "ADD",
    }]});
    assert_eq!(post(&fixture, &record).json()["commit"], 2);
    let same = json!({"operations": [
        {"op": "set_property", "id": "a", "key": "age", "value": 1},
        {"op": "drop_property", "id": "a", "key": "age"},
        {"op": "set_property", "id": "a", "key": "age", "value": 1},
    ]});
    assert_eq!(post(&fixture, &same).status, 201);
}

#[test]
fn a_refused_commit_names_its_entry_and_field_and_changes_nothing() {
    let fixture = Fixture::start();
    let add = json!({"op": "add_vertex", "id": "a"});
    for (body, index, field) in [
        (
            json!([add, {"op": "add_edge", "from": "a", "to": "nobody", "label": "X"}]),
            1,
            "to",
        ),
        (json!([add, {"op": "add_vertx", "id": "b"}]), 1, "op"),
        (json!([add, {"op": "add_vertex"}]), 1, "id"),
        (
            json!([add, {"op": "add_vertex", "id": "b", "lable": "x"}]),
            1,
            "lable",
        ),
        (json!([add, add]), 1, "id"),
        (json!([{"op": "drop_vertex", "id": "none"}]), 0, "id"),
    ] {
        let problem = post(&fixture, &json!({"operations": body})).problem(422, "commit-rejected");
        assert_eq!(
            (&problem["index"], &problem["field"]),
            (&index.into(), &field.into())
        );
        assert_eq!(problem["pointer"], format!("/operations/{index}/{field}"));
        assert!(problem["cure"].is_string());
    }
    let many = vec![json!({"op": "drop_edge", "id": "e"}); 100_001];
    let problem = post(&fixture, &json!({"operations": many})).problem(422, "commit-rejected");
    assert!(problem["detail"].as_str().expect("text").contains("100001"));
    fixture
        .operations("POST", "/v1/graph/commits", "{\"op")
        .problem(400, "commit-unreadable");
    post(&fixture, &json!({})).problem(400, "commit-unreadable");
    post(&fixture, &json!({"operations": []})).problem(422, "commit-rejected");
    let answer = fixture.operations("GET", "/propertygraph/stream?iteratorType=TRIM_HORIZON", "");
    assert_eq!(answer.status, 404, "nothing was applied: {}", answer.text());
}

#[test]
fn a_commit_beyond_the_body_limit_is_refused() {
    let fixture = Fixture::with(|config| config.http.body_bytes_max = 1_000);
    let body = json!({"operations": [{"op": "add_vertex", "id": "x".repeat(1_000)}]});
    post(&fixture, &body).problem(413, "too-large");
}

#[test]
fn others_can_read_the_log_as_if_it_were_neptune() {
    let fixture = Fixture::start();
    let code = |answer: &crate::fixture::Answer| {
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        (body["code"].clone(), body["message"].clone())
    };
    let answer = fixture.operations("GET", "/propertygraph/stream?iteratorType=TRIM_HORIZON", "");
    assert_eq!(answer.status, 404);
    let (name, message) = code(&answer);
    assert_eq!(name, "StreamRecordsNotFoundException");
    assert_eq!(message, "Requested startEventId is from the future.");

    fixture.commit(&json!([{"op": "add_vertex", "id": "민지", "label": "person"}]));
    let plain = fixture.operations(
        "GET",
        "/propertygraph/stream?commitNum=1&opNum=1&limit=5",
        "",
    );
    let page = plain.json();
    assert_eq!(plain.header("content-type"), "application/json");
    assert_eq!(page["lastEventId"], json!({"commitNum": 1, "opNum": 1}));
    assert_eq!(page["records"][0]["data"]["id"], "민지");
    for path in ["/pg/stream", "/gremlin/stream"] {
        assert_eq!(
            fixture
                .operations("GET", &format!("{path}?commitNum=1"), "")
                .json(),
            page
        );
    }
    let gzip = [("accept-encoding", "gzip")];
    let zipped = fixture.send(
        fixture.operations,
        "GET",
        "/pg/stream?commitNum=1",
        &gzip,
        &[],
    );
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*zipped.body)
        .read_to_string(&mut text)
        .expect("gzip");
    assert_eq!(text, plain.text());

    let after = "/pg/stream?iteratorType=AFTER_SEQUENCE_NUMBER&commitNum=1&opNum=1";
    let answer = fixture.operations("GET", after, "");
    assert_eq!(answer.status, 404);
    assert_eq!(
        code(&answer).1,
        "Requested startEventId is from the future. Last valid eventId is [commitNum = 1, opNum = 1]"
    );
    let answer = fixture.operations("GET", "/pg/stream?limit=0&iteratorType=LATEST", "");
    assert_eq!(
        (answer.status, code(&answer).0),
        (400, "InvalidParameterException".into())
    );
}
