//! The decoder and the encoder against others, on files made here.

use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;
use crate::planes::Plane;

mod progressive;

const USUAL_SAMPLINGS: [SamplingFactor; 4] = [
    SamplingFactor::F_1_1,
    SamplingFactor::F_2_1,
    SamplingFactor::F_1_2,
    SamplingFactor::F_2_2,
];

/// Written one component a scan. The other decoder at hand reads some of these wrongly, so they are
/// compared with what was written.
const RARE_SAMPLINGS: [SamplingFactor; 4] = [
    SamplingFactor::F_4_1,
    SamplingFactor::F_4_2,
    SamplingFactor::F_1_4,
    SamplingFactor::F_2_4,
];

/// Colours that change slowly, and some texture in the light.
fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / 40.0, y as f32 / 30.0);
        let light = 110.0 + 60.0 * (u + v).sin() + 20.0 * (u * 9.0).sin() * (v * 7.0).cos();
        let tint = 30.0 * (u * 0.5 - v * 0.3).sin();
        Rgb([(light + tint) as u8, light as u8, (light - tint) as u8])
    })
}

struct Written {
    picture: RgbImage,
    bytes: Vec<u8>,
    size: (u32, u32),
}

/// Luma, and what is blue and red of it.
type Channels = [GrayImage; 3];

fn channels(pixels: &RgbImage) -> Channels {
    let channel = |by: [f32; 3], middle: f32| {
        GrayImage::from_fn(pixels.width(), pixels.height(), |x, y| {
            let pixel = pixels.get_pixel(x, y).0.map(f32::from);
            let sum: f32 = pixel.iter().zip(by).map(|(p, by)| p * by).sum();
            image::Luma([(sum + middle).round().clamp(0.0, 255.0) as u8])
        })
    };
    [
        channel([0.299, 0.587, 0.114], 0.0),
        channel([-0.168_736, -0.331_264, 0.5], 128.0),
        channel([0.5, -0.418_688, -0.081_312], 128.0),
    ]
}

fn written(picture: &RgbImage, sampling: SamplingFactor, restart_interval: u16) -> Written {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 92);
    encoder.set_sampling_factor(sampling);
    encoder.set_restart_interval(restart_interval);
    let (width, height) = picture.dimensions();
    encoder
        .encode(picture, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    Written {
        picture: picture.clone(),
        bytes,
        size: (width, height),
    }
}

fn written_grey(picture: &GrayImage) -> Written {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    Encoder::new(&mut bytes, 92)
        .encode(picture, width as u16, height as u16, ColorType::Luma)
        .unwrap();
    Written {
        picture: DynamicImage::from(picture.clone()).to_rgb8(),
        bytes,
        size: (width, height),
    }
}

impl Written {
    fn decoded(&self, share: u32) -> Planes {
        // A little less than the fraction, since luma is decoded a third larger.
        let share = if share == 1 { 1 } else { share * 3 / 2 };
        let needed = (self.size.0.div_ceil(share), self.size.1.div_ceil(share));
        decode(&self.bytes, self.size, needed, &|| false).unwrap()
    }

    fn encoded_again(&self, planes: &Planes, quality: u8) -> Self {
        Self {
            picture: self.picture.clone(),
            bytes: encode(planes, quality),
            size: self.size,
        }
    }

    /// As another decoder sees it.
    fn reference(&self) -> Channels {
        channels(&image::load_from_memory(&self.bytes).unwrap().to_rgb8())
    }
}

/// The root of the mean square of the differences, the plane being brought to the size of the
/// reference by nearest samples.
fn apart(plane: &Plane, reference: &GrayImage) -> f64 {
    let (across, down) = plane.extent();
    let (width, height) = reference.dimensions();
    let mut squares = 0.0;
    for (x, y, sample) in reference.enumerate_pixels() {
        let column = ((f64::from(x) + 0.5) * across / f64::from(width)) as usize;
        let row = ((f64::from(y) + 0.5) * down / f64::from(height)) as usize;
        let found = plane.samples()[row * plane.stride() + column];
        squares += f64::from(found.abs_diff(sample[0])).powi(2);
    }
    (squares / f64::from(width * height)).sqrt()
}

