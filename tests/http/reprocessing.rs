//! One upload that an operator has worked on anew.

use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};
use crate::media::{picture, upload, with_thumbnails};

const KEY: &str = "posts/1/photo.jpg";

fn order(fixture: &Fixture, key: &str, because: &str) -> Answer {
    let body = json!({ "key": key, "because": because }).to_string();
    fixture.operations("POST", "/v1/ops/media/reprocess", body)
}

/// The events of a kind, the newest first.
fn events(fixture: &Fixture, kind: &str) -> Vec<Value> {
    let path = format!("/v1/ops/journal?kind={kind}&order=newest");
    let page = fixture.operations("GET", &path, "").json();
    page["events"].as_array().expect("a list").clone()
}

/// What came of an order, once something did.
fn outcome(fixture: &Fixture, kind: &str, ordered: &Value) -> Value {
    fixture.until("what comes of the order", |fixture| {
        let mut events = events(fixture, kind).into_iter();
        events.find(|event| event["cause"] == ordered["event"])
    })
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(work)
}

#[test]
fn a_spoilt_thumbnail_is_made_again_though_it_is_there() {
    let fixture = Fixture::start();
    upload(&fixture, KEY, &picture());
    let item = with_thumbnails(&fixture, KEY);
    let file = item["thumbnails"]["variants"][0]["key"].clone();
    let file = ObjectKey::new(file.as_str().expect("a key")).expect("valid");
    let store = &fixture.surface.store;
    let (whole, info) = on_runtime(store.get(&file, u64::MAX)).expect("it is stored");
    let spoilt = store.put(&file, b"spoilt".to_vec(), info.options);
    on_runtime(spoilt).expect("it is stored");

    let ordered = order(&fixture, KEY, "a disk lied").json();
    assert_eq!(
        (&ordered["repeated"], &ordered["offered"]),
        (&json!(false), &json!(true))
    );
    outcome(&fixture, "thumbnail.rendered", &ordered);
    let (bytes, _) = on_runtime(store.get(&file, u64::MAX)).expect("it is stored");
    assert_eq!(bytes, whole);
    let wish = &events(&fixture, "reprocessing.requested")[0];
    assert_eq!(wish["body"]["by"], "local", "{wish}");
    assert_eq!(wish["body"]["because"], "a disk lied", "{wish}");

    let item = with_thumbnails(&fixture, KEY);
    assert!(
        item["thumbnails"]["rendered_in_ms"].is_null(),
        "no client's business: {item}"
    );
    let shown = fixture.operations("GET", "/media", "").text();
    for part in ["<dt>Rendered in</dt>", "<dt>Placeholder</dt>", "reprocess"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn the_same_wish_twice_is_one_until_something_came_of_it() {
    let fixture = Fixture::start();
    upload(&fixture, KEY, &picture());
    with_thumbnails(&fixture, KEY);
    let pool = |verb: &str| {
        let path = format!("/v1/ops/actors/thumbnail-worker/{verb}");
        fixture.operations("POST", &path, "").json()
    };
    pool("pause");
    let first = order(&fixture, KEY, "it looks odd").json();
    let second = order(&fixture, KEY, "it looks odd").json();
    assert_eq!(second["event"], first["event"]);
    assert_eq!(second["repeated"], true);
    let other = order(&fixture, KEY, "it still does").json();
    assert_ne!(
        other["event"], first["event"],
        "another reason is another wish"
    );
    pool("resume");
    outcome(&fixture, "thumbnail.rendered", &first);
    outcome(&fixture, "thumbnail.rendered", &other);
    let third = order(&fixture, KEY, "it still does").json();
    assert_eq!(third["repeated"], false);
    outcome(&fixture, "thumbnail.rendered", &third);
    assert_eq!(events(&fixture, "reprocessing.requested").len(), 3);
}

#[test]
fn the_dead_letters_of_an_upload_are_redriven_with_it() {
    let fixture = Fixture::start();
    let whole = picture();
    upload(&fixture, KEY, &whole[..whole.len() / 2]);
    let waiting = |fixture: &Fixture, count: usize| {
        fixture.until("the letter", |fixture| {
            let path = "/v1/ops/dead-letters?origin=thumbnails";
            let listed = fixture.operations("GET", path, "").json();
            let letters = listed["letters"].as_array().expect("a list").clone();
            let generation = letters.first().map(|letter| letter["generation"].clone());
            (generation == Some(json!(count))).then(|| letters[0].clone())
        })
    };
    let letter = waiting(&fixture, 1);
    let shown = fixture.operations("GET", "/media", "").text();
    assert!(shown.contains("given up"), "{shown}");
    let ordered = order(&fixture, KEY, "the decoder is mended").json();
    assert_eq!(ordered["redriven"], json!([letter["id"]]));
    let redriven = &events(&fixture, "letter.redriven")[0];
    assert_eq!(redriven["body"]["because"], "the decoder is mended");
    // It is as broken as it was, and given up once more.
    waiting(&fixture, 2);
}

#[test]
fn what_nobody_knows_or_has_any_more_cannot_be_worked_on() {
    let fixture = Fixture::start();
    let unknown = order(&fixture, "posts/1/none.jpg", "why not");
    unknown.problem(404, "not-found");
    order(&fixture, "../x", "why not").problem(400, "invalid-field");
    let misspelt = r#"{"kye": "posts/1/photo.jpg"}"#;
    let misspelt = fixture.operations("POST", "/v1/ops/media/reprocess", misspelt);
    misspelt.problem(400, "invalid-field");
    let looked = fixture.operations("GET", "/v1/ops/media/reprocess", "");
    looked.problem(405, "method-not-allowed");
    assert!(events(&fixture, "reprocessing.requested").is_empty());
}
