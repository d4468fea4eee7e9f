//! Recordings made for the tests, and those that `make.sh` made.

use std::f64::consts::TAU;

use iyagi_media::audio::{Analysis, AudioError, AudioLimits, analyse};

/// A recording of `make.sh`: its name, its bytes, and its samples.
pub(crate) struct Made {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
    pub(crate) samples: u64,
    pub(crate) rate_hz: u64,
}

macro_rules! made {
    ($name:literal, $samples:literal, $rate_hz:literal) => {
        Made {
            name: $name,
            bytes: include_bytes!(concat!("files/", $name)),
            samples: $samples,
            rate_hz: $rate_hz,
        }
    };
}

/// All of them. Sound that knows no gaps of its own (ADTS, ADPCM) is in [`GAPPED`].
pub(crate) const MADE: &[Made] = &[
    made!("aac.m4a", 33_333, 48_000),
    made!("aac-44100.m4a", 33_333, 48_000),
    made!("alac.m4a", 5_555, 8_000),
    made!("fragmented.mp4", 33_333, 48_000),
    made!("lame.mp3", 33_333, 48_000),
    made!("opus.ogg", 33_333, 48_000),
    made!("opus.webm", 33_333, 48_000),
    made!("opus.mp4", 33_333, 48_000),
    made!("vorbis.ogg", 33_333, 48_000),
    made!("flac.flac", 5_555, 8_000),
    made!("flac.ogg", 5_555, 8_000),
    made!("pcm.aiff", 5_555, 8_000),
    made!("pcm.caf", 5_555, 8_000),
];

/// Their format has no place to say which frames are padding.
pub(crate) const GAPPED: &[Made] = &[
    made!("aac.aac", 33_333, 48_000),
    made!("adpcm.wav", 5_555, 8_000),
];

pub(crate) fn made(name: &str) -> &'static [u8] {
    MADE.iter()
        .chain(GAPPED)
        .find(|made| made.name == name)
        .unwrap()
        .bytes
}

pub(crate) fn measured(bytes: &[u8]) -> Result<Analysis, AudioError> {
    analyse(bytes, &AudioLimits::default(), &|| false)
}

/// A WAVE of 16 bits.
pub(crate) fn wav(
    rate_hz: u32,
    channels: u16,
    interleaved: impl IntoIterator<Item = f64>,
) -> Vec<u8> {
    let data: Vec<u8> = interleaved
        .into_iter()
        .flat_map(|level| {
            ((level * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).to_le_bytes()
        })
        .collect();
    wav_of(1, 16, rate_hz, channels, &data)
}

/// A WAVE of floating point, which holds more than full scale.
pub(crate) fn wav_f32(
    rate_hz: u32,
    channels: u16,
    interleaved: impl IntoIterator<Item = f64>,
) -> Vec<u8> {
    let data: Vec<u8> = interleaved
        .into_iter()
        .flat_map(|level| (level as f32).to_le_bytes())
        .collect();
    wav_of(3, 32, rate_hz, channels, &data)
}

fn wav_of(kind: u16, bits: u16, rate_hz: u32, channels: u16, data: &[u8]) -> Vec<u8> {
    let frame = channels * bits / 8;
    [
        b"RIFF",
        &(36 + data.len() as u32).to_le_bytes()[..],
        b"WAVEfmt \x10\0\0\0",
        &kind.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * u32::from(frame)).to_le_bytes(),
        &frame.to_le_bytes(),
        &bits.to_le_bytes(),
        b"data",
        &(data.len() as u32).to_le_bytes(),
        data,
    ]
    .concat()
}

/// A sine in each of the channels, `dbfs` its peak.
pub(crate) fn sine(
    rate_hz: u32,
    channels: usize,
    frequency: f64,
    dbfs: f64,
    seconds: f64,
) -> impl Iterator<Item = f64> {
    let level = 10_f64.powf(dbfs / 20.0);
    let frames = (seconds * f64::from(rate_hz)) as u64;
    (0..frames).flat_map(move |n| {
        let sample = level * (TAU * frequency * n as f64 / f64::from(rate_hz)).sin();
        std::iter::repeat_n(sample, channels)
    })
}

/// Seeded noise between -1 and 1.
pub(crate) fn noise(seed: u64, count: usize) -> impl Iterator<Item = f64> {
    let mut state = seed | 1;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    })
}
