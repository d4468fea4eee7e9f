//! The gateway's faults, the dead letters that come of them, and what is tapped.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use iyagi_actors::journal::Draft;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::LetterRequested;
use iyagi_messages::ids::{LetterId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// A daemon with one push that was given up.
fn with_letter() -> (Fixture, Value) {
    let fixture = Fixture::start().with_people();
    let rule = json!({"device": "phone-1", "class": "poison", "times": 1});
    let answer = fixture.operations("POST", "/v1/ops/gateway/faults", rule.to_string());
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["faults"], json!([rule]));
    fixture.follow();
    let letter = fixture.until("the letter", |fixture| {
        let page = fixture.operations("GET", "/v1/ops/dead-letters", "").json();
        let letter = page["letters"].get(0).cloned()?;
        letter["message_id"].is_string().then_some(letter)
    });
    (fixture, letter)
}

fn post(fixture: &Fixture, verb: &str, body: &Value) -> Value {
    let path = format!("/v1/ops/dead-letters/{verb}");
    fixture.operations("POST", &path, body.to_string()).json()
}

#[test]
fn a_letter_is_listed_shown_and_redriven() {
    let (fixture, letter) = with_letter();
    assert_eq!(letter["origin"]["job"], "push");
    assert_eq!(letter["origin"]["recipient"], "minji");
    assert_eq!(letter["reason"], "poison");
    let id = letter["id"].as_str().expect("an id");
    let groups = fixture
        .operations("GET", "/v1/ops/dead-letters/groups", "")
        .json();
    assert_eq!(groups["groups"][0]["count"], 1);
    assert_eq!(groups["groups"][0]["origin"], "push");
    let other = fixture
        .operations("GET", "/v1/ops/dead-letters?origin=thumbnails", "")
        .json();
    assert_eq!(other["letters"], json!([]));
    let shown = fixture
        .operations("GET", &format!("/v1/ops/dead-letters/{id}"), "")
        .json();
    let kinds: Vec<&Value> = shown["history"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["kind"])
        .collect();
    assert_eq!(
        kinds,
        [
            "commit.matched",
            "push.requested",
            "push.attempted",
            "push.failed",
            "letter.requested",
            "letter.dead_lettered"
        ]
    );

    let filter = json!({"filter": {"origin": "push", "reason": "poison"}, "dry_run": true});
    let outcome = post(&fixture, "redrive", &filter);
    assert_eq!(
        (&outcome["selected"], &outcome["done"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(outcome["letters"], json!([id]));
    let outcome = post(&fixture, "redrive", &json!({"ids": [id, id]}));
    assert_eq!(
        (&outcome["selected"], &outcome["done"]),
        (&json!(1), &json!(1))
    );
    fixture.until("the push", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.sent == 1).then_some(())
    });
    let status = fixture.operations("GET", "/v1/ops/status", "").json();
    assert_eq!(status["pushes"]["dead"], 0);
    assert_eq!(status["pushes"]["redriven"], 1);
    assert_eq!(status["pushes"]["conserved"], true);
    let outcome = post(&fixture, "redrive", &json!({"ids": [id]}));
    assert_eq!(
        (&outcome["done"], &outcome["skipped"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn a_purged_letter_no_longer_waits() {
    let (fixture, letter) = with_letter();
    let outcome = post(&fixture, "purge", &json!({"filter": {}}));
    assert_eq!(outcome["letters"], json!([letter["id"]]));
    let page = fixture.operations("GET", "/v1/ops/dead-letters", "").json();
    assert_eq!(
        (&page["letters"], &page["next"]),
        (&json!([]), &json!(null))
    );
    let law =
        json!({"matched": 1, "sent": 0, "dead": 1, "suppressed": 0, "pending": 0, "difference": 0});
    assert_eq!(page["conservation"], law);
    let path = format!(
        "/v1/ops/dead-letters/{}",
        letter["id"].as_str().expect("an id")
    );
    let shown = fixture.operations("GET", &path, "").json();
    assert_eq!(shown["waiting"], false);
    assert_eq!(
        post(&fixture, "redrive", &json!({"filter": {}}))["selected"],
        0
    );
}

#[test]
fn a_letter_says_when_it_expires_and_is_counted_when_it_soon_will() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let (fixture, letter) = with_letter();
    let at = letter["at"].as_i64().expect("a moment");
    assert_eq!(letter["expires_at"], at + 14 * DAY_MS);
    let metrics = |fixture: &Fixture| fixture.operations("GET", "/metrics", "").text();
    assert!(!metrics(&fixture).contains("iyagi_letter_expiring_letters{"));
    let id = letter["id"].as_str().expect("an id");
    let page = fixture
        .operations("GET", &format!("/dead-letters/{id}"), "")
        .text();
    assert!(page.contains("in 13 d</time>"), "{page}");
    let old = Fixture::with(|config| config.dead_letters.keep_days = 3);
    let given_up = |days: i64, key: &str| {
        let letter = Letter {
            id: LetterId::of_object("thumbnails", key, "1"),
            generation: 1,
            origin: Origin::Object {
                consumer: "thumbnails".to_owned(),
                key: key.to_owned(),
                message: "{}".to_owned(),
            },
            reason: "timed_out".to_owned(),
            detail: String::new(),
            attempts: 1,
            at: Timestamp(old.surface.clock.now().0 - days * DAY_MS),
        };
        let mut draft = Draft::new(&"test", "test");
        let entity = Entity::new("letter", letter.id);
        draft.begin(key, entity, LetterRequested { letter });
        draft.finish()
    };
    let appended = [given_up(0, "new"), given_up(2, "old")];
    for append in appended {
        let journal = &old.surface.journal;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let appended = runtime.expect("a runtime").block_on(journal.append(append));
        appended.expect("appended");
    }
    let expiring = "iyagi_letter_expiring_letters{origin=\"thumbnails\"} 1";
    assert!(metrics(&old).contains(expiring), "{}", metrics(&old));
}

#[test]
fn letters_are_found_by_what_was_to_be_told_to_whom_and_when() {
    let (fixture, letter) = with_letter();
    assert_eq!(
        (&letter["template"], &letter["platform"]),
        (&json!("follow"), &json!("fcm"))
    );
    let at = letter["at"].as_i64().expect("a moment");
    let found = |query: String| {
        let path = format!("/v1/ops/dead-letters?{query}");
        let page = fixture.operations("GET", &path, "").json();
        page["letters"].as_array().expect("a list").len()
    };
    for (meant, other) in [
        ("origin=push".to_owned(), "origin=metadata".to_owned()),
        ("reason=poison".to_owned(), "reason=transient".to_owned()),
        ("template=follow".to_owned(), "template=like".to_owned()),
        ("person=minji".to_owned(), "person=grace".to_owned()),
        ("platform=fcm".to_owned(), "platform=apns".to_owned()),
        (format!("since={at}"), format!("since={}", at + 1)),
        (format!("until={}", at + 1), format!("until={at}")),
    ] {
        assert_eq!(
            (found(meant.clone()), found(other.clone())),
            (1, 0),
            "{meant}, {other}"
        );
    }
    let body = json!({"filter": {"person": "minji", "since": at, "template": "like"}});
    assert_eq!(post(&fixture, "purge", &body)["selected"], 0);
    for path in ["?platform=pager", "?since=yesterday", "/groups?limit=1"] {
        let path = format!("/v1/ops/dead-letters{path}");
        assert_eq!(fixture.operations("GET", &path, "").status, 400, "{path}");
    }
}

#[test]
fn the_gates_hold_for_a_push_that_is_redriven_and_a_dry_run_says_so() {
    let (fixture, letter) = with_letter();
    let blocked = json!({"blocked": ["grace"]}).to_string();
    let answer = fixture.public("PUT", "/v1/preferences/minji", blocked);
    assert_eq!(answer.status, 200);
    let ids = json!({"ids": [letter["id"]], "dry_run": true});
    assert_eq!(
        post(&fixture, "redrive", &ids)["held"],
        json!({"blocked": 1})
    );
    assert_eq!(post(&fixture, "purge", &ids)["held"], json!(null));
    post(&fixture, "redrive", &json!({"ids": [letter["id"]]}));
    let status = fixture.until("the end of the push", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        (status["pushes"]["pending"] == 0).then_some(status)
    });
    let pushes = &status["pushes"];
    assert_eq!(pushes["suppressed"], json!({"blocked": 1}), "{pushes}");
    assert_eq!((&pushes["sent"], &pushes["dead"]), (&json!(0), &json!(0)));
}

#[test]
fn what_is_gone_is_not_told_by_a_redrive_and_a_dry_run_says_so() {
    let (fixture, letter) = with_letter();
    fixture.commit(&json!([{"op": "drop_edge", "id": "follows-1"}]));
    let ids = json!({"ids": [letter["id"]], "dry_run": true});
    assert_eq!(
        post(&fixture, "redrive", &ids)["held"],
        json!({"not_visible": 1})
    );
    let looks = |outcome: &str| {
        let metrics = fixture.operations("GET", "/metrics", "").text();
        let name = format!("iyagi_push_second_looks_total{{outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse::<u64>().ok())
    };
    assert_eq!((looks("hidden"), looks("visible")), (Some(1), Some(0)));
    post(&fixture, "redrive", &json!({"ids": [letter["id"]]}));
    let status = fixture.until("the end of the push", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        (status["pushes"]["pending"] == 0).then_some(status)
    });
    let suppressed = &status["pushes"]["suppressed"];
    assert_eq!(suppressed, &json!({"not_visible": 1}), "{status}");
    assert_eq!(looks("hidden"), Some(2));
    let inbox = fixture.public("GET", "/v1/inbox", "").json();
    assert_eq!(inbox["entries"], json!([]), "it is taken back");
}

#[test]
fn the_journal_knows_who_settled_a_letter_and_why() {
    let (fixture, letter) = with_letter();
    let id = letter["id"].as_str().expect("an id");
    let rule = json!({"device": "phone-1", "class": "poison", "times": 1});
    fixture.operations("POST", "/v1/ops/gateway/faults", rule.to_string());
    assert_eq!(post(&fixture, "redrive", &json!({"ids": [id]}))["done"], 1);
    fixture.until("the letter, once more", |fixture| {
        let page = fixture.operations("GET", "/v1/ops/dead-letters", "").json();
        page["letters"][0]["message_id"].is_string().then_some(())
    });
    let body = json!({"ids": [id], "because": "it is too late"}).to_string();
    let headers = [("x-iyagi-actor", "grace")];
    let path = "/v1/ops/dead-letters/purge";
    let answer = fixture.send(fixture.operations, "POST", path, &headers, body.as_bytes());
    assert_eq!(answer.json()["done"], 1);
    let shown = fixture
        .operations("GET", &format!("/v1/ops/dead-letters/{id}"), "")
        .json();
    let history = shown["history"].as_array().expect("events");
    let body_of = |kind: &str| {
        let event = history.iter().find(|event| event["kind"] == kind);
        event.expect("it happened")["body"].clone()
    };
    assert_eq!(
        body_of("letter.redriven"),
        json!({"generation": 1, "by": "local"})
    );
    assert_eq!(
        body_of("letter.purged"),
        json!({"generation": 2, "by": "grace", "because": "it is too late"})
    );
    let nobody = [("x-iyagi-actor", "")];
    let answer = fixture.send(
        fixture.operations,
        "POST",
        path,
        &nobody,
        b"{\"filter\": {}}",
    );
    assert_eq!(
        answer.problem(400, "invalid-field")["field"],
        "x-iyagi-actor"
    );
}

#[test]
fn letters_that_are_named_wrongly_are_refused() {
    let fixture = Fixture::start();
    for (body, field) in [
        (json!({}), "ids"),
        (json!({"ids": ["7"]}), "ids"),
        (json!({"filter": {"why": "x"}}), "filter"),
        (json!({"filter": {}, "dry": true}), "dry"),
        (json!({"filter": {}, "because": "\n"}), "because"),
    ] {
        let answer = fixture.operations("POST", "/v1/ops/dead-letters/purge", body.to_string());
        assert_eq!(answer.problem(400, "invalid-field")["field"], field);
    }
    let none = "00000000-0000-0000-0000-000000000000";
    fixture
        .operations("GET", &format!("/v1/ops/dead-letters/{none}"), "")
        .problem(404, "not-found");
    fixture
        .operations("GET", "/v1/ops/dead-letters/x", "")
        .problem(400, "invalid-field");
    let outcome = post(&fixture, "redrive", &json!({"ids": [none]}));
    assert_eq!(outcome["skipped_letters"], json!([none]));
}

#[test]
fn faults_are_set_shown_and_cleared() {
    let fixture = Fixture::start();
    let path = "/v1/ops/gateway/faults";
    let problem = fixture
        .operations("POST", path, r#"{"class": "flaky"}"#)
        .problem(400, "invalid-field");
    assert_eq!(problem["field"], "class");
    assert_eq!(
        fixture
            .operations("POST", path, r#"{"class": "throttled"}"#)
            .status,
        201
    );
    let rules = fixture.operations("GET", path, "").json();
    assert_eq!(rules["faults"], json!([{"class": "throttled"}]));
    assert_eq!(fixture.operations("DELETE", path, "").status, 204);
    assert_eq!(
        fixture.operations("GET", path, "").json()["faults"],
        json!([])
    );
}

#[test]
fn a_tap_shows_what_was_and_what_comes_each_push_once() {
    let fixture = Fixture::start().with_people();
    fixture.follow();
    fixture.until("the push", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.sent == 1).then_some(())
    });
    let open = |accept: &str| {
        let mut stream = TcpStream::connect(fixture.operations).expect("connects");
        let request = format!(
            "GET /v1/ops/tap/push?tail=5 HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sends");
        BufReader::new(stream)
            .lines()
            .map(|line| line.expect("a line"))
    };
    let mut events =
        open("text/event-stream").filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    let mut lines = open("application/x-ndjson").filter(|line| line.starts_with('{'));
    for tap in [&mut events as &mut dyn Iterator<Item = String>, &mut lines] {
        let push: Value = serde_json::from_str(&tap.next().expect("a push")).expect("JSON");
        assert_eq!(push["payload"]["device"], "phone-1");
        assert!(
            push["payload"]["body"]
                .as_str()
                .expect("text")
                .contains("Grace")
        );
    }
    fixture.commit(&json!([
        {"op": "drop_edge", "id": "follows-1"},
    ]));
    fixture.commit(&json!([
        {"op": "add_edge", "id": "follows-2", "from": "grace", "to": "minji", "label": "FOLLOWS"},
    ]));
    let first = events.next().expect("a push");
    let second = lines.next().expect("a push");
    assert_eq!(first, second);
}
