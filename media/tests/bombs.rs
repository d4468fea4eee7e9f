//! Nine small files made to cost a decoder its memory or its time, and their like: each is refused
//! with a reason of its own before it costs anything; and what is not refused costs no more than was
//! foreseen. In a process of their own, so that what is allocated is theirs.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its input has failed"
)]

use std::io::Write;
use std::sync::Mutex;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc, FlushCompress};
use iyagi_media::{Limits, OutputFormat, Preset, RenderError, estimated_bytes, probe, render};
use jpeg_encoder::{ColorType, Encoder};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// One at a time: the peak is that of all threads.
static ALONE: Mutex<()> = Mutex::new(());

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Renders it and returns why not, having looked at what that cost.
fn refusal(bytes: &[u8]) -> RenderError {
    const CPU_SECONDS_MAX: f64 = 0.2;
    const HEAP_MIB_MAX: f32 = 64.0;
    let alone = ALONE.lock();
    let formats = [OutputFormat::Jpeg, OutputFormat::WebP];
    let presets = [1_080, 320, 128].map(|side| Preset::new("preset", side, &formats));
    HEAP.reset_peak_usage();
    let (heap, time) = (HEAP.current_usage_as_mb(), cpu_seconds());
    let refusal = render(bytes, None, &presets, &Limits::default(), &|| false).unwrap_err();
    let (time, heap) = (cpu_seconds() - time, HEAP.peak_usage_as_mb() - heap);
    drop(alone);
    assert!(time < CPU_SECONDS_MAX, "{refusal} after {time:.3} s");
    assert!(heap < HEAP_MIB_MAX, "{refusal} with {heap:.0} MiB");
    assert!(refusal.deterministic());
    refusal
}

fn reason(bytes: &[u8]) -> &'static str {
    refusal(bytes).reason_code()
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Zeros, deflated: one piece that is aligned to bytes, repeated.
fn zeros_deflated(mebibytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; MIB]).unwrap();
    encoder.flush().unwrap();
    let piece = encoder.get_ref().clone();
    let mut stream = vec![0x78, 0xda];
    stream.extend(piece.repeat(mebibytes));
    // An empty last block, and the checksum that zeros have.
    let mut last = flate2::Compress::new(Compression::best(), false);
    let mut end = [0; 16];
    last.compress(&[], &mut end, FlushCompress::Finish).unwrap();
    stream.extend(&end[..last.total_out() as usize]);
    let sum = (mebibytes * MIB % 65_521) as u32;
    stream.extend((sum << 16 | 1).to_be_bytes());
    stream
}

fn png_chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(kind);
    checksum.update(data);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length, kind, data, &checksum.sum().to_be_bytes()].concat()
}

fn png(side: u32, bits: u8, colour: u8, before: &[Vec<u8>], pixels: &[u8]) -> Vec<u8> {
    let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[&size[..], &[bits, colour, 0, 0, 0]].concat());
    let rest = [png_chunk(b"IDAT", pixels), png_chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n", &header[..], &before.concat(), &rest].concat()
}

fn jpeg_segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], data].concat()
}

/// A grey progressive JPEG with so many scans.
fn progressive(side: u16, scans: usize) -> Vec<u8> {
    let mut frame = vec![8];
    frame.extend(side.to_be_bytes());
    frame.extend(side.to_be_bytes());
    frame.extend([1, 1, 0x11, 0]);
    let steps = [&[0][..], &[1; 64]].concat();
    // One code of one bit, for the symbol that says: nothing in this block.
    let code = [&[0x00, 1][..], &[0; 15], &[0]].concat();
    let bits = vec![0x00; usize::from(side).div_ceil(8).pow(2) / 8 / scans + 1];
    let scan = [jpeg_segment(0xda, &[1, 1, 0, 0, 0, 0]), bits].concat();
    [
        vec![0xff, 0xd8],
        jpeg_segment(0xdb, &steps),
        jpeg_segment(0xc2, &frame),
        jpeg_segment(0xc4, &code),
        scan.repeat(scans),
        vec![0xff, 0xd9],
    ]
    .concat()
}

fn gif(side: u16, frames: usize) -> Vec<u8> {
    let frame = [&[0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0][..], &[2, 2, 0x44, 1, 0]].concat();
    let side = side.to_le_bytes();
    let palette = [0, 0, 0, 255, 255, 255];
    [
        b"GIF89a",
        &side[..],
        &side,
        &[0x80, 0, 0],
        &palette,
        &frame.repeat(frames),
        b";",
    ]
    .concat()
}

fn webp(chunks: &[u8]) -> Vec<u8> {
    let length = (chunks.len() as u32 + 4).to_le_bytes();
    [b"RIFF", &length[..], b"WEBP", chunks].concat()
}

