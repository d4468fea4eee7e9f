//! The chunks of a PNG, animated or not.

use std::io::Read;

use flate2::bufread::ZlibDecoder;

use super::{Colour, Probe, be_u32, orientation};
use crate::format::Format;

const SIGNATURE_LEN: usize = 8;

pub(super) fn headers(bytes: &[u8]) -> Result<Probe, &'static str> {
    let mut chunks = Chunks::new(bytes);
    let Some(Chunk {
        kind: b"IHDR",
        data: header,
        ..
    }) = chunks.next()
    else {
        return Err("it ends before it says its size");
    };
    let [_, _, _, _, _, _, _, _, bits, colour_type, ..] = *header else {
        return Err("its header chunk is cut short");
    };
    let (colour, channels, mut alpha) = match colour_type {
        0 => (Colour::Gray, 1, false),
        2 => (Colour::Rgb, 3, false),
        3 => (Colour::Indexed, 3, false),
        4 => (Colour::Gray, 1, true),
        6 => (Colour::Rgb, 3, true),
        _ => return Err("its colour type is none that PNG has"),
    };
    let mut frames = 1;
    let mut upright = 1;
    let mut complete = false;
    let mut profile_bytes = 0;
    for Chunk { kind, data, .. } in chunks {
        match kind {
            b"iCCP" => profile_bytes += data.len() as u64,
            b"tRNS" => alpha = true,
            b"acTL" => frames = be_u32(data, 0).unwrap_or(1).max(1),
            b"eXIf" => upright = orientation(data),
            b"IEND" => complete = true,
            _ => {}
        }
    }
    let width = be_u32(header, 0).unwrap_or(0);
    let height = be_u32(header, 4).unwrap_or(0);
    let stored = (channels + u64::from(alpha)) * if bits == 16 { 2 } else { 1 };
    // Grey is spread to three channels into a second buffer, after 16 bits became 8 in place.
    let spread = if colour == Colour::Gray {
        3 + u64::from(alpha)
    } else {
        0
    };
    let pixels = u64::from(width) * u64::from(height);
    Ok(Probe {
        format: Format::Png,
        width,
        height,
        frames,
        animated: frames > 1,
        bits_per_channel: bits,
        colour,
        alpha,
        orientation: upright,
        scans: 1,
        profile_bytes,
        complete,
        estimated_decode_bytes: pixels.saturating_mul(stored + spread),
    })
}

/// Bytes of text once inflated, over all chunks. Counting stops after `limit`, so a bomb costs no
/// more than what is allowed.
pub(crate) fn inflated_text_bytes(bytes: &[u8], limit: u64) -> u64 {
    let mut total = 0;
    for Chunk { kind, data, .. } in Chunks::new(bytes) {
        if total > limit {
            break;
        }
        total += match kind {
            b"tEXt" => data.len() as u64,
            b"zTXt" => compressed_after(data, 1).map_or(0, |z| inflated(z, limit - total)),
            b"iTXt" => international_text(data, limit - total),
            _ => 0,
        };
    }
    total
}

/// Bytes of colour profiles once inflated, counted like text.
pub(crate) fn inflated_profile_bytes(bytes: &[u8], limit: u64) -> u64 {
    let mut total = 0;
    for profile in Chunks::new(bytes).filter_map(deflated_profile) {
        if total > limit {
            break;
        }
        total += inflated(profile, limit - total);
    }
    total
}

/// The colour profile, or what of it inflates to `limit` bytes.
pub(super) fn profile(bytes: &[u8], limit: u64) -> Option<Vec<u8>> {
    let deflated = Chunks::new(bytes).find_map(deflated_profile)?;
    let mut profile = Vec::new();
    // Half a profile is refused by whoever reads it, and the facts then say so.
    let _ = ZlibDecoder::new(deflated)
        .take(limit)
        .read_to_end(&mut profile);
    Some(profile)
}

fn deflated_profile(chunk: Chunk<'_>) -> Option<&[u8]> {
    if chunk.kind == b"iCCP" {
        compressed_after(chunk.data, 1)
    } else {
        None
    }
}

/// What follows a keyword, the 0 that ends it, and `fixed` bytes.
fn compressed_after(data: &[u8], fixed: usize) -> Option<&[u8]> {
    let keyword = data.iter().position(|byte| *byte == 0)?;
    data.get(keyword + 1 + fixed..)
}

fn international_text(data: &[u8], limit: u64) -> u64 {
    let compressed = compressed_after(data, 0).and_then(|rest| rest.first()) == Some(&1);
    // After the two flags come a language and a translated keyword, each ended by 0.
    let text = compressed_after(data, 2)
        .and_then(|rest| compressed_after(rest, 0))
        .and_then(|rest| compressed_after(rest, 0));
    match text {
        Some(text) if compressed => inflated(text, limit),
        _ => data.len() as u64,
    }
}

fn inflated(zlib: &[u8], limit: u64) -> u64 {
    let mut inflater = ZlibDecoder::new(zlib).take(limit + 1);
    // A broken stream is worth what came out before it broke: a decoder gets no further either.
    let mut total = 0;
    let mut piece = [0; 8 * 1024];
    while let Ok(read @ 1..) = inflater.read(&mut piece) {
        total += read as u64;
    }
    total
}

/// One chunk.
pub(crate) struct Chunk<'a> {
    pub(crate) kind: &'a [u8; 4],
    pub(crate) data: &'a [u8],
    /// Both of them.
    covered: &'a [u8],
    checksum: u32,
}

impl Chunk<'_> {
    /// Whether it is as it was written.
    pub(crate) fn intact(&self) -> bool {
        crc32fast::hash(self.covered) == self.checksum
    }
}

/// Walks chunks up to and with `IEND`. Ends early where one is cut short.
#[derive(Clone)]
pub(crate) struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes.get(SIGNATURE_LEN..).unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        const CHECKSUM_LEN: usize = 4;
        let length = be_u32(self.rest, 0)? as usize;
        let covered = self.rest.get(4..length.checked_add(8)?)?;
        let (kind, data) = covered.split_first_chunk()?;
        let checksum = be_u32(self.rest, 8 + length)?;
        let next = &self.rest[8 + length + CHECKSUM_LEN..];
        self.rest = if kind == b"IEND" { &[] } else { next };
        Some(Chunk {
            kind,
            data,
            covered,
            checksum,
        })
    }
}
