//! Commands that read a journal's file.

use std::path::Path;
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Draft, Journal};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    CommitMatched, LetterDeadLettered, LetterRedriven, LetterRequested, PushAccepted,
    PushAttempted, PushFailed, PushRequested,
};
use iyagi_messages::ids::{EventId, LetterId, PushId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::{FailureClass, OnUnknownOutcome, Push};
use serde_json::Value;

use super::iyagi;

/// A push that is given up, redriven and accepted; yields it and the event that began it.
fn story(data: &Path) -> (PushId, EventId) {
    std::fs::create_dir_all(data).expect("made");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let clock = Arc::new(SystemClock);
        let journal = SqliteJournal::open(&data.join("journal.db"), clock).expect("opens");
        let push = push();
        let mut draft = Draft::new(&"matcher#1", "commit:17");
        let matched = CommitMatched {
            commit: Cursor::new(17, 3),
            at: Timestamp(1_700_000_000_000),
            records: 3,
            pushes: 1,
        };
        let root = draft.begin("17", Entity::new("commit", 17), matched);
        let entity = || Entity::new("push", push.id);
        let requested = draft.follow(root, entity(), PushRequested { push: push.clone() });
        let attempted = draft.follow(requested, entity(), PushAttempted { attempt: 1 });
        let failed = PushFailed {
            attempt: 1,
            class: FailureClass::Poison,
            code: "InvalidParameter".to_owned(),
            detail: "the payload is refused".to_owned(),
            retry_at: None,
            counted: true,
        };
        let failed = draft.follow(attempted, entity(), failed);
        let letter = || Entity::new("letter", push.id);
        let requested = draft.follow(failed, letter(), LetterRequested { letter: of(&push) });
        let deposited = LetterDeadLettered {
            generation: 1,
            message_id: "m1".to_owned(),
        };
        let deposited = draft.follow(requested, letter(), deposited);
        let redriven = LetterRedriven {
            generation: 1,
            by: "minji".to_owned(),
            because: Some("the payload is mended".to_owned()),
        };
        let redriven = draft.follow(deposited, letter(), redriven);
        let attempted = draft.follow(redriven, entity(), PushAttempted { attempt: 2 });
        let accepted = PushAccepted {
            attempt: 2,
            gateway_id: "g9".to_owned(),
        };
        draft.follow(attempted, entity(), accepted);
        journal.append(draft.finish()).await.expect("appended");
        (push.id, root)
    })
}

fn push() -> Push {
    let (element, template) = ("e1".into(), "follow".into());
    let (recipient, device) = ("minji".into(), "phone-1".into());
    Push {
        id: PushId::derive(17, &element, &template, &recipient, Some(&device)),
        recipient,
        device: Some(device),
        platform: Some(iyagi_messages::device::Platform::Fcm),
        locale: "ko".to_owned(),
        template,
        category: "people".to_owned(),
        commit: Cursor::new(17, 3),
        element,
        actor: Some("ada".into()),
        subject: Some("ada".into()),
        key: None,
        at: Timestamp(1_700_000_000_000),
        expires_at: Timestamp(1_700_007_200_000),
        on_unknown_outcome: OnUnknownOutcome::default(),
        burst: None,
        own_act_too: false,
    }
}

fn of(push: &Push) -> Letter {
    Letter {
        id: LetterId::of_push(push.id),
        generation: 1,
        origin: Origin::Push {
            push: push.id,
            recipient: push.recipient.clone(),
        },
        reason: "poison".to_owned(),
        detail: "the payload is refused".to_owned(),
        attempts: 1,
        at: Timestamp(1_700_000_001_000),
    }
}

#[test]
fn why_tells_a_push_from_its_commit_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (push, root) = story(&folder.path().join("data"));
    let told = iyagi(folder.path(), &["why", &push.to_string()]);
    assert_eq!(told.status, 0, "{}", told.err);
    let kinds = [
        "commit.matched",
        "push.requested",
        "push.attempted",
        "push.failed",
        "letter.requested",
        "letter.dead_lettered",
        "letter.redriven",
        "push.attempted",
        "push.accepted",
    ];
    let mut rest = told.out.as_str();
    for kind in kinds {
        let at = rest
            .find(kind)
            .unwrap_or_else(|| panic!("{kind} is missing:\n{}", told.out));
        rest = &rest[at + kind.len()..];
    }
    for word in [
        "commit:17",
        "ada",
        "minji",
        "poison",
        "g9",
        "redriven by minji",
    ] {
        assert!(told.out.contains(word), "{word}:\n{}", told.out);
    }
    let event = iyagi(
        folder.path(),
        &["why", &root.to_string(), "--output", "json"],
    );
    let told: Value = serde_json::from_str(&event.out).expect("JSON");
    assert_eq!(told["events"].as_array().map(Vec::len), Some(kinds.len()));
}

