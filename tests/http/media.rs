//! Metadata and thumbnails of uploaded files.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::fixture::Fixture;

pub(crate) fn picture() -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/media/posts/story-launch/IMG_2041.jpg");
    std::fs::read(path).expect("the demo's picture")
}

pub(crate) fn upload(fixture: &Fixture, key: &str, body: &[u8]) {
    let key = utf8_percent_encode(key, NON_ALPHANUMERIC);
    let answer = fixture.public("PUT", &format!("/v1/files/{key}"), body);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn item(fixture: &Fixture, key: &str) -> Value {
    let key = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
    fixture.until("the metadata", |fixture| {
        let answer = fixture.get(&format!("/v1/media/{key}"), &[]);
        (answer.status == 200).then(|| answer.json())
    })
}

pub(crate) fn with_thumbnails(fixture: &Fixture, key: &str) -> Value {
    fixture.until("the thumbnails", |fixture| {
        let item = item(fixture, key);
        item["thumbnails"].is_object().then_some(item)
    })
}

#[test]
fn both_spellings_of_a_korean_key_are_files_of_their_own() {
    let fixture = Fixture::start();
    let (composed, decomposed) = ("uploads/minji/가.txt", "uploads/minji/\u{1100}\u{1161}.txt");
    upload(&fixture, composed, b"composed");
    upload(&fixture, decomposed, b"decomposed!");
    for (key, size) in [(composed, 8), (decomposed, 11)] {
        let item = item(&fixture, key);
        assert_eq!((&item["key"], &item["size"]), (&key.into(), &size.into()));
        assert_eq!(item["owner"], "minji");
    }
    let page = fixture.get("/v1/media?prefix=uploads/minji/", &[]).json();
    assert_eq!(page["items"].as_array().expect("items").len(), 2);
}

#[test]
fn pages_show_every_item_once_in_order_of_key() {
    let fixture = Fixture::start();
    let keys: Vec<String> = (0..7).map(|number| format!("notes/{number}.txt")).collect();
    for key in &keys {
        upload(&fixture, key, key.as_bytes());
    }
    upload(&fixture, "other/1.txt", b"elsewhere");
    for key in &keys {
        item(&fixture, key);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/media?prefix=notes/&limit=3".to_owned());
    loop {
        let page = fixture.get(&path, &[]).json();
        let items = page["items"].as_array().expect("items");
        seen.extend(
            items
                .iter()
                .map(|item| item["key"].as_str().expect("a key").to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/media?prefix=notes/&limit=3&cursor={next}");
    }
    assert_eq!(seen, keys);
}

#[test]
fn an_item_that_the_client_has_is_not_sent_again() {
    let fixture = Fixture::start();
    upload(&fixture, "notes/a.txt", b"text");
    item(&fixture, "notes/a.txt");
    let answer = fixture.get("/v1/media/notes/a.txt", &[]);
    let etag = answer.header("etag").to_owned();
    assert_eq!(answer.header("cache-control"), "private, max-age=0");
    let answer = fixture.get("/v1/media/notes/a.txt", &[("if-none-match", &etag)]);
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    let answer = fixture.get("/v1/media/notes/a.txt", &[("if-none-match", "\"other\"")]);
    assert_eq!(answer.status, 200);
    fixture
        .get("/v1/media/notes/none.txt", &[])
        .problem(404, "not-found");
}

#[test]
fn a_thumbnail_comes_in_the_format_that_the_client_wants_most() {
    let fixture = Fixture::start();
    upload(&fixture, "posts/1/발사대.jpg", &picture());
    let item = with_thumbnails(&fixture, "posts/1/발사대.jpg");
    let variants = item["thumbnails"]["variants"].as_array().expect("variants");
    let presets = fixture.surface.config.media.presets.len();
    assert_eq!(variants.len(), presets * 2);
    let path = format!(
        "/v1/media/posts/1/{}/thumbnails/small",
        utf8_percent_encode("발사대.jpg", NON_ALPHANUMERIC)
    );
    for (accept, expected, magic) in [
        (None, "image/jpeg", &b"\xff\xd8"[..]),
        (Some("*/*"), "image/jpeg", b"\xff\xd8"),
        (
            Some("image/avif,image/webp,*/*;q=0.8"),
            "image/webp",
            b"RIFF",
        ),
        (
            Some("image/webp;q=0.5,image/jpeg"),
            "image/jpeg",
            b"\xff\xd8",
        ),
        (Some("image/webp"), "image/webp", b"RIFF"),
    ] {
        let headers: Vec<_> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let answer = fixture.get(&path, &headers);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), expected, "{accept:?}");
        assert!(answer.body.starts_with(magic), "{accept:?}");
        let told = fixture.get(&format!("{path}?redirect=false"), &headers);
        assert_eq!(told.header("vary"), "Accept");
        let etag = answer.header("etag").to_owned();
        let again: Vec<_> = headers
            .into_iter()
            .chain([("if-none-match", &*etag)])
            .collect();
        assert_eq!(fixture.get(&path, &again).status, 304);
    }
    let problem = fixture
        .get(&path, &[("accept", "image/png")])
        .problem(406, "not-acceptable");
    assert_eq!(problem["available"].as_array().expect("types").len(), 2);

    // The bare path may lead to another picture tomorrow; that with a version never will. Where both lead to is kept for ever.
    let told = |path: &str, mark: char| {
        let answer = fixture.get(&format!("{path}{mark}redirect=false"), &[]);
        answer.header("cache-control").to_owned()
    };
    assert_eq!(told(&path, '?'), "private, max-age=0");
    let link = variants[0]["url"].as_str().expect("a link");
    assert_eq!(told(link, '&'), "private, max-age=1800");
    let answer = fixture.get(link, &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
}

#[test]
fn a_missing_thumbnail_says_why() {
    let fixture = Fixture::start();
    let whole = picture();
    upload(&fixture, "posts/1/cut.jpg", &whole[..whole.len() / 2]);
    upload(&fixture, "posts/1/empty.jpg", b"");
    upload(&fixture, "posts/1/wrong.jpg", b"this is a text");
    upload(&fixture, "notes/fine.jpg", &whole);
    let reason = |key: &str| {
        item(&fixture, key);
        fixture.until("the verdict", |fixture| {
            let answer = fixture.get(&format!("/v1/media/{key}/thumbnails/small"), &[]);
            let problem = answer.problem(404, "no-thumbnail");
            (problem["reason"] != "pending").then_some(problem)
        })
    };
    for key in ["posts/1/cut.jpg", "posts/1/empty.jpg", "posts/1/wrong.jpg"] {
        let problem = reason(key);
        assert_ne!(problem["reason"], "not_eligible", "{problem}");
    }
    assert_eq!(reason("notes/fine.jpg")["reason"], "not_eligible");
    let problem = fixture
        .get("/v1/media/notes/fine.jpg/thumbnails/smal", &[])
        .problem(404, "unknown-preset");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("`small`")
    );
    fixture
        .get("/v1/media/posts/1/none.jpg/thumbnails/small", &[])
        .problem(404, "not-found");
}

#[test]
fn what_is_derived_from_a_recording_is_linked_and_read_and_what_is_not_there_says_why() {
    let fixture = Fixture::start();
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/media/posts/story-launch/countdown.m4a");
    let recording = std::fs::read(path).expect("the demo's recording");
    upload(&fixture, "posts/1/\u{b179}\u{c74c}.m4a", &recording);
    let item = fixture.until("the analysis", |fixture| {
        let item = item(fixture, "posts/1/\u{b179}\u{c74c}.m4a");
        item["audio"].is_object().then_some(item)
    });
    let files = item["audio"]["files"].as_array().expect("files");
    assert_eq!(files.len(), 4);
    for file in files {
        let link = file["url"].as_str().expect("a link");
        let answer = fixture.get(link, &[]);
        assert_eq!(answer.status, 200, "{link}: {}", answer.text());
        let stated = file["content_type"].as_str().expect("a type");
        assert_eq!(answer.header("content-type"), stated);
        assert_eq!(Some(answer.body.len() as u64), file["size"].as_u64());
        let cached = answer.header("cache-control").to_owned();
        assert_eq!(cached, "public, max-age=31536000, immutable");
        let etag = answer.header("etag").to_owned();
        assert_eq!(fixture.get(link, &[("if-none-match", &etag)]).status, 304);
        let (bare, _) = link.split_once('?').expect("a version");
        let answer = fixture.get(&format!("{bare}?redirect=false"), &[]);
        assert_eq!(answer.header("cache-control"), "private, max-age=0");
    }
    let key = utf8_percent_encode("posts/1/\u{b179}\u{c74c}.m4a", NON_ALPHANUMERIC);
    let none = fixture.get(&format!("/v1/media/{key}/derived/opus-32k"), &[]);
    assert_eq!(none.problem(404, "not-found")["reason"], "not_configured");
    upload(&fixture, "notes/a.txt", b"text");
    fixture.until("the metadata", |fixture| {
        let answer = fixture.get("/v1/media/notes/a.txt", &[]);
        (answer.status == 200).then_some(())
    });
    let none = fixture.get("/v1/media/notes/a.txt/derived/waveform.svg", &[]);
    assert_eq!(none.problem(404, "not-found")["reason"], "not_analysed");
}

#[test]
fn of_what_a_recording_is_a_duplicate_only_those_learn_who_may_see_that() {
    let fixture = Fixture::start();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read(root.join(path)).expect("it is there");
    let original = read("demo/media/posts/story-deep-sky/two-hundred.ogg");
    let copy = read("tests/daemon/files/two-hundred.mp3");
    let analysed = |key: &str| {
        fixture.until("the analysis", |fixture| {
            let item = item(fixture, key);
            item["audio"].is_object().then_some(item)
        })
    };
    let seen_by = |person: &str, key: &str| {
        let answer = fixture.public_as(person, "GET", &format!("/v1/media/{key}"), "");
        assert_eq!(answer.status, 200, "{person} {key}: {}", answer.text());
        answer.json()["audio"]["duplicate_of"].clone()
    };
    let (private, public) = ("uploads/jisoo/a.ogg", "profile/hana/a.mp3");
    upload(&fixture, private, &original);
    analysed(private);
    upload(&fixture, public, &copy);
    let shown = analysed(public)["audio"]["duplicate_of"].clone();
    assert_eq!(
        (&shown["key"], &shown["kind"]),
        (&private.into(), &"near_duplicate".into())
    );
    assert!(shown["similarity"].as_f64() > Some(0.8), "{shown}");
    assert_eq!(seen_by("jisoo", public), shown, "it is hers");
    assert_eq!(seen_by("hana", public), Value::Null, "it is not hers");
    let page = fixture.get("/v1/media?prefix=profile/hana/", &[]).json();
    assert_eq!(page["items"][0]["audio"]["duplicate_of"], Value::Null);
    // What everybody may see, everybody is told.
    let own = "uploads/hana/b.mp3";
    upload(&fixture, own, &copy);
    analysed(own);
    let shown = seen_by("hana", own);
    let expected = (&public.into(), &"same_bytes".into());
    assert_eq!((&shown["key"], &shown["kind"]), expected);
    let removed = fixture.public("DELETE", &format!("/v1/files/{public}"), "");
    assert_eq!(removed.status, 204, "{}", removed.text());
    fixture.until("it is gone", |fixture| {
        let answer = fixture.get(&format!("/v1/media/{public}"), &[]);
        (answer.status == 404).then_some(())
    });
    assert_eq!(
        seen_by("hana", own),
        Value::Null,
        "nobody is led to nothing"
    );
}
