//! When a push service is down, and when the change log was not read for long.

use std::time::Duration;

use iyagi::config::Config;
use iyagi::embedded::push_log::{FaultClass, FaultRule, PushLog};
use iyagi_actors::platforms::breaker::BreakerState;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::fact::{DeviceRegistered, Fact, PlatformPaused, PlatformResumed};
use iyagi_messages::ids::Pos;
use iyagi_messages::push::{PauseReason, SuppressReason};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, play_changed, play_changed_in};

pub(crate) fn push_log(world: &World) -> &PushLog {
    let here = world.daemon.surface.one_machine.as_ref();
    &here.expect("everything is on one machine").push_log
}

pub(crate) fn fails(world: &World, device: &str, class: FaultClass) {
    fails_times(world, device, class, None);
}

fn fails_times(world: &World, device: &str, class: FaultClass, times: Option<u32>) {
    push_log(world).add_fault(FaultRule {
        device: Some(device.into()),
        class,
        times,
        retry_after_seconds: None,
    });
}

fn state(world: &World, platform: Platform) -> BreakerState {
    let now = world.daemon.surface.clock.now();
    world.daemon.surface.tree.platforms.state(platform, now)
}

async fn iphone(world: &World, person: &str) {
    let device = Device {
        token: format!("{person}-iphone").as_str().into(),
        person: person.into(),
        platform: Platform::Apns,
        locale: "en".to_owned(),
    };
    let registered = DeviceRegistered { device };
    world
        .append("device", &format!("{person}-iphone"), registered.into())
        .await;
}

pub(crate) async fn facts(world: &World) -> Vec<Fact> {
    let events = world.daemon.surface.journal.read(Pos::default(), 10_000);
    let events = events.await.expect("readable").into_iter();
    events.map(|event| event.fact).collect()
}

fn quick_breaker(config: &mut Config) {
    config.push.breaker.failures = 2;
    config.push.breaker.wait_ms_min = 10;
    config.push.breaker.wait_ms_max = 40;
}

#[test]
fn a_push_service_that_is_down_holds_up_no_other_one_and_costs_its_pushes_nothing() {
    let report = play_changed(quick_breaker, async |world| {
        for name in ["minji", "daniel", "grace"] {
            world.person(name, name, "en").await;
        }
        iphone(&world, "grace").await;
        for device in ["minji", "daniel", "grace"] {
            fails(&world, device, FaultClass::Transient);
        }
        world.follow("daniel", "minji").await;
        world.follow("grace", "minji").await;
        world
            .until("the breaker opens", || {
                state(&world, Platform::Fcm) != BreakerState::Closed
            })
            .await;
        // Far more probes fail than attempts would be allowed.
        for who in ["minji", "daniel"] {
            world.follow(who, "grace").await;
            world.follow(who, "daniel").await;
        }
        world
            .until("iPhones hear of it all the same", || {
                world.shown("grace-iphone").len() == 2
            })
            .await;
        assert_eq!(state(&world, Platform::Apns), BreakerState::Closed);
        assert_eq!(world.counts().dead, 0);
        push_log(&world).clear_faults();
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 2);
        assert_eq!(world.shown("grace").len(), 2);
        let facts = facts(&world).await;
        let of_kind = |kind: &str| facts.iter().filter(|fact| fact.kind() == kind).count();
        assert_eq!(
            (of_kind("breaker.opened"), of_kind("breaker.closed")),
            (1, 1)
        );
        let counted = facts.iter().filter(|fact| match fact {
            Fact::PushFailed(failed) => failed.counted,
            _ => false,
        });
        assert!(
            counted.count() <= 2,
            "what follows the opening is not counted"
        );
        world
    });
    assert_eq!(report.counts.dead, 0);
}

#[test]
fn a_push_that_finds_its_service_back_and_must_wait_is_sent_before_those_behind_it() {
    let report = play_changed(quick_breaker, async |world| {
        world.person("minji", "민지", "ko").await;
        for name in ["daniel", "grace", "oliver"] {
            world.person(name, name, "en").await;
        }
        fails_times(&world, "minji", FaultClass::ApplicationBroken, Some(1));
        fails_times(&world, "minji", FaultClass::Throttled, Some(1));
        for name in ["daniel", "grace", "oliver"] {
            world.follow(name, "minji").await;
        }
        world.settle().await;
        let shown = world.shown("minji");
        for (text, name) in shown.iter().zip(["daniel", "grace", "oliver"]) {
            assert!(text.contains(name), "in their order: {shown:?}");
        }
        world
    });
    assert_eq!((report.counts.sent, report.counts.pending), (3, 0));
}

