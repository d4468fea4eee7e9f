//! `iyagi why-not` and `iyagi what-if`: the past, explained and tried out anew.

use std::fs;
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::config::BUILT_IN_TEMPLATES;
use iyagi::embedded::graph::EmbeddedGraph;
use serde_json::{Value, json};

use super::daemon::Live;

impl Live {
    fn commit(&self, operations: &Value) -> u64 {
        let url = format!("{}/v1/graph/commits", self.operations);
        let body = json!({ "operations": operations });
        let mut answer = self.agent.post(url).send_json(&body).expect("committed");
        let answer: Value = answer.body_mut().read_json().expect("JSON");
        answer["commit"].as_u64().expect("a number")
    }

    fn put(&self, person: &str, path: &str, body: &Value) {
        let url = format!("{}{path}", self.public);
        let request = self
            .agent
            .put(url)
            .header("Authorization", self.bearer(person));
        request.send_json(body).expect("taken");
    }

    fn settled(&self) {
        Self::until("rest", || {
            let status = self.json(&["status"]);
            let stream = &status["stream"];
            status["pushes"]["pending"] == 0 && stream["cursor"] == stream["tip"]
        });
    }
}

fn edge(id: &str, label: &str) -> Value {
    json!([{"op": "add_edge", "id": id, "from": "ada", "to": "minji", "label": label}])
}

/// What the rules say of a commit's first change, as `template: verdict clause`.
fn rules(answer: &Value) -> Vec<String> {
    let rules = answer["changes"][0]["rules"].as_array().expect("rules");
    let told = rules.iter().map(|rule| {
        let (template, verdict) = (&rule["template"], &rule["verdict"]);
        format!("{template}: {verdict} {}", rule["clause"]).replace('"', "")
    });
    told.collect()
}

#[test]
fn why_not_names_the_first_false_clause_or_the_gate_and_who_closed_it_live_and_at_rest() {
    let mut live = Live::start();
    live.people();
    let knows = live.commit(&edge("k1", "KNOWS")).to_string();
    let follows = live.commit(&edge("f1", "FOLLOWS")).to_string();
    live.settled();
    live.put(
        "minji",
        "/v1/preferences/minji",
        &json!({"blocked": ["ada"]}),
    );
    live.commit(&edge("f2", "FOLLOWS"));
    live.settled();
    // What is asked for later does not matter to what was before.
    let late = json!({"anchor": {"label": {"label": "KNOWS"}}});
    let url = format!("{}/v1/subscriptions", live.public);
    let request = live
        .agent
        .post(url)
        .header("Authorization", live.bearer("minji"));
    request.send_json(&late).expect("subscribed");

    let told = live.json(&["why-not", "minji", &knows]);
    let expected = [
        "follow: fails labels",
        "comment: fails anchor",
        "like: fails anchor",
        "post: fails anchor",
    ];
    assert_eq!(rules(&told), expected);
    let text = live.done(&["why-not", "minji", &knows]);
    assert!(
        text.contains("labels: the edge is KNOWS, the template wants FOLLOWS"),
        "{text}"
    );

    let sent = live.json(&["why-not", "minji", &follows]);
    assert_eq!(rules(&sent)[0], "follow: matches null");
    assert_eq!(sent["changes"][0]["pushes"][0]["state"], "sent");
    let text = live.done(&["why-not", "minji", "f1"]);
    assert!(text.contains("push.accepted"), "{text}");

    let by_element = ["why-not", "minji", "f2"];
    let held = live.json(&by_element);
    let push = &held["changes"][0]["pushes"][0];
    assert_eq!(push["state"], "suppressed");
    assert_eq!(push["gate"]["kind"], "preferences.changed");
    let text = live.done(&by_element);
    assert!(
        text.contains("preferences/minji: minji wishes a block of ada"),
        "{text}"
    );
    let other = live.json(&["why-not", "ada", "f2"]);
    assert_eq!(rules(&other)[0], "follow: fails anchor");

    let unknown = live.iyagi(&["why-not", "minji", "nobody"]);
    assert_eq!(unknown.status, 1, "{}", unknown.err);
    let future = live.iyagi(&["why-not", "minji", "99"]);
    assert_eq!(future.status, 1, "{}", future.err);
    assert!(future.err.contains("no commit 99"), "{}", future.err);

    assert_eq!(live.stop(), Some(0));
    assert_eq!(live.json(&by_element), held, "at rest it is told the same");
}

