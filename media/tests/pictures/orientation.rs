//! A picture is shown the way it was held.

use image::DynamicImage;
use image::metadata::Orientation;
use iyagi_media::{Format, probe};

use crate::sample::{
    BLUE, GREEN, RED, YELLOW, assert_corners, decoded, exif, jpeg, jpeg_exif, png, png_chunk,
    quadrants, thumbnails, tiff_with, webp, webp_chunk, with_jpeg_segments, with_png_chunks,
    with_webp_chunks,
};

/// The quadrants as a camera in this orientation would have stored them.
fn stored(orientation: u8) -> DynamicImage {
    // Turning back: a quarter turn one way undoes the other; everything else undoes itself.
    let back = match orientation {
        6 => 8,
        8 => 6,
        itself => itself,
    };
    let mut picture = quadrants(160, 120);
    picture.apply_orientation(Orientation::from_exif(back).unwrap());
    picture
}

fn with_exif(picture: &DynamicImage, orientation: u16) -> [(Format, Vec<u8>); 4] {
    const EXIF_FLAG: u8 = 0x08;
    let exif = exif(orientation);
    let webp_exif = webp_chunk(b"EXIF", &exif);
    [
        (
            Format::Jpeg,
            with_jpeg_segments(&jpeg(picture), &[jpeg_exif(&exif)]),
        ),
        (
            Format::Png,
            with_png_chunks(&png(picture), &[png_chunk(b"eXIf", &exif)]),
        ),
        (
            Format::WebP,
            with_webp_chunks(&webp(picture), EXIF_FLAG, &[webp_exif]),
        ),
        (Format::Tiff, tiff_with(picture, orientation, &[])),
    ]
}

#[test]
fn every_orientation_of_every_format_gives_the_same_upright_picture() {
    for orientation in 1..=8 {
        for (format, bytes) in with_exif(&stored(orientation), u16::from(orientation)) {
            let case = format!("{format}, orientation {orientation}");
            assert_eq!(probe(&bytes).unwrap().orientation, orientation, "{case}");
            let thumbnails = thumbnails(&bytes);
            assert_eq!(
                (thumbnails.source.width, thumbnails.source.height),
                (160, 120),
                "{case}"
            );
            for variant in &thumbnails.variants {
                assert_eq!((variant.width, variant.height), (64, 48), "{case}");
                assert_corners(&decoded(variant), [RED, GREEN, BLUE, YELLOW], &case);
            }
        }
    }
}

#[test]
fn an_orientation_that_makes_no_sense_is_none() {
    for nonsense in [0, 9, 255, 256, 262, u16::MAX] {
        for (format, bytes) in with_exif(&quadrants(160, 120), nonsense) {
            let case = format!("{format}, orientation {nonsense}");
            assert_eq!(probe(&bytes).unwrap().orientation, 1, "{case}");
            let thumbnails = thumbnails(&bytes);
            assert_corners(
                &decoded(&thumbnails.variants[0]),
                [RED, GREEN, BLUE, YELLOW],
                &case,
            );
        }
    }
}
