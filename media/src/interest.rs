//! Where in a picture there is something to see, along the one side that a frame cuts.
//!
//! Looked for on a small picture: what is too small to be seen there is too small to be seen in a
//! thumbnail.

use crate::preset::Crop;
use crate::raster::Raster;
use crate::ycbcr;

/// The longest side of the picture that is looked at.
pub(crate) const LONGEST_SIDE: u32 = 96;

/// Where the best part begins, as a share of the whole: 0 is the left or upper edge. `part` is how
/// much of the width and of the height is kept; of both, at most one is less than 1.
///
/// Of parts that are equally good, it is the one nearest to the middle.
pub(crate) fn best_start(picture: &Raster, crop: Crop, part: (f64, f64)) -> (f64, f64) {
    let shades = Shades::of(picture);
    let (width, height) = picture.size();
    let across = part.0 < part.1;
    let (side, share) = if across {
        (width, part.0)
    } else {
        (height, part.1)
    };
    let length = ((f64::from(side) * share).round() as usize).clamp(1, side as usize);
    let last = side as usize - length;
    let start = match crop {
        Crop::Centre => last / 2,
        Crop::Entropy => best(last, entropies(&shades, across, length)),
        Crop::Attention => best(
            last,
            sums(&lines(&shades.attention(picture), &shades, across), length),
        ),
    };
    let start = start as f64 / f64::from(side);
    if across { (start, 0.0) } else { (0.0, start) }
}

/// The start with the highest score, the nearest to the middle of those that have it.
fn best(last: usize, scores: Vec<f64>) -> usize {
    let from_middle = |start: usize| (2 * start).abs_diff(last);
    let better = |a: &usize, b: &usize| {
        let by_score = scores[*a].total_cmp(&scores[*b]);
        by_score.then_with(|| from_middle(*b).cmp(&from_middle(*a)))
    };
    (0..=last).max_by(better).unwrap_or(0)
}

/// Luma of every pixel.
struct Shades {
    width: usize,
    height: usize,
    luma: Vec<u8>,
}

impl Shades {
    fn of(picture: &Raster) -> Self {
        let luma = picture
            .rgba()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&[r, g, b, _]| ycbcr::luma([r, g, b]))
            .collect();
        Self {
            width: picture.width as usize,
            height: picture.height as usize,
            luma,
        }
    }

    /// How much every pixel draws the eye.
    fn attention(&self, picture: &Raster) -> Vec<f64> {
        let rgba = picture.rgba();
        let pixels = rgba.as_chunks::<4>().0;
        (0..pixels.len())
            .map(|at| {
                let visible = f64::from(pixels[at][3]) / 255.0;
                visible * (self.edge(at) + skin(pixels[at]) + saturation(pixels[at]))
            })
            .collect()
    }

    /// How much a pixel differs from those around it, 0 to 1.
    fn edge(&self, at: usize) -> f64 {
        let (x, y) = (at % self.width, at / self.width);
        let luma = |x: usize, y: usize| i32::from(self.luma[y * self.width + x]);
        let (left, right) = (x.saturating_sub(1), (x + 1).min(self.width - 1));
        let (above, below) = (y.saturating_sub(1), (y + 1).min(self.height - 1));
        let across = luma(right, y) - luma(left, y);
        let down = luma(x, below) - luma(x, above);
        f64::from(across.abs() + down.abs()) / 510.0
    }
}

/// 1 for the colours of skin of every complexion, by the range of chroma that Chai and Ngan found
/// (IEEE Transactions on Circuits and Systems for Video Technology, 1999); else 0.
fn skin([r, g, b, _]: [u8; 4]) -> f64 {
    const BLACK_MAX: u8 = 40;
    let [blue, red] = ycbcr::chroma::<0>([r, g, b].map(i32::from));
    let bright = ycbcr::luma([r, g, b]) > BLACK_MAX;
    let is_skin = bright && (77..=127).contains(&blue) && (133..=173).contains(&red);
    f64::from(u8::from(is_skin))
}

