//! What a person was told: pages, marks, who is not heard of any more, and the badge.

use std::collections::BTreeSet;
use std::thread;

use iyagi::config::Config;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const PATH: &str = "/v1/inbox?person=minji";

/// People who are there to follow Minji.
pub(crate) fn people(fixture: &Fixture, count: usize) {
    let people: Vec<Value> = (0..count)
        .map(|number| {
            json!({"op": "add_vertex", "id": format!("fan-{number}"), "label": "Person",
                   "properties": {"name": format!("Fan {number}")}})
        })
        .collect();
    fixture.commit(&json!(people));
}

/// The nth of them follows her.
pub(crate) fn follow(fixture: &Fixture, number: usize) {
    fixture.commit(&json!([
        {"op": "add_edge", "id": format!("follows-{number}"), "from": format!("fan-{number}"), "to": "minji",
         "label": "FOLLOWS"},
    ]));
}

fn inbox(fixture: &Fixture) -> Value {
    fixture.get(PATH, &[]).json()
}

fn entries(inbox: &Value) -> &Vec<Value> {
    inbox["entries"].as_array().expect("a list")
}

/// Her inbox once it has so many entries.
fn inbox_with(fixture: &Fixture, count: usize) -> Value {
    fixture.until("the entries", |fixture| {
        let inbox = inbox(fixture);
        (entries(&inbox).len() == count).then_some(inbox)
    })
}

fn followed(change: impl FnOnce(&mut Config), count: usize) -> Fixture {
    let fixture = Fixture::with(change).with_people();
    people(&fixture, count);
    for number in 0..count {
        follow(&fixture, number);
    }
    fixture
}

fn mark(fixture: &Fixture, body: &Value) -> Value {
    let answer = fixture.public("POST", "/v1/inbox/read", body.to_string());
    answer.json()
}

