//! From what another program decoded, which comes as Netpbm, to pixels: tiles side by side, transparency beside colours.

use std::io::{BufRead, BufReader, Read};

use image::ColorType;

use super::shown::{Shown, Tiles, Window};
use crate::error::RenderError;
use crate::format::Format;
use crate::raster::{Layout, Raster};

/// A picture that was decoded elsewhere.
pub struct Pixels(pub(crate) Raster);

/// How what was decoded becomes one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    format: Format,
    window: Window,
    colour: Layer,
    alpha: Option<Layer>,
    /// Whether colours are multiplied by alpha.
    premultiplied: bool,
}

/// Tiles of one size, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    tile: (u32, u32),
    columns: u32,
    count: u32,
}

impl Assembly {
    pub(super) fn of(shown: &Shown<'_>) -> Self {
        Self {
            format: shown.codec.format(),
            window: shown.window,
            colour: Layer::of(&shown.colour),
            alpha: shown.alpha.as_ref().map(Layer::of),
            premultiplied: shown.premultiplied,
        }
    }

    /// The pixels, from what the layers were decoded to, one after the other: colours as PPM and alpha as PGM, with a picture
    /// for each tile.
    pub fn pixels(&self, decoded: impl Read) -> Result<Pixels, RenderError> {
        self.drawn(decoded).ok_or_else(|| RenderError::Corrupt {
            format: self.format,
            why: "it is not of the size that it says, or cut short".to_owned(),
        })
    }

    fn drawn(&self, decoded: impl Read) -> Option<Pixels> {
        let mut decoded = BufReader::new(decoded);
        let Window { width, height, .. } = self.window;
        let channels = if self.alpha.is_some() { 4 } else { 3 };
        let mut canvas = Canvas {
            window: self.window,
            channels,
            samples: vec![u8::MAX; width as usize * height as usize * channels],
        };
        canvas.draw(&self.colour, Netpbm::Ppm, &mut decoded)?;
        if let Some(alpha) = &self.alpha {
            canvas.draw(alpha, Netpbm::Pgm, &mut decoded)?;
        }
        let samples = canvas.samples;
        let raster = match channels {
            3 => Raster::new(width, height, ColorType::Rgb8, samples),
            _ if self.premultiplied => Raster {
                width,
                height,
                layout: Layout::Rgba,
                samples,
            },
            _ => Raster::new(width, height, ColorType::Rgba8, samples),
        };
        Some(Pixels(raster))
    }
}

impl Layer {
    fn of(tiles: &Tiles) -> Self {
        Self {
            tile: tiles.size,
            columns: tiles.columns,
            count: tiles.items.len() as u32,
        }
    }
}

/// What decoded tiles come as.
#[derive(Clone, Copy)]
enum Netpbm {
    /// Colours.
    Ppm,
    /// Shades of grey, which say how opaque a pixel is.
    Pgm,
}

struct Canvas {
    window: Window,
    channels: usize,
    samples: Vec<u8>,
}

impl Canvas {
    /// Draws tiles. What of them lies outside is left out.
    fn draw(&mut self, layer: &Layer, kind: Netpbm, from: &mut impl BufRead) -> Option<()> {
        let Window {
            left,
            top,
            width,
            height,
        } = self.window;
        let (first, own) = match kind {
            Netpbm::Ppm => (0, 3),
            Netpbm::Pgm => (3, 1),
        };
        let (tile_width, tile_height) = layer.tile;
        let mut row = vec![0; tile_width as usize * own];
        for tile in 0..layer.count {
            let x = tile % layer.columns * tile_width;
            let y = tile / layer.columns * tile_height;
            begin(from, kind, layer.tile)?;
            let (begins, ends) = (x.max(left), (x + tile_width).min(left + width));
            for y in y..y + tile_height {
                from.read_exact(&mut row).ok()?;
                if begins >= ends || !(top..top + height).contains(&y) {
                    continue;
                }
                let seen = &row[(begins - x) as usize * own..(ends - x) as usize * own];
                let start = (y - top) as usize * width as usize + (begins - left) as usize;
                let into = &mut self.samples[start * self.channels..];
                let pixels = into.chunks_exact_mut(self.channels);
                for (pixel, sample) in pixels.zip(seen.chunks_exact(own)) {
                    pixel[first..first + own].copy_from_slice(sample);
                }
            }
        }
        Some(())
    }
}

/// Reads the header of a picture that must be of that kind and size, with 8 bits a channel.
fn begin(from: &mut impl BufRead, kind: Netpbm, (width, height): (u32, u32)) -> Option<()> {
    let kind = match kind {
        Netpbm::Ppm => "P6",
        Netpbm::Pgm => "P5",
    };
    for expected in [kind, &width.to_string(), &height.to_string(), "255"] {
        let mut word = vec![0; expected.len() + 1];
        from.read_exact(&mut word).ok()?;
        let (end, word) = word.split_last()?;
        if word != expected.as_bytes() || !end.is_ascii_whitespace() {
            return None;
        }
    }
    Some(())
}
