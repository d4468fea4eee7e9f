//! Thumbnails have the colours that the upload's profile means, in sRGB.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, RgbImage, Rgba, RgbaImage};
use iyagi_media::{OutputFormat, Profile};
use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutStore, LutType, LutWarehouse, Matrix3d,
    ProfileClass, TransformOptions,
};

use crate::sample::{
    decoded, jpeg, jpeg_segment, png, png_chunk, preset, quadrants, rendered, scene, tiff_with,
    webp, webp_chunk, with_jpeg_segments, with_png_chunks, with_webp_chunks,
};

/// The segments that carry a profile, each with at most `piece_len` bytes of it.
fn jpeg_profile(icc: &[u8], piece_len: usize) -> Vec<Vec<u8>> {
    let pieces = icc.chunks(piece_len);
    let count = u8::try_from(pieces.len()).unwrap();
    let piece = |(number, data): (u8, &[u8])| {
        let data = [b"ICC_PROFILE\0", &[number, count][..], data].concat();
        jpeg_segment(0xe2, &data)
    };
    (1..=count).zip(pieces).map(piece).collect()
}

pub(crate) fn png_profile(icc: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(icc).unwrap();
    let data = [b"profile\0\0", &zlib.finish().unwrap()[..]].concat();
    png_chunk(b"iCCP", &data)
}

fn with_profile(picture: &DynamicImage, icc: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    const PROFILE_FLAG: u8 = 0x20;
    let mut pieces = jpeg_profile(icc, 100);
    pieces.reverse();
    [
        (
            "jpeg",
            with_jpeg_segments(&jpeg(picture), &jpeg_profile(icc, 60_000)),
        ),
        (
            "jpeg, in pieces out of order",
            with_jpeg_segments(&jpeg(picture), &pieces),
        ),
        ("png", with_png_chunks(&png(picture), &[png_profile(icc)])),
        (
            "webp",
            with_webp_chunks(&webp(picture), PROFILE_FLAG, &[webp_chunk(b"ICCP", icc)]),
        ),
        ("tiff", tiff_with(picture, 1, icc)),
    ]
}

/// What the profile says of every pixel of the whole picture.
fn converted(picture: &DynamicImage, profile: &ColorProfile) -> DynamicImage {
    let rgb = picture.to_rgb8();
    let srgb = ColorProfile::new_srgb();
    let layout = moxcms::Layout::Rgb;
    let transform = profile
        .create_transform_8bit(layout, &srgb, layout, TransformOptions::default())
        .unwrap();
    let mut samples = vec![0; rgb.len()];
    transform.transform(&rgb, &mut samples).unwrap();
    RgbImage::from_raw(rgb.width(), rgb.height(), samples)
        .unwrap()
        .into()
}

/// Mean and largest difference of a sample.
fn difference(a: &DynamicImage, b: &DynamicImage) -> (f64, u8) {
    let (a, b) = (a.to_rgb8(), b.to_rgb8());
    assert_eq!(a.dimensions(), b.dimensions());
    let differences = || a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = differences().map(u64::from).sum();
    (sum as f64 / a.len() as f64, differences().max().unwrap())
}

fn large(upload: &[u8]) -> (iyagi_media::Facts, DynamicImage) {
    let mut large = preset("large", 200, &[OutputFormat::WebP, OutputFormat::Jpeg]);
    large.quality = 100;
    let rendered = rendered(upload, &[large, preset("small", 50, &[OutputFormat::Jpeg])]).unwrap();
    (rendered.source, decoded(&rendered.variants[1]))
}

#[test]
fn colours_are_those_that_the_profile_means() {
    let picture = scene(640, 480);
    for (name, profile) in [
        ("Display P3", ColorProfile::new_display_p3()),
        ("Adobe RGB", ColorProfile::new_adobe_rgb()),
    ] {
        let icc = profile.encode().unwrap();
        let seen = converted(&picture, &profile);
        for (format, upload) in with_profile(&picture, &icc) {
            let (facts, thumbnail) = large(&upload);
            assert_eq!(facts.profile, Profile::Converted, "{name} in {format}");
            assert!(!facts.colour_approximated);
            let plain = |picture| match format {
                "png" | "webp" | "tiff" => large(&png(picture)).1,
                _ => large(&jpeg(picture)).1,
            };
            let (reference, unconverted) = (plain(&seen), plain(&picture));
            let (mean, _) = difference(&thumbnail, &reference);
            let (without, _) = difference(&unconverted, &reference);
            assert!(
                mean < 1.5 && without > 2.0 * mean,
                "{name} in {format}: {mean:.2} {without:.2}"
            );
        }
    }
}

#[test]
fn a_profile_that_means_srgb_changes_nothing() {
    let picture = scene(320, 240);
    let icc = ColorProfile::new_srgb().encode().unwrap();
    for (format, upload) in with_profile(&picture, &icc) {
        let (facts, thumbnail) = large(&upload);
        assert_eq!(facts.profile, Profile::Srgb, "{format}");
        let plain = match format {
            "png" | "webp" | "tiff" => png(&picture),
            _ => jpeg(&picture),
        };
        let (plain, same) = large(&plain);
        assert_eq!(plain.profile, Profile::Absent);
        assert_eq!(difference(&thumbnail, &same), (0.0, 0), "{format}");
    }
}

