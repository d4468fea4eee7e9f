//! A file is refused for what its headers say. What that costs is measured in `tests/bombs.rs`.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::ImageFormat;
use iyagi_media::{Format, Limits, RenderError, probe, render};

use crate::sample::{
    BOTH, file, gif, jpeg, jpeg_segment, png, png_chunk, png_header, preset, quadrants, rendered,
    webp, webp_canvas, webp_container, with_png_chunks,
};

fn refusal(bytes: &[u8], limits: &Limits) -> RenderError {
    let refusal = render(bytes, None, &[preset("small", 64, BOTH)], limits, &|| false).unwrap_err();
    assert!(refusal.deterministic());
    refusal
}

fn reason(bytes: &[u8]) -> &'static str {
    refusal(bytes, &Limits::default()).reason_code()
}

/// A grey JPEG of headers and empty scans.
fn jpeg_header(start_of_frame: u8, width: u16, height: u16, scans: usize) -> Vec<u8> {
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.extend([1, 1, 0x11, 0]);
    let scan = [
        jpeg_segment(0xda, &[1, 1, 0, 0, 63, 0]),
        vec![0x55, 0xff, 0, 0x55],
    ]
    .concat();
    [
        &[0xff, 0xd8],
        &jpeg_segment(start_of_frame, &frame)[..],
        &scan.repeat(scans),
        &[0xff, 0xd9],
    ]
    .concat()
}

fn gif_screen(width: u16, height: u16, blocks: &[u8]) -> Vec<u8> {
    [
        b"GIF89a",
        &width.to_le_bytes()[..],
        &height.to_le_bytes(),
        &[0, 0, 0],
        blocks,
    ]
    .concat()
}

fn zeros_deflated(count: usize) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&vec![0; count]).unwrap();
    zlib.finish().unwrap()
}

#[test]
fn claims_of_50000_by_50000_are_refused() {
    const SIDE: u16 = 50_000;
    let side = u32::from(SIDE);
    assert_eq!(reason(&jpeg_header(0xc0, SIDE, SIDE, 1)), "too_many_pixels");
    assert_eq!(reason(&png_header(side, side, 1, 0)), "too_many_pixels");
    assert_eq!(reason(&gif_screen(SIDE, SIDE, b";")), "too_many_pixels");
    assert_eq!(
        reason(&webp_container(&[webp_canvas(0, side, side)])),
        "too_many_pixels"
    );
}

#[test]
fn a_progressive_jpeg_claiming_65500_by_65500_is_refused() {
    assert_eq!(
        reason(&jpeg_header(0xc2, 65_500, 65_500, 1)),
        "too_many_pixels"
    );
}

#[test]
fn sizes_near_the_end_of_the_integers_are_refused() {
    let mut bmp = file(&quadrants(8, 8), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&u32::MAX.to_le_bytes());
    bmp[22..26].copy_from_slice(&i32::MIN.to_le_bytes());
    assert_eq!(reason(&bmp), "too_many_pixels");
    assert_eq!(
        reason(&png_header(u32::MAX, u32::MAX, 16, 6)),
        "too_many_pixels"
    );
}

#[test]
fn a_jpeg_of_1006_scans_is_refused() {
    let refusal = refusal(&jpeg_header(0xc2, 8_000, 8_000, 1_006), &Limits::default());
    assert_eq!(refusal.reason_code(), "too_many_scans");
    assert_eq!(
        refusal.to_string(),
        "too large: 1006 scans, where at most 32 are allowed"
    );
}

#[test]
fn a_png_whose_pixels_are_few_but_wide_is_refused() {
    let wide = png_header(9_900, 9_900, 16, 6);
    assert_eq!(reason(&wide), "too_many_pixels");
    let any_pixels = Limits {
        pixels_max: u64::MAX,
        ..Limits::default()
    };
    assert_eq!(
        refusal(&wide, &any_pixels).reason_code(),
        "too_many_decode_bytes"
    );
}

#[test]
fn text_and_profiles_that_inflate_beyond_reason_are_refused() {
    let bomb = zeros_deflated(16 << 20);
    assert!(bomb.len() < 1 << 17);
    for (kind, before, expected) in [
        (b"iCCP", &b"profile\0\0"[..], "too_many_profile_bytes"),
        (b"zTXt", b"Comment\0\0", "too_many_text_bytes"),
        (
            b"iTXt",
            b"Comment\0\x01\0en\0Comment\0",
            "too_many_text_bytes",
        ),
    ] {
        let chunk = png_chunk(kind, &[before, &bomb].concat());
        let bytes = with_png_chunks(&png(&quadrants(8, 8)), &[chunk]);
        assert_eq!(reason(&bytes), expected, "{}", kind.escape_ascii());
    }
}

