//! The level between the samples, as ITU-R BS.1770-5 annex 2 measures it: interpolate four times as
//! many samples and take the largest.
//!
//! Interpolation is most of what a measurement costs, and almost all of it is for nothing: no
//! sample between others can be louder than their loudest times the sum of the filter. Where that
//! is below the peak found already, nothing is interpolated. The result is the same.

use std::f32::consts::PI;

/// Samples that one interpolated sample is made of. Annex 2 has twelve.
const TAPS: usize = 12;

/// Samples skipped or interpolated together: short enough to skip between syllables.
const BLOCK: usize = 32;

/// Holds the last samples of a channel and its peak.
#[derive(Debug, Clone)]
pub(super) struct TruePeak {
    /// One filter an interpolated position.
    phases: Vec<[f32; TAPS]>,
    /// The most that interpolation can add to the loudest sample.
    gain_max: f32,
    /// The samples before those of the next call, then room for a block.
    window: [f32; TAPS - 1 + BLOCK],
    peak: f32,
}

impl TruePeak {
    pub(super) fn new(rate_hz: u32) -> Self {
        // Annex 2 wants at least 192 kHz.
        let factor = match rate_hz {
            ..96_000 => 4,
            96_000..192_000 => 2,
            _ => 1,
        };
        // Position 0 of each four is a sample itself.
        let phases: Vec<_> = (1..factor).map(|phase| filter(phase, factor)).collect();
        let gain_max = phases
            .iter()
            .map(|taps| taps.iter().map(|tap| tap.abs()).sum())
            .fold(1.0, f32::max);
        Self {
            phases,
            gain_max,
            window: [0.0; TAPS - 1 + BLOCK],
            peak: 0.0,
        }
    }

    /// Takes the next samples of the channel.
    pub(super) fn add(&mut self, samples: impl Iterator<Item = f32>) {
        let mut samples = samples.peekable();
        while samples.peek().is_some() {
            let mut filled = TAPS - 1;
            for (slot, sample) in self.window[TAPS - 1..].iter_mut().zip(&mut samples) {
                *slot = sample;
                filled += 1;
            }
            self.measure(filled);
            self.window.copy_within(filled + 1 - TAPS..filled, 0);
        }
    }

    fn measure(&mut self, filled: usize) {
        let window = &self.window[..filled];
        let loudest = loudest(window);
        self.peak = self.peak.max(loudest);
        if loudest * self.gain_max <= self.peak {
            return;
        }
        for taps in &self.phases {
            let mut sums = [0.0; BLOCK];
            let sums = &mut sums[..filled + 1 - TAPS];
            for (offset, tap) in taps.iter().enumerate() {
                for (sum, sample) in sums.iter_mut().zip(&window[offset..]) {
                    *sum += tap * sample;
                }
            }
            self.peak = self.peak.max(self::loudest(sums));
        }
    }

    /// Returns the peak so far; 1 is full scale.
    pub(super) fn peak(&self) -> f32 {
        self.peak
    }
}

fn loudest(samples: &[f32]) -> f32 {
    // Lanes of their own, so that the compiler need not keep the order of one chain.
    let mut lanes = [0.0_f32; 8];
    let chunks = samples.chunks_exact(lanes.len());
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, sample) in lanes.iter_mut().zip(chunk) {
            let level = sample.abs();
            *lane = if level > *lane { level } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(0.0, |max, level| level.abs().max(max))
}

/// A sinc under a Hann window, shifted by `phase` of `factor` parts of a sample.
fn filter(phase: usize, factor: usize) -> [f32; TAPS] {
    std::array::from_fn(|tap| {
        let length = (TAPS * factor) as f32;
        let at = (tap * factor + phase) as f32;
        let window = 0.5 * (1.0 - (2.0 * PI * at / length).cos());
        let x = PI * (at - length / 2.0) / factor as f32;
        window * x.sin() / x
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frequency: f32, phase: f32) -> impl Iterator<Item = f32> {
        (0..48_000).map(move |n| (2.0 * PI * (frequency * n as f32 / 48_000.0 + phase)).sin())
    }

    #[test]
    fn a_peak_between_samples_is_found() {
        // A quarter of the rate, an eighth of a period late: samples reach only -3 dB.
        let mut meter = TruePeak::new(48_000);
        meter.add(sine(12_000.0, 0.125));
        let db = 20.0 * meter.peak().log10();
        assert!((-0.2..0.2).contains(&db), "{db}");
    }

    #[test]
    fn skipping_changes_nothing_and_neither_does_the_size_of_packets() {
        let samples: Vec<f32> = sine(997.0, 0.1)
            .zip(sine(9_001.0, 0.3))
            .enumerate()
            .map(|(n, (a, b))| (a * 0.5 + b * 0.4) * ((n % 7_000) as f32 / 7_000.0))
            .collect();
        let mut all = TruePeak::new(44_100);
        all.gain_max = f32::INFINITY;
        all.add(samples.iter().copied());
        for size in [1, 31, 32, 33, 1_024] {
            let mut pieces = TruePeak::new(44_100);
            for piece in samples.chunks(size) {
                pieces.add(piece.iter().copied());
            }
            assert!(
                (pieces.peak() - all.peak()).abs() < 1e-6,
                "packets of {size}"
            );
        }
    }
}
