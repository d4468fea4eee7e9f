//! Pixels in memory, and the loops over them.
//!
//! Transparent pictures are held with alpha multiplied in: a filter that mixed the colour of an
//! invisible pixel into its neighbours would leave dark or bright fringes.

use image::ColorType;

/// A decoded picture, 8 bits a channel.
#[derive(Clone)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) layout: Layout,
    pub(crate) samples: Vec<u8>,
}

/// What the samples of one pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Red, green, blue.
    Rgb,
    /// Red, green and blue, each multiplied by alpha, and alpha.
    Rgba,
    /// Amounts of cyan, magenta, yellow and black ink, before they are converted to light.
    Cmyk,
}

impl Raster {
    /// Takes what a decoder produced. Alpha that hides nothing is dropped: every later step is
    /// cheaper without.
    pub(crate) fn new(width: u32, height: u32, colour: ColorType, mut samples: Vec<u8>) -> Self {
        let channels = colour.channel_count();
        if colour.bytes_per_pixel() > channels {
            narrow(&mut samples);
        }
        let samples = match channels {
            1 => spread(&samples, |&[grey]: &[u8; 1]| [grey; 3]),
            2 => spread(&samples, |&[grey, alpha]| [grey, grey, grey, alpha]),
            _ => samples,
        };
        let mut raster = Self {
            width,
            height,
            layout: Layout::Rgb,
            samples,
        };
        if colour.has_alpha() {
            raster.layout = Layout::Rgba;
            if opaque(&raster.samples) {
                raster = raster.without_alpha();
            } else {
                multiply_alpha(&mut raster.samples);
            }
        }
        assert_eq!(
            raster.samples.len(),
            width as usize * height as usize * raster.layout.channels(),
            "a decoder fills the buffer it asked for"
        );
        raster
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The picture without an alpha that hides nothing.
    pub(crate) fn without_alpha(mut self) -> Self {
        if self.layout == Layout::Rgba {
            drop_alpha(&mut self.samples);
            self.layout = Layout::Rgb;
        }
        self
    }

    /// Turns a picture as stored into the picture as seen.
    pub(crate) fn upright(self, orientation: u8) -> Self {
        if orientation <= 1 {
            return self;
        }
        let size = (self.width as usize, self.height as usize);
        let samples = match self.layout {
            Layout::Rgb => turned::<3>(&self.samples, size, orientation),
            Layout::Rgba | Layout::Cmyk => turned::<4>(&self.samples, size, orientation),
        };
        let (width, height) = if orientation >= 5 {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        Self {
            width,
            height,
            samples,
            ..self
        }
    }

    /// A rectangle of the picture, of this size and with this upper left corner.
    pub(crate) fn part(&self, (x, y): (u32, u32), (width, height): (u32, u32)) -> Self {
        let channels = self.layout.channels();
        let row_len = self.width as usize * channels;
        let columns = x as usize * channels..(x + width) as usize * channels;
        let rows = self.samples.chunks_exact(row_len);
        let samples = rows
            .skip(y as usize)
            .take(height as usize)
            .flat_map(|row| &row[columns.clone()])
            .copied()
            .collect();
        Self {
            width,
            height,
            layout: self.layout,
            samples,
        }
    }

    /// The picture in front of a background: red, green, blue.
    pub(crate) fn flattened(&self, background: [u8; 3]) -> Vec<u8> {
        spread(&self.samples, |&[r, g, b, alpha]| {
            let over = |sample: u8, behind: u8| sample.saturating_add(scaled(behind, 255 - alpha));
            [
                over(r, background[0]),
                over(g, background[1]),
                over(b, background[2]),
            ]
        })
    }

    /// Red, green, blue and alpha, alpha no longer multiplied in.
    pub(crate) fn straight(&self) -> Vec<u8> {
        spread(&self.samples, |&[r, g, b, alpha]| {
            let unscaled = |sample| divided(sample, alpha);
            [unscaled(r), unscaled(g), unscaled(b), alpha]
        })
    }

    /// The picture with its red, green and blue changed, alpha not multiplied in meanwhile.
    pub(crate) fn recoloured(mut self, change: impl FnOnce(&mut [u8])) -> Self {
        if self.layout == Layout::Rgb {
            change(&mut self.samples);
            return self;
        }
        let straight = self.straight();
        let mut rgb = spread(&straight, |&[r, g, b, _]| [r, g, b]);
        change(&mut rgb);
        let pixels = self.samples.as_chunks_mut::<4>().0.iter_mut();
        for (pixel, light) in pixels.zip(rgb.as_chunks::<3>().0) {
            let alpha = pixel[3];
            let [r, g, b] = light.map(|sample| scaled(sample, alpha));
            *pixel = [r, g, b, alpha];
        }
        self
    }

    /// The picture as light, which `convert` makes of its inks.
    pub(crate) fn without_inks(self, convert: impl FnOnce(&[u8], &mut [u8])) -> Self {
        let mut rgb = vec![0; self.samples.len() / Layout::Cmyk.channels() * 3];
        convert(&self.samples, &mut rgb);
        Self {
            layout: Layout::Rgb,
            samples: rgb,
            ..self
        }
    }

    /// Red, green, blue and alpha, alpha not multiplied in.
    pub(crate) fn rgba(&self) -> Vec<u8> {
        match self.layout {
            Layout::Rgb => spread(&self.samples, |&[r, g, b]| [r, g, b, u8::MAX]),
            Layout::Rgba | Layout::Cmyk => self.straight(),
        }
    }

    /// The mean colour as light adds up, not as bytes do; white if nothing is visible.
    pub(crate) fn mean_colour(&self) -> [u8; 3] {
        let mut sums = [0.0; 3];
        let mut weights = 0.0;
        for pixel in self.samples.chunks_exact(self.layout.channels()) {
            let alpha = pixel.get(3).copied().unwrap_or(u8::MAX);
            let weight = f64::from(alpha) / 255.0;
            weights += weight;
            for (sum, sample) in sums.iter_mut().zip(pixel) {
                *sum += weight * to_linear(divided(*sample, alpha));
            }
        }
        if weights == 0.0 {
            [u8::MAX; 3]
        } else {
            sums.map(|sum| from_linear(sum / weights))
        }
    }
}

impl Layout {
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// Tells whether all pixels are one colour, give or take what a lossy encoder adds.
pub(crate) fn blank(rgba: &[u8]) -> bool {
    const NOISE: u8 = 8;
    let (mut low, mut high) = ([u8::MAX; 4], [u8::MIN; 4]);
    for pixel in rgba.as_chunks::<4>().0 {
        // The colour of an invisible pixel is nobody's business.
        let pixel = if pixel[3] == 0 { &[0; 4] } else { pixel };
        for channel in 0..4 {
            low[channel] = low[channel].min(pixel[channel]);
            high[channel] = high[channel].max(pixel[channel]);
        }
        if (0..4).any(|channel| high[channel] - low[channel] > NOISE) {
            return false;
        }
    }
    true
}

/// 16 bits to 8, in place: the buffer is the largest allocation of the whole render.
fn narrow(samples: &mut Vec<u8>) {
    let half = samples.len() / 2;
    for i in 0..half {
        let wide = u32::from(u16::from_ne_bytes([samples[2 * i], samples[2 * i + 1]]));
        samples[i] = ((wide * 255 + 32_767) / 65_535) as u8;
    }
    samples.truncate(half);
}

fn spread<const FROM: usize, const TO: usize>(
    samples: &[u8],
    pixel: impl Fn(&[u8; FROM]) -> [u8; TO],
) -> Vec<u8> {
    let pixels = samples.as_chunks::<FROM>().0;
    let mut wider = vec![0; pixels.len() * TO];
    for (to, from) in wider.as_chunks_mut::<TO>().0.iter_mut().zip(pixels) {
        *to = pixel(from);
    }
    wider
}

pub(crate) fn opaque(rgba: &[u8]) -> bool {
    rgba.as_chunks::<4>()
        .0
        .iter()
        .all(|pixel| pixel[3] == u8::MAX)
}

fn drop_alpha(rgba: &mut Vec<u8>) {
    let pixels = rgba.len() / 4;
    for i in 0..pixels {
        rgba.copy_within(4 * i..4 * i + 3, 3 * i);
    }
    rgba.truncate(3 * pixels);
}

pub(crate) fn multiply_alpha(rgba: &mut [u8]) {
    for [r, g, b, alpha] in rgba.as_chunks_mut::<4>().0 {
        for sample in [r, g, b] {
            *sample = scaled(*sample, *alpha);
        }
    }
}

pub(crate) fn scaled(sample: u8, alpha: u8) -> u8 {
    ((u16::from(sample) * u16::from(alpha) + 127) / 255) as u8
}

/// The inverse of [`scaled`]. Ringing of the filter may leave a sample above its alpha.
pub(crate) fn divided(sample: u8, alpha: u8) -> u8 {
    match alpha {
        0 => 0,
        u8::MAX => sample,
        _ => {
            let alpha = u16::from(alpha);
            ((u16::from(sample) * 255 + alpha / 2) / alpha).min(255) as u8
        }
    }
}

/// Every orientation is a walk over the source with one step for a column and one for a row.
pub(crate) fn turned<const CHANNELS: usize>(
    samples: &[u8],
    (width, height): (usize, usize),
    orientation: u8,
) -> Vec<u8> {
    let (width, height) = (width as isize, height as isize);
    let last = width * height - 1;
    let (start, column, row) = match orientation {
        2 => (width - 1, -1, width),
        3 => (last, -1, -width),
        4 => (last + 1 - width, 1, -width),
        5 => (0, width, 1),
        6 => (last + 1 - width, -width, 1),
        7 => (last, -width, -1),
        8 => (width - 1, width, -1),
        _ => (0, 1, width),
    };
    let (columns, rows) = if orientation >= 5 {
        (height, width)
    } else {
        (width, height)
    };
    let source = samples.as_chunks::<CHANNELS>().0;
    let mut turned = vec![0; samples.len()];
    let mut pixels = turned.as_chunks_mut::<CHANNELS>().0.iter_mut();
    for y in 0..rows {
        let mut at = start + y * row;
        for pixel in pixels.by_ref().take(columns as usize) {
            *pixel = source[at as usize];
            at += column;
        }
    }
    turned
}

/// The transfer function of sRGB.
pub(crate) fn to_linear(sample: u8) -> f64 {
    let value = f64::from(sample) / 255.0;
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

pub(crate) fn from_linear(light: f64) -> u8 {
    let value = if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_round_to_the_nearest_eight() {
        let mut samples = [0u16, 128, 129, 32_768, 65_535]
            .map(u16::to_ne_bytes)
            .concat();
        narrow(&mut samples);
        assert_eq!(samples, [0, 0, 1, 128, 255]);
    }

    #[test]
    fn alpha_that_hides_nothing_is_dropped() {
        let raster = Raster::new(2, 1, ColorType::Rgba8, vec![1, 2, 3, 255, 4, 5, 6, 255]);
        assert_eq!(raster.layout, Layout::Rgb);
        assert_eq!(raster.samples, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn an_invisible_pixel_is_the_background() {
        let raster = Raster::new(2, 1, ColorType::Rgba8, vec![200, 9, 9, 0, 255, 0, 0, 128]);
        assert_eq!(raster.flattened([10, 20, 30]), [10, 20, 30, 133, 10, 15]);
        assert_eq!(raster.straight()[4..], [255, 0, 0, 128]);
    }

    #[test]
    fn the_mean_colour_is_the_mean_of_light() {
        let raster = Raster::new(2, 1, ColorType::L8, vec![0, 255]);
        assert_eq!(raster.mean_colour(), [188; 3]);
        let raster = Raster::new(2, 1, ColorType::La8, vec![0, 255, 90, 0]);
        assert_eq!(raster.mean_colour(), [0; 3]);
    }

    #[test]
    fn a_frame_of_one_colour_is_blank() {
        assert!(blank(&[[7, 7, 7, 255], [9, 8, 7, 255]].concat()));
        assert!(blank(&[[7, 7, 7, 0], [200, 8, 7, 0]].concat()));
        assert!(!blank(&[[7, 7, 7, 255], [200, 8, 7, 255]].concat()));
    }
}
