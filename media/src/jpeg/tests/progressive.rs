//! Progressive files: what comes in many scans is what the same coefficients in one scan are.

use jpeg_encoder::{ColorType, Encoder};

use super::*;

#[path = "../../../tests/pictures/scans.rs"]
mod scans;

use scans::{Quantised, SEQUENTIAL, Scan, UNUSUAL, USUAL};

const FACTORS: [(usize, usize); 6] = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (2, 4)];
const NEVER: &dyn Fn() -> bool = &|| false;

/// What is decoded at all sizes: from the whole to an eighth.
fn at_each_size(bytes: &[u8], size: (u32, u32)) -> Vec<Planes> {
    let needed = |share: u32| (size.0.div_ceil(share), size.1.div_ceil(share));
    [1, 3, 6, 12]
        .map(|share| decode(bytes, size, needed(share), NEVER).unwrap())
        .into()
}

fn assert_same(planes: &Planes, expected: &Planes, case: &str) {
    assert_eq!(planes.size(), expected.size(), "{case}");
    assert!(planes.luma.samples() == expected.luma.samples(), "{case}");
    let chroma = |planes: &Planes| {
        planes
            .chroma
            .clone()
            .map(|both| both.map(Plane::into_samples))
    };
    assert!(chroma(planes) == chroma(expected), "{case}: chroma");
}

#[test]
fn every_script_and_sampling_gives_what_one_scan_would() {
    let size = (203, 117);
    for factors in FACTORS {
        let coefficients = Quantised::new(&scene(size.0, size.1), factors, 2);
        for interval in [0, 1, 7, 100] {
            let expected = at_each_size(&coefficients.file(SEQUENTIAL, interval), size);
            for (name, script) in [("usual", USUAL), ("unusual", UNUSUAL)] {
                let found = at_each_size(&coefficients.file(script, interval), size);
                for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let case = format!("{name}, {factors:?}, interval {interval}, size {at}");
                    assert_same(found, expected, &case);
                }
            }
        }
    }
}

#[test]
fn every_small_size_gives_what_one_scan_would() {
    for width in 1..=17 {
        for height in 1..=17 {
            let size = (width, height);
            let coefficients = Quantised::new(&scene(width, height), (2, 2), 2);
            let grey = Quantised::new(&scene(width, height), (2, 2), 2).grey();
            for coefficients in [coefficients, grey] {
                let expected = at_each_size(&coefficients.file(SEQUENTIAL, 0), size);
                let found = at_each_size(&coefficients.file(USUAL, 0), size);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_same(found, expected, &format!("{width} by {height}"));
                }
            }
        }
    }
}

#[test]
fn a_progressive_file_is_as_others_decode_it() {
    let picture = scene(203, 117);
    for factors in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        let coefficients = Quantised::new(&picture, factors, 2);
        for (name, script) in [("usual", USUAL), ("unusual", UNUSUAL)] {
            let written = Written {
                picture: picture.clone(),
                bytes: coefficients.file(script, 0),
                size: picture.dimensions(),
            };
            assert_as_others(&written, &format!("{name}, {factors:?}"));
        }
    }
    for scans in [2, 4, 17, 33] {
        for sampling in USUAL_SAMPLINGS {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, 92);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive_scans(scans);
            encoder.encode(&picture, 203, 117, ColorType::Rgb).unwrap();
            let written = Written {
                picture: picture.clone(),
                bytes,
                size: picture.dimensions(),
            };
            assert_as_others(&written, &format!("{scans} scans, {sampling:?}"));
        }
    }
}

#[test]
fn a_progressive_file_that_is_cut_anywhere_is_refused() {
    let coefficients = Quantised::new(&scene(40, 24), (2, 2), 4);
    for interval in [0, 2] {
        let bytes = coefficients.file(USUAL, interval);
        for end in 0..bytes.len() - 2 {
            let cut = decode(&bytes[..end], (40, 24), (40, 24), NEVER);
            assert!(matches!(cut, Err(Refusal::Corrupt(_))), "cut at {end}");
        }
    }
}