#[test]
fn a_private_story_rings_for_nobody_who_may_not_see_it_and_why_not_and_what_if_say_so() {
    let mut live = Live::start();
    live.people();
    live.commit(&json!([
        {"op": "add_vertex", "id": "s", "label": "Story", "properties": {"title": "Night train"}},
        {"op": "add_edge", "id": "p", "from": "ada", "to": "s", "label": "POSTED"},
        {"op": "add_edge", "id": "f", "from": "minji", "to": "ada", "label": "FOLLOWS"},
    ]));
    live.settled();
    let url = format!("{}/v1/subscriptions", live.public);
    for person in ["minji", "ada"] {
        let wanted = json!({"anchor": {"element": {"id": "s"}}, "when": {"keys": ["title"]}});
        let request = live.agent.post(&url);
        let request = request.header("Authorization", live.bearer(person));
        request.send_json(&wanted).expect("subscribed");
    }
    live.settled();
    let title =
        |title: &str| json!([{"op": "set_property", "id": "s", "key": "title", "value": title}]);
    let day_train = live.commit(&title("Day train"));
    live.settled();
    let sent = live.sent();
    live.commit(
        &json!([{"op": "set_property", "id": "s", "key": "visibility", "value": "private"}]),
    );
    let commit = live.commit(&title("No train")).to_string();
    live.settled();
    assert_eq!(live.sent(), sent, "the phone stays silent");
    let listed = |person: &str| {
        let url = format!("{}/v1/inbox", live.public);
        let request = live.agent.get(url);
        let request = request.header("Authorization", live.bearer(person));
        let inbox: Value = request
            .call()
            .expect("answered")
            .body_mut()
            .read_json()
            .expect("JSON");
        let entries = inbox["entries"].as_array().expect("a list").iter();
        entries
            .filter(|entry| entry["template"] == "subscription")
            .count()
    };
    assert_eq!(
        (listed("minji"), listed("ada")),
        (1, 2),
        "and so does her inbox"
    );
    let minji = live.json(&["why-not", "minji", &commit]);
    let push = &minji["changes"][0]["pushes"][0];
    assert_eq!(push["state"], "suppressed");
    assert_eq!(push["events"][1]["body"]["reason"], "not_visible", "{push}");
    let text = live.done(&["why-not", "minji", &commit]);
    assert!(
        text.contains("the recipient may not see what it tells of"),
        "{text}"
    );
    let ada = live.json(&["why-not", "ada", &commit]);
    let push = &ada["changes"][0]["pushes"][0];
    assert_eq!(
        push["events"][1]["body"]["reason"], "no_device",
        "her own: {push}"
    );
    let letters = live.done(&["dlq", "ls", "--output", "json"]);
    let law: Value = serde_json::from_str(letters.lines().last().expect("a line")).expect("JSON");
    assert_eq!(law["conservation"]["difference"], 0, "{law}");

    assert_eq!(live.stop(), Some(0));
    let file = live.folder.path().join("new.toml");
    fs::write(
        &file,
        BUILT_IN_TEMPLATES.replace("바뀌었습니다", "달라졌습니다"),
    )
    .expect("written");
    let tried = live.json(&["what-if", "--templates", "new.toml", "--samples", "9"]);
    let samples = tried["samples"].as_array().expect("samples").iter();
    let of: Vec<u64> = samples
        .filter_map(|sample| sample["commit"].as_u64())
        .collect();
    assert_eq!(of, [day_train], "what both hide is no difference: {tried}");
}

#[test]
fn a_past_that_is_no_longer_reachable_is_said_to_be_so_and_the_journal_still_answers() {
    let mut live = Live::start();
    live.people();
    let follows = live.commit(&edge("f1", "FOLLOWS")).to_string();
    live.commit(&edge("k1", "KNOWS"));
    live.settled();
    assert_eq!(live.stop(), Some(0));
    let path = live.folder.path().join("data/graph.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let graph = EmbeddedGraph::open(&path, Arc::new(SystemClock)).expect("opens");
        graph.trim_before(3).await.expect("trimmed");
    });
    let told = live.json(&["why-not", "minji", &follows]);
    let reason = told["unreachable"].as_str().expect("a reason");
    assert!(reason.contains("no longer reachable"), "{reason}");
    assert_eq!(told["pushes"][0]["state"], "sent");
    let text = live.done(&["why-not", "ada", &follows]);
    assert!(
        text.contains("the journal has no push of it to ada"),
        "{text}"
    );
    let file = live.folder.path().join("templates.toml");
    fs::write(&file, BUILT_IN_TEMPLATES).expect("written");
    let untried = live.iyagi(&["what-if", "--templates", "templates.toml"]);
    assert_eq!(untried.status, 1, "{}", untried.out);
    assert!(
        untried.err.contains("no longer reachable"),
        "{}",
        untried.err
    );
}

