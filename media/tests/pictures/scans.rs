//! JPEG files whose scans are chosen: encoders at hand write none that refine others.

use std::f32::consts::PI;

use image::RgbImage;

#[path = "scans/tokens.rs"]
mod tokens;

use tokens::{Tokens, segment};

/// One scan.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    /// Which components: 0 is luma, 1 and 2 are chroma.
    pub(crate) components: &'static [usize],
    /// The first and the last coefficient, in the order of the file.
    pub(crate) band: (usize, usize),
    /// How many of their lowest bits scans before have left, 0 if there was none.
    pub(crate) high: u8,
    /// How many of their lowest bits it leaves.
    pub(crate) low: u8,
}

const fn scan(components: &'static [usize], band: (usize, usize), high: u8, low: u8) -> Scan {
    Scan {
        components,
        band,
        high,
        low,
    }
}

/// Baseline.
pub(crate) const SEQUENTIAL: &[Scan] = &[scan(&[0, 1, 2], (0, 63), 0, 0)];

/// What libjpeg writes when it is asked for a progressive file and told nothing else.
pub(crate) const USUAL: &[Scan] = &[
    scan(&[0, 1, 2], (0, 0), 0, 1),
    scan(&[0], (1, 5), 0, 2),
    scan(&[2], (1, 63), 0, 1),
    scan(&[1], (1, 63), 0, 1),
    scan(&[0], (6, 63), 0, 2),
    scan(&[0], (1, 63), 2, 1),
    scan(&[0, 1, 2], (0, 0), 1, 0),
    scan(&[2], (1, 63), 1, 0),
    scan(&[1], (1, 63), 1, 0),
    scan(&[0], (1, 63), 1, 0),
];

/// Bands whose bounds are none of a scaled block's, each refined several times and in parts, and
/// fine detail that comes before coarse.
pub(crate) const UNUSUAL: &[Scan] = &[
    scan(&[0], (40, 63), 0, 1),
    scan(&[1], (0, 0), 0, 3),
    scan(&[0], (7, 39), 0, 3),
    scan(&[0, 2], (0, 0), 0, 2),
    scan(&[0], (1, 6), 0, 0),
    scan(&[2], (1, 63), 0, 0),
    scan(&[0], (7, 20), 3, 2),
    scan(&[0], (21, 39), 3, 2),
    scan(&[1], (1, 1), 0, 0),
    scan(&[1], (2, 63), 0, 2),
    scan(&[0], (7, 39), 2, 1),
    scan(&[0], (7, 63), 1, 0),
    scan(&[0, 2], (0, 0), 2, 1),
    scan(&[0], (0, 0), 1, 0),
    scan(&[1], (0, 0), 3, 2),
    scan(&[1], (0, 0), 2, 1),
    scan(&[1, 2], (0, 0), 1, 0),
    scan(&[1], (2, 63), 2, 1),
    scan(&[1], (2, 63), 1, 0),
];

/// A picture as the coefficients that a file holds.
pub(crate) struct Quantised {
    size: (usize, usize),
    steps: [u8; 64],
    components: Vec<Component>,
}

struct Component {
    /// Blocks of a unit across and down.
    factors: (usize, usize),
    /// Blocks that show any of the picture, across and down.
    shown: (usize, usize),
    /// Blocks of a row, those beyond the picture included.
    across: usize,
    /// Coefficients in the order of the file.
    blocks: Vec<[i32; 64]>,
}

/// Places of a block in the order of the file: along its diagonals, up and down in turn.
fn zigzag() -> [(usize, usize); 64] {
    let mut places: Vec<_> = (0..64).map(|at| (at / 8, at % 8)).collect();
    places.sort_by_key(|&(row, column)| {
        let diagonal = row + column;
        (diagonal, if diagonal % 2 == 0 { column } else { row })
    });
    std::array::from_fn(|index| places[index])
}

