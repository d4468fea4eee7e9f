//! The chunks of a WebP.

use super::{Colour, Probe, array, le_u16, le_u32, orientation};
use crate::format::Format;

/// Where chunks begin, after `RIFF`, the size and `WEBP`.
const CHUNKS_AT: usize = 12;

pub(super) fn headers(bytes: &[u8]) -> Result<Probe, &'static str> {
    let declared = le_u32(bytes, 4).unwrap_or(0) as usize;
    let body = bytes.get(CHUNKS_AT..).unwrap_or_default();
    let kind = array(body, 0).ok_or("it ends before it says its size")?;
    let data = body.get(8..).unwrap_or_default();
    let Canvas {
        width,
        height,
        alpha,
        decode_bytes_per_pixel,
    } = match &kind {
        b"VP8X" => extended(data),
        b"VP8L" => lossless(data),
        b"VP8 " => lossy(data),
        _ => return Err("its first chunk is none that WebP has"),
    }
    .ok_or("its header is cut short or invalid")?;

    let mut upright = 1;
    let mut frames = 0;
    let mut profile_bytes = 0;
    let mut chunks = body;
    while let Some((kind, data, next)) = next_chunk(chunks) {
        match &kind {
            b"ANMF" => frames += 1,
            b"ICCP" => profile_bytes = data.len() as u64,
            b"EXIF" => upright = orientation(data),
            _ => {}
        }
        chunks = next;
    }
    Ok(Probe {
        format: Format::WebP,
        width,
        height,
        frames: frames.max(1),
        animated: frames > 1,
        bits_per_channel: 8,
        colour: Colour::Rgb,
        alpha,
        orientation: upright,
        scans: 1,
        profile_bytes,
        complete: declared
            .checked_add(8)
            .is_some_and(|end| end <= bytes.len()),
        estimated_decode_bytes: u64::from(width) * u64::from(height) * decode_bytes_per_pixel
            + bytes.len() as u64,
    })
}

/// The colour profile.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = bytes.get(CHUNKS_AT..)?;
    while let Some((kind, data, next)) = next_chunk(chunks) {
        if &kind == b"ICCP" {
            return Some(data.to_vec());
        }
        chunks = next;
    }
    None
}

struct Canvas {
    width: u32,
    height: u32,
    alpha: bool,
    decode_bytes_per_pixel: u64,
}

fn extended(data: &[u8]) -> Option<Canvas> {
    const ALPHA: u8 = 0x10;
    const ANIMATION: u8 = 0x02;
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = array(data, 0)?;
    Some(Canvas {
        width: u32::from_le_bytes([w0, w1, w2, 0]) + 1,
        height: u32::from_le_bytes([h0, h1, h2, 0]) + 1,
        alpha: flags & ALPHA != 0,
        // An animation holds its canvas, a frame, the copy handed out and a blank one before it; a
        // still is at most lossless.
        decode_bytes_per_pixel: if flags & ANIMATION == 0 { 8 } else { 16 },
    })
}

fn lossless(data: &[u8]) -> Option<Canvas> {
    const SIGNATURE: u8 = 0x2f;
    let [SIGNATURE, packed @ ..] = array::<5>(data, 0)? else {
        return None;
    };
    let packed = u32::from_le_bytes(packed);
    Some(Canvas {
        width: (packed & 0x3fff) + 1,
        height: (packed >> 14 & 0x3fff) + 1,
        alpha: packed >> 28 & 1 == 1,
        // What the decoder works on, and what it hands out.
        decode_bytes_per_pixel: 8,
    })
}

fn lossy(data: &[u8]) -> Option<Canvas> {
    const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
    if array(data, 3)? != START_CODE {
        return None;
    }
    Some(Canvas {
        width: u32::from(le_u16(data, 6)? & 0x3fff),
        height: u32::from(le_u16(data, 8)? & 0x3fff),
        alpha: false,
        // What the decoder hands out; it works on a few rows.
        decode_bytes_per_pixel: 3,
    })
}

/// The kind and data of the first chunk, and what comes after it.
fn next_chunk(chunks: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let kind = array(chunks, 0)?;
    let length = le_u32(chunks, 4)? as usize;
    let data = chunks.get(8..length.checked_add(8)?)?;
    let padded = length + length % 2;
    Some((kind, data, chunks.get(8 + padded..).unwrap_or_default()))
}
