//! Planes in other colours, without making pixels of the whole picture: two rows at a time, which stay
//! in the first-level cache.
//!
//! Each pixel has the chroma of its place between the samples around it, and gives its new luma. New
//! chroma is that of the mean of its four pixels, so that none is mixed with its neighbours'.

use crate::planes::{Plane, Planes};

/// Bits after the point of the matrices.
const BITS: u32 = 16;
/// Bits after the point of a tint.
const TINT_BITS: u32 = 1;
/// Shares of a sample before, of the nearest and of the one after, a quarter of a sample before the
/// nearest: by the parabola through all three. Straight lines would lose a fifth of what changes
/// within four samples.
const SHARES: [i16; 3] = [5, 30, -3];
/// Bits of their sum.
const SHARE_BITS: u32 = 5;

/// Changes the colours of planes of 4:2:0; those of grey stay as they are. `change` makes of pixels
/// (red, green, blue, and a fourth that says nothing) as many new ones.
pub(crate) fn recoloured(mut planes: Planes, change: impl Fn(&[u8], &mut [u8])) -> Planes {
    let (width, height) = (planes.width as usize, planes.height as usize);
    let Some(chroma) = &mut planes.chroma else {
        return planes;
    };
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let mut strip = Strip::new(columns);
    let mut here = Tints::of(chroma, 0, columns);
    let mut above = here.clone();
    for row in 0..rows {
        let below = Tints::of(chroma, (row + 1).min(rows - 1), columns);
        // The last row of an odd height is its own neighbour.
        let lines = [2 * row, (2 * row + 1).min(height - 1)];
        strip.fill(&planes.luma, lines, width, [&above, &here, &below]);
        change(
            strip.pixels.as_flattened(),
            strip.changed.as_flattened_mut(),
        );
        let (light, tint) = strip.changed.split_at(4 * columns);
        for (y, pixels) in lines.into_iter().zip(light.chunks_exact(2 * columns)) {
            for (sample, pixel) in row_mut(&mut planes.luma, y)[..width].iter_mut().zip(pixels) {
                *sample = luma_of(*pixel);
            }
        }
        let [blue, red] = chroma.each_mut().map(|plane| row_mut(plane, row));
        for ((blue, red), pixel) in blue.iter_mut().zip(red).zip(tint) {
            [*blue, *red] = chroma_of(*pixel);
        }
        above = std::mem::replace(&mut here, below);
    }
    planes.luma.repeat_edges();
    for plane in chroma {
        plane.repeat_edges();
    }
    planes
}

fn row_mut(plane: &mut Plane, y: usize) -> &mut [u8] {
    let stride = plane.stride();
    &mut plane.samples_mut()[y * stride..][..stride]
}

/// What chroma adds to luma for red, green and blue, [`TINT_BITS`] after the point: of one row, with
/// the first and the last repeated.
#[derive(Clone)]
struct Tints([Vec<i16>; 3]);

impl Tints {
    fn of(chroma: &[Plane; 2], y: usize, columns: usize) -> Self {
        const SHIFT: u32 = BITS - TINT_BITS;
        let [blue, red] = chroma
            .each_ref()
            .map(|plane| &plane.samples()[y * plane.stride()..][..columns]);
        let tints = |by: [i32; 2]| {
            let of = |(blue, red): (&u8, &u8)| {
                let (blue, red) = (i32::from(*blue) - 128, i32::from(*red) - 128);
                ((by[0] * blue + by[1] * red + (1 << (SHIFT - 1))) >> SHIFT) as i16
            };
            let mut tints = vec![0; columns + 2];
            for (tint, pair) in tints[1..].iter_mut().zip(blue.iter().zip(red)) {
                *tint = of(pair);
            }
            (tints[0], tints[columns + 1]) = (tints[1], tints[columns]);
            tints
        };
        Self([
            tints([0, 91_881]),
            tints([-22_554, -46_802]),
            tints([116_130, 0]),
        ])
    }
}

/// Two rows of pixels and one of the means of each four of them, before and after their change.
struct Strip {
    pixels: Vec<[u8; 4]>,
    changed: Vec<[u8; 4]>,
    luma: Vec<u8>,
    lights: [Vec<u8>; 3],
    mixed: Vec<i16>,
}

impl Strip {
    fn new(columns: usize) -> Self {
        let lights = || vec![0; 2 * columns];
        Self {
            pixels: vec![[0; 4]; 5 * columns],
            changed: vec![[0; 4]; 5 * columns],
            luma: vec![0; 4 * columns],
            lights: [lights(), lights(), lights()],
            mixed: vec![0; columns + 2],
        }
    }

