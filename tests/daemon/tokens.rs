//! Tokens of phones: registered, replaced, taken over by somebody else, and dead, alone or in a wave.

use iyagi::config::Config;
use iyagi::embedded::push_log::FaultClass;
use iyagi_actors::projections::Services;
use iyagi_messages::device::Platform;
use iyagi_messages::fact::{DeviceRemoved, Fact, PlatformPaused, PlatformResumed};
use iyagi_messages::push::{PauseReason, SuppressReason};

use crate::sending::{facts, fails, push_log};
use crate::world::play_changed;

#[test]
fn a_wave_of_dead_tokens_stops_the_service_and_not_the_phones() {
    const PHONES: usize = 12;
    let few = |config: &mut Config| {
        config.push.max_in_flight = 1;
        config.push.dying_tokens.percent_max = 20;
        config.push.dying_tokens.attempts_min = 5;
    };
    let report = play_changed(few, async |world| {
        world.person("daniel", "Daniel", "en").await;
        let people: Vec<String> = (0..PHONES).map(|nth| format!("p{nth}")).collect();
        for person in &people {
            world.person(person, person, "en").await;
            fails(&world, person, FaultClass::Dead);
        }
        for person in &people {
            world.follow("daniel", person).await;
        }
        let paused = || {
            let services = world.daemon.surface.tree.projections.platforms();
            services.pause(Platform::Fcm).cloned()
        };
        world
            .until("the service is paused", || paused().is_some())
            .await;
        let pause = paused().expect("it is");
        assert_eq!(pause.reason, PauseReason::DyingTokens);
        assert_eq!(pause.by, "5 of 5 tokens dead in 5 minutes");
        world
            .until("the rest waits", || {
                world.counts().pending == PHONES as u64 - 4
            })
            .await;
        let devices = || {
            world
                .daemon
                .surface
                .tree
                .projections
                .audience()
                .device_count()
        };
        assert_eq!(
            devices(),
            PHONES + 1 - 4,
            "what tripped it, and all behind it, stay"
        );
        push_log(&world).clear_faults();
        let resumed = PlatformResumed {
            platform: Platform::Fcm,
            by: "test".to_owned(),
            because: None,
        };
        world.append("platform", "fcm", resumed.into()).await;
        world.settle().await;
        assert_eq!(devices(), PHONES + 1 - 4);
        let entity = Services::entity(Platform::Fcm);
        let events = world.daemon.surface.journal.entity(&entity).await;
        assert_eq!(
            events.expect("readable").len(),
            2,
            "paused once, resumed once"
        );
        world
    });
    assert_eq!(report.counts.sent, PHONES as u64 - 4);
    assert_eq!(report.counts.suppressed[&SuppressReason::EndpointDead], 4);
}

#[test]
fn a_token_from_its_registration_to_its_death() {
    let report = play_changed(
        |_| {},
        async |world| {
            for name in ["minji", "daniel", "grace", "oliver"] {
                world.person(name, name, "en").await;
            }
            let shown = |token: &str| world.shown(token).len();
            let held_up = async |held_up: bool| {
                let (platform, by) = (Platform::Fcm, format!("{:?}", world.counts()));
                let reason = PauseReason::Operator;
                let fact = if held_up {
                    PlatformPaused {
                        platform,
                        reason,
                        by,
                        because: None,
                    }
                    .into()
                } else {
                    PlatformResumed {
                        platform,
                        by,
                        because: None,
                    }
                    .into()
                };
                world.append("platform", "fcm", fact).await;
            };
            // The app gets another token, registers it and takes back the old one.
            world.device("minji", "minji-2", "en").await;
            let token = "minji".into();
            let reason = "signed_out".to_owned();
            world
                .append("device", "minji", DeviceRemoved { token, reason }.into())
                .await;
            world.follow("daniel", "minji").await;
            world.settle().await;
            assert_eq!((shown("minji"), shown("minji-2")), (0, 1));
            // Oliver signs in on the phone while something for Minji is on its way to it.
            held_up(true).await;
            world.follow("grace", "minji").await;
            world
                .until("it is on its way", || world.counts().pending == 1)
                .await;
            world.device("oliver", "minji-2", "en").await;
            held_up(false).await;
            world.follow("daniel", "oliver").await;
            world.settle().await;
            assert_eq!((shown("minji-2"), shown("oliver")), (2, 1));
            // The token dies with two more for it on their way: one tells, and none tries again.
            held_up(true).await;
            world.follow("grace", "oliver").await;
            world.follow("minji", "oliver").await;
            world
                .until("they are on their way", || world.counts().pending == 4)
                .await;
            fails(&world, "minji-2", FaultClass::Dead);
            held_up(false).await;
            world.settle().await;
            let facts = facts(&world).await;
            let removed = facts.iter().filter(|fact| match fact {
                Fact::DeviceRemoved(removed) => removed.reason == "endpoint_dead",
                _ => false,
            });
            assert_eq!(
                (removed.count(), shown("minji-2"), shown("oliver")),
                (1, 2, 3)
            );
            world
        },
    );
    let suppressed = report.counts.suppressed;
    assert_eq!(suppressed[&SuppressReason::EndpointDead], 1);
    // Minji's, once the phone was Oliver's, and the dead token's second one.
    assert_eq!(suppressed[&SuppressReason::DeviceGone], 2);
}
