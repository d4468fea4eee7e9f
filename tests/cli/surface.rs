//! Arguments, exit codes, and a daemon that is there or not.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::embedded::graph::EmbeddedGraph;
use serde_json::Value;

use super::{Call, iyagi};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_command_with_a_slip_of_the_finger_is_told_what_was_meant() {
    let folder = folder();
    let answer = iyagi(folder.path(), &["statsu"]);
    assert_eq!(answer.status, 2);
    assert!(answer.err.contains("'status'"), "{}", answer.err);
    let answer = iyagi(folder.path(), &["dlq", "redriv"]);
    assert_eq!(answer.status, 2);
    assert!(answer.err.contains("'redrive'"), "{}", answer.err);
}

#[test]
fn help_and_version_are_results() {
    let folder = folder();
    for arguments in [&["--help"][..], &["--version"], &["dlq", "--help"]] {
        let answer = iyagi(folder.path(), arguments);
        assert_eq!(answer.status, 0);
        assert!(answer.out.contains("iyagi"), "{}", answer.out);
        assert_eq!(answer.err, "");
    }
}

#[test]
fn there_are_completions_for_bash() {
    let folder = folder();
    let answer = iyagi(folder.path(), &["completions", "bash"]);
    assert_eq!(answer.status, 0);
    assert!(answer.out.contains("complete -F _iyagi"), "{}", answer.out);
    assert!(answer.out.contains("redrive"));
}

#[test]
fn a_token_is_for_somebody_and_made_only_where_this_machine_makes_them() {
    let folder = folder();
    let answer = iyagi(folder.path(), &["token", "--sub", "minji"]);
    assert_eq!(answer.status, 0, "{}", answer.err);
    assert_eq!(answer.out.trim().split('.').count(), 3, "{}", answer.out);
    assert!(folder.path().join("data/sign-in-key.pem").is_file());
    let answer = iyagi(folder.path(), &["token", "--sub", ""]);
    assert_eq!(answer.status, 2);
    let pool = "[auth]\nmode = \"cognito\"\ncognito = { user_pool_id = \"eu-west-1_Abc\", client_ids = [\"app\"] }\n";
    std::fs::write(folder.path().join("iyagi.toml"), pool).expect("written");
    let answer = iyagi(folder.path(), &["token", "--sub", "minji"]);
    assert_eq!(answer.status, 2);
    assert!(answer.err.contains("user pool"), "{}", answer.err);
}

