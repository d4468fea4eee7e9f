//! Thumbnails look like the picture.

use image::DynamicImage;
use image::imageops::FilterType;

use crate::sample::{BOTH, decoded, jpeg, png, preset, rendered, scene};

/// Peak signal to noise ratio of the luma in decibels. Colour is stored at half the resolution, on
/// purpose.
fn psnr(a: &DynamicImage, b: &DynamicImage) -> f64 {
    let (a, b) = (a.to_luma8(), b.to_luma8());
    assert_eq!(a.dimensions(), b.dimensions());
    let squares = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let mean = squares.sum::<f64>() / a.len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

#[test]
fn thumbnails_are_close_to_a_direct_resize() {
    const DECIBELS_MIN: f64 = 30.0;
    let picture = scene(1_600, 1_200);
    let presets = [
        preset("feed", 540, BOTH),
        preset("list", 160, BOTH),
        preset("avatar", 64, BOTH),
    ];
    for upload in [png(&picture), jpeg(&picture)] {
        for variant in rendered(&upload, &presets).unwrap().variants {
            let reference = picture.resize(variant.width, variant.height, FilterType::Lanczos3);
            let decibels = psnr(&decoded(&variant), &reference);
            let case = format!("{} as {:?}", variant.preset, variant.format);
            assert!(decibels > DECIBELS_MIN, "{case}: {decibels:.1} dB");
        }
    }
}
