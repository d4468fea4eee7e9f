//! A subscription does not tell of what its owner may not see.

use iyagi_messages::push::SuppressReason;
use serde_json::{Value, json};

use super::world::{World, play};

fn set(id: &str, key: &str, value: &str) -> Value {
    json!([{"op": "set_property", "id": id, "key": key, "value": value}])
}

/// `daniel` follows `minji`, `grace` does not; both want to hear of her story, and so does she.
async fn a_story(world: World) -> World {
    for person in ["minji", "daniel", "grace"] {
        world.person(person, person, "en").await;
    }
    world.follow("daniel", "minji").await;
    world.story("minji", "story", "Story").await;
    world.settle().await;
    for person in ["minji", "daniel", "grace"] {
        world.subscribe(person, "story").await;
    }
    world
}

fn heard(world: &World) -> [usize; 3] {
    ["minji", "daniel", "grace"].map(|person| world.shown(person).len())
}

#[test]
fn phones_are_silent_about_what_has_become_private_until_it_is_public_again() {
    let report = play(async |world: World| {
        let world = a_story(world).await;
        let [minji, daniel, grace] = heard(&world);
        world.commit(set("story", "title", "For followers")).await;
        world.settle().await;
        assert_eq!(heard(&world), [minji + 1, daniel + 1, grace]);
        world.commit(set("story", "visibility", "private")).await;
        world.commit(set("story", "title", "For nobody")).await;
        world.edge("daniel", "LIKES", "story").await;
        world.settle().await;
        // The change itself, the title and the like.
        assert_eq!(heard(&world), [minji + 4, daniel + 1, grace]);
        world.commit(set("story", "visibility", "public")).await;
        world.settle().await;
        assert_eq!(heard(&world), [minji + 5, daniel + 2, grace + 1]);
        world
    });
    let suppressed = &report.counts.suppressed;
    // Grace in three commits, Daniel in two.
    assert_eq!(suppressed[&SuppressReason::NotVisible], 5);
}
