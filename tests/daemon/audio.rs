//! From a recording to what is known of it.

use std::time::Duration;

use iyagi_actors::ports::{PutOptions, StoreFault};
use iyagi_messages::media::{Audio, MetadataItem};
use iyagi_messages::object::ObjectKey;

use crate::world::{World, play, play_changed};

const COUNTDOWN: &[u8] = include_bytes!("../../demo/media/posts/story-launch/countdown.m4a");
pub(crate) const TWO_HUNDRED: &[u8] =
    include_bytes!("../../demo/media/posts/story-deep-sky/two-hundred.ogg");

pub(crate) async fn upload(world: &World, key: &str, bytes: &[u8]) -> ObjectKey {
    let key = ObjectKey::new(key).expect("a key");
    let store = &world.daemon.surface.store;
    let put = store.put(&key, bytes.to_vec(), PutOptions::default());
    put.await.expect("stored");
    key
}

pub(crate) async fn item(world: &World, key: &ObjectKey) -> Option<MetadataItem> {
    world.daemon.surface.table.get(key).await.expect("readable")
}

pub(crate) async fn analysed(world: &World, key: &ObjectKey) -> Audio {
    for _ in 0..2_000 {
        if let Some(audio) = item(world, key).await.and_then(|item| item.audio) {
            return audio;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{key} is not analysed: {:?}", item(world, key).await)
}

async fn is_there(world: &World, key: &ObjectKey) -> bool {
    match world.daemon.surface.store.head(key).await {
        Ok(_) => true,
        Err(StoreFault::NotFound(_)) => false,
        Err(fault) => panic!("{fault}"),
    }
}

fn reasons(world: &World, key: &ObjectKey) -> Vec<String> {
    let outbox = world.daemon.surface.tree.projections.outbox();
    let mine = outbox.letters().filter(|state| {
        serde_json::to_string(&state.letter.origin)
            .is_ok_and(|origin| origin.contains(key.as_str()) && origin.contains("\"audio\""))
    });
    mine.map(|state| state.letter.reason.clone()).collect()
}

#[test]
fn a_recording_is_known_by_its_length_loudness_and_waveform_and_the_same_bytes_share_files() {
    let report = play(async |world| {
        let first = upload(&world, "posts/1/한글 (1).m4a", COUNTDOWN).await;
        let second = upload(&world, "profile/minji/no-ending", COUNTDOWN).await;
        let opus = upload(&world, "posts/1/two-hundred.ogg", TWO_HUNDRED).await;
        let one = analysed(&world, &first).await;
        let two = analysed(&world, &second).await;
        let opus = analysed(&world, &opus).await;
        assert_eq!(
            (one.codec.as_str(), opus.codec.as_str()),
            ("aac_lc", "opus")
        );
        // As the notice of the demo states.
        assert_eq!((one.duration_ms + 50) / 100, 67, "{} ms", one.duration_ms);
        assert_eq!((opus.duration_ms + 50) / 100, 71, "{} ms", opus.duration_ms);
        assert_eq!((one.channels, one.sample_rate_hz), (1, 44_100));
        let loudness = one.integrated_lufs.map_or(0.0, f64::from);
        assert!((-40.0..-5.0).contains(&loudness), "{loudness} LUFS");
        let gain = f64::from(one.gain_db);
        let peak = one.true_peak_dbtp.map_or(0.0, f64::from);
        assert!(
            loudness + gain <= -15.98 && peak + gain <= -1.48,
            "{gain} dB"
        );
        assert_eq!(one.files, two.files, "the same bytes have the same files");
        let names: Vec<&str> = one.files.iter().map(|file| file.name.as_str()).collect();
        let expected = [
            "waveform.json",
            "waveform.dat",
            "waveform.svg",
            "fingerprint.json",
        ];
        assert_eq!(names, expected);
        for file in &one.files {
            let stored = world.daemon.surface.store.get(&file.key, 1_000_000).await;
            let (bytes, info) = stored.expect("stored");
            assert_eq!(bytes.len() as u64, file.size);
            assert_eq!(info.options.content_type.as_ref(), Some(&file.content_type));
            let cached = info.options.cache_control.unwrap_or_default();
            assert!(cached.contains("immutable"), "{cached}");
        }
        let original = world.daemon.surface.store.get(&first, 1_000_000).await;
        assert_eq!(original.expect("stored").0, COUNTDOWN, "it is not touched");
        world
    });
    assert_eq!(report.letters_waiting, 0);
    assert_eq!(report.recordings_without_outcome, []);
}

#[test]
fn derived_files_go_with_the_last_recording_of_their_bytes() {
    play(async |world| {
        let first = upload(&world, "posts/1/a.m4a", COUNTDOWN).await;
        let second = upload(&world, "posts/2/b.m4a", COUNTDOWN).await;
        let files = analysed(&world, &first).await.files;
        analysed(&world, &second).await;
        let store = &world.daemon.surface.store;
        store.delete(&first).await.expect("deleted");
        until_gone(&world, &first).await;
        for file in &files {
            assert!(is_there(&world, &file.key).await, "{} is shared", file.name);
        }
        store.delete(&second).await.expect("deleted");
        for file in &files {
            for _ in 0..2_000 {
                if !is_there(&world, &file.key).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(!is_there(&world, &file.key).await, "{} is left", file.name);
        }
        world
    });
}

async fn until_gone(world: &World, key: &ObjectKey) {
    for _ in 0..2_000 {
        if item(world, key).await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the item of {key} outlives its file")
}

/// HE-AAC by its configuration, which is all that is looked at.
pub(crate) fn he_aac() -> Vec<u8> {
    let mut bytes = COUNTDOWN.to_vec();
    // An extension of the configuration says whether there is spectral band replication.
    let extension = bytes
        .windows(3)
        .position(|window| window == [0x56, 0xe5, 0x00]);
    bytes[extension.expect("an extension") + 2] = 0x80;
    bytes
}

#[test]
fn what_cannot_be_understood_is_a_letter_that_says_why() {
    let report = play(async |world| {
        let half = &COUNTDOWN[..COUNTDOWN.len() / 2];
        let he_aac = he_aac();
        let cases: [(&str, &[u8], &str); 4] = [
            ("posts/1/half.m4a", half, "corrupt"),
            (
                "posts/1/text.mp3",
                b"this is no recording",
                "not_a_recording",
            ),
            ("posts/1/amr.amr", b"#!AMR\n\x3c\x91", "unsupported_format"),
            ("posts/1/he.m4a", &he_aac, "unsupported_format"),
        ];
        for (key, bytes, reason) in cases {
            let key = upload(&world, key, bytes).await;
            let written = || !reasons(&world, &key).is_empty();
            world.until("the letter is written", written).await;
            assert_eq!(reasons(&world, &key), [reason], "{key}");
        }
        world
    });
    assert_eq!(report.letters_waiting, 4);
}

#[test]
fn what_the_engine_does_not_decode_is_decoded_by_the_configured_program() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::TempDir::new().expect("a folder");
    let program = folder.path().join("ffmpeg");
    let decoded = folder.path().join("decoded");
    std::fs::write(&decoded, TWO_HUNDRED).expect("written");
    let script = format!("#!/bin/sh\n/bin/cat {}\n", decoded.display());
    std::fs::write(&program, script).expect("written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable).expect("allowed");
    let configured = |config: &mut iyagi::config::Config| {
        config.media.audio.ffmpeg = Some(program.clone());
    };
    let report = play_changed(configured, async |world| {
        let key = upload(&world, "posts/1/he.m4a", &he_aac()).await;
        let audio = analysed(&world, &key).await;
        assert_eq!(
            audio.codec, "he_aac",
            "what it was, not what it was decoded to"
        );
        assert_eq!((audio.duration_ms + 50) / 100, 71);
        world
    });
    assert_eq!(report.letters_waiting, 0);
}

#[test]
fn a_video_among_the_posts_is_somebody_elses_work() {
    let mut video = COUNTDOWN.to_vec();
    // Its only track becomes one of video.
    let handler = video.windows(4).position(|window| window == b"soun");
    let at = handler.expect("a track of sound");
    video[at..at + 4].copy_from_slice(b"vide");
    let report = play(async |world| {
        let key = upload(&world, "posts/1/clip.mov", &video).await;
        let other = upload(&world, "posts/1/a.ogg", TWO_HUNDRED).await;
        analysed(&world, &other).await;
        let recorded = || async { item(&world, &key).await.is_some() };
        while !recorded().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world
    });
    assert_eq!(report.letters_waiting, 0);
}
