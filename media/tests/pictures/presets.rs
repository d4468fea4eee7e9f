//! What a preset asks for is what comes out.

use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};
use iyagi_media::{Crop, Fit, FocalPoint, Limits, OutputFormat, Preset, Rendered, render};

use crate::sample::{
    BOTH, GREEN, RED, assert_corners, decoded, exif, gif, jpeg, jpeg_exif, png, preset, quadrants,
    rendered, with_jpeg_segments,
};

fn square(side: u32, crop: Crop) -> Preset {
    Preset {
        fit: Fit::Fill,
        crop,
        ..preset("square", side, BOTH)
    }
}

fn focused(bytes: &[u8], preset: Preset, x: f64, y: f64) -> Rendered {
    let focal_point = FocalPoint::new(x, y).unwrap();
    let limits = Limits::default();
    render(bytes, Some(focal_point), &[preset], &limits, &|| false).unwrap()
}

/// Grey with a patch of skin, or of noise, in one place.
fn patch(width: u32, height: u32, at: (u32, u32), noise: bool) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        let inside = x.abs_diff(at.0) < 40 && y.abs_diff(at.1) < 40;
        match (inside, noise) {
            (true, true) => Rgb([((x / 4 * 71 + y / 4 * 37) % 256) as u8; 3]),
            (true, false) => Rgb([220, 165, 130]),
            (false, _) => Rgb([118; 3]),
        }
    })
    .into()
}

/// Mean distance of the thumbnail's pixels from the grey around the patch.
fn shown(picture: &DynamicImage) -> f64 {
    let picture = picture.to_rgb8();
    let distance: u64 = picture.iter().map(|s| u64::from(s.abs_diff(118))).sum();
    distance as f64 / picture.len() as f64
}

#[test]
fn a_frame_is_filled_in_its_own_shape() {
    for (aspect, size) in [([1, 1], (60, 60)), ([16, 9], (60, 34)), ([3, 4], (45, 60))] {
        for picture in [
            quadrants(160, 120),
            quadrants(120, 160),
            quadrants(120, 120),
        ] {
            let mut preset = square(60, Crop::Centre);
            preset.aspect = aspect;
            for variant in rendered(&jpeg(&picture), &[preset]).unwrap().variants {
                assert_eq!((variant.width, variant.height), size);
                decoded(&variant);
            }
        }
    }
}

#[test]
fn what_there_is_to_see_is_kept() {
    for (crop, noise) in [
        (Crop::Entropy, true),
        (Crop::Attention, true),
        (Crop::Attention, false),
    ] {
        for (size, at) in [((600, 200), (500, 100)), ((200, 600), (100, 80))] {
            let picture = patch(size.0, size.1, at, noise);
            let show = |crop| {
                let made = rendered(&png(&picture), &[square(100, crop)]).unwrap();
                shown(&decoded(&made.variants[0]))
            };
            let (kept, middle) = (show(crop), show(Crop::Centre));
            assert!(
                kept > 3.0 && middle < 1.0,
                "{crop:?} at {at:?}: {kept:.1}, {middle:.1}"
            );
        }
    }
}

#[test]
fn the_focal_point_of_an_upload_is_kept_whatever_the_preset_looks_for() {
    let picture = patch(600, 200, (500, 100), true);
    for crop in [Crop::Centre, Crop::Entropy, Crop::Attention] {
        let at = |x| {
            shown(&decoded(
                &focused(&png(&picture), square(100, crop), x, 0.5).variants[0],
            ))
        };
        assert!(at(0.83) > 3.0 && at(0.1) < 1.0, "{crop:?}");
    }
    let whole = focused(&png(&picture), preset("whole", 100, BOTH), 0.1, 0.5);
    assert_eq!(whole.variants[0].width, 100);
}

#[test]
fn a_turned_picture_is_cut_as_it_is_seen() {
    // Stored lying, seen standing: red and green are the upper half as seen.
    let seen = quadrants(120, 240);
    let stored = seen.rotate270();
    let upload = with_jpeg_segments(&jpeg(&stored), &[jpeg_exif(&exif(6))]);
    let made = focused(&upload, square(60, Crop::Centre), 0.5, 0.0);
    let top = decoded(&made.variants[0]);
    assert_corners(&top, [RED, GREEN, RED, GREEN], "the upper part");
}

