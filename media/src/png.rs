//! The fast path of the commonest PNG: 8 bits a channel, red, green, blue and perhaps alpha, row
//! after row. Screenshots are that, and what editors export.
//!
//! Rows are resized as they come, so that the whole picture is never in memory, and what is worked
//! on stays in the caches.
//!
//! Nothing here panics on any file, and a deadline is noticed within a few rows.
//!
//! # Layout
//!
//! - `inflate`: from chunks to filtered rows
//! - `filter`: from filtered rows to pixels, in plain Rust and in vector instructions

mod filter;
mod inflate;

use crate::error::RenderError;
use crate::format::Format;
use crate::probe::png::Chunks;
use crate::raster::{Layout, Raster, multiply_alpha, opaque};
use crate::shrink::shrink;
use inflate::Inflate;

/// A PNG that this decoder is for.
pub(crate) struct PlainPng<'a> {
    width: u32,
    height: u32,
    layout: Layout,
    chunks: Chunks<'a>,
}

impl<'a> PlainPng<'a> {
    /// Longer rows are for a decoder that holds one at a time: this one holds a few.
    const ROW_LEN_MAX: usize = 256 << 10;

    /// Looks at all chunks, and at no pixel. None is a PNG for another decoder, or none at all.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut chunks = Chunks::new(bytes);
        let header = chunks
            .next()
            .filter(|chunk| chunk.kind == b"IHDR" && chunk.intact())?;
        let [
            w0,
            w1,
            w2,
            w3,
            h0,
            h1,
            h2,
            h3,
            8,
            colour_type @ (2 | 6),
            0,
            0,
            0,
        ] = *header.data
        else {
            return None;
        };
        let layout = if colour_type == 2 {
            Layout::Rgb
        } else {
            Layout::Rgba
        };
        let width = u32::from_be_bytes([w0, w1, w2, w3]);
        let plain = Self {
            width,
            height: u32::from_be_bytes([h0, h1, h2, h3]),
            layout,
            chunks: chunks.clone(),
        };
        let known = chunks.all(|chunk| match chunk.kind {
            b"IDAT" | b"PLTE" | b"IEND" => true,
            // One colour is transparent.
            b"tRNS" => false,
            // A small first letter says that a chunk may be passed over.
            kind => kind[0].is_ascii_lowercase(),
        });
        let row_len = layout.channels().checked_mul(width as usize)?;
        (known && (1..=Self::ROW_LEN_MAX).contains(&row_len)).then_some(plain)
    }

    /// Decodes it in another size, which is no larger, or in its own.
    pub(crate) fn decode(
        self,
        (width, height): (u32, u32),
        cancel: &dyn Fn() -> bool,
    ) -> Result<Raster, RenderError> {
        let size = (self.width, self.height);
        let mut rows = Inflate::new(self.chunks, self.layout, self.width, cancel);
        let mut visible = true;
        let mut read = |band: &mut [u8]| {
            rows.read(band)?;
            if self.layout == Layout::Rgba && !opaque(band) {
                visible = false;
                multiply_alpha(band);
            }
            Ok(())
        };
        let samples = if (width, height) == size {
            whole(self.layout, size, &mut read)
        } else {
            shrink(self.layout, size, (width, height), &mut read)
        };
        let raster = Raster {
            width,
            height,
            layout: self.layout,
            samples: samples.map_err(|stop| match stop {
                Stop::Cancelled => RenderError::Cancelled,
                Stop::Corrupt(why) => RenderError::Corrupt {
                    format: Format::Png,
                    why: why.to_owned(),
                },
            })?,
        };
        Ok(if visible {
            raster.without_alpha()
        } else {
            raster
        })
    }
}

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cancelled,
    /// The first thing found wrong.
    Corrupt(&'static str),
}

/// All rows, read a few at a time while they are in the cache.
fn whole(
    layout: Layout,
    (width, height): (u32, u32),
    read: &mut dyn FnMut(&mut [u8]) -> Result<(), Stop>,
) -> Result<Vec<u8>, Stop> {
    const BANDS: usize = 8;
    let row_len = layout.channels() * width as usize;
    let mut samples = vec![0; row_len * height as usize];
    samples
        .chunks_mut(BANDS * filter::GROUP * row_len)
        .try_for_each(read)?;
    Ok(samples)
}

#[cfg(test)]
mod tests;
