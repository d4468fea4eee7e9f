//! What an upload carries besides pixels, such as where it was taken, reaches no thumbnail.

use crate::sample::{
    exif, jpeg, jpeg_exif, jpeg_segment, png, png_chunk, quadrants, thumbnails, webp, webp_chunk,
    with_jpeg_segments, with_png_chunks, with_webp_chunks,
};

const SECRET: &[u8] = b"37.5665 N 126.9780 E";

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

#[test]
fn thumbnails_carry_nothing_but_pixels() {
    const EVERY_FLAG: u8 = 0x2c;
    let picture = quadrants(160, 120);
    let tiff = [&exif(1), SECRET].concat();
    let secret_after = |text: &[u8]| [text, SECRET].concat();
    let jpeg = with_jpeg_segments(
        &jpeg(&picture),
        &[
            jpeg_exif(&tiff),
            jpeg_segment(0xe1, &secret_after(b"http://ns.adobe.com/xap/1.0/\0")),
            jpeg_segment(0xe2, &secret_after(b"ICC_PROFILE\0\x01\x01")),
            jpeg_segment(0xed, &secret_after(b"Photoshop 3.0\0")),
            jpeg_segment(0xfe, SECRET),
        ],
    );
    let png = with_png_chunks(
        &png(&picture),
        &[
            png_chunk(b"eXIf", &tiff),
            png_chunk(b"tEXt", &secret_after(b"Comment\0")),
        ],
    );
    let webp = with_webp_chunks(
        &webp(&picture),
        EVERY_FLAG,
        &[
            webp_chunk(b"EXIF", &tiff),
            webp_chunk(b"XMP ", SECRET),
            webp_chunk(b"ICCP", SECRET),
        ],
    );
    for upload in [jpeg, png, webp] {
        assert!(upload.windows(SECRET.len()).any(|window| window == SECRET));
        let [jpeg, webp] = &thumbnails(&upload).variants[..] else {
            panic!("one of each format")
        };
        for file in [jpeg, webp] {
            assert!(
                !file
                    .bytes
                    .windows(SECRET.len())
                    .any(|window| window == SECRET)
            );
        }
        // APP1 to APP15 and comments have no place; APP0 is the JFIF header.
        let markers = jpeg_markers(&jpeg.bytes);
        assert!(
            markers.iter().all(|m| !matches!(m, 0xe1..=0xef | 0xfe)),
            "{markers:x?}"
        );
        assert_eq!(webp_kinds(&webp.bytes), ["VP8 "]);
    }
}
