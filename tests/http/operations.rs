//! Health, metrics, status, actors and the journal.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};

fn order(fixture: &Fixture, actor: &str, verb: &str, body: &str) -> Answer {
    fixture.operations("POST", &format!("/v1/ops/actors/{actor}/{verb}"), body)
}

#[test]
fn the_daemon_is_ready_when_every_dependency_is() {
    let fixture = Fixture::start();
    assert_eq!(fixture.operations("GET", "/livez", "").json()["live"], true);
    let readiness = fixture.until("readiness", |fixture| {
        let answer = fixture.operations("GET", "/readyz?verbose", "");
        let readiness: Value = serde_json::from_slice(&answer.body).expect("JSON");
        (answer.status == 200 && readiness["dependencies"]["stream"].is_object())
            .then_some(readiness)
    });
    for name in [
        "journal",
        "graph",
        "files",
        "metadata",
        "actors",
        "queue dead-letters.fifo",
    ] {
        let dependency = &readiness["dependencies"][name];
        assert_eq!(dependency["ready"], true, "{name}: {readiness}");
        assert!(dependency["since"].is_number() && dependency["detail"].is_string());
    }
    let now = fixture.surface.clock.now();
    fixture
        .surface
        .tree
        .health
        .report("stream", false, "stalled behind 3:1", now);
    fixture
        .surface
        .actors
        .pause("stream-poller")
        .expect("pauses");
    let answer = fixture.until("the bad news", |fixture| {
        let now = fixture.surface.clock.now();
        fixture
            .surface
            .tree
            .health
            .report("stream", false, "stalled behind 3:1", now);
        let answer = fixture.operations("GET", "/readyz", "");
        (answer.status == 503).then_some(answer)
    });
    let readiness: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(readiness["ready"], false);
    assert_eq!(
        readiness["dependencies"]["stream"]["detail"],
        "stalled behind 3:1"
    );
}

#[test]
fn metric_names_and_labels_stay_what_they_are() {
    let fixture = Fixture::start().with_people();
    fixture.follow();
    fixture.until("the push", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.sent == 1).then_some(())
    });
    let answer = fixture.operations("GET", "/metrics", "");
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.text();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    insta::assert_snapshot!(names.collect::<Vec<_>>().join("\n"));
    let labels: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split(['{', ',']).skip(1))
        .filter_map(|label| label.split_once("=\"").map(|(name, _)| name))
        .collect();
    let known = [
        "actor",
        "dependency",
        "invariant",
        "le",
        "limit",
        "listener",
        "outcome",
        "platform",
        "queue",
        "reason",
        "sender",
        "state",
        "status",
        "version",
    ];
    assert_eq!(labels, BTreeSet::from(known));
    for line in [
        "iyagi_push_matched_total 1",
        "iyagi_push_sent_total 1",
        "iyagi_push_pending_pushes 0",
        r#"iyagi_invariant_violations_total{invariant="conservation"} 0"#,
        r#"iyagi_invariant_violations_total{invariant="possible_history"} 0"#,
        r#"iyagi_actor_messages_total{actor="push-sender",outcome="handled"} 1"#,
        r#"iyagi_push_breaker_state{platform="fcm",state="closed"} 1"#,
        r#"iyagi_push_paused{platform="apns",reason="dying_tokens"} 0"#,
        r#"iyagi_push_recent_tokens{platform="fcm",state="alive"} 1"#,
        "iyagi_catch_up_active 0",
        "iyagi_catch_up_pace_ratio 1",
        "iyagi_stream_cursor_commit 2",
        "iyagi_stream_lag_seconds 0",
        "iyagi_stream_lag_commits 0",
        "iyagi_stream_skipped_commits_total 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn the_status_adds_up() {
    let fixture = Fixture::start().with_people();
    fixture.follow();
    let status = fixture.until("the push", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        // One answer looks at the stream before it looks at the pushes.
        let read = status["stream"]["cursor"] == status["stream"]["tip"];
        (read && status["pushes"]["sent"] == 1).then_some(status)
    });
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pushes"]["matched"], 1);
    assert_eq!(status["pushes"]["conserved"], true);
    assert_eq!(status["stream"]["cursor"], status["stream"]["tip"]);
    assert_eq!(status["stream"]["lag_seconds"], 0.0);
    assert_eq!(status["stream"]["lag_commits"], 0);
    assert_eq!(status["stream"]["oldest"], json!({"commit": 1, "op": 1}));
    assert!(status["stream"]["headroom_seconds"].as_f64() >= Some(0.0));
    assert_eq!(status["stream"]["skipped_commits"], 0);
    assert_eq!(status["dead_letters"]["waiting"], 0);
    assert_eq!(status["devices"], 1);
    assert_eq!(status["queues"].as_array().expect("queues").len(), 5);
    assert!(status["actors"]["total"].as_u64().expect("a number") > 5);
}

