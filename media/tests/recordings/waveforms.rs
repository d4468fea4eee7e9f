//! Waveforms, and fingerprints.

use crate::sample::{made, measured, noise, sine, wav};

/// A fifth of a second: a ramp up, full scale, nothing, a low negative level. 50 samples are a pixel.
fn steps() -> Vec<u8> {
    let ramp = (0..50).map(|n| f64::from(n) / 64.0);
    let rest = [1.0, 0.0, -0.25].into_iter();
    let samples = ramp.chain(rest.flat_map(|level| std::iter::repeat_n(level, 50)));
    wav(
        8_000,
        1,
        samples.flat_map(|level| std::iter::repeat_n(level, 8)),
    )
}

#[test]
fn the_json_is_audiowaveforms() {
    let json = measured(&steps()).unwrap().waveform.json();
    assert_eq!(
        json,
        "{\"version\":2,\"channels\":1,\"sample_rate\":8000,\"samples_per_pixel\":400,\"bits\":8,\
         \"length\":4,\"data\":[0,98,127,127,0,0,-32,-32]}"
    );
}

#[test]
fn the_binary_file_is_audiowaveforms() {
    let dat = measured(&steps()).unwrap().waveform.dat();
    let header = b"\x01\0\0\0\x01\0\0\0\x40\x1f\0\0\x90\x01\0\0\x04\0\0\0";
    assert_eq!(
        dat,
        [&header[..], &[0, 98, 127, 127, 0, 0, 0xe0, 0xe0]].concat()
    );
}

#[test]
fn the_summary_has_a_hundred_points_however_long_it_is() {
    for seconds in [0.01, 0.3, 7.0, 130.0] {
        let loud_half = sine(8_000, 1, 400.0, 0.0, seconds);
        let quiet_half = sine(8_000, 1, 400.0, -12.0, seconds);
        let waveform = measured(&wav(8_000, 1, loud_half.chain(quiet_half)))
            .unwrap()
            .waveform;
        let summary = waveform.summary();
        let (first, second) = (&summary[..49], &summary[52..]);
        assert!(
            first.iter().all(|point| *point > 240),
            "{seconds} s: {first:?}"
        );
        let quarter = 58..=66;
        assert!(
            second.iter().all(|point| quarter.contains(point)),
            "{seconds} s: {second:?}"
        );
        assert_eq!(
            waveform.pixels(),
            (2.0 * seconds * 20.0_f64).ceil() as usize
        );
    }
}

#[test]
fn the_picture_is_small_and_harmless() {
    let svg = measured(made("opus.ogg")).unwrap().waveform.svg();
    assert!(
        svg.starts_with("<svg ") && svg.len() < 2_000,
        "{} bytes",
        svg.len()
    );
    for dangerous in ["script", "href", "style", "url("] {
        assert!(!svg.contains(dangerous), "{svg}");
    }
    assert_eq!(svg.matches('M').count(), 100, "a bar a point");
}

#[test]
fn the_same_sound_is_known_again_at_another_level() {
    let melody = |level: f64| {
        let notes = [220.0, 330.0, 262.0, 440.0, 294.0, 392.0, 247.0, 349.0];
        let song = notes.into_iter().cycle().take(24);
        let song = song.flat_map(|hz| sine(16_000, 1, hz, -12.0, 0.7));
        let hiss = noise(3, 400_000).map(|hiss| hiss * 0.001);
        wav(16_000, 1, song.zip(hiss).map(move |(a, b)| (a + b) * level))
    };
    let original = measured(&melody(1.0)).unwrap().fingerprint;
    let quieter = measured(&melody(0.5)).unwrap().fingerprint;
    let other = measured(&wav(16_000, 1, noise(9, 268_800)))
        .unwrap()
        .fingerprint;
    assert!(original.similarity(&quieter) > 0.9);
    assert!(
        original.similarity(&other) < 0.3,
        "{}",
        original.similarity(&other)
    );
    let distance = original.hash().unwrap() ^ quieter.hash().unwrap();
    assert!(distance.count_ones() <= 2);
}

#[test]
fn the_fingerprint_ends_after_two_minutes() {
    let short = measured(&wav(8_000, 1, noise(5, 8_000 * 121)))
        .unwrap()
        .fingerprint;
    let long = measured(&wav(8_000, 1, noise(5, 8_000 * 140)))
        .unwrap()
        .fingerprint;
    assert_eq!(short, long);
    let none = measured(&wav(8_000, 1, noise(5, 8_000)))
        .unwrap()
        .fingerprint;
    assert_eq!((none.hash(), none.similarity(&long)), (None, 0.0));
}