/// Fails unless its planes are near: luma and chroma off by less than this.
fn assert_near(
    written: &Written,
    reference: &Channels,
    (luma_max, chroma_max): (f64, f64),
    case: &str,
) {
    let planes = written.decoded(1);
    assert_eq!(planes.size(), written.size, "{case}");
    let off = apart(&planes.luma, &reference[0]);
    assert!(off < luma_max, "{case}: luma is {off:.2} off");
    for (plane, reference) in planes.chroma.iter().flatten().zip(&reference[1..]) {
        let off = apart(plane, reference);
        assert!(off < chroma_max, "{case}: chroma is {off:.2} off");
    }
}

fn assert_as_others(written: &Written, case: &str) {
    assert_near(written, &written.reference(), (1.0, 3.0), case);
}

fn assert_as_written(written: &Written, case: &str) {
    assert_near(written, &channels(&written.picture), (3.0, 4.0), case);
}

#[test]
fn the_order_of_coefficients_names_each_once() {
    let mut seen = [false; 64];
    for place in NATURAL_ORDER {
        assert!(!std::mem::replace(&mut seen[usize::from(place)], true));
    }
}

#[test]
fn every_sampling_and_restart_interval_is_as_others_decode_it() {
    let picture = scene(203, 117);
    for restart_interval in [0, 1, 2, 7, 100] {
        for sampling in USUAL_SAMPLINGS {
            let case = format!("{sampling:?}, restart interval {restart_interval}");
            assert_as_others(&written(&picture, sampling, restart_interval), &case);
        }
        for sampling in RARE_SAMPLINGS {
            let case = format!("{sampling:?}, restart interval {restart_interval}");
            assert_as_written(&written(&picture, sampling, restart_interval), &case);
        }
    }
}

#[test]
fn every_small_size_is_as_others_decode_it() {
    for width in 1..=17 {
        for height in 1..=17 {
            let picture = scene(width, height);
            for sampling in USUAL_SAMPLINGS {
                let case = format!("{width} by {height}, {sampling:?}");
                assert_as_others(&written(&picture, sampling, 0), &case);
            }
            for sampling in RARE_SAMPLINGS {
                let case = format!("{width} by {height}, {sampling:?}");
                assert_as_written(&written(&picture, sampling, 0), &case);
            }
            let grey = DynamicImage::from(picture).to_luma8();
            assert_as_others(&written_grey(&grey), &format!("{width} by {height}, grey"));
        }
    }
}

#[test]
fn a_fraction_of_the_size_shows_the_same_picture() {
    let picture = scene(403, 301);
    let reference = channels(&picture);
    for sampling in USUAL_SAMPLINGS.into_iter().chain(RARE_SAMPLINGS) {
        let written = written(&picture, sampling, 3);
        for (share, off_max) in [(2, 6.0), (4, 9.0), (8, 20.0)] {
            let planes = written.decoded(share);
            let (width, height) = planes.size();
            let needed = (403_u32.div_ceil(share), 301_u32.div_ceil(share));
            assert_eq!((width, height), needed, "{sampling:?} at 1/{share}");
            let off = apart(&planes.luma, &reference[0]);
            assert!(off < off_max, "{sampling:?} at 1/{share}: {off:.2} off");
            for (plane, reference) in planes.chroma.iter().flatten().zip(&reference[1..]) {
                let (across, down) = plane.extent();
                assert!(
                    across >= f64::from(width) / 2.0 - 0.5,
                    "{sampling:?} at 1/{share}"
                );
                assert!(
                    down >= f64::from(height) / 2.0 - 0.5,
                    "{sampling:?} at 1/{share}"
                );
                let off = apart(plane, reference);
                assert!(off < 4.0, "{sampling:?} at 1/{share}: chroma {off:.2} off");
            }
        }
    }
}

