//! Recordings of one sound among others: found by their sketches, and told from the rest.

use std::f64::consts::TAU;

use fastrand::Rng;
use iyagi_media::audio::{Fingerprint, Likeness};
use rusty_opus::{Application, OpusEncoder};

use crate::sample::{measured, wav};

const SPOKEN: u64 = 10;
const SECONDS: f64 = 10.0;

/// Something that is spoken, as a function of time: syllables of voice or breath, each with formants of its own.
struct Speech(Vec<Syllable>);

struct Syllable {
    begins_s: f64,
    ends_s: f64,
    partials: Vec<Partial>,
}

struct Partial {
    frequency: f64,
    /// By how much the frequency moves in a second, as a share of it.
    glide: f64,
    level: f64,
    phase: f64,
}

impl Speech {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let pitch = 90.0 + 140.0 * random.f64();
        let mut syllables = Vec::new();
        let mut at = 0.0;
        while at < SECONDS {
            let length = 0.12 + 0.2 * random.f64();
            // One in six is a pause.
            if random.u8(0..6) > 0 {
                syllables.push(Syllable {
                    begins_s: at,
                    ends_s: at + length,
                    partials: partials(&mut random, pitch),
                });
            }
            at += length;
        }
        Self(syllables)
    }

    /// The samples from `begins_s` to the end, at a rate and a level.
    fn samples(&self, rate_hz: u32, begins_s: f64, level: f64) -> Vec<f64> {
        let rate = f64::from(rate_hz);
        let first = (begins_s * rate) as u64;
        let mut samples = vec![0.0; (SECONDS * rate) as usize - first as usize];
        for (at, sample) in samples.iter_mut().enumerate() {
            let now = (first + at as u64) as f64 / rate;
            let next = self.0.partition_point(|syllable| syllable.ends_s <= now);
            let syllable = self.0.get(next);
            *sample = level * syllable.map_or(0.0, |syllable| syllable.at(now));
        }
        samples
    }
}

impl Syllable {
    fn at(&self, now: f64) -> f64 {
        if now < self.begins_s {
            return 0.0;
        }
        let time = now - self.begins_s;
        let envelope = (time.min(self.ends_s - now) / 0.03).min(1.0);
        let partials = self.partials.iter();
        let sum: f64 = partials.map(|partial| partial.at(time)).sum();
        envelope * sum
    }
}

impl Partial {
    fn at(&self, time: f64) -> f64 {
        let cycles = self.frequency * (time + 0.5 * self.glide * time * time);
        self.level * (TAU * cycles + self.phase).sin()
    }
}

fn partials(random: &mut Rng, pitch: f64) -> Vec<Partial> {
    /// Below half of the lowest sample rate, so that the sound is the same at any.
    const HIGHEST_HZ: f64 = 3_400.0;
    let breath = random.u8(0..5) == 0;
    let pitch = pitch * (0.85 + 0.3 * random.f64());
    let glide = 0.6 * (random.f64() - 0.5);
    let formants = [
        250.0 + 600.0 * random.f64(),
        850.0 + 1_500.0 * random.f64(),
        2_300.0 + 800.0 * random.f64(),
    ];
    let frequencies: Vec<f64> = if breath {
        (0..40).map(|_| 1_500.0 + 1_800.0 * random.f64()).collect()
    } else {
        let harmonics = (HIGHEST_HZ / (pitch * 1.1)) as u32;
        (1..=harmonics).map(|n| pitch * f64::from(n)).collect()
    };
    let mut partial = |frequency: f64| {
        let resonance = |formant: f64| 1.0 / (1.0 + ((frequency - formant) / 90.0).powi(2));
        Partial {
            frequency,
            glide,
            level: 0.12 * formants.map(resonance).iter().sum::<f64>() + 0.002,
            phase: TAU * random.f64(),
        }
    };
    frequencies.into_iter().map(&mut partial).collect()
}

/// Ogg Opus of samples at 16 kHz.
fn opus(samples: &[f64], bits_a_second: i32) -> Vec<u8> {
    const FRAME: usize = 320;
    let mut encoder = OpusEncoder::new(16_000, 1, Application::Voip).unwrap();
    encoder.bitrate_bps = bits_a_second;
    let head = b"OpusHead\x01\x01\x38\x01\x80\x3e\0\0\0\0\0";
    let mut file = page(2, 0, 0, head);
    file.extend(page(0, 0, 1, b"OpusTags\0\0\0\0\0\0\0\0"));
    let frames: Vec<_> = samples.chunks(FRAME).collect();
    for (number, frame) in frames.iter().enumerate() {
        let mut frame: Vec<f32> = frame.iter().map(|sample| *sample as f32).collect();
        frame.resize(FRAME, 0.0);
        let mut packet = [0; 1_275];
        let length = encoder.encode(&frame, FRAME, &mut packet).unwrap();
        let last = if number + 1 == frames.len() { 4 } else { 0 };
        // In samples at 48 kHz, as always.
        let granule = (number as u64 + 1) * 960;
        file.extend(page(last, granule, number as u32 + 2, &packet[..length]));
    }
    file
}

