use std::cell::Cell;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ColorType, ExtendedColorType, ImageEncoder};

use super::*;

const FILTERS: [FilterType; 6] = [
    FilterType::NoFilter,
    FilterType::Sub,
    FilterType::Up,
    FilterType::Avg,
    FilterType::Paeth,
    FilterType::Adaptive,
];

fn noise(random: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    let mut level = 128u8;
    let mut sample = || {
        level = level.wrapping_add_signed(random.i8(-9..=9));
        level
    };
    (0..len).map(|_| sample()).collect()
}

fn png(
    (width, height): (u32, u32),
    colour: ExtendedColorType,
    filter: FilterType,
    samples: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    PngEncoder::new_with_quality(&mut file, CompressionType::Fast, filter)
        .write_image(samples, width, height, colour)
        .unwrap();
    file
}

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let covered = [kind, data].concat();
    let checksum = crc32fast::hash(&covered);
    let length = data.len() as u32;
    [&length.to_be_bytes(), &covered[..], &checksum.to_be_bytes()].concat()
}

/// A PNG of chunks that follow its header.
fn file_of((width, height): (u32, u32), kind: [u8; 5], chunks: &[Vec<u8>]) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[&size[..], &kind].concat());
    let end = chunk(b"IEND", &[]);
    [b"\x89PNG\r\n\x1a\n", &header[..], &chunks.concat(), &end].concat()
}

const RGB: [u8; 5] = [8, 2, 0, 0, 0];

fn deflated(filtered: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(filtered).unwrap();
    zlib.finish().unwrap()
}

fn whole(file: &[u8]) -> Result<Raster, RenderError> {
    let plain = PlainPng::new(file).unwrap();
    let size = (plain.width, plain.height);
    plain.decode(size, &|| false)
}

fn why(file: &[u8]) -> String {
    whole(file).err().unwrap().to_string()
}

#[test]
fn every_filter_and_size_is_decoded_as_others_decode_it() {
    let mut random = fastrand::Rng::with_seed(12);
    for round in 0..240 {
        let size = if round % 24 == 0 {
            (random.u32(300..900), random.u32(200..600))
        } else {
            (random.u32(1..30), random.u32(1..30))
        };
        for colour in [ColorType::Rgb8, ColorType::Rgba8] {
            let channels = usize::from(colour.channel_count());
            let len = size.0 as usize * size.1 as usize * channels;
            let mut samples = noise(&mut random, len);
            if round % 3 == 0 {
                samples.iter_mut().skip(3).step_by(4).for_each(|a| *a = 255);
            }
            let file = png(size, colour.into(), FILTERS[round % 6], &samples);
            let expected = image::load_from_memory(&file).unwrap().into_bytes();
            let expected = Raster::new(size.0, size.1, colour, expected);
            let made = whole(&file).unwrap();
            let case = format!("{size:?} {colour:?} {:?}", FILTERS[round % 6]);
            assert_eq!(made.layout, expected.layout, "{case}");
            assert!(made.samples == expected.samples, "{case}");
        }
    }
}

#[test]
fn pixels_may_be_cut_into_chunks_anywhere() {
    let mut random = fastrand::Rng::with_seed(13);
    let size = (61, 47);
    let mut filtered = noise(&mut random, 47 * (61 * 3 + 1));
    filtered
        .iter_mut()
        .step_by(61 * 3 + 1)
        .for_each(|filter| *filter = random.u8(0..5));
    let stream = deflated(&filtered);
    let expected = whole(&file_of(size, RGB, &[chunk(b"IDAT", &stream)])).unwrap();
    for len in [1, 2, 7, 1_000] {
        let empty = chunk(b"IDAT", &[]);
        let pieces = stream.chunks(len);
        let pieces: Vec<_> = pieces
            .flat_map(|piece| [chunk(b"IDAT", piece), empty.clone()])
            .collect();
        let made = whole(&file_of(size, RGB, &pieces)).unwrap();
        assert!(made.samples == expected.samples, "pieces of {len}");
    }
}

