//! The point of an upload that its thumbnails keep.

use std::str::FromStr;

use serde::Serialize;

/// The point of a picture, as seen, that a crop keeps as near to its middle as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct FocalPoint {
    /// From the left edge, in thousandths of the width.
    pub(super) x: u16,
    /// From the upper edge, in thousandths of the height.
    pub(super) y: u16,
}

impl FocalPoint {
    const WHOLE: f64 = 1_000.0;

    /// A point `x` of the width from the left and `y` of the height from above, both 0 to 1.
    pub fn new(x: f64, y: f64) -> Result<Self, FocalPointError> {
        let inside = 0.0..=1.0;
        if !inside.contains(&x) || !inside.contains(&y) {
            return Err(FocalPointError);
        }
        let thousandths = |share: f64| (share * Self::WHOLE).round() as u16;
        Ok(Self {
            x: thousandths(x),
            y: thousandths(y),
        })
    }

    /// Returns the point in pixels of a picture of this size.
    pub(crate) fn within(self, (width, height): (u32, u32)) -> (f64, f64) {
        let pixels = |share: u16, side: u32| f64::from(share) / Self::WHOLE * f64::from(side);
        (pixels(self.x, width), pixels(self.y, height))
    }
}

/// Two numbers from 0 to 1 with a comma between: `0.31,0.5`.
impl FromStr for FocalPoint {
    type Err = FocalPointError;

    fn from_str(text: &str) -> Result<Self, FocalPointError> {
        let number = |text: &str| text.trim().parse().map_err(|_| FocalPointError);
        let (x, y) = text.split_once(',').ok_or(FocalPointError)?;
        Self::new(number(x)?, number(y)?)
    }
}

/// A focal point outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a focal point is two numbers from 0 to 1 with a comma between, such as 0.31,0.5")]
pub struct FocalPointError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_focal_point_lies_in_the_picture() {
        assert_eq!("0.25, 1".parse(), FocalPoint::new(0.25, 1.0));
        for text in ["", "0.5", "0.5;0.5", "-0.1,0", "0,1.01", "NaN,0", "a,b"] {
            assert_eq!(text.parse::<FocalPoint>(), Err(FocalPointError), "{text}");
        }
        assert_eq!(
            FocalPoint::new(0.5, 0.25).unwrap().within((200, 100)),
            (100.0, 25.0)
        );
    }
}
