//! What a JPEG upload costs: this engine beside a full decode by `zune-jpeg`, with the same filter
//! and the same presets.
//!
//! Run with `cargo bench -p iyagi-media --bench jpeg`. `BENCH_PHOTOS` names a folder of photographs;
//! without, one of the demo is enlarged. Both sides take turns in one run and CPU time is counted,
//! so that a busy machine is busy for both; the ratio is what counts.

use std::path::{Path, PathBuf};

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{ResizeOptions, Resizer};
use image::imageops::FilterType;
use image::{RgbImage, imageops};
use iyagi_media::{Limits, OutputFormat, Preset, probe, render};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const ROUNDS: usize = 15;
const QUALITY: u8 = 80;
const SIDES: [u32; 3] = [1_080, 320, 128];

fn main() {
    for (name, photo) in photos() {
        measure(&name, &photo);
    }
}

fn photos() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = std::env::var_os("BENCH_PHOTOS") else {
        return vec![("the demo's eye, enlarged".to_owned(), enlarged())];
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("BENCH_PHOTOS is a folder")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "jpg"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("a photograph can be read");
    paths
        .iter()
        .map(|path| (path.display().to_string(), read(path)))
        .collect()
}

/// 12 megapixels of a photograph that has fewer, in a file of about the size that a phone writes.
fn enlarged() -> Vec<u8> {
    const EYE: &str = "../demo/media/posts/story-eye/left eye.jpg";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EYE);
    let photo = image::open(path).expect("the demo has this photograph");
    let photo = imageops::resize(&photo.to_rgb8(), 4_000, 3_000, FilterType::CatmullRom);
    jpeg(&photo, 97)
}

fn jpeg(photo: &RgbImage, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let (width, height) = photo.dimensions();
    encoder
        .encode(photo, width as u16, height as u16, ColorType::Rgb)
        .expect("a photograph can be encoded");
    file
}

fn presets(sides: &[u32]) -> Vec<Preset> {
    let formats = [OutputFormat::Jpeg];
    let preset = |side: &u32| Preset::new(&side.to_string(), *side, &formats);
    sides.iter().map(preset).collect()
}

fn ours(photo: &[u8], sides: &[u32]) -> usize {
    let rendered = render(photo, None, &presets(sides), &Limits::default(), &|| false);
    let variants = rendered.expect("a photograph can be rendered").variants;
    variants.iter().map(|variant| variant.bytes.len()).sum()
}

/// The same thumbnails from a full decode, with the probe and the hash that `render` makes too.
fn whole(photo: &[u8]) -> usize {
    let probe = probe(photo).expect("a photograph can be probed");
    std::hint::black_box(Sha256::digest(photo));
    let decoded = image::load_from_memory(photo).expect("a photograph can be decoded");
    let mut resizer = Resizer::new();
    let mut source = decoded.into_rgb8();
    let mut bytes = 0;
    for side in SIDES {
        let longest = probe.width.max(probe.height);
        let scaled = |length: u32| (length * side + longest / 2) / longest;
        source = resized(
            &mut resizer,
            &source,
            scaled(probe.width),
            scaled(probe.height),
        );
        bytes += jpeg(&source, QUALITY).len();
    }
    bytes
}

fn resized(resizer: &mut Resizer, source: &RgbImage, width: u32, height: u32) -> RgbImage {
    let from = TypedImageRef::<U8x3>::from_buffer(source.width(), source.height(), source)
        .expect("the samples are as many as the size says");
    let mut made = RgbImage::new(width, height);
    let mut to = TypedImage::<U8x3>::from_buffer(width, height, &mut made)
        .expect("the samples are as many as the size says");
    let options = ResizeOptions::new().use_alpha(false);
    resizer
        .resize_typed(&from, &mut to, &options)
        .expect("the source is inside itself");
    made
}

fn measure(name: &str, photo: &[u8]) {
    let found = probe(photo).expect("a photograph can be probed");
    println!(
        "{name}: {} by {}, {} kB",
        found.width,
        found.height,
        photo.len() / 1_000
    );
    let contenders: [(&str, &dyn Fn() -> usize); 6] = [
        ("full decode by zune-jpeg", &|| whole(photo)),
        ("this engine", &|| ours(photo, &SIDES)),
        ("this engine, 320 and 128 alone", &|| {
            ours(photo, &SIDES[1..])
        }),
        ("this engine, 128 alone", &|| ours(photo, &SIDES[2..])),
        ("the probe", &|| {
            probe(photo).expect("probed before").width as usize
        }),
        ("the hash", &|| Sha256::digest(photo).len()),
    ];
    let mut times = contenders.map(|_| Vec::new());
    let mut peaks = contenders.map(|_| 0);
    let mut sizes = contenders.map(|_| 0);
    for _ in 0..ROUNDS {
        for (at, (_, run)) in contenders.iter().enumerate() {
            let allocated = ALLOCATED.current_usage();
            ALLOCATED.reset_peak_usage();
            let start = cpu_ms();
            sizes[at] = std::hint::black_box(run());
            times[at].push(cpu_ms() - start);
            peaks[at] = ALLOCATED.peak_usage() - allocated;
        }
    }
    let medians = times.each_ref().map(|times| median(times));
    for (at, (contender, _)) in contenders.iter().enumerate() {
        println!(
            "  {contender:32} {:7.2} ms CPU  {:.3} of the first  peak {:5.1} MB  {:7} bytes",
            medians[at],
            medians[at] / medians[0],
            (photo.len() + peaks[at]) as f64 / 1e6,
            sizes[at],
        );
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