#[test]
fn a_profile_that_is_broken_or_of_other_colours_is_ignored_and_said_so() {
    let picture = quadrants(160, 120);
    let whole = ColorProfile::new_display_p3().encode().unwrap();
    let mut broken = whole.clone();
    broken.truncate(140);
    let inks = ink_profile().encode().unwrap();
    for icc in [&b"no profile at all"[..], &broken, &inks] {
        for (format, upload) in with_profile(&picture, icc) {
            let (facts, thumbnail) = large(&upload);
            assert_eq!(facts.profile, Profile::Ignored, "{format}");
            assert!(facts.colour_approximated, "{format}");
            let (_, plain) = large(&png(&picture));
            assert!(difference(&thumbnail, &plain).0 < 3.0, "{format}");
        }
    }
    let mut lacking = jpeg_profile(&whole, 100);
    lacking.remove(1);
    let (facts, _) = large(&with_jpeg_segments(&jpeg(&picture), &lacking));
    assert_eq!(facts.profile, Profile::Ignored);
}

#[test]
fn shades_follow_a_profile_of_shades() {
    let ramp = image::GrayImage::from_fn(160, 120, |x, _| image::Luma([(x * 255 / 159) as u8]));
    let gamma = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let picture = DynamicImage::from(ramp);
    let uploads = [
        with_jpeg_segments(&jpeg(&picture), &jpeg_profile(&gamma, 60_000)),
        with_png_chunks(&png(&picture), &[png_profile(&gamma)]),
    ];
    for upload in uploads {
        let (facts, thumbnail) = large(&upload);
        assert_eq!(facts.profile, Profile::Converted);
        // Half of the light is level 188 of sRGB.
        let middle = thumbnail.to_rgb8().get_pixel(80, 60).0;
        assert!(
            middle.iter().all(|shade| shade.abs_diff(188) < 3),
            "{middle:?}"
        );
    }
}

#[test]
fn a_transparent_picture_keeps_its_alpha_and_converts_its_colours() {
    let half = RgbaImage::from_pixel(160, 120, Rgba([200, 40, 40, 128]));
    let profile = ColorProfile::new_display_p3();
    let icc = png_profile(&profile.encode().unwrap());
    let upload = with_png_chunks(&png(&half.into()), &[icc]);
    let rendered = rendered(&upload, &[preset("small", 64, &[OutputFormat::WebP])]).unwrap();
    let pixel = decoded(&rendered.variants[0])
        .to_rgba8()
        .get_pixel(30, 20)
        .0;
    let solid = RgbImage::from_pixel(1, 1, image::Rgb([200, 40, 40]));
    let expected = converted(&solid.into(), &profile)
        .to_rgb8()
        .get_pixel(0, 0)
        .0;
    assert_eq!(pixel[3], 128);
    let near = pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 6);
    assert!(near, "{pixel:?} for {expected:?}");
}

/// A press whose cyan prints as it should, and whose magenta and yellow are each other's.
pub(crate) fn ink_profile() -> ColorProfile {
    // Nothing and all of four inks, the last fastest; Lab of each in 16 bits.
    let mut clut = Vec::new();
    for mix in 0..16u16 {
        let ink = |bit: u16| f32::from(mix >> bit & 1);
        let (cyan, magenta, yellow, black) = (ink(3), ink(2), ink(1), ink(0));
        let light = 1.0 - black;
        let lightness = 100.0 * light * (1.0 - 0.3 * cyan - 0.35 * yellow - 0.1 * magenta);
        let a = 70.0 * light * (yellow - cyan * 0.5);
        let b = 80.0 * light * (magenta - cyan * 0.4);
        clut.push((lightness / 100.0 * 65_280.0) as u16);
        clut.push(((a + 128.0) * 256.0) as u16);
        clut.push(((b + 128.0) * 256.0) as u16);
    }
    let straight = |channels: usize| LutStore::Store16([0, 65_535].repeat(channels));
    let lut = LutDataType {
        num_input_channels: 4,
        num_output_channels: 3,
        num_clut_grid_points: 2,
        matrix: Matrix3d::IDENTITY,
        num_input_table_entries: 2,
        num_output_table_entries: 2,
        input_table: straight(4),
        clut_table: LutStore::Store16(clut),
        output_table: straight(3),
        lut_type: LutType::Lut16,
    };
    let mut profile = ColorProfile::default();
    profile.color_space = DataColorSpace::Cmyk;
    profile.pcs = DataColorSpace::Lab;
    profile.profile_class = ProfileClass::OutputDevice;
    profile.lut_a_to_b_perceptual = Some(LutWarehouse::Lut(lut));
    profile.white_point = ColorProfile::new_srgb().white_point;
    profile
}

#[test]
fn inks_print_as_their_profile_says() {
    let icc = ink_profile().encode().unwrap();
    let profile = ColorProfile::new_from_slice(&icc).unwrap();
    let srgb = ColorProfile::new_srgb();
    let (inks_layout, layout) = (moxcms::Layout::Rgba, moxcms::Layout::Rgb);
    let transform = profile
        .create_transform_8bit(inks_layout, &srgb, layout, TransformOptions::default())
        .unwrap();
    for ink in [[200, 10, 20, 0], [0, 220, 30, 10], [10, 0, 200, 60], [0; 4]] {
        let mut expected = [0; 3];
        transform.transform(&ink, &mut expected).unwrap();
        for stored in [
            jpeg_encoder::ColorType::Cmyk,
            jpeg_encoder::ColorType::CmykAsYcck,
        ] {
            let mut upload = Vec::new();
            let mut encoder = jpeg_encoder::Encoder::new(&mut upload, 98);
            encoder.add_icc_profile(&icc).unwrap();
            encoder
                .encode(&ink.repeat(80 * 60), 80, 60, stored)
                .unwrap();
            let (facts, thumbnail) = large(&upload);
            assert_eq!(facts.profile, Profile::Converted);
            assert!(!facts.colour_approximated);
            let pixel = thumbnail.to_rgb8().get_pixel(40, 30).0;
            let near = pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 8);
            assert!(
                near,
                "{ink:?} as {stored:?} is {pixel:?} and should be {expected:?}"
            );
        }
    }
}
