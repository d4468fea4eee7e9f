//! What costs too much is refused, before it costs.

use std::cell::Cell;

use iyagi_media::audio::{AudioError, AudioLimits, AudioQuantity, analyse};

use crate::sample::{MADE, made, measured, noise, sine, wav};

#[track_caller]
fn refused(bytes: &[u8], limits: &AudioLimits) -> AudioError {
    analyse(bytes, limits, &|| false).unwrap_err()
}

/// Refused before a packet was asked for.
#[track_caller]
fn refused_unheard(bytes: &[u8], limits: &AudioLimits) -> AudioError {
    let asked = Cell::new(false);
    let error = analyse(bytes, limits, &|| {
        asked.set(true);
        false
    })
    .unwrap_err();
    assert!(!asked.get(), "{error} was found while decoding");
    error
}

#[test]
fn a_header_that_claims_ten_hours_is_refused_before_decoding() {
    let mut bytes = made("aac.m4a").to_vec();
    // The table of sample lengths says how many samples there are of which length.
    let stts = bytes
        .windows(4)
        .position(|window| window == b"stts")
        .unwrap();
    bytes[stts + 12..stts + 16].copy_from_slice(&(10 * 3_600 * 48_u32).to_be_bytes());
    bytes[stts + 16..stts + 20].copy_from_slice(&1_000_u32.to_be_bytes());
    let error = refused_unheard(&bytes, &AudioLimits::default());
    assert!(matches!(
        error,
        AudioError::TooLarge {
            what: AudioQuantity::Seconds,
            limit: 3_600,
            ..
        }
    ));
    assert_eq!(error.reason_code(), "too_long");
}

#[test]
fn a_length_that_no_header_tells_is_refused_when_it_is_reached() {
    let limits = AudioLimits {
        duration_s_max: 0,
        ..AudioLimits::default()
    };
    for name in ["opus.webm", "aac.aac", "lame.mp3"] {
        let error = refused(made(name), &limits);
        assert_eq!(error.reason_code(), "too_long", "{name}");
    }
}

#[test]
fn a_recording_as_long_as_may_be_is_not_refused_for_what_its_codec_adds() {
    let limits = AudioLimits {
        duration_s_max: 1,
        ..AudioLimits::default()
    };
    let of_samples = |samples| wav(8_000, 1, noise(1, samples));
    let longest = analyse(&of_samples(12_000), &limits, &|| false).unwrap();
    assert_eq!(longest.recording.duration_ms, limits.longest_ms());
    let error = refused_unheard(&of_samples(12_001), &limits);
    let (what, got, limit) = (AudioQuantity::Seconds, 2, 1);
    assert_eq!(error, AudioError::TooLarge { what, got, limit });
}

#[test]
fn bytes_channels_and_rate_are_refused_before_decoding() {
    let small = AudioLimits {
        bytes_max: 1_000,
        ..AudioLimits::default()
    };
    let code = |bytes: &[u8], limits: &AudioLimits| refused_unheard(bytes, limits).reason_code();
    assert_eq!(code(made("opus.ogg"), &small), "too_many_bytes");
    let default = AudioLimits::default();
    assert_eq!(
        code(&wav(48_000, 9, noise(1, 900)), &default),
        "too_many_channels"
    );
    for rate in [4_000, 384_000] {
        let bytes = wav(rate, 1, noise(1, 900));
        assert_eq!(code(&bytes, &default), "sample_rate_out_of_range");
    }
    let index = AudioLimits {
        index_bytes_max: 100,
        ..AudioLimits::default()
    };
    assert_eq!(code(made("aac.m4a"), &index), "too_many_index_bytes");
}

