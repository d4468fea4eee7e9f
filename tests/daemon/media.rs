//! From an upload to its thumbnails and its metadata item.

use iyagi_actors::ports::PutOptions;
use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;

use crate::world::{World, play, play_in};

const PHOTO: &[u8] = include_bytes!("../../demo/media/posts/story-deep-sky/pilot.jpg");

pub(crate) async fn upload(world: &World, key: &str, bytes: &[u8]) -> ObjectKey {
    let key = ObjectKey::new(key).expect("a key");
    let put = world
        .daemon
        .surface
        .store
        .put(&key, bytes.to_vec(), PutOptions::default());
    put.await.expect("stored");
    key
}

async fn item(world: &World, key: &ObjectKey) -> Option<MetadataItem> {
    world.daemon.surface.table.get(key).await.expect("readable")
}

/// Why a file is among the dead letters.
pub(crate) fn reasons(world: &World, key: &ObjectKey) -> Vec<String> {
    let outbox = world.daemon.surface.tree.projections.outbox();
    let mine = outbox.letters().filter(|state| {
        serde_json::to_string(&state.letter.origin)
            .is_ok_and(|origin| origin.contains(key.as_str()))
    });
    mine.map(|state| state.letter.reason.clone()).collect()
}

pub(crate) async fn recorded(
    world: &World,
    key: &ObjectKey,
    ready: impl Fn(&MetadataItem) -> bool,
) -> MetadataItem {
    for _ in 0..2_000 {
        if let Some(item) = item(world, key).await
            && ready(&item)
        {
            return item;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{key} has no such item: {:?}", item(world, key).await)
}

#[test]
fn a_picture_gets_its_thumbnails_and_its_item_and_the_same_bytes_the_same_keys() {
    let report = play(async |world| {
        let first = upload(&world, "posts/1/사진 (1)+.jpg", PHOTO).await;
        let second = upload(&world, "profile/minji/me.png", PHOTO).await;
        let has_thumbnails = |item: &MetadataItem| item.thumbnails.is_some();
        let one = recorded(&world, &first, has_thumbnails).await;
        let two = recorded(&world, &second, has_thumbnails).await;
        assert_eq!(one.content_type, "image/jpeg");
        assert_eq!(
            two.content_type, "image/jpeg",
            "content counts, not the name"
        );
        assert_eq!(two.owner.as_deref(), Some("minji"));
        let thumbnails = one.thumbnails.expect("waited for");
        assert!(thumbnails.dominant_colour.starts_with('#'));
        // About 25 bytes in Base64.
        let placeholder = thumbnails.placeholder.as_deref().unwrap_or_default();
        assert!((24..=44).contains(&placeholder.len()), "{placeholder}");
        let variants = thumbnails.variants.clone();
        assert_eq!(variants.len(), 6, "three presets in two formats");
        assert_eq!(two.thumbnails.expect("waited for").variants, variants);
        for variant in variants {
            let stored = world
                .daemon
                .surface
                .store
                .get(&variant.key, 10_000_000)
                .await;
            let (bytes, info) = stored.expect("stored");
            assert_eq!(bytes.len() as u64, variant.size);
            assert!(
                info.options
                    .cache_control
                    .is_some_and(|value| value.contains("immutable"))
            );
        }
        world
    });
    assert_eq!(report.pictures_without_outcome, []);
    assert_eq!(report.letters_waiting, 0);
}

#[test]
fn a_metadata_table_that_was_lost_is_filled_again_from_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = |item: &MetadataItem| item.thumbnails.is_some();
    let known = |item: MetadataItem| {
        let thumbnails = item.thumbnails.expect("waited for");
        let what = (item.sequencer, item.sha256, item.dimensions);
        (what, thumbnails.sequencer, thumbnails.variants)
    };
    let mut before = None;
    play_in(folder.path(), async |world: World| {
        let key = upload(&world, "posts/1/photo.jpg", PHOTO).await;
        before = Some(known(recorded(&world, &key, whole).await));
        world
    });
    for end in ["", "-wal", "-shm"] {
        // SQLite keeps the last two only while it must.
        std::fs::remove_file(folder.path().join(format!("metadata.db{end}"))).ok();
    }
    let report = play_in(folder.path(), async |world: World| {
        let key = ObjectKey::new("posts/1/photo.jpg").expect("a key");
        let after = known(recorded(&world, &key, whole).await);
        assert_eq!(Some(after), before);
        world
    });
    assert_eq!(report.letters_waiting, 0);
}

/// 45 bytes that claim 50,000 by 50,000 pixels.
fn huge_png() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind.as_slice(), data].concat();
        let length = u32::try_from(data.len()).expect("short").to_be_bytes();
        [&length[..], &body, &crc32fast::hash(&body).to_be_bytes()].concat()
    };
    let side = 50_000_u32.to_be_bytes();
    let header = [&side[..], &side, &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(b"IHDR", &header),
        &chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn what_cannot_have_a_thumbnail_has_an_item_that_says_what_it_is_and_a_letter_that_says_why() {
    let truncated = &PHOTO[..PHOTO.len() / 2];
    let huge = huge_png();
    let report = play(async |world| {
        let cases: [(&str, &[u8], &str); 6] = [
            ("posts/1/truncated.jpg", truncated, "corrupt"),
            ("posts/1/empty.jpg", b"", "empty"),
            ("posts/1/huge.png", &huge, "too_many_pixels"),
            ("posts/1/text.jpg", b"this is no picture", "not_a_picture"),
            ("posts/1/clip.mp3", b"ID3\x03\0\0\0\0\0\0", "corrupt"),
            ("posts/1/note.txt", b"this is for nobody", ""),
        ];
        for (key, bytes, reason) in cases {
            let key = upload(&world, key, bytes).await;
            let item = recorded(&world, &key, |_| true).await;
            assert_eq!(item.size, bytes.len() as u64);
            let letters = || reasons(&world, &key);
            if reason.is_empty() {
                assert_eq!(letters(), Vec::<String>::new(), "a text is nobody's work");
            } else {
                world
                    .until("the letter is written", || !letters().is_empty())
                    .await;
                assert_eq!(letters(), [reason]);
            }
        }
        world
    });
    assert_eq!(report.letters_waiting, 5);
    assert_eq!(report.letters_on_their_way, 0);
}

#[test]
fn the_last_write_of_a_file_wins_and_its_removal_removes_the_item() {
    play(async |world| {
        let key = upload(&world, "posts/1/note.txt", b"one").await;
        upload(&world, "posts/1/note.txt", b"twice").await;
        recorded(&world, &key, |item| item.size == 5).await;
        world
            .daemon
            .surface
            .store
            .delete(&key)
            .await
            .expect("deleted");
        for _ in 0..2_000 {
            if item(&world, &key).await.is_none() {
                return world;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the item outlives its file")
    });
}
