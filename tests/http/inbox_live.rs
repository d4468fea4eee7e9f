//! What changes in an inbox, as it happens: server-sent events over the public listener.

use serde_json::{Value, json};

use crate::event_stream::EventStream;
use crate::fixture::Fixture;
use crate::inbox::{follow, people};

fn public(fixture: &Fixture, person: &str, path: &str, method: &str, body: &Value) {
    let answer = fixture.public_as(person, method, path, body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn metric(fixture: &Fixture, line: &str) -> Option<u64> {
    let text = fixture.operations("GET", "/metrics", "").text();
    let value = text.lines().find_map(|one| one.strip_prefix(line))?;
    value.trim().parse().ok()
}

#[test]
fn whatever_changes_is_told_at_once() {
    let fixture = Fixture::start().with_people();
    people(&fixture, 2);
    let mut live = EventStream::open(&fixture, "minji", None);
    assert_eq!(live.next_named("unread").data, json!({"unread": 0}));
    follow(&fixture, 0);
    let entry = live.next_named("entry");
    assert_eq!(entry.data["body"], "Fan 0 님이 회원님을 팔로우합니다");
    assert_eq!(entry.data["position"], entry.id);
    assert_eq!(live.next_named("unread").data, json!({"unread": 1}));
    let mark = json!({"person": "minji", "ids": [entry.data["id"]]});
    public(&fixture, "minji", "/v1/inbox/read", "POST", &mark);
    let read = live.next_named("read");
    assert_eq!(read.data, json!({"ids": [entry.data["id"]]}));
    assert!(read.id > entry.id);
    assert_eq!(live.next_named("unread").data, json!({"unread": 0}));
    follow(&fixture, 1);
    assert_eq!(live.next_named("entry").data["actor"]["id"], "fan-1");
    assert_eq!(live.next_named("unread").data, json!({"unread": 1}));
    // By someone else: what they do bears on what she sees.
    let blocks = json!({"blocked": ["minji"]});
    public(&fixture, "fan-1", "/v1/preferences/fan-1", "PATCH", &blocks);
    assert_eq!(live.next_named("unread").data, json!({"unread": 0}));
}

#[test]
fn whoever_comes_back_goes_on_exactly_where_they_were() {
    let fixture = Fixture::start().with_people();
    people(&fixture, 9);
    let actors = |live: &mut EventStream, count: usize| -> (Vec<Value>, u64) {
        let told: Vec<_> = (0..count).map(|_| live.next_named("entry")).collect();
        let last = told.last().expect("some").id;
        (
            told.into_iter()
                .map(|one| one.data["actor"]["id"].clone())
                .collect(),
            last,
        )
    };
    let mut live = EventStream::open(&fixture, "minji", None);
    live.next_named("unread");
    (0..3).for_each(|number| follow(&fixture, number));
    let (first, last) = actors(&mut live, 3);
    drop(live);
    (3..6).for_each(|number| follow(&fixture, number));
    let mut live = EventStream::open(&fixture, "minji", Some(last));
    (6..9).for_each(|number| follow(&fixture, number));
    let (then, _) = actors(&mut live, 6);
    let all: Vec<Value> = (0..9)
        .map(|number| json!(format!("fan-{number}")))
        .collect();
    assert_eq!([first, then].concat(), all);
}

#[test]
fn a_place_in_the_stream_that_cannot_be_is_refused() {
    let fixture = Fixture::start();
    for wrong in ["abc", "-1", "99999999", ""] {
        let answer = fixture.get("/v1/inbox/live?person=minji", &[("Last-Event-ID", wrong)]);
        let problem = answer.problem(400, "invalid-field");
        assert_eq!(problem["field"], "last-event-id", "{wrong}");
    }
}

#[test]
fn there_is_no_place_for_more_than_are_allowed_until_one_leaves() {
    let fixture = Fixture::with(|config| config.inbox.live_connections_max = 2);
    let one = EventStream::open(&fixture, "minji", None);
    let _other = EventStream::open(&fixture, "grace", None);
    let answer = fixture.public_as("ada", "GET", "/v1/inbox/live", "");
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "10");
    assert_eq!(metric(&fixture, "iyagi_inbox_live_refused_total"), Some(1));
    assert_eq!(metric(&fixture, "iyagi_inbox_live_connections"), Some(2));
    drop(one);
    fixture.until("a place", |fixture| {
        let left = metric(fixture, r#"iyagi_inbox_live_ended_total{reason="left"}"#);
        (left == Some(1) && metric(fixture, "iyagi_inbox_live_connections") == Some(1))
            .then_some(())
    });
    EventStream::open(&fixture, "ada", None);
}

#[test]
fn whoever_takes_nothing_is_cut_off_and_can_go_on_later() {
    const LOUD: usize = 60;
    let fixture = Fixture::with(|config| config.inbox.live_patience_ms = 200).with_people();
    // Names so long that no system holds what is on its way to a client that does not read.
    let name = "x".repeat(300_000);
    let people: Vec<Value> = (0..LOUD)
        .map(|number| {
            json!({"op": "add_vertex", "id": format!("loud-{number}"), "label": "Person", "properties": {"name": name}})
        })
        .collect();
    fixture.commit(&json!(people));
    let mut live = EventStream::open(&fixture, "minji", None);
    let start = live.next_named("unread").id;
    let follows: Vec<Value> = (0..LOUD)
        .map(|number| json!({"op": "add_edge", "from": format!("loud-{number}"), "to": "minji", "label": "FOLLOWS"}))
        .collect();
    fixture.commit(&json!(follows));
    fixture.until("the end", |fixture| {
        let slow = metric(fixture, r#"iyagi_inbox_live_ended_total{reason="slow"}"#);
        (slow == Some(1)).then_some(())
    });
    let (mut told, mut last) = (Vec::new(), start);
    while let Some(event) = live.next() {
        assert!(event.id > last);
        last = event.id;
        told.push(event.data["actor"]["id"].clone());
    }
    assert!(told.len() < LOUD, "it was cut off");
    let mut live = EventStream::open(&fixture, "minji", Some(last));
    while told.len() < LOUD {
        told.push(live.next_named("entry").data["actor"]["id"].clone());
    }
    let all: Vec<Value> = (0..LOUD)
        .map(|number| json!(format!("loud-{number}")))
        .collect();
    assert_eq!(told, all);
}

#[test]
fn a_stop_ends_the_stream() {
    let fixture = Fixture::start();
    let mut live = EventStream::open(&fixture, "minji", None);
    live.next_named("unread");
    drop(fixture);
    assert_eq!(live.next(), None);
    assert!(live.ended_well, "it is told, not cut off");
}
