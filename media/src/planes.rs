//! A picture as planes: luma, and chroma of fewer samples, as a JPEG holds it.
//!
//! Samples of a plane are evenly spread over the picture, those of chroma in the middle of the luma
//! that they colour (as JFIF says). A plane may span the picture by a fraction of a sample: half of
//! 101 is 50.5.

use std::borrow::Cow;

use crate::raster::turned;

/// Luma, and chroma unless it is grey; full range, by the matrix of BT.601 (as JFIF says).
#[derive(Clone)]
pub(crate) struct Planes {
    /// Width of the picture: of the luma, unless that is subsampled.
    pub(crate) width: u32,
    /// Height of the picture.
    pub(crate) height: u32,
    pub(crate) luma: Plane,
    /// Blue and red.
    pub(crate) chroma: Option<[Plane; 2]>,
}

/// One channel.
#[derive(Clone)]
pub(crate) struct Plane {
    samples: Vec<u8>,
    stride: usize,
    rows: usize,
    /// Samples that the picture spans, from the left; what follows repeats the last.
    across: f64,
    /// Samples that the picture spans, from the top; what follows repeats the last.
    down: f64,
}

impl Planes {
    /// A picture that was decoded: its full size is said, its luma may be scaled down.
    pub(crate) fn of(full: (u32, u32), luma: Plane, chroma: Option<[Plane; 2]>) -> Self {
        let scaled = |full: u32, extent: f64| full.min((extent.ceil() as u32).max(1));
        Self {
            width: scaled(full.0, luma.across),
            height: scaled(full.1, luma.down),
            luma,
            chroma,
        }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Turns a picture as stored into the picture as seen.
    pub(crate) fn upright(mut self, orientation: u8) -> Self {
        if orientation <= 1 {
            return self;
        }
        self.luma = self.luma.turned(orientation);
        self.chroma = self
            .chroma
            .map(|planes| planes.map(|plane| plane.turned(orientation)));
        if orientation >= 5 {
            (self.width, self.height) = (self.height, self.width);
        }
        self
    }
}

impl Plane {
    /// An empty plane of so many samples and rows, of which the picture spans a part.
    pub(crate) fn within((stride, rows): (usize, usize), (across, down): (f64, f64)) -> Self {
        Self {
            samples: vec![0; stride * rows],
            stride,
            rows,
            across,
            down,
        }
    }

    pub(crate) fn samples(&self) -> &[u8] {
        &self.samples
    }

    pub(crate) fn into_samples(self) -> Vec<u8> {
        self.samples
    }

    pub(crate) fn samples_mut(&mut self) -> &mut [u8] {
        &mut self.samples
    }

    /// Samples of a row, those beyond the picture included.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Rows, those beyond the picture included.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Samples that the picture spans across and down.
    pub(crate) fn extent(&self) -> (f64, f64) {
        (self.across, self.down)
    }

    /// Samples and rows that show any of the picture.
    fn visible(&self) -> (usize, usize) {
        (
            (self.across.ceil() as usize).clamp(1, self.stride),
            (self.down.ceil() as usize).clamp(1, self.rows),
        )
    }

    /// Stores a block whose first sample is at `at`.
    #[inline]
    pub(crate) fn store<const SIDE: usize>(&mut self, at: usize, block: [[u8; SIDE]; SIDE]) {
        // The rows of the block are cut out together, so that one check covers all of them.
        let end = at + (SIDE - 1) * self.stride + SIDE;
        let rows = &mut self.samples[at..end];
        for (row, samples) in rows.chunks_mut(self.stride).zip(block) {
            row[..SIDE].copy_from_slice(&samples);
        }
    }

    /// Fills what lies beyond the picture with its edges: writers leave anything there, and a
    /// filter would mix it into the picture.
    pub(crate) fn repeat_edges(&mut self) {
        let (visible, rows) = self.visible();
        for row in self.samples.chunks_exact_mut(self.stride).take(rows) {
            let edge = row[visible - 1];
            row[visible..].fill(edge);
        }
        let last = (rows - 1) * self.stride..rows * self.stride;
        for row in rows..self.rows {
            self.samples.copy_within(last.clone(), row * self.stride);
        }
    }

    /// The same plane with at least so many samples and rows, edges repeated.
    pub(crate) fn extended(&self, stride: usize, rows: usize) -> Self {
        let mut wider = Self::within(
            (stride.max(self.stride), rows.max(self.rows)),
            self.extent(),
        );
        let rows = wider.samples.chunks_exact_mut(wider.stride);
        for (to, from) in rows.zip(self.samples.chunks_exact(self.stride)) {
            to[..self.stride].copy_from_slice(from);
        }
        wider.repeat_edges();
        wider
    }

