//! The push gateway that writes down what it is given.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iyagi::embedded::push_log::{
    FaultClass, FaultRule, PushLog, Rotation, accepted_per_push, read_accepted,
};
use iyagi_actors::ports::{GatewayFault, Payload, PushGateway};
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{PushId, Seq};
use iyagi_messages::push::FailureClass;
use tokio::time::Instant;

use crate::TokioClock;

fn open(folder: &Path) -> PushLog {
    open_rotating(folder, Rotation::default())
}

fn open_rotating(folder: &Path, rotation: Rotation) -> PushLog {
    let path = folder.join("push.ndjson");
    PushLog::open(&path, rotation, TokioClock::start()).expect("opens")
}

fn push(number: u64, device: &str) -> Payload {
    Payload {
        push_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        collapse_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        device: device.into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "새 팔로워".to_owned(),
        body: "민수 \"follows\" you\n".to_owned(),
        link: "iyagi://people/1".to_owned(),
        category: "social".to_owned(),
        device_texts: None,
        badge: None,
        presentation: iyagi_messages::template::Presentation::default(),
        ttl_seconds: 3600,
    }
}

fn rule(class: FaultClass) -> FaultRule {
    FaultRule {
        device: None,
        class,
        times: None,
        retry_after_seconds: None,
    }
}

async fn fault(gateway: &PushLog, payload: &Payload) -> GatewayFault {
    gateway
        .send(payload)
        .await
        .expect_err("it was told to fail")
}

#[tokio::test]
async fn what_was_accepted_is_readable_over_a_restart_and_a_cut_off_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("push.ndjson");
    let gateway = open(folder.path());
    let mut tap = gateway.subscribe();
    let first = gateway.send(&push(1, "phone")).await.expect("accepts");
    gateway.send(&push(1, "phone")).await.expect("accepts");
    assert_eq!(tap.recv().await.expect("told").gateway_id, first);
    assert_eq!(gateway.tail().len(), 2);
    // As a killed process leaves it: nothing flushed, the last line cut off.
    std::mem::forget(gateway);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("opens");
    file.write_all(b"{\"at\":17").expect("writes");
    assert_eq!(read_accepted(&path).expect("opens").count(), 2);

    let gateway = open(folder.path());
    gateway.send(&push(2, "phone")).await.expect("accepts");
    let accepted: Vec<_> = read_accepted(&path)
        .expect("opens")
        .collect::<Result<_, _>>()
        .expect("every line is whole");
    assert_eq!(accepted.len(), 3);
    assert_eq!(accepted[0].payload, push(1, "phone"));
    assert_eq!(accepted[0].gateway_id, first);
    let counts = accepted_per_push(&path).expect("reads");
    assert_eq!(counts[&push(1, "phone").push_id], 2);
    assert_eq!(counts[&push(2, "phone").push_id], 1);
}

#[tokio::test]
async fn a_rule_fails_its_device_as_often_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = open(folder.path());
    let throttled = FaultRule {
        device: Some("slow".into()),
        times: Some(2),
        retry_after_seconds: Some(3),
        ..rule(FaultClass::Throttled)
    };
    gateway.add_fault(throttled.clone());
    assert_eq!(gateway.faults(), vec![throttled]);
    gateway.send(&push(1, "other")).await.expect("accepts");
    for _ in 0..2 {
        let fault = fault(&gateway, &push(2, "slow")).await;
        assert_eq!(fault.class, FailureClass::Throttled);
        assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
    }
    assert_eq!(gateway.faults(), vec![]);
    gateway.send(&push(2, "slow")).await.expect("accepts");
    let counts = gateway.accepted_per_push().expect("reads");
    assert_eq!(
        counts[&push(2, "slow").push_id],
        1,
        "refused is not accepted"
    );
}

#[tokio::test]
async fn every_class_answers_as_sns_does_until_it_is_cleared() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = open(folder.path());
    for (class, expected, code) in [
        (
            FaultClass::Transient,
            FailureClass::Transient,
            "InternalError",
        ),
        (
            FaultClass::Poison,
            FailureClass::Poison,
            "ParameterValueInvalid",
        ),
        (
            FaultClass::ApplicationBroken,
            FailureClass::ApplicationBroken,
            "PlatformApplicationDisabled",
        ),
        (
            FaultClass::Dead,
            FailureClass::EndpointDead,
            "EndpointDisabled",
        ),
        (
            FaultClass::Dead,
            FailureClass::EndpointDead,
            "InvalidParameter",
        ),
    ] {
        gateway.add_fault(rule(class));
        let fault = fault(&gateway, &push(1, "phone")).await;
        assert_eq!((fault.class, fault.code.as_str()), (expected, code));
        gateway.clear_faults();
    }
    gateway.send(&push(1, "phone")).await.expect("accepts");
}

#[tokio::test]
async fn a_timeout_after_accept_is_unknown_to_the_caller_and_known_to_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = open(folder.path());
    gateway.add_fault(FaultRule {
        times: Some(1),
        ..rule(FaultClass::TimeoutAfterAccept)
    });
    let lost = fault(&gateway, &push(1, "phone")).await;
    assert_eq!(lost.class, FailureClass::Unknown);
    gateway.send(&push(1, "phone")).await.expect("accepts");
    let counts = gateway.accepted_per_push().expect("reads");
    assert_eq!(counts[&push(1, "phone").push_id], 2);
}