    /// Makes pixels of these two lines of luma and of the tints above, here and below.
    fn fill(&mut self, luma: &Plane, lines: [usize; 2], width: usize, tints: [&Tints; 3]) {
        let columns = self.mixed.len() - 2;
        let rows = self.luma.chunks_exact_mut(2 * columns);
        for (row, y) in rows.zip(lines) {
            row[..width].copy_from_slice(&luma.samples()[y * luma.stride()..][..width]);
            // The last column of an odd width is its own neighbour.
            let last = row[width - 1];
            row[width..].fill(last);
        }
        let (above, below) = self.luma.split_at(2 * columns);
        let (light, tint) = self.pixels.split_at_mut(4 * columns);
        let [first, here, last] = tints;
        let rows = light.chunks_exact_mut(2 * columns).zip([above, below]);
        for ((pixels, luma), [before, after]) in rows.zip([[first, last], [last, first]]) {
            for (channel, lights) in self.lights.iter_mut().enumerate() {
                let [before, nearest, after] = [before, here, after].map(|of| &of.0[channel]);
                let around = before.iter().zip(nearest).zip(after);
                for (mixed, ((before, nearest), after)) in self.mixed.iter_mut().zip(around) {
                    let sum = mix(*before, *nearest, *after);
                    *mixed = (sum + (1 << (SHARE_BITS - 1))) >> SHARE_BITS;
                }
                lit(lights, luma, &self.mixed);
            }
            packed(pixels, &self.lights);
        }
        let (above, below) = (above.as_chunks::<2>().0, below.as_chunks::<2>().0);
        for (lights, tints) in self.lights.iter_mut().zip(&here.0) {
            let fours = above.iter().zip(below).zip(&tints[1..]);
            for (light, (([a, b], [c, d]), tint)) in lights.iter_mut().zip(fours) {
                let four: i16 = [a, b, c, d].map(|luma| i16::from(*luma)).iter().sum();
                // The sum of four has two bits after the point.
                let sum = four + (tint << (2 - TINT_BITS));
                *light = ((sum + 2) >> 2).clamp(0, 255) as u8;
            }
        }
        packed(tint, &self.lights);
    }
}

/// What lies a quarter of a sample before the nearest of three, [`SHARE_BITS`] more after the point.
fn mix(before: i16, nearest: i16, after: i16) -> i16 {
    SHARES[0] * before + SHARES[1] * nearest + SHARES[2] * after
}

/// One light of a row of pixels, of which there are two for each tint.
fn lit(lights: &mut [u8], luma: &[u8], tints: &[i16]) {
    const BITS: u32 = TINT_BITS + SHARE_BITS;
    const HALF: i16 = 1 << (BITS - 1);
    let level = |luma: u8, tint: i16| {
        // What does not fit is beyond all light anyway.
        let light = ((i16::from(luma) << BITS) + HALF).saturating_add(tint);
        (light >> BITS).clamp(0, 255) as u8
    };
    let around = tints.iter().zip(&tints[1..]).zip(&tints[2..]);
    let pairs = lights.as_chunks_mut::<2>().0.iter_mut();
    for ((lights, luma), ((before, nearest), after)) in
        pairs.zip(luma.as_chunks::<2>().0).zip(around)
    {
        *lights = [
            level(luma[0], mix(*before, *nearest, *after)),
            level(luma[1], mix(*after, *nearest, *before)),
        ];
    }
}

fn packed(pixels: &mut [[u8; 4]], [red, green, blue]: &[Vec<u8>; 3]) {
    for (pixel, ((red, green), blue)) in pixels.iter_mut().zip(red.iter().zip(green).zip(blue)) {
        let packed = u32::from(*red) | u32::from(*green) << 8 | u32::from(*blue) << 16;
        *pixel = packed.to_le_bytes();
    }
}

/// Luma by the matrix that JFIF fixes.
fn luma_of(pixel: [u8; 4]) -> u8 {
    // By products of 16 bits, of which vectors do eight at a time.
    let part = |light: u8, by: u32| (((u32::from(light) << 8) * by) >> BITS) as u16;
    let [red, green, blue, _] = pixel;
    let sum = part(red, 19_595) + part(green, 38_470) + part(blue, 7_471);
    // The half that rounds, and the half of each part that was cut off.
    ((sum + 128 + 1) >> 8) as u8
}

