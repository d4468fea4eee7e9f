//! The commonest upload, which takes a path of its own: a baseline JPEG.

use image::metadata::Orientation;
use image::{DynamicImage, Rgb, RgbImage};
use iyagi_media::{Limits, OutputFormat, RenderError, render};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use crate::sample::{BOTH, decoded, exif, jpeg_exif, preset, rendered, scene, with_jpeg_segments};
use crate::ssim::ssim;

const SAMPLINGS: [SamplingFactor; 6] = [
    SamplingFactor::F_1_1,
    SamplingFactor::F_2_1,
    SamplingFactor::F_1_2,
    SamplingFactor::F_2_2,
    SamplingFactor::F_4_1,
    SamplingFactor::F_2_4,
];

fn baseline(picture: &DynamicImage, sampling: SamplingFactor, restart_interval: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 92);
    encoder.set_sampling_factor(sampling);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.set_restart_interval(restart_interval);
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder
        .encode(&picture.to_rgb8(), width, height, ColorType::Rgb)
        .unwrap();
    bytes
}

/// Colours that change with each pixel, so that none can be a pixel off unnoticed.
fn ramps(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        let ramp = |at: u32, length: u32| (at * 255 / length) as u8;
        Rgb([ramp(x, width), 128, ramp(y, height)])
    })
    .into()
}

/// The root of the mean square of the differences of all channels.
fn apart(a: &DynamicImage, b: &DynamicImage) -> f64 {
    let (a, b) = (a.to_rgb8(), b.to_rgb8());
    assert_eq!(a.dimensions(), b.dimensions());
    let samples = a.iter().zip(b.iter());
    let squares = samples.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

/// Small files of every sampling, with and without restart markers, and a grey one.
fn small_files() -> Vec<Vec<u8>> {
    let picture = scene(40, 24);
    let mut files: Vec<_> = SAMPLINGS
        .iter()
        .flat_map(|sampling| [0, 3].map(|interval| baseline(&picture, *sampling, interval)))
        .collect();
    let mut grey = Vec::new();
    Encoder::new(&mut grey, 80)
        .encode(&picture.to_luma8(), 40, 24, ColorType::Luma)
        .unwrap();
    files.push(grey);
    files
}

#[test]
fn every_sampling_gives_the_same_thumbnails() {
    let picture = scene(603, 401);
    let presets = [
        preset("whole", 603, BOTH),
        preset("half", 301, BOTH),
        preset("small", 70, BOTH),
    ];
    let of = |sampling, interval| rendered(&baseline(&picture, sampling, interval), &presets);
    let expected = of(SamplingFactor::F_1_1, 0).unwrap().variants;
    for sampling in SAMPLINGS {
        for interval in [0, 5] {
            let variants = of(sampling, interval).unwrap().variants;
            for (variant, expected) in variants.iter().zip(&expected) {
                let (made, expected) = (decoded(variant), decoded(expected));
                let case = format!("{sampling:?}, {} as {:?}", variant.preset, variant.format);
                let similar = ssim(&made, &expected);
                assert!(similar > 0.97, "{case}: {similar:.4}");
            }
        }
    }
}

#[test]
fn colour_stays_where_it_is_however_odd_the_size_and_whatever_the_orientation() {
    // Turning back: a quarter turn one way undoes the other; everything else undoes itself.
    let back = |orientation| match orientation {
        6 => 8,
        8 => 6,
        itself => itself,
    };
    for (width, height) in [(64, 64), (63, 63), (126, 90), (127, 91), (203, 117)] {
        let upright = ramps(width, height);
        let presets = [preset("small", 63, &[OutputFormat::Jpeg])];
        let of = |picture: &DynamicImage, orientation| {
            let segment = jpeg_exif(&exif(orientation));
            let upload = baseline(picture, SamplingFactor::F_2_2, 0);
            let made = rendered(&with_jpeg_segments(&upload, &[segment]), &presets);
            decoded(&made.unwrap().variants[0])
        };
        let expected = of(&upright, 1);
        for orientation in 2..=8 {
            let mut stored = upright.clone();
            stored.apply_orientation(Orientation::from_exif(back(orientation)).unwrap());
            let off = apart(&of(&stored, u16::from(orientation)), &expected);
            let case = format!("{width} by {height}, orientation {orientation}");
            assert!(off < 3.0, "{case}: {off:.2} off");
        }
    }
}

#[test]
fn a_baseline_file_cut_anywhere_is_refused() {
    let presets = [preset("small", 16, &[OutputFormat::Jpeg])];
    for file in small_files() {
        for end in 1..file.len() {
            let refusal = rendered(&file[..end], &presets).unwrap_err();
            assert!(
                matches!(
                    refusal,
                    RenderError::Corrupt { .. } | RenderError::NotAPicture { .. }
                ),
                "cut at {end} of {}: {refusal}",
                file.len()
            );
        }
    }
}

#[test]
fn ten_thousand_damaged_files_are_rendered_or_refused_with_a_reason() {
    const FILES: usize = 10_000;
    let limits = Limits {
        pixels_max: 1 << 20,
        ..Limits::default()
    };
    let presets = [
        preset("whole", 1_024, &[OutputFormat::Jpeg]),
        preset("small", 4, &[OutputFormat::Jpeg]),
    ];
    let valid = small_files();
    let mut random = fastrand::Rng::with_seed(2);
    let (mut made, mut refused) = (0, 0);
    for _ in 0..FILES {
        let mut bytes = valid[random.usize(..valid.len())].clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(..8),
                2 => bytes[at] = [0x00, 0xff, 0xd0, 0xd9][random.usize(..4)],
                _ => {
                    let to = random.usize(at..bytes.len().min(at + 20));
                    bytes.drain(at..to);
                }
            }
        }
        let sizes = &presets[random.usize(..2)..];
        match render(&bytes, None, sizes, &limits, &|| false) {
            Ok(rendered) => {
                assert_eq!(rendered.variants.len(), sizes.len());
                made += 1;
            }
            Err(error) => {
                assert!(error.deterministic() && !error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    // Else the damage would be of no use as a test.
    assert!(
        made > FILES / 10 && refused > FILES / 10,
        "{made} and {refused}"
    );
}

#[test]
fn a_large_claim_with_little_behind_it_costs_next_to_nothing() {
    let mut bytes = baseline(&scene(40, 24), SamplingFactor::F_2_2, 0);
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    // 8,000 by 8,000: within the limits, and a thousandth of a bit for each pixel.
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0x40, 0x1f, 0x40]);
    let rows = std::cell::Cell::new(0);
    let asked = || {
        rows.set(rows.get() + 1);
        false
    };
    let presets = [preset("whole", 8_000, &[OutputFormat::Jpeg])];
    let refusal = render(&bytes, None, &presets, &Limits::default(), &asked).unwrap_err();
    assert_eq!(refusal.reason_code(), "corrupt");
    assert!(rows.get() < 10, "{} rows were begun", rows.get());
}
