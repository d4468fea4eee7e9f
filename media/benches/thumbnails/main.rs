//! What the thumbnails of one upload cost (1080, 320 and 128 pixels, quality 80), against sharp.
//!
//! Run with `cargo bench -p iyagi-media --bench thumbnails`. Installs sharp below `target/` by npm;
//! without node it says so and measures only the engine. Contenders are persistent processes held
//! on one core, and rounds of all of them alternate, so that a noisy machine is noisy to each; the
//! ratios count. Costs are CPU time, user and system, of the whole process, and medians.
//! `BENCH_PHOTOS` names a folder whose largest JPEG is the photograph, `BENCH_ROUNDS` how many
//! rounds there are.
//!
//! "best" is sharp with one decode and a cascade made by hand, "usual" is sharp with a pipeline for
//! each thumbnail. Similarity (SSIM of luma) is to the whole picture resized by Lanczos in floating
//! point; "ceiling" is what JPEG or WebP at this quality leaves of that.

mod contender;
mod inputs;
mod ours;
#[expect(dead_code, reason = "one of its scripts is enough here")]
#[path = "../../tests/pictures/scans.rs"]
mod scans;
#[path = "../../tests/pictures/ssim.rs"]
mod ssim;

use std::path::{Path, PathBuf};
use std::process::Command;

use image::DynamicImage;
use image::imageops::FilterType;

use crate::contender::{Contender, Job, has};
use crate::inputs::Input;
use crate::ssim::ssim;

/// Longest sides of the thumbnails.
const SIDES: [u32; 3] = [1080, 320, 128];
const ROUNDS: usize = 11;
/// Ratios that the project sets itself: input, against best, against usual.
const GOALS: [(&str, f64, Option<f64>); 10] = [
    ("12 MP baseline", 1.5, Some(2.6)),
    ("6 MP baseline", 2.0, None),
    ("2 MP baseline", 2.0, None),
    ("12 MP Display P3", 2.5, None),
    ("12 MP sRGB", 2.5, None),
    ("12 MP progressive", 1.2, None),
    ("4 MP PNG", 3.5, None),
    ("4 MP PNG sRGB", 3.5, None),
    ("4 MP WebP", 1.3, None),
    ("12 MP to WebP", 1.6, None),
];

fn main() {
    if std::env::args().any(|argument| argument == "serve") {
        return ours::serve();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thumbnails");
    std::fs::create_dir_all(&folder).expect("target/ takes a folder");
    let mut contenders = contenders(&folder);
    for contender in &contenders {
        println!("{}: {}", contender.name, contender.version);
    }
    let inputs = inputs::make(&folder);
    println!(
        "\n{:<18} {:<7} {:>8} {:>7} {:>7} {:>16} {:>7} {:>23}",
        "input", "by", "CPU ms", "ratio", "MB", "bytes 1080", "bytes", "SSIM 1080/320/128"
    );
    for input in &inputs {
        measure(&mut contenders, input, &folder);
    }
}

fn contenders(folder: &Path) -> Vec<Contender> {
    let own = std::env::current_exe().expect("this program is a file");
    let mut contenders = vec![Contender::start("iyagi", &own, &["serve"], folder)];
    if !(has("node") && has("npm")) {
        println!("node and npm are not there: only iyagi is measured");
        return contenders;
    }
    if !folder.join("node_modules/sharp").exists() {
        let installed = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--prefix",
                ".",
                "sharp@0.35",
            ])
            .current_dir(folder)
            .status();
        if !installed.is_ok_and(|status| status.success()) {
            println!("npm cannot install sharp: only iyagi is measured");
            return contenders;
        }
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/thumbnails/sharp.mjs");
    let node = Path::new("node");
    contenders.push(Contender::start("best", node, &[program, "best"], folder));
    contenders.push(Contender::start("usual", node, &[program, "usual"], folder));
    contenders
}

