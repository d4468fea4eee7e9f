//! Where the sound begins and ends.

use serde::Serialize;

/// A room with nobody speaking is below this, RMS.
const THRESHOLD_DBFS: f32 = -50.0;

/// Windows a second: a player that starts 10 ms off is not noticed.
const WINDOWS_PER_S: u32 = 100;

/// Where a recording is silent: below -50 dBFS RMS over windows of 10 ms, all channels mixed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Silence {
    /// Silence before the first sound, in ms; the whole length if there is none.
    pub lead_ms: u64,
    /// Silence after the last sound, in ms; the whole length if there is none.
    pub trail_ms: u64,
    /// Share of all windows that are silent, 0 to 1.
    pub ratio: f64,
}

pub(super) struct SilenceMeter {
    rate_hz: u32,
    window: usize,
    threshold: f32,
    energy: f32,
    filled: usize,
    windows: u64,
    silent: u64,
    /// First and last window with sound.
    heard: Option<(u64, u64)>,
}

impl SilenceMeter {
    pub(super) fn new(rate_hz: u32) -> Self {
        let window = (rate_hz / WINDOWS_PER_S).max(1) as usize;
        Self {
            rate_hz,
            window,
            threshold: 10_f32.powf(THRESHOLD_DBFS / 10.0) * window as f32,
            energy: 0.0,
            filled: 0,
            windows: 0,
            silent: 0,
            heard: None,
        }
    }

    pub(super) fn add(&mut self, mut mono: &[f32]) {
        while !mono.is_empty() {
            let (now, later) = mono.split_at(mono.len().min(self.window - self.filled));
            self.energy += energy(now);
            self.filled += now.len();
            if self.filled == self.window {
                self.close();
            }
            mono = later;
        }
    }

    fn close(&mut self) {
        if self.energy > self.threshold {
            let first = self.heard.map_or(self.windows, |(first, _)| first);
            self.heard = Some((first, self.windows));
        } else {
            self.silent += 1;
        }
        self.windows += 1;
        self.energy = 0.0;
        self.filled = 0;
    }

    pub(super) fn finish(mut self, duration_ms: u64) -> Silence {
        if self.filled > 0 {
            // The last window is short, so it needs less energy to be heard.
            self.threshold *= self.filled as f32 / self.window as f32;
            self.close();
        }
        let ms = |window: u64| {
            (window * self.window as u64 * 1_000 / u64::from(self.rate_hz)).min(duration_ms)
        };
        let (lead_ms, trail_ms) = match self.heard {
            Some((first, last)) => (ms(first), duration_ms - ms(last + 1)),
            None => (duration_ms, duration_ms),
        };
        Silence {
            lead_ms,
            trail_ms,
            ratio: self.silent as f64 / self.windows.max(1) as f64,
        }
    }
}

fn energy(samples: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let chunks = samples.chunks_exact(lanes.len());
    let rest: f32 = chunks
        .remainder()
        .iter()
        .map(|sample| sample * sample)
        .sum();
    for chunk in chunks {
        for (lane, sample) in lanes.iter_mut().zip(chunk) {
            *lane += sample * sample;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