#[test]
fn without_a_daemon_a_command_says_where_it_looked_and_ends_with_75() {
    let folder = folder();
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    let url = format!("http://{address}");
    for command in [
        &["status"][..],
        &["top", "--once"],
        &["tap", "push"],
        &["pause", "matcher"],
        &["scale", "push", "3"],
        &["dlq", "ls"],
        &["dlq", "redrive", "--all", "--yes"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--operations-url", &url]);
        let answer = iyagi(folder.path(), &arguments);
        assert_eq!(answer.status, 75, "{command:?}: {}", answer.err);
        assert!(answer.err.contains(&url), "{command:?}: {}", answer.err);
        assert!(
            answer.err.contains("iyagi run"),
            "{command:?}: {}",
            answer.err
        );
    }
    let answer = Call::new(folder.path(), &["status", "--output", "json"])
        .env("IYAGI_OPERATIONS_URL", &url)
        .answer();
    let told: Value = serde_json::from_str(&answer.err).expect("JSON");
    assert_eq!(
        (answer.status, &told["error"]["exit"]),
        (75, &Value::from(75))
    );
}

#[test]
fn the_address_of_the_daemon_comes_from_the_configuration() {
    let folder = folder();
    let answer = Call::new(folder.path(), &["status"])
        .env("IYAGI_HTTP_OPERATIONS", "127.0.0.1:1")
        .answer();
    assert_eq!(answer.status, 75);
    assert!(answer.err.contains("http://127.0.0.1:1"), "{}", answer.err);
    let answer = Call::new(folder.path(), &["status"])
        .env("IYAGI_HTTP_OPERATIONS", "127.0.0.1:0")
        .answer();
    assert_eq!(answer.status, 2);
    assert!(answer.err.contains("--operations-url"), "{}", answer.err);
}

#[test]
fn whole_groups_of_letters_must_be_meant() {
    let folder = folder();
    let url = ["--operations-url", "http://127.0.0.1:1"];
    let answer = iyagi(folder.path(), &["dlq", "purge", url[0], url[1]]);
    assert_eq!(answer.status, 2);
    assert!(answer.err.contains("--all"), "{}", answer.err);
    let answer = iyagi(
        folder.path(),
        &["dlq", "purge", "--all", "--origin", "push"],
    );
    assert_eq!(answer.status, 2);
    let id = "00000000-0000-0000-0000-000000000000";
    for wrong in [
        &["purge", id, "--person", "minji"][..],
        &["purge", id, "--all"],
        &["purge", "--all", "--per-second", "3"],
        &["redrive", "--all", "--per-second", "0"],
        &["ls", "--since", "yesterday"],
        &["show", "seven"],
    ] {
        let answer = iyagi(folder.path(), &[&["dlq"], wrong].concat());
        assert_eq!(answer.status, 2, "{wrong:?}: {}", answer.err);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = folder();
    let mut call = Call::new(folder.path(), &["schema"]);
    let mut child = call
        .command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert!(ended.status.success(), "{}", ended.status);
}

#[test]
fn a_data_folder_that_is_named_by_mistake_is_not_made() {
    let folder = folder();
    for command in [
        &["search", "rebuild"][..],
        &["backfill", "--from-graph"],
        &["journal", "verify"],
        &["journal", "compact"],
    ] {
        let answer = iyagi(
            folder.path(),
            &[command, &["--data-dir", "mistaken"]].concat(),
        );
        assert_eq!(answer.status, 1, "{command:?}: {}", answer.out);
        let said = "in the data folder mistaken";
        assert!(answer.err.contains(said), "{command:?}: {}", answer.err);
        assert!(!folder.path().join("mistaken").exists(), "{command:?}");
    }
}

#[test]
fn a_backfill_says_what_it_read_and_needs_a_source_and_the_folder_to_itself() {
    let folder = folder();
    for (arguments, reason) in [
        (&[][..], "<--from-export <DIR>|--from-graph>"),
        (&["--watermark", "3:1"], "--from-export <DIR>"),
        (
            &["--from-graph", "--from-export", "x"],
            "cannot be used with",
        ),
        (&["--from-graph", "--page-size", "0"], "1..=100000"),
        (&["--from-export", "x", "--watermark", "3"], "commit:op"),
    ] {
        let answer = iyagi(folder.path(), &[&["backfill"], arguments].concat());
        assert_eq!(answer.status, 2, "{}", answer.err);
        assert!(answer.err.contains(reason), "{}", answer.err);
    }
    let data = folder.path().join("data");
    let graph = data.join("graph.db");
    std::fs::create_dir(&data).expect("made");
    EmbeddedGraph::open(&graph, Arc::new(SystemClock)).expect("opens");
    let answer = iyagi(folder.path(), &["backfill", "--from-export", "nowhere"]);
    assert_eq!(answer.status, 1);
    assert!(
        answer.err.contains("nowhere cannot be read"),
        "{}",
        answer.err
    );
    let arguments = ["backfill", "--from-graph", "--dry-run", "--output", "json"];
    let answer = iyagi(folder.path(), &arguments);
    let result: Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!(
        (answer.status, &result["offered"]),
        (0, &Value::Bool(false))
    );
    let _lock = iyagi::daemon::DataLock::take(&data).expect("free");
    let data = data.to_string_lossy();
    let answer = iyagi(
        folder.path(),
        &["backfill", "--from-graph", "--data-dir", &data],
    );
    assert_eq!(answer.status, 75, "{}", answer.err);
    assert!(answer.err.contains("stop it"), "{}", answer.err);
}
