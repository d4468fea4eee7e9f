//! A JPEG, decoded at its size and at an eighth: rendered or refused with a reason.
#![no_main]

use std::sync::LazyLock;

use iyagi_media::{Limits, OutputFormat, Preset, render};
use libfuzzer_sys::fuzz_target;

static PRESETS: LazyLock<[Preset; 2]> =
    LazyLock::new(|| [("whole", 1_024), ("small", 4)].map(|(name, side)| preset(name, side)));

fn preset(name: &str, longest_side: u32) -> Preset {
    Preset::new(name, longest_side, &[OutputFormat::Jpeg])
}

fuzz_target!(|bytes: &[u8]| {
    // Small enough that a case is fast, large enough for several rows of blocks.
    let limits = Limits {
        pixels_max: 1 << 16,
        ..Limits::default()
    };
    // Without the first marker nothing of a JPEG would be tried.
    let file = [&[0xff, 0xd8, 0xff], bytes].concat();
    for presets in [&PRESETS[..], &PRESETS[1..]] {
        match render(&file, None, presets, &limits, &|| false) {
            Ok(rendered) => assert_eq!(rendered.variants.len(), presets.len()),
            Err(error) => assert!(error.deterministic() && !error.to_string().is_empty()),
        }
    }
});