/// How strong a colour is, 0 to 1/2: strong colours are worth less than a face.
fn saturation([r, g, b, _]: [u8; 4]) -> f64 {
    let (low, high) = (r.min(g).min(b), r.max(g).max(b));
    f64::from(high - low) / 510.0
}

/// The sum of values over each column, or each row.
fn lines(values: &[f64], shades: &Shades, across: bool) -> Vec<f64> {
    let mut lines = vec![0.0; if across { shades.width } else { shades.height }];
    for (at, value) in values.iter().enumerate() {
        let line = if across {
            at % shades.width
        } else {
            at / shades.width
        };
        lines[line] += value;
    }
    lines
}

/// The sum over each run of `length` lines.
fn sums(lines: &[f64], length: usize) -> Vec<f64> {
    lines.windows(length).map(|run| run.iter().sum()).collect()
}

/// The entropy of the shades in each run of `length` columns or rows, in bits.
fn entropies(shades: &Shades, across: bool, length: usize) -> Vec<f64> {
    /// Shades that are told apart. More would count noise.
    const SHADES: usize = 32;
    let side = if across { shades.width } else { shades.height };
    let mut counts = vec![[0u32; SHADES]; side];
    for (at, luma) in shades.luma.iter().enumerate() {
        let line = if across {
            at % shades.width
        } else {
            at / shades.width
        };
        counts[line][usize::from(*luma) * SHADES / 256] += 1;
    }
    let pixels = (shades.luma.len() / side * length) as f64;
    counts
        .windows(length)
        .map(|run| {
            let count = |shade: usize| run.iter().map(|line| line[shade]).sum::<u32>();
            let share = |shade| f64::from(count(shade)) / pixels;
            (0..SHADES)
                .map(share)
                .filter(|share| *share > 0.0)
                .map(|share| -share * share.log2())
                .sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Layout;

    fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Raster {
        let samples = (0..width * height)
            .flat_map(|at| pixel(at % width, at / width))
            .collect();
        Raster {
            width,
            height,
            layout: Layout::Rgb,
            samples,
        }
    }

    #[test]
    fn the_part_with_most_shades_is_kept() {
        let noisy = picture(90, 30, |x, y| {
            let shade = if x >= 60 {
                (x * 37 + y * 101) % 256
            } else {
                90
            };
            [shade as u8; 3]
        });
        let (start, above) = best_start(&noisy, Crop::Entropy, (1.0 / 3.0, 1.0));
        assert!((start - 2.0 / 3.0).abs() < 0.02 && above == 0.0, "{start}");
    }

    #[test]
    fn skin_strong_colours_and_edges_draw_the_eye() {
        for colour in [[224, 172, 140], [96, 60, 42], [250, 20, 20]] {
            let face = picture(30, 90, |_, y| {
                if (5..25).contains(&y) {
                    colour
                } else {
                    [120; 3]
                }
            });
            let (_, start) = best_start(&face, Crop::Attention, (1.0, 1.0 / 3.0));
            assert!(start < 0.06, "{colour:?}: {start}");
        }
        let text = picture(90, 30, |x, y| {
            let ink = (20..40).contains(&x) && (x / 2 + y / 2) % 2 == 0;
            [if ink { 0 } else { 255 }; 3]
        });
        let (start, _) = best_start(&text, Crop::Attention, (1.0 / 3.0, 1.0));
        assert!((0.1..=0.25).contains(&start), "{start}");
    }

    #[test]
    fn where_all_is_the_same_the_middle_is_kept() {
        let flat = picture(90, 30, |_, _| [90; 3]);
        for crop in [Crop::Centre, Crop::Entropy, Crop::Attention] {
            let (start, _) = best_start(&flat, crop, (1.0 / 3.0, 1.0));
            assert!((start - 1.0 / 3.0).abs() < 0.02, "{crop:?}: {start}");
        }
    }
}