impl Quantised {
    /// Luma has so many blocks across and down for one of chroma; `step` is that of the mean, those of
    /// finer detail are larger.
    pub(crate) fn new(picture: &RgbImage, factors: (usize, usize), step: u8) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let steps =
            zigzag().map(|(row, column)| step + (usize::from(step) * (row + column) / 6) as u8);
        let units = (
            width.div_ceil(8 * factors.0),
            height.div_ceil(8 * factors.1),
        );
        let matrix = [
            ([0.299, 0.587, 0.114], 0.0),
            ([-0.168_736, -0.331_264, 0.5], 128.0),
            ([0.5, -0.418_688, -0.081_312], 128.0),
        ];
        let components = (0..3).map(|index| {
            let (by, middle) = matrix[index];
            let own = if index == 0 { factors } else { (1, 1) };
            let (x_step, y_step) = (factors.0 / own.0, factors.1 / own.1);
            let sample = |x: usize, y: usize| {
                let mut sum = 0.0;
                for at in 0..x_step * y_step {
                    let x = (x * x_step + at % x_step).min(width - 1);
                    let y = (y * y_step + at / x_step).min(height - 1);
                    let pixel = picture.get_pixel(x as u32, y as u32).0;
                    sum += pixel
                        .iter()
                        .zip(by)
                        .map(|(p, by)| f32::from(*p) * by)
                        .sum::<f32>();
                }
                sum / (x_step * y_step) as f32 + middle - 128.0
            };
            let across = units.0 * own.0;
            let block = |at: usize| {
                let (left, top) = (at % across * 8, at / across * 8);
                transformed(|x, y| sample(left + x, top + y), &steps)
            };
            Component {
                factors: own,
                shown: (
                    width.div_ceil(x_step).div_ceil(8),
                    height.div_ceil(y_step).div_ceil(8),
                ),
                across,
                blocks: (0..across * units.1 * own.1).map(block).collect(),
            }
        });
        Self {
            size: (width, height),
            steps,
            components: components.collect(),
        }
    }

    /// The luma alone.
    pub(crate) fn grey(mut self) -> Self {
        self.components.truncate(1);
        // The factors of a single component mean nothing.
        self.components[0].factors = (1, 1);
        self
    }

    /// The file; scans of components that it lacks are left out.
    pub(crate) fn file(&self, scans: &[Scan], restart_interval: usize) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        segment(&mut file, 0xdb, &[&[0][..], &self.steps].concat());
        let [height, width] = [self.size.1, self.size.0].map(|side| (side as u16).to_be_bytes());
        let mut frame = [&[8][..], &height, &width, &[self.components.len() as u8]].concat();
        for (index, component) in self.components.iter().enumerate() {
            let (across, down) = component.factors;
            frame.extend([index as u8 + 1, (across << 4 | down) as u8, 0]);
        }
        let sequential = scans.iter().any(|scan| scan.band == (0, 63));
        segment(&mut file, if sequential { 0xc0 } else { 0xc2 }, &frame);
        segment(&mut file, 0xdd, &(restart_interval as u16).to_be_bytes());
        for scan in scans {
            let components: Vec<_> = scan
                .components
                .iter()
                .copied()
                .filter(|index| *index < self.components.len())
                .collect();
            if !components.is_empty() {
                self.write_scan(&mut file, scan, &components, restart_interval);
            }
        }
        file.extend([0xff, 0xd9]);
        file
    }

    fn write_scan(&self, file: &mut Vec<u8>, scan: &Scan, components: &[usize], interval: usize) {
        let mut tokens = Tokens::default();
        for (at, unit) in self.units(components).into_iter().enumerate() {
            if interval > 0 && at > 0 && at % interval == 0 {
                tokens.restart();
            }
            for (component, block) in unit {
                tokens.block(component, &self.components[component].blocks[block], scan);
            }
        }
        tokens.end_run();
        let mut header = vec![components.len() as u8];
        header.extend(components.iter().flat_map(|index| [*index as u8 + 1, 0]));
        header.extend([
            scan.band.0 as u8,
            scan.band.1 as u8,
            scan.high << 4 | scan.low,
        ]);
        tokens.write(file, &header);
    }

    /// The blocks of each unit of a scan: component and number.
    fn units(&self, components: &[usize]) -> Vec<Vec<(usize, usize)>> {
        if let [index] = *components {
            let Component { shown, across, .. } = self.components[index];
            let places = (0..shown.1).flat_map(|y| (0..shown.0).map(move |x| y * across + x));
            return places.map(|at| vec![(index, at)]).collect();
        }
        let first = &self.components[components[0]];
        let across = first.across / first.factors.0;
        let down = first.blocks.len() / first.across / first.factors.1;
        let unit = |at: usize| {
            let blocks = components.iter().flat_map(|&index| {
                let Component {
                    factors,
                    across: row,
                    ..
                } = self.components[index];
                let (x, y) = (at % across * factors.0, at / across * factors.1);
                (0..factors.0 * factors.1).map(move |block| {
                    let (x, y) = (x + block % factors.0, y + block / factors.0);
                    (index, y * row + x)
                })
            });
            blocks.collect()
        };
        (0..across * down).map(unit).collect()
    }
}

/// The cosine transform of a block, quantised, in the order of the file.
fn transformed(sample: impl Fn(usize, usize) -> f32, steps: &[u8; 64]) -> [i32; 64] {
    let wave = |k: usize, n: usize| {
        let scale = if k == 0 { 0.125f32.sqrt() } else { 0.5 };
        scale * ((2 * n + 1) as f32 * k as f32 * PI / 16.0).cos()
    };
    let waves: [[f32; 8]; 8] = std::array::from_fn(|k| std::array::from_fn(|n| wave(k, n)));
    let dot =
        |line: [f32; 8], k: usize| -> f32 { line.iter().zip(waves[k]).map(|(s, w)| s * w).sum() };
    let rows: [[f32; 8]; 8] = std::array::from_fn(|y| {
        let line = std::array::from_fn(|x| sample(x, y));
        std::array::from_fn(|k| dot(line, k))
    });
    let order = zigzag();
    std::array::from_fn(|index| {
        let (row, column) = order[index];
        let level = dot(rows.map(|line| line[column]), row);
        (level / f32::from(steps[index])).round() as i32
    })
}
