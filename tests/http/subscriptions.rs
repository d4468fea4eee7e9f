//! What people want to hear of.

use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};

fn post(fixture: &Fixture, body: &Value) -> Answer {
    fixture.public("POST", "/v1/subscriptions", body.to_string())
}

fn listed(fixture: &Fixture, owner: &str) -> Value {
    fixture
        .public_as(owner, "GET", "/v1/subscriptions", "")
        .json()
}

fn enabled(fixture: &Fixture, template: &str) -> bool {
    let listed = listed(fixture, "minji");
    let defaults = listed["defaults"].as_array().expect("defaults");
    let found = defaults.iter().find(|one| one["template"] == template);
    found.expect("a default notification")["enabled"] == true
}

#[test]
fn a_subscription_lives_from_its_creation_to_its_removal() {
    let fixture = Fixture::start();
    let body = json!({
        "owner": "minji", "anchor": {"element": {"id": "story-1"}}, "when": {"keys": ["title"]},
    });
    let answer = post(&fixture, &body);
    assert_eq!(answer.status, 201);
    let created = answer.json();
    assert_eq!(created["template"], "subscription");
    assert_eq!(created["effective_after"], json!({"commit": 0, "op": 0}));
    let id = created["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), format!("/v1/subscriptions/{id}"));
    let again = post(&fixture, &body);
    assert_eq!((again.status, again.json()), (200, created.clone()));
    assert_eq!(listed(&fixture, "minji")["subscriptions"], json!([created]));
    assert_eq!(listed(&fixture, "grace")["subscriptions"], json!([]));

    let of = |owner: &str| {
        let path = format!("/v1/subscriptions/{id}");
        fixture.public_as(owner, "DELETE", &path, "")
    };
    of("grace").problem(404, "not-found");
    assert_eq!(of("minji").status, 204);
    of("minji").problem(404, "not-found");
    assert_eq!(listed(&fixture, "minji")["subscriptions"], json!([]));
}

#[test]
fn a_default_notification_is_left_and_joined_again() {
    let fixture = Fixture::start();
    assert!(enabled(&fixture, "follow"));
    let leave = || {
        fixture.public(
            "DELETE",
            "/v1/subscriptions/template:follow?owner=minji",
            "",
        )
    };
    for _ in 0..2 {
        assert_eq!(leave().status, 204);
        assert!(!enabled(&fixture, "follow"));
    }
    let answer = post(&fixture, &json!({"owner": "minji", "template": "follow"}));
    assert_eq!(
        (answer.status, answer.json()["enabled"].clone()),
        (200, true.into())
    );
    assert!(enabled(&fixture, "follow"));
    let page = fixture
        .operations("GET", "/v1/ops/journal?entity=preference/minji", "")
        .json();
    let kinds: Vec<&Value> = page["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["kind"])
        .collect();
    assert_eq!(kinds, ["template.opted_out", "template.opted_in"]);
    fixture
        .public("DELETE", "/v1/subscriptions/template:folow?owner=minji", "")
        .problem(404, "not-found");
}

#[test]
fn a_subscription_that_cannot_be_is_refused_by_field() {
    let fixture = Fixture::start();
    for (body, field) in [
        (
            json!({"owner": "", "anchor": {"element": {"id": "x"}}}),
            "owner",
        ),
        (json!({}), "anchor"),
        (
            json!({"anchor": {"incident": {"vertex": "@me"}}}),
            "anchor.incident.vertex",
        ),
        (
            json!({"anchor": {"label": {"label": ""}}}),
            "anchor.label.label",
        ),
        (
            json!({"anchor": {"element": {"id": "x"}}, "template": "nope"}),
            "template",
        ),
        (
            json!({"anchor": {"element": {"id": "x"}}, "extra": 1}),
            "extra",
        ),
    ] {
        let problem = post(&fixture, &body).problem(400, "invalid-field");
        assert_eq!(problem["field"], field);
    }
}

#[test]
fn a_subscription_is_changed_by_its_owner_alone_and_counts_from_then_on() {
    let fixture = Fixture::start();
    let wanted = json!({"owner": "minji", "anchor": {"element": {"id": "story-1"}}, "when": {"keys": ["title"]}});
    let created = post(&fixture, &wanted).json();
    let id = created["id"].as_str().expect("an id");
    let change = |owner: &str, patch: Value| {
        let path = format!("/v1/subscriptions/{id}");
        fixture.public_as(owner, "PATCH", &path, patch.to_string())
    };
    change("grace", json!({"enabled": false})).problem(404, "not-found");
    fixture.commit(&json!([{"op": "add_vertex", "id": "story-1", "label": "Story"}]));
    fixture.until("the commit is read", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        (status["stream"]["cursor"]["commit"] == 1).then_some(())
    });
    let prefix = json!({"key": "title", "op": "prefix", "value": "이야기", "on": "either"});
    let patch = json!({"when": {"keys": null, "where": [prefix]}, "exclude_self": false, "expires_at": 4_102_444_800_000_i64});
    let changed = change("minji", patch.clone()).json();
    assert_eq!(changed["when"]["where"], json!([prefix]));
    assert_eq!(changed["when"]["keys"], json!([]));
    assert_eq!(changed["exclude_self"], false);
    assert_eq!(changed["effective_after"]["commit"], 1);
    assert_eq!(listed(&fixture, "minji")["subscriptions"], json!([changed]));
    // The same once more is no change.
    assert_eq!(change("minji", patch).json(), changed);
    let page = fixture.operations(
        "GET",
        &format!("/v1/ops/journal?entity=subscription/{id}"),
        "",
    );
    let kinds: Vec<Value> = page.json()["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(kinds, ["subscription.created", "subscription.changed"]);
    let past = change("minji", json!({"expires_at": 1}));
    assert_eq!(past.problem(400, "invalid-field")["field"], "expires_at");
    let moved = change("minji", json!({"owner": "grace"}));
    assert_eq!(moved.problem(400, "invalid-field")["field"], "owner");
}
