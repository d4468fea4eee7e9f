//! From a change in the graph to a phone.

use iyagi::embedded::push_log::{FaultClass, FaultRule};
use iyagi_actors::dlq_keeper::{DlqMessage, Order, Reply};
use iyagi_messages::fact::{SubscriptionCreated, TemplateOptedOut};
use iyagi_messages::push::SuppressReason;
use iyagi_messages::subscription::Subscription;
use serde_json::json;
use tempfile::TempDir;

use crate::world::{play, play_in};

fn fault(device: &str, class: FaultClass, times: Option<u32>) -> FaultRule {
    FaultRule {
        device: Some(device.into()),
        class,
        times,
        retry_after_seconds: None,
    }
}

#[test]
fn people_hear_what_is_about_them_in_their_language() {
    let report = play(async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world.follow("daniel", "minji").await;
        world.story("minji", "story-1", "첫 이야기").await;
        world.edge("daniel", "COMMENTS_ON", "story-1").await;
        world.edge("daniel", "LIKES", "story-1").await;
        world.settle().await;
        assert_eq!(
            world.shown("minji"),
            [
                "새 팔로워: Daniel 님이 회원님을 팔로우합니다",
                "새 댓글: Daniel 님이 “첫 이야기”에 댓글을 남겼습니다",
                "좋아요: Daniel 님이 좋아합니다: “첫 이야기”",
            ]
        );
        assert_eq!(
            world.shown("daniel"),
            ["New story: 민지 posted “첫 이야기”"]
        );
        world
    });
    assert_eq!((report.counts.matched, report.counts.sent), (4, 4));
}

#[test]
fn nobody_is_told_of_their_own_act_nor_after_opting_out_nor_without_a_phone() {
    let report = play(async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world
            .commit(json!([{"op": "add_vertex", "id": "oliver", "label": "Person"}]))
            .await;
        world.story("minji", "story-1", "첫 이야기").await;
        let opted = TemplateOptedOut {
            person: "minji".into(),
            template: "like".into(),
        };
        world.append("person", "minji", opted.into()).await;
        world.edge("minji", "LIKES", "story-1").await;
        world.edge("minji", "COMMENTS_ON", "story-1").await;
        world.edge("daniel", "LIKES", "story-1").await;
        world.follow("daniel", "oliver").await;
        world.settle().await;
        assert_eq!(world.accepted(), []);
        world
    });
    let suppressed = report.counts.suppressed;
    assert_eq!(suppressed[&SuppressReason::Myself], 2);
    assert_eq!(suppressed[&SuppressReason::Unsubscribed], 1);
    assert_eq!(suppressed[&SuppressReason::NoDevice], 1);
}

#[test]
fn a_subscription_to_a_vertex_a_label_and_a_property_each_tells_once() {
    let report = play(async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world.story("minji", "story-1", "첫 이야기").await;
        world.settle().await;
        let anchors = [
            (
                "s-vertex",
                json!({"incident": {"vertex": "story-1"}}),
                json!({"change": ["created"]}),
            ),
            (
                "s-label",
                json!({"label": {"label": "SHARES"}}),
                json!({"change": ["created"]}),
            ),
            (
                "s-title",
                json!({"element": {"id": "story-1"}}),
                json!({"keys": ["title"]}),
            ),
        ];
        let public = json!([{"op": "set_property", "id": "story-1", "key": "visibility", "value": "public"}]);
        world.commit(public).await;
        for (id, anchor, when) in anchors {
            let subscription: Subscription = serde_json::from_value(json!({
                "id": id, "owner": "daniel", "anchor": anchor, "when": when
            }))
            .expect("a subscription");
            world
                .append(
                    "subscription",
                    id,
                    SubscriptionCreated { subscription }.into(),
                )
                .await;
        }
        world.edge("minji", "PINS", "story-1").await;
        // Matches the vertex and the label, and is told once.
        world.edge("minji", "SHARES", "story-1").await;
        world
            .commit(json!([{"op": "set_property", "id": "story-1", "key": "title", "value": "새 제목"}]))
            .await;
        world
            .commit(
                json!([{"op": "set_property", "id": "story-1", "key": "mood", "value": "calm"}]),
            )
            .await;
        world.settle().await;
        assert_eq!(
            world.shown("daniel").len(),
            3,
            "{:?}",
            world.shown("daniel")
        );
        // The title was looked up a moment before the rename; the push that tells of it must not show the old one.
        let renamed = &world.shown("daniel")[2];
        assert!(renamed.contains("새 제목"), "{renamed}");
        world
    });
    assert_eq!(report.counts.sent, 3);
}

