//! How renditions come to recordings that are there already.

use std::net::SocketAddr;
use std::path::PathBuf;

use iyagi::config::Config;
use iyagi_actors::audio_worker::rendition_key;
use iyagi_actors::ports::PutOptions;
use iyagi_media::audio::Rendition;
use iyagi_messages::fact::{DerivedClaimed, Fact};
use iyagi_messages::ids::Pos;
use iyagi_messages::media::{Audio, Claim, RenditionState, Sketch};
use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::renditions::{
    Real, StandIn, eventually, go, held, is_there, item, made, settled, tone, tone_at, until,
    upload,
};
use crate::turns::{BACKFILLS, ask, at, begin};
use crate::world::{World, play_changed, play_changed_in};

/// More than are offered at once, so that a backfill has a middle.
const RECORDINGS: u32 = 30;

fn opus(program: PathBuf) -> impl FnOnce(&mut Config) {
    move |config| {
        config.media.audio.ffmpeg = Some(program);
        config.media.audio.renditions = vec![Rendition::Opus32k];
    }
}

async fn analysed(world: &World, key: &ObjectKey) -> Audio {
    let mut found = None;
    eventually("it is analysed", async || {
        found = item(world, key).await.and_then(|item| item.audio);
        found.is_some()
    })
    .await;
    found.expect("it was found")
}

/// Recordings of a time when there were no renditions.
fn recorded(folder: &TempDir) -> Vec<ObjectKey> {
    let mut keys = Vec::new();
    play_changed_in(
        folder.path(),
        |_| (),
        async |world| {
            for number in 0..RECORDINGS {
                let level = 0.1 + f64::from(number) / 1_000.0;
                keys.push(upload(&world, &format!("posts/{number}/a.wav"), &tone_at(level)).await);
            }
            upload(
                &world,
                "posts/note.txt",
                b"no recording".to_vec().as_slice(),
            )
            .await;
            for key in &keys {
                assert_eq!(analysed(&world, key).await.renditions, []);
            }
            world
        },
    );
    keys
}

/// What the operations listener of the real binary answers.
fn asked(operations: SocketAddr, path: &str, body: Option<Value>) -> Value {
    let url = format!("http://{operations}{BACKFILLS}{path}");
    let answer = match body {
        Some(body) => ureq::post(url).send_json(body),
        None => ureq::get(url).call(),
    };
    let answer = answer.expect("an answer").body_mut().read_json();
    answer.expect("JSON")
}

/// The real binary, killed when it has begun some of what a backfill offers.
fn killed_amid_a_backfill(folder: &TempDir, stand_in: &StandIn) {
    let daemon = Real::start(folder.path(), stand_in, &[Rendition::Opus32k]);
    let order = |dry_run| json!({"preset": "opus-32k", "dry_run": dry_run});
    let ready = format!("http://{}{BACKFILLS}", daemon.operations);
    until("it answers", || ureq::get(&ready).call().is_ok());
    let ask = |path: &str, body| asked(daemon.operations, path, body);
    let stage = || ask("/opus-32k", None)["stage"].clone();

    ask("", Some(order(true)));
    until("it is counted", || stage() == "completed");
    let counted = ask("/opus-32k", None);
    assert_eq!(
        [
            &counted["uploads"],
            &counted["lacking"],
            &counted["offered"]
        ],
        [&json!(RECORDINGS), &json!(RECORDINGS), &json!(0)]
    );
    assert_eq!(stand_in.calls(), 0, "a dry run makes nothing");

    ask("", Some(order(false)));
    until("the first is begun", || stand_in.calls() > 0);
    let paused = ask("/opus-32k/pause", Some(json!({})));
    assert_eq!(paused["stage"], "paused");
    assert!(
        paused["offered"].as_u64() < Some(RECORDINGS.into()),
        "{paused}"
    );
    assert!(paused["waiting"].as_u64() > Some(0), "{paused}");
    assert_eq!(ask("/opus-32k/resume", Some(json!({})))["stage"], "running");
}

#[test]
fn a_rendition_that_is_switched_on_comes_to_old_recordings_across_a_crash() {
    let folder = TempDir::new().expect("a folder");
    let keys = recorded(&folder);
    let stand_in = held();
    killed_amid_a_backfill(&folder, &stand_in);
    let in_work = stand_in.calls();
    go(&stand_in);
    play_changed_in(folder.path(), opus(stand_in.program()), async |world| {
        // Nobody asks for it again.
        at(&world, "opus-32k", |one| one["stage"] == "completed").await;
        for key in &keys {
            eventually("it has its rendition", async || {
                analysed(&world, key).await.renditions.len() == 1
            })
            .await;
            for file in made(&settled(&world, key).await) {
                assert!(is_there(&world, &file.key).await);
            }
        }
        let once_each = RECORDINGS as usize + in_work;
        assert_eq!(stand_in.calls(), once_each, "and those that were stopped");

        for dry_run in [true, false] {
            begin(&world, "opus-32k", dry_run).await;
            let complete = |one: &Value| one["stage"] == "completed" && one["dry_run"] == dry_run;
            let again = at(&world, "opus-32k", complete).await;
            assert_eq!(
                [&again["uploads"], &again["lacking"], &again["offered"]],
                [&json!(RECORDINGS), &json!(0), &json!(0)]
            );
        }
        assert_eq!(stand_in.calls(), once_each, "nothing is made twice");
        world
    });
}

