//! Thumbnails look like the picture: as much as JPEG or WebP of their quality can.

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage};
use iyagi_media::OutputFormat;

use crate::sample::{decoded, jpeg, png, preset, rendered, scene};
use crate::ssim::ssim;

/// A picture whose detail is everywhere and of every size, as a photograph's is.
fn photograph(width: u32, height: u32) -> DynamicImage {
    let DynamicImage::ImageRgb8(mut picture) = scene(width, height) else {
        unreachable!("a scene is of 8 bits")
    };
    let mut random = fastrand::Rng::with_seed(11);
    for Rgb(pixel) in picture.pixels_mut() {
        let grain = random.i16(-6..=6);
        *pixel = pixel.map(|sample| (i16::from(sample) + grain).clamp(0, 255) as u8);
    }
    picture.into()
}

/// The whole picture at this size, by Lanczos in floating point.
fn reference(picture: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let picture = DynamicImage::from(picture.to_rgb32f());
    let resized = picture.resize_exact(width, height, FilterType::Lanczos3);
    resized.to_rgb8().into()
}

/// What is left of a picture that is encoded without having been resized.
fn encoded(picture: &RgbImage, format: OutputFormat, quality: u8) -> DynamicImage {
    let (width, height) = picture.dimensions();
    let file = match format {
        OutputFormat::Jpeg => {
            let mut file = Vec::new();
            let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
            encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_2_0);
            encoder
                .encode(
                    picture,
                    width as u16,
                    height as u16,
                    jpeg_encoder::ColorType::Rgb,
                )
                .unwrap();
            file
        }
        OutputFormat::WebP => {
            // By the method that libwebp takes unless told otherwise.
            let encoder = webp::Encoder::from_rgb(picture, width, height);
            encoder.encode(f32::from(quality)).to_vec()
        }
    };
    image::load_from_memory(&file).unwrap()
}

#[test]
fn thumbnails_are_as_similar_as_their_quality_allows() {
    /// By how much a thumbnail may be less similar to the picture than a reference is that was
    /// resized in floating point and encoded at the same quality.
    const LOSS_MAX: f64 = 0.001;
    /// The same of a large WebP, by a faster method than the reference: grain as strong as this
    /// costs it more than a photograph does.
    const FAST_LOSS_MAX: f64 = 0.003;
    let picture = photograph(1_600, 1_200);
    let formats = [OutputFormat::Jpeg, OutputFormat::WebP];
    let presets = [
        preset("feed", 1_080, &formats),
        preset("list", 320, &formats),
        preset("avatar", 128, &formats),
    ];
    let upload = jpeg(&picture);
    let seen = image::load_from_memory(&upload).unwrap();
    for (kind, upload, seen) in [("png", png(&picture), &picture), ("jpeg", upload, &seen)] {
        for variant in rendered(&upload, &presets).unwrap().variants {
            let reference = reference(seen, variant.width, variant.height);
            let ceiling = encoded(&reference.to_rgb8(), variant.format, 90);
            let (made, ceiling) = (
                ssim(&decoded(&variant), &reference),
                ssim(&ceiling, &reference),
            );
            let case = format!("{} as {:?} of a {kind}", variant.preset, variant.format);
            let fast = variant.format == OutputFormat::WebP && variant.preset == "feed";
            let loss_max = if fast { FAST_LOSS_MAX } else { LOSS_MAX };
            assert!(
                ceiling - made <= loss_max,
                "{case}: {made:.4} of {ceiling:.4}"
            );
            assert!(made > 0.9, "{case}: {made:.4}");
        }
    }
}

#[test]
fn similarity_falls_with_every_kind_of_difference() {
    let picture = scene(160, 120);
    assert!((ssim(&picture, &picture) - 1.0).abs() < 1e-6);
    assert!(ssim(&picture, &picture.blur(2.0)) < 0.9);
    assert!(ssim(&picture, &photograph(160, 120)) < 0.99);
    assert!(ssim(&picture, &picture.fliph()) < 0.5);
}
