//! Pictures in HEIF (ISO/IEC 23008-12): AVIF, which is coded as AV1, and HEIC, as HEVC. What is coded is decoded elsewhere, by
//! a program in a process of its own; everything around it is done here: which picture is shown, of which tiles, how
//! transparent, and in which colours.
//!
//! # Layout
//! - `items`, with `reader`: what the file says of the pictures in it
//! - `shown`: the one that is shown
//! - `ivf`, `annex_b`: what the program gets
//! - `assembly`: from what it yields to pixels

mod annex_b;
mod assembly;
mod items;
mod ivf;
mod reader;
mod shown;

use std::borrow::Cow;

use moxcms::ColorProfile;

use self::annex_b::Configuration;
pub use self::assembly::{Assembly, Pixels};
use self::shown::{Nclx, Shown, Tiles};
use crate::error::RenderError;
use crate::format::Format;
use crate::limits::{Limits, Quantity};
use crate::probe::{Fault, Probe};
use crate::render::admitted;

/// What tiles may have together, although the file has less: those that look alike can lie in the same place.
const SHARED_BYTES_MAX: usize = 1 << 20;
/// Sides of the largest blocks that a picture is coded in.
const BLOCK: u64 = 64;
/// Of a Netpbm: its kind, width, height and greatest number, each with what ends it.
const NETPBM_HEADER_BYTES_MAX: u64 = 32;

/// A picture that waits to be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    /// Its colours and, if it has transparency, how opaque it is.
    pub layers: Vec<Coded>,
    /// How they become a picture again.
    pub assembly: Assembly,
}

/// Coded pictures for another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// What they are coded as.
    pub codec: Codec,
    /// They: AV1 in IVF, HEVC as a byte stream.
    pub stream: Vec<u8>,
    /// What their samples are.
    pub samples: Samples,
    /// Pixels of each, with those that fill up its last blocks.
    pub pixels: u64,
    /// The most bytes that they become together, as Netpbm.
    pub decoded_bytes_max: u64,
}

/// What a picture is coded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As in AVIF.
    Av1,
    /// As in HEIC.
    Hevc,
}

/// What the samples of a coded picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// Colours, of which the file may say more than the coded picture, and then counts.
    Colours {
        /// How luma and chroma are made of them.
        matrix: Option<Matrix>,
        /// Whether they go from 0 to the greatest number.
        full_range: Option<bool>,
    },
    /// Shades of grey.
    Greys,
}

/// How luma and chroma are made of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// As for television before HD.
    Bt601,
    /// As for HD.
    Bt709,
    /// As for UHD.
    Bt2020,
}

impl Still {
    /// Takes apart a picture that is whole and within limits. Nothing is decoded.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, RenderError> {
        let format = admitted(bytes, limits)?.format;
        let codec = Codec::of(format).ok_or(RenderError::NotAPicture { found: format })?;
        let shown = Shown::read(bytes, codec).map_err(|fault| fault.of(format))?;
        let nclx = shown.nclx();
        let colours = Samples::Colours {
            matrix: nclx.and_then(|nclx| Matrix::of(nclx.matrix)),
            full_range: nclx.map(|nclx| nclx.full_range),
        };
        let coded = |tiles: &Tiles, samples| {
            let bytes_max = bytes.len().max(SHARED_BYTES_MAX);
            Coded::of(&shown, tiles, samples, bytes_max).ok_or_else(|| RenderError::Corrupt {
                format,
                why: "its tiles are cut short, or have more bytes than all of it".to_owned(),
            })
        };
        let mut layers = vec![coded(&shown.colour, colours)?];
        if let Some(alpha) = &shown.alpha {
            layers.push(coded(alpha, Samples::Greys)?);
        }
        // Tiles may stand over far.
        let decoded = layers.iter().map(|layer| layer.decoded_bytes_max);
        let decoded = decoded.fold(0, u64::saturating_add);
        Quantity::DecodeBytes.within(decoded, limits.decode_bytes_max)?;
        let assembly = Assembly::of(&shown);
        Ok(Self { layers, assembly })
    }
}