#[test]
fn a_push_service_is_held_up_and_let_go_by_order() {
    let fixture = Fixture::start().with_people();
    let order = |order: &str| {
        let path = format!("/v1/ops/platforms/{order}");
        fixture.operations("POST", &path, "")
    };
    let paused = order("fcm/pause").json();
    assert_eq!(paused["paused"]["reason"], "operator");
    assert_eq!(order("fcm/pause").status, 200, "it is so already");
    fixture.follow();
    fixture.until("the match", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.pending == 1).then_some(())
    });
    let status = fixture.operations("GET", "/v1/ops/status", "").json();
    assert_eq!(status["platforms"][0]["platform"], "fcm");
    assert_eq!(status["platforms"][0]["paused"]["by"], "local");
    assert_eq!(order("fcm/resume").json()["paused"], Value::Null);
    fixture.until("the push", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.sent == 1).then_some(())
    });
    let page = fixture
        .operations("GET", "/v1/ops/journal?entity=platform/fcm", "")
        .json();
    let kinds: Vec<_> = page["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(kinds, ["platform.paused", "platform.resumed"]);
    let unknown = order("fmc/pause").problem(404, "unknown-path");
    let detail = unknown["detail"].as_str().expect("text");
    assert!(detail.contains("did you mean `fcm`"), "{detail}");
    order("fcm/stop").problem(404, "unknown-path");
}

