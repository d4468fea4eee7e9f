//! `iyagi test`: what templates promise, played.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Answer, iyagi};

/// Templates that announce likes and subscriptions, with tests behind them.
fn tested(tests: &str) -> (tempfile::TempDir, Answer) {
    const TEMPLATES: &str = r#"[[template]]
id = "like"
category = "reactions"
ttl_seconds = 7200
anchor = { owned = {} }
when = { change = ["created"], labels = ["LIKES"] }
texts.en = { title = "New like", body = "{ $actor } likes “{ $title }”" }

[[template]]
id = "subscription"
category = "subscriptions"
ttl_seconds = 7200
texts.en = { title = "News", body = "{ $title } has changed" }
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{TEMPLATES}\n{tests}");
    fs::write(folder.path().join("likes.toml"), text).expect("written");
    let answer = iyagi(folder.path(), &["test", "likes.toml"]);
    (folder, answer)
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_shipped_templates_keep_what_their_tests_promise_and_none_is_without_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = shipped("config/templates.toml");
    let answer = iyagi(folder.path(), &["test", &file, "--output", "json"]);
    assert_eq!(answer.status, 0, "{}{}", answer.out, answer.err);
    let told: Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!(told["failed"], 0, "{told}");
    assert_eq!(told["files"][0]["untested"], Value::Array(Vec::new()));
    assert!(told["passed"].as_u64() > Some(8), "{told}");
}

#[test]
fn what_came_otherwise_is_told_with_its_line() {
    let (_folder, answer) = tested(
        r#"[[test]]
name = "a like is told"
people = { minji = { phones = ["en"] }, daniel = { name = "Daniel", phones = ["en"], blocked = ["ada"] }, ada = {} }
given = ['(s:Story {title: "Night train"}), (minji)-[:POSTED]->(s), (d:Story {title: "Day"}), (daniel)-[:POSTED]->(d)']
when = ['(daniel)-[:LIKES]->(s)', '(minji)-[:LIKES]->(d)', '(ada)-[:LIKES]->(d)', '(ada)-[:LIKES]->(s)']

[[test.push]]
to = "minji"
template = "like"
link = "iyagi://stories/s"
texts.en = { title = "New like", body = "Daniel likes “Day train”" }
texts.ko = { body = "좋아요" }

[[test.push]]
to = "ada"
template = "like"

[[test.held]]
to = "daniel"
template = "like"
reason = "muted"

[[test]]
name = "this one holds"
people = { minji = { phones = ["en"] }, daniel = { name = "Daniel" } }
given = ['(s:Story {title: "Night train"}), (minji)-[:POSTED]->(s)']
when = ['(daniel)-[:LIKES]->(s)']

[[test.push]]
to = "minji"
template = "like"
after = "0s"
texts.en = { title = "New like", body = "Daniel likes “Night train”" }

[[test]]
name = "this one has an edge to nowhere"
people = { minji = { phones = ["en"] } }
when = ['(minji)-[:LIKES]->(nowhere)']
"#,
    );
    assert_eq!((answer.status, answer.err.as_str()), (1, ""));
    insta::assert_snapshot!(answer.out);
}

#[test]
fn the_graph_changes_in_drawings_operations_and_raw_records_alike() {
    let test = |when: &str| {
        format!(
            r#"[[test]]
name = "a change of the title is told"
given = ['(s:Story {{title: "old", visibility: "public"}})']
when = [{when}]
people.minji = {{ phones = ["en"], subscriptions = [{{ anchor = {{ element = {{ id = "s" }} }}, when = {{ keys = ["title"] }} }}] }}

[[test.push]]
to = "minji"
template = "subscription"
texts.en = {{ body = "new has changed" }}
"#
        )
    };
    let title = |value: &str| {
        format!(
            r#"{{ id = "s", type = "vp", key = "title", value = {{ value = "{value}", dataType = "String" }} }}"#
        )
    };
    let raw = format!(
        r#"[
            {{ eventId = {{ commitNum = 7, opNum = 1 }}, op = "REMOVE", data = {} }},
            {{ op = "ADD", data = {} }},
        ]"#,
        title("old"),
        title("new"),
    );
    for when in [
        r#"'(s {title: "new"})'"#,
        r#"{ op = "set_property", id = "s", key = "title", value = "new" }"#,
        &raw,
    ] {
        let (_folder, answer) = tested(&test(when));
        assert_eq!(answer.status, 0, "{when}: {}{}", answer.out, answer.err);
        assert!(answer.out.contains("1 tests passed"), "{}", answer.out);
    }
}

/// A test with a slip in every place where one can be.
const SLIPS: &str = r#"[[test]]
name = "slips"
at = "noon"
people = { minji = { phone = ["en"] } }
given = ['(daniel)-[FOLLOWS]->(minji)']
when = [{ wait = "a while" }, { op = "add_vertx", id = "s" }]
push = [{ to = "minji", template = "lick", after = "soon" }]
"#;

#[test]
fn slips_in_a_test_are_told_all_at_once_and_hinder_no_daemon() {
    let (folder, answer) = tested(SLIPS);
    assert_eq!((answer.status, answer.out.as_str()), (78, ""));
    assert!(
        answer.err.contains("did you mean `phones`?"),
        "{}",
        answer.err
    );
    let (_folder, answer) = tested(&SLIPS.replace("phone =", "phones ="));
    assert_eq!((answer.status, answer.out.as_str()), (78, ""));
    insta::assert_snapshot!(answer.err);
    let config = folder.path().join("iyagi.toml");
    fs::write(config, "[push]\ntemplates = \"likes.toml\"\n").expect("written");
    let answer = iyagi(folder.path(), &["check", "--offline"]);
    assert_eq!(answer.status, 0, "{}", answer.err);
    assert!(answer.out.contains("iyagi test"), "{}", answer.out);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = iyagi(folder.path(), &["test", "nowhere.toml"]);
    assert_eq!(answer.status, 78);
    assert!(answer.err.contains("nowhere.toml"), "{}", answer.err);
    assert_eq!(iyagi(folder.path(), &["test"]).status, 2);
}
