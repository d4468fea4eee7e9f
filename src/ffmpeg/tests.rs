//! What the child is given, and what is made of its answers.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use iyagi_actors::ports::PictureDecoder;
use iyagi_media::heif::{Codec, Coded, Matrix, Samples};

use super::*;

/// A program that stands for `ffmpeg`, so that no machine needs it for the tests.
fn standing_in(folder: &tempfile::TempDir, script: &str) -> Ffmpeg {
    let program = folder.path().join("ffmpeg");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable).expect("allowed");
    running(program, folder)
}

fn running(program: PathBuf, folder: &tempfile::TempDir) -> Ffmpeg {
    let spool = Spool::new(folder.path().join("spool"), 1 << 20);
    Ffmpeg::new(program, Arc::new(spool), 1_000, 3_600)
}

fn recording() -> LocalFile {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"a recording").expect("written");
    LocalFile::new(file).expect("readable")
}

fn bytes(file: LocalFile) -> Vec<u8> {
    file.read().expect("readable")
}

async fn decode(ffmpeg: &Ffmpeg, deadline: Duration) -> Result<Vec<u8>, DecoderFault> {
    let ffmpeg: &dyn RecordingDecoder = ffmpeg;
    ffmpeg.decode(&recording(), deadline).await.map(bytes)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

const PATIENT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn what_it_writes_is_what_is_got_and_it_reads_the_file_it_is_given() {
    let folder = folder();
    // The file is behind `-i`.
    let script = "while [ \"$1\" != -i ]; do shift; done; /bin/cat \"$2\"";
    let decoded = decode(&standing_in(&folder, script), PATIENT).await;
    assert_eq!(decoded, Ok(b"a recording".to_vec()));
}

#[tokio::test]
async fn it_has_no_environment_and_bounded_memory() {
    let folder = folder();
    let script = "echo \"${HOME-none} $(ulimit -v)\"";
    let decoded = decode(&standing_in(&folder, script), PATIENT).await;
    let said = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(said, Ok(format!("none {}\n", child::ADDRESS_SPACE_KIB)));
}

#[tokio::test]
async fn it_reads_no_format_that_names_other_files() {
    let folder = folder();
    let decoded = decode(&standing_in(&folder, "echo \"$*\""), PATIENT).await;
    let said = String::from_utf8(decoded.expect("it speaks")).expect("text");
    let (before, _) = said.split_once(" -i ").expect("an input");
    let (_, formats) = before.split_once("-format_whitelist ").expect("a list");
    for format in formats.split(',') {
        assert!(!["hls", "concat", "dash", "sdp", "applehttp"].contains(&format));
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let folder = folder();
    let refused = decode(
        &standing_in(&folder, "echo no such codec >&2; exit 1"),
        PATIENT,
    )
    .await;
    let Err(DecoderFault::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("no such codec"), "{why}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_no_fault_of_the_recording() {
    let folder = folder();
    let nowhere = running("/nowhere/ffmpeg".into(), &folder);
    let refused = decode(&nowhere, PATIENT).await;
    assert!(
        matches!(refused, Err(DecoderFault::Unavailable(_))),
        "{refused:?}"
    );
}

/// As `ffmpeg` 5.1 says it, which fails for most formats and calls it a success for some.
#[tokio::test]
async fn a_full_disk_is_no_fault_of_the_recording() {
    let folder = folder();
    let says = "echo half; echo Error writing trailer of /dev/fd/1: No space left on device >&2";
    for status in [1, 0] {
        let ffmpeg = standing_in(&folder, &format!("{says}; exit {status}"));
        let decoded = decode(&ffmpeg, PATIENT).await;
        assert!(matches!(decoded, Err(DecoderFault::Full(_))), "{decoded:?}");
        let encoded = encode(&ffmpeg, ORDER).await;
        assert!(matches!(encoded, Err(EncoderFault::Full(_))), "{encoded:?}");
    }
    let ffmpeg = standing_in(&folder, "echo whole");
    let nowhere = Spool::new(folder.path().join("ffmpeg/is-a-file"), 1 << 20);
    let ffmpeg = Ffmpeg {
        spool: Arc::new(nowhere),
        ..ffmpeg
    };
    let decoded = decode(&ffmpeg, PATIENT).await;
    assert!(matches!(decoded, Err(DecoderFault::Full(_))), "{decoded:?}");
}

#[tokio::test]
async fn what_it_reads_has_no_name_and_is_read_from_its_first_byte_by_each() {
    let folder = folder();
    let script = "while [ \"$1\" != -i ]; do shift; done; /bin/cat \"$2\" \"$2\"";
    let ffmpeg: &dyn RecordingDecoder = &standing_in(&folder, script);
    let recording = recording();
    for _ in 0..2 {
        let decoded = ffmpeg.decode(&recording, PATIENT).await.map(bytes);
        assert_eq!(decoded, Ok(b"a recordinga recording".to_vec()));
    }
    let names = std::fs::read_dir(folder.path().join("spool")).expect("a folder");
    assert_eq!(names.count(), 0);
}

#[tokio::test]
async fn more_than_is_allowed_is_refused() {
    let folder = folder();
    let script = "while :; do echo more and more; done";
    let refused = decode(&standing_in(&folder, script), PATIENT).await;
    let Err(DecoderFault::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("1000 bytes"), "{why}");
}

#[tokio::test]
async fn one_that_never_ends_is_ended_at_its_deadline() {
    let folder = folder();
    let mark = folder.path().join("pid");
    let script = format!("echo $$ > {}; while :; do :; done", mark.display());
    let refused = decode(&standing_in(&folder, &script), Duration::from_millis(300)).await;
    assert!(
        matches!(refused, Err(DecoderFault::Refused(_))),
        "{refused:?}"
    );
    let pid = std::fs::read_to_string(&mark).expect("it ran");
    let gone = !Path::new("/proc").join(pid.trim()).exists();
    assert!(gone, "process {pid} is still there");
}

const ORDER: EncodeOrder = EncodeOrder {
    rendition: Rendition::Aac64k,
    gain_db: -3.25,
    sample_rate_hz: 96_000,
    duration_ms: 1_000,
};

async fn encode(ffmpeg: &Ffmpeg, order: EncodeOrder) -> Result<Vec<u8>, EncoderFault> {
    ffmpeg.encode(&recording(), order, PATIENT).await.map(bytes)
}

/// Writes the arguments, which are one line, into the file that is to be written.
const TELL: &str = "for out; do :; done; echo \"$*\" > \"$out\"";

#[tokio::test]
async fn a_rendition_has_its_gain_and_nothing_that_was_said_of_the_recording() {
    let folder = folder();
    for rendition in Rendition::ALL {
        let order = EncodeOrder { rendition, ..ORDER };
        let told = encode(&standing_in(&folder, TELL), order).await;
        let told = String::from_utf8(told.expect("it speaks")).expect("text");
        for part in [
            "-map 0:a:0 -map_metadata -1 -map_chapters -1",
            "-fflags +bitexact -flags:a +bitexact",
            "-af volume=volume=-3.2500dB:precision=float",
            &format!("-b:a {}", rendition.bit_rate()),
            "-protocol_whitelist file -y",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        let resampled = told.contains("-ar 48000");
        assert_eq!(resampled, rendition == Rendition::Aac64k, "{told}");
    }
}

#[tokio::test]
async fn a_rendition_that_is_too_large_is_cut_off_by_the_kernel() {
    let folder = folder();
    let endless = "for out; do :; done; while :; do echo more and more; done > \"$out\"";
    let refused = encode(&standing_in(&folder, endless), ORDER).await;
    assert!(
        matches!(refused, Err(EncoderFault::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_encoder_that_writes_nothing_has_failed() {
    let folder = folder();
    let refused = encode(&standing_in(&folder, ":"), ORDER).await;
    let nothing = EncoderFault::Refused("it yielded nothing".to_owned());
    assert_eq!(refused, Err(nothing));
}

fn layer(stream: &[u8], samples: Samples) -> Coded {
    Coded {
        codec: Codec::Av1,
        stream: stream.to_vec(),
        samples,
        pixels: 12,
        decoded_bytes_max: 100,
    }
}

#[tokio::test]
async fn layers_of_a_picture_come_one_behind_the_other_each_as_what_it_is() {
    let folder = folder();
    let script = "case \"$*\" in *rgb24*) echo colours ;; *gray*) echo greys ;; esac; \
        while [ \"$1\" != -i ]; do shift; done; /bin/cat \"$2\"";
    let colours = Samples::Colours {
        matrix: Some(Matrix::Bt709),
        full_range: None,
    };
    let layers = vec![
        layer(b"a long one ", colours),
        layer(b"short", Samples::Greys),
    ];
    let decoder: &dyn PictureDecoder = &standing_in(&folder, script);
    let decoded = decoder.decode(layers, PATIENT).await.map(bytes);
    let expected = b"colours\na long one greys\nshort";
    assert_eq!(decoded, Ok(expected.to_vec()));
}

#[tokio::test]
async fn a_picture_is_decoded_as_its_file_says_and_to_no_more_pixels() {
    let folder = folder();
    let said = async |samples| {
        let decoder: &dyn PictureDecoder = &standing_in(&folder, "echo \"$*\"");
        let mut layer = layer(b"x", samples);
        layer.decoded_bytes_max = 1_000;
        let said = decoder.decode(vec![layer], PATIENT).await.map(bytes);
        String::from_utf8(said.expect("it speaks")).expect("text")
    };
    let told = said(Samples::Colours {
        matrix: Some(Matrix::Bt601),
        full_range: Some(false),
    })
    .await;
    assert!(
        told.contains(":in_color_matrix=bt601:in_range=limited "),
        "{told}"
    );
    let untold = said(Samples::Colours {
        matrix: None,
        full_range: None,
    })
    .await;
    assert!(!untold.contains(":in_"), "{untold}");
    for said in [told, untold, said(Samples::Greys).await] {
        let (before, _) = said.split_once(" -i ").expect("an input");
        assert!(before.ends_with("-format_whitelist ivf -f ivf"), "{said}");
        assert!(before.contains("-max_pixels 12 "), "{said}");
    }
}

#[tokio::test]
async fn a_picture_that_is_more_than_it_may_be_is_refused() {
    let folder = folder();
    let script = "/usr/bin/head -c 101 /dev/zero";
    let decoder: &dyn PictureDecoder = &standing_in(&folder, script);
    let decoded = decoder.decode(vec![layer(b"x", Samples::Greys)], PATIENT);
    let refused = decoded.await.map(bytes);
    assert!(
        matches!(refused, Err(DecoderFault::Refused(_))),
        "{refused:?}"
    );
}