/// Chroma, blue and red, by the matrix that JFIF fixes.
fn chroma_of(pixel: [u8; 4]) -> [u8; 2] {
    const MIDDLE: i32 = (128 << BITS) + (1 << (BITS - 1)) - 1;
    let [red, green, blue, _] = pixel.map(i32::from);
    let sample = |sum: i32| (sum >> BITS).clamp(0, 255) as u8;
    [
        sample(MIDDLE - 11_059 * red - 21_709 * green + 32_768 * blue),
        sample(MIDDLE + 32_768 * red - 27_439 * green - 5_329 * blue),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture;
    use crate::raster::{Layout, Raster};

    fn planes_of(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Planes {
        let pixels = (0..width * height).map(|at| pixel(at % width, at / width));
        let raster = Raster {
            width,
            height,
            layout: Layout::Rgb,
            samples: pixels.flatten().collect(),
        };
        picture::planes(&raster, [0; 3])
    }

    fn ramps(x: u32, y: u32) -> [u8; 3] {
        [
            (40 + 2 * x) as u8,
            (200 - 2 * y) as u8,
            (90 + x + y / 2) as u8,
        ]
    }

    /// The most that two planes are apart.
    fn apart(a: &Planes, b: &Planes) -> u8 {
        let samples = |planes: &Planes| {
            let chroma = planes.chroma.iter().flatten();
            let all: Vec<u8> = [&planes.luma]
                .into_iter()
                .chain(chroma)
                .flat_map(|plane| plane.tight().into_owned())
                .collect();
            all
        };
        let (a, b) = (samples(a), samples(b));
        assert_eq!(a.len(), b.len());
        a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    const SIZES: [(u32, u32); 6] = [(1, 1), (2, 2), (1, 5), (7, 5), (64, 47), (33, 48)];

    #[test]
    fn colours_that_do_not_change_stay() {
        for (width, height) in SIZES {
            let planes = planes_of(width, height, ramps);
            let same = recoloured(planes.clone(), |from, to| to.copy_from_slice(from));
            let most = apart(&same, &planes);
            assert!(most <= 1, "{width} by {height}: {most}");
        }
    }

    #[test]
    fn planes_are_recoloured_as_their_pixels_are() {
        let change = |[r, g, b]: [u8; 3]| [b, r / 2 + 60, 255 - g];
        for (width, height) in SIZES {
            let found = recoloured(planes_of(width, height, ramps), |from, to| {
                for (from, to) in from.as_chunks().0.iter().zip(to.as_chunks_mut().0) {
                    let [r, g, b, fourth] = *from;
                    let [r, g, b] = change([r, g, b]);
                    *to = [r, g, b, fourth];
                }
            });
            let expected = planes_of(width, height, |x, y| change(ramps(x, y)));
            let most = apart(&found, &expected);
            assert!(most <= 3, "{width} by {height}: {most}");
        }
    }

    #[test]
    fn what_lies_beyond_the_picture_repeats_its_edges() {
        let mut planes = planes_of(7, 5, ramps);
        planes.luma = planes.luma.extended(16, 8);
        planes.chroma = planes
            .chroma
            .map(|both| both.map(|plane| plane.extended(8, 4)));
        let changed = recoloured(planes, |from, to| to.copy_from_slice(from));
        for plane in [&changed.luma]
            .into_iter()
            .chain(changed.chroma.iter().flatten())
        {
            let mut repeated = plane.clone();
            repeated.repeat_edges();
            assert_eq!(plane.samples(), repeated.samples());
        }
    }

    #[test]
    fn grey_stays_grey() {
        let mut planes = planes_of(7, 5, ramps);
        planes.chroma = None;
        let same = recoloured(planes.clone(), |_, to| to.fill(0));
        assert_eq!(same.luma.samples(), planes.luma.samples());
    }

    #[test]
    fn luma_is_rounded_to_the_nearest() {
        for pixel in (0..=u8::MAX).flat_map(|r| {
            (0..=u8::MAX)
                .step_by(5)
                .flat_map(move |g| (0..=u8::MAX).step_by(3).map(move |b| [r, g, b]))
        }) {
            let [r, g, b] = pixel.map(f64::from);
            let exact = 0.299 * r + 0.587 * g + 0.114 * b;
            let found = luma_of([pixel[0], pixel[1], pixel[2], 0]);
            assert!(
                (exact - f64::from(found)).abs() < 0.51,
                "{pixel:?}: {found} for {exact}"
            );
        }
    }
}
