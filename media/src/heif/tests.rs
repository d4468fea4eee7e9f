mod container;

use image::ColorType;

use self::container::{Item, avif, iso_box, numbers};
use super::*;
use crate::preset::{OutputFormat, Preset};
use crate::probe::{Colour, probe};
use crate::raster::{Layout, Raster};
use crate::render::{render, render_decoded};

/// A picture that ffmpeg coded with libaom, and wrote.
const FOREIGN: &[u8] = include_bytes!("testsrc.avif");
/// One that x265 coded.
const HEIC: &[u8] = include_bytes!("testsrc.heic");

fn read(bytes: &[u8]) -> Result<Still, RenderError> {
    Still::read(bytes, &Limits::default())
}

/// As a decoder would hand it out.
fn netpbm(kind: &str, (width, height): (u32, u32), samples: &[u8]) -> Vec<u8> {
    let header = format!("{kind}\n{width} {height}\n255\n");
    [header.as_bytes(), samples].concat()
}

/// A picture of four tiles that stand over at the right and at the bottom, and its transparency in one.
fn tiled() -> Vec<u8> {
    let size = (7, 6);
    let mut items = vec![Item::grid(2, 2, size, vec![1, 2, 3, 4])];
    items.extend([b"a", b"b", b"c", b"d"].map(|bytes| Item::coded(bytes, (4, 4))));
    items.push(Item::coded(b"alpha", size).alpha_of(0));
    avif(&items)
}

#[test]
fn a_picture_of_another_hand_is_understood() {
    let probed = probe(FOREIGN).expect("headers");
    assert_eq!((probed.format, probed.upright()), (Format::Avif, (64, 48)));
    assert_eq!((probed.bits_per_channel, probed.colour), (8, Colour::Rgb));
    assert!(probed.complete && !probed.alpha && !probed.animated);
    let still = read(FOREIGN).expect("a still");
    let [colour] = &still.layers[..] else {
        panic!("{still:?}")
    };
    assert_eq!(&colour.stream[..16], b"DKIF\0\0\x20\0AV01\x40\0\x30\0");
    // The frame that ffmpeg writes to an IVF itself, which it begins with the same empty unit.
    let frame = &colour.stream[32 + 12..];
    assert_eq!(&frame[..4], b"\x12\0\x0a\x06");
    assert!(FOREIGN.ends_with(&frame[2..]));
}

#[test]
fn tiles_and_transparency_become_one_picture() {
    let file = tiled();
    let probed = probe(&file).expect("headers");
    assert_eq!((probed.upright(), probed.alpha), ((7, 6), true));
    let still = read(&file).expect("a still");
    let [colour, alpha] = &still.layers[..] else {
        panic!("{still:?}")
    };
    let pictures: Vec<u8> = colour.stream[32..]
        .chunks(15)
        .map(|frame| frame[14])
        .collect();
    assert_eq!(pictures, b"abcd");
    assert_eq!(
        (alpha.samples, &alpha.stream[46..]),
        (Samples::Greys, &b"alpha"[..])
    );
    let tile = |number: u8| netpbm("P6", (4, 4), &[number * 10; 4 * 4 * 3]);
    let colours = [1, 2, 3, 4].map(tile).concat();
    let alphas = netpbm("P5", (7, 6), &[200; 7 * 6]);
    let Pixels(raster) = still
        .assembly
        .pixels(&[colours, alphas].concat()[..])
        .expect("whole");
    assert_eq!((raster.size(), raster.layout), ((7, 6), Layout::Rgba));
    let pixel = |x: usize, y: usize| &raster.samples[(y * 7 + x) * 4..][..4];
    let seen = |number: u32| (number * 10 * 200 + 127) / 255;
    for (x, y, number) in [
        (0, 0, 1),
        (3, 3, 1),
        (4, 0, 2),
        (6, 3, 2),
        (0, 4, 3),
        (6, 5, 4),
    ] {
        let expected = seen(number) as u8;
        assert_eq!(pixel(x, y), [expected, expected, expected, 200], "{x} {y}");
    }
}

#[test]
fn what_is_decoded_to_another_size_or_not_to_its_end_is_no_picture() {
    let still = read(&avif(&[Item::coded(b"x", (2, 1))])).expect("a still");
    let pixels = |decoded: &[u8]| still.assembly.pixels(decoded).is_ok();
    assert!(pixels(b"P6\n2 1\n255\n123456"));
    for decoded in [
        &b"P6\n1 2\n255\n123456"[..],
        b"P5\n2 1\n255\n123456",
        b"P6\n2 1\n65535\n123456123456",
        b"P6\n2 1\n255\n12345",
        b"P6\n2 11\n255\n123456",
        b"",
    ] {
        assert!(!pixels(decoded), "{}", String::from_utf8_lossy(decoded));
    }
    let still = read(&tiled()).expect("a still");
    let tile = netpbm("P6", (4, 4), &[0; 48]);
    let three = [&tile[..]; 3].concat();
    let alpha = netpbm("P5", (7, 6), &[0; 42]);
    assert!(
        still
            .assembly
            .pixels(&[&three[..], &alpha].concat()[..])
            .is_err()
    );
    let four = [&tile[..]; 4].concat();
    assert!(still.assembly.pixels(&four[..]).is_err());
}

