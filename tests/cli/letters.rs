//! `iyagi dlq` on a live daemon: what was given up is listed, sent again and thrown away.

use serde_json::{Value, json};

use super::daemon::Live;

/// A daemon that gave up the pushes of three follows.
fn with_three_letters() -> Live {
    let live = Live::start();
    live.people();
    live.poison(3);
    for edge in ["f1", "f2", "f3"] {
        live.follow(edge);
    }
    Live::until("three letters", || live.letters() == 3);
    live
}

#[test]
fn letters_are_listed_shown_redriven_and_purged() {
    let mut live = with_three_letters();
    let groups = live.json(&["dlq", "ls", "--groups"]);
    assert_eq!(groups["groups"][0]["count"], 3, "{groups}");
    let listed = live.done(&["dlq", "ls", "--origin", "push"]);
    assert!(
        listed.contains("to minji") && listed.contains("poison"),
        "{listed}"
    );
    let none = live.done(&["dlq", "ls", "--reason", "other"]);
    let law = "0 sent + 3 dead + 0 suppressed + 0 pending = 3 matched";
    assert_eq!(none.lines().skip(1).collect::<Vec<_>>(), ["", law]);
    assert!(listed.ends_with(&format!("\n\n{law}\n")), "{listed}");
    let id = listed
        .lines()
        .nth(1)
        .and_then(|line| line.split(' ').next());
    let id = id.expect("a letter").to_owned();
    let shown = live.done(&["dlq", "show", &id]);
    assert!(shown.contains("push.failed"), "{shown}");

    let dry = live.done(&["dlq", "redrive", "--all", "--dry-run"]);
    assert!(dry.contains("would redrive 3 letters"), "{dry}");
    let unasked = live.iyagi(&["dlq", "redrive", "--all"]);
    assert_eq!(unasked.status, 2, "{}", unasked.out);
    assert!(unasked.err.contains("--yes"), "{}", unasked.err);
    assert_eq!(live.letters(), 3);

    live.done(&["dlq", "redrive", &id]);
    Live::until("the redriven push", || live.sent() == 1);
    let why = live.done(&["why", &id]);
    for kind in [
        "commit.matched",
        "push.failed",
        "letter.redriven",
        "push.accepted",
    ] {
        assert!(why.contains(kind), "{kind} is not in\n{why}");
    }
    let again = live.iyagi(&["dlq", "redrive", &id]);
    assert_eq!(again.status, 1, "{}", again.out);
    assert!(again.out.contains("1 skipped"), "{}", again.out);
    let purged = live.done(&["dlq", "purge", "--origin", "push", "--yes"]);
    assert!(purged.contains("purged 2 of 2 letters"), "{purged}");
    assert_eq!(live.letters(), 0);

    let tapped = live.done(&["tap", "push", "--tail", "1", "--limit", "1"]);
    assert!(
        tapped.contains("phone") && tapped.contains("Ada"),
        "{tapped}"
    );
    assert_eq!(
        live.done(&["audit"])
            .matches("every invariant holds")
            .count(),
        1
    );
    assert_eq!(live.stop(), Some(0));
    assert_eq!(
        live.done(&["audit"])
            .matches("every invariant holds")
            .count(),
        1
    );
    assert_eq!(live.iyagi(&["status"]).status, 75);
}

#[test]
fn letters_are_redriven_no_faster_than_asked_for_and_the_journal_knows_by_whom_and_why() {
    let mut live = with_three_letters();
    let told = [
        "dlq",
        "redrive",
        "--template",
        "follow",
        "--person",
        "minji",
        "--platform",
        "fcm",
        "--since",
        "1h",
        "--yes",
        "--per-second",
        "2",
        "--because",
        "the payload is mended",
        "--by",
        "민지",
    ];
    let done = live.done(&told);
    assert!(
        done.contains("redriven 3 of 3 letters; 0 skipped"),
        "{done}"
    );
    Live::until("the redriven pushes", || live.sent() == 3);
    let events = live.done(&[
        "journal",
        "ls",
        "--kind",
        "letter.redriven",
        "--output",
        "json",
    ]);
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for event in &events {
        let order = json!({"generation": 1, "by": "민지", "because": "the payload is mended"});
        assert_eq!(event["body"], order);
    }
    let at = |event: &Value| event["at"].as_i64().expect("a moment");
    let (first, last) = (at(&events[0]), at(&events[2]));
    assert!(
        last - first >= 900,
        "the third came {} ms after the first",
        last - first
    );
    let push = events[0]["entity"]
        .as_str()
        .expect("an entity")
        .replace("letter/", "");
    let why = live.done(&["why", &push]);
    assert!(
        why.contains("redriven by 민지: the payload is mended"),
        "{why}"
    );
    let scaled = live.iyagi(&["scale", "push-sender", "3"]);
    assert_eq!(scaled.status, 0, "{}", scaled.err);
    assert_eq!(live.stop(), Some(0));
}
