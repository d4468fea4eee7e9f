//! From packets to samples. A packet that fails costs itself, and is counted.

use symphonia::core::packet::Packet;

use super::probe::Decoder;

/// What a decoder made of a packet.
pub(super) struct Shape {
    pub(super) rate_hz: u32,
    pub(super) channels: usize,
}

impl Decoder {
    /// Decodes a packet into `samples`, interleaved. `None`: the packet failed.
    pub(super) fn decode(&mut self, packet: &Packet, samples: &mut Vec<f32>) -> Option<Shape> {
        samples.clear();
        let shape = match self {
            Self::Opus(opus) => {
                let channels = opus.channels();
                let decoded = opus.decode(&packet.data).ok()?;
                let frames = decoded.len() / channels;
                // The demuxer says what the last packet has too much of; what the first ones have
                // is the header's to say.
                let trim = usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX);
                samples.extend_from_slice(&decoded[..frames.saturating_sub(trim) * channels]);
                Shape {
                    rate_hz: super::opus::RATE_HZ,
                    channels,
                }
            }
            Self::Symphonia(decoder) => {
                let decoded = decoder.decode(packet).ok()?;
                let shape = Shape {
                    rate_hz: decoded.spec().rate(),
                    channels: decoded.spec().channels().count(),
                };
                decoded.copy_to_vec_interleaved(samples);
                shape
            }
        };
        // A damaged packet of floating-point samples can be infinite and would be so for ever after.
        samples
            .iter()
            .all(|sample| sample.is_finite())
            .then_some(shape)
    }
}
