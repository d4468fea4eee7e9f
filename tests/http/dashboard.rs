//! The dashboard's pages as a browser gets them, and the stream that keeps them up to date.

use std::fs;
use std::time::Duration;

use iyagi::clock::SystemClock;
use iyagi::config::{Config, OperatorConfig, OperatorRole};
use iyagi_actors::journal::Draft;
use iyagi_actors::ports::Clock;
use iyagi_actors::runtime::{ChildSpec, Cx, Done, Failure, Fault, Intensity, Strategy, Worker};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::LetterRequested;
use iyagi_messages::ids::{LetterId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use serde_json::json;

use crate::event_stream::EventStream;
use crate::fixture::{Answer, Fixture};

const PAGES: [&str; 5] = [
    "/",
    "/actors",
    "/actors/push-sender",
    "/pipelines",
    "/dead-letters",
];
/// Closes every element and attribute that it could stand in.
const HOSTILE: &str = "'\"></pre></title></textarea><script>alert(1)</script>";

fn page(fixture: &Fixture, path: &str) -> String {
    let answer = fixture.operations("GET", path, "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

fn letter(number: u64, reason: &str, text: &str) -> Letter {
    Letter {
        id: LetterId::of_object("thumbnails", &format!("{number}"), "1"),
        generation: 1,
        origin: Origin::Object {
            consumer: "thumbnails".to_owned(),
            key: format!("posts/{text}"),
            message: json!({ "text": text, "id": u64::MAX }).to_string(),
        },
        reason: reason.to_owned(),
        detail: text.to_owned(),
        attempts: 3,
        // A daemon that comes up lets expire what is old.
        at: Timestamp(SystemClock.now().0 + number as i64),
    }
}

/// Gives jobs up that never were.
fn dead(fixture: &Fixture, letters: Vec<Letter>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    for letters in letters.chunks(1_000) {
        let mut draft = Draft::new(&"test", "test");
        for letter in letters {
            let entity = Entity::new("letter", letter.id);
            let letter = letter.clone();
            draft.begin(&letter.id.to_string(), entity, LetterRequested { letter });
        }
        let appended = fixture.surface.journal.append(draft.finish());
        runtime.block_on(appended).expect("it is appended");
    }
}

/// Whatever a page has that runs, is loaded or is styled comes from a file of this daemon.
fn check_harmless(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(
            policy.split("; ").any(|one| one == rule),
            "{path}: {policy}"
        );
    }
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    let html = answer.text();
    for script in html.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').expect("a tag");
        assert!(tag.contains(" src=\"/assets/"), "{path}: {tag}");
        assert!(rest.starts_with("</script>"), "{path}: {tag}");
    }
    for forbidden in [
        "<style",
        " style=",
        "javascript:",
        "\" onclick=",
        " onload=",
        "http://",
        "https://",
    ] {
        let shown = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!shown.contains(forbidden), "{path} has {forbidden}");
    }
}

