//! What keeps phones quiet: bursts that ring once, and people who do not want to hear of each other.

use iyagi::clock::SystemClock;
use iyagi::config::built_in_templates;
use iyagi_actors::ports::{Clock as _, TextKeys};
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::fact::PreferencesChanged;
use iyagi_messages::preferences::{Preferences, QuietHours, TimeOfDay};
use iyagi_messages::push::SuppressReason;
use iyagi_messages::template::{DeviceArgument, DeviceTexts, Template};
use serde_json::json;

use crate::world::{play, play_gathering};

/// The built-in templates, whose bursts last a second.
pub(crate) fn short_bursts() -> Templates {
    let templates = built_in_templates();
    let templates = templates.iter().cloned().map(|mut template| {
        template.burst_seconds = template.burst_seconds.min(1);
        template
    });
    Templates::new(templates.collect())
}

#[test]
fn a_burst_rings_at_once_and_once_more_with_how_many_they_are() {
    let report = play_gathering(short_bursts(), async |world| {
        world.person("minji", "민지", "ko").await;
        world.story("minji", "story-1", "첫 이야기").await;
        for (id, name) in [("daniel", "Daniel"), ("grace", "Grace"), ("ada", "Ada")] {
            world.person(id, name, "en").await;
        }
        world
            .at_once(async {
                for who in ["daniel", "grace", "ada"] {
                    world.edge(who, "LIKES", "story-1").await;
                }
            })
            .await;
        world.settle().await;
        assert_eq!(
            world.shown("minji"),
            [
                "좋아요: Daniel 님이 좋아합니다: “첫 이야기”",
                "좋아요: Ada 님 외 2명이 좋아합니다: “첫 이야기”",
            ]
        );
        let shown = world.accepted();
        assert_eq!(
            shown[0].payload.collapse_id, shown[1].payload.collapse_id,
            "the second one replaces the first"
        );
        world
    });
    assert_eq!((report.counts.matched, report.counts.sent), (3, 2));
    assert_eq!(report.counts.suppressed[&SuppressReason::Merged], 1);
}

#[test]
fn whoever_was_blocked_meanwhile_is_not_counted_among_the_others() {
    let report = play_gathering(short_bursts(), async |world| {
        world.person("minji", "민지", "ko").await;
        world.story("minji", "story-1", "첫 이야기").await;
        for (id, name) in [("daniel", "Daniel"), ("grace", "Grace"), ("ada", "Ada")] {
            world.person(id, name, "en").await;
        }
        world
            .at_once(async {
                for who in ["daniel", "grace", "ada"] {
                    world.edge(who, "LIKES", "story-1").await;
                }
                world.edge("minji", "BLOCKS", "grace").await;
            })
            .await;
        world.settle().await;
        assert_eq!(
            world.shown("minji").last().map(String::as_str),
            Some("좋아요: Ada 님 외 1명이 좋아합니다: “첫 이야기”")
        );
        world
    });
    assert_eq!(report.counts.suppressed[&SuppressReason::Blocked], 1);
}

#[test]
fn whoever_wants_no_digest_hears_of_each_by_itself() {
    let report = play_gathering(short_bursts(), async |world| {
        world.person("minji", "민지", "ko").await;
        let preferences = Preferences {
            digest: false,
            locale: Some("en".to_owned()),
            ..Preferences::default()
        };
        let person = "minji".into();
        let changed = PreferencesChanged {
            person,
            preferences,
        };
        world.append("preferences", "minji", changed.into()).await;
        world.story("minji", "story-1", "첫 이야기").await;
        for who in ["daniel", "grace"] {
            world.person(who, who, "en").await;
            world.edge(who, "LIKES", "story-1").await;
        }
        world.settle().await;
        let shown = ["daniel", "grace"].map(|who| format!("New like: {who} likes “첫 이야기”"));
        assert_eq!(
            world.shown("minji"),
            shown,
            "in her language, not her phone's"
        );
        world
    });
    assert_eq!(report.counts.sent, 2);
}

#[test]
fn a_like_that_is_taken_back_and_given_again_rings_once() {
    let report = play_gathering(short_bursts(), async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world.story("minji", "story-1", "첫 이야기").await;
        for time in 1..=3 {
            let id = format!("like-{time}");
            world
                .commit(json!([{"op": "add_edge", "id": id, "from": "daniel", "label": "LIKES", "to": "story-1"}]))
                .await;
            world.commit(json!([{"op": "drop_edge", "id": id}])).await;
        }
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 1);
        world
    });
    assert_eq!(report.counts.suppressed[&SuppressReason::Duplicate], 2);
}