#[test]
fn linear_light_keeps_fine_patterns_as_bright_as_they_are() {
    let stripes = RgbImage::from_fn(640, 480, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
    let bytes = png(&stripes.into());
    let mut bright = preset("bright", 64, BOTH);
    bright.linear = true;
    let made = rendered(&bytes, &[bright, preset("plain", 64, BOTH)]).unwrap();
    let shade = |at: usize| decoded(&made.variants[at]).to_rgb8().get_pixel(32, 24)[0];
    assert!(shade(0).abs_diff(188) < 4, "{}", shade(0));
    assert!(shade(2).abs_diff(128) < 4, "{}", shade(2));
}

#[test]
fn linear_light_and_bytes_show_the_same_picture() {
    let picture = quadrants(333, 217);
    let mut linear = preset("linear", 64, BOTH);
    linear.linear = true;
    let upright = with_jpeg_segments(&jpeg(&picture.rotate270()), &[jpeg_exif(&exif(6))]);
    for upload in [png(&picture), upright] {
        let made = rendered(&upload, &[linear.clone(), preset("plain", 64, BOTH)]).unwrap();
        let corners = crate::sample::CORNERS;
        for variant in &made.variants {
            assert_eq!((variant.width, variant.height), (64, 42));
            assert_corners(&decoded(variant), corners, &variant.preset);
        }
    }
}

fn animation() -> Vec<u8> {
    let frame =
        |shade: u8| RgbaImage::from_fn(160, 120, |x, _| Rgba([shade, 90, (x % 200) as u8, 255]));
    gif(&[frame(10), frame(120), frame(240)])
}

fn moving(longest_side: u32) -> Preset {
    Preset {
        animated: true,
        ..preset("moving", longest_side, BOTH)
    }
}

#[test]
fn an_animation_stays_one_where_the_preset_and_the_format_allow_it() {
    let made = rendered(&animation(), &[moving(80), preset("still", 80, BOTH)]).unwrap();
    let frames: Vec<u32> = made.variants.iter().map(|variant| variant.frames).collect();
    assert_eq!(frames, [1, 3, 1, 1]);
    let file = webp::AnimDecoder::new(&made.variants[1].bytes)
        .decode()
        .unwrap();
    assert_eq!(file.len(), 3);
    for (frame, red) in file.into_iter().zip([10u8, 120, 240]) {
        assert_eq!((frame.width(), frame.height()), (80, 60));
        let middle = frame.get_image()[4 * (80 * 30 + 40)];
        assert!(middle.abs_diff(red) < 12, "{middle} for {red}");
    }
    let probe = iyagi_media::probe(&made.variants[1].bytes).unwrap();
    assert_eq!((probe.animated, probe.frames), (true, 3));
}

#[test]
fn an_animation_that_costs_too_much_stays_a_still() {
    let limits = Limits {
        frames_pixels_max: 2 * 160 * 120,
        ..Limits::default()
    };
    let made = render(&animation(), None, &[moving(80)], &limits, &|| false).unwrap();
    assert!(made.variants.iter().all(|variant| variant.frames == 1));
}

#[test]
fn a_still_in_a_preset_for_animations_is_a_still() {
    let made = rendered(&png(&quadrants(160, 120)), &[moving(80)]).unwrap();
    assert!(made.variants.iter().all(|variant| variant.frames == 1));
    assert_eq!(made.variants[1].format, OutputFormat::WebP);
}

#[test]
fn a_placeholder_says_how_the_picture_looks() {
    let made = rendered(&png(&quadrants(160, 120)), &[]).unwrap();
    let (width, height, rgba) = thumbhash::thumb_hash_to_rgba(&made.thumb_hash).unwrap();
    let blurred = RgbaImage::from_raw(width as u32, height as u32, rgba).unwrap();
    let pixel = |x: u32, y: u32| blurred.get_pixel(x, y).0;
    let (right, bottom) = (width as u32 - 3, height as u32 - 3);
    let (red, green, blue) = (pixel(2, 2), pixel(right, 2), pixel(2, bottom));
    assert!(red[0] > red[1].max(red[2]), "{red:?}");
    assert!(green[1] > green[0].max(green[2]), "{green:?}");
    assert!(blue[2] > blue[0].max(blue[1]), "{blue:?}");
}
