//! Commands on a live daemon: the real binary speaks to the real binary.

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::daemon::{Live, PATIENCE};

#[test]
fn a_backfill_is_begun_and_watched_from_the_command_line() {
    let live = Live::start();
    let backfill = ["media", "backfill", "--preset", "small"];
    let counted = live.json(&[&backfill[..], &["--dry-run"]].concat());
    assert_eq!(
        (&counted["stage"], &counted["lacking"]),
        (&json!("completed"), &json!(0))
    );
    let done = live.done(&backfill);
    assert!(done.contains("0 of 0 uploads were offered"), "{done}");
    let unknown = live.iyagi(&["media", "backfill", "--preset", "smal"]);
    assert_eq!(unknown.status, 1);
    assert!(
        unknown.err.contains("did you mean `small`"),
        "{}",
        unknown.err
    );
    let never = live.iyagi(&["media", "backfill", "--preset", "large", "--pause"]);
    assert_eq!(never.status, 1, "{}", never.err);
}

#[test]
fn systemd_hears_that_the_daemon_is_up_that_it_lives_and_that_it_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let heard = || {
        let mut word = [0; 256];
        let length = socket.recv(&mut word).expect("the daemon says something");
        String::from_utf8_lossy(&word[..length]).trim().to_owned()
    };
    let mut live = Live::start_with(|command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "150000");
    });
    let first: HashSet<String> = [heard(), heard()].into();
    assert_eq!(
        first,
        ["READY=1", "WATCHDOG=1"].map(str::to_owned).into(),
        "in either order"
    );
    assert_eq!([heard(), heard()], ["WATCHDOG=1", "WATCHDOG=1"]);

    // A daemon that stands still says nothing; whatever it had said before is read first.
    live.signal("-STOP");
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("set");
    while socket.recv(&mut [0; 256]).is_ok() {}
    live.signal("-CONT");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    assert_eq!(heard(), "WATCHDOG=1");

    assert_eq!(live.stop(), Some(0));
    socket.set_nonblocking(true).expect("set");
    let mut rest = Vec::new();
    let mut word = [0; 256];
    while let Ok(length) = socket.recv(&mut word) {
        rest.push(String::from_utf8_lossy(&word[..length]).trim().to_owned());
    }
    assert!(rest.contains(&"STOPPING=1".to_owned()), "{rest:?}");
}

#[test]
fn a_second_signal_ends_a_drain_at_once_and_the_next_start_goes_on() {
    let mut live = Live::start();
    live.people();
    // The gateway keeps the push for as long as it may take, and so the drain.
    live.agent
        .post(format!("{}/v1/ops/gateway/faults", live.operations))
        .send_json(json!({"class": "timeout_after_accept", "times": 1}))
        .expect("told");
    live.follow("follows-1");
    Live::until("the attempt", || {
        let attempts = [
            "journal",
            "ls",
            "--kind",
            "push.attempted",
            "--output",
            "json",
        ];
        !live.done(&attempts).is_empty()
    });
    let began = Instant::now();
    live.signal("-TERM");
    live.log_until("told to stop");
    live.signal("-INT");
    let rest = live.rest_of_the_log();
    assert_eq!(live.daemon.wait().expect("it ends").code(), Some(3));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "it was not waited for"
    );
    let last = rest.lines().last().expect("a word");
    assert!(
        last.starts_with("error: told to stop a second time")
            && last.contains("1 pushes are not settled"),
        "{rest}"
    );
    let live = live.again();
    Live::until("the push", || live.sent() == 1);
}

