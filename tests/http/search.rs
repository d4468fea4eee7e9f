//! What a person finds.

use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};

const STORY: &str = "add_vertex";

/// Stories of Minji and Grace: two that everybody may see, and one of Minji's own.
fn with_stories() -> (Fixture, String) {
    let fixture = Fixture::start().with_people();
    let answer = fixture.commit(&json!([
        {"op": STORY, "id": "spring", "label": "Story", "properties": {"title": "봄 노래 이야기를 담은 K팝 🎧", "visibility": "public"}},
        {"op": STORY, "id": "diary", "label": "Story", "properties": {"title": "봄 일기", "visibility": "private"}},
        {"op": STORY, "id": "tape", "label": "Recording", "properties": {"title": "봄 노래방 tape", "visibility": "public"}},
        {"op": "add_edge", "id": "p1", "from": "minji", "to": "spring", "label": "POSTED"},
        {"op": "add_edge", "id": "p2", "from": "minji", "to": "diary", "label": "POSTED"},
        {"op": "add_edge", "id": "p3", "from": "grace", "to": "tape", "label": "POSTED"},
    ]));
    let last = answer.json()["last"].clone();
    let version = format!("{}:{}", last["commit"], last["op"]);
    (fixture, version)
}

fn search(fixture: &Fixture, person: &str, parameters: &str) -> Answer {
    let encoded: String = form_urlencoded(parameters);
    fixture.public_as(person, "GET", &format!("/v1/search?{encoded}"), "")
}

/// `a=가&b=나` as a browser sends it.
fn form_urlencoded(parameters: &str) -> String {
    let pairs = parameters
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| {
        let value =
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn ids(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().expect("hits").iter();
    hits.map(|hit| hit["entity_id"].as_str().expect("an id"))
        .collect()
}

#[test]
fn a_person_finds_what_was_just_written_and_sees_where() {
    let (fixture, version) = with_stories();
    let answer = search(
        &fixture,
        "grace",
        &format!("q=이야기&min_version={version}"),
    )
    .json();
    assert_eq!(ids(&answer), ["spring"]);
    let hit = &answer["hits"][0];
    assert_eq!(hit["entity_type"], json!(["Story"]));
    assert_eq!(
        (&hit["document_type"], &hit["owner"]),
        (&json!("vertex"), &json!("minji"))
    );
    assert_eq!(
        hit["highlight"],
        json!([{"property": "title", "text": "봄 노래 이야기를 담은 K팝 🎧", "ranges": [{"start": 5, "end": 8}]}])
    );
    assert_eq!(answer["index_version"], version.as_str());
    assert!(answer["took_ms"].is_u64() && answer["next"].is_null());
    // Beyond the first plane a character is two units.
    let answer = search(&fixture, "grace", "q=🎧").json();
    assert_eq!(
        answer["hits"][0]["highlight"][0]["ranges"],
        json!([{"start": 16, "end": 18}])
    );
}

#[test]
fn a_person_finds_what_is_public_and_their_own() {
    let (fixture, version) = with_stories();
    for (person, expected) in [
        ("minji", &["diary", "spring", "tape"] as &[&str]),
        ("grace", &["spring", "tape"]),
    ] {
        let answer = search(&fixture, person, &format!("q=봄&min_version={version}")).json();
        let mut found = ids(&answer);
        found.sort_unstable();
        assert_eq!(found, expected, "{person}");
    }
}

#[test]
fn filters_and_pages_leave_nothing_out_and_show_nothing_twice() {
    let (fixture, version) = with_stories();
    search(&fixture, "minji", &format!("q=봄&min_version={version}")).json();
    for (filter, expected) in [
        ("type=Story", &["diary", "spring"] as &[&str]),
        ("type=Story,Recording&owner=grace", &["tape"]),
        ("owner=nobody", &[]),
    ] {
        let answer = search(&fixture, "minji", &format!("q=봄&{filter}")).json();
        let mut found = ids(&answer);
        found.sort_unstable();
        assert_eq!(found, expected, "{filter}");
    }
    // Grace does not see the diary, wherever it ranks.
    for (person, expected) in [("minji", 3), ("grace", 2)] {
        let mut found = Vec::new();
        let mut next = String::new();
        loop {
            let answer = search(&fixture, person, &format!("q=봄&limit=1{next}")).json();
            found.extend(ids(&answer).into_iter().map(str::to_owned));
            let Some(cursor) = answer["next"].as_str() else {
                break;
            };
            next = format!("&cursor={cursor}");
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), expected, "{person}: {found:?}");
    }
}

#[test]
fn a_property_that_is_not_listed_is_not_found_and_is_counted() {
    let fixture = Fixture::start().with_people();
    let answer = fixture.commit(&json!([
        {"op": STORY, "id": "card", "label": "Story", "properties": {
            "title": "명함", "phone": "이천이십육", "nickname": "이천이십육", "visibility": "public"}},
    ]));
    let last = answer.json()["last"].clone();
    let version = format!("{}:{}", last["commit"], last["op"]);
    let found = |query: &str| {
        let asked = format!("q={query}&min_version={version}");
        search(&fixture, "grace", &asked).json()
    };
    assert_eq!(ids(&found("명함")), ["card"]);
    assert_eq!(ids(&found("이천이십육")), [""; 0]);
    let metrics = fixture.operations("GET", "/metrics", "").text();
    // The two, and who may see it.
    let expected = "\niyagi_search_left_out_total 3\n";
    assert!(metrics.contains(expected), "{metrics}");
}

#[test]
fn what_is_changed_or_removed_is_found_as_it_is_now() {
    let (fixture, _) = with_stories();
    let answer = fixture.commit(&json!([
        {"op": "set_property", "id": "spring", "key": "title", "value": "가을 노래"},
        {"op": "drop_vertex", "id": "tape"},
    ]));
    let last = answer.json()["last"].clone();
    let version = format!("{}:{}", last["commit"], last["op"]);
    for (query, expected) in [
        ("노래", &["spring"] as &[&str]),
        ("이야기", &[]),
        ("가을", &["spring"]),
    ] {
        let answer = search(
            &fixture,
            "grace",
            &format!("q={query}&min_version={version}"),
        );
        assert_eq!(ids(&answer.json()), expected, "{query}");
    }
}

#[test]
fn a_version_that_does_not_come_is_not_waited_for_for_ever() {
    let fixture = Fixture::start();
    let answer = search(&fixture, "grace", "q=봄&min_version=999:1");
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[test]
fn what_cannot_be_searched_for_is_refused_by_name() {
    let fixture = Fixture::start();
    for (parameters, field) in [
        ("person=", "person"),
        ("limit=3", "q"),
        ("q=...", "q"),
        ("q=봄&limit=0", "limit"),
        ("q=봄&limit=101", "limit"),
        ("q=봄&cursor=zz", "cursor"),
        ("q=봄&cursor=abab", "cursor"),
        ("q=봄&min_version=17", "min_version"),
    ] {
        let problem = search(&fixture, "grace", parameters).problem(400, "invalid-field");
        assert_eq!(problem["field"], field, "{parameters}");
    }
    search(&fixture, "grace", "q=봄&near=here").problem(400, "unknown-parameter");
}

#[test]
fn without_an_index_there_is_no_search() {
    let fixture = Fixture::with(|config| config.search.enabled = false);
    search(&fixture, "grace", "q=봄").problem(404, "elsewhere");
}