#[test]
fn a_script_without_sense_is_refused_before_anything_is_decoded() {
    const LUMA: &[usize] = &[0];
    const ALL: &[usize] = &[0, 1, 2];
    const CONTRADICTION: &str = "a scan header contradicts itself";
    const GAP: &str = "a scan does not go on where others ended";
    let scan = |components, band, high, low| Scan {
        components,
        band,
        high,
        low,
    };
    let dc = scan(ALL, (0, 0), 0, 1);
    for (scans, refusal) in [
        (
            vec![scan(LUMA, (0, 0), 0, 0)],
            "it ends before all its colours",
        ),
        (vec![dc, dc], GAP),
        (
            vec![dc, scan(LUMA, (1, 5), 0, 0), scan(LUMA, (5, 9), 0, 0)],
            GAP,
        ),
        (vec![dc, scan(LUMA, (1, 5), 1, 0)], GAP),
        (
            vec![dc, scan(LUMA, (1, 5), 0, 2), scan(LUMA, (1, 5), 1, 0)],
            GAP,
        ),
        (
            vec![dc, scan(LUMA, (1, 5), 0, 1), scan(LUMA, (1, 6), 1, 0)],
            GAP,
        ),
        (
            vec![dc, scan(LUMA, (1, 5), 0, 2), scan(LUMA, (1, 5), 2, 0)],
            CONTRADICTION,
        ),
        (vec![dc, scan(LUMA, (0, 5), 0, 0)], CONTRADICTION),
        (vec![dc, scan(LUMA, (5, 4), 0, 0)], CONTRADICTION),
        (vec![dc, scan(ALL, (1, 5), 0, 0)], CONTRADICTION),
        (vec![dc, scan(LUMA, (1, 5), 0, 14)], CONTRADICTION),
    ] {
        let coefficients = Quantised::new(&scene(40, 24), (1, 1), 4);
        let refused = decode(&coefficients.file(&scans, 0), (40, 24), (40, 24), NEVER).err();
        assert_eq!(refused, Some(Refusal::Corrupt(refusal)));
    }
}

#[test]
fn a_file_that_ends_before_its_last_refinement_shows_what_it_has() {
    let picture = scene(203, 117);
    let coefficients = Quantised::new(&picture, (2, 2), 2);
    let written = Written {
        picture: picture.clone(),
        bytes: coefficients.file(&USUAL[..6], 0),
        size: picture.dimensions(),
    };
    assert_near(&written, &channels(&picture), (6.0, 6.0), "six scans");
}

#[test]
fn a_scan_of_detail_that_is_not_shown_is_passed_over() {
    let luma = |band| Scan {
        components: &[0],
        band,
        high: 0,
        low: 0,
    };
    let script = [
        Scan {
            components: &[0, 1, 2],
            ..luma((0, 0))
        },
        luma((25, 63)),
        luma((5, 24)),
        luma((1, 4)),
    ];
    let bytes = Quantised::new(&scene(64, 64), (1, 1), 2).file(&script, 0);
    // Of the luma; of the chroma the means alone are there.
    for (needed, scans) in [(64, 4), (24, 3), (12, 2), (6, 1)] {
        let asked = std::cell::Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            false
        };
        decode(&bytes, (64, 64), (needed, needed), &count).unwrap();
        assert_eq!(asked.get(), 8 * scans + 8 * 3, "for {needed}");
    }
}

#[test]
fn damaged_files_are_decoded_or_refused_at_every_size() {
    const FILES: usize = 10_000;
    let mut random = fastrand::Rng::with_seed(9);
    let files: Vec<_> = [SEQUENTIAL, USUAL, UNUSUAL]
        .into_iter()
        .flat_map(|script| {
            let written = |factors, interval| {
                Quantised::new(&scene(40, 24), factors, 4).file(script, interval)
            };
            let grey = Quantised::new(&scene(40, 24), (1, 1), 4).grey();
            [written((2, 2), 0), written((2, 1), 3), grey.file(script, 0)]
        })
        .collect();
    for file in &files {
        let (mut decoded, mut refused) = (0, 0);
        for _ in 0..=FILES / files.len() {
            let mut bytes = file.clone();
            for _ in 0..random.usize(1..4) {
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
            let share = 1 << random.u32(..5);
            let needed = (40u32.div_ceil(share), 24u32.div_ceil(share));
            match decode(&bytes, (40, 24), needed, NEVER) {
                Ok(_) => decoded += 1,
                Err(_) => refused += 1,
            }
        }
        // Else the damage would be of no use as a test.
        assert!(decoded > 50 && refused > 50, "{decoded} and {refused}");
    }
}

#[test]
fn a_progressive_decode_is_cancelled_between_rows() {
    let bytes = Quantised::new(&scene(64, 64), (2, 2), 2).file(USUAL, 0);
    let times = std::cell::Cell::new(0);
    let count = || {
        times.set(times.get() + 1);
        false
    };
    decode(&bytes, (64, 64), (64, 64), &count).unwrap();
    // Eight rows of luma and four of chroma, once for each scan and once more to transform them.
    assert_eq!(
        times.get(),
        (4 + 8 + 4 + 4 + 8 + 8 + 4 + 4 + 4 + 8) + (8 + 4 + 4)
    );
    for rows in 0..times.get() {
        let asked = std::cell::Cell::new(0);
        let cancel = || asked.replace(asked.get() + 1) == rows;
        let cancelled = decode(&bytes, (64, 64), (64, 64), &cancel).err();
        assert_eq!(cancelled, Some(Refusal::Cancelled), "after {rows} rows");
    }
}