#[test]
fn what_is_no_http_is_counted_and_said_once_and_is_no_error_of_ours() {
    let mut live = Live::start();
    let address = live.public.trim_start_matches("http://").to_owned();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(&address).expect("connects");
        stream
            .write_all(b"\x16\x03\x01 no HTTP\r\n\r\n")
            .expect("sent");
        // The answer's end is the end of the connection.
        stream.read_to_end(&mut Vec::new()).ok();
    }
    let line = live.log_until("no HTTP were refused");
    assert_eq!(line["level"], "INFO");
    let metrics = live
        .agent
        .get(format!("{}/metrics", live.operations))
        .call();
    let metrics = metrics
        .expect("told")
        .body_mut()
        .read_to_string()
        .expect("text");
    assert!(
        metrics.contains("\niyagi_http_unreadable_total 50\n"),
        "{metrics}"
    );
    live.signal("-TERM");
    let rest = live.rest_of_the_log();
    assert!(
        !rest.contains("ERROR") && !rest.contains("actix_http"),
        "{rest}"
    );
    assert!(!rest.contains("were refused"), "once a minute: {rest}");
}

#[test]
fn a_log_says_more_for_a_while_and_the_journal_knows_who_asked_for_it() {
    let mut live = Live::start();
    let refused = |live: &Live, token: &str| {
        let asked = live.agent.get(format!("{}/v1/inbox", live.public));
        let asked = asked.header("authorization", format!("Bearer {token}"));
        let refused = matches!(asked.call(), Err(ureq::Error::StatusCode(401)));
        assert!(refused, "{token}");
    };
    assert_eq!(live.done(&["log"]), "info, as configured\n");
    refused(&live, "silent");
    let filter = "info,iyagi::http=debug";
    let told = live.done(&["log", filter, "--minutes", "30", "--because", "who is it?"]);
    assert!(told.starts_with("info,iyagi::http=debug, until "), "{told}");
    assert!(told.ends_with("; then info again\n"), "{told}");
    refused(&live, "told");
    let mut refusals = 0;
    loop {
        let line = live.log_until("");
        match line["message"].as_str() {
            Some("a token is refused") => refusals += 1,
            Some("request") if line["path"] == "/v1/inbox" => break,
            _ => {}
        }
    }
    assert_eq!(refusals, 1, "the first one came before the order");
    let status = live.json(&["log", "--reset"]);
    let configured = json!({"filter": "info", "configured": "info", "until": null});
    assert_eq!(status, configured);
    refused(&live, "silent again");
    for (wrong, says) in [
        (&["log", "debgu"][..], "did you mean \"debug\"?"),
        (&["log", "iyagi=loud"], "levels are off, error"),
        (&["log", "debug", "--minutes", "0"], "1..=1440"),
        (&["log", "--reset", "debug"], "cannot be used with"),
        (&["log", "--because", "who is it?"], "required"),
    ] {
        let answer = live.iyagi(wrong);
        assert_ne!(answer.status, 0);
        assert!(answer.err.contains(says), "{wrong:?}: {}", answer.err);
    }
    let orders = live.done(&["journal", "ls", "--kind", "log.changed"]);
    for told in [
        "a host was told to log by `info,iyagi::http=debug` until ",
        "who is it?",
        "a host was told to log by `info` again, as configured, by ",
    ] {
        assert!(orders.contains(told), "{orders}");
    }
    live.signal("-TERM");
    let rest = live.rest_of_the_log();
    assert!(rest.contains("the log is as configured again"), "{rest}");
    assert!(!rest.contains("a token is refused"), "{rest}");
}