#[test]
fn what_is_no_recording_is_told_so() {
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
    for (bytes, code) in [
        (&b""[..], "empty"),
        (b"hello, this is a text", "not_a_recording"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not_a_recording"),
        (svg, "not_a_recording"),
        (b"#!AMR\n\x3c\x91\x17\x16", "unsupported_format"),
        (b"OggS\0\x02 and nothing of the kind", "corrupt"),
    ] {
        let error = refused(bytes, &AudioLimits::default());
        assert_eq!(error.reason_code(), code, "{error}");
        assert!(error.deterministic());
    }
}

#[test]
fn amr_and_he_aac_say_what_to_do_instead() {
    let mut amr = made("aac.m4a").to_vec();
    let entry = amr.windows(4).position(|window| window == b"mp4a").unwrap();
    amr[entry..entry + 4].copy_from_slice(b"samr");
    let mut he_aac = made("aac.m4a").to_vec();
    // 05, then its length, then the configuration: AAC-LC at 48 kHz, mono.
    let lc = [0x11, 0x88];
    let config = he_aac.windows(2).position(|window| window == lc).unwrap();
    he_aac[config..config + 2].copy_from_slice(&[0x29, 0x88]);
    for (bytes, name) in [(amr, "AMR"), (he_aac, "HE-AAC")] {
        let error = refused(&bytes, &AudioLimits::default());
        let text = error.to_string();
        assert_eq!(error.reason_code(), "unsupported_format", "{text}");
        assert!(text.contains(name) && text.contains("ffmpeg"), "{text}");
    }
}

#[test]
fn a_truncated_recording_is_refused_with_a_reason() {
    for name in ["aac.m4a", "flac.flac", "pcm.aiff", "alac.m4a"] {
        let bytes = made(name);
        let error = measured(&bytes[..bytes.len() / 2]).unwrap_err();
        assert_eq!(error.reason_code(), "corrupt", "{name}");
        assert!(error.to_string().contains("cut short"), "{name}: {error}");
    }
    let whole = wav(48_000, 1, sine(48_000, 1, 440.0, -12.0, 1.0));
    let error = measured(&whole[..whole.len() / 2]).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
}

#[test]
fn a_wave_made_on_a_pipe_is_as_long_as_it_is() {
    let mut bytes = wav(48_000, 1, sine(48_000, 1, 440.0, -12.0, 1.0));
    bytes[4..8].copy_from_slice(&[0xff; 4]);
    bytes[40..44].copy_from_slice(&[0xff; 4]);
    assert_eq!(measured(&bytes).unwrap().recording.duration_ms, 1_000);
}

#[test]
fn too_many_damaged_packets_are_refused_and_few_are_counted() {
    // A lacing value says how long an Ogg packet is; the bytes of packets are at the end of pages.
    let bytes = made("opus.ogg");
    let mut damaged = bytes.to_vec();
    let pages: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| bytes[*at..].starts_with(b"OggS"))
        .collect();
    let sound = *pages.last().unwrap();
    let segments = usize::from(bytes[sound + 26]);
    let mut at = sound + 27 + segments;
    // Every second packet but the last, which says how much of it is padding: frames of unequal length whose first length is beyond the end.
    for (n, length) in bytes[sound + 27..sound + 27 + segments].iter().enumerate() {
        let length = usize::from(*length);
        if n % 2 == 1 && n + 1 < segments && length > 2 {
            damaged[at] |= 3;
            damaged[at + 1] = 0;
        }
        at += length;
    }
    set_ogg_checksum(&mut damaged[sound..]);
    let error = measured(&damaged).unwrap_err();
    assert_eq!(error.reason_code(), "damaged", "{error}");
    let lenient = AudioLimits {
        failed_packets_percent_max: 60,
        ..AudioLimits::default()
    };
    let analysis = analyse(&damaged, &lenient, &|| false).unwrap();
    assert!(analysis.recording.failed_packets > 10);
    // Silence stands for what was lost, so that the rest stays where it was: to a packet, because a
    // page's padding cannot be told once the length of its packets cannot.
    let duration_ms = analysis.recording.duration_ms;
    assert!((694..=714).contains(&duration_ms), "{duration_ms}");
}

/// The checksum of a page of Ogg (RFC 3533 §6).
fn set_ogg_checksum(page: &mut [u8]) {
    page[22..26].fill(0);
    let checksum = page.iter().fold(0_u32, |checksum, byte| {
        (0..8).fold(checksum ^ u32::from(*byte) << 24, |checksum, _| {
            checksum << 1 ^ if checksum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_deadline_stops_the_work_at_the_next_packet() {
    for made in MADE {
        let asked = Cell::new(0);
        let error = analyse(made.bytes, &AudioLimits::default(), &|| {
            asked.set(asked.get() + 1);
            asked.get() > 2
        })
        .unwrap_err();
        assert_eq!(error, AudioError::Cancelled, "{}", made.name);
        assert_eq!(asked.get(), 3, "{}", made.name);
        assert!(!error.deterministic());
    }
}