fn measure(contenders: &mut [Contender], input: &Input, folder: &Path) {
    let rounds = std::env::var("BENCH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let job = |keep| Job {
        file: input.file.display().to_string(),
        format: input.format.to_owned(),
        keep,
    };
    let kept = |contender: &Contender| folder.join(format!("made-by-{}", contender.name));
    let mut costs = vec![Vec::new(); contenders.len()];
    for contender in contenders.iter_mut() {
        let keep = kept(contender).display().to_string();
        contender.make(&job(Some(keep)));
        contender.forget_peak();
    }
    for _ in 0..rounds {
        for (contender, costs) in contenders.iter_mut().zip(&mut costs) {
            costs.push(contender.make(&job(None)).cpu_ms);
        }
    }
    let medians: Vec<f64> = costs.into_iter().map(median).collect();
    let references = references(input);
    for (at, contender) in contenders.iter().enumerate() {
        let files = SIDES.map(|side| thumbnail(&kept(contender), side));
        print_row(
            if at == 0 { input.name } else { "" },
            contender.name,
            Some((medians[at], medians[at] / medians[0])),
            contender.peak_mb(),
            &files,
            &references,
        );
    }
    let ceiling = SIDES.map(|side| {
        let (reference, quality) = (&references[index(side)], 80);
        encoded(reference, input.format, quality)
    });
    print_row("", "ceiling", None, None, &ceiling, &references);
    if let [_, best, usual] = medians[..] {
        let goal = GOALS.iter().find(|(name, ..)| *name == input.name);
        let (_, against_best, against_usual) = *goal.expect("every input has a goal");
        let usual_goal = against_usual.map_or(String::new(), |goal| format!(" (goal {goal})"));
        println!(
            "{:<18} {:.2} times best (goal {against_best}), {:.2} times usual{usual_goal}\n",
            "",
            best / medians[0],
            usual / medians[0],
        );
    }
}

fn print_row(
    input: &str,
    by: &str,
    cost: Option<(f64, f64)>,
    peak_mb: Option<f64>,
    files: &[Vec<u8>; 3],
    references: &[DynamicImage],
) {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    let similar = files.iter().zip(references).map(|(file, reference)| {
        let made = image::load_from_memory(file).expect("a thumbnail is a picture");
        format!("{:.4}", ssim(&made, reference))
    });
    let similar: Vec<String> = similar.collect();
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!(
        "{input:<18} {by:<7} {:>8} {:>7} {:>7} {:>16} {bytes:>7} {:>23}",
        number(cost.map(|cost| cost.0), 1),
        number(cost.map(|cost| cost.1), 2),
        number(peak_mb, 0),
        files[0].len(),
        similar.join(" "),
    );
}

/// The whole picture at each side, by Lanczos with three lobes in floating point.
fn references(input: &Input) -> Vec<DynamicImage> {
    let whole = image::open(&input.picture)
        .expect("made before")
        .to_rgb32f();
    let whole = DynamicImage::from(whole);
    SIDES
        .iter()
        .map(|&side| {
            whole
                .resize(side, side, FilterType::Lanczos3)
                .to_rgb8()
                .into()
        })
        .collect()
}

/// What thumbnails are made with; a ceiling of a slower method would measure the method.
const WEBP_METHOD: i32 = 2;

fn encoded(picture: &DynamicImage, format: &str, quality: u8) -> Vec<u8> {
    let (width, height) = (picture.width(), picture.height());
    let rgb = picture.as_bytes();
    if format == "webp" {
        let mut config = webp::WebPConfig::new().expect("libwebp has defaults");
        config.quality = f32::from(quality);
        config.method = WEBP_METHOD;
        let encoder = webp::Encoder::new(rgb, webp::PixelLayout::Rgb, width, height);
        let file = encoder.encode_advanced(&config);
        return file.expect("libwebp takes every picture").to_vec();
    }
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_2_0);
    encoder
        .encode(
            rgb,
            width as u16,
            height as u16,
            jpeg_encoder::ColorType::Rgb,
        )
        .expect("memory takes a file");
    file
}

fn thumbnail(kept: &Path, side: u32) -> Vec<u8> {
    let path = PathBuf::from(format!("{}-{side}", kept.display()));
    std::fs::read(path).expect("the contender keeps what it was told to keep")
}

fn index(side: u32) -> usize {
    SIDES
        .iter()
        .position(|known| *known == side)
        .expect("one of the sides")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
