//! No file makes the engine panic, or keeps it busy.

use image::ImageFormat;
use iyagi_media::{Crop, Fit, Limits, OutputFormat, probe, render, sniff};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rustix::time::{ClockId, clock_gettime};

use crate::colour::{ink_profile, png_profile};
use crate::sample::{
    BOTH, big_tiff, exif, file, gif, jpeg, jpeg_exif, palette_tiff, png, png_chunk, preset,
    quadrants, tiff_with, webp, webp_chunk, with_jpeg_segments, with_png_chunks, with_webp_chunks,
};
use crate::scans::{self, Quantised};

const MAGIC: &[&[u8]] = &[
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"RIFF\x40\0\0\0WEBPVP8L",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"GIF89a",
    b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"\0\0\0\x18ftyp",
];

/// Small files of every format, with metadata where it can be.
fn valid_files() -> Vec<Vec<u8>> {
    let picture = quadrants(24, 16);
    let frame = picture.to_rgba8();
    let mut progressive = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut progressive, 80);
    encoder.set_progressive(true);
    encoder
        .encode(&picture.to_rgb8(), 24, 16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    vec![
        with_jpeg_segments(&jpeg(&picture), &[jpeg_exif(&exif(6))]),
        progressive,
        with_png_chunks(&png(&picture), &[png_chunk(b"eXIf", &exif(3))]),
        png(&picture.to_rgba16().into()),
        png(&picture.to_luma8().into()),
        with_webp_chunks(&webp(&picture), 8, &[webp_chunk(b"EXIF", &exif(8))]),
        gif(&[frame.clone(), frame]),
        file(&picture, ImageFormat::Bmp),
    ]
}

