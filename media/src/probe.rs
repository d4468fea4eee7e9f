//! What a picture claims, from its headers alone. Nothing is decoded, and what is allocated is bounded by the file, so
//! a probe costs the same whether the claims are honest or not.

mod bmp;
mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod tiff;
mod webp;

use image::metadata::Orientation;
use serde::Serialize;

use crate::error::ProbeError;
use crate::format::{Format, sniff};
use crate::heif::{self, Codec};

/// What the headers of a picture claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What it is, by content.
    pub format: Format,
    /// Width as stored, before [`orientation`](Self::orientation) is applied.
    pub width: u32,
    /// Height as stored, before [`orientation`](Self::orientation) is applied.
    pub height: u32,
    /// Frames: 1 for a still picture, else as many as counted or declared.
    pub frames: u32,
    /// Whether it has more than one frame.
    pub animated: bool,
    /// Bits of one channel as stored.
    pub bits_per_channel: u8,
    /// How colours are stored.
    pub colour: Colour,
    /// Whether pixels may be transparent.
    pub alpha: bool,
    /// EXIF orientation, 1 to 8; 1 when there is none or it makes no sense.
    pub orientation: u8,
    /// Scans of a JPEG, 1 for any other format.
    pub scans: u32,
    /// Bytes of the colour profile as stored; 0 if there is none.
    pub profile_bytes: u64,
    /// Whether the file goes on to its own end. A truncated one does not.
    pub complete: bool,
    /// Memory that decoding takes at its peak, as foreseen.
    pub estimated_decode_bytes: u64,
}

impl Probe {
    /// Returns width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Returns width and height as a viewer sees them, orientation applied.
    pub fn upright(&self) -> (u32, u32) {
        self.turned((self.width, self.height))
    }

    /// A size as stored for one as seen, or the other way round.
    pub(crate) fn turned(&self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.orientation >= 5 {
            (height, width)
        } else {
            (width, height)
        }
    }
}

/// How a file stores colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Shades of grey.
    Gray,
    /// Red, green and blue, or luma and chroma made of them.
    Rgb,
    /// A palette of colours.
    Indexed,
    /// Four inks, as printers use.
    Cmyk,
}

/// Reads the headers of a picture.
pub fn probe(bytes: &[u8]) -> Result<Probe, ProbeError> {
    if bytes.is_empty() {
        return Err(ProbeError::Empty);
    }
    let format = sniff(bytes);
    let unsupported = |why: &str| ProbeError::Unsupported {
        format,
        why: why.to_owned(),
    };
    let headers = match format {
        Format::Jpeg => jpeg::headers(bytes),
        Format::Png => png::headers(bytes).map_err(Fault::Corrupt),
        Format::WebP => webp::headers(bytes).map_err(Fault::Corrupt),
        Format::Gif => gif::headers(bytes).map_err(Fault::Corrupt),
        Format::Bmp => bmp::headers(bytes).map_err(Fault::Corrupt),
        Format::Tiff => tiff::headers(bytes),
        Format::Avif => heif::headers(bytes, Codec::Av1),
        Format::Heic => heif::headers(bytes, Codec::Hevc),
        Format::Svg => {
            return Err(unsupported(
                "a drawing can run scripts; upload a picture of it",
            ));
        }
        found => return Err(ProbeError::NotAPicture { found }),
    };
    let probe = headers.map_err(|fault| fault.of(format))?;
    if probe.pixels() == 0 {
        let why = "its width or height is 0".to_owned();
        return Err(ProbeError::Corrupt { format, why });
    }
    Ok(probe)
}

/// The embedded colour profile of a picture that was probed, inflated to `limit` bytes at most.
pub(crate) fn profile(bytes: &[u8], probe: &Probe, limit: u64) -> Option<Vec<u8>> {
    match probe.format {
        _ if probe.profile_bytes == 0 => None,
        Format::Jpeg => jpeg::profile(bytes),
        Format::Png => png::profile(bytes, limit),
        Format::WebP => webp::profile(bytes),
        Format::Tiff => tiff::profile(bytes),
        Format::Avif => heif::profile(bytes, Codec::Av1),
        Format::Heic => heif::profile(bytes, Codec::Hevc),
        _ => None,
    }
}

/// What is wrong with headers, apart from whose they are.
pub(crate) enum Fault {
    Corrupt(&'static str),
    Unsupported(&'static str),
}

impl Fault {
    /// In a file of that format.
    pub(crate) fn of(self, format: Format) -> ProbeError {
        match self {
            Self::Corrupt(why) => ProbeError::Corrupt {
                format,
                why: why.to_owned(),
            },
            Self::Unsupported(why) => ProbeError::Unsupported {
                format,
                why: why.to_owned(),
            },
        }
    }
}

/// The EXIF orientation in a TIFF structure, 1 if there is none or it is nonsense.
fn orientation(exif: &[u8]) -> u8 {
    // Some writers of WebP keep the prefix that only JPEG needs.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).map_or(1, Orientation::to_exif)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn be_u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}