#[test]
fn what_people_were_told_is_listed_newest_first_in_their_language() {
    let fixture = followed(|_| {}, 2);
    let inbox = inbox_with(&fixture, 2);
    assert_eq!(
        (&inbox["person"], &inbox["unread"]),
        (&json!("minji"), &json!(2))
    );
    let newest = &entries(&inbox)[0];
    assert_eq!(newest["title"], "새 팔로워");
    assert_eq!(newest["body"], "Fan 1 님이 회원님을 팔로우합니다");
    assert_eq!(newest["link"], "iyagi://people/fan-1");
    assert_eq!(newest["actor"], json!({"id": "fan-1", "name": "Fan 1"}));
    assert_eq!(newest["subject"]["id"], "fan-1");
    assert_eq!(
        (&newest["count"], &newest["others"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(newest.get("read_at"), None);
    let english = json!({"locale": "en"}).to_string();
    fixture
        .public("PATCH", "/v1/preferences/minji", english)
        .json();
    let inbox = inbox_with(&fixture, 2);
    assert_eq!(entries(&inbox)[1]["body"], "Fan 0 follows you now");
}

#[test]
fn a_person_with_three_phones_has_one_entry_and_one_without_a_phone_too() {
    let fixture = Fixture::start().with_people();
    for phone in ["phone-2", "phone-3"] {
        let device = json!({"person": "minji", "platform": "apns", "locale": "en"}).to_string();
        fixture
            .public("PUT", &format!("/v1/devices/{phone}"), device)
            .json();
    }
    fixture.follow();
    fixture.commit(&json!([
        {"op": "add_edge", "id": "back", "from": "minji", "to": "grace", "label": "FOLLOWS"},
    ]));
    fixture.until("every push", |fixture| {
        let counts = fixture.surface.tree.projections.outbox().counts.clone();
        (counts.sent == 3 && counts.suppressed_total() == 1).then_some(())
    });
    assert_eq!(entries(&inbox(&fixture)).len(), 1);
    let of_grace = fixture.public_as("grace", "GET", "/v1/inbox", "").json();
    assert_eq!(of_grace["entries"][0]["body"], "민지 follows you now");
    let of_nobody = fixture.public_as("nobody", "GET", "/v1/inbox", "").json();
    assert_eq!(
        of_nobody,
        json!({"person": "nobody", "unread": 0, "entries": [], "next": null})
    );
}

#[test]
fn no_entry_is_on_two_pages_or_on_none_while_new_ones_come() {
    let fixture = followed(|_| {}, 9);
    let there = inbox_with(&fixture, 9);
    let ids = |inbox: &Value| -> Vec<Value> {
        entries(inbox).iter().map(|one| one["id"].clone()).collect()
    };
    let (mut seen, mut path, mut come) = (Vec::new(), format!("{PATH}&limit=2"), 0);
    loop {
        let page = fixture.get(&path, &[]).json();
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("{PATH}&limit=2&cursor={next}");
        fixture.commit(&json!([
            {"op": "add_vertex", "id": format!("late-{come}"), "label": "Person", "properties": {"name": "Late"}},
            {"op": "add_edge", "from": format!("late-{come}"), "to": "minji", "label": "FOLLOWS"},
        ]));
        come += 1;
        inbox_with(&fixture, 9 + come);
    }
    assert_eq!(seen, ids(&there));
    assert_eq!(come, 4, "five pages");
}

#[test]
fn what_is_marked_is_read_and_marking_it_again_writes_nothing() {
    let fixture = followed(|_| {}, 4);
    let all = inbox_with(&fixture, 4);
    let id = |at: usize| entries(&all)[at]["id"].clone();
    let head = || fixture.surface.tree.projections.outbox().pos;
    fixture.until("every push", |fixture| {
        (fixture.surface.tree.projections.outbox().counts.sent == 4).then_some(())
    });
    let one = json!({"person": "minji", "ids": [id(0)]});
    assert_eq!(
        mark(&fixture, &one),
        json!({"person": "minji", "unread": 3})
    );
    let before = head();
    assert_eq!(mark(&fixture, &one)["unread"], 3);
    assert_eq!(head(), before, "nothing was written");
    let read = inbox(&fixture);
    assert!(entries(&read)[0]["read_at"].is_number());
    let position = entries(&all)[2]["position"].clone();
    let up_to = json!({"person": "minji", "up_to": position});
    assert_eq!(
        mark(&fixture, &up_to)["unread"],
        1,
        "the second newest is left"
    );
    let unread = fixture.get(&format!("{PATH}&unread=true"), &[]).json();
    let left: Vec<&Value> = entries(&unread).iter().map(|one| &one["id"]).collect();
    assert_eq!(left, [&id(1)]);
    let events = fixture
        .operations("GET", "/v1/ops/journal?kind=inbox.read", "")
        .json();
    let events = events["events"].as_array().expect("events");
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["entity"], "inbox/minji");
}

#[test]
fn marks_that_race_each_count_and_what_comes_meanwhile_stays_unread() {
    let fixture = followed(|_| {}, 24);
    let all = inbox_with(&fixture, 24);
    fixture.commit(&json!([{"op": "add_vertex", "id": "fan-24", "label": "Person"}]));
    let ids: Vec<Value> = entries(&all).iter().map(|one| one["id"].clone()).collect();
    let newest = entries(&all)[0]["position"].clone();
    thread::scope(|scope| {
        for pair in ids.chunks(4) {
            let body = json!({"person": "minji", "ids": pair, "up_to": newest});
            let fixture = &fixture;
            scope.spawn(move || mark(fixture, &body));
        }
        scope.spawn(|| mark(&fixture, &json!({"person": "minji", "up_to": newest})));
        scope.spawn(|| follow(&fixture, 24));
    });
    let inbox = inbox_with(&fixture, 25);
    assert_eq!(inbox["unread"], 1, "the one that came meanwhile");
    assert_eq!(entries(&inbox)[0].get("read_at"), None);
}

#[test]
fn a_burst_is_one_entry_that_counts() {
    let fixture = followed(|config| config.push.moderate = true, 3);
    let inbox = fixture.until("all three", |fixture| {
        let inbox = inbox(fixture);
        (inbox["entries"][0]["count"] == 3).then_some(inbox)
    });
    assert_eq!(entries(&inbox).len(), 1);
    assert_eq!(
        entries(&inbox)[0]["body"],
        "Fan 2 님 외 2명이 회원님을 팔로우합니다"
    );
    assert_eq!(
        (&entries(&inbox)[0]["others"], &inbox["unread"]),
        (&json!(2), &json!(1))
    );
    let first = fixture.until("the push", |fixture| {
        let log = &fixture.surface.one_machine.as_ref().expect("here").push_log;
        log.tail().first().cloned()
    });
    assert_eq!(
        entries(&inbox)[0]["id"],
        first.payload.collapse_id.to_string(),
        "the phone knows it by the same id"
    );
    let wishes = json!({"blocked": ["fan-2"]}).to_string();
    fixture
        .public("PATCH", "/v1/preferences/minji", wishes)
        .json();
    let inbox = inbox_with(&fixture, 1);
    let entry = &entries(&inbox)[0];
    assert_eq!(entry["body"], "Fan 1 님 외 1명이 회원님을 팔로우합니다");
    assert_eq!(entry["count"], 2);
}

#[test]
fn of_whom_someone_blocks_or_mutes_or_is_blocked_by_nothing_is_shown_any_more() {
    let fixture = followed(|_| {}, 4);
    inbox_with(&fixture, 4);
    // What is not sent yet would be taken back for good.
    let log = &fixture.surface.one_machine.as_ref().expect("here").push_log;
    fixture.until("the pushes", |_| (log.tail().len() == 4).then_some(()));
    let wishes = json!({"blocked": ["fan-0"], "muted": ["fan-1"]}).to_string();
    fixture
        .public("PATCH", "/v1/preferences/minji", wishes)
        .json();
    let blocks = json!({"blocked": ["minji"]}).to_string();
    fixture
        .public_as("fan-2", "PATCH", "/v1/preferences/fan-2", blocks)
        .json();
    let inbox = inbox_with(&fixture, 1);
    assert_eq!(inbox["unread"], 1);
    assert_eq!(entries(&inbox)[0]["actor"]["id"], "fan-3");
    let page = fixture.get(&format!("{PATH}&limit=1"), &[]).json();
    assert_eq!(page["next"], Value::Null, "nothing is left to be seen");
    fixture.public("PUT", "/v1/preferences/minji", "{}").json();
    assert_eq!(
        inbox_with(&fixture, 3)["unread"],
        3,
        "only who blocks her is left out"
    );
}

#[test]
fn the_badge_is_what_is_unread_with_the_push_itself() {
    let fixture = Fixture::start().with_people();
    people(&fixture, 3);
    let badges = |fixture: &Fixture| -> Vec<Option<u32>> {
        let log = &fixture.surface.one_machine.as_ref().expect("here").push_log;
        log.tail().iter().map(|push| push.payload.badge).collect()
    };
    for number in 0..2 {
        follow(&fixture, number);
        fixture.until("the push", |fixture| {
            (badges(fixture).len() > number).then_some(())
        });
    }
    let position = inbox(&fixture)["entries"][0]["position"].clone();
    mark(&fixture, &json!({"person": "minji", "up_to": position}));
    follow(&fixture, 2);
    fixture.until("the push", |fixture| {
        (badges(fixture).len() == 3).then_some(())
    });
    assert_eq!(badges(&fixture), [Some(1), Some(2), Some(1)]);
}

#[test]
fn what_cannot_be_is_refused_by_its_field() {
    let fixture = followed(|_| {}, 1);
    let entry = inbox_with(&fixture, 1)["entries"][0].clone();
    for (query, kind, field) in [
        ("?person=", "invalid-field", "person"),
        ("?person=minji&limit=0", "invalid-field", "limit"),
        ("?person=minji&limit=101", "invalid-field", "limit"),
        ("?person=minji&cursor=7", "invalid-field", "cursor"),
        // `abc`, sealed: a place in another list.
        ("?person=minji&cursor=616263", "invalid-field", "cursor"),
        ("?person=minji&unread=yes", "invalid-field", "unread"),
        ("?person=minji&limt=3", "unknown-parameter", "limt"),
    ] {
        let answer = fixture.get(&format!("/v1/inbox{query}"), &[]);
        let problem = answer.problem(400, kind);
        assert_eq!(problem["field"], field, "{query}: {problem}");
    }
    let mark = |body: &str| fixture.public("POST", "/v1/inbox/read", body);
    for body in [
        r#"{"person": "", "ids": ["x"]}"#,
        r#"{"person": "minji", "ids": ["x"]}"#,
        r#"{"person": "minji"}"#,
        r#"{"person": "minji", "up_to": 99999999}"#,
        r#"{"person": "minji", "up_to": 1.5}"#,
    ] {
        mark(body).problem(400, "invalid-field");
    }
    for body in ["{", "[]", "\u{0}\u{1}", "null"] {
        mark(body).problem(400, "malformed-json");
    }
    let many: BTreeSet<String> = (0..101)
        .map(|number| uuid::Uuid::from_u128(number).to_string())
        .collect();
    mark(&json!({"person": "minji", "ids": many}).to_string()).problem(409, "limit-reached");
    let foreign = json!({ "ids": [entry["id"]] }).to_string();
    let foreign = fixture.public_as("grace", "POST", "/v1/inbox/read", foreign);
    foreign.problem(404, "not-found");
    mark(&"x".repeat(65 * 1024)).problem(413, "too-large");
    let answer = fixture.public("DELETE", "/v1/inbox", "");
    answer.problem(405, "method-not-allowed");
    let answer = fixture.operations("GET", "/v1/inbox?person=minji", "");
    let elsewhere = answer.problem(404, "unknown-path");
    let detail = elsewhere["detail"].as_str().expect("a sentence");
    assert!(detail.contains("the public listener has it"), "{detail}");
    assert_eq!(inbox(&fixture)["unread"], 1, "nothing was marked");
}

#[test]
fn an_entry_says_nothing_any_more_of_what_its_person_may_not_see() {
    let fixture = followed(|_| {}, 1);
    let before = inbox_with(&fixture, 1);
    let says = |entry: &Value| entry.get("title").is_some();
    assert!(says(&entries(&before)[0]));
    let hidden = |value: &str| {
        fixture.commit(&json!([
            {"op": "set_property", "id": "fan-0", "key": "visibility", "value": value},
        ]));
        fixture.until("it is as it is now", |fixture| {
            let inbox = inbox(fixture);
            let withheld = entries(&inbox)[0]["withheld"] == true;
            (withheld == (value == "private")).then_some(inbox)
        })
    };
    let inbox = hidden("private");
    let entry = entries(&inbox)[0].as_object().expect("an entry");
    let names: BTreeSet<&str> = entry.keys().map(String::as_str).collect();
    let all = [
        "at", "category", "count", "id", "link", "others", "position", "template", "withheld",
    ];
    assert_eq!(names, all.into());
    assert_eq!(
        (&entry["link"], &inbox["unread"]),
        (&json!("iyagi://inbox"), &json!(1))
    );
    assert!(!inbox.to_string().contains("fan-0"), "{inbox}");
    assert_eq!(hidden("public"), before);
    fixture.commit(&json!([{"op": "drop_vertex", "id": "fan-0"}]));
    fixture.until("it is gone", |fixture| {
        (entries(&self::inbox(fixture))[0]["withheld"] == true).then_some(())
    });
}
