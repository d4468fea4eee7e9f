//! Whether two recordings are the same sound, however they were encoded. Chromaprint's second
//! algorithm, the one of `AcoustID`.

use rusty_chromaprint::{Configuration, Fingerprinter, match_fingerprints};
use serde::Serialize;

/// What is listened to. `AcoustID` takes as much: enough to tell recordings apart, and a bound.
const LISTENED_S: u64 = 120;

/// Bit errors of a segment, of 32, up to which it is the same sound: `AcoustID`'s own figure for a
/// match is about 6.
const SAME_SOUND_SCORE_MAX: f64 = 6.0;

/// The fingerprint of the first two minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fingerprint {
    /// About eight words a second. Empty for less than about three seconds.
    pub words: Vec<u32>,
}

impl Fingerprint {
    /// Returns 32 bits that are equal or nearly so for recordings that are: bit by bit the majority
    /// of the words. `None` if there are none. Look candidates up by it, then ask
    /// [`similarity`](Self::similarity).
    pub fn hash(&self) -> Option<u32> {
        if self.words.is_empty() {
            return None;
        }
        let majority = |bit: u32| {
            let ones = self
                .words
                .iter()
                .filter(|word| *word >> bit & 1 == 1)
                .count();
            ones * 2 > self.words.len()
        };
        Some((0..32).fold(0, |hash, bit| hash | u32::from(majority(bit)) << bit))
    }

    /// Returns the share of the shorter one that sounds the same in the other, 0 to 1.
    pub fn similarity(&self, other: &Self) -> f64 {
        let shorter = self.words.len().min(other.words.len());
        if shorter == 0 {
            return 0.0;
        }
        // Two minutes are about a thousand words, far from the length that it refuses.
        let configuration = Configuration::preset_test2();
        let segments = match_fingerprints(&self.words, &other.words, &configuration);
        let same: usize = segments
            .unwrap_or_default()
            .iter()
            .filter(|segment| segment.score <= SAME_SOUND_SCORE_MAX)
            .map(|segment| segment.items_count)
            .sum();
        (same as f64 / shorter as f64).min(1.0)
    }
}

pub(super) struct FingerprintMeter {
    chromaprint: Fingerprinter,
    left: u64,
    /// Kept so that no packet allocates.
    in_16_bits: Vec<i16>,
}

impl FingerprintMeter {
    pub(super) fn new(rate_hz: u32) -> Result<Self, String> {
        let mut chromaprint = Fingerprinter::new(&Configuration::preset_test2());
        chromaprint
            .start(rate_hz, 1)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            chromaprint,
            left: LISTENED_S * u64::from(rate_hz),
            in_16_bits: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, mono: &[f32]) {
        if self.left == 0 {
            return;
        }
        let taken = (mono.len() as u64).min(self.left);
        self.in_16_bits.clear();
        self.in_16_bits.extend(
            mono[..taken as usize]
                .iter()
                .map(|sample| (sample * 32_768.0) as i16),
        );
        self.chromaprint.consume(&self.in_16_bits);
        self.left -= taken;
    }

    pub(super) fn finish(mut self) -> Fingerprint {
        self.chromaprint.finish();
        Fingerprint {
            words: self.chromaprint.fingerprint().to_vec(),
        }
    }
}
