//! A length is right to the millisecond, whatever an encoder put before and after the sound.

use iyagi_media::audio::Codec;

use crate::sample::{GAPPED, MADE, made, measured, noise, sine, wav};

#[test]
fn lengths_are_right_to_the_millisecond_in_every_container() {
    for made in MADE {
        let recording = measured(made.bytes).unwrap().recording;
        let truth = (made.samples * 1_000) as f64 / made.rate_hz as f64;
        let error = recording.duration_ms as f64 - truth;
        assert!(error.abs() <= 1.0, "{}: {error} ms", made.name);
        assert_eq!(recording.failed_packets, 0, "{}", made.name);
    }
}

#[test]
fn where_padding_is_not_marked_a_length_is_off_by_it_at_most() {
    for made in GAPPED {
        let duration_ms = measured(made.bytes).unwrap().recording.duration_ms as f64;
        let truth = (made.samples * 1_000) as f64 / made.rate_hz as f64;
        // Two packets of AAC; a block of 1,024 bytes of ADPCM at 8 kHz.
        let padding_ms = if made.name == "aac.aac" { 43.0 } else { 260.0 };
        assert!(
            (truth - 1.0..=truth + padding_ms).contains(&duration_ms),
            "{}: {duration_ms} ms",
            made.name
        );
    }
}

#[test]
fn what_warms_a_decoder_up_is_not_heard() {
    // The tone begins at once: were 1,024 frames of AAC left in, 21 ms would be silent.
    for name in ["aac.m4a", "lame.mp3", "opus.ogg", "opus.webm", "opus.mp4"] {
        let silence = measured(made(name)).unwrap().silence;
        assert!(
            silence.lead_ms <= 10 && silence.trail_ms <= 10,
            "{name}: {silence:?}"
        );
    }
}

#[test]
fn the_codec_is_told_and_not_the_name_asked() {
    let codecs = [
        ("aac.m4a", Codec::AacLc),
        ("aac.aac", Codec::AacLc),
        ("alac.m4a", Codec::Alac),
        ("lame.mp3", Codec::Mp3),
        ("opus.webm", Codec::Opus),
        ("vorbis.ogg", Codec::Vorbis),
        ("flac.ogg", Codec::Flac),
        ("pcm.caf", Codec::Pcm),
        ("adpcm.wav", Codec::Adpcm),
    ];
    for (name, codec) in codecs {
        assert_eq!(
            measured(made(name)).unwrap().recording.codec,
            codec,
            "{name}"
        );
    }
}

#[test]
fn silence_around_the_sound_is_measured() {
    let quiet = |seconds: f64| std::iter::repeat_n(0.0, (seconds * 16_000.0) as usize);
    let sound = sine(16_000, 1, 300.0, -20.0, 1.5);
    let bytes = wav(16_000, 1, quiet(0.75).chain(sound).chain(quiet(0.25)));
    let silence = measured(&bytes).unwrap().silence;
    assert_eq!((silence.lead_ms, silence.trail_ms), (750, 250));
    assert!((silence.ratio - 0.4).abs() < 0.01, "{silence:?}");
}

#[test]
fn a_silent_recording_is_silent_from_end_to_end() {
    let silence = measured(&wav(8_000, 1, std::iter::repeat_n(0.0, 12_345)))
        .unwrap()
        .silence;
    assert_eq!((silence.lead_ms, silence.trail_ms), (1_543, 1_543));
    assert!((silence.ratio - 1.0).abs() < f64::EPSILON);
}

#[test]
fn the_bit_rate_is_that_of_the_sound() {
    let bytes = wav(44_100, 2, noise(1, 88_200));
    assert_eq!(
        measured(&bytes).unwrap().recording.bit_rate,
        44_100 * 2 * 16
    );
}