#[test]
fn why_of_something_unknown_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = iyagi(
        folder.path(),
        &["why", "00000000-0000-5000-8000-000000000000"],
    );
    assert_eq!(nothing.status, 1);
    assert!(nothing.err.contains("--data-dir"), "{}", nothing.err);
    story(&folder.path().join("data"));
    let unknown = iyagi(
        folder.path(),
        &["why", "00000000-0000-5000-8000-000000000000"],
    );
    assert_eq!(unknown.status, 1);
    assert!(unknown.err.contains("journal ls"), "{}", unknown.err);
    let no_id = iyagi(folder.path(), &["why", "minji"]);
    assert_eq!(no_id.status, 2);
}

#[test]
fn the_journal_is_listed_shown_traced_exported_and_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let (push, root) = story(&folder.path().join("data"));
    let call = |arguments: &[&str]| {
        let answer = iyagi(folder.path(), arguments);
        assert_eq!(answer.status, 0, "{arguments:?}: {}", answer.err);
        answer.out
    };
    assert_eq!(call(&["journal", "ls"]).lines().count(), 10);
    let positions = |arguments: &[&str]| {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--output", "json"]);
        let out = call(&arguments);
        let events = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events
            .map(|event| event["pos"].as_u64().expect("a position"))
            .collect::<Vec<_>>()
    };
    assert_eq!(positions(&["journal", "ls", "--limit", "2"]), [8, 9]);
    assert_eq!(
        positions(&["journal", "ls", "--after", "3", "--limit", "2"]),
        [4, 5]
    );
    assert_eq!(
        positions(&["journal", "ls", "--kind", "push.attempted"]),
        [3, 8]
    );
    assert_eq!(
        positions(&["journal", "ls", "--entity", "letter/"]),
        [5, 6, 7]
    );
    assert_eq!(
        positions(&[
            "journal",
            "ls",
            "--corr",
            "commit:17",
            "--kind",
            "commit.matched"
        ]),
        [1]
    );
    assert_eq!(
        positions(&["journal", "export"]),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
    );
    call(&["journal", "export", "--to", "out.ndjson"]);
    let exported = std::fs::read_to_string(folder.path().join("out.ndjson")).expect("written");
    assert_eq!(exported.lines().count(), 9);
    assert_eq!(
        iyagi(folder.path(), &["journal", "export", "--to", "out.ndjson"]).status,
        1
    );
    assert!(call(&["journal", "show", "4"]).contains("InvalidParameter"));
    assert!(call(&["journal", "show", &format!("push/{push}")]).contains("g9"));
    assert!(call(&["journal", "trace", &root.to_string()]).contains("push.accepted"));
    assert!(call(&["journal", "verify"]).contains("9 events"));
    let unknown = iyagi(folder.path(), &["journal", "show", "99"]);
    assert_eq!(unknown.status, 1);
    assert!(
        unknown.err.contains("last position is 9"),
        "{}",
        unknown.err
    );
    let kind = iyagi(folder.path(), &["journal", "ls", "--kind", "push.sent"]);
    assert_eq!(kind.status, 2);
}

#[test]
fn audit_counts_and_passes_on_a_sound_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    story(&folder.path().join("elsewhere"));
    let answer = iyagi(folder.path(), &["audit", "--data-dir", "elsewhere"]);
    assert_eq!(answer.status, 0, "{}{}", answer.out, answer.err);
    assert!(
        answer.out.contains("every invariant holds"),
        "{}",
        answer.out
    );
}

#[test]
fn a_damaged_journal_fails_verification_and_names_the_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    story(&data);
    let connection = rusqlite::Connection::open(data.join("journal.db")).expect("opens");
    let changed = connection.execute(
        "UPDATE event SET body = '{\"attempt\":9}' WHERE pos = 3",
        [],
    );
    assert_eq!(changed.expect("changed"), 1);
    drop(connection);
    let answer = iyagi(folder.path(), &["journal", "verify"]);
    assert_eq!(answer.status, 1, "{}", answer.err);
    assert!(answer.out.contains("position 3"), "{}", answer.out);
}