#[test]
fn actors_are_watched_and_told_what_to_do() {
    let mut live = Live::start();
    let status = live.done(&["status"]);
    for word in ["ready", "pushes", "0 matched = 0 sent", "queue", "actors"] {
        assert!(status.contains(word), "{word} is not in\n{status}");
    }
    let top = live.done(&["top", "--once"]);
    for actor in ["push-sender", "matcher", "dlq-keeper"] {
        assert!(top.contains(actor), "{actor} is not in\n{top}");
    }
    let scaled = live.done(&["scale", "push-sender", "3"]);
    assert!(scaled.contains("3 workers"), "{scaled}");
    Live::until("the pause", || {
        live.done(&["pause", "stream-poller"]).contains("paused")
    });
    Live::until("the end of it", || {
        !live.done(&["resume", "stream-poller"]).contains("paused")
    });
    live.done(&["restart", "stream-poller"]);
    let unknown = live.iyagi(&["pause", "stream-poler"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.err.contains("stream-poller"), "{}", unknown.err);
    let not_a_pool = live.iyagi(&["scale", "stream-poller", "3"]);
    assert_eq!(not_a_pool.status, 1, "{}", not_a_pool.err);
    let kinds = live.done(&[
        "journal",
        "ls",
        "--kind",
        "actor.paused",
        "--kind",
        "pool.resized",
    ]);
    assert!(kinds.contains("push-sender was given 3 workers"), "{kinds}");
    assert_eq!(live.stop(), Some(0));
}

#[test]
fn a_daemon_that_asks_for_a_token_obeys_an_admins_and_says_where_one_is_missing() {
    let secrets = tempfile::tempdir().expect("a folder");
    let token_file = |name: &str, token: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, token).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let admin = token_file("admin", &"a".repeat(32));
    let read_only = token_file("read-only", &"b".repeat(32));
    let operators = format!(
        r#"[{{name = "oncall", role = "admin", token_file = "{admin}"}}, {{name = "wall", role = "read_only", token_file = "{read_only}"}}]"#
    );
    let mut live = Live::start_with(|command| {
        command.env("IYAGI_OPERATIONS_OPERATORS", operators);
    });
    let without = live.iyagi(&["status"]);
    assert_eq!(without.status, 1);
    assert!(without.err.contains("--token-file"), "{}", without.err);
    let looks = live.iyagi(&["status", "--token-file", &read_only]);
    assert_eq!(looks.status, 0, "{}", looks.err);
    let pause = ["pause", "stream-poller", "--because", "repairs"];
    let refused = live.iyagi(&[&pause[..], &["--token-file", &read_only]].concat());
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("\"admin\""), "{}", refused.err);
    let paused = live.iyagi(&[&pause[..], &["--token-file", &admin]].concat());
    assert_eq!(paused.status, 0, "{}", paused.err);
    let told = live.done(&["journal", "ls", "--kind", "actor.paused"]);
    assert!(told.contains("was paused by oncall"), "{told}");
    assert!(told.contains("repairs"), "{told}");
    let missing = live.iyagi(&["status", "--token-file", "nowhere"]);
    assert_eq!(missing.status, 78);
    assert!(missing.err.contains("nowhere"), "{}", missing.err);
    assert_eq!(live.stop(), Some(0));
}

#[test]
fn a_live_daemon_compacts_its_journal_when_it_is_asked_to() {
    let mut live = Live::start();
    live.people();
    live.follow("e1");
    Live::until("the push", || live.sent() == 1);
    let compact = ["journal", "compact", "--older-than", "0s"];
    let would = live.json(&[&compact[..], &["--dry-run"]].concat());
    let matched = &would["kinds"]["commit.matched"];
    assert_eq!(matched["go"], 1, "{would}");
    let did = live.json(&[&compact[..], &["--because", "the disk is small"]].concat());
    assert!(
        did["taken_out"].as_u64() >= would["taken_out"].as_u64(),
        "{did}"
    );
    assert!(did["exports"][0]["file"].is_string(), "{did}");
    let told = live.done(&["journal", "ls", "--kind", "compaction.requested"]);
    assert!(told.contains("the disk is small"), "{told}");
    let told = live.done(&["journal", "ls", "--kind", "journal.compacted"]);
    assert!(told.contains("were taken out of the journal"), "{told}");
    live.done(&["journal", "verify"]);
    live.follow("e2");
    Live::until("the next push", || live.sent() == 2);
    assert_eq!(live.stop(), Some(0));
    live.done(&["audit"]);
}

#[test]
fn a_second_daemon_on_the_same_folder_ends_with_75_and_names_the_first() {
    let mut live = Live::start();
    let second = live.iyagi(&[
        "run",
        "--public-addr",
        "127.0.0.1:0",
        "--operations-addr",
        "127.0.0.1:0",
    ]);
    assert_eq!(second.status, 75, "{}", second.err);
    let first = format!("process {}", live.daemon.id());
    assert!(second.err.contains(&first), "{}", second.err);
    assert!(Path::new(live.folder.path()).join("data").is_dir());
    assert_eq!(live.stop(), Some(0));
}
