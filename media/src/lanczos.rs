//! The filter of every resize: Lanczos with three lobes, from a table.
//!
//! A resize asks for the weight of every sample in every pixel that it reaches, separately for each
//! plane. Two sines each time would be a tenth of all the work on a picture of 2 megapixels.

use std::f64::consts::PI;
use std::sync::LazyLock;

use fast_image_resize::{Filter, FilterType};

/// How far it reaches, in samples of the smaller picture.
pub(crate) const LOBES: usize = 3;
/// Table entries from one zero to the next. What lies between two of them is less than a millionth
/// off their line, and weights are rounded to far fewer bits.
const STEPS: usize = 1_024;

/// Weights by distance, and two that are zero at the end.
static WEIGHTS: LazyLock<[f64; LOBES * STEPS + 2]> =
    LazyLock::new(|| std::array::from_fn(|step| exact(step as f64 / STEPS as f64)));

/// The filter.
pub(crate) fn filter() -> FilterType {
    let filter = Filter::new("lanczos3", weight, LOBES as f64);
    FilterType::Custom(filter.expect("three lobes are a support"))
}

fn weight(distance: f64) -> f64 {
    let step = distance.abs() * STEPS as f64;
    let from = WEIGHTS.get(step as usize..).and_then(<[f64]>::first_chunk);
    from.map_or(0.0, |[near, far]| near + (far - near) * step.fract())
}

fn exact(distance: f64) -> f64 {
    let sinc = |x: f64| {
        if x == 0.0 {
            1.0
        } else {
            (PI * x).sin() / (PI * x)
        }
    };
    if distance < LOBES as f64 {
        sinc(distance) * sinc(distance / LOBES as f64)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_filter() {
        for step in -40_000..40_000 {
            let distance = f64::from(step) / 10_007.0;
            let off = (weight(distance) - exact(distance.abs())).abs();
            assert!(off < 1e-6, "{off} at {distance}");
        }
        assert!(weight(f64::MAX).abs() < f64::EPSILON);
    }
}
