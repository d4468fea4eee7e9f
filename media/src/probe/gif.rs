//! The blocks of a GIF.

use super::{Colour, Probe, le_u16};
use crate::format::Format;

/// After the signature, the size of the screen and three bytes about colours.
const BLOCKS_AT: usize = 13;

pub(super) fn headers(bytes: &[u8]) -> Result<Probe, &'static str> {
    const CUT: &str = "it ends before it says its size";
    let width = u32::from(le_u16(bytes, 6).ok_or(CUT)?);
    let height = u32::from(le_u16(bytes, 8).ok_or(CUT)?);
    let flags = *bytes.get(10).ok_or(CUT)?;
    let blocks = walk(bytes, BLOCKS_AT + colour_table_len(flags));
    let screen = u64::from(width) * u64::from(height);
    Ok(Probe {
        format: Format::Gif,
        width,
        height,
        frames: blocks.frames.max(1),
        animated: blocks.frames > 1,
        bits_per_channel: 8,
        colour: Colour::Indexed,
        alpha: true,
        orientation: 1,
        scans: 1,
        profile_bytes: 0,
        complete: blocks.complete,
        // The screen so far, the copy handed out, a blank one before it, and the frame, which may
        // be larger than the screen.
        estimated_decode_bytes: 12 * screen + 4 * blocks.frame_pixels_max,
    })
}

#[derive(Default)]
struct Blocks {
    frames: u32,
    frame_pixels_max: u64,
    complete: bool,
}

fn walk(bytes: &[u8], mut at: usize) -> Blocks {
    const EXTENSION: u8 = 0x21;
    const FRAME: u8 = 0x2c;
    let mut blocks = Blocks::default();
    while let Some(kind) = bytes.get(at) {
        let end = match *kind {
            EXTENSION => end_of_sub_blocks(bytes, at + 2),
            FRAME => {
                let size = le_u16(bytes, at + 5).zip(le_u16(bytes, at + 7));
                let flags = bytes.get(at + 9).copied();
                let Some(((width, height), flags)) = size.zip(flags) else {
                    return blocks;
                };
                let pixels = u64::from(width) * u64::from(height);
                blocks.frame_pixels_max = blocks.frame_pixels_max.max(pixels);
                // Nine bytes about the frame, its colours, and one byte about its coding.
                let end = end_of_sub_blocks(bytes, at + 10 + colour_table_len(flags) + 1);
                blocks.frames += u32::from(end.is_some());
                end
            }
            // The trailer, or garbage in its place, which every viewer takes for it.
            _ => break,
        };
        let Some(end) = end else { return blocks };
        at = end;
    }
    // Many files lack the trailer; all frames being whole is enough.
    blocks.complete = blocks.frames > 0;
    blocks
}

fn end_of_sub_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

fn colour_table_len(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}
