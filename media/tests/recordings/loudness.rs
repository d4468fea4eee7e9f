//! Loudness, on the signals of EBU Tech 3341, 3342 and ITU-R BS.1770.

use iyagi_media::audio::Loudness;

use crate::sample::{measured, noise, sine, wav, wav_f32};

fn loudness(bytes: &[u8]) -> Loudness {
    measured(bytes).unwrap().loudness
}

#[track_caller]
fn assert_near(got: Option<f64>, expected: f64, tolerance: f64) {
    let got = got.unwrap();
    assert!(
        (got - expected).abs() <= tolerance,
        "{got}, expected {expected}"
    );
}

#[test]
fn a_stereo_sine_is_as_loud_as_tech_3341_says() {
    // Cases 1 and 2 of its table: 1 kHz at -23 and -33 dBFS in both channels.
    for level in [-23.0, -33.0] {
        let measured = loudness(&wav_f32(48_000, 2, sine(48_000, 2, 1_000.0, level, 20.0)));
        assert_near(measured.integrated_lufs, level, 0.1);
        assert_near(measured.true_peak_dbtp, level, 0.1);
    }
}

#[test]
fn quiet_parts_are_gated_out_as_tech_3341_says() {
    // Case 3: -36, -23 and -36 dBFS for 10, 60 and 10 s count as -23 LUFS.
    let tone = |level, seconds| sine(48_000, 2, 1_000.0, level, seconds);
    let signal = tone(-36.0, 10.0)
        .chain(tone(-23.0, 60.0))
        .chain(tone(-36.0, 10.0));
    let measured = loudness(&wav_f32(48_000, 2, signal));
    assert_near(measured.integrated_lufs, -23.0, 0.1);
}

#[test]
fn the_range_is_that_of_tech_3342() {
    // Case 1: -20 then -30 dBFS, 20 s each, are 10 LU.
    let tone = |level| sine(48_000, 2, 1_000.0, level, 20.0);
    let measured = loudness(&wav_f32(48_000, 2, tone(-20.0).chain(tone(-30.0))));
    assert_near(Some(measured.range_lu), 10.0, 1.0);
}

#[test]
fn one_channel_is_three_lu_below_two() {
    let measured = loudness(&wav_f32(48_000, 1, sine(48_000, 1, 1_000.0, -23.0, 20.0)));
    assert_near(measured.integrated_lufs, -26.01, 0.1);
}

#[test]
fn every_sample_rate_measures_the_same() {
    for rate in [8_000, 11_025, 16_000, 44_100, 96_000, 192_000] {
        let measured = loudness(&wav_f32(rate, 1, sine(rate, 1, 1_000.0, -20.0, 5.0)));
        assert_near(measured.integrated_lufs, -23.01, 0.1);
        assert_near(measured.true_peak_dbtp, -20.0, 0.2);
    }
}

#[test]
fn a_peak_between_the_samples_is_seen() {
    // Cases 15 to 19 of Tech 3341: a quarter of the rate, from several phases, at -6 dBTP.
    for degrees in [0.0, 45.0, 60.0, 67.5] {
        let phase = f64::to_radians(degrees);
        let signal = (0..48_000_u32).map(|n| {
            let fade = f64::from(n.min(47_999 - n).min(4_800)) / 4_800.0;
            fade * 0.5 * (std::f64::consts::FRAC_PI_2 * f64::from(n) + phase).sin()
        });
        let measured = loudness(&wav_f32(48_000, 1, signal));
        let peak = measured.true_peak_dbtp.unwrap();
        assert!((-6.4..=-5.8).contains(&peak), "{degrees} degrees: {peak}");
    }
}

#[test]
fn clipping_is_counted() {
    let clipped = sine(48_000, 1, 440.0, 6.0, 2.0).map(|level| level.clamp(-1.0, 1.0));
    let measured = loudness(&wav(48_000, 1, clipped));
    // A sine of twice full scale is beyond it for two thirds of the time.
    assert_near(Some(measured.clipped_ratio), 2.0 / 3.0, 0.01);
    let clean = loudness(&wav(48_000, 1, sine(48_000, 1, 440.0, -1.0, 2.0)));
    assert!(clean.clipped_ratio == 0.0);
}

#[test]
fn a_recording_of_nearly_nothing_is_flagged_and_left_alone() {
    let hiss = noise(7, 96_000).map(|level| level * 0.000_5);
    let analysis = measured(&wav(48_000, 1, hiss)).unwrap();
    assert!(analysis.loudness.near_silent, "{:?}", analysis.loudness);
    assert!(analysis.delivery.gain_db == 0.0);
    let digital = measured(&wav(48_000, 1, std::iter::repeat_n(0.0, 48_000))).unwrap();
    assert!(digital.loudness.near_silent);
    assert_eq!(digital.loudness.integrated_lufs, None);
    assert_eq!(digital.loudness.true_peak_dbtp, None);
}

#[test]
fn what_is_played_with_the_gain_reaches_the_target() {
    let quiet = measured(&wav_f32(48_000, 2, sine(48_000, 2, 1_000.0, -30.0, 5.0))).unwrap();
    let gain = quiet.delivery.gain_db;
    assert!(
        (gain - 14.0).abs() < 0.1 && !quiet.delivery.peak_limited,
        "{gain}"
    );
    let played = measured(&wav_f32(
        48_000,
        2,
        sine(48_000, 2, 1_000.0, -30.0 + gain, 5.0),
    ))
    .unwrap();
    assert_near(played.loudness.integrated_lufs, -16.0, 0.1);
}
