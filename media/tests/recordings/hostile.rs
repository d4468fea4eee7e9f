//! No file makes the engine panic, or work for ever.

use iyagi_media::audio::{AudioLimits, analyse};
use iyagi_media::sniff;

use crate::sample::{GAPPED, MADE, noise, wav, wav_f32};

/// Of each format.
const MUTATIONS: u64 = 10_000;

/// xorshift: the same mutations in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn mutated(original: &[u8], dice: &mut Dice) -> Vec<u8> {
    /// Most of what headers say is in here.
    const HEADERS: usize = 200;
    let mut bytes = original.to_vec();
    for _ in 0..=dice.roll(6) {
        let length = bytes.len();
        let region = if dice.roll(2) == 0 {
            length.min(HEADERS)
        } else {
            length
        };
        let at = dice.roll(region);
        match dice.roll(6) {
            0 => bytes[at] = dice.roll(256) as u8,
            1 => bytes[at] ^= 1 << dice.roll(8),
            2 => {
                let extreme = [0, 1, 0x7f, 0x80, 0xff][dice.roll(5)];
                let end = (at + 4).min(length);
                bytes[at..end].fill(extreme);
            }
            3 => bytes.truncate(at.max(1)),
            4 => {
                let end = (at + dice.roll(64)).min(length);
                bytes.drain(at..end);
            }
            _ => {
                let end = (at + dice.roll(64)).min(length);
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[track_caller]
fn survive(name: &str, original: &[u8]) {
    // Short, so that one mutation that claims an hour costs no minute.
    let limits = AudioLimits {
        duration_s_max: 5,
        ..AudioLimits::default()
    };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut measured, mut refused) = (0, 0);
    for _ in 0..MUTATIONS {
        let bytes = mutated(original, &mut dice);
        let packets = std::cell::Cell::new(0_u64);
        // A count of packets and not a clock, so that the outcome is the same on a slow machine.
        let too_many = || {
            packets.set(packets.get() + 1);
            packets.get() > 100_000
        };
        match analyse(&bytes, &limits, &too_many) {
            Ok(analysis) => {
                measured += 1;
                let longest_ms = limits.longest_ms();
                assert!(analysis.recording.duration_ms <= longest_ms, "{name}");
                assert!(analysis.delivery.gain_db.is_finite(), "{name}");
            }
            Err(error) => {
                refused += 1;
                assert!(error.deterministic(), "{name} went on and on");
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert_eq!(measured + refused, MUTATIONS);
    assert!(refused > 0, "{name}: nothing was ever refused");
}

macro_rules! survives {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            survive($name, crate::sample::made($name));
        }
    )*};
}

survives! {
    damaged_aac_in_mpeg_4_is_survived: "aac.m4a",
    damaged_alac_is_survived: "alac.m4a",
    damaged_fragmented_mpeg_4_is_survived: "fragmented.mp4",
    damaged_adts_is_survived: "aac.aac",
    damaged_mp3_is_survived: "lame.mp3",
    damaged_opus_in_ogg_is_survived: "opus.ogg",
    damaged_opus_in_webm_is_survived: "opus.webm",
    damaged_vorbis_is_survived: "vorbis.ogg",
    damaged_flac_is_survived: "flac.flac",
    damaged_flac_in_ogg_is_survived: "flac.ogg",
    damaged_aiff_is_survived: "pcm.aiff",
    damaged_caf_is_survived: "pcm.caf",
    damaged_adpcm_is_survived: "adpcm.wav",
}

#[test]
fn a_damaged_wave_is_survived() {
    survive("pcm.wav", &wav(8_000, 2, noise(1, 4_000)));
    survive("float.wav", &wav_f32(8_000, 1, noise(1, 2_000)));
}

#[test]
fn random_bytes_after_any_beginning_are_survived() {
    let mut dice = Dice(42);
    for made in MADE.iter().chain(GAPPED) {
        for kept in [4, 12, 40, 100] {
            let mut bytes = made.bytes[..kept].to_vec();
            bytes.extend((0..2_000).map(|_| dice.roll(256) as u8));
            let _ = sniff(&bytes);
            let _ = analyse(&bytes, &AudioLimits::default(), &|| false);
        }
    }
}

#[test]
fn infinite_samples_are_lost_packets_and_not_infinite_loudness() {
    let broken = [f64::INFINITY, f64::NAN, f64::NEG_INFINITY, 1e38];
    let bytes = wav_f32(
        48_000,
        1,
        noise(1, 96_000).chain(broken).chain(noise(2, 96_000)),
    );
    let Ok(analysis) = analyse(&bytes, &AudioLimits::default(), &|| false) else {
        return;
    };
    assert!(analysis.recording.failed_packets > 0);
    assert!(analysis.loudness.integrated_lufs.unwrap().is_finite());
}