#[test]
fn a_stumbling_gateway_is_tried_again_and_a_dead_phone_is_dropped() {
    let report = play(async |world| {
        world.person("minji", "민지", "ko").await;
        world.device("minji", "minji-tablet", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world.person("grace", "Grace", "en").await;
        let log = &world
            .daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .push_log;
        log.add_fault(fault("minji", FaultClass::Transient, Some(1)));
        log.add_fault(fault("minji", FaultClass::Throttled, Some(2)));
        log.add_fault(fault("minji-tablet", FaultClass::Dead, None));
        world.follow("daniel", "minji").await;
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 1);
        // The dead token is gone, so the next change does not even try it.
        world.follow("grace", "minji").await;
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 2);
        world
    });
    assert_eq!(report.counts.suppressed[&SuppressReason::EndpointDead], 1);
    assert_eq!(report.counts.matched, 3);
}

#[test]
fn pushes_to_one_phone_wait_for_the_one_before_them() {
    play(async |world| {
        world.person("minji", "민지", "ko").await;
        for name in ["a", "b", "c", "d"] {
            world.person(name, name, "en").await;
        }
        let log = &world
            .daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .push_log;
        log.add_fault(fault("minji", FaultClass::Throttled, Some(3)));
        for name in ["a", "b", "c", "d"] {
            world.follow(name, "minji").await;
        }
        world.settle().await;
        let actors: Vec<String> = world.shown("minji");
        let order: Vec<&str> = actors
            .iter()
            .filter_map(|text| text.strip_prefix("새 팔로워: ")?.get(..1))
            .collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        world
    });
}

#[test]
fn a_push_that_is_given_up_can_be_redriven_and_survives_a_restart_meanwhile() {
    let folder = TempDir::new().expect("a folder");
    let report = play_in(folder.path(), async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        world
            .daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .push_log
            .add_fault(fault("minji", FaultClass::Poison, Some(1)));
        world.follow("daniel", "minji").await;
        world.settle().await;
        let outbox = &world.daemon.surface.tree.projections;
        world
            .until("the letter is in the queue", || {
                outbox
                    .outbox()
                    .letters()
                    .any(|letter| letter.message_id.is_some())
            })
            .await;
        world
    });
    assert_eq!((report.counts.dead, report.letters_waiting), (1, 1));
    let report = play_in(folder.path(), async |world| {
        let surface = &world.daemon.surface;
        let letters: Vec<_> = surface
            .tree
            .projections
            .outbox()
            .letters()
            .map(|state| state.letter.id)
            .collect();
        let (reply, answer) = Reply::channel();
        let redrive = DlqMessage::Redrive {
            letters: letters.clone(),
            order: Order::default(),
            reply,
        };
        surface
            .tree
            .dlq
            .tell(redrive)
            .await
            .expect("the keeper runs");
        assert_eq!(answer.await.expect("an answer").done, letters);
        world.settle().await;
        assert_eq!(world.shown("minji").len(), 1);
        let queue = surface
            .queues
            .iter()
            .find(|queue| queue.name() == "dead-letters.fifo");
        let depth = queue
            .expect("the dead-letter queue")
            .depth()
            .await
            .expect("a depth");
        assert_eq!(
            (depth.visible, depth.in_flight),
            (0, 0),
            "the letter has left the queue"
        );
        world
    });
    assert_eq!(
        (
            report.counts.sent,
            report.counts.dead,
            report.counts.redriven
        ),
        (1, 0, 1)
    );
}

#[test]
fn a_drain_hands_back_at_once_what_only_waits_for_its_time() {
    let folder = TempDir::new().expect("a folder");
    let report = play_in(folder.path(), async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        let hour = FaultRule {
            retry_after_seconds: Some(3600),
            ..fault("minji", FaultClass::Throttled, Some(1))
        };
        world
            .daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .push_log
            .add_fault(hour);
        world.follow("daniel", "minji").await;
        world
            .until("the push waits for its time", || {
                let outbox = world.daemon.surface.tree.projections.outbox();
                outbox.in_turn().any(|push| push.progress.attempts == 1)
            })
            .await;
        world
    });
    assert_eq!((report.counts.pending, report.unknown_outcomes), (1, 0));
}