/// Of four rows and columns, each pixel of which says where it is.
#[test]
fn of_a_picture_only_what_is_to_be_seen_is_shown() {
    let clap = |fractions: [i32; 8]| {
        let numbers: Vec<u8> = fractions
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect();
        avif(&[Item::coded(b"x", (4, 4)).with(iso_box(*b"clap", &numbers))])
    };
    let places = (0..16).flat_map(|at| [at % 4, at / 4, 0]);
    let decoded = netpbm("P6", (4, 4), &places.collect::<Vec<_>>());
    for (fractions, size, first) in [
        ([4, 1, 4, 1, 0, 1, 0, 1], (4, 4), [0, 0]),
        ([2, 1, 2, 1, 0, 1, 0, 1], (2, 2), [1, 1]),
        ([3, 1, 3, 1, -1, 2, 1, 2], (3, 3), [0, 1]),
        ([6, 3, 1, 1, 1, 1, -3, 2], (2, 1), [2, 0]),
    ] {
        let file = clap(fractions);
        let probed = probe(&file).expect("headers");
        assert_eq!(probed.upright(), size, "{fractions:?}");
        let still = read(&file).expect("a still");
        let Pixels(raster) = still.assembly.pixels(&decoded[..]).expect("whole");
        assert_eq!((raster.size(), &raster.samples[..2]), (size, &first[..]));
        let last = [first[0] + size.0 as u8 - 1, first[1] + size.1 as u8 - 1, 0];
        assert!(raster.samples.ends_with(&last), "{fractions:?}");
    }
    let largest = avif(&[Item::coded(b"x", (u32::MAX, u32::MAX))]);
    let refused = read(&largest).expect_err("refused");
    assert_eq!(refused.reason_code(), "too_many_pixels");
    // One pixel in the middle of a picture that is as large as can be said.
    let pixel = iso_box(
        *b"clap",
        &[1_u32, 1, 1, 1, 0, 1, 0, 1].map(u32::to_be_bytes).concat(),
    );
    let endless = avif(&[Item::coded(b"x", (u32::MAX, u32::MAX)).with(pixel)]);
    assert_eq!(probe(&endless).expect("headers").upright(), (1, 1));
    let refused = read(&endless).expect_err("refused");
    assert!(matches!(refused, RenderError::TooLarge { .. }), "{refused}");
    for fractions in [
        [5, 1, 4, 1, 0, 1, 0, 1],
        [4, 1, 4, 1, 1, 1, 0, 1],
        [2, 1, 2, 1, -2, 1, 0, 1],
        [3, 1, 4, 1, 0, 1, 0, 1],
        [5, 2, 4, 1, 0, 1, 0, 1],
        [4, 0, 4, 1, 0, 1, 0, 1],
        [0, 1, 4, 1, 0, 1, 0, 1],
        [i32::MIN, 1, 4, 1, i32::MAX, 1, 0, 1],
    ] {
        let refused = read(&clap(fractions)).expect_err("refused").to_string();
        assert!(refused.contains("lies outside"), "{fractions:?}: {refused}");
    }
}

/// Turned and mirrored as the properties say it, against what the same orientation in EXIF makes of it.
#[test]
fn a_picture_is_turned_and_then_mirrored() {
    type Corner = fn((u32, u32), (u32, u32)) -> (u32, u32);
    // Where a pixel of a picture of that size comes to lie.
    let anticlockwise: Corner = |(x, y), (width, _)| (y, width - 1 - x);
    let top_for_bottom: Corner = |(x, y), (_, height)| (x, height - 1 - y);
    let left_for_right: Corner = |(x, y), (width, _)| (width - 1 - x, y);
    for turns in 0..4 {
        for mirror in [None, Some((0, top_for_bottom)), Some((1, left_for_right))] {
            let mut item = Item::coded(b"x", (3, 2)).with(iso_box(*b"irot", &[turns]));
            if let Some((axis, _)) = mirror {
                item = item.with(iso_box(*b"imir", &[axis]));
            }
            let orientation = probe(&avif(&[item])).expect("headers").orientation;
            let samples: Vec<u8> = (0..3 * 2).flat_map(|number| [number; 3]).collect();
            let upright = Raster::new(3, 2, ColorType::Rgb8, samples).upright(orientation);
            for number in 0..6 {
                let (mut at, mut size) = ((number % 3, number / 3), (3, 2));
                for _ in 0..turns {
                    at = anticlockwise(at, size);
                    size = (size.1, size.0);
                }
                if let Some((_, mirrored)) = mirror {
                    at = mirrored(at, size);
                }
                assert_eq!(upright.size(), size);
                let sample = upright.samples[((at.1 * size.0 + at.0) * 3) as usize];
                assert_eq!(u32::from(sample), number, "{turns} {orientation}");
            }
        }
    }
}