fn is_to_be_left_alone(world: &World, device: &str, seconds: u32, times: Option<u32>) {
    push_log(world).add_fault(FaultRule {
        device: Some(device.into()),
        class: FaultClass::Transient,
        times,
        retry_after_seconds: Some(seconds.into()),
    });
}

#[test]
fn phones_that_are_to_be_left_alone_hold_up_nobody_else() {
    const PHONES: usize = 12;
    let few = |config: &mut Config| {
        config.push.max_in_flight = 2;
        config.push.backlog = 4;
        config.push.breaker.failures = 1_000;
    };
    play_changed(few, async |world| {
        world.person("daniel", "Daniel", "en").await;
        world.person("grace", "Grace", "en").await;
        for nth in 0..PHONES {
            let person = format!("p{nth}");
            world.person(&person, &person, "en").await;
            is_to_be_left_alone(&world, &person, 3_600, None);
            world.follow("daniel", &person).await;
            world.follow("grace", &person).await;
        }
        world.follow("daniel", "grace").await;
        world
            .until("the others hear of it all the same", || {
                world.shown("grace").len() == 1
            })
            .await;
        world
            .until("all others wait, outside the pool", || {
                let waiting = world.daemon.surface.tree.lines.len();
                (waiting, world.counts().pending) == (2 * PHONES, 2 * PHONES as u64)
            })
            .await;
        world
    });
}

#[test]
fn what_is_behind_a_push_that_waits_is_sent_after_it() {
    let lasting = |config: &mut Config| config.push.breaker.failures = 1_000;
    let report = play_changed(lasting, async |world| {
        world.person("minji", "민지", "ko").await;
        let followers = ["daniel", "grace", "oliver", "ada"];
        for name in followers {
            world.person(name, name, "en").await;
        }
        is_to_be_left_alone(&world, "minji", 2, Some(2));
        for name in followers {
            world.follow(name, "minji").await;
        }
        world.settle().await;
        let shown = world.shown("minji");
        assert_eq!(shown.len(), followers.len());
        for (text, name) in shown.iter().zip(followers) {
            assert!(text.contains(name), "in their order: {shown:?}");
        }
        // A push is settled by the journal's commit; its sender leaves the line once it has heard of that.
        let lines = &world.daemon.surface.tree.lines;
        world.until("the line ends", || lines.is_empty()).await;
        world
    });
    assert_eq!((report.counts.sent, report.counts.pending), (4, 0));
}

#[test]
fn a_service_that_was_down_before_a_restart_is_tried_with_one_push_after_it() {
    let folder = TempDir::new().expect("a folder");
    play_changed_in(folder.path(), quick_breaker, async |world| {
        world.person("minji", "민지", "ko").await;
        for name in ["daniel", "grace", "oliver"] {
            world.person(name, name, "en").await;
        }
        fails(&world, "minji", FaultClass::ApplicationBroken);
        for name in ["daniel", "grace", "oliver"] {
            world.follow(name, "minji").await;
        }
        world
            .until("the breaker opens", || {
                state(&world, Platform::Fcm) != BreakerState::Closed && world.counts().pending == 3
            })
            .await;
        world
    });
    let report = play_changed_in(folder.path(), quick_breaker, async |world| {
        world.settle().await;
        let shown = world.shown("minji");
        for (text, name) in shown.iter().zip(["daniel", "grace", "oliver"]) {
            assert!(text.contains(name), "in their order: {shown:?}");
        }
        let facts = facts(&world).await;
        let of_kind = |kind: &str| facts.iter().filter(|fact| fact.kind() == kind).count();
        // It is not found out once more that it is down: one push asks, and all others follow.
        let breaker = (of_kind("breaker.opened"), of_kind("breaker.closed"));
        assert_eq!(breaker, (1, 1));
        world
    });
    assert_eq!((report.counts.sent, report.unknown_outcomes), (3, 0));
}