#[test]
fn what_is_damaged_is_refused_with_a_reason() {
    let filtered = [0; 20 * 61];
    let stream = deflated(&filtered);
    let size = (20, 20);
    let of = |chunks: &[Vec<u8>]| file_of(size, RGB, chunks);
    assert!(whole(&of(&[chunk(b"IDAT", &stream)])).is_ok());

    let mut checksum = chunk(b"IDAT", &stream);
    *checksum.last_mut().unwrap() ^= 1;
    assert!(why(&of(&[checksum])).contains("the checksum of its pixels is wrong"));

    let short = deflated(&filtered[..19 * 61]);
    assert!(why(&of(&[chunk(b"IDAT", &short)])).contains("fewer rows than it says"));
    assert!(why(&of(&[])).contains("corrupt"));
    for end in 0..stream.len() - 4 {
        assert!(why(&of(&[chunk(b"IDAT", &stream[..end])])).contains("corrupt"));
    }
    assert!(why(&of(&[chunk(b"IDAT", b"no stream")])).contains("do not inflate"));

    let mut unknown = filtered;
    unknown[61 * 13] = 5;
    let unknown = chunk(b"IDAT", &deflated(&unknown));
    assert!(why(&of(&[unknown])).contains("a filter that PNG has not"));

    // Pixels that go on after something else are none.
    let (first, last) = stream.split_at(stream.len() / 2);
    let interrupted = [
        chunk(b"IDAT", first),
        chunk(b"tIME", &[0; 7]),
        chunk(b"IDAT", last),
    ];
    assert!(why(&of(&interrupted)).contains("corrupt"));
}

#[test]
fn what_is_not_plain_is_for_another_decoder() {
    let pixels = chunk(b"IDAT", &deflated(&[0; 25]));
    let plain = |kind, before: &[u8]| {
        let file = file_of((2, 3), kind, &[before.to_vec(), pixels.clone()]);
        PlainPng::new(&file).is_some()
    };
    assert!(plain(RGB, &[]));
    assert!(plain([8, 6, 0, 0, 0], &chunk(b"tEXt", b"Title\0none")));
    for (kind, what) in [
        ([16, 2, 0, 0, 0], "16 bits"),
        ([8, 0, 0, 0, 0], "grey"),
        ([8, 3, 0, 0, 0], "a palette"),
        ([8, 2, 0, 0, 1], "interlaced"),
        ([8, 2, 1, 0, 0], "compressed otherwise"),
    ] {
        assert!(!plain(kind, &[]), "{what}");
    }
    assert!(!plain(RGB, &chunk(b"tRNS", &[0; 6])));
    assert!(!plain(RGB, &chunk(b"CgBI", &[0; 4])));
    let long = file_of((1 << 17, 1), RGB, &[]);
    assert!(PlainPng::new(&long).is_none());
    assert!(PlainPng::new(b"\x89PNG\r\n\x1a\n").is_none());
}

#[test]
fn a_deadline_is_noticed_within_a_few_rows() {
    let size = (700, 900);
    let mut random = fastrand::Rng::with_seed(14);
    let samples = noise(&mut random, 700 * 900 * 3);
    let file = png(size, ExtendedColorType::Rgb8, FilterType::Paeth, &samples);
    let asked = Cell::new(0);
    let decode = |to, stop_after: u32| {
        asked.set(0);
        let cancel = || asked.replace(asked.get() + 1) >= stop_after;
        PlainPng::new(&file).unwrap().decode(to, &cancel)
    };
    for to in [size, (70, 90)] {
        decode(to, u32::MAX).unwrap();
        let polls = asked.get();
        assert!(polls > 5, "asked only {polls} times");
        for stop_after in 0..polls {
            let stopped = decode(to, stop_after).err();
            assert_eq!(stopped, Some(RenderError::Cancelled));
        }
    }
}

/// With the right checksum, so that it is the inflater and the filters that see the damage.
#[test]
fn ten_thousand_damaged_streams_are_decoded_or_refused() {
    let mut random = fastrand::Rng::with_seed(15);
    let mut filtered = noise(&mut random, 40 * (30 * 3 + 1));
    filtered
        .iter_mut()
        .step_by(30 * 3 + 1)
        .for_each(|filter| *filter = random.u8(0..5));
    let stream = deflated(&filtered);
    let mut decoded = 0;
    for _ in 0..10_000 {
        let mut damaged = stream.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..damaged.len());
            match random.u8(..4) {
                0 => damaged[at] = random.u8(..),
                1 => damaged[at] ^= 1 << random.u8(..8),
                2 => damaged.truncate(at.max(1)),
                _ => damaged.insert(at, random.u8(..)),
            }
        }
        let file = file_of((30, 40), RGB, &[chunk(b"IDAT", &damaged)]);
        let to = if random.bool() { (30, 40) } else { (7, 9) };
        match PlainPng::new(&file).unwrap().decode(to, &|| false) {
            Ok(raster) => {
                assert_eq!(raster.size(), to);
                decoded += 1;
            }
            Err(error) => assert_eq!(error.reason_code(), "corrupt"),
        }
    }
    assert!(decoded > 100, "only {decoded} were decoded");
}