/// Runs everything on it, within limits that keep one case fast, and tells whether it was rendered.
fn survive(bytes: &[u8]) -> bool {
    const SMALL: u64 = 1 << 20;
    let limits = Limits {
        pixels_max: SMALL,
        decode_bytes_max: 8 * SMALL,
        ..Limits::default()
    };
    let format = sniff(bytes);
    if let Ok(probe) = probe(bytes) {
        assert_eq!(probe.format, format);
        assert!((1..=8).contains(&probe.orientation) && probe.pixels() > 0);
    }
    let mut square = preset("square", 12, &[OutputFormat::WebP]);
    (square.fit, square.crop) = (Fit::Fill, Crop::Attention);
    (square.linear, square.animated) = (true, true);
    let presets = [preset("small", 16, &[OutputFormat::Jpeg]), square];
    match render(bytes, None, &presets, &limits, &|| false) {
        Ok(rendered) => {
            assert_eq!(rendered.variants.len(), 2);
            true
        }
        Err(error) => {
            assert!(error.deterministic() && !error.to_string().is_empty());
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(magic in select(MAGIC), rest in vec(any::<u8>(), 0..400)) {
        survive(&[magic, &rest].concat());
    }

    #[test]
    fn a_damaged_picture_is_survived(
        mut bytes in select(valid_files()),
        damage in vec((any::<Index>(), any::<u8>()), 0..6),
        end in proptest::option::weighted(0.3, any::<Index>()),
    ) {
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn a_damaged_header_is_survived(
        mut bytes in select(valid_files()),
        damage in vec((0usize..64, any::<u8>()), 1..4),
    ) {
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        survive(&bytes);
    }
}

/// Changes of a file that is valid otherwise: bytes, bits, pieces, lengths and the end.
fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..=4) {
        let at = random.usize(..bytes.len());
        match random.u8(..7) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.usize(..6)],
            3 => {
                let end = (at + random.usize(1..=8)).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
            4 => {
                let end = (at + random.usize(1..=64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let end = (at + random.usize(1..=64)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => bytes.truncate(at.max(1)),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// 10,000 changes of each kind of file; every one is rendered or refused, and none takes long.
fn mutations_are_survived(files: &[Vec<u8>]) {
    const MUTATIONS: u64 = 10_000;
    const SECONDS_MAX: f64 = 1.0;
    let mut rendered = 0;
    for seed in 0..MUTATIONS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = files[random.usize(..files.len())].clone();
        mutate(&mut random, &mut bytes);
        let start = cpu_seconds();
        rendered += u64::from(survive(&bytes));
        let took = cpu_seconds() - start;
        assert!(took < SECONDS_MAX, "seed {seed}: {took:.2} s");
    }
    // Changes that are always refused would test a probe and nothing behind it.
    assert!(rendered > MUTATIONS / 50, "only {rendered} were rendered");
}

#[test]
fn mutations_of_jpeg_are_survived() {
    let picture = quadrants(40, 24);
    let rgb = picture.to_rgb8();
    let made = |colour, progressive, profile: Option<&[u8]>, restarts, samples: &[u8]| {
        let mut file = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut file, 80);
        encoder.set_progressive(progressive);
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_2_0);
        encoder.set_restart_interval(restarts);
        if let Some(profile) = profile {
            encoder.add_icc_profile(profile).unwrap();
        }
        encoder.encode(samples, 40, 24, colour).unwrap();
        file
    };
    let inks: Vec<u8> = rgb
        .pixels()
        .flat_map(|p| [!p[0], !p[1], !p[2], 9])
        .collect();
    let (rgb_type, cmyk) = (jpeg_encoder::ColorType::Rgb, jpeg_encoder::ColorType::Cmyk);
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let press = ink_profile().encode().unwrap();
    mutations_are_survived(&[
        with_jpeg_segments(&jpeg(&picture), &[jpeg_exif(&exif(6))]),
        made(rgb_type, false, None, 2, &rgb),
        made(rgb_type, false, Some(&p3), 0, &rgb),
        made(rgb_type, true, None, 0, &rgb),
        made(cmyk, false, Some(&press), 0, &inks),
        made(jpeg_encoder::ColorType::CmykAsYcck, false, None, 0, &inks),
        made(
            jpeg_encoder::ColorType::Luma,
            false,
            None,
            0,
            &picture.to_luma8(),
        ),
    ]);
}

#[test]
fn mutations_of_progressive_jpeg_are_survived() {
    let picture = quadrants(40, 24).to_rgb8();
    let files = [(2, 2), (2, 1)].into_iter().flat_map(|factors| {
        let coefficients = || Quantised::new(&picture, factors, 4);
        [
            coefficients().file(scans::USUAL, 0),
            coefficients().file(scans::UNUSUAL, 2),
            coefficients().grey().file(scans::USUAL, 3),
        ]
    });
    mutations_are_survived(&files.collect::<Vec<_>>());
}

#[test]
fn mutations_of_png_are_survived() {
    let picture = quadrants(24, 16);
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    mutations_are_survived(&[
        with_png_chunks(&png(&picture), &[png_chunk(b"eXIf", &exif(3))]),
        with_png_chunks(&png(&picture), &[png_profile(&p3)]),
        png(&picture.to_rgba16().into()),
        png(&picture.to_luma8().into()),
    ]);
}

#[test]
fn mutations_of_gif_are_survived() {
    let frame = quadrants(24, 16).to_rgba8();
    mutations_are_survived(&[
        gif(std::slice::from_ref(&frame)),
        gif(&[frame.clone(), frame]),
    ]);
}

#[test]
fn mutations_of_webp_are_survived() {
    let picture = quadrants(24, 16);
    let rgba = picture.to_rgba8();
    let config = ::webp::WebPConfig::new().unwrap();
    let mut animation = ::webp::AnimEncoder::new(24, 16, &config);
    for at_ms in [0, 100] {
        animation.add_frame(::webp::AnimFrame::from_rgba(&rgba, 24, 16, at_ms));
    }
    mutations_are_survived(&[
        with_webp_chunks(&webp(&picture), 8, &[webp_chunk(b"EXIF", &exif(8))]),
        ::webp::Encoder::from_rgba(&rgba, 24, 16)
            .encode(80.0)
            .to_vec(),
        animation.encode().to_vec(),
    ]);
}

#[test]
fn mutations_of_bmp_are_survived() {
    let picture = quadrants(24, 16);
    mutations_are_survived(&[
        file(&picture, ImageFormat::Bmp),
        file(&picture.to_rgba8().into(), ImageFormat::Bmp),
    ]);
}

#[test]
fn mutations_of_tiff_are_survived() {
    let picture = quadrants(24, 16);
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    mutations_are_survived(&[
        tiff_with(&picture, 6, &p3),
        big_tiff(&picture),
        palette_tiff((40, 30), &[7; 40 * 30], &[[1, 2, 3]; 256], 16),
        palette_tiff((41, 30), &[7; 41 * 30], &[[1, 2, 3]; 16], 16),
        palette_tiff((41, 30), &[1; 41 * 30], &[[1, 2, 3]; 2], 8),
        file(&picture, ImageFormat::Tiff),
        file(&picture.to_rgba16().into(), ImageFormat::Tiff),
        file(&picture.to_luma8().into(), ImageFormat::Tiff),
    ]);
}

/// Every file below the folder that `IYAGI_CORPORA` names: those of `image`, `PngSuite`, fuzzers.
#[test]
fn public_corpora_are_survived() {
    const SECONDS_MAX: f64 = 1.0;
    let Some(folder) = std::env::var_os("IYAGI_CORPORA") else {
        println!("IYAGI_CORPORA names no folder: nothing to survive");
        return;
    };
    let (mut rendered, mut refused) = (0, std::collections::BTreeMap::new());
    let mut folders = vec![std::path::PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let presets = [preset("small", 128, BOTH)];
            let start = cpu_seconds();
            let outcome = render(&bytes, None, &presets, &Limits::default(), &|| false);
            let took = cpu_seconds() - start;
            assert!(took < SECONDS_MAX, "{}: {took:.2} s", path.display());
            match outcome {
                Ok(_) => rendered += 1,
                Err(error) => *refused.entry(error.reason_code()).or_insert(0) += 1,
            }
        }
    }
    println!("{rendered} rendered, refused: {refused:?}");
    assert!(rendered > 0, "not one picture among them");
}
