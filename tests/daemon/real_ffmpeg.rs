//! What only the real `ffmpeg` can show. Where there is none, or one without an encoder that is needed, these say so and
//! pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use iyagi_media::audio::{AudioLimits, TRUE_PEAK_MAX_DBTP, analyse};
use iyagi_messages::media::MetadataItem;
use tempfile::TempDir;

use crate::heif::{HEIC, decoded_by};
use crate::media;
use crate::renditions::{both, made, settled, tone, upload};
use crate::world::{World, play_changed};

const COUNTDOWN: &[u8] = include_bytes!("../../demo/media/posts/story-launch/countdown.m4a");
/// Where all of these recordings say that they were made, and what they are called.
const PLACE: &str = "+37.5665+126.9780/";
const TITLE: &str = "A title that nobody is to hear of";

/// The `ffmpeg` of this machine, if it has one with the encoders of renditions.
fn ffmpeg() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg"));
    let program = places.find(|program| program.is_file());
    let encoders = program.as_ref().and_then(|program| {
        let mut asked = Command::new(program);
        asked.args(["-hide_banner", "-encoders"]).output().ok()
    });
    let encoders = encoders.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if encoders.is_some_and(|list| list.contains(" libopus ") && list.contains(" aac ")) {
        program
    } else {
        println!("skipped: there is no ffmpeg with libopus on this machine");
        None
    }
}

/// The tone as another file, with a title and a place in its tags.
fn tagged(ffmpeg: &Path, codec: &[&str], name: &str) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let (from, to) = (folder.path().join("tone.wav"), folder.path().join(name));
    std::fs::write(&from, tone()).expect("written");
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-v", "error", "-i"]).arg(from);
    for tag in ["location", "GPSLatitude"] {
        command.arg("-metadata").arg(format!("{tag}={PLACE}"));
    }
    command.arg("-metadata").arg(format!("title={TITLE}"));
    let status = command.args(codec).arg(&to).status();
    assert!(status.expect("it runs").success());
    std::fs::read(to).expect("written")
}

fn mp4_box(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() + 8) as u32;
    [&size.to_be_bytes()[..], &kind, body].concat()
}

/// The demo's recording, with a place as Apple writes it and as 3GPP does. The index moves to the end, so that no offset
/// changes, and what it was becomes room.
fn placed_m4a() -> Vec<u8> {
    let at = COUNTDOWN.windows(4).position(|window| window == b"moov");
    let at = at.expect("an index");
    let size = COUNTDOWN[at - 4..at].try_into().expect("four bytes");
    let end = at - 4 + u32::from_be_bytes(size) as usize;
    let xyz = [b"\0\x12\x15\xc7", PLACE.as_bytes()].concat();
    let loci = [b"\0\0\0\0\x55\xc4", TITLE.as_bytes(), &[0; 16]].concat();
    let user = [mp4_box(*b"\xa9xyz", &xyz), mp4_box(*b"loci", &loci)].concat();
    let index = [&COUNTDOWN[at + 4..end], &mp4_box(*b"udta", &user)].concat();
    let mut bytes = [COUNTDOWN, &mp4_box(*b"moov", &index)].concat();
    bytes[at..at + 4].copy_from_slice(b"free");
    bytes
}

/// An APE tag behind an MP3, as its footer alone says.
fn ape_tag() -> Vec<u8> {
    let value = PLACE.as_bytes();
    let item = [
        &(value.len() as u32).to_le_bytes()[..],
        &[0; 4],
        b"GPS\0",
        value,
    ]
    .concat();
    let footer = [
        b"APETAGEX",
        &2000_u32.to_le_bytes()[..],
        &(item.len() as u32 + 32).to_le_bytes(),
        &1_u32.to_le_bytes(),
        &[0; 12],
    ];
    [item, footer.concat()].concat()
}

fn says(bytes: &[u8], what: &str) -> bool {
    bytes
        .windows(what.len())
        .any(|window| window == what.as_bytes())
}