    /// The samples that show the picture, row after row.
    pub(crate) fn tight(&self) -> Cow<'_, [u8]> {
        let (visible, rows) = self.visible();
        if visible == self.stride {
            return Cow::Borrowed(&self.samples[..visible * rows]);
        }
        let rows = self.samples.chunks_exact(self.stride).take(rows);
        Cow::Owned(rows.flat_map(|row| &row[..visible]).copied().collect())
    }

    fn turned(self, orientation: u8) -> Self {
        let size = self.visible();
        let samples = turned::<1>(&self.tight(), size, orientation);
        let mut plane = Self {
            samples,
            stride: size.0,
            rows: size.1,
            ..self
        };
        if orientation >= 5 {
            (plane.stride, plane.rows) = (plane.rows, plane.stride);
            (plane.across, plane.down) = (plane.down, plane.across);
        }
        // Planes span their fraction of a sample from the left and from the top. Where that was
        // the other side before, each sample moves by the half that is missing.
        if matches!(orientation, 2 | 3 | 6 | 7) && plane.across.fract() > 0.0 {
            for row in plane.samples.chunks_exact_mut(plane.stride) {
                for x in 1..row.len() {
                    row[x - 1] = row[x - 1].midpoint(row[x]);
                }
            }
        }
        if matches!(orientation, 3 | 4 | 7 | 8) && plane.down.fract() > 0.0 {
            for at in plane.stride..plane.samples.len() {
                let above = at - plane.stride;
                plane.samples[above] = plane.samples[above].midpoint(plane.samples[at]);
            }
        }
        plane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chroma of a picture, by its value at each place of the picture.
    fn ramp(picture: (f64, f64), value: impl Fn(f64, f64) -> f64) -> Plane {
        let extent = (picture.0 / 2.0, picture.1 / 2.0);
        let size = (extent.0.ceil() as usize, extent.1.ceil() as usize);
        let mut plane = Plane::within(size, extent);
        for (at, sample) in plane.samples.iter_mut().enumerate() {
            let (x, y) = (at % size.0, at / size.0);
            // The middle of a sample of chroma is between two of luma.
            *sample = value(2.0 * x as f64 + 1.0, 2.0 * y as f64 + 1.0).round() as u8;
        }
        plane
    }

    #[test]
    fn a_turned_plane_shows_each_colour_where_it_is_in_the_turned_picture() {
        let (width, height) = (15.0, 11.0);
        let value = |x: f64, y: f64| 12.0 * x + 5.0 * y;
        for orientation in 2..=8 {
            let made = ramp((width, height), value).turned(orientation);
            let expected = match orientation {
                2 => ramp((width, height), |x, y| value(width - x, y)),
                3 => ramp((width, height), |x, y| value(width - x, height - y)),
                4 => ramp((width, height), |x, y| value(x, height - y)),
                5 => ramp((height, width), |x, y| value(y, x)),
                6 => ramp((height, width), |x, y| value(y, height - x)),
                7 => ramp((height, width), |x, y| value(width - y, height - x)),
                _ => ramp((height, width), |x, y| value(width - y, x)),
            };
            assert_eq!(made.extent(), expected.extent());
            assert_eq!((made.stride, made.rows), (expected.stride, expected.rows));
            // The last row and column have no neighbour to be between.
            for y in 0..made.rows - 1 {
                for x in 0..made.stride - 1 {
                    let at = y * made.stride + x;
                    let (made, expected) = (made.samples[at], expected.samples[at]);
                    assert!(
                        made.abs_diff(expected) <= 1,
                        "orientation {orientation} at {x}, {y}: {made} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn edges_are_repeated_beyond_the_picture() {
        let mut plane = Plane::within((4, 3), (1.5, 2.0));
        plane.samples = vec![1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9, 9];
        plane.repeat_edges();
        assert_eq!(plane.samples, [1, 2, 2, 2, 3, 4, 4, 4, 3, 4, 4, 4]);
        assert_eq!(*plane.tight(), [1, 2, 3, 4]);
        let wider = plane.extended(5, 2);
        assert_eq!((wider.stride(), wider.rows()), (5, 3));
        assert_eq!(wider.samples()[..5], [1, 2, 2, 2, 2]);
    }
}
