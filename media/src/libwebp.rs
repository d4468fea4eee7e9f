//! A still WebP, by libwebp: three times as fast as the decoder of `image`, which only animations
//! need. It is handed the file a piece at a time, so that a deadline stops it.

#![allow(
    unsafe_code,
    reason = "libwebp is written in C, and no crate wraps its decoder for files that come in pieces"
)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use libwebp_sys::{
    VP8StatusCode, WEBP_CSP_MODE, WebPIDecoder, WebPIDelete, WebPINewRGB, WebPIUpdate,
};
use webp::BitstreamFeatures;

use image::ColorType;

use crate::raster::Raster;

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    /// What is wrong with it.
    Corrupt(&'static str),
}

/// Decodes a picture, which must have this size.
pub(crate) fn decode(
    bytes: &[u8],
    (width, height): (u32, u32),
    cancel: &dyn Fn() -> bool,
) -> Result<Raster, Stop> {
    /// What is decoded at once: about a fifth of a megapixel.
    const PIECE_LEN: usize = 32 << 10;
    const REFUSED: Stop = Stop::Corrupt("libwebp cannot decode it");
    let features = BitstreamFeatures::new(bytes).ok_or(REFUSED)?;
    if (features.width(), features.height()) != (width, height) {
        // A file that two readers understand differently is one made to get past the first of them.
        return Err(Stop::Corrupt("it says its size twice, and differently"));
    }
    let (colour, mode) = if features.has_alpha() {
        (ColorType::Rgba8, WEBP_CSP_MODE::MODE_RGBA)
    } else {
        (ColorType::Rgb8, WEBP_CSP_MODE::MODE_RGB)
    };
    let row_len = width as usize * usize::from(colour.channel_count());
    let mut samples = vec![0; row_len * height as usize];
    let mut decoder = Decoder::new(&mut samples, row_len, mode).ok_or(REFUSED)?;
    let mut come = 0;
    loop {
        if cancel() {
            return Err(Stop::Cancelled);
        }
        come = bytes.len().min(come + PIECE_LEN);
        match decoder.update(&bytes[..come]) {
            VP8StatusCode::VP8_STATUS_OK => break,
            VP8StatusCode::VP8_STATUS_SUSPENDED if come < bytes.len() => {}
            _ => return Err(REFUSED),
        }
    }
    drop(decoder);
    Ok(Raster::new(width, height, colour, samples))
}

/// A decoder that writes to `samples` and reads from a file, both of which outlive it.
struct Decoder<'a> {
    raw: NonNull<WebPIDecoder>,
    borrowed: PhantomData<(&'a mut [u8], &'a [u8])>,
}

impl<'a> Decoder<'a> {
    fn new(samples: &'a mut [u8], row_len: usize, mode: WEBP_CSP_MODE) -> Option<Self> {
        let row_len = row_len.try_into().ok()?;
        // SAFETY: the samples are borrowed for as long as the decoder lives, and their number is
        // said; it writes no more, and refuses a picture that needs more.
        let raw = unsafe { WebPINewRGB(mode, samples.as_mut_ptr(), samples.len(), row_len) };
        Some(Self {
            raw: NonNull::new(raw)?,
            borrowed: PhantomData,
        })
    }

    /// Decodes what can be decoded of a file of which this much has come. It is always the same
    /// file, from its beginning.
    fn update(&mut self, come: &'a [u8]) -> VP8StatusCode {
        // SAFETY: the decoder was made by `new`, and the file is borrowed for as long as it lives.
        unsafe { WebPIUpdate(self.raw.as_ptr(), come.as_ptr(), come.len()) }
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`, and nothing uses it after this.
        unsafe { WebPIDelete(self.raw.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::raster::Layout;

    /// Noise, so that a file has several pieces.
    fn noise(channels: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(16);
        (0..400 * 300 * channels).map(|_| random.u8(..)).collect()
    }

    fn files() -> [Vec<u8>; 4] {
        let (rgb, rgba) = (noise(3), noise(4));
        let rgb = webp::Encoder::from_rgb(&rgb, 400, 300);
        let rgba = webp::Encoder::from_rgba(&rgba, 400, 300);
        [
            rgb.encode(90.0),
            rgb.encode_lossless(),
            rgba.encode(90.0),
            rgba.encode_lossless(),
        ]
        .map(|file| file.to_vec())
    }

    #[test]
    fn a_file_in_pieces_gives_the_picture_that_it_gives_whole() {
        for file in files() {
            let whole = webp::Decoder::new(&file).decode().unwrap();
            let made = decode(&file, (400, 300), &|| false).unwrap();
            let (layout, colour) = if whole.is_alpha() {
                (Layout::Rgba, ColorType::Rgba8)
            } else {
                (Layout::Rgb, ColorType::Rgb8)
            };
            let expected = Raster::new(400, 300, colour, whole.to_vec());
            assert_eq!(made.layout, layout);
            assert!(made.samples == expected.samples);
        }
    }

    #[test]
    fn a_deadline_stops_it_between_pieces() {
        for file in files() {
            assert!(file.len() > 96 << 10, "{} bytes", file.len());
            let left = Cell::new(2);
            let cancel = || left.replace(left.get() - 1) == 0;
            let stopped = decode(&file, (400, 300), &cancel).err();
            assert_eq!(stopped, Some(Stop::Cancelled));
        }
    }

    #[test]
    fn a_file_that_is_cut_short_or_of_another_size_is_refused() {
        for file in files() {
            for end in [0, 11, 40, file.len() / 2, file.len() - 30] {
                let refused = decode(&file[..end], (400, 300), &|| false).err();
                assert!(matches!(refused, Some(Stop::Corrupt(_))), "{end}");
            }
            let refused = decode(&file, (400, 299), &|| false).err();
            assert!(matches!(refused, Some(Stop::Corrupt(_))));
        }
    }
}
