//! A PNG of 8 bits a channel, decoded at its size and smaller: rendered or refused with a reason. Its rows, filters
//! included, are the bytes as they are, stored in a stream that is whole; or the bytes are the stream.
#![no_main]

use std::sync::LazyLock;

use iyagi_media::{Limits, OutputFormat, Preset, render};
use libfuzzer_sys::fuzz_target;

static PRESETS: LazyLock<[Preset; 2]> = LazyLock::new(|| {
    [("whole", 1_024), ("small", 4)]
        .map(|(name, side)| Preset::new(name, side, &[OutputFormat::Jpeg]))
});

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    let body = [kind, data].concat();
    [&length[..], &body, &crc32fast::hash(&body).to_be_bytes()].concat()
}

/// A zlib stream (RFC 1950) of one block that is not compressed.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let (a, b) = bytes.iter().fold((1_u32, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let head = [0x78, 1, 1];
    let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
    [&head[..], &lengths, bytes, &(b << 16 | a).to_be_bytes()].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let [width, height, kind, rest @ ..] = bytes else {
        return;
    };
    let (width, height) = (u32::from(*width) + 1, u32::from(*height) % 64 + 1);
    let alpha = kind & 1 != 0;
    let stream = if kind & 2 == 0 {
        // All rows, so that every filter is reached.
        let row_len = 1 + width as usize * if alpha { 4 } else { 3 };
        let mut rows = rest.to_vec();
        rows.resize((row_len * height as usize).min(usize::from(u16::MAX)), 0);
        rows.chunks_mut(row_len).for_each(|row| row[0] %= 5);
        stored(&rows)
    } else {
        rest.to_vec()
    };
    let colour = if alpha { 6 } else { 2 };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let file = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[&size[..], &[8, colour, 0, 0, 0]].concat()),
        chunk(b"IDAT", &stream),
        chunk(b"IEND", &[]),
    ]
    .concat();
    for presets in [&PRESETS[..], &PRESETS[1..]] {
        match render(&file, None, presets, &Limits::default(), &|| false) {
            Ok(rendered) => assert_eq!(rendered.variants.len(), presets.len()),
            Err(error) => assert!(error.deterministic() && !error.to_string().is_empty()),
        }
    }
});
