//! The markers of a JPEG. All of them are walked, to its end, because the number of scans is a cost
//! that no header declares.

use memchr::memchr;

use super::{Colour, Fault, Probe, be_u16, orientation};
use crate::format::Format;

pub(super) fn headers(bytes: &[u8]) -> Result<Probe, Fault> {
    let mut frame = None;
    let mut upright = None;
    let mut scans = 0;
    let mut profile_bytes = 0;
    let mut complete = false;
    let mut at = 2;
    while let Some((marker, payload)) = next_marker(bytes, at) {
        at = payload;
        match marker {
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 => {
                complete = true;
                break;
            }
            _ => {}
        }
        let Some(segment) = segment(bytes, payload) else {
            break;
        };
        at += 2 + segment.len();
        match marker {
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf if frame.is_none() => frame = Some(Frame::read(marker, segment)?),
            0xda => scans += 1,
            0xe2 => profile_bytes += profile_len(marker, segment),
            0xe1 if upright.is_none() && segment.starts_with(b"Exif\0\0") => {
                upright = Some(orientation(segment));
            }
            _ => {}
        }
    }
    let frame = frame.ok_or(Fault::Corrupt("it ends before it says its size"))?;
    Ok(Probe {
        format: Format::Jpeg,
        width: u32::from(frame.width),
        height: u32::from(frame.height),
        frames: 1,
        animated: false,
        bits_per_channel: frame.bits,
        colour: frame.colour,
        alpha: false,
        orientation: upright.unwrap_or(1),
        scans,
        profile_bytes,
        complete: complete && scans > 0,
        estimated_decode_bytes: frame.decode_bytes(scans) + bytes.len() as u64,
    })
}

/// The next marker at or after `at`, and where its payload begins. Skips entropy-coded data, in
/// which 0xff is always followed by 0, and fill bytes.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += memchr(0xff, bytes.get(at..)?)? + 1;
        match *bytes.get(at)? {
            0x00 | 0xff => {}
            marker => return Some((marker, at + 1)),
        }
    }
}

/// Markers and data of the segments before the first scan.
pub(crate) fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const START_OF_SCAN: u8 = 0xda;
    let mut at = 2;
    std::iter::from_fn(move || {
        let (marker, payload) = next_marker(bytes, at)?;
        let data = segment(bytes, payload)?;
        at = payload + 2 + data.len();
        (marker != START_OF_SCAN).then_some((marker, data))
    })
}

/// Bytes of the colour profile, over all segments that carry a piece of it.
fn profile_len(marker: u8, segment: &[u8]) -> u64 {
    piece_of_profile(marker, segment).map_or(0, |(_, _, data)| data.len() as u64)
}

/// Which piece of a colour profile a segment carries, of how many, and its bytes.
fn piece_of_profile(marker: u8, segment: &[u8]) -> Option<(u8, u8, &[u8])> {
    const APP2: u8 = 0xe2;
    match segment.strip_prefix(b"ICC_PROFILE\0")? {
        [number, count, data @ ..] if marker == APP2 => Some((*number, *count, data)),
        _ => None,
    }
}

/// The colour profile, put together. One that lacks a piece is as good as empty: it is there, and
/// nothing can be done by it.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let pieces = || segments(bytes).filter_map(|(marker, data)| piece_of_profile(marker, data));
    let (_, count, _) = pieces().next()?;
    let mut whole = Vec::new();
    for wanted in 1..=count {
        match pieces().find(|(number, _, _)| *number == wanted) {
            Some((_, _, data)) => whole.extend(data),
            None => return Some(Vec::new()),
        }
    }
    Some(whole)
}

fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(be_u16(bytes, at)?);
    bytes.get(at + 2..at + length)
}

struct Frame {
    width: u16,
    height: u16,
    bits: u8,
    colour: Colour,
    progressive: bool,
    /// Samples of all components, which is less than three a pixel where chroma is subsampled.
    samples: u64,
}

impl Frame {
    fn read(marker: u8, segment: &[u8]) -> Result<Self, Fault> {
        const CUT: Fault = Fault::Corrupt("its frame header is cut short");
        const PROGRESSIVE: u8 = 0xc2;
        let [bits, h1, h0, w1, w0, components] = *segment.first_chunk().ok_or(CUT)?;
        if marker > PROGRESSIVE || bits != 8 {
            let why = "it is lossless, arithmetic-coded or not of 8 bits; save it as baseline";
            return Err(Fault::Unsupported(why));
        }
        let colour = match components {
            1 => Colour::Gray,
            3 => Colour::Rgb,
            4 => Colour::Cmyk,
            _ => {
                return Err(Fault::Corrupt(
                    "its number of colours is none that JPEG has",
                ));
            }
        };
        let components = segment.get(6..6 + 3 * usize::from(components)).ok_or(CUT)?;
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        let pixels = u64::from(width) * u64::from(height);
        Ok(Self {
            width,
            height,
            bits,
            colour,
            progressive: marker == PROGRESSIVE,
            samples: samples(pixels, components),
        })
    }

    /// The pixels, of four inks or grey spread to three channels afterwards; and for more than one scan
    /// all coefficients, 16 bits each and one for whether it is zero, kept until the last scan is read.
    fn decode_bytes(&self, scans: u32) -> u64 {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let decoded = pixels
            * match self.colour {
                Colour::Gray | Colour::Cmyk => 4,
                _ => 3,
            };
        let coefficients = if self.progressive || scans > 1 {
            2 * self.samples + self.samples / 8
        } else {
            0
        };
        decoded + coefficients
    }
}

/// Each component has its share of the samples that the one with the most would have.
fn samples(pixels: u64, components: &[u8]) -> u64 {
    let (mut across, mut down, mut shares) = (1, 1, 0);
    for component in components.chunks_exact(3) {
        let (horizontal, vertical) = (u64::from(component[1] >> 4), u64::from(component[1] & 0xf));
        across = across.max(horizontal);
        down = down.max(vertical);
        shares += horizontal * vertical;
    }
    pixels * shares / (across * down)
}
