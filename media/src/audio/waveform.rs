//! The picture of a recording: for a chat bubble, for a player, and for a page.
//!
//! The JSON and the `.dat` are those of the BBC's audiowaveform, so that its players read them.
//! Formats: <https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md>.

use std::fmt::Write;

use serde::Serialize;

/// Points of the summary.
pub const SUMMARY_POINTS: usize = 100;

/// Points a second of the full waveform: what a player can show at its widest.
const PIXELS_PER_S: u32 = 20;

/// Buckets of the summary before it is brought to [`SUMMARY_POINTS`]: enough that no rounding shows.
const FINE_BUCKETS_MAX: usize = 8 * SUMMARY_POINTS;

/// A waveform, all channels mixed to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waveform {
    sample_rate_hz: u32,
    samples_per_pixel: u32,
    /// Minimum and maximum of each pixel.
    pixels: Vec<(i8, i8)>,
    summary: [u8; SUMMARY_POINTS],
}

#[derive(Serialize)]
struct Json<'a> {
    version: u8,
    channels: u8,
    sample_rate: u32,
    samples_per_pixel: u32,
    bits: u8,
    length: usize,
    data: &'a [i8],
}

impl Waveform {
    /// Returns the loudest sample in each hundredth of the recording; 255 is full scale.
    pub fn summary(&self) -> &[u8; SUMMARY_POINTS] {
        &self.summary
    }

    /// Returns the number of pixels: 20 a second, rounded up.
    pub fn pixels(&self) -> usize {
        self.pixels.len()
    }

    /// Returns audiowaveform's JSON: version 2, 8 bits, one channel, minimum and maximum in turn.
    pub fn json(&self) -> String {
        let data: Vec<i8> = self
            .pixels
            .iter()
            .flat_map(|&(min, max)| [min, max])
            .collect();
        let json = Json {
            version: 2,
            channels: 1,
            sample_rate: self.sample_rate_hz,
            samples_per_pixel: self.samples_per_pixel,
            bits: 8,
            length: self.pixels.len(),
            data: &data,
        };
        serde_json::to_string(&json).expect("numbers and their names are JSON")
    }

    /// Returns audiowaveform's binary file: version 1, little endian, 8 bits, one channel.
    pub fn dat(&self) -> Vec<u8> {
        const VERSION: u32 = 1;
        const EIGHT_BITS: u32 = 1;
        let length = u32::try_from(self.pixels.len()).expect("an hour has 72,000 pixels");
        let header = [
            VERSION,
            EIGHT_BITS,
            self.sample_rate_hz,
            self.samples_per_pixel,
            length,
        ];
        header
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .chain(
                self.pixels
                    .iter()
                    .flat_map(|&(min, max)| [min.to_le_bytes()[0], max.to_le_bytes()[0]]),
            )
            .collect()
    }

    /// Returns an SVG of the summary, 200 by 40 units, as tall as the loudest point allows. It has
    /// the colour of the text around it, and no script, style or reference.
    pub fn svg(&self) -> String {
        const HEIGHT: u32 = 40;
        let loudest = u32::from(self.summary.iter().copied().max().unwrap_or(0)).max(1);
        let mut bars = String::new();
        for (n, point) in self.summary.iter().enumerate() {
            let height = (u32::from(*point) * HEIGHT / loudest).max(1);
            let top = (HEIGHT - height) / 2;
            write!(bars, "M{} {top}v{height}", 2 * n + 1).expect("a string takes all");
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 200 {HEIGHT}\">\
             <path stroke=\"currentColor\" d=\"{bars}\"/></svg>\n"
        )
    }
}

/// Draws while samples pass.
pub(super) struct WaveformMeter {
    sample_rate_hz: u32,
    samples_per_pixel: u32,
    pixels: Vec<(i8, i8)>,
    open: Extremes,
    filled: u32,
    fine: Vec<f32>,
    fine_size: u32,
    fine_open: f32,
    fine_filled: u32,
}

