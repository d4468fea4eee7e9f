//! How loud it is, after EBU R 128 and ITU-R BS.1770, and whether it was clipped.

use ebur128::{EbuR128, Mode};
use serde::Serialize;

use super::true_peak::TruePeak;

/// Full scale of 16 bits: what a clipped recording is stuck at before it was encoded.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

/// Below this a recording is near silent: a pocket, a muted microphone.
const NEAR_SILENT_LUFS: f64 = -60.0;

/// How loud a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loudness {
    /// Integrated loudness in LUFS. `None` if no 400 ms of it are above -70 LUFS.
    pub integrated_lufs: Option<f64>,
    /// Loudness range in LU (EBU Tech 3342).
    pub range_lu: f64,
    /// True peak over all channels in dBTP. `None` for digital silence.
    pub true_peak_dbtp: Option<f64>,
    /// Share of samples at full scale or above, 0 to 1.
    pub clipped_ratio: f64,
    /// Whether it is so quiet that something went wrong: below -60 LUFS.
    pub near_silent: bool,
}

/// Measures while samples pass.
pub(super) struct LoudnessMeter {
    gated: EbuR128,
    peaks: Vec<TruePeak>,
    samples: u64,
    clipped: u64,
}

impl LoudnessMeter {
    pub(super) fn new(rate_hz: u32, channels: usize) -> Result<Self, String> {
        let gated = EbuR128::new(channels as u32, rate_hz, Mode::I | Mode::LRA)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            gated,
            peaks: vec![TruePeak::new(rate_hz); channels],
            samples: 0,
            clipped: 0,
        })
    }

    /// Takes the next samples, interleaved.
    pub(super) fn add(&mut self, interleaved: &[f32]) -> Result<(), String> {
        self.gated
            .add_frames_f32(interleaved)
            .map_err(|error| error.to_string())?;
        let channels = self.peaks.len();
        for (channel, peak) in self.peaks.iter_mut().enumerate() {
            peak.add(interleaved.iter().skip(channel).step_by(channels).copied());
        }
        self.samples += interleaved.len() as u64;
        let clipped = interleaved
            .iter()
            .map(|sample| u32::from(sample.abs() >= FULL_SCALE))
            .sum::<u32>();
        self.clipped += u64::from(clipped);
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<Loudness, String> {
        let integrated = self.gated.loudness_global();
        let range = self.gated.loudness_range();
        let integrated = integrated.map_err(|error| error.to_string())?;
        let integrated_lufs = integrated.is_finite().then_some(integrated);
        let peak = self.peaks.iter().map(TruePeak::peak).fold(0.0, f32::max);
        Ok(Loudness {
            integrated_lufs,
            range_lu: range.map_err(|error| error.to_string())?,
            true_peak_dbtp: (peak > 0.0).then(|| 20.0 * f64::from(peak).log10()),
            clipped_ratio: self.clipped as f64 / self.samples.max(1) as f64,
            near_silent: integrated_lufs.is_none_or(|lufs| lufs < NEAR_SILENT_LUFS),
        })
    }
}
