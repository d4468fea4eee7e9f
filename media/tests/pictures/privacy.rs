//! What an upload carries besides pixels, such as where it was taken, reaches no thumbnail.

use iyagi_media::{Preset, Variant, render};

use crate::sample::{
    BOTH, gif, jpeg, jpeg_exif, jpeg_segment, png, png_chunk, preset, quadrants, rendered,
    tiff_with, webp, webp_chunk, with_jpeg_segments, with_png_chunks, with_webp_chunks,
};

const SECRET: &[u8] = b"37.5665 N 126.9780 E";

/// EXIF with the place where a picture was taken: 37°33'59.4" N, 126°58'40.8" E.
fn gps_exif() -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    const RATIONAL: u16 = 5;
    const ASCII: u16 = 2;
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [
            &tag.to_be_bytes()[..],
            &kind.to_be_bytes(),
            &count.to_be_bytes(),
            &value,
        ]
        .concat()
    };
    let rationals = |values: [u32; 3]| -> Vec<u8> {
        let pairs = values.iter().zip([1u32, 1, 10]);
        pairs
            .flat_map(|(value, of)| [value.to_be_bytes(), of.to_be_bytes()].concat())
            .collect()
    };
    let gps_at = 8 + 2 + 2 * 12 + 4;
    let values_at = gps_at + 2 + 4 * 12 + 4;
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    tiff.extend(entry(0x0112, SHORT, 1, [0, 1, 0, 0]));
    tiff.extend(entry(0x8825, LONG, 1, u32::to_be_bytes(gps_at)));
    tiff.extend([0; 4]);
    tiff.extend(b"\0\x04");
    tiff.extend(entry(1, ASCII, 2, *b"N\0\0\0"));
    tiff.extend(entry(2, RATIONAL, 3, u32::to_be_bytes(values_at)));
    tiff.extend(entry(3, ASCII, 2, *b"E\0\0\0"));
    tiff.extend(entry(4, RATIONAL, 3, u32::to_be_bytes(values_at + 24)));
    tiff.extend([0; 4]);
    tiff.extend(rationals([37, 33, 594]));
    tiff.extend(rationals([126, 58, 408]));
    tiff.extend(SECRET);
    tiff
}

fn secret_after(text: &[u8]) -> Vec<u8> {
    [text, SECRET].concat()
}

/// The same picture in every format that can be read, each with all the metadata it can carry.
fn uploads() -> Vec<(&'static str, Vec<u8>)> {
    const EVERY_FLAG: u8 = 0x2c;
    let picture = quadrants(160, 120);
    let exif = gps_exif();
    let jpeg_segments = [
        jpeg_exif(&exif),
        jpeg_segment(0xe1, &secret_after(b"http://ns.adobe.com/xap/1.0/\0")),
        jpeg_segment(0xe1, &secret_after(b"http://ns.adobe.com/xmp/extension/\0")),
        jpeg_segment(0xe2, &secret_after(b"ICC_PROFILE\0\x01\x01")),
        jpeg_segment(0xe2, &secret_after(b"MPF\0")),
        // IPTC: a caption in a resource of Photoshop.
        jpeg_segment(
            0xed,
            &secret_after(b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x19\x1c\x02\x78\0\x14"),
        ),
        jpeg_segment(0xfe, SECRET),
    ];
    let png_chunks = [
        png_chunk(b"eXIf", &exif),
        png_chunk(b"tEXt", &secret_after(b"Comment\0")),
        png_chunk(b"iTXt", &secret_after(b"XML:com.adobe.xmp\0\0\0\0\0")),
        png_chunk(b"tIME", &[7, 233, 1, 2, 3, 4, 5]),
    ];
    let webp_chunks = [
        webp_chunk(b"EXIF", &exif),
        webp_chunk(b"XMP ", SECRET),
        webp_chunk(b"ICCP", SECRET),
    ];
    let mut gif = gif(&[picture.to_rgba8()]);
    let trailer = gif.len() - 1;
    let length = SECRET.len() as u8;
    let comment = [&[0x21, 0xfe, length][..], SECRET, &[0]].concat();
    gif.splice(trailer..trailer, comment);
    vec![
        ("jpeg", with_jpeg_segments(&jpeg(&picture), &jpeg_segments)),
        ("png", with_png_chunks(&png(&picture), &png_chunks)),
        (
            "webp",
            with_webp_chunks(&webp(&picture), EVERY_FLAG, &webp_chunks),
        ),
        ("gif", gif),
        ("tiff", tiff_with(&picture, 1, SECRET)),
    ]
}

fn jpeg_markers(jpeg: &[u8]) -> Vec<u8> {
    let mut markers = Vec::new();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        assert_eq!(jpeg[at], 0xff);
        markers.push(jpeg[at + 1]);
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    markers
}

fn webp_kinds(webp: &[u8]) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut at = 12;
    while at < webp.len() {
        kinds.push(String::from_utf8_lossy(&webp[at..at + 4]).into_owned());
        let length = u32::from_le_bytes(webp[at + 4..at + 8].try_into().unwrap()) as usize;
        at += 8 + length + length % 2;
    }
    kinds
}

fn assert_only_pixels(jpeg: &Variant, webp: &Variant, case: &str) {
    for file in [jpeg, webp] {
        for trace in [SECRET, b"Exif", b"ICC_PROFILE", b"xap/1.0", b"Photoshop"] {
            let found = file
                .bytes
                .windows(trace.len())
                .any(|window| window == trace);
            assert!(!found, "{} of {case}", String::from_utf8_lossy(trace));
        }
    }
    // APP1 to APP15 and comments have no place; APP0 is the JFIF header.
    let markers = jpeg_markers(&jpeg.bytes);
    assert!(
        markers.iter().all(|m| !matches!(m, 0xe1..=0xef | 0xfe)),
        "{case}: {markers:x?}"
    );
    let kinds = webp_kinds(&webp.bytes);
    let pixels = ["VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF"];
    assert!(
        kinds.iter().all(|kind| pixels.contains(&&kind[..])),
        "{case}: {kinds:?}"
    );
}

#[test]
fn thumbnails_carry_nothing_but_pixels() {
    for (format, upload) in uploads() {
        let carried = upload.windows(SECRET.len()).any(|window| window == SECRET);
        assert!(carried, "{format} carries something to leave behind");
        let made = rendered(&upload, &[preset("small", 64, BOTH)]).unwrap();
        let [jpeg, webp] = &made.variants[..] else {
            panic!("one of each format")
        };
        assert_only_pixels(jpeg, webp, format);
        assert_eq!(webp_kinds(&webp.bytes), ["VP8 "], "{format}");
    }
}

#[test]
fn a_whole_picture_and_an_animation_carry_nothing_but_pixels() {
    // As large as the upload, so that nothing is resized and nothing could be passed through.
    let whole = Preset {
        animated: true,
        ..preset("whole", 160, BOTH)
    };
    let mut uploads = uploads();
    let frame = quadrants(160, 120).to_rgba8();
    let mut turned = frame.clone();
    image::imageops::flip_vertical_in_place(&mut turned);
    uploads.push(("animation", gif(&[frame, turned])));
    for (format, upload) in uploads {
        let limits = iyagi_media::Limits::default();
        let made = render(
            &upload,
            None,
            std::slice::from_ref(&whole),
            &limits,
            &|| false,
        )
        .unwrap();
        assert_only_pixels(&made.variants[0], &made.variants[1], format);
        let frames = made.variants[1].frames;
        assert_eq!(frames > 1, format == "animation", "{format}: {frames}");
    }
}