#[test]
fn the_least_fraction_that_is_large_enough_is_taken() {
    let written = written(&scene(160, 96), SamplingFactor::F_2_2, 0);
    for (needed, size) in [
        ((160, 96), (160, 96)),
        ((61, 2), (160, 96)),
        ((60, 36), (80, 48)),
        ((3, 19), (80, 48)),
        ((30, 18), (40, 24)),
        ((15, 9), (20, 12)),
        ((1, 1), (20, 12)),
    ] {
        let planes = decode(&written.bytes, written.size, needed, &|| false).unwrap();
        assert_eq!(planes.size(), size, "{needed:?}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for (sampling, restart_interval) in [
        (SamplingFactor::F_2_2, 0),
        (SamplingFactor::F_1_1, 2),
        (SamplingFactor::F_4_1, 0),
    ] {
        let written = written(&scene(40, 24), sampling, restart_interval);
        // The end marker, and the byte after it where a writer adds one, are nobody's pixels.
        for end in 0..written.bytes.len() - 2 {
            for share in [1, 2, 8] {
                let needed = (40_u32.div_ceil(share), 24_u32.div_ceil(share));
                let cut = decode(&written.bytes[..end], written.size, needed, &|| false);
                assert!(matches!(cut, Err(Refusal::Corrupt(_))), "cut at {end}");
            }
        }
    }
}

#[test]
fn a_missing_restart_marker_is_damage() {
    let written = written(&scene(64, 64), SamplingFactor::F_1_1, 4);
    let second = written
        .bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xd1])
        .unwrap();
    for (marker, refusal) in [
        ([0xff, 0xd2], "a restart marker is missing"),
        ([0xff, 0xd9], "a restart marker is missing"),
        ([0x00, 0x00], "its scan is damaged"),
    ] {
        let mut bytes = written.bytes.clone();
        bytes[second..second + 2].copy_from_slice(&marker);
        let refused = decode(&bytes, written.size, written.size, &|| false).err();
        assert_eq!(refused, Some(Refusal::Corrupt(refusal)), "{marker:x?}");
    }
}

#[test]
fn a_size_that_the_probe_did_not_see_is_refused() {
    let written = written(&scene(40, 24), SamplingFactor::F_1_1, 0);
    let refused = decode(&written.bytes, (40, 25), (40, 25), &|| false).err();
    assert!(matches!(refused, Some(Refusal::Corrupt(_))));
}

#[test]
fn inks_are_left_to_others() {
    for progressive in [false, true] {
        let mut inks = Vec::new();
        let mut encoder = Encoder::new(&mut inks, 80);
        encoder.set_progressive(progressive);
        encoder
            .encode(&vec![9; 4 * 40 * 24], 40, 24, ColorType::Cmyk)
            .unwrap();
        let refused = decode(&inks, (40, 24), (40, 24), &|| false).err();
        assert_eq!(refused, Some(Refusal::Unsupported));
    }
}

#[test]
fn a_decode_is_cancelled_between_rows() {
    let written = written(&scene(64, 64), SamplingFactor::F_1_1, 0);
    for rows in 0..8 {
        let asked = std::cell::Cell::new(0);
        let cancel = || asked.replace(asked.get() + 1) == rows;
        let cancelled = decode(&written.bytes, written.size, written.size, &cancel).err();
        assert_eq!(cancelled, Some(Refusal::Cancelled), "after {rows} rows");
    }
}

#[test]
fn what_is_encoded_is_what_others_decode() {
    for (width, height) in [(1, 1), (16, 16), (17, 9), (203, 117), (800, 601)] {
        let picture = written(&scene(width, height), SamplingFactor::F_2_2, 0);
        let mut grey = picture.decoded(1);
        grey.chroma = None;
        for planes in [picture.decoded(1), grey] {
            let again = picture.encoded_again(&planes, 95);
            let case = format!("{width} by {height}");
            assert_as_others(&again, &case);
            let twice = again.decoded(1);
            assert_eq!(twice.chroma.is_some(), planes.chroma.is_some(), "{case}");
            let [luma, ..] = again.reference();
            let off = apart(&planes.luma, &luma);
            assert!(off < 2.5, "{case}: luma is {off:.2} off");
        }
    }
}

#[test]
fn files_are_no_larger_than_those_of_another_encoder() {
    let picture = scene(640, 480);
    let planes = written(&picture, SamplingFactor::F_2_2, 0).decoded(1);
    for quality in [30, 60, 80, 95] {
        let ours = encode(&planes, quality).len();
        let mut theirs = Vec::new();
        let mut encoder = Encoder::new(&mut theirs, quality);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.encode(&picture, 640, 480, ColorType::Rgb).unwrap();
        let most = theirs.len() * 103 / 100;
        assert!(
            ours <= most,
            "{ours} bytes, where {most} would do at {quality}"
        );
    }
}

#[test]
fn a_picture_too_large_to_keep_its_tokens_is_encoded_as_well() {
    // More units than are kept, so that they are made twice.
    let side = 1_600;
    let picture = written(&scene(side, side), SamplingFactor::F_2_2, 0);
    let again = picture.encoded_again(&picture.decoded(1), 90);
    assert_as_others(&again, "large");
}