/// A page of Ogg with one packet (RFC 3533 §6).
fn page(kind: u8, granule: u64, number: u32, packet: &[u8]) -> Vec<u8> {
    let mut lacing = vec![255; packet.len() / 255];
    lacing.push((packet.len() % 255) as u8);
    let mut page = [
        b"OggS\0",
        &[kind][..],
        &granule.to_le_bytes(),
        &7_u32.to_le_bytes(),
        &number.to_le_bytes(),
        &[0; 4],
        &[lacing.len() as u8],
        &lacing,
        packet,
    ]
    .concat();
    let checksum = page.iter().fold(0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
    page
}

fn fingerprint(bytes: &[u8]) -> Fingerprint {
    measured(bytes).unwrap().fingerprint
}

/// What becomes of a recording on its way: its name, how much of its beginning is missing, and the copy.
fn copies(speech: &Speech) -> Vec<(&'static str, f64, Fingerprint)> {
    let at = |rate, begins_s, level| wav(rate, 1, speech.samples(rate, begins_s, level));
    let whole = speech.samples(16_000, 0.0, 1.0);
    let rest = speech.samples(16_000, 1.06, 0.5);
    vec![
        ("quieter", 0.0, fingerprint(&at(16_000, 0.0, 0.2))),
        ("cut", 1.0, fingerprint(&at(16_000, 1.0, 1.0))),
        ("at 8 kHz", 0.0, fingerprint(&at(8_000, 0.0, 1.0))),
        ("at 22 kHz", 0.0, fingerprint(&at(22_050, 0.0, 1.0))),
        ("Opus 16k", 0.0, fingerprint(&opus(&whole, 16_000))),
        ("cut, Opus 24k", 1.06, fingerprint(&opus(&rest, 24_000))),
    ]
}

fn shared(one: &[u32], other: &[u32]) -> usize {
    one.iter().filter(|value| other.contains(value)).count()
}

#[test]
fn copies_are_found_among_others_and_others_are_told_apart() {
    let spoken: Vec<Speech> = (0..SPOKEN).map(Speech::new).collect();
    let originals: Vec<Fingerprint> = spoken
        .iter()
        .map(|speech| fingerprint(&wav(16_000, 1, speech.samples(16_000, 0.0, 1.0))))
        .collect();
    let sketches: Vec<Vec<u32>> = originals.iter().map(Fingerprint::sketch).collect();
    let (mut copied, mut lost, mut others, mut looked_at) = (0, Vec::new(), 0, 0);
    for (number, speech) in spoken.iter().enumerate() {
        for (name, missing_s, copy) in copies(speech) {
            copied += 1;
            let sketch = copy.sketch();
            assert!(sketch.len() <= 24, "{} values", sketch.len());
            for (other, original) in originals.iter().enumerate() {
                let found = shared(&sketch, &sketches[other]) > 0;
                let likeness = copy.likeness(original);
                if other != number {
                    others += 1;
                    looked_at += usize::from(found);
                    let similarity = likeness.map_or(0.0, |likeness| likeness.similarity);
                    assert!(similarity < 0.3, "{name} {number} is {other}: {similarity}");
                    continue;
                }
                let same = |Likeness {
                                similarity,
                                offset_s,
                            }| {
                    similarity > 0.8 && (offset_s - missing_s).abs() < 0.13
                };
                if !found || !likeness.is_some_and(same) {
                    lost.push((name, number, found, likeness));
                }
            }
        }
    }
    println!("{copied} copies, lost {lost:?}; of {others} others {looked_at} share a value");
    assert!(lost.len() * 50 <= copied, "of {copied} copies: {lost:?}");
    assert!(looked_at * 50 <= others, "{looked_at} of {others}");
}

#[test]
fn what_says_too_little_has_no_sketch_or_a_small_one() {
    let speech = Speech::new(1);
    let short: Vec<f64> = speech.samples(8_000, SECONDS - 4.0, 1.0);
    let short = fingerprint(&wav(8_000, 1, short));
    assert!(short.sketch().is_empty());
    // Too short to say that it is the same, even as itself.
    assert_eq!(short.likeness(&short), None);
    let ringing = (0..8_000 * 20).map(|n| {
        let time = f64::from(n) / 8_000.0;
        0.2 * ((TAU * 440.0 * time).sin() + (TAU * 480.0 * time).sin())
    });
    let ringing = fingerprint(&wav(8_000, 1, ringing)).sketch();
    assert!(ringing.len() < 24, "{} values", ringing.len());
}
