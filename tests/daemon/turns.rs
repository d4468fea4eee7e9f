//! Whose files are worked on when, and how presets come to pictures that are there already.

use std::time::Duration;

use iyagi::config::Config;
use iyagi_actors::ports::PutOptions;
use iyagi_media::{OutputFormat, Preset};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Pos;
use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, play_changed, play_changed_in};

const POOL: &str = "thumbnail-worker";

/// A picture like no other, small enough to be quick.
fn picture(number: u32) -> Vec<u8> {
    let mut pixels =
        image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8 * 15, y as u8 * 15, 100]));
    let [.., high, low] = number.to_be_bytes();
    pixels.put_pixel(0, 0, image::Rgb([high, low, 0]));
    let mut file = std::io::Cursor::new(Vec::new());
    pixels
        .write_to(&mut file, image::ImageFormat::Bmp)
        .expect("encodes");
    file.into_inner()
}

async fn upload(world: &World, key: &str, bytes: Vec<u8>) -> ObjectKey {
    let key = ObjectKey::new(key).expect("a key");
    let store = &world.daemon.surface.store;
    let put = store.put(&key, bytes, PutOptions::default()).await;
    put.expect("stored");
    key
}

/// The owners of pictures in the order in which those were done.
async fn done(world: &World) -> Vec<String> {
    let journal = &world.daemon.surface.journal;
    let events = journal.read(Pos(0), 100_000).await.expect("readable");
    let rendered = events.into_iter().filter_map(|event| match event.fact {
        Fact::ThumbnailRendered(rendered) => Some(rendered.key),
        _ => None,
    });
    let owner = |key: ObjectKey| key.as_str().split('/').nth(1).map(str::to_owned);
    rendered.filter_map(owner).collect()
}

async fn until_done(world: &World, count: usize) -> Vec<String> {
    loop {
        let done = done(world).await;
        if done.len() >= count {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn presets(names: &[(&str, u32)]) -> Vec<Preset> {
    let each = names.iter();
    each.map(|(name, side)| Preset::new(name, *side, &[OutputFormat::Jpeg]))
        .collect()
}

#[test]
fn one_who_uploads_five_hundred_pictures_does_not_hold_up_one_who_uploads_five() {
    const MANY: u32 = 500;
    const FEW: u32 = 5;
    let change = |config: &mut Config| config.media.presets = presets(&[("small", 8)]);
    play_changed(change, async |world| {
        let actors = &world.daemon.surface.actors;
        actors.pause(POOL).expect("it runs");
        for number in 0..MANY {
            let key = format!("profile/minji/{number}.bmp");
            upload(&world, &key, picture(number)).await;
        }
        for number in 0..FEW {
            let key = format!("profile/seoyeon/{number}.bmp");
            upload(&world, &key, picture(MANY + number)).await;
        }
        world
            .until("all of them are taken on", || {
                let pool = actors.actor(POOL).expect("it runs");
                pool.mailbox.len >= (MANY + FEW) as usize
            })
            .await;
        actors.resume(POOL).expect("it runs");
        let done = until_done(&world, (MANY + FEW) as usize).await;
        let last = done.iter().rposition(|owner| owner == "seoyeon");
        let last = last.expect("they are done");
        // In turns, and the workers are at two at once.
        assert!(
            last < 3 * FEW as usize,
            "the last of the few was number {last}"
        );
        world
    });
}

/// What the operations listener answers.
pub(crate) async fn ask(
    world: &World,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let url = format!("http://{}{path}", world.daemon.listeners.operations);
    let method = method.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.build().into();
        let answer = match (method.as_str(), body) {
            ("POST", body) => agent
                .post(&url)
                .send_json(body.unwrap_or_else(|| json!({}))),
            _ => agent.get(&url).call(),
        };
        let mut answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().expect("JSON"))
    });
    asked.await.expect("asked")
}

pub(crate) const BACKFILLS: &str = "/v1/ops/media/backfills";

