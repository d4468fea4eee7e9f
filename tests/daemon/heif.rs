//! Pictures in AVIF and HEIC, decoded by a program that stands for `ffmpeg`, so that no machine needs it.

use std::path::PathBuf;

use iyagi_messages::media::MetadataItem;

use crate::media::{reasons, recorded, upload};
use crate::renditions::StandIn;
use crate::world::{World, play, play_changed};

/// Each has 64 by 48 pixels.
pub(crate) const AVIF: &[u8] = include_bytes!("../../media/src/heif/testsrc.avif");
pub(crate) const HEIC: &[u8] = include_bytes!("../../media/src/heif/testsrc.heic");
/// What they are decoded to, all in one colour.
const DECODED: &str = "printf 'P6\\n64 48\\n255\\n'; /usr/bin/head -c 9216 $folder/red";

pub(crate) fn decoded_by(program: PathBuf) -> impl FnOnce(&mut iyagi::config::Config) {
    move |config| {
        config.media.audio.ffmpeg = Some(program);
        config.media.heif = true;
    }
}

/// Uploads it, and waits for what is said of it.
async fn refused(world: &World) -> (MetadataItem, Vec<String>) {
    let key = upload(world, "posts/1/a.avif", AVIF).await;
    let item = recorded(world, &key, |_| true).await;
    let letters = || reasons(world, &key);
    let written = || !letters().is_empty();
    world.until("the letter is written", written).await;
    (item, letters())
}

#[test]
fn a_picture_that_is_decoded_elsewhere_becomes_thumbnails() {
    let stand_in = StandIn::doing(DECODED);
    stand_in.give("red", &[220, 0, 0].repeat(64 * 48));
    let report = play_changed(decoded_by(stand_in.program()), async |world| {
        for (bytes, content_type) in [(AVIF, "image/avif"), (HEIC, "image/heic")] {
            // What it is counts, and not its name.
            let key = upload(&world, &format!("posts/{content_type}/a.jpg"), bytes).await;
            let item = recorded(&world, &key, |item| item.thumbnails.is_some()).await;
            assert_eq!(item.content_type, content_type);
            let size = item.dimensions.expect("its headers say it");
            assert_eq!((size.width, size.height), (64, 48));
            let thumbnails = item.thumbnails.expect("waited for");
            assert_eq!(thumbnails.dominant_colour, "#dc0000");
            let variants = thumbnails.variants.iter();
            let small = variants.filter(|made| made.preset == "small");
            let sizes: Vec<_> = small.map(|made| (made.width, made.height)).collect();
            assert_eq!(sizes, [(64, 48), (64, 48)], "nothing is made larger");
        }
        world
    });
    assert_eq!(stand_in.calls(), 2);
    assert_eq!(
        (report.letters_waiting, report.letters_on_their_way),
        (0, 0)
    );
}

#[test]
fn a_picture_that_is_not_decoded_is_a_letter_that_says_why() {
    for (script, reason) in [
        ("echo 'the data is corrupt' >&2; exit 1", "undecodable"),
        (
            "printf 'P6\\n48 64\\n255\\n'; /usr/bin/head -c 9216 /dev/zero",
            "corrupt",
        ),
        (
            "printf 'P6\\n64 48\\n255\\n'; /usr/bin/head -c 9215 /dev/zero",
            "corrupt",
        ),
        ("/usr/bin/head -c 99999 /dev/zero", "undecodable"),
    ] {
        let stand_in = StandIn::doing(script);
        play_changed(decoded_by(stand_in.program()), async |world| {
            let (_, reasons) = refused(&world).await;
            assert_eq!(reasons, [reason], "{script}");
            world
        });
    }
}

#[test]
fn where_nothing_decodes_it_a_picture_has_its_size_in_its_item_and_a_letter() {
    play(async |world| {
        let (item, reasons) = refused(&world).await;
        assert_eq!(reasons, ["unsupported_format"]);
        let size = item.dimensions.expect("its headers say it");
        assert_eq!((size.width, size.height), (64, 48));
        world
    });
}
