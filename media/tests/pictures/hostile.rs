//! No file makes the engine panic.

use image::ImageFormat;
use iyagi_media::{Limits, probe, render, sniff};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::sample::{
    BOTH, exif, file, gif, jpeg, jpeg_exif, png, png_chunk, preset, quadrants, webp, webp_chunk,
    with_jpeg_segments, with_png_chunks, with_webp_chunks,
};

const MAGIC: &[&[u8]] = &[
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"RIFF\x40\0\0\0WEBPVP8L",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"GIF89a",
    b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"\0\0\0\x18ftyp",
];

/// Small files of every format, with metadata where it can be.
fn valid_files() -> Vec<Vec<u8>> {
    let picture = quadrants(24, 16);
    let frame = picture.to_rgba8();
    let mut progressive = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut progressive, 80);
    encoder.set_progressive(true);
    encoder
        .encode(&picture.to_rgb8(), 24, 16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    vec![
        with_jpeg_segments(&jpeg(&picture), &[jpeg_exif(&exif(6))]),
        progressive,
        with_png_chunks(&png(&picture), &[png_chunk(b"eXIf", &exif(3))]),
        png(&picture.to_rgba16().into()),
        png(&picture.to_luma8().into()),
        with_webp_chunks(&webp(&picture), 8, &[webp_chunk(b"EXIF", &exif(8))]),
        gif(&[frame.clone(), frame]),
        file(&picture, ImageFormat::Bmp),
    ]
}

/// Runs everything on it, within limits that keep one case fast.
fn survive(bytes: &[u8]) {
    const SMALL: u64 = 1 << 20;
    let limits = Limits {
        pixels_max: SMALL,
        decode_bytes_max: 8 * SMALL,
        ..Limits::default()
    };
    let format = sniff(bytes);
    if let Ok(probe) = probe(bytes) {
        assert_eq!(probe.format, format);
        assert!((1..=8).contains(&probe.orientation) && probe.pixels() > 0);
    }
    match render(bytes, None, &[preset("small", 16, BOTH)], &limits, &|| {
        false
    }) {
        Ok(rendered) => assert_eq!(rendered.variants.len(), 2),
        Err(error) => assert!(error.deterministic() && !error.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(magic in select(MAGIC), rest in vec(any::<u8>(), 0..400)) {
        survive(&[magic, &rest].concat());
    }

    #[test]
    fn a_damaged_picture_is_survived(
        mut bytes in select(valid_files()),
        damage in vec((any::<Index>(), any::<u8>()), 0..6),
        end in proptest::option::weighted(0.3, any::<Index>()),
    ) {
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn a_damaged_header_is_survived(
        mut bytes in select(valid_files()),
        damage in vec((0usize..64, any::<u8>()), 1..4),
    ) {
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        survive(&bytes);
    }
}
