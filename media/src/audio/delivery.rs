//! How to play it so that no recording is louder than the next.

use serde::Serialize;

use super::loudness::Loudness;

/// What voices are brought to: the level of podcasts (AES TD1008 recommends -16 to -18 for speech).
pub(super) const TARGET_LUFS: f64 = -16.0;

/// What peaks stay below, in dBTP, those of renditions too.
pub const TRUE_PEAK_MAX_DBTP: f64 = -1.5;

/// The gain to play a recording with. It is a fact beside the recording, which is not touched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Delivery {
    /// Gain in dB: to -16 LUFS, as far as its true peak stays at or below -1.5 dBTP. 0 for a
    /// recording that is near silent: what is there to hear is noise.
    pub gain_db: f64,
    /// Whether its peaks kept it below -16 LUFS.
    pub peak_limited: bool,
}

impl Delivery {
    pub(super) fn of(loudness: &Loudness) -> Self {
        let (Some(integrated), Some(peak), false) = (
            loudness.integrated_lufs,
            loudness.true_peak_dbtp,
            loudness.near_silent,
        ) else {
            return Self {
                gain_db: 0.0,
                peak_limited: false,
            };
        };
        let wanted = TARGET_LUFS - integrated;
        let allowed = TRUE_PEAK_MAX_DBTP - peak;
        Self {
            gain_db: wanted.min(allowed),
            peak_limited: allowed < wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(integrated: f64, peak: f64) -> Delivery {
        Delivery::of(&Loudness {
            integrated_lufs: Some(integrated),
            range_lu: 0.0,
            true_peak_dbtp: Some(peak),
            clipped_ratio: 0.0,
            near_silent: integrated < -60.0,
        })
    }

    #[test]
    fn gain_reaches_the_target_unless_a_peak_is_in_the_way() {
        let quiet = delivery(-24.0, -12.0);
        assert!((quiet.gain_db - 8.0).abs() < 1e-9 && !quiet.peak_limited);
        let peaky = delivery(-24.0, -4.0);
        assert!((peaky.gain_db - 2.5).abs() < 1e-9 && peaky.peak_limited);
        let loud = delivery(-9.0, 0.3);
        assert!((loud.gain_db + 7.0).abs() < 1e-9 && !loud.peak_limited);
    }

    #[test]
    fn noise_is_not_made_louder() {
        let noise = delivery(-65.0, -50.0);
        assert!(noise.gain_db.abs() < f64::EPSILON && !noise.peak_limited);
    }
}