#[test]
fn many_small_texts_count_as_one_large() {
    let chunk = png_chunk(
        b"zTXt",
        &[b"Comment\0\0", &zeros_deflated(1 << 18)[..]].concat(),
    );
    let with =
        |chunks: usize| with_png_chunks(&png(&quadrants(8, 8)), &vec![chunk.clone(); chunks]);
    assert_eq!(reason(&with(5)), "too_many_text_bytes");
    assert!(rendered(&with(4), &[]).is_ok());
}

#[test]
fn a_gif_frame_larger_than_its_screen_is_refused() {
    let mut frame = vec![0x2c, 0, 0, 0, 0];
    frame.extend([0xff; 4]);
    frame.extend([0, 2, 1, 0, 0]);
    frame.push(b';');
    assert_eq!(reason(&gif_screen(10, 10, &frame)), "too_many_decode_bytes");
}

#[test]
fn a_file_beyond_the_limit_is_not_even_probed() {
    let limits = Limits {
        bytes_max: 10,
        ..Limits::default()
    };
    assert_eq!(
        refusal(&png(&quadrants(8, 8)), &limits).reason_code(),
        "too_many_bytes"
    );
}

#[test]
fn nothing_at_all_is_refused() {
    assert_eq!(reason(b""), "empty");
    assert_eq!(reason(&jpeg_header(0xc0, 0, 10, 1)), "corrupt");
}

#[test]
fn a_truncated_picture_is_refused_and_still_known() {
    let picture = quadrants(200, 100);
    let files = [
        (Format::Jpeg, jpeg(&picture)),
        (Format::Png, png(&picture)),
        (Format::WebP, webp(&picture)),
        (Format::Gif, gif(&[picture.to_rgba8()])),
        (Format::Bmp, file(&picture, ImageFormat::Bmp)),
    ];
    for (format, bytes) in files {
        let half = &bytes[..bytes.len() / 2];
        let found = probe(half).unwrap();
        assert_eq!(
            (found.format, found.width, found.height),
            (format, 200, 100)
        );
        assert!(!found.complete);
        assert_eq!(reason(half), "corrupt", "half of a {format}");
        // Too short for any size to be known.
        assert_eq!(
            reason(&bytes[..22.min(half.len())]),
            "corrupt",
            "22 bytes of a {format}"
        );
    }
}

#[test]
fn what_is_no_picture_is_named() {
    let refusal = refusal(b"OggS\0\x02 a voice message", &Limits::default());
    assert_eq!(refusal, RenderError::NotAPicture { found: Format::Ogg });
    assert_eq!(
        refusal.to_string(),
        "not a picture: the content is audio/ogg"
    );
    assert_eq!(reason(b"a text called portrait.jpg"), "not_a_picture");
}

#[test]
fn a_picture_that_cannot_be_decoded_says_what_to_do() {
    let heic = include_bytes!("../../src/heif/testsrc.heic");
    let refusal = refusal(heic, &Limits::default());
    assert_eq!(refusal.reason_code(), "unsupported_format");
    assert_eq!(
        refusal.to_string(),
        "HEIC is not supported: upload it as JPEG, PNG or WebP"
    );
}

#[test]
fn a_jpeg_of_a_kind_that_nobody_writes_is_refused_as_such() {
    const START_OF_FRAME: [u8; 2] = [0xff, 0xc0];
    let valid = jpeg(&quadrants(16, 16));
    let frame = valid
        .windows(2)
        .position(|window| window == START_OF_FRAME)
        .unwrap();
    let changed = |at: usize, value: u8| {
        let mut bytes = valid.clone();
        bytes[frame + at] = value;
        refusal(&bytes, &Limits::default())
    };
    for (kind, error) in [
        ("lossless", changed(1, 0xc3)),
        ("arithmetic", changed(1, 0xc9)),
        ("12 bits", changed(4, 12)),
    ] {
        assert_eq!(error.reason_code(), "unsupported_format", "{kind}: {error}");
    }
}
