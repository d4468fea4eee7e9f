//! What a recording may cost. Headers are compared with it before a decoder sees a byte; what they
//! do not tell, or tell wrongly, is compared while decoding.

use serde::{Deserialize, Serialize};

use crate::audio::error::AudioError;

/// The most that one recording may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AudioLimits {
    /// Size of the file. An hour of AAC at 256 kbit/s is 115 MB; default 128 MiB.
    pub bytes_max: u64,
    /// Length in seconds, and half a second more: most codecs add to what was recorded. Default 3,600, an hour.
    pub duration_s_max: u64,
    /// Channels. Default 8: 7.1 surround.
    pub channels_max: u64,
    /// Lowest sample rate in Hz. Default 8,000, a telephone's.
    pub sample_rate_hz_min: u32,
    /// Highest sample rate in Hz. Default 192,000.
    pub sample_rate_hz_max: u32,
    /// Size of an MPEG-4 file's index, which is kept in memory. An hour's is about 2 MB; default
    /// 16 MiB.
    pub index_bytes_max: u64,
    /// Packets of 100 that may fail to decode. Default 5.
    pub failed_packets_percent_max: u64,
}

impl Default for AudioLimits {
    fn default() -> Self {
        const MEBI: u64 = 1 << 20;
        Self {
            bytes_max: 128 * MEBI,
            duration_s_max: 3_600,
            channels_max: 8,
            sample_rate_hz_min: 8_000,
            sample_rate_hz_max: 192_000,
            index_bytes_max: 16 * MEBI,
            failed_packets_percent_max: 5,
        }
    }
}

/// What may be before and behind what was recorded: AAC adds some three thousand samples, at 8,000 Hz 0.4 s.
const ADDED_MS: u64 = 500;

impl AudioLimits {
    /// The length of what is just not refused, in milliseconds.
    pub fn longest_ms(&self) -> u64 {
        let seconds = self.duration_s_max;
        seconds.saturating_mul(1_000).saturating_add(ADDED_MS)
    }

    /// Refuses a sample rate or a number of channels, as claimed or as decoded.
    pub(super) fn admit_shape(&self, rate: u32, channels: usize) -> Result<(), AudioError> {
        AudioQuantity::Channels.within(channels as u64, self.channels_max)?;
        let (min, max) = (self.sample_rate_hz_min, self.sample_rate_hz_max);
        // Zero is never a rate, whatever the configuration says: lengths are divided by it.
        if rate == 0 || !(min..=max).contains(&rate) {
            let got = rate;
            return Err(AudioError::SampleRate { got, min, max });
        }
        Ok(())
    }

    /// Refuses a length in samples of one channel, as claimed or as decoded.
    pub(super) fn admit_length(&self, frames: u64, rate: u32) -> Result<(), AudioError> {
        let rate = u64::from(rate.max(1));
        let recorded = frames.saturating_sub(rate * ADDED_MS / 1_000);
        AudioQuantity::Seconds.within(recorded.div_ceil(rate), self.duration_s_max)
    }
}

/// What a recording can have too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioQuantity {
    /// Bytes of the file.
    Bytes,
    /// Seconds of sound.
    Seconds,
    /// Channels.
    Channels,
    /// Bytes of the index of an MPEG-4 file.
    IndexBytes,
}

impl AudioQuantity {
    pub(super) fn within(self, got: u64, limit: u64) -> Result<(), AudioError> {
        if got > limit {
            return Err(AudioError::TooLarge {
                what: self,
                got,
                limit,
            });
        }
        Ok(())
    }

    pub(super) fn reason_code(self) -> &'static str {
        match self {
            Self::Bytes => "too_many_bytes",
            Self::Seconds => "too_long",
            Self::Channels => "too_many_channels",
            Self::IndexBytes => "too_many_index_bytes",
        }
    }
}

impl std::fmt::Display for AudioQuantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Channels => "channels",
            Self::IndexBytes => "bytes of index",
        })
    }
}