#[test]
fn one_that_was_made_in_another_way_is_made_anew_and_all_go_with_their_recording() {
    let stand_in = StandIn::honest();
    play_changed(opus(stand_in.program()), async |world| {
        let surface = &world.daemon.surface;
        let key = upload(&world, "posts/1/a.wav", &tone()).await;
        let mut audio = settled(&world, &key).await;
        let now = made(&audio).remove(0);
        let sha256 = item(&world, &key).await.and_then(|item| item.sha256);
        let sha256 = sha256.expect("described");
        assert_eq!(now.key, rendition_key(&sha256, Rendition::Opus32k));

        // As a release before this one would have left it.
        let earlier = now
            .key
            .as_str()
            .replace(&Rendition::Opus32k.digest(), "earlier");
        let earlier = ObjectKey::new(earlier).expect("a key");
        let claim = Claim {
            sha256: sha256.clone(),
            key: key.clone(),
            sequencer: audio.sequencer.clone(),
            files: vec![earlier.clone()],
        };
        let claimed = DerivedClaimed {
            key: key.clone(),
            sequencer: audio.sequencer.clone(),
            sha256,
            files: vec![earlier.clone()],
            sketch: Sketch::default(),
        };
        world.append("derived", key.as_str(), claimed.into()).await;
        surface.table.claim(claim).await.expect("claimed");
        let put = surface
            .store
            .put(&earlier, b"sound".to_vec(), PutOptions::default());
        put.await.expect("stored");
        surface.store.delete(&now.key).await.expect("deleted");
        let mut file = now.clone();
        file.key = earlier.clone();
        audio.renditions[0].state = RenditionState::Made(file);
        let attached = surface.table.attach_audio(&key, audio).await;
        attached.expect("attached");

        begin(&world, "opus-32k", false).await;
        let complete = at(&world, "opus-32k", |one| one["stage"] == "completed").await;
        assert_eq!(
            [&complete["lacking"], &complete["offered"]],
            [&json!(1), &json!(1)]
        );
        eventually("it is made anew", async || {
            made(&settled(&world, &key).await) == std::slice::from_ref(&now)
        })
        .await;
        assert_eq!(stand_in.calls(), 2);
        surface.store.delete(&key).await.expect("deleted");
        for file in [earlier, now.key] {
            eventually("it is gone", async || !is_there(&world, &file).await).await;
        }
        world
    });
}

/// What is answered to whoever wants a backfill of this.
async fn refused(world: &World, preset: &str) -> (u16, String) {
    let order = json!({"preset": preset, "dry_run": true});
    let (status, problem) = ask(world, "POST", BACKFILLS, Some(order)).await;
    assert_eq!(problem["field"], "preset", "{problem}");
    (status, problem["detail"].to_string())
}

#[test]
fn a_rendition_that_is_not_made_or_not_known_is_refused_with_a_reason() {
    play_changed(
        |_| (),
        async |world| {
            let (status, detail) = refused(&world, "opus-32k").await;
            assert!(
                status == 409 && detail.contains("media.audio.ffmpeg"),
                "{detail}"
            );
            world
        },
    );
    let stand_in = StandIn::honest();
    play_changed(opus(stand_in.program()), async |world| {
        let (status, detail) = refused(&world, "aac-64k").await;
        assert!(
            status == 409 && detail.contains("media.audio.renditions"),
            "{detail}"
        );
        assert!(!detail.contains("ffmpeg"), "{detail}");
        let (status, detail) = refused(&world, "opus-32").await;
        assert!(
            status == 404 && detail.contains("did you mean `opus-32k`"),
            "{detail}"
        );
        let (_, answer) = ask(&world, "GET", BACKFILLS, None).await;
        assert_eq!(answer["backfills"], json!([]));
        let events = world.daemon.surface.journal.read(Pos(0), 1_000).await;
        let begun = |fact: &Fact| matches!(fact, Fact::BackfillBegun(_));
        let events = events.expect("readable");
        assert!(!events.iter().any(|event| begun(&event.fact)));
        world
    });
}