#[test]
fn a_block_in_the_graph_silences_both_until_it_is_taken_back() {
    let report = play(async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world
            .commit(json!([{"op": "add_edge", "id": "block", "from": "minji", "label": "BLOCKS", "to": "daniel"}]))
            .await;
        world.settle().await;
        world.follow("daniel", "minji").await;
        world.follow("minji", "daniel").await;
        world.settle().await;
        assert_eq!(world.accepted(), []);
        world
            .commit(json!([{"op": "drop_edge", "id": "block"}]))
            .await;
        world.settle().await;
        world.story("daniel", "story-1", "A story").await;
        world.settle().await;
        assert_eq!(
            world.shown("minji"),
            ["새 이야기: Daniel 님의 새 이야기: “A story”"]
        );
        world
    });
    assert_eq!(report.counts.suppressed[&SuppressReason::Blocked], 2);
}

#[test]
fn in_quiet_hours_a_push_waits_and_a_stop_does_not_lose_it() {
    let report = play(async |world| {
        world.person("minji", "민지", "ko").await;
        // Whatever the clock says, it lies well within.
        let hour = (SystemClock.now().0 / 3_600_000 % 24) as u8;
        let at = |hour: u8| TimeOfDay::new(hour % 24, 0).expect("an hour");
        let preferences = Preferences {
            quiet_hours: Some(QuietHours {
                from: at(hour + 22),
                to: at(hour + 3),
            }),
            ..Preferences::default()
        };
        let person = "minji".into();
        let changed = PreferencesChanged {
            person,
            preferences,
        };
        world.append("preferences", "minji", changed.into()).await;
        world.person("daniel", "Daniel", "en").await;
        world.follow("daniel", "minji").await;
        world
            .until("it waits", || {
                let outbox = world.daemon.surface.tree.projections.outbox();
                outbox.deferred() == 1
            })
            .await;
        assert_eq!(world.accepted(), []);
        world
    });
    assert_eq!((report.counts.matched, report.counts.pending), (1, 1));
}

#[test]
fn an_app_that_has_the_texts_itself_is_told_no_name_and_the_inbox_is() {
    let mut templates: Vec<Template> = short_bursts().iter().cloned().collect();
    let likes = templates.iter_mut().find(|one| one.id.as_str() == "like");
    likes.expect("there is one").device_texts = Some(DeviceTexts {
        title_key: "like_title".to_owned(),
        title_args: Vec::new(),
        body_key: "{ $others ->\n[0] like\n*[other] likes\n}".to_owned(),
        body_args: vec![DeviceArgument::ActorId, DeviceArgument::Others],
    });
    let report = play_gathering(Templates::new(templates), async |world| {
        world.person("minji", "민지", "ko").await;
        world.story("minji", "story-1", "첫 이야기").await;
        for (id, name) in [("daniel", "Daniel"), ("grace", "Grace"), ("ada", "Ada")] {
            world.person(id, name, "en").await;
        }
        world
            .at_once(async {
                for who in ["daniel", "grace", "ada"] {
                    world.edge(who, "LIKES", "story-1").await;
                }
            })
            .await;
        world.settle().await;
        let keys = |key: &str, arguments: [&str; 2]| TextKeys {
            title_key: "like_title".to_owned(),
            title_args: Vec::new(),
            body_key: key.to_owned(),
            body_args: arguments.map(str::to_owned).to_vec(),
        };
        let sent: Vec<_> = world
            .accepted()
            .into_iter()
            .map(|one| {
                (
                    one.payload.title + &one.payload.body,
                    one.payload.device_texts,
                )
            })
            .collect();
        let expected = [
            (String::new(), Some(keys("like", ["daniel", "0"]))),
            (String::new(), Some(keys("likes", ["ada", "2"]))),
        ];
        assert_eq!(sent, expected);
        let inbox = &world.daemon.surface.tree.inbox;
        let page = inbox.page(&"minji".into(), None, false, 10).await;
        let bodies: Vec<_> = page
            .expect("readable")
            .entries
            .into_iter()
            .map(|entry| entry.body)
            .collect();
        let body = "Ada 님 외 2명이 좋아합니다: “첫 이야기”".to_owned();
        assert_eq!(bodies, [Some(body)], "one entry for the burst");
        world
    });
    assert_eq!(report.counts.sent, 2);
}
