//! A change that concerns many is told to all of them once, and holds up nobody else's notifications.

use std::collections::HashMap;
use std::path::Path;

use iyagi::embedded::journal::JournalReader;
use iyagi_actors::journal::Draft;
use iyagi_actors::runtime::ActorState;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{DeviceRegistered, Fact};
use iyagi_messages::ids::{PersonId, Pos};
use iyagi_messages::push::SuppressReason;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{World, play_in};

const FOLLOWERS: usize = 4_500;
const SENDER: &str = "push-sender";

/// `star` and everybody who follows them.
async fn star(world: &World) {
    let person = |id: &str| json!({"op": "add_vertex", "id": id, "label": "Person"});
    world
        .commit(json!([person("star"), person("daniel")]))
        .await;
    let followers = (0..FOLLOWERS).flat_map(|nth| {
        let id = format!("fan-{nth}");
        [
            person(&id),
            json!({"op": "add_edge", "from": id, "label": "FOLLOWS", "to": "star"}),
        ]
    });
    world.commit(followers.collect::<Value>()).await;
}

async fn phones(world: &World) {
    let mut draft = Draft::new(&"test", "test");
    for nth in 0..FOLLOWERS {
        let id = format!("fan-{nth}");
        let device = Device {
            token: (&*id).into(),
            person: (&*id).into(),
            platform: Platform::Fcm,
            locale: "en".to_owned(),
        };
        draft.begin(&id, Entity::new("device", &id), DeviceRegistered { device });
    }
    let journal = &world.daemon.surface.journal;
    journal.append(draft.finish()).await.expect("appended");
}

fn events(folder: &Path) -> Vec<Event> {
    let journal = JournalReader::open(&folder.join("journal.db")).expect("a journal");
    journal.read(Pos::default(), usize::MAX).expect("reads")
}

/// How often each fan was told of the story.
fn told(events: &[Event]) -> HashMap<PersonId, u32> {
    let mut told = HashMap::new();
    for event in events {
        if let Fact::PushRequested(requested) = &event.fact
            && requested.push.template.as_str() == "post"
        {
            *told.entry(requested.push.recipient.clone()).or_default() += 1;
        }
    }
    told
}

#[test]
fn what_concerns_many_is_told_to_each_once_while_others_are_told_in_between() {
    let folder = TempDir::new().expect("a folder");
    play_in(folder.path(), async |world: World| {
        star(&world).await;
        world.settle().await;
        world
            .at_once(async {
                world.story("star", "story", "Story").await;
                for nth in 0..3 {
                    let id = format!("fan-{nth}");
                    world.follow(&id, "daniel").await;
                }
            })
            .await;
        world.settle().await;
        world
    });
    let events = events(folder.path());
    let told = told(&events);
    assert_eq!(told.len(), FOLLOWERS);
    assert!(told.values().all(|times| *times == 1));
    let last_of = |template: &str| {
        events.iter().rposition(|event| match &event.fact {
            Fact::PushRequested(requested) => requested.push.template.as_str() == template,
            _ => false,
        })
    };
    assert!(
        last_of("follow") < last_of("post"),
        "who was followed later does not wait for all fans of the star"
    );
    let largest = events
        .chunk_by(|one, next| one.cause == next.cause)
        .map(<[_]>::len)
        .max();
    assert!(largest <= Some(2_100), "{largest:?} events in one go");
}

/// The star tells a story, of which many are still to be told: nothing is sent meanwhile.
async fn story_while_the_senders_pause(world: &World) {
    let actors = &world.daemon.surface.actors;
    actors.pause(SENDER).expect("it runs");
    world
        .until("the sender pauses", || {
            actors.actor(SENDER).expect("it runs").state == ActorState::Paused
        })
        .await;
    world.story("star", "story", "Story").await;
    world
        .until("the senders have enough to do", || {
            world.counts().pending >= 2_000
        })
        .await;
}

#[test]
fn a_daemon_that_stops_amid_many_goes_on_with_whom_it_has_not_told() {
    let folder = TempDir::new().expect("a folder");
    play_in(folder.path(), async |world: World| {
        star(&world).await;
        phones(&world).await;
        world.settle().await;
        story_while_the_senders_pause(&world).await;
        let left = world.daemon.surface.tree.projections.fan_outs().people();
        assert!(left > 0, "some wait for their turn");
        world
    });
    let before = told(&events(folder.path())).len();
    assert!(before < FOLLOWERS, "{before} were told before");
    play_in(folder.path(), async |world: World| {
        world.settle().await;
        world
    });
    let told = told(&events(folder.path()));
    assert_eq!(told.len(), FOLLOWERS);
    assert!(told.values().all(|times| *times == 1));
}

#[test]
fn what_becomes_private_amid_many_is_not_told_to_those_who_are_left() {
    let folder = TempDir::new().expect("a folder");
    let report = play_in(folder.path(), async |world: World| {
        star(&world).await;
        phones(&world).await;
        world.settle().await;
        story_while_the_senders_pause(&world).await;
        let private =
            json!({"op": "set_property", "id": "story", "key": "visibility", "value": "private"});
        world.commit(json!([private])).await;
        let actors = &world.daemon.surface.actors;
        actors.resume(SENDER).expect("it paused");
        world.settle().await;
        // What begins as private is told to none of them.
        world
            .commit(json!([
                {"op": "add_vertex", "id": "diary", "label": "Story", "properties": {"visibility": "private"}},
                {"op": "add_edge", "from": "star", "label": "POSTED", "to": "diary"},
            ]))
            .await;
        world.settle().await;
        world
    });
    let told = told(&events(folder.path()));
    assert_eq!(told.len(), FOLLOWERS);
    assert!(
        told.values().all(|times| *times == 2),
        "and each is accounted for"
    );
    let all = FOLLOWERS as u64;
    let hidden = report.counts.suppressed[&SuppressReason::NotVisible];
    assert!(
        hidden > all,
        "{hidden}: some of those who waited, and all for the diary"
    );
    assert_eq!(report.counts.sent + hidden, 2 * all);
}