#[test]
fn recordings_that_say_where_they_were_made_have_renditions_that_do_not() {
    let Some(program) = ffmpeg() else { return };
    let mp3 = tagged(&program, &["-c:a", "libmp3lame"], "a.mp3");
    let sources = [
        ("placed.m4a", placed_m4a()),
        ("id3-and-ape.mp3", [mp3, ape_tag()].concat()),
        (
            "comments.ogg",
            tagged(&program, &["-c:a", "libvorbis"], "a.ogg"),
        ),
        (
            "comments.opus",
            tagged(&program, &["-c:a", "libopus"], "a.opus"),
        ),
        (
            "comments.flac",
            tagged(&program, &["-c:a", "flac"], "a.flac"),
        ),
    ];
    for (name, bytes) in &sources {
        assert!(says(bytes, PLACE) && says(bytes, TITLE), "{name} has tags");
    }
    play_changed(both(program), async |world| {
        for (name, bytes) in &sources {
            let key = upload(&world, &format!("posts/1/{name}"), bytes).await;
            let audio = settled(&world, &key).await;
            let gained = audio.integrated_lufs.map_or(0.0, f64::from) + f64::from(audio.gain_db);
            for file in made(&audio) {
                let off_ms = file.duration_ms.abs_diff(audio.duration_ms);
                let loudness = file.integrated_lufs.map_or(0.0, f64::from);
                let peak = file.true_peak_dbtp.map_or(0.0, f64::from);
                println!(
                    "{name}: {} bytes, {off_ms} ms off, {loudness:.2} LUFS of {gained:.2}, {peak:.2} dBTP",
                    file.size
                );
                assert!(peak <= TRUE_PEAK_MAX_DBTP, "{name}: {peak:.2} dBTP");
                let stored = world.daemon.surface.store.get(&file.key, 1_000_000).await;
                let (stored, _) = stored.expect("stored");
                for mark in [PLACE, TITLE, "GPSLatitude", "APETAGEX"] {
                    assert!(!says(&stored, mark), "{name} says {mark}");
                }
                let heard = analyse(&stored, &AudioLimits::default(), &|| false);
                let heard = heard.expect("a recording").recording;
                assert!(!heard.location);
                assert_eq!(heard.tags.title, None);
            }
            let (original, _) = world
                .daemon
                .surface
                .store
                .get(&key, 1_000_000)
                .await
                .expect("stored");
            assert_eq!(&original, bytes, "the original is not touched");
        }
        world
    });
}

/// Three seconds of AMR: frames of 12.2 kbit/s (RFC 4867 §5.3) with any bits, which are some sound or other.
fn amr() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = b"#!AMR\n".to_vec();
    for _ in 0..150 {
        bytes.push(0x3c);
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(31));
    }
    bytes
}

/// AAC that says of itself that it is HE-AAC, with which decoders double its rate.
fn he_aac() -> Vec<u8> {
    let mut bytes = COUNTDOWN.to_vec();
    let extension = bytes
        .windows(3)
        .position(|window| window == [0x56, 0xe5, 0x00]);
    bytes[extension.expect("an extension") + 2] = 0x80;
    bytes
}

#[test]
fn amr_and_he_aac_are_decoded_analysed_and_delivered() {
    let Some(program) = ffmpeg() else { return };
    let report = play_changed(both(program), async |world| {
        for (name, bytes, codec, rate_hz, duration_ms) in [
            ("a.amr", amr(), "amr", 8_000, 3_000),
            ("he.m4a", he_aac(), "he_aac", 88_200, 6_687),
        ] {
            let key = upload(&world, &format!("posts/1/{name}"), &bytes).await;
            let audio = settled(&world, &key).await;
            println!(
                "{name}: {} at {} Hz, {} ms, {:?} LUFS",
                audio.codec, audio.sample_rate_hz, audio.duration_ms, audio.integrated_lufs
            );
            assert_eq!((&*audio.codec, audio.sample_rate_hz), (codec, rate_hz));
            assert!(audio.duration_ms.abs_diff(duration_ms) <= 50, "{name}");
            for file in made(&audio) {
                let peak = file.true_peak_dbtp.map_or(0.0, f64::from);
                println!("  {} bytes, {peak:.2} dBTP", file.size);
                assert!(peak <= TRUE_PEAK_MAX_DBTP, "{name}: {peak:.2} dBTP");
            }
        }
        world
    });
    assert_eq!(report.letters_waiting, 0);
}