#[test]
fn no_page_runs_or_loads_anything_but_files_of_this_daemon() {
    let fixture = Fixture::start();
    for path in PAGES
        .into_iter()
        .chain(["/actors/nobody", "/dead-letters?orgin=push"])
    {
        let answer = fixture.operations("GET", path, "");
        assert_eq!(
            answer.header("content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        check_harmless(path, &answer);
    }
    let html = page(&fixture, "/");
    let assets = html.split('"').filter(|text| text.starts_with("/assets/"));
    let mut count = 0;
    for path in assets {
        let asset = fixture.operations("GET", path, "");
        assert_eq!(asset.status, 200, "{path}");
        assert!(
            asset.header("cache-control").contains("immutable"),
            "{path}"
        );
        let etag = [("if-none-match", asset.header("etag"))];
        let again = fixture.send(fixture.operations, "GET", path, &etag, b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        count += 1;
    }
    assert!(count >= 3, "{html}");
    let other = fixture.operations("GET", "/assets/0/dashboard.js", "");
    other.problem(404, "not-found");
}

#[test]
fn whatever_a_dead_letter_says_is_shown_as_text() {
    let fixture = Fixture::start();
    let hostile = letter(1, HOSTILE, HOSTILE);
    let id = hostile.id;
    dead(&fixture, vec![hostile]);
    let filter = form_urlencoded(HOSTILE);
    for path in [
        "/dead-letters".to_owned(),
        format!("/dead-letters/{id}"),
        format!("/dead-letters?reason={filter}"),
        format!("/dead-letters?person={filter}"),
    ] {
        let answer = fixture.operations("GET", &path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(!answer.text().contains("<script>alert"), "{path}");
        assert!(answer.text().contains("&#60;script&#62;alert"), "{path}");
        check_harmless(&path, &answer);
    }
    let shown = page(&fixture, &format!("/dead-letters/{id}"));
    assert!(shown.contains("18446744073709551615"), "an exact number");
}

fn form_urlencoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
    bytes.collect()
}

#[test]
fn every_dead_letter_is_on_one_page_and_each_group_counts_its_own() {
    const LETTERS: u64 = 1_230;
    let fixture = Fixture::start();
    let reasons = ["bomb", "truncated", "unsupported"];
    let reason = |number: u64| reasons[number as usize % reasons.len()];
    let all = (0..LETTERS).map(|number| letter(number, reason(number), "picture"));
    dead(&fixture, all.collect());
    let (mut path, mut seen) = (
        "/dead-letters?origin=thumbnails&reason=bomb&person=".to_owned(),
        Vec::new(),
    );
    loop {
        let html = page(&fixture, &path);
        assert!(
            html.contains("reason=truncated\">truncated</a>"),
            "the other groups"
        );
        assert!(html.contains(">410<"), "each has its count");
        let rows = html
            .split("<a class=\"mono\" href=\"/dead-letters/")
            .skip(1);
        seen.extend(rows.map(|row| row[..36].to_owned()));
        let Some((_, next)) = html.split_once("rel=\"next\" href=\"") else {
            break;
        };
        let next = next.split('"').next().expect("the end of the link");
        path = next.replace("&#38;", "&");
    }
    let expected: Vec<String> = (0..LETTERS)
        .rev()
        .filter(|number| reason(*number) == "bomb")
        .map(|number| letter(number, "", "").id.to_string())
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(seen.len(), 410);
}

#[test]
fn a_restart_and_a_new_size_are_told_to_an_open_page() {
    let fixture = Fixture::start();
    let topics = "/v1/live?topics=verdict,actors,actor:push-sender";
    let mut stream = EventStream::at(fixture.operations, topics, &[]).expect("a stream");
    let mut until = |topic: &str, what: &str| {
        loop {
            let told = stream.next().expect("more");
            if told.name == "beat" {
                continue;
            }
            assert_eq!(told.name, "patch");
            let html = told.data["html"].as_str().expect("a part of a page");
            if told.data["topic"] == topic && html.contains(what) {
                return;
            }
        }
    };
    until("actor:push-sender", "push-sender");
    let order = |verb: &str, body: &str| {
        let path = format!("/v1/ops/actors/push-sender/{verb}");
        fixture.operations("POST", &path, body).json();
    };
    order("scale", r#"{"size": 7}"#);
    until("actors", "× 7");
    order("pause", "");
    until("actors", ">paused<");
    order("resume", "");
    let path = "/v1/ops/actors/subscription-matcher/restart";
    fixture.operations("POST", path, "").json();
    until("verdict", "<span>Restarts, last hour</span> <b>1</b>");
    let unknown = fixture.operations("GET", "/v1/live?topics=actor", "");
    unknown.problem(400, "invalid-field");
}

#[test]
fn an_operator_who_may_only_look_is_offered_nothing_to_change() {
    let tokens = tempfile::tempdir().expect("a folder");
    let token = |name: &str| name.repeat(8);
    let with_operators = |config: &mut Config| {
        for (name, role) in [
            ("jiho", OperatorRole::ReadOnly),
            ("mina", OperatorRole::Admin),
        ] {
            let file = tokens.path().join(name);
            fs::write(&file, token(name)).expect("a token file");
            config.operations.operators.push(OperatorConfig {
                name: name.to_owned(),
                role,
                token_file: file,
            });
        }
    };
    let fixture = Fixture::with(with_operators);
    let shown = |name: &str, path: &str| {
        let bearer = format!("Bearer {}", token(name));
        let headers = [("authorization", bearer.as_str())];
        fixture.send(fixture.operations, "GET", path, &headers, b"")
    };
    dead(&fixture, vec![letter(1, "bomb", "picture")]);
    for path in ["/actors", "/pipelines", "/dead-letters"] {
        assert!(!shown("jiho", path).text().contains("data-act"), "{path}");
        assert!(shown("mina", path).text().contains("data-act"), "{path}");
    }
    assert!(shown("jiho", "/").text().contains("may only look"));
    let sign_in = fixture.operations("GET", "/login", "");
    check_harmless("/login", &sign_in);
    let style = sign_in.text();
    let style = style.split('"').find(|text| text.contains(".css"));
    let style = fixture.operations("GET", style.expect("a style"), "");
    assert_eq!(style.status, 200, "the way in is styled for anybody");
}

struct Clumsy;

impl Worker for Clumsy {
    type Msg = &'static str;

    async fn handle(&mut self, word: &&'static str, _: &Cx<&'static str>) -> Result<Done, Fault> {
        panic!("{word} is too much");
    }

    async fn set_aside(&mut self, _: &&'static str, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[test]
fn the_last_panic_of_an_actor_is_shown_with_its_place_and_the_calls_that_led_there() {
    let fixture = Fixture::start();
    let intensity = Intensity {
        max: 9,
        within: Duration::from_mins(1),
    };
    let actors = &fixture.surface.actors;
    let group = actors.group("test", Strategy::OneForOne, intensity);
    let mailbox = group.child(ChildSpec::new("clumsy"), |_| async { Ok(Clumsy) });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let told = runtime.expect("a runtime").block_on(mailbox.tell("<b>"));
    told.expect("it is taken");
    let line = |html: &str| html.contains("&#60;b&#62; is too much, at tests/http/dashboard.rs:");
    let shown = fixture.until("the panic", |fixture| {
        let html = page(fixture, "/actors/clumsy");
        line(&html).then_some(html)
    });
    assert!(shown.contains("Last panic"), "{shown}");
    assert!(shown.contains("Clumsy as iyagi_actors"), "{shown}");
    let restarted = "/v1/ops/journal?kind=actor.restarted&order=newest";
    fixture.until("its restart in the journal", |fixture| {
        let events = fixture.operations("GET", restarted, "").json();
        let reason = events["events"][0]["body"]["reason"].as_str()?.to_owned();
        reason
            .contains("is too much, at tests/http/dashboard.rs:")
            .then_some(())
    });
    let told = fixture
        .operations("GET", "/v1/ops/actors/clumsy", "")
        .json();
    let reason = told["last_panic"]["reason"].as_str().expect("text");
    assert!(reason.starts_with("<b> is too much, at "), "{reason}");
}

#[test]
fn charts_mark_starts_and_orders_and_the_overview_says_them_under_the_same_numbers() {
    let fixture = Fixture::start();
    let body = json!({ "because": "a <test>" }).to_string();
    let pause = "/v1/ops/actors/push-sender/pause";
    fixture.operations("POST", pause, body).json();
    let told = fixture
        .operations("GET", "/v1/ops/history?after=0", "")
        .json();
    let marks = told["marks"].as_array().expect("a list");
    let kinds: Vec<_> = marks.iter().map(|mark| mark["kind"].clone()).collect();
    assert_eq!(kinds, ["started", "ordered"], "{told}");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(marks[0]["what"], format!("iyagi {version} came up"));
    assert_eq!(
        marks[1]["what"],
        "push-sender was paused by local: a <test>"
    );
    let event = marks[1]["event"].as_str().expect("an id");
    let shown = page(&fixture, "/");
    let said = format!(
        "<b class=\"nth ordered\">2</b> <a href=\"/journal/{event}\">push-sender was paused by local: a &#60;test&#62;</a>"
    );
    assert!(shown.contains(&said), "{shown}");
    assert!(
        shown.contains("push-sender is paused"),
        "it is a problem: {shown}"
    );
}
