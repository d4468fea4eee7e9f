//! Which part of a picture a thumbnail shows, and at which scale.
//!
//! A picture is made as small as still covers the frame, so that one of its sides is the frame's,
//! and the other is cut. Where to cut is one number.

use crate::interest::best_start;
use crate::preset::{Crop, Fit, FocalPoint, Preset};
use crate::raster::Raster;
use crate::resize::fit;

/// Sizes on the way from a picture to a thumbnail, both as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What the whole picture is resized to.
    pub(crate) whole: (u32, u32),
    /// What is left after cutting.
    pub(crate) part: (u32, u32),
}

impl Frame {
    /// The sizes that a preset gives a picture of this size. Nothing is ever enlarged: a picture
    /// smaller than the frame fills a smaller frame of the same shape.
    pub(crate) fn of(preset: &Preset, picture: (u32, u32)) -> Self {
        if preset.fit == Fit::Inside {
            let whole = fit(picture, preset.longest_side);
            return Self { whole, part: whole };
        }
        let (width, height) = (f64::from(picture.0), f64::from(picture.1));
        let [across, down] = preset.aspect.map(f64::from);
        let wanted = f64::from(preset.longest_side) / across.max(down);
        let unit = wanted.min(width / across).min(height / down);
        let side = |length: f64| (length.round() as u32).max(1);
        let part = (side(across * unit), side(down * unit));
        let scale = (f64::from(part.0) / width).max(f64::from(part.1) / height);
        // Rounding may fall a pixel short of what it must cover.
        let whole = (
            side(width * scale).max(part.0).min(picture.0),
            side(height * scale).max(part.1).min(picture.1),
        );
        Self { whole, part }
    }

    /// How much is cut, to the right and below or to the left and above.
    fn excess(self) -> (u32, u32) {
        (self.whole.0 - self.part.0, self.whole.1 - self.part.1)
    }

    /// Whether anything is cut.
    pub(crate) fn cuts(self) -> bool {
        self.part != self.whole
    }

    /// Where the part around a point begins.
    pub(crate) fn around(self, focal_point: FocalPoint) -> (u32, u32) {
        let (x, y) = focal_point.within(self.whole);
        self.corner(
            x - f64::from(self.part.0) / 2.0,
            y - f64::from(self.part.1) / 2.0,
        )
    }

    /// Where the middle begins.
    pub(crate) fn centre(self) -> (u32, u32) {
        let (right, below) = self.excess();
        (right / 2, below / 2)
    }

    /// Where the best part begins, found on a small picture of the whole.
    pub(crate) fn best(self, small: &Raster, crop: Crop) -> (u32, u32) {
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
        let part = (
            share(self.part.0, self.whole.0),
            share(self.part.1, self.whole.1),
        );
        let (x, y) = best_start(small, crop, part);
        self.corner(x * f64::from(self.whole.0), y * f64::from(self.whole.1))
    }

    fn corner(self, x: f64, y: f64) -> (u32, u32) {
        let (right, below) = self.excess();
        let inside = |at: f64, most: u32| at.round().clamp(0.0, f64::from(most)) as u32;
        (inside(x, right), inside(y, below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::OutputFormat;

    fn frame(longest_side: u32, aspect: [u32; 2], picture: (u32, u32)) -> Frame {
        let mut preset = Preset::new("cover", longest_side, &[OutputFormat::Jpeg]);
        (preset.fit, preset.aspect) = (Fit::Fill, aspect);
        Frame::of(&preset, picture)
    }

    #[test]
    fn a_frame_is_filled_and_one_side_is_cut() {
        let square = frame(100, [1, 1], (400, 300));
        assert_eq!((square.whole, square.part), ((133, 100), (100, 100)));
        let wide = frame(1080, [16, 9], (3000, 4000));
        assert_eq!((wide.whole, wide.part), ((1080, 1440), (1080, 608)));
        let tall = frame(320, [9, 16], (4000, 3000));
        assert_eq!((tall.whole, tall.part), ((427, 320), (180, 320)));
    }

    #[test]
    fn a_small_picture_fills_a_smaller_frame_of_the_same_shape() {
        let square = frame(1080, [1, 1], (40, 30));
        assert_eq!((square.whole, square.part), ((40, 30), (30, 30)));
        let line = frame(64, [16, 9], (5_000, 1));
        assert_eq!((line.whole, line.part), ((5_000, 1), (2, 1)));
    }

    #[test]
    fn no_size_escapes_the_picture() {
        for picture in [
            (1, 1),
            (1, 7),
            (9, 2),
            (640, 481),
            (16_383, 3),
            (65_535, 65_535),
        ] {
            for aspect in [[1, 1], [16, 9], [1, 16_383], [16_383, 1]] {
                for longest_side in [1, 2, 63, 1080, 16_383] {
                    let Frame { whole, part } = frame(longest_side, aspect, picture);
                    assert!(part.0 >= 1 && part.1 >= 1);
                    assert!(part.0 <= whole.0 && part.1 <= whole.1);
                    assert!(whole.0 <= picture.0 && whole.1 <= picture.1);
                    assert!(part.0.max(part.1) <= longest_side);
                }
            }
        }
    }
}
