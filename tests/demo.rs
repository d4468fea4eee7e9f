//! `iyagi demo --exit`, as its user sees it.

use std::path::Path;

use iyagi::demo::{DemoError, DemoOptions, DemoOutcome, Style, run_to};
use iyagi_messages::push::SuppressReason;
use tempfile::TempDir;

fn give(options: &DemoOptions) -> (Result<DemoOutcome, DemoError>, String) {
    let mut out = Vec::new();
    let outcome = run_to(options, &mut out, Style::PLAIN);
    (outcome, String::from_utf8(out).expect("UTF-8"))
}

fn to_the_end() -> DemoOptions {
    DemoOptions {
        exit: true,
        ..DemoOptions::default()
    }
}

/// The figure at the start of what a row of the account says.
fn figure(told: &str, row: &str) -> u64 {
    let account = told.split_once("What came of it").expect("an account").1;
    let line = account
        .lines()
        .find(|line| line.trim_start().starts_with(row));
    let line = line.unwrap_or_else(|| panic!("no row {row} in {account}"));
    let rest = line.trim_start().trim_start_matches(row).trim_start();
    let digits = rest.split_whitespace().next().expect("a figure");
    digits.parse().expect("a number")
}

#[test]
fn the_story_ends_with_an_account_that_adds_up_and_nothing_left_open() {
    let (outcome, told) = give(&to_the_end());
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{told}"));
    assert!(outcome.passed(), "{:?}\n{told}", outcome.audit);

    // The text is in the language of whoever reads it.
    assert!(
        told.contains("민지: 새 팔로워 · 서연 님이 회원님을 팔로우합니다"),
        "{told}"
    );
    assert!(
        told.contains("Daniel: New follower · Grace follows you now"),
        "{told}"
    );

    // What failed was tried again, let go, or set aside and sent later.
    assert!(told.contains("tried again after"), "{told}");
    assert!(
        told.contains("its token is dead and now forgotten"),
        "{told}"
    );
    assert!(
        told.contains("Daniel: “follow” given up, ParameterValueInvalid"),
        "{told}"
    );
    assert!(
        told.contains(
            "Daniel (sent again from the dead letters): New follower · 하나 follows you now"
        ),
        "{told}"
    );
    assert!(
        told.contains("taken twice under one id, shown once"),
        "{told}"
    );
    assert!(
        told.contains("broken.jpg: image/jpeg, 79 kB; no thumbnail, corrupt"),
        "{told}"
    );

    assert!(
        told.contains("countdown.m4a: audio/mp4, 45 kB; 6.7 s, "),
        "{told}"
    );
    assert!(told.contains("LUFS, with its waveform"), "{told}");

    let counts = &outcome.audit.counts;
    let balance = told
        .lines()
        .skip_while(|line| !line.contains("pushes  matched"))
        .nth(1);
    let balance = balance.expect("the figures below their names");
    let figures: Vec<u64> = balance
        .split(['=', '+'])
        .map(|figure| figure.trim().parse().expect("a number"))
        .collect();
    assert_eq!(figures[0], figures[1..].iter().sum::<u64>(), "{balance}");
    let settled = [counts.matched, counts.sent, 0, counts.suppressed_total(), 0];
    assert_eq!(figures, settled, "{balance}");
    for reason in [SuppressReason::Myself, SuppressReason::NoDevice] {
        assert!(counts.suppressed[&reason] > 0, "{reason}\n{told}");
    }
    assert_eq!(counts.suppressed[&SuppressReason::EndpointDead], 1);
    assert_eq!(counts.redriven, 1);

    assert_eq!(
        (figure(&told, "files in"), figure(&told, "metadata items")),
        (11, 11)
    );
    assert_eq!(figure(&told, "thumbnails"), 8 * 6, "{told}");
    assert_eq!(figure(&told, "waveforms"), 2, "{told}");
    assert_eq!(figure(&told, "dead letters"), 2, "one push and one picture");
    assert!(told.contains("1 sent again, 1 waiting"), "{told}");
}

#[test]
fn files_that_the_user_brings_are_uploaded_in_a_scene_of_their_own() {
    let folder = TempDir::new().expect("a folder");
    let photo =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/media/posts/story-deep-sky/pilot.jpg");
    std::fs::create_dir(folder.path().join("휴가 2026")).expect("a folder");
    std::fs::copy(photo, folder.path().join("휴가 2026/조종사 #1.jpg")).expect("copied");
    std::fs::write(folder.path().join("letter.txt"), "안녕").expect("written");
    let story = folder.path().join("story.toml");
    let text = r#"
        title = "Nobody is here"
        people = [{ id = "a", name = "A", locale = "ko" }]
        scene = []
    "#;
    let elsewhere = TempDir::new().expect("a folder");
    let story = elsewhere.path().join(story.file_name().expect("a name"));
    std::fs::write(&story, text).expect("written");
    let options = DemoOptions {
        media: Some(folder.path().to_owned()),
        story: Some(story),
        ..to_the_end()
    };
    let (outcome, told) = give(&options);
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{told}"));
    assert!(outcome.passed(), "{:?}\n{told}", outcome.audit);
    assert!(told.contains("And now yours: 2 files"), "{told}");
    assert!(
        told.contains("조종사 #1.jpg: image/jpeg, 47 kB; 6 thumbnails of"),
        "{told}"
    );
    assert!(
        told.contains("letter.txt: application/octet-stream, 6 bytes"),
        "{told}"
    );
    assert_eq!(figure(&told, "files in"), 2);
}

#[test]
fn what_cannot_be_given_is_refused_before_anything_starts() {
    let absent = DemoOptions {
        media: Some("/does/not/exist".into()),
        ..to_the_end()
    };
    let (outcome, told) = give(&absent);
    let error = outcome.expect_err("there is no such folder").to_string();
    assert!(
        error.starts_with("/does/not/exist cannot be listed"),
        "{error}"
    );
    assert_eq!(told, "");
    let still = DemoOptions {
        speed: 0.0,
        ..to_the_end()
    };
    let error = give(&still).0.expect_err("nothing moves").to_string();
    assert!(
        error.starts_with("the speed is a number from 0.1 to 100"),
        "{error}"
    );
}