#[test]
fn orders_are_in_the_journal_and_carried_out() {
    let fixture = Fixture::start().with_people();
    let all = fixture.operations("GET", "/v1/ops/actors", "").json();
    let names: Vec<&Value> = all["actors"]
        .as_array()
        .expect("actors")
        .iter()
        .map(|actor| &actor["name"])
        .collect();
    assert!(names.contains(&&json!("push-sender")), "{names:?}");

    assert_eq!(
        order(&fixture, "push-sender", "pause", "").json()["state"],
        "paused"
    );
    fixture.follow();
    fixture.until("the match", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.pending == 1).then_some(())
    });
    assert_eq!(order(&fixture, "push-sender", "resume", "{}").status, 200);
    fixture.until("the push", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.sent == 1).then_some(())
    });

    let actor = order(&fixture, "push-sender", "scale", r#"{"size": 3}"#).json();
    assert_eq!(actor["size"], 3);
    assert_eq!(
        order(&fixture, "push-sender", "scale", r#"{"size": 3}"#).status,
        200
    );
    let before = fixture
        .operations("GET", "/v1/ops/actors/dlq-keeper", "")
        .json();
    assert_eq!(order(&fixture, "dlq-keeper", "restart", "").status, 200);
    fixture.until("the restart", |fixture| {
        let now = fixture
            .operations("GET", "/v1/ops/actors/dlq-keeper", "")
            .json();
        (now["incarnation"].as_u64() > before["incarnation"].as_u64()).then_some(())
    });

    let page = fixture
        .operations("GET", "/v1/ops/journal?entity=actor/push-sender", "")
        .json();
    let events = page["events"].as_array().expect("events");
    let told: Vec<_> = events
        .iter()
        .map(|event| (&event["kind"], &event["body"]["by"]))
        .collect();
    let by = json!("local");
    assert_eq!(
        told,
        [
            (&json!("actor.paused"), &by),
            (&json!("actor.resumed"), &by),
            (&json!("pool.resized"), &by),
        ]
    );
    assert_eq!(events[2]["body"]["from"], 16);
    assert_eq!(events[2]["body"]["to"], 3);
}

#[test]
fn orders_that_cannot_be_are_refused() {
    let fixture = Fixture::start();
    let problem = order(&fixture, "push-sendr", "pause", "").problem(404, "unknown-actor");
    assert_eq!(problem["candidates"][0], "push-sender");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("did you mean")
    );
    fixture
        .operations("GET", "/v1/ops/actors/nobody", "")
        .problem(404, "unknown-actor");
    order(&fixture, "dlq-keeper", "scale", r#"{"size": 2}"#).problem(409, "not-a-pool");
    for body in [
        "",
        "{}",
        r#"{"size": 0}"#,
        r#"{"size": 1025}"#,
        r#"{"size": "2"}"#,
    ] {
        let problem = order(&fixture, "push-sender", "scale", body).problem(400, "invalid-field");
        assert_eq!(problem["field"], "size", "{body}");
    }
    order(&fixture, "push-sender", "explode", "").problem(404, "unknown-path");
    let page = fixture
        .operations("GET", "/v1/ops/journal?entity=actor/", "")
        .json();
    assert_eq!(page["events"], json!([]));
}

#[test]
fn a_push_is_traced_from_its_commit_to_its_outcome() {
    let fixture = Fixture::start().with_people();
    fixture.follow();
    let accepted = fixture.until("the push", |fixture| {
        let page = fixture
            .operations("GET", "/v1/ops/journal?kind=push.accepted", "")
            .json();
        page["events"].get(0).cloned()
    });
    let path = format!(
        "/v1/ops/journal/{}",
        accepted["id"].as_str().expect("an id")
    );
    assert_eq!(fixture.operations("GET", &path, "").json(), accepted);
    let trace = fixture
        .operations("GET", &format!("{path}/trace"), "")
        .json();
    let causes = trace["causes"].as_array().expect("causes");
    let kinds: Vec<&Value> = causes.iter().map(|event| &event["kind"]).collect();
    assert_eq!(
        kinds,
        ["commit.matched", "push.requested", "push.attempted"]
    );
    let root = causes[0]["id"].as_str().expect("an id");
    let down = fixture
        .operations("GET", &format!("/v1/ops/journal/{root}/trace"), "")
        .json();
    let requested = &down["event"]["consequences"][0];
    assert_eq!(requested["kind"], "push.requested");
    assert_eq!(
        requested["consequences"][0]["consequences"][0]["id"],
        accepted["id"]
    );

    let corr = accepted["corr"].as_str().expect("a text");
    let page = fixture
        .operations(
            "GET",
            &format!("/v1/ops/journal?corr={corr}&kind=push.attempted"),
            "",
        )
        .json();
    assert_eq!(page["events"].as_array().expect("events").len(), 1);
    let newest = fixture
        .operations("GET", "/v1/ops/journal?order=newest&limit=1", "")
        .json();
    assert_eq!(newest["events"][0]["pos"], newest["head"]);
    let (mut seen, mut after) = (0, json!(0));
    while !after.is_null() {
        let page = fixture
            .operations("GET", &format!("/v1/ops/journal?limit=2&after={after}"), "")
            .json();
        seen += page["events"].as_array().expect("events").len() as u64;
        after = page["next"].clone();
    }
    assert_eq!(json!(seen), newest["head"]);

    let none = "0".repeat(32);
    fixture
        .operations("GET", &format!("/v1/ops/journal/{none}"), "")
        .problem(404, "not-found");
    fixture
        .operations("GET", &format!("/v1/ops/journal/{none}/trace"), "")
        .problem(404, "not-found");
    let problem = fixture
        .operations("GET", "/v1/ops/journal/7", "")
        .problem(400, "invalid-field");
    assert_eq!(problem["field"], "id");
    let problem = fixture
        .operations("GET", "/v1/ops/journal?kind=push.acepted", "")
        .problem(400, "invalid-field");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("push.accepted")
    );
}

#[test]
fn why_somebody_was_not_told_is_answered_over_http_as_well() {
    let fixture = Fixture::start().with_people();
    fixture.follow();
    let path = "/v1/ops/why-not?person=grace&element=follows-1";
    let told = fixture.until("the matcher", |fixture| {
        let told = fixture.operations("GET", path, "").json();
        told["passed_at"].is_u64().then_some(told)
    });
    let follow = &told["changes"][0]["rules"][0];
    assert_eq!(follow["template"], "follow");
    assert_eq!(
        (&follow["verdict"], &follow["clause"]),
        (&json!("fails"), &json!("anchor"))
    );
    let path = format!("/v1/ops/why-not?person=minji&commit={}", told["commit"]);
    let told = fixture.operations("GET", &path, "").json();
    assert_eq!(told["changes"][0]["rules"][0]["verdict"], "matches");
    assert_eq!(
        told["changes"][0]["pushes"][0]["push"]["recipient"],
        "minji"
    );
    for (query, status) in [
        ("person=minji", 400),
        ("commit=2", 400),
        ("person=minji&commit=0", 400),
        ("person=minji&commit=2&element=x", 400),
        ("person=minji&commit=99", 404),
        ("person=minji&element=nobody", 404),
    ] {
        let answer = fixture.operations("GET", &format!("/v1/ops/why-not?{query}"), "");
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
}