impl Coded {
    /// `None` if they have more than `bytes_max` bytes, because some lie in the same place, or if they are cut short.
    fn of(shown: &Shown<'_>, tiles: &Tiles, samples: Samples, bytes_max: usize) -> Option<Self> {
        let items = &shown.items;
        let mut lengths = tiles.items.iter().map(|item| items.length(*item));
        let bytes = lengths.try_fold(0_usize, |bytes, length| bytes.checked_add(length?))?;
        if bytes > bytes_max {
            return None;
        }
        let pictures = tiles.items.iter().map(|item| items.bytes(*item));
        let pictures: Vec<Cow<'_, [u8]>> = pictures.collect::<Option<_>>()?;
        let stream = match shown.codec {
            Codec::Av1 => ivf::file(tiles.size, pictures.iter().map(|picture| &**picture)),
            Codec::Hevc => {
                let configurations = tiles.items.iter().map(|item| {
                    Configuration::read(items.property(*item, Codec::Hevc.configuration())?)
                });
                let configurations = configurations.collect::<Option<Vec<_>>>()?;
                let repeated: usize = configurations.iter().map(Configuration::bytes).sum();
                if repeated > bytes_max {
                    return None;
                }
                let mut stream = Vec::new();
                for (configuration, picture) in configurations.iter().zip(&pictures) {
                    configuration.append(picture, &mut stream)?;
                }
                stream
            }
        };
        let (width, height) = (u64::from(tiles.size.0), u64::from(tiles.size.1));
        let blocks = [width, height].map(|side| side.next_multiple_of(BLOCK));
        let pixels = blocks[0].saturating_mul(blocks[1]);
        let samples_max = pixels.saturating_mul(samples.channels());
        let each = samples_max.saturating_add(NETPBM_HEADER_BYTES_MAX);
        Some(Self {
            codec: shown.codec,
            stream,
            samples,
            pixels,
            decoded_bytes_max: each.saturating_mul(pictures.len() as u64),
        })
    }
}

impl Codec {
    /// That of pictures of a format. `None` for those that are decoded here.
    pub fn of(format: Format) -> Option<Self> {
        match format {
            Format::Avif => Some(Self::Av1),
            Format::Heic => Some(Self::Hevc),
            _ => None,
        }
    }

    /// Names the items that are coded so.
    fn item(self) -> [u8; 4] {
        match self {
            Self::Av1 => *b"av01",
            Self::Hevc => *b"hvc1",
        }
    }

    /// Names the property that says how.
    fn configuration(self) -> [u8; 4] {
        match self {
            Self::Av1 => *b"av1C",
            Self::Hevc => *b"hvcC",
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Av1 => Format::Avif,
            Self::Hevc => Format::Heic,
        }
    }
}

impl Samples {
    fn channels(self) -> u64 {
        match self {
            Self::Colours { .. } => 3,
            Self::Greys => 1,
        }
    }
}

impl Matrix {
    fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Bt709),
            5 | 6 => Some(Self::Bt601),
            9 => Some(Self::Bt2020),
            _ => None,
        }
    }
}

/// What the headers of a picture claim.
pub(crate) fn headers(bytes: &[u8], codec: Codec) -> Result<Probe, Fault> {
    Ok(Shown::read(bytes, codec)?.probe(bytes))
}

/// The colour profile, or one that means the same as the numbers in its place (ITU-T H.273 §8.1).
pub(crate) fn profile(bytes: &[u8], codec: Codec) -> Option<Vec<u8>> {
    let shown = Shown::read(bytes, codec).ok()?;
    if let Some(profile) = shown.profile() {
        return Some(profile.to_vec());
    }
    let Nclx { primaries, .. } = shown.nclx()?;
    let profile = match primaries {
        9 => ColorProfile::new_bt2020(),
        12 => ColorProfile::new_display_p3(),
        _ => return None,
    };
    profile.encode().ok()
}

#[cfg(test)]
mod tests;