impl WaveformMeter {
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            samples_per_pixel: (sample_rate_hz / PIXELS_PER_S).max(1),
            pixels: Vec::new(),
            open: Extremes::NONE,
            filled: 0,
            fine: Vec::with_capacity(FINE_BUCKETS_MAX),
            fine_size: (sample_rate_hz / 1_000).max(1),
            fine_open: 0.0,
            fine_filled: 0,
        }
    }

    pub(super) fn add(&mut self, mut mono: &[f32]) {
        while !mono.is_empty() {
            let room =
                (self.samples_per_pixel - self.filled).min(self.fine_size - self.fine_filled);
            let (now, later) = mono.split_at(mono.len().min(room as usize));
            let extremes = Extremes::of(now);
            self.open = self.open.with(extremes);
            self.fine_open = self.fine_open.max(extremes.level());
            self.filled += now.len() as u32;
            self.fine_filled += now.len() as u32;
            if self.filled == self.samples_per_pixel {
                self.close_pixel();
            }
            if self.fine_filled == self.fine_size {
                self.close_fine();
            }
            mono = later;
        }
    }

    fn close_pixel(&mut self) {
        self.pixels.push(self.open.in_8_bits());
        self.open = Extremes::NONE;
        self.filled = 0;
    }

    fn close_fine(&mut self) {
        self.fine.push(self.fine_open);
        self.fine_open = 0.0;
        self.fine_filled = 0;
        if self.fine.len() == FINE_BUCKETS_MAX {
            // Half as fine from now on, so that any length fits.
            for n in 0..FINE_BUCKETS_MAX / 2 {
                self.fine[n] = self.fine[2 * n].max(self.fine[2 * n + 1]);
            }
            self.fine.truncate(FINE_BUCKETS_MAX / 2);
            self.fine_size = self.fine_size.saturating_mul(2);
        }
    }

    pub(super) fn finish(mut self) -> Waveform {
        if self.filled > 0 {
            self.close_pixel();
        }
        if self.fine_filled > 0 {
            self.fine.push(self.fine_open);
        }
        let buckets = self.fine.len();
        let summary = std::array::from_fn(|n| {
            let first = n * buckets / SUMMARY_POINTS;
            let last = ((n + 1) * buckets).div_ceil(SUMMARY_POINTS).max(first + 1);
            let level = self.fine[first.min(buckets)..last.min(buckets)]
                .iter()
                .copied()
                .fold(0.0, f32::max);
            (level * 255.0).round() as u8
        });
        Waveform {
            sample_rate_hz: self.sample_rate_hz,
            samples_per_pixel: self.samples_per_pixel,
            pixels: self.pixels,
            summary,
        }
    }
}

#[derive(Clone, Copy)]
struct Extremes {
    min: f32,
    max: f32,
}

impl Extremes {
    const NONE: Self = Self {
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
    };

    fn of(samples: &[f32]) -> Self {
        let mut mins = [f32::INFINITY; 8];
        let mut maxs = [f32::NEG_INFINITY; 8];
        let chunks = samples.chunks_exact(mins.len());
        let rest = chunks.remainder();
        for chunk in chunks {
            for ((min, max), &sample) in mins.iter_mut().zip(&mut maxs).zip(chunk) {
                *min = if sample < *min { sample } else { *min };
                *max = if sample > *max { sample } else { *max };
            }
        }
        Self {
            min: mins
                .iter()
                .chain(rest)
                .copied()
                .fold(f32::INFINITY, f32::min),
            max: maxs
                .iter()
                .chain(rest)
                .copied()
                .fold(f32::NEG_INFINITY, f32::max),
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn level(self) -> f32 {
        self.min.abs().max(self.max.abs())
    }

    /// The upper half of 16 bits, as audiowaveform takes it.
    fn in_8_bits(self) -> (i8, i8) {
        let in_8_bits = |level: f32| (level * 128.0).floor() as i8;
        (in_8_bits(self.min), in_8_bits(self.max))
    }
}