#[test]
fn what_a_file_says_of_its_colours_reaches_the_decoder_and_the_profile() {
    let with = |colr: &[u8]| avif(&[Item::coded(b"x", (2, 2)).with(iso_box(*b"colr", colr))]);
    let nclx = |primaries, matrix, range| {
        let numbers = numbers(&[primaries, 13, matrix]);
        with(&[&b"nclx"[..], &numbers, &[range]].concat())
    };
    let samples = |file: &[u8]| read(file).expect("a still").layers[0].samples;
    let colours = |matrix, full_range| Samples::Colours { matrix, full_range };
    let hd = colours(Some(Matrix::Bt709), Some(true));
    assert_eq!(samples(&nclx(1, 1, 0x80)), hd);
    let television = colours(Some(Matrix::Bt601), Some(false));
    assert_eq!(samples(&nclx(1, 6, 0)), television);
    assert_eq!(samples(&nclx(1, 2, 0)), colours(None, Some(false)));
    assert_eq!(
        samples(&avif(&[Item::coded(b"x", (2, 2))])),
        colours(None, None)
    );
    assert_eq!(profile(&nclx(1, 1, 0), Codec::Av1), None);
    let wide = profile(&nclx(12, 1, 0), Codec::Av1).expect("the profile of a screen");
    assert!(moxcms::ColorProfile::new_from_slice(&wide).is_ok());
    let embedded = with(b"profICC");
    assert_eq!(profile(&embedded, Codec::Av1), Some(b"ICC".to_vec()));
    assert_eq!(probe(&embedded).expect("headers").profile_bytes, 3);
}

#[test]
fn a_decoded_picture_becomes_thumbnails_and_one_that_is_not_is_refused() {
    let presets = [Preset::new(
        "small",
        32,
        &[OutputFormat::Jpeg, OutputFormat::WebP],
    )];
    let limits = Limits::default();
    let refused = render(FOREIGN, None, &presets, &limits, &|| false).unwrap_err();
    assert_eq!(refused.reason_code(), "unsupported_format");
    let still = read(FOREIGN).expect("a still");
    let decoded = netpbm("P6", (64, 48), &[90; 64 * 48 * 3]);
    let pixels = still.assembly.pixels(&decoded[..]);
    let pixels = pixels.expect("whole");
    let rendered = render_decoded(FOREIGN, pixels, None, &presets, &limits, &|| false);
    let rendered = rendered.expect("rendered");
    assert_eq!(rendered.source.format, Format::Avif);
    let sizes = rendered
        .variants
        .iter()
        .map(|made| (made.width, made.height));
    assert_eq!(sizes.collect::<Vec<_>>(), [(32, 24), (32, 24)]);
}

#[test]
fn what_contradicts_itself_or_is_not_understood_is_refused_with_a_reason() {
    let reason = |file: &[u8]| read(file).expect_err("refused").to_string();
    let grid = |columns, rows, size, tiles| {
        let mut items = vec![Item::grid(columns, rows, size, tiles)];
        items.extend([b"a", b"b"].map(|bytes| Item::coded(bytes, (4, 4))));
        avif(&items)
    };
    assert!(read(&grid(2, 1, (8, 4), vec![1, 2])).is_ok());
    for file in [
        grid(2, 1, (9, 4), vec![1, 2]),
        grid(2, 1, (4, 4), vec![1, 2]),
        grid(2, 1, (8, 4), vec![1]),
        grid(2, 1, (8, 4), vec![1, 0]),
        grid(2, 1, (8, 4), vec![1, 9]),
    ] {
        assert!(
            reason(&file).contains("do not make up"),
            "{}",
            reason(&file)
        );
    }
    // A picture of 255 times what is in the file.
    let again = grid(255, 1, (255 * 4, 4), vec![1; 255]);
    let large = Item::coded(&[7; 10_000], (4, 4));
    let again_and_large = avif(&[Item::grid(255, 1, (255 * 4, 4), vec![1; 255]), large]);
    assert!(read(&again).is_ok(), "so few bytes harm nobody");
    assert!(reason(&again_and_large).contains("more bytes than all of it"));
    let layered = Item::coded(b"x", (4, 4)).with(iso_box(*b"lsel", &[0; 2]));
    assert!(reason(&avif(&[layered])).contains("not understood"));
    let mut hevc = Item::coded(b"x", (4, 4));
    hevc.kind = Codec::Hevc.item();
    let why = reason(&avif(&[hevc]));
    assert!(why.contains("not coded as AV1"), "{why}");
    let whole = avif(&[Item::coded(b"0123456789", (4, 4))]);
    assert!(reason(&whole[..whole.len() - 1]).contains("cut short"));
    let transparent = Item::coded(b"x", (2, 4)).alpha_of(0);
    let other_size = avif(&[Item::coded(b"x", (4, 4)), transparent]);
    assert!(reason(&other_size).contains("transparency"));
}