/// A test picture of ffmpeg's own, if it can write it so.
fn test_picture(ffmpeg: &Path, size: &str, name: &str, codec: &[&str]) -> Option<Vec<u8>> {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join(name);
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-v", "error", "-f", "lavfi"]);
    command.args(["-i", &format!("testsrc2=size={size}"), "-frames:v", "1"]);
    let made = command.args(codec).arg(&to).status().expect("it runs");
    made.success().then(|| std::fs::read(to).expect("written"))
}

/// The larger thumbnails of some pictures, as they are shown.
async fn shown<const N: usize>(world: &World, pictures: [(&str, &[u8]); N]) -> [RgbImage; N] {
    let mut all = Vec::new();
    for (key, bytes) in pictures {
        let key = media::upload(world, key, bytes).await;
        let has_thumbnails = |item: &MetadataItem| item.thumbnails.is_some();
        let item = media::recorded(world, &key, has_thumbnails).await;
        let variants = item.thumbnails.expect("waited for").variants;
        let mut large = variants.into_iter().filter(|made| made.preset == "medium");
        let webp = large.find(|made| made.content_type == "image/webp");
        let key = webp.expect("a WebP").key;
        let read = world.daemon.surface.store.get(&key, 1 << 20).await;
        let (bytes, _) = read.expect("stored");
        let picture = image::load_from_memory(&bytes);
        all.push(picture.expect("a picture").to_rgb8());
    }
    all.try_into().expect("as many")
}

/// How far they are apart in the mean, of 255.
fn apart(one: &RgbImage, other: &RgbImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let samples = one.iter().zip(other.iter());
    let apart: u64 = samples
        .map(|(one, other)| u64::from(one.abs_diff(*other)))
        .sum();
    apart as f64 / one.len() as f64
}

#[test]
fn an_avif_shows_the_same_as_a_png_of_the_same_picture() {
    const AV1: &str = "-c:v libaom-av1 -still-picture 1 -crf 5 -cpu-used 6";
    let Some(ffmpeg) = ffmpeg() else { return };
    for layout in [
        "-vf scale=out_color_matrix=bt601:out_range=limited -pix_fmt yuv420p",
        "-vf scale=out_color_matrix=bt709:out_range=full -pix_fmt yuv444p -colorspace bt709 -color_range pc",
        "-vf scale=out_color_matrix=bt709:out_range=limited -pix_fmt yuv420p10le -colorspace bt709",
    ] {
        let words: Vec<&str> = AV1.split(' ').chain(layout.split(' ')).collect();
        let Some(avif) = test_picture(&ffmpeg, "640x480", "picture.avif", &words) else {
            println!("skipped: this ffmpeg writes no AVIF");
            return;
        };
        let png = test_picture(&ffmpeg, "640x480", "picture.png", &["-pix_fmt", "rgb24"]);
        let png = png.expect("a PNG");
        play_changed(decoded_by(ffmpeg.clone()), async |world| {
            let pictures: [(&str, &[u8]); 2] = [("posts/1/a.avif", &avif), ("posts/1/a.png", &png)];
            let [avif, png] = shown(&world, pictures).await;
            assert_eq!(avif.dimensions(), (320, 240));
            let apart = apart(&avif, &png);
            println!("{layout}: {apart:.2} of 255 apart");
            assert!(apart < 3.0, "{layout}: {apart}");
            world
        });
    }
}

/// x265 coded the picture, and its units were put into a HEIF as phones do it.
#[test]
fn a_heic_shows_the_same_as_a_png_of_the_same_picture() {
    let Some(ffmpeg) = ffmpeg() else { return };
    let png = test_picture(&ffmpeg, "64x48", "picture.png", &["-pix_fmt", "rgb24"]);
    let png = png.expect("a PNG");
    play_changed(decoded_by(ffmpeg), async |world| {
        let pictures: [(&str, &[u8]); 2] = [("posts/1/a.heic", HEIC), ("posts/1/a.png", &png)];
        let [heic, png] = shown(&world, pictures).await;
        let apart = apart(&heic, &png);
        println!("{apart:.2} of 255 apart");
        assert!(apart < 6.0, "{apart}");
        world
    });
}