#[tokio::test(start_paused = true)]
async fn latency_delays_every_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = open(folder.path());
    gateway.set_latency(Duration::from_millis(250));
    let started = Instant::now();
    gateway.send(&push(1, "phone")).await.expect("accepts");
    assert_eq!(started.elapsed().as_millis(), 250);
}

#[tokio::test]
async fn the_tail_in_memory_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Arc::new(open(folder.path()));
    for number in 0..2000 {
        gateway.send(&push(number, "phone")).await.expect("accepts");
    }
    let tail = gateway.tail();
    assert_eq!(tail.len(), 1024);
    assert_eq!(tail[1023].payload, push(1999, "phone"));
}

/// The pushes that can still be read, in order.
fn kept(folder: &Path) -> Vec<PushId> {
    let accepted = read_accepted(&folder.join("push.ndjson")).expect("opens");
    accepted
        .map(|one| one.expect("every line is whole").payload.push_id)
        .collect()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Room for two pushes in a file.
async fn two_a_file() -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = open(folder.path());
    gateway.send(&push(1, "phone")).await.expect("accepts");
    let line = fs::metadata(folder.path().join("push.ndjson"))
        .expect("there")
        .len();
    // The time and the ids are as long in every line.
    line * 2 + 1
}

#[tokio::test]
async fn a_full_file_is_set_aside_and_the_oldest_of_them_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes_max = two_a_file().await;
    let three = Rotation {
        bytes_max,
        files_max: 3,
    };
    let gateway = open_rotating(folder.path(), three);
    let ids: Vec<_> = (1..=9)
        .map(|number| push(number, "phone").push_id)
        .collect();
    for number in 1..=5 {
        gateway.send(&push(number, "phone")).await.expect("accepts");
    }
    assert_eq!(kept(folder.path()), ids[..5], "nothing is missing or twice");
    for number in 6..=7 {
        gateway.send(&push(number, "phone")).await.expect("accepts");
    }
    let names = ["push.ndjson", "push.ndjson.1", "push.ndjson.2"];
    assert_eq!(files(folder.path()), names);
    assert_eq!(kept(folder.path()), ids[2..7], "the oldest two went");
    assert!(
        names.iter().all(|name| {
            let file = fs::metadata(folder.path().join(name)).expect("there");
            file.len() <= bytes_max
        }),
        "no file is larger than it may be"
    );
    drop(gateway);

    let one = Rotation {
        bytes_max,
        files_max: 1,
    };
    let gateway = open_rotating(folder.path(), one);
    assert_eq!(files(folder.path()), ["push.ndjson"]);
    for number in 8..=9 {
        gateway.send(&push(number, "phone")).await.expect("accepts");
    }
    assert_eq!(kept(folder.path()), ids[8..], "one file begins anew");
}

#[tokio::test]
async fn a_crash_amid_a_rotation_loses_nothing_wherever_it_comes() {
    let bytes_max = two_a_file().await;
    let rotation = Rotation {
        bytes_max,
        files_max: 4,
    };
    // The moves of one rotation, and after how many of them the process is gone.
    let moves = [(".2", ".3"), (".1", ".2"), ("", ".1")];
    for done in 0..=moves.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let gateway = open_rotating(folder.path(), rotation);
        for number in 1..=6 {
            gateway.send(&push(number, "phone")).await.expect("accepts");
        }
        drop(gateway);
        for (from, to) in &moves[..done] {
            let path = |end: &str| folder.path().join(format!("push.ndjson{end}"));
            fs::rename(path(from), path(to)).expect("moves");
        }
        let ids: Vec<_> = (1..=7)
            .map(|number| push(number, "phone").push_id)
            .collect();
        assert_eq!(kept(folder.path()), ids[..6], "after {done} moves");
        let gateway = open_rotating(folder.path(), rotation);
        gateway.send(&push(7, "phone")).await.expect("accepts");
        assert_eq!(kept(folder.path()), ids, "after {done} moves and a restart");
    }
}

#[tokio::test]
async fn files_that_are_not_of_the_log_are_neither_removed_nor_read_nor_in_its_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let foreign = ["01", "010", "+1", "20261130", "bak"].map(|end| format!("push.ndjson.{end}"));
    for name in &foreign {
        fs::write(folder.path().join(name), "somebody's own\n").expect("written");
    }
    let rotation = Rotation {
        bytes_max: two_a_file().await,
        files_max: 3,
    };
    let gateway = open_rotating(folder.path(), rotation);
    for number in 1..=7 {
        gateway.send(&push(number, "phone")).await.expect("accepts");
    }
    drop(gateway);
    open_rotating(folder.path(), rotation);
    let ids = (3..=7).map(|number| push(number, "phone").push_id);
    assert_eq!(kept(folder.path()), ids.collect::<Vec<_>>());
    for name in &foreign {
        let kept = fs::read_to_string(folder.path().join(name));
        assert_eq!(kept.expect("it is still there"), "somebody's own\n");
    }
}