#[test]
fn a_service_that_a_person_pauses_sends_nothing_until_it_is_resumed() {
    play_changed(
        |_| {},
        async |world| {
            world.person("minji", "민지", "ko").await;
            world.person("daniel", "Daniel", "en").await;
            iphone(&world, "minji").await;
            let platform = Platform::Fcm;
            let by = "test".to_owned();
            let reason = PauseReason::Operator;
            let paused = PlatformPaused {
                platform,
                reason,
                by: by.clone(),
                because: None,
            };
            world.append("platform", "fcm", paused.into()).await;
            world.follow("daniel", "minji").await;
            world
                .until("the iPhone rings", || world.counts().sent == 1)
                .await;
            assert_eq!(world.shown("minji-iphone").len(), 1);
            assert_eq!((world.shown("minji").len(), world.counts().pending), (0, 1));
            let because = None;
            let resumed = PlatformResumed {
                platform,
                by,
                because,
            };
            world.append("platform", "fcm", resumed.into()).await;
            world.settle().await;
            assert_eq!(world.shown("minji").len(), 1);
            world
        },
    );
}

#[test]
fn a_drain_amid_a_backlog_lets_no_push_overtake_another() {
    const FOLLOWERS: usize = 300;
    let few = |config: &mut Config| config.push.max_in_flight = 3;
    let report = play_changed(few, async |world| {
        world.person("minji", "민지", "ko").await;
        let platform = Platform::Fcm;
        let by = "test".to_owned();
        let paused = PlatformPaused {
            platform,
            reason: PauseReason::Operator,
            by: by.clone(),
            because: None,
        };
        world.append("platform", "fcm", paused.into()).await;
        let add = |nth: usize| {
            let id = format!("p{nth}");
            [
                json!({"op": "add_vertex", "id": &id, "label": "Person"}),
                json!({"op": "add_edge", "from": &id, "to": "minji", "label": "FOLLOWS"}),
            ]
        };
        let operations: Vec<Value> = (0..FOLLOWERS).flat_map(add).collect();
        world.commit(operations.into()).await;
        world
            .until("all of them wait", || {
                world.counts().pending == FOLLOWERS as u64
            })
            .await;
        let because = None;
        let resumed = PlatformResumed {
            platform,
            by,
            because,
        };
        world.append("platform", "fcm", resumed.into()).await;
        world
            .until("they are on their way", || world.counts().sent > 0)
            .await;
        world
    });
    let counts = report.counts;
    assert!(counts.pending > 0, "the drain came too late: {counts:?}");
}

#[test]
fn after_an_outage_people_are_told_once_of_all_that_they_missed() {
    // Seconds, so that a slow machine is not taken for an outage.
    let late = |config: &mut Config| {
        config.push.catch_up.lag_seconds = 4;
        config.push.catch_up.digest_seconds = 8;
        config.push.catch_up.ramp_seconds = 0;
    };
    let report = play_changed(late, async |world| {
        for name in ["minji", "daniel", "grace", "oliver"] {
            world.person(name, name, "en").await;
        }
        world.settle().await;
        world
            .at_once(async {
                world.follow("daniel", "minji").await;
                world.follow("grace", "minji").await;
                world.follow("minji", "oliver").await;
                // The outage: the changes are older than is borne when they are read.
                tokio::time::sleep(Duration::from_millis(4_100)).await;
            })
            .await;
        world
            .until("all of it waits", || {
                world.daemon.surface.tree.projections.outbox().deferred() == 3
            })
            .await;
        assert_eq!(world.accepted(), []);
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 1, "{:?}", world.shown("minji"));
        assert_eq!(world.shown("oliver").len(), 1);
        let catch_up = || world.daemon.surface.tree.projections.catch_up();
        assert!(catch_up().begun_at.is_some());
        world.follow("oliver", "minji").await;
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 2, "in time again, and at once");
        assert!(catch_up().begun_at.is_none() && catch_up().ended_at.is_some());
        world
    });
    assert_eq!(report.counts.suppressed[&SuppressReason::Merged], 1);
}
