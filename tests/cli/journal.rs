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

use super::{Call, iyagi};

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
        of_deletion: false,
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

#[test]
fn what_is_over_is_taken_out_by_hand_and_can_be_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (push, root) = story(&folder.path().join("data"));
    let call = |arguments: &[&str]| iyagi(folder.path(), arguments);
    let compact = ["journal", "compact", "--older-than", "0s"];
    let told = call(&[&compact[..], &["--dry-run"]].concat());
    assert_eq!(told.status, 0, "{}", told.err);
    for line in [
        "commit.matched        1   0",
        "push.requested        0   1     not old enough with all that belongs to it: 1",
        "would be taken out: 1 event of before ",
    ] {
        assert!(told.out.contains(line), "{line}:\n{}", told.out);
    }
    assert!(call(&["journal", "verify"]).out.contains("9 events"));
    let taken_out = call(&[&compact[..], &["--output", "json"]].concat());
    let taken_out: Value = serde_json::from_str(&taken_out.out).expect("JSON");
    assert_eq!(taken_out["taken_out"], 1);
    let export = taken_out["exports"][0]["file"].as_str().expect("an export");
    let why = call(&["why", &push.to_string()]);
    let gone = format!("at position 1, is no longer in the journal: export {export} has it");
    assert!(why.out.contains(&gone), "{}", why.out);
    let trace = call(&["journal", "trace", "2"]).out;
    assert!(
        trace.contains(&format!("export {export} has it")),
        "{trace}"
    );
    let shown = call(&["journal", "show", "1"]);
    assert_eq!(shown.status, 1);
    let place = format!("line 1 of the export {export}");
    assert!(shown.err.contains(&place), "{}", shown.err);
    let unknown = call(&["why", &root.to_string()]);
    assert_eq!(unknown.status, 1);
    assert!(
        unknown.err.contains("1 event up to position 1"),
        "{}",
        unknown.err
    );
    let verified = call(&["journal", "verify"]);
    assert_eq!(verified.status, 0, "{}", verified.out);
    assert!(
        verified
            .out
            .contains("1 event taken out, 9 events in 1 export"),
        "{}",
        verified.out
    );
    let audited = call(&["audit"]);
    assert!(
        audited.out.contains("every invariant holds"),
        "{}",
        audited.out
    );
    let again = call(&compact);
    assert!(
        again.out.contains("taken out: 0 events of before"),
        "{}",
        again.out
    );
}

#[test]
fn a_changed_export_fails_verification_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    story(&folder.path().join("data"));
    let call = |arguments: &[&str]| iyagi(folder.path(), arguments);
    assert_eq!(
        call(&["journal", "compact", "--older-than", "0s"]).status,
        0
    );
    let exports = folder.path().join("data/journal-exports");
    let export = call(&["journal", "show", "1"]).err;
    let export = export
        .split_whitespace()
        .find(|word| word.contains("1-9.jsonl.zst"));
    let export = export.expect("it is named").trim_end_matches(':');
    let path = exports.join(export);
    let mut bytes = std::fs::read(&path).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let verified = call(&["journal", "verify"]);
    assert_eq!(verified.status, 1);
    assert!(
        verified.out.contains(&format!("DAMAGED export {export}")),
        "{}",
        verified.out
    );
    std::fs::remove_file(&path).expect("removed");
    let verified = call(&["journal", "verify"]);
    assert_eq!(verified.status, 1);
    assert!(
        verified.out.contains(&format!("DAMAGED export {export}")),
        "{}",
        verified.out
    );
}

#[test]
fn a_fleet_exports_to_a_bucket_or_keeps_everything_and_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    story(&folder.path().join("data"));
    let call = |arguments: &[&str], settings: &[(&str, &str)]| {
        let mut call = Call::new(folder.path(), arguments)
            .env("IYAGI_AWS_ENABLED", "true")
            .env("IYAGI_AWS_NEPTUNE_ENDPOINT", "http://127.0.0.1:1");
        for (name, value) in settings {
            call = call.env(&format!("IYAGI_JOURNAL_RETENTION_{name}"), value);
        }
        call.answer()
    };
    let cure = "s3://iyagi/journal/exports";
    for settings in [
        [("KEEP_DAYS", "30")].as_slice(),
        &[("EXPORTS", "")],
        &[("EXPORTS", "/var/exports")],
        &[("EXPORTS", "s3://iyagi/posts")],
    ] {
        let checked = call(&["check"], settings);
        assert_eq!(checked.status, 78, "{settings:?}: {}", checked.out);
        let said = format!("{}{}", checked.out, checked.err);
        assert!(said.contains("journal.retention.exports"), "{said}");
        assert!(said.contains(cure), "{said}");
    }
    let checked = call(&["check"], &[]);
    let said = format!("{}{}", checked.out, checked.err);
    assert!(said.contains("keeps everything for ever"), "{said}");
    assert!(said.contains(cure), "{said}");
    let checked = call(&["check"], &[("EXPORTS", cure)]);
    assert_eq!(checked.status, 0, "{}{}", checked.out, checked.err);
    let compacted = call(&["journal", "compact", "--older-than", "30d"], &[]);
    assert_eq!(compacted.status, 78, "{}", compacted.err);
    assert!(
        compacted.err.contains("the daemon that leads"),
        "{}",
        compacted.err
    );
}

#[test]
fn exports_without_a_place_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for exports in ["", "s3://archive/iyagi"] {
        let checked = Call::new(folder.path(), &["check"])
            .env("IYAGI_JOURNAL_RETENTION_EXPORTS", exports)
            .answer();
        assert_eq!(checked.status, 78, "{}", checked.out);
        let said = format!("{}{}", checked.out, checked.err);
        assert!(said.contains("name a folder"), "{said}");
    }
}
