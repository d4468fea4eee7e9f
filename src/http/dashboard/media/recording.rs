//! A recording as the page shows it: how it sounds, and how it looks.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use iyagi_messages::media::{Audio, Hundredths, MetadataItem, RenditionState};

use super::{Derived, href};
use crate::http::dashboard::text;

/// Half the height of a waveform, in the units of its drawing.
const WAVE_HALF: f32 = 28.0;

pub(super) struct Recording {
    /// What a player may choose from, the best first.
    pub(super) sources: Vec<Source>,
    pub(super) wave: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) derived: Vec<Derived>,
}

pub(super) struct Source {
    pub(super) href: String,
    pub(super) content_type: String,
}

impl Recording {
    pub(super) fn of(item: &MetadataItem, audio: &Audio) -> Self {
        let mut sources = Vec::new();
        let mut derived = Vec::new();
        for rendition in &audio.renditions {
            // What is still to be made, or cannot be, the journal tells.
            if let RenditionState::Made(file) = &rendition.state {
                sources.push(Source {
                    href: href(&file.key),
                    content_type: rendition.content_type.clone(),
                });
                derived.push(Derived {
                    name: rendition.name.clone(),
                    href: href(&file.key),
                    facts: text::bytes(file.size),
                });
            }
        }
        sources.push(Source {
            href: href(&item.key),
            content_type: item.content_type.clone(),
        });
        derived.extend(audio.files.iter().map(|file| Derived {
            name: file.name.clone(),
            href: href(&file.key),
            facts: text::bytes(file.size),
        }));
        Self {
            sources,
            wave: wave(&audio.waveform),
            facts: facts(audio),
            derived,
        }
    }
}

fn facts(audio: &Audio) -> Vec<(&'static str, String)> {
    let level = |value: Hundredths, unit: &str| format!("{:.1} {unit}", f64::from(value));
    let seconds = audio.duration_ms as f64 / 1_000.0;
    let rate = f64::from(audio.sample_rate_hz) / 1_000.0;
    let mut facts = vec![
        ("Length", format!("{seconds:.1} s")),
        ("Codec", format!("{}, {rate} kHz", audio.codec)),
    ];
    if let Some(loudness) = audio.integrated_lufs {
        facts.push(("Loudness", level(loudness, "LUFS")));
    }
    if let Some(peak) = audio.true_peak_dbtp {
        facts.push(("True peak", level(peak, "dBTP")));
    }
    if let Some(duplicate) = &audio.duplicate_of {
        facts.push(("Duplicate", duplicate.to_string()));
    }
    facts
}

/// A waveform as the path of an SVG: a bar for each hundredth of the recording.
fn wave(base64: &str) -> String {
    let mut path = String::new();
    // The recorder wrote it, so it decodes; a foreign one is left blank.
    for (place, loudest) in BASE64_STANDARD
        .decode(base64)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let half = (f32::from(loudest) / 255.0 * WAVE_HALF).max(0.5);
        let (x, top) = (place * 4 + 2, WAVE_HALF - half);
        write!(path, "M{x} {top:.1}v{:.1}", half * 2.0).expect("writing to a String cannot fail");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waveform_is_drawn_around_its_middle_and_a_foreign_one_is_left_blank() {
        let path = wave(&BASE64_STANDARD.encode([0, 255]));
        assert_eq!(path, "M2 27.5v1.0M6 0.0v56.0");
        assert_eq!(wave("?"), "");
    }
}
