//! The engine as one persistent process.

use std::io::{BufRead, Write};

use iyagi_media::{Limits, OutputFormat, Preset, render};
use rustix::time::{ClockId, clock_gettime};

use crate::SIDES;
use crate::contender::{Cost, Hello, Job};

pub(crate) fn serve() {
    let version = format!("iyagi-media {}", env!("CARGO_PKG_VERSION"));
    say(&Hello { version });
    for line in std::io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line.expect("a line")).expect("a job");
        let bytes = std::fs::read(&job.file).expect("the input is there");
        let format = match &job.format[..] {
            "webp" => OutputFormat::WebP,
            _ => OutputFormat::Jpeg,
        };
        let presets = SIDES.map(|side| Preset::new(&side.to_string(), side, &[format]));
        let before = cpu_ms();
        let rendered = render(&bytes, None, &presets, &Limits::default(), &|| false);
        let cpu_ms = cpu_ms() - before;
        let rendered = rendered.expect("the input is a picture");
        if let Some(keep) = job.keep {
            for variant in &rendered.variants {
                let path = format!("{keep}-{}", variant.preset);
                std::fs::write(path, &variant.bytes).expect("the folder is there");
            }
        }
        say(&Cost { cpu_ms });
    }
}

fn say(line: &impl serde::Serialize) {
    let line = serde_json::to_string(line).expect("plain data");
    println!("{line}");
    std::io::stdout().flush().expect("whoever asked listens");
}

fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
