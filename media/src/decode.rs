//! From a file to a picture: a JPEG and a plain PNG by decoders of this crate, a still WebP by libwebp,
//! everything else by those of the `image` crate. None of them sees a byte before the headers were
//! probed and admitted.

use std::io::{BufRead, Cursor, Error, Read, Result as IoResult, Seek, SeekFrom};

use image::codecs::webp::WebPDecoder;
use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, tiff::TiffDecoder,
};
use image::error::{ImageError, ImageResult};
use image::{AnimationDecoder, ColorType, Frames, ImageDecoder};

use crate::error::RenderError;
use crate::format::Format;
use crate::inks;
use crate::jpeg::{self, Refusal};
use crate::libwebp;
use crate::limits::{Limits, Quantity};
use crate::picture::Picture;
use crate::png::PlainPng;
use crate::probe::tiff::{self, Indexed};
use crate::probe::{Colour, Probe};
use crate::raster::{Raster, blank};

/// What is to be made of a picture. Sizes are as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed {
    /// The largest size.
    pub(crate) size: (u32, u32),
    /// Whether everything else is made of that, so that the picture may come in that size.
    pub(crate) alone: bool,
}

/// Decodes the picture, or of an animation the first frame that is not blank. It may come smaller
/// than it is, but no smaller than what is needed.
pub(crate) fn decode(
    bytes: &[u8],
    probe: &Probe,
    needed: Needed,
    limits: &Limits,
    cancel: &dyn Fn() -> bool,
) -> Result<Picture, RenderError> {
    let decode = Decode {
        probe,
        limits,
        cancel,
    };
    let source = Interruptible {
        bytes: Cursor::new(bytes),
        cancel,
    };
    let pixels = match probe.format {
        Format::Jpeg if probe.colour == Colour::Cmyk => {
            let inks = inks::decode(bytes).map_err(|why| decode.corrupt(&why))?;
            decode.has_size(inks.size())?;
            Ok(inks)
        }
        Format::Jpeg => match jpeg::decode(bytes, (probe.width, probe.height), needed.size, cancel)
        {
            Ok(planes) => return Ok(Picture::Planes(planes)),
            Err(Refusal::Cancelled) => Err(RenderError::Cancelled),
            Err(Refusal::Corrupt(why)) => Err(decode.corrupt(why)),
            Err(Refusal::Unsupported) => decode.still(JpegDecoder::new(source)),
        },
        // Of an animated PNG, the still that it carries for viewers that do not animate.
        Format::Png => match PlainPng::new(bytes) {
            Some(plain) => {
                let whole = (probe.width, probe.height);
                plain.decode(if needed.alone { needed.size } else { whole }, cancel)
            }
            None => decode.still(PngDecoder::with_limits(source, decode.allocation())),
        },
        Format::WebP if !probe.animated => {
            let size = (probe.width, probe.height);
            libwebp::decode(bytes, size, cancel).map_err(|stop| match stop {
                libwebp::Stop::Cancelled => RenderError::Cancelled,
                libwebp::Stop::Corrupt(why) => decode.corrupt(why),
            })
        }
        Format::WebP => {
            let decoder = decode.checked(WebPDecoder::new(source))?;
            decode.agrees(&decoder)?;
            decode.first_visible(decoder.into_frames())
        }
        Format::Gif => {
            let decoder = decode.checked(GifDecoder::new(source))?;
            decode.agrees(&decoder)?;
            decode.first_visible(decoder.into_frames())
        }
        Format::Bmp => decode.still(BmpDecoder::new(source)),
        Format::Tiff if probe.colour == Colour::Indexed => {
            let page = tiff::indexed(bytes);
            let page = page.ok_or_else(|| decode.corrupt("its palette is cut short"))?;
            let bytes = Probe {
                width: page.row_bytes,
                ..probe.clone()
            };
            let decode = Decode {
                probe: &bytes,
                ..decode
            };
            let bytes = decode.tiff(Interruptible {
                bytes: Cursor::new(&page.file),
                cancel,
            })?;
            Ok(coloured(bytes, &page, probe.width))
        }
        Format::Tiff => decode.tiff(source),
        // Whoever can have it decoded elsewhere comes with its pixels.
        format @ (Format::Avif | Format::Heic) => Err(RenderError::Unsupported {
            format,
            why: "upload it as JPEG, PNG or WebP".to_owned(),
        }),
        found => Err(RenderError::NotAPicture { found }),
    };
    pixels.map(Picture::Pixels)
}

/// Hands out every frame of an animation, and how many milliseconds it is shown.
pub(crate) fn each_frame(
    bytes: &[u8],
    probe: &Probe,
    limits: &Limits,
    cancel: &dyn Fn() -> bool,
    take: &mut dyn FnMut(Raster, u32) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    let decode = Decode {
        probe,
        limits,
        cancel,
    };
    let source = Interruptible {
        bytes: Cursor::new(bytes),
        cancel,
    };
    let frames = if probe.format == Format::WebP {
        let decoder = decode.checked(WebPDecoder::new(source))?;
        decode.agrees(&decoder)?;
        decoder.into_frames()
    } else {
        let decoder = decode.checked(GifDecoder::new(source))?;
        decode.agrees(&decoder)?;
        decoder.into_frames()
    };
    // No more than were counted when the animation was admitted.
    for (at, frame) in frames.take(probe.frames as usize).enumerate() {
        let frame = match decode.checked(frame) {
            // Damage after the first frame does not take that away.
            Err(RenderError::Corrupt { .. }) if at > 0 => break,
            frame => frame?,
        };
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let frame = frame.into_buffer();
        let (width, height) = frame.dimensions();
        let raster = Raster::new(width, height, ColorType::Rgba8, frame.into_raw());
        take(raster, numerator / denominator.max(1))?;
    }
    Ok(())
}

