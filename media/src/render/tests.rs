//! A thumbnail is the same file whatever machine makes it: one host of a fleet makes again what
//! another has stored, and hosts may differ.

use std::fmt::Write;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use super::*;
use crate::digest::{hexadecimal, sha256};

/// Of the demo: JPEG of each kind, WebP, and PNG with alpha.
const UPLOADS: [&str; 6] = [
    "posts/story-deep-sky/deep-field.jpg",
    "posts/story-eye/left eye.jpg",
    "posts/story-launch/IMG_2041.jpg",
    "profile/person-grace/galaxy.webp",
    "profile/person-minji/우리 고양이.jpg",
    "profile/person-seoyeon/coffee + me (1).png",
];

/// What [`ENGINE_VERSION`](crate::ENGINE_VERSION) stands for: the `ThumbHash` of each upload, and the
/// beginning of each thumbnail's SHA-256.
const MADE: &str = "\
posts/story-deep-sky/deep-field.jpg: 05f801068007666ba92598b552a9639986d4c88d60803a
  whole.jpg c293c72f3bedb5f9
  whole.webp 38443d962ea217fb
  small.jpg 426f514628e6990c
  small.webp 093efb697b4dfbb9
  square.jpg e93f661d86c6cf1a
  square.webp 814f636a03e89b4e
  linear.jpg 26650be7cfab9308
  linear.webp 66361288aef4b448
posts/story-eye/left eye.jpg: 16ba0a270a19476788778860858877588888867007077700
  whole.jpg a014e7b856e8c2d2
  whole.webp cfef9547769a3e3f
  small.jpg 61ad06484bfe7aeb
  small.webp 7e615346e1e69197
  square.jpg 59b624a6fc1af0a8
  square.webp 01ffa83e712c866d
  linear.jpg a3138c8e015531ce
  linear.webp bdb8f37adf5c2406
posts/story-launch/IMG_2041.jpg: 1d080e0500a198ae8bf66997678677870000000000
  whole.jpg 813dc72819a09441
  whole.webp b123ad4c0d54a047
  small.jpg bb837395ca04d19f
  small.webp bcd1acd1f2dd62ea
  square.jpg db34f2137036e2fd
  square.webp 955fec52bdacddca
  linear.jpg 684d2829f6186631
  linear.webp babe6c150fc21b61
profile/person-grace/galaxy.webp: 05f8010700e9b923c9a9345d6957087b7471464ef8f4810c
  whole.jpg 3952b60288cd2065
  whole.webp 59e7ed480f70095d
  small.jpg b5ad9bb60b575cac
  small.webp 17871c9b985c2277
  square.jpg 78ad8f03ae008fe5
  square.webp d0477d217f4d488c
  linear.jpg af0189bc30e1af70
  linear.webp c0908165d3d7d5bc
profile/person-minji/우리 고양이.jpg: 5d49061582f65868b1e6a9aa784588850c77d47066
  whole.jpg 2be3c8d24c697ec6
  whole.webp 6d80c04ebaa77d82
  small.jpg 981df702c284c28a
  small.webp c2a8fac0b673eb22
  square.jpg 1cee369d2cb78bf7
  square.webp d2893e7da6b2cf28
  linear.jpg 93824e15bb1fbb3e
  linear.webp 5cd14306509c02ab
profile/person-seoyeon/coffee + me (1).png: 189a8a0d062b76797f74884888f79e937f4807588888808458
  whole.jpg 59ad5b75aa0f8946
  whole.webp cb1bdc961f2c1ad8
  small.jpg d766e93d1f4cf7f2
  small.webp e5f2e9d49e0221eb
  square.jpg b958c8745fb7d74c
  square.webp ea6e3f0ea5076430
  linear.jpg f141fde96ef389dd
  linear.webp a14db8f5f37251ed
pattern.png: 1a77061d8045697814e0869759758867bafb273010
  whole.jpg d6694048ca2807bc
  whole.webp c37cc7c6fcd3a369
  small.jpg 99c4b5525833b9d9
  small.webp b9484266dd2ceb00
  square.jpg 261de7fca05839f0
  square.webp 6b79f2c292423ad0
  linear.jpg 108d3f37c2000ffa
  linear.webp 8273617d14299f92
";

fn presets() -> Vec<Preset> {
    let formats = [OutputFormat::Jpeg, OutputFormat::WebP];
    let preset = |name, longest_side| Preset::new(name, longest_side, &formats);
    vec![
        preset("whole", 2_000),
        preset("small", 128),
        Preset {
            fit: Fit::Fill,
            crop: Crop::Attention,
            ..preset("square", 200)
        },
        Preset {
            linear: true,
            ..preset("linear", 160)
        },
    ]
}

/// A PNG of three channels, with every filter: the rows of a pattern of integers.
fn png() -> Vec<u8> {
    let picture = RgbImage::from_fn(301, 211, |x, y| {
        let waves = (x * x / 7 + y * y / 5) as u8;
        image::Rgb([waves, waves.wrapping_add((x * 3) as u8) / 2, (x ^ y) as u8])
    });
    let mut file = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&picture, 301, 211, ExtendedColorType::Rgb8)
        .unwrap();
    file.into_inner()
}

#[test]
fn thumbnails_are_the_same_files_on_every_machine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/media");
    let demo = UPLOADS.map(|name| (name, fs::read(folder.join(name)).unwrap()));
    let mut made = String::new();
    for (name, upload) in demo.into_iter().chain([("pattern.png", png())]) {
        let rendered = render(&upload, None, &presets(), &Limits::default(), &|| false).unwrap();
        writeln!(made, "{name}: {}", hexadecimal(&rendered.thumb_hash)).unwrap();
        for variant in rendered.variants {
            let (preset, extension) = (variant.preset, variant.format.extension());
            let digest = &sha256(&variant.bytes)[..16];
            writeln!(made, "  {preset}.{extension} {digest}").unwrap();
        }
    }
    assert!(
        made == MADE,
        "raise the engine's version if this is meant:\n{made}"
    );
}