pub(crate) async fn begin(world: &World, preset: &str, dry_run: bool) -> Value {
    let body = json!({ "preset": preset, "dry_run": dry_run });
    let (status, answer) = ask(world, "POST", BACKFILLS, Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

pub(crate) async fn at(world: &World, preset: &str, ready: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2_000 {
        let (_, answer) = ask(world, "GET", &format!("{BACKFILLS}/{preset}"), None).await;
        if ready(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the backfill never came to it")
}

async fn items(world: &World) -> Vec<MetadataItem> {
    let page = world.daemon.surface.table.list("", None, 1_000).await;
    page.expect("readable").items
}

fn has(item: &MetadataItem, preset: &str) -> bool {
    let made = item.thumbnails.iter().flat_map(|made| &made.variants);
    made.into_iter().any(|variant| variant.preset == preset)
}

#[test]
fn a_new_preset_comes_to_old_pictures_and_what_they_have_is_not_made_again() {
    const PICTURES: u32 = 50;
    let folder = TempDir::new().expect("a folder");
    let before = |config: &mut Config| config.media.presets = presets(&[("small", 8)]);
    play_changed_in(folder.path(), before, async |world| {
        for number in 0..PICTURES {
            upload(&world, &format!("posts/{number}/a.bmp"), picture(number)).await;
        }
        upload(&world, "posts/note.txt", b"no picture".to_vec()).await;
        until_done(&world, PICTURES as usize).await;
        world
    });
    let after = |config: &mut Config| {
        config.media.presets = presets(&[("small", 8), ("large", 12)]);
    };
    play_changed_in(folder.path(), after, async |world| {
        let (status, problem) =
            ask(&world, "POST", BACKFILLS, Some(json!({"preset": "lage"}))).await;
        assert_eq!((status, &problem["field"]), (404, &json!("preset")));
        let small = begin(&world, "small", true).await;
        assert_eq!(small["dry_run"], true);
        let counted = at(&world, "small", |one| one["stage"] == "completed").await;
        assert_eq!(
            (&counted["uploads"], &counted["lacking"]),
            (&json!(50), &json!(0))
        );
        begin(&world, "large", true).await;
        let counted = at(&world, "large", |one| one["stage"] == "completed").await;
        assert_eq!(
            (&counted["lacking"], &counted["offered"]),
            (&json!(50), &json!(0))
        );
        assert!(items(&world).await.iter().all(|item| !has(item, "large")));
        // Nothing is done while the workers rest, beyond what may wait for them; so it can be stopped in the middle.
        world.daemon.surface.actors.pause(POOL).expect("it runs");
        begin(&world, "large", false).await;
        at(&world, "large", |one| one["offered"].as_u64() > Some(0)).await;
        let (status, paused) = ask(&world, "POST", &format!("{BACKFILLS}/large/pause"), None).await;
        assert_eq!((status, &paused["stage"]), (200, &json!("paused")));
        assert!(paused["offered"].as_u64() < Some(50), "{paused}");
        world.daemon.surface.actors.resume(POOL).expect("it runs");
        world
    });
    // It goes on where it was, in the next life of the daemon.
    play_changed_in(folder.path(), after, async |world| {
        let paused = at(&world, "large", |_| true).await;
        assert_eq!(paused["stage"], "paused");
        let (status, _) = ask(&world, "POST", &format!("{BACKFILLS}/large/resume"), None).await;
        assert_eq!(status, 200);
        let complete = at(&world, "large", |one| one["stage"] == "completed").await;
        assert_eq!(complete["offered"], 50, "each once");
        for _ in 0..2_000 {
            let items = items(&world).await;
            let pictures: Vec<_> = items
                .iter()
                .filter(|item| item.thumbnails.is_some())
                .collect();
            if pictures.iter().all(|item| has(item, "large")) {
                assert_eq!(pictures.len(), 50);
                assert!(pictures.iter().all(|item| has(item, "small")));
                return world;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not every picture has the new preset")
    });
}

#[test]
fn the_same_bytes_are_rendered_once_and_their_files_go_with_the_last_who_has_them() {
    let change = |config: &mut Config| config.media.presets = presets(&[("small", 8)]);
    play_changed(change, async |world| {
        let surface = &world.daemon.surface;
        let first = upload(&world, "profile/minji/a.bmp", picture(1)).await;
        until_done(&world, 1).await;
        let item = surface.table.get(&first).await.expect("readable");
        let file = item
            .and_then(|item| item.thumbnails)
            .expect("made")
            .variants[0]
            .key
            .clone();
        let stored = surface.store.head(&file).await.expect("stored");
        let second = upload(&world, "profile/seoyeon/b.bmp", picture(1)).await;
        until_done(&world, 2).await;
        let again = surface.store.head(&file).await.expect("stored");
        assert_eq!(stored.sequencer, again.sequencer, "it was not stored again");
        for (key, left) in [(first, true), (second, false)] {
            surface.store.delete(&key).await.expect("deleted");
            for _ in 0..2_000 {
                if surface.table.get(&key).await.expect("readable").is_none()
                    && surface.store.head(&file).await.is_ok() == left
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(surface.store.head(&file).await.is_ok(), left, "{key}");
        }
        world
    });
}