/// Shows each index in its colour, given the bytes of the indices as shades of grey.
fn coloured(mut bytes: Raster, page: &Indexed, width: u32) -> Raster {
    let colour = |index: u8| page.palette[usize::from(index)];
    if page.bits == 8 {
        for pixel in bytes.samples.as_chunks_mut().0 {
            let [index, _, _] = *pixel;
            *pixel = colour(index);
        }
        return bytes;
    }
    let mask = (1 << page.bits) - 1;
    let mut samples = Vec::with_capacity(3 * width as usize * bytes.height as usize);
    for row in bytes.samples.chunks_exact(3 * page.row_bytes as usize) {
        let shifts = (0..8 / page.bits).rev().map(|left| left * page.bits);
        let bytes = row.iter().step_by(3);
        let indices = bytes.flat_map(|byte| shifts.clone().map(move |shift| byte >> shift & mask));
        samples.extend(indices.take(width as usize).flat_map(colour));
    }
    Raster {
        width,
        samples,
        ..bytes
    }
}

struct Decode<'a> {
    probe: &'a Probe,
    limits: &'a Limits,
    cancel: &'a dyn Fn() -> bool,
}

impl Decode<'_> {
    fn still(&self, decoder: ImageResult<impl ImageDecoder>) -> Result<Raster, RenderError> {
        let decoder = self.checked(decoder)?;
        self.agrees(&decoder)?;
        let (width, height) = decoder.dimensions();
        let colour = decoder.color_type();
        let mut samples = vec![0; decoder.total_bytes() as usize];
        self.checked(decoder.read_image(&mut samples))?;
        Ok(Raster::new(width, height, colour, samples))
    }

    fn tiff(&self, source: Interruptible<'_>) -> Result<Raster, RenderError> {
        let mut decoder = self.checked(TiffDecoder::new(source))?;
        self.checked(decoder.set_limits(self.allocation()))?;
        self.still(Ok(decoder))
    }

    fn first_visible(&self, frames: Frames<'_>) -> Result<Raster, RenderError> {
        let mut first = None;
        let mut pixels = 0;
        for frame in frames {
            let frame = match self.checked(frame) {
                Ok(frame) => frame.into_buffer(),
                // Damage after the first frame does not take that away.
                Err(RenderError::Corrupt { .. }) if first.is_some() => break,
                Err(error) => return Err(error),
            };
            pixels += self.probe.pixels();
            if !blank(&frame) {
                first = Some(frame);
                break;
            }
            first.get_or_insert(frame);
            if pixels >= self.limits.frames_pixels_max {
                break;
            }
        }
        let frame = first.ok_or_else(|| self.corrupt("it has no frame"))?;
        let (width, height) = frame.dimensions();
        Ok(Raster::new(
            width,
            height,
            ColorType::Rgba8,
            frame.into_raw(),
        ))
    }

    /// A file that two readers understand differently is one made to get past the first of them.
    fn agrees(&self, decoder: &impl ImageDecoder) -> Result<(), RenderError> {
        self.has_size(decoder.dimensions())?;
        Quantity::DecodeBytes.within(decoder.total_bytes(), self.limits.decode_bytes_max)
    }

    fn has_size(&self, size: (u32, u32)) -> Result<(), RenderError> {
        if size != (self.probe.width, self.probe.height) {
            return Err(self.corrupt("it says its size twice, and differently"));
        }
        Ok(())
    }

    fn allocation(&self) -> image::Limits {
        let mut allocation = image::Limits::no_limits();
        allocation.max_alloc = Some(self.limits.decode_bytes_max);
        allocation
    }

    fn checked<T>(&self, result: ImageResult<T>) -> Result<T, RenderError> {
        result.map_err(|error| match error {
            // Decoders wrap the error of the reader in many ways; the cause is asked instead.
            _ if (self.cancel)() => RenderError::Cancelled,
            ImageError::Unsupported(error) => RenderError::Unsupported {
                format: self.probe.format,
                why: error.to_string(),
            },
            ImageError::Limits(_) => RenderError::TooLarge {
                what: Quantity::DecodeBytes,
                got: self
                    .probe
                    .estimated_decode_bytes
                    .max(self.limits.decode_bytes_max + 1),
                limit: self.limits.decode_bytes_max,
            },
            error => self.corrupt(&error.to_string()),
        })
    }

    fn corrupt(&self, why: &str) -> RenderError {
        RenderError::Corrupt {
            format: self.probe.format,
            why: why.to_owned(),
        }
    }
}

/// Reads until cancelled. Decoders cannot be stopped, but most read as they go; the few kinds of JPEG
/// that come here are read whole, and bounded by their limits alone.
struct Interruptible<'a> {
    bytes: Cursor<&'a [u8]>,
    cancel: &'a dyn Fn() -> bool,
}

impl Interruptible<'_> {
    /// Handed out at once, so that a decoder comes back often enough.
    const PIECE_LEN: usize = 32 * 1024;

    fn go_on(&self) -> IoResult<()> {
        if (self.cancel)() {
            Err(Error::other("cancelled"))
        } else {
            Ok(())
        }
    }
}

impl Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        self.go_on()?;
        self.bytes.read(buffer)
    }
}

impl BufRead for Interruptible<'_> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        self.go_on()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(Self::PIECE_LEN)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for Interruptible<'_> {
    fn seek(&mut self, position: SeekFrom) -> IoResult<u64> {
        self.bytes.seek(position)
    }
}
