//! Structural similarity of two pictures, after Wang, Bovik, Sheikh and Simoncelli (2004): of their
//! luma, in a Gaussian window of 11 by 11 with a standard deviation of 1.5.

use image::DynamicImage;

const RADIUS: usize = 5;
const DEVIATION: f32 = 1.5;

/// Mean similarity of two pictures of one size: 1 if they are the same.
pub(crate) fn ssim(a: &DynamicImage, b: &DynamicImage) -> f64 {
    const C1: f32 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f32 = (0.03 * 255.0) * (0.03 * 255.0);
    let (width, height) = (a.width() as usize, a.height() as usize);
    assert_eq!((width, height), (b.width() as usize, b.height() as usize));
    let (a, b) = (luma(a), luma(b));
    let products =
        |x: &[f32], y: &[f32]| -> Vec<f32> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let mean = |plane: &[f32]| blurred(plane, width, height);
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let (aa, bb, ab) = (
        mean(&products(&a, &a)),
        mean(&products(&b, &b)),
        mean(&products(&a, &b)),
    );
    let mut sum = 0.0;
    for at in 0..mean_a.len() {
        let (ma, mb) = (mean_a[at], mean_b[at]);
        let (variance_a, variance_b) = (aa[at] - ma * ma, bb[at] - mb * mb);
        let covariance = ab[at] - ma * mb;
        let similar = (2.0 * ma * mb + C1) * (2.0 * covariance + C2);
        sum += f64::from(similar / ((ma * ma + mb * mb + C1) * (variance_a + variance_b + C2)));
    }
    sum / mean_a.len() as f64
}

fn luma(picture: &DynamicImage) -> Vec<f32> {
    let rgb = picture.to_rgb8();
    let luma =
        |[r, g, b]: [u8; 3]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    rgb.pixels().map(|pixel| luma(pixel.0)).collect()
}

/// A plane under the window, its edge pixels repeated outwards.
fn blurred(plane: &[f32], width: usize, height: usize) -> Vec<f32> {
    let weights: Vec<f32> = (0..=2 * RADIUS)
        .map(|at| (-(at as f32 - RADIUS as f32).powi(2) / (2.0 * DEVIATION * DEVIATION)).exp())
        .collect();
    let total: f32 = weights.iter().sum();
    let pass = |from: &[f32], along: usize, step: usize, across: usize, stride: usize| {
        let mut to = vec![0.0; from.len()];
        for line in 0..across {
            for at in 0..along {
                let sum: f32 = weights
                    .iter()
                    .enumerate()
                    .map(|(tap, weight)| {
                        let near = (at + tap).saturating_sub(RADIUS).min(along - 1);
                        weight * from[line * stride + near * step]
                    })
                    .sum();
                to[line * stride + at * step] = sum / total;
            }
        }
        to
    };
    let rows = pass(plane, width, 1, height, width);
    pass(&rows, height, width, width, 1)
}
