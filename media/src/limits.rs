//! What a picture may cost. Everything here is compared with what headers claim, before a decoder
//! sees a byte: a decoder's own limits come too late and have holes.

use serde::{Deserialize, Serialize};

use crate::error::RenderError;
use crate::format::Format;
use crate::probe::{Probe, png};

/// The most that one picture may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size of the file. The largest JPEG a phone writes, 64 megapixels at full quality, is about
    /// 40 MB; default 50 MiB.
    pub bytes_max: u64,
    /// Width times height. Default 64 Mi, so that the 64-megapixel phones (9248 by 6936) pass.
    pub pixels_max: u64,
    /// Frames of an animation, or pages. An animation of five minutes has 9,000; default 10,000.
    pub frames_max: u64,
    /// Pixels decoded of an animation in search of a frame that is not blank, over all frames.
    /// After them the first frame is taken. Default 64 Mi, the work of one large picture.
    pub frames_pixels_max: u64,
    /// Scans of a JPEG: each costs a pass over the whole picture. Cameras and encoders write 1 to
    /// about 12; default 32.
    pub scans_max: u64,
    /// Text of a PNG after inflating, over all chunks. A few hundred bytes can inflate to hundreds
    /// of megabytes; default 1 MiB.
    pub text_chunk_bytes_max: u64,
    /// Colour profile, of a PNG after inflating. Those of screens have less than 4 KiB, those of
    /// printing presses up to 3 MiB; default 4 MiB.
    pub profile_bytes_max: u64,
    /// Memory of the decode, as [`Probe::estimated_decode_bytes`] foresees it. Default 256 MiB: a
    /// baseline JPEG or an 8-bit PNG at `pixels_max` just fits.
    pub decode_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MEBI: u64 = 1 << 20;
        Self {
            bytes_max: 50 * MEBI,
            pixels_max: 64 * MEBI,
            frames_max: 10_000,
            frames_pixels_max: 64 * MEBI,
            scans_max: 32,
            text_chunk_bytes_max: MEBI,
            profile_bytes_max: 4 * MEBI,
            decode_bytes_max: 256 * MEBI,
        }
    }
}

impl Limits {
    /// Refuses a file for its size alone, before it is probed.
    pub(crate) fn admit_size(&self, bytes: &[u8]) -> Result<(), RenderError> {
        Quantity::Bytes.within(bytes.len() as u64, self.bytes_max)
    }

    /// Refuses a picture for what its headers claim, before it is decoded.
    pub(crate) fn admit(&self, bytes: &[u8], probe: &Probe) -> Result<(), RenderError> {
        Quantity::Pixels.within(probe.pixels(), self.pixels_max)?;
        Quantity::Frames.within(u64::from(probe.frames), self.frames_max)?;
        Quantity::Scans.within(u64::from(probe.scans), self.scans_max)?;
        Quantity::DecodeBytes.within(probe.estimated_decode_bytes, self.decode_bytes_max)?;
        Quantity::ProfileBytes.within(probe.profile_bytes, self.profile_bytes_max)?;
        if probe.format == Format::Png {
            let limit = self.profile_bytes_max;
            let inflated = png::inflated_profile_bytes(bytes, limit);
            Quantity::ProfileBytes.within(inflated, limit)?;
            let limit = self.text_chunk_bytes_max;
            Quantity::TextBytes.within(png::inflated_text_bytes(bytes, limit), limit)?;
        }
        Ok(())
    }
}

/// What a picture can have too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Bytes of the file.
    Bytes,
    /// Pixels of the picture.
    Pixels,
    /// Frames of an animation, or pages.
    Frames,
    /// Scans of a JPEG.
    Scans,
    /// Bytes of text once inflated.
    TextBytes,
    /// Bytes of the colour profile once inflated.
    ProfileBytes,
    /// Bytes of memory that decoding takes.
    DecodeBytes,
}

impl Quantity {
    pub(crate) fn within(self, got: u64, limit: u64) -> Result<(), RenderError> {
        if got > limit {
            return Err(RenderError::TooLarge {
                what: self,
                got,
                limit,
            });
        }
        Ok(())
    }

    pub(crate) fn reason_code(self) -> &'static str {
        match self {
            Self::Bytes => "too_many_bytes",
            Self::Pixels => "too_many_pixels",
            Self::Frames => "too_many_frames",
            Self::Scans => "too_many_scans",
            Self::TextBytes => "too_many_text_bytes",
            Self::ProfileBytes => "too_many_profile_bytes",
            Self::DecodeBytes => "too_many_decode_bytes",
        }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Pixels => "pixels",
            Self::Frames => "frames",
            Self::Scans => "scans",
            Self::TextBytes => "bytes of inflated text",
            Self::ProfileBytes => "bytes of colour profile",
            Self::DecodeBytes => "bytes of memory to decode",
        })
    }
}
