//! The header of a Windows bitmap.

use super::{Colour, Probe, le_u16, le_u32};
use crate::format::Format;

pub(super) fn headers(bytes: &[u8]) -> Result<Probe, &'static str> {
    read(bytes).ok_or("its header is cut short")
}

fn read(bytes: &[u8]) -> Option<Probe> {
    const CORE_HEADER: u32 = 12;
    let pixels_at = u64::from(le_u32(bytes, 10)?);
    let (width, height, bits, compression) = if le_u32(bytes, 14)? == CORE_HEADER {
        (
            u32::from(le_u16(bytes, 18)?),
            u32::from(le_u16(bytes, 20)?),
            le_u16(bytes, 24)?,
            0,
        )
    } else {
        // A negative height means that the first row is the top one.
        let height = le_u32(bytes, 22)?.cast_signed().unsigned_abs();
        (
            le_u32(bytes, 18)?,
            height,
            le_u16(bytes, 28)?,
            le_u32(bytes, 30)?,
        )
    };
    let uncompressed = matches!(compression, 0 | 3);
    let row_bytes = (u64::from(width) * u64::from(bits)).div_ceil(32) * 4;
    let end = row_bytes
        .saturating_mul(u64::from(height))
        .saturating_add(pixels_at);
    Some(Probe {
        format: Format::Bmp,
        width,
        height,
        frames: 1,
        animated: false,
        bits_per_channel: if bits < 8 { bits as u8 } else { 8 },
        colour: if bits <= 8 {
            Colour::Indexed
        } else {
            Colour::Rgb
        },
        alpha: bits == 32,
        orientation: 1,
        scans: 1,
        profile_bytes: 0,
        complete: !uncompressed || end <= bytes.len() as u64,
        estimated_decode_bytes: (u64::from(width) * u64::from(height)).saturating_mul(4),
    })
}