#[test]
fn whatever_becomes_of_its_bytes_a_file_is_taken_apart_or_refused() {
    let mut random = fastrand::Rng::with_seed(7);
    let limits = Limits::default();
    let mut taken_apart = 0;
    for original in [FOREIGN.to_vec(), HEIC.to_vec(), tiled()] {
        for _ in 0..10_000 {
            let mut bytes = original.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes[at] ^= 1 << random.u8(..8),
                    2 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, random.choice([0, 1, 0x7f, 0xff]).expect("four")),
                }
            }
            profile(&bytes, Codec::Av1);
            profile(&bytes, Codec::Hevc);
            if let Ok(still) = Still::read(&bytes, &limits) {
                taken_apart += 1;
                assert!(still.layers[0].stream.len() < 2 * bytes.len() + 10_000);
            }
        }
    }
    assert!(taken_apart > 1_000, "{taken_apart}");
}

#[test]
fn units_of_hevc_become_a_stream_that_begins_with_what_they_are_decoded_with() {
    let probed = probe(HEIC).expect("headers");
    assert_eq!((probed.format, probed.upright()), (Format::Heic, (64, 48)));
    assert_eq!((probed.bits_per_channel, probed.colour), (8, Colour::Rgb));
    let still = read(HEIC).expect("a still");
    let [Coded { codec, stream, .. }] = &still.layers[..] else {
        panic!("{still:?}")
    };
    assert_eq!(*codec, Codec::Hevc);
    // What x265 wrote, but for the text in which it praises itself: sets for video, sequence and picture, and one slice.
    let begins = |kind: u8| {
        let mark = [0, 0, 0, 1, kind << 1];
        stream.windows(5).filter(|five| **five == mark).count()
    };
    assert_eq!([32, 33, 34, 20, 39].map(begins), [1, 1, 1, 1, 0]);
    let slice = HEIC.len() - 1_525;
    assert!(stream.ends_with(&HEIC[slice..]));
}

#[test]
fn units_that_are_not_as_long_as_they_say_are_refused() {
    let hvcc = [&[1; 16][..], &[1, 0, 0, 0, 0, 3, 1, 32, 0, 1, 0, 3], b"set"].concat();
    let picture = |units: &[u8]| {
        let mut item = Item::coded(units, (4, 4)).with(iso_box(*b"hvcC", &hvcc));
        item.kind = Codec::Hevc.item();
        let mut file = avif(&[item]);
        file[8..12].copy_from_slice(b"heic");
        file[16..20].copy_from_slice(b"heic");
        file
    };
    let whole = read(&picture(b"\0\0\0\x02ab\0\0\0\x01c")).expect("whole");
    let expected = b"\0\0\0\x01set\0\0\0\x01ab\0\0\0\x01c";
    assert_eq!(whole.layers[0].stream, expected);
    for units in [&b"\0\0\0\x03ab"[..], b"\0\0\0", b"\xff\xff\xff\xffab"] {
        let refused = read(&picture(units)).expect_err("refused").to_string();
        assert!(refused.contains("cut short"), "{refused}");
    }
}

/// Entries that take no bytes in the file, and pieces that are all of it again and again.
#[test]
fn a_small_file_that_says_much_costs_no_more_than_it_is() {
    let mut file = avif(&[Item::coded(&vec![7; 100_000], (4, 4))]);
    let at = file.windows(4).position(|four| four == b"iloc");
    let iloc = at.expect("locations") + 4;
    // Offsets and lengths of no bytes: 0, and so to the end.
    file[iloc + 4..iloc + 6].copy_from_slice(&[0, 0]);
    let extents = iloc + 4 + 2 + 2 + 6;
    for (count, why) in [
        (10_000_u16, "more bytes than all of it"),
        (u16::MAX, "cut short"),
    ] {
        file[extents..extents + 2].copy_from_slice(&count.to_be_bytes());
        let refused = read(&file).expect_err("refused").to_string();
        assert!(refused.contains(why), "{refused}");
    }
}
