//! What to show until a thumbnail is there.

use crate::raster::Raster;

/// The longest side of the picture that placeholders are made of. A `ThumbHash` keeps seven waves
/// along that side, so more pixels would change nothing but the cost.
pub(crate) const LONGEST_SIDE: u32 = 32;

/// A blurred picture of about 25 bytes, transparent where the picture is, in the format of
/// <https://evanw.github.io/thumbhash/>.
pub(crate) fn thumb_hash(small: &Raster) -> Vec<u8> {
    let (width, height) = small.size();
    thumbhash::rgba_to_thumb_hash(width as usize, height as usize, &small.rgba())
}

/// The blurred picture that a hash stands for, in so many columns and rows of one colour each, from the top; none if it is no
/// hash.
pub fn blurred(hash: &[u8], columns: usize, rows: usize) -> Option<Vec<[u8; 3]>> {
    let (width, height, rgba) = thumbhash::thumb_hash_to_rgba(hash).ok()?;
    let colour = |place: usize| {
        let (column, row) = (place % columns, place / columns);
        // The middle of each field stands for it: neighbours hardly differ.
        let x = (2 * column + 1) * width / (2 * columns);
        let y = (2 * row + 1) * height / (2 * rows);
        let at = 4 * (y * width + x);
        [rgba[at], rgba[at + 1], rgba[at + 2]]
    };
    Some((0..columns * rows).map(colour).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Layout;

    #[test]
    fn a_hash_shows_colours_where_they_are() {
        let samples = (0..32 * 16)
            .flat_map(|at| {
                if at % 32 < 16 {
                    [220, 30, 30]
                } else {
                    [30, 30, 220]
                }
            })
            .collect();
        let small = Raster {
            width: 32,
            height: 16,
            layout: Layout::Rgb,
            samples,
        };
        let hash = thumb_hash(&small);
        assert!(hash.len() <= 25, "{} bytes", hash.len());
        let fields = blurred(&hash, 2, 1).expect("a hash");
        assert!(
            fields[0][0] > fields[0][2] && fields[1][2] > fields[1][0],
            "{fields:?}"
        );
        assert_eq!(blurred(&hash[..3], 2, 1), None);
        let (width, height, rgba) = thumbhash::thumb_hash_to_rgba(&hash).unwrap();
        assert!(width > height);
        let pixel = |x: usize| &rgba[4 * (height / 2 * width + x)..][..3];
        let (left, right) = (pixel(width / 8), pixel(width * 7 / 8));
        assert!(left[0] > 150 && left[2] < 100, "{left:?}");
        assert!(right[2] > 150 && right[0] < 100, "{right:?}");
    }
}
