//! Registering phones.

use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};

fn put(fixture: &Fixture, person: &str, token: &str, body: &Value) -> Answer {
    let path = format!("/v1/devices/{token}");
    fixture.public_as(person, "PUT", &path, body.to_string())
}

fn events(fixture: &Fixture) -> Vec<Value> {
    let page = fixture
        .operations("GET", "/v1/ops/journal?entity=device/", "")
        .json();
    page["events"].as_array().expect("events").clone()
}

#[test]
fn the_same_registration_again_writes_nothing_and_another_person_takes_the_phone_over() {
    let fixture = Fixture::start();
    let minji = json!({"person": "minji", "platform": "apns", "locale": "ko-KR"});
    let answer = put(&fixture, "minji", "abc:d-1_%2Fz", &minji);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["token"], "abc:d-1_/z");
    assert_eq!(put(&fixture, "minji", "abc:d-1_%2Fz", &minji).status, 200);
    assert_eq!(events(&fixture).len(), 1);
    let grace = json!({"person": "grace", "platform": "apns", "locale": "en"});
    assert_eq!(put(&fixture, "grace", "abc:d-1_%2Fz", &grace).status, 200);
    for _ in 0..2 {
        assert_eq!(
            fixture
                .public_as("grace", "DELETE", "/v1/devices/abc:d-1_%2Fz", "")
                .status,
            204
        );
    }
    let kinds: Vec<Value> = events(&fixture)
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["device.registered", "device.registered", "device.removed"]
    );
    assert_eq!(
        put(&fixture, "minji", "abc:d-1_%2Fz", &minji).status,
        201,
        "it comes back"
    );
}

#[test]
fn everybody_who_registers_at_once_is_heard() {
    let fixture = Fixture::start();
    std::thread::scope(|scope| {
        for person in 0..8 {
            let fixture = &fixture;
            scope.spawn(move || {
                let body = json!({"platform": "fcm", "locale": "en"});
                let answer = put(fixture, &format!("p{person}"), "one", &body);
                assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
            });
        }
    });
    assert_eq!(
        events(&fixture).len(),
        8,
        "each was a registration of its own"
    );
}

#[test]
fn a_registration_with_a_mistake_is_refused_by_field() {
    let fixture = Fixture::start();
    for (body, field) in [
        (
            json!({"person": "", "platform": "fcm", "locale": "ko"}),
            "person",
        ),
        (
            json!({"person": "p", "platform": "gcm", "locale": "ko"}),
            "platform",
        ),
        (
            json!({"person": "p", "platform": "fcm", "locale": ""}),
            "locale",
        ),
        (
            json!({"person": "p", "platform": "fcm", "locale": "ko", "badge": 1}),
            "badge",
        ),
    ] {
        let problem = put(&fixture, "p", "t", &body).problem(400, "invalid-field");
        assert_eq!(problem["field"], field);
    }
    let long = "t".repeat(1_025);
    let problem = put(&fixture, "p", &long, &json!({})).problem(400, "invalid-field");
    assert_eq!(problem["field"], "token");
    assert_eq!(events(&fixture), Vec::<Value>::new());
}