#[test]
fn what_if_tells_what_other_templates_would_have_changed_and_nothing_else_does() {
    let mut live = Live::start();
    live.people();
    live.put(
        "ada",
        "/v1/devices/ada-phone",
        &json!({"platform": "fcm", "locale": "en"}),
    );
    live.commit(&json!([
        {"op": "add_vertex", "id": "s", "label": "Story", "properties": {"title": "Night train"}},
        {"op": "add_edge", "id": "p", "from": "ada", "to": "s", "label": "POSTED"},
        {"op": "add_edge", "id": "l", "from": "minji", "to": "s", "label": "LIKES"},
    ]));
    live.commit(&edge("f1", "FOLLOWS"));
    live.settled();
    live.commit(
        &json!([{"op": "add_edge", "id": "b", "from": "ada", "to": "minji", "label": "BLOCKS"}]),
    );
    live.commit(
        &json!([{"op": "add_edge", "id": "s2", "from": "minji", "to": "s", "label": "SHARES"}]),
    );
    live.commit(
        &json!([{"op": "add_edge", "id": "c", "from": "minji", "to": "s", "label": "COMMENTS_ON"}]),
    );
    live.settled();
    let sent = live.sent();
    assert_eq!(sent, 2, "the comment is across the block");
    // What somebody wishes later does not matter to what was before.
    live.put(
        "ada",
        "/v1/preferences/ada",
        &json!({"opted_out_categories": ["reactions"]}),
    );
    let head = || live.json(&["journal", "verify"])["head"].clone();
    let before = head();

    let what_if = |text: &str, more: &[&str]| {
        let file = live.folder.path().join("new.toml");
        fs::write(file, text).expect("written");
        let arguments = [&["what-if", "--templates", "new.toml"], more].concat();
        live.json(&arguments)
    };
    let same = what_if(BUILT_IN_TEMPLATES, &[]);
    let all = |told: &Value, kind: &str| -> u64 {
        let templates = told["templates"].as_object().expect("an object");
        templates
            .values()
            .filter_map(|counts| counts[kind].as_u64())
            .sum()
    };
    let totals =
        |told: &Value| ["gained", "lost", "changed", "unchanged"].map(|kind| all(told, kind));
    assert_eq!(
        totals(&same),
        [0, 0, 0, sent],
        "what was sent is what is sent again: {same}"
    );

    let other = BUILT_IN_TEMPLATES
        .replace(
            "{ $actor } likes “{ $title }”",
            "{ $actor } loves “{ $title }”",
        )
        .replace("labels = [\"COMMENTS_ON\"]", "labels = [\"KNOWS\"]")
        .replace("labels = [\"FOLLOWS\"]", "labels = [\"FOLLOWED_BY\"]");
    let told = what_if(&other, &[]);
    assert_eq!(totals(&told), [0, 1, 1, 0], "{told}");
    let samples = told["samples"].as_array().expect("samples");
    assert_eq!(samples[0]["difference"], "lost");
    assert_eq!(samples[0]["before"]["title"], "새 팔로워");
    assert_eq!(samples[0]["after"]["fate"], "unmatched");
    assert_eq!(samples[1]["before"]["body"], "민지 likes “Night train”");
    assert_eq!(samples[1]["after"]["body"], "민지 loves “Night train”");

    // A share is one more kind of like now, and comes across the block as little as the comment.
    let wider =
        BUILT_IN_TEMPLATES.replace("labels = [\"LIKES\"]", "labels = [\"LIKES\", \"SHARES\"]");
    let told = what_if(&wider, &[]);
    assert_eq!(totals(&told), [0, 0, 0, sent], "the block holds: {told}");
    let told = what_if(&other, &["--from", "2", "--to", "3:1"]);
    assert_eq!(
        (&told["from"], &told["to"], &told["commits"]),
        (&json!(2), &json!(3), &json!(1))
    );
    assert_eq!(totals(&told), [0, 1, 0, 0], "{told}");
    let text = live.done(&["what-if", "--templates", "new.toml"]);
    assert!(text.contains("UNCHANGED"), "{text}");

    assert_eq!(before, head(), "nothing is written");
    let nothing = live.iyagi(&["what-if", "--templates", "new.toml", "--from", "90"]);
    assert_eq!(nothing.status, 1, "{}", nothing.err);
    assert_eq!(live.stop(), Some(0));
}