#[test]
fn what_linear_light_takes_is_foreseen() {
    const OTHERS_MIB: f32 = 16.0;
    let (width, height) = (3_000, 2_000);
    let mut file = Vec::new();
    let pixels = vec![90; 3 * width * height];
    Encoder::new(&mut file, 80)
        .encode(&pixels, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    drop(pixels);
    let plain = Preset::new("plain", 1_500, &[OutputFormat::Jpeg]);
    let linear = Preset {
        linear: true,
        ..plain.clone()
    };
    let probe = probe(&file).unwrap();
    let foreseen = |preset: &Preset| {
        let bytes = estimated_bytes(&probe, std::slice::from_ref(preset));
        bytes as f32 / MIB as f32
    };
    assert!(foreseen(&plain) < foreseen(&linear) / 4.0);
    for preset in [plain, linear] {
        let foreseen = foreseen(&preset);
        let alone = ALONE.lock();
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage_as_mb();
        render(&file, None, &[preset], &Limits::default(), &|| false).unwrap();
        let took = HEAP.peak_usage_as_mb() - before;
        drop(alone);
        let room = foreseen + OTHERS_MIB;
        assert!(
            took < room,
            "{took:.0} MiB where {foreseen:.0} were foreseen"
        );
    }
}

#[test]
fn a_progressive_jpeg_of_a_few_bytes_that_claims_65500_by_65500() {
    let bomb = small_claim();
    assert!(bomb.len() < 300, "{} bytes", bomb.len());
    assert_eq!(reason(&bomb), "too_many_pixels");
}

fn small_claim() -> Vec<u8> {
    let whole = progressive(8, 1);
    let frame = whole
        .windows(2)
        .position(|two| two == [0xff, 0xc2])
        .unwrap();
    let mut claim = whole;
    claim[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    claim
}

#[test]
fn a_png_with_300_megabytes_of_profile_and_of_text() {
    let zeros = zeros_deflated(300);
    assert!(zeros.len() < 600 * KIB, "{} bytes", zeros.len());
    let pixels = zeros_deflated(1);
    let profile = png_chunk(b"iCCP", &[b"profile\0\0", &zeros[..]].concat());
    let text = png_chunk(b"zTXt", &[b"Comment\0\0", &zeros[..]].concat());
    let both = png(8, 8, 2, &[profile, text.clone()], &pixels);
    assert_eq!(reason(&both), "too_many_profile_bytes");
    assert_eq!(
        reason(&png(8, 8, 2, &[text], &pixels)),
        "too_many_text_bytes"
    );
}

#[test]
fn a_png_of_9900_by_9900_in_16_bits_with_alpha() {
    let bomb = png(9_900, 16, 6, &[], &zeros_deflated(748));
    assert!(bomb.len() < 1_500 * KIB, "{} bytes", bomb.len());
    assert_eq!(reason(&bomb), "too_many_pixels");
    // Few enough pixels, and too much memory all the same.
    let smaller = png(6_000, 16, 6, &[], &zeros_deflated(275));
    assert_eq!(reason(&smaller), "too_many_decode_bytes");
}

#[test]
fn a_progressive_jpeg_of_1006_scans() {
    assert_eq!(reason(&progressive(8_000, 1_006)), "too_many_scans");
}

#[test]
fn a_webp_of_34_bytes_that_claims_16383_by_16383() {
    let side = 16_383u32 - 1;
    let packed = (side | side << 14).to_le_bytes();
    let data = [&[0x2f][..], &packed, &[0; 8]].concat();
    let length = (data.len() as u32).to_le_bytes();
    let bomb = webp(&[b"VP8L", &length[..], &data, &[0]].concat());
    assert!(bomb.len() <= 34, "{} bytes", bomb.len());
    assert_eq!(reason(&bomb), "too_many_pixels");
}

#[test]
fn a_gif_of_a_few_bytes_that_claims_65535_by_65535() {
    let bomb = gif(65_535, 1);
    assert!(bomb.len() < 50, "{} bytes", bomb.len());
    assert_eq!(reason(&bomb), "too_many_pixels");
}

#[test]
fn a_png_of_30000_by_30000_in_one_bit() {
    let bomb = png(30_000, 1, 0, &[], &zeros_deflated(108));
    assert!(bomb.len() < 256 * KIB, "{} bytes", bomb.len());
    assert_eq!(reason(&bomb), "too_many_pixels");
}

#[test]
fn a_gif_of_20000_frames() {
    assert_eq!(reason(&gif(100, 20_000)), "too_many_frames");
}

#[test]
fn a_tiff_whose_directories_go_in_a_circle() {
    let mut bomb = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u16, u32, u32); 5] = [
        (256, 4, 1, 10),
        (257, 4, 1, 10),
        (258, 3, 1, 8),
        (273, 4, 1, 8),
        (279, 4, 1, 100),
    ];
    bomb.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bomb.extend(tag.to_le_bytes());
        bomb.extend(kind.to_le_bytes());
        bomb.extend(count.to_le_bytes());
        bomb.extend(value.to_le_bytes());
    }
    bomb.extend(8u32.to_le_bytes());
    bomb.extend([0; 100]);
    assert_eq!(reason(&bomb), "too_many_frames");
}

#[test]
fn profiles_larger_than_any_press_needs_are_refused_in_every_format() {
    let pieces = (1..=70).map(|number| {
        let data = [b"ICC_PROFILE\0", &[number, 70][..], &vec![7; 65_000]].concat();
        jpeg_segment(0xe2, &data)
    });
    let jpeg = small_claim();
    let pieces: Vec<u8> = pieces.flatten().collect();
    let jpeg = [&jpeg[..2], &pieces, &jpeg[2..]].concat();
    // Refused for its pixels first; with few of them, for its profile.
    let mut small = jpeg;
    let frame = small
        .windows(4)
        .position(|four| four == [0xff, 0xdc, 0xff, 0xdc])
        .unwrap();
    small[frame..frame + 4].copy_from_slice(&[0, 8, 0, 8]);
    assert_eq!(reason(&small), "too_many_profile_bytes");

    let canvas = [0x20, 0, 0, 0, 7, 0, 0, 7, 0, 0];
    let profile_len = 5 * MIB as u32;
    let chunks = [
        b"VP8X",
        &10u32.to_le_bytes()[..],
        &canvas,
        b"ICCP",
        &profile_len.to_le_bytes(),
        &vec![7; 5 * MIB],
    ];
    assert_eq!(reason(&webp(&chunks.concat())), "too_many_profile_bytes");
}
