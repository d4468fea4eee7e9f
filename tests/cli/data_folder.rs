//! A data folder from which something was lost, or in which something is damaged: what the daemon says, and what helps.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use super::daemon::Live;
use super::iyagi;

const FILES: [(&str, &str); 5] = [
    ("journal.db", "iyagi backfill --from-graph"),
    ("graph.db", "commit the graph again"),
    ("queues.db", "set it aside"),
    ("metadata.db", "recorded anew"),
    ("files/objects.db", "uploaded again"),
];

/// Brings what SQLite keeps beside the databases into them, so that a file alone is all of it.
fn settle(data: &Path) {
    for (name, _) in FILES {
        let connection = Connection::open(data.join(name)).expect("opens");
        let settled = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        settled.expect("nobody has it open");
    }
}

/// Removes a database, with what SQLite keeps beside it.
fn remove(data: &Path, name: &str) {
    for end in ["", "-wal", "-shm"] {
        let removed = fs::remove_file(data.join(format!("{name}{end}")));
        assert!(removed.is_ok() || !end.is_empty(), "{name} was there");
    }
}

/// A folder in which `minji` was told that `ada` follows her.
fn told() -> Live {
    let mut live = Live::start();
    live.people();
    live.follow("f1");
    Live::until("the push", || live.sent() == 1);
    assert_eq!(live.stop(), Some(0));
    settle(&live.folder.path().join("data"));
    live
}

fn register(live: &Live) {
    let registered = live
        .agent
        .put(format!("{}/v1/devices/phone", live.public))
        .header("Authorization", live.bearer("minji"))
        .send_json(json!({"platform": "fcm", "locale": "ko"}));
    registered.expect("registered");
}

#[test]
fn a_lost_journal_is_not_taken_for_a_new_one_and_after_a_backfill_nobody_is_told_again() {
    let live = told();
    let data = live.folder.path().join("data");
    remove(&data, "journal.db");
    for _ in 0..2 {
        let reason = live.refuses_to_start();
        for named in [
            "journal.db",
            "graph.db",
            "iyagi backfill --from-graph",
            "iyagi journal accept",
        ] {
            assert!(reason.contains(named), "{named}: {reason}");
        }
        assert!(
            !data.join("journal.db").exists(),
            "nothing is in the way of a copy that is put back"
        );
    }
    live.done(&["backfill", "--from-graph"]);
    let mut live = live.again();
    register(&live);
    live.follow("f2");
    Live::until("the new one", || live.sent() == 1);
    let matched = live.json(&["status"])["pushes"]["matched"].clone();
    assert_eq!(matched, 1, "the one from before the loss is not told again");
    assert_eq!(live.stop(), Some(0));
}

#[test]
fn an_older_copy_of_the_journal_is_refused_too_until_it_is_accepted() {
    let live = told();
    let data = live.folder.path().join("data");
    let (journal, copy) = (data.join("journal.db"), live.folder.path().join("copy.db"));
    fs::copy(&journal, &copy).expect("copied");
    let mut live = live.again();
    live.follow("f2");
    Live::until("one more", || live.sent() == 2);
    assert_eq!(live.stop(), Some(0));
    settle(&data);
    let newest = fs::read(&journal).expect("read");
    remove(&data, "journal.db");
    fs::copy(&copy, &journal).expect("put back");
    let reason = live.refuses_to_start();
    assert!(reason.contains("older copy"), "{reason}");
    // The newest copy needs nobody's word.
    remove(&data, "journal.db");
    fs::write(&journal, newest).expect("put back");
    let mut live = live.again();
    assert_eq!(live.sent(), 2);
    assert_eq!(live.stop(), Some(0));
    remove(&data, "journal.db");
    fs::copy(&copy, &journal).expect("put back");
    let accepted = live.json(&["journal", "accept"]);
    assert!(
        accepted["head"].as_u64().is_some_and(|head| head > 0),
        "{accepted}"
    );
    let mut live = live.again();
    Live::until("what the copy does not know is told again", || {
        live.sent() == 2
    });
    assert_eq!(live.stop(), Some(0));
}

#[test]
fn nothing_is_accepted_in_a_folder_that_has_nothing_and_nothing_is_made_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = iyagi(folder.path(), &["journal", "accept", "--data-dir", "other"]);
    assert_ne!(answer.status, 0, "{}", answer.out);
    assert!(
        answer.err.contains("neither a journal nor a graph"),
        "{}",
        answer.err
    );
    assert!(!folder.path().join("other").exists());
}

#[test]
fn a_lost_graph_is_not_taken_for_an_empty_one() {
    let live = told();
    let data = live.folder.path().join("data");
    let whole = fs::read(data.join("graph.db")).expect("read");
    remove(&data, "graph.db");
    let reason = live.refuses_to_start();
    for named in ["graph.db", "journal.db", "was lost", "Put the newest copy"] {
        assert!(reason.contains(named), "{named}: {reason}");
    }
    let accepted = live.iyagi(&["journal", "accept"]);
    assert_eq!(accepted.status, 1, "it is not the journal that was lost");
    assert!(accepted.err.contains("was lost"), "{}", accepted.err);
    remove(&data, "graph.db");
    fs::write(data.join("graph.db"), whole).expect("put back");
    let mut live = live.again();
    assert_eq!(live.sent(), 1);
    assert_eq!(live.stop(), Some(0));
}

#[test]
fn damage_is_told_with_its_place_and_what_mends_it() {
    let live = told();
    let data = live.folder.path().join("data");
    for (name, cure) in FILES {
        let whole = fs::read(data.join(name)).expect("read");
        remove(&data, name);
        let noise = "no database, but long enough to be read as one".repeat(20);
        fs::write(data.join(name), noise).expect("written");
        let reason = live.refuses_to_start();
        for said in [
            name,
            "is damaged",
            "restore the file from a backup",
            "without the `-wal`",
            cure,
        ] {
            assert!(reason.contains(said), "{name} says not `{said}`: {reason}");
        }
        fs::write(data.join(name), whole).expect("written");
        settle(&data);
    }
    let search = data.join("search");
    for file in fs::read_dir(search.join("index-1")).expect("an index") {
        let path = file.expect("readable").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "term")
        {
            fs::write(path, "x").expect("written");
        }
    }
    let reason = live.refuses_to_start();
    for said in ["data/search", "Remove the folder"] {
        assert!(reason.contains(said), "{said}: {reason}");
    }
    fs::remove_dir_all(search).expect("removed");
    let mut live = live.again();
    assert_eq!(live.sent(), 1, "with every file back it is what it was");
    assert_eq!(live.stop(), Some(0));
}
