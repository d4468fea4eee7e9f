//! Opus, which the demuxers know and their codecs do not. RFC 7845 says how it is wrapped.

use rusty_opus::OpusDecoder;
use rusty_opus::multistream::OpusMSDecoder;

/// Opus always decodes to this rate, whatever was recorded.
pub(super) const RATE_HZ: u32 = 48_000;

/// 120 ms at 48 kHz: the longest packet.
const FRAMES_MAX: usize = 5_760;

/// What the identification header says (RFC 7845 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) channels: u8,
    /// Frames that only warm the decoder up.
    pub(super) pre_skip: u16,
    /// In 1/256 dB, to be applied by every player.
    gain_q8: i16,
    mapping_family: u8,
}

impl Head {
    pub(super) fn parse(extra_data: &[u8]) -> Option<Self> {
        let head = extra_data.strip_prefix(b"OpusHead")?;
        let [
            version,
            channels,
            skip_low,
            skip_high,
            _,
            _,
            _,
            _,
            gain_low,
            gain_high,
            family,
            ..,
        ] = *head
        else {
            return None;
        };
        // The upper half of the version is the incompatible one.
        (version < 16 && channels > 0).then_some(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip_low, skip_high]),
            gain_q8: i16::from_le_bytes([gain_low, gain_high]),
            mapping_family: family,
        })
    }
}

/// A decoder of one stream.
pub(super) struct Decoder {
    streams: Streams,
    channels: usize,
    gain: f32,
    frame: Vec<f32>,
}

enum Streams {
    One(Box<OpusDecoder>),
    Many(OpusMSDecoder),
}

impl Decoder {
    pub(super) fn new(head: Head) -> Result<Self, String> {
        let channels = usize::from(head.channels);
        let rate = RATE_HZ as i32;
        let streams = match head.mapping_family {
            0 => OpusDecoder::new(rate, channels).map(|one| Streams::One(Box::new(one))),
            1 => OpusMSDecoder::new(rate, channels, 1).map(Streams::Many),
            other => return Err(format!("its Opus channel mapping is of family {other}")),
        };
        Ok(Self {
            streams: streams.map_err(|error| error.to_string())?,
            channels,
            gain: 10_f32.powf(f32::from(head.gain_q8) / (20.0 * 256.0)),
            frame: vec![0.0; FRAMES_MAX * channels],
        })
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes a packet to interleaved samples.
    pub(super) fn decode(&mut self, packet: &[u8]) -> Result<&[f32], &'static str> {
        // The decoder takes no bytes for a lost packet; here it is an empty one.
        if packet.is_empty() {
            return Err("an Opus packet is empty");
        }
        let frames = match &mut self.streams {
            Streams::One(one) => one.decode(packet, FRAMES_MAX, &mut self.frame),
            Streams::Many(many) => many.decode(packet, FRAMES_MAX, &mut self.frame),
        }
        .map_err(|_| "an Opus packet cannot be decoded")?;
        let samples = self
            .frame
            .get_mut(..frames * self.channels)
            .ok_or("an Opus packet is longer than one may be")?;
        if self.gain.to_bits() != 1.0_f32.to_bits() {
            for sample in samples.iter_mut() {
                *sample *= self.gain;
            }
        }
        Ok(samples)
    }
}
