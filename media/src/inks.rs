//! Inks of a JPEG. Other decoders hand out only what a formula makes of them; a colour profile needs
//! the inks themselves.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::probe::jpeg::segments;
use crate::raster::{Layout, Raster};

/// Decodes a JPEG of four inks into amounts of each: 0 none, 255 all. The error says why not.
pub(crate) fn decode(bytes: &[u8]) -> Result<Raster, String> {
    let stored = Stored::read(bytes);
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    decoder.decode_headers().map_err(|error| failed(&error))?;
    let colours = decoder.input_colorspace();
    let Some(as_stored @ (ColorSpace::CMYK | ColorSpace::YCCK)) = colours else {
        return Err("it has four colours that are no inks".to_owned());
    };
    decoder.set_options(options.jpeg_set_out_colorspace(as_stored));
    let mut samples = decoder.decode().map_err(|error| failed(&error))?;
    stored.to_amounts(&mut samples);
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = (width as u32, height as u32);
    if samples.len() != width as usize * height as usize * Layout::Cmyk.channels() {
        return Err("it has four colours that are no inks".to_owned());
    }
    Ok(Raster {
        width,
        height,
        layout: Layout::Cmyk,
        samples,
    })
}

/// How a JPEG stores inks, as the marker says that Adobe invented and everybody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    /// As the light that is left: 255 for no ink.
    inverted: bool,
    /// As luma and chroma of cyan, magenta and yellow.
    as_chroma: bool,
}

impl Stored {
    fn read(bytes: &[u8]) -> Self {
        const APP14: u8 = 0xee;
        const TRANSFORM_AT: usize = 11;
        const YCCK: u8 = 2;
        let adobe = segments(bytes)
            .find(|(marker, data)| *marker == APP14 && data.starts_with(b"Adobe"))
            .map(|(_, data)| data);
        Self {
            inverted: adobe.is_some(),
            as_chroma: adobe.and_then(|data| data.get(TRANSFORM_AT)) == Some(&YCCK),
        }
    }

    fn to_amounts(self, samples: &mut [u8]) {
        for pixel in samples.as_chunks_mut::<4>().0 {
            if self.as_chroma {
                let [luma, blue, red] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                let (blue, red) = (blue - 128.0, red - 128.0);
                // The coefficients of ITU-T T.871. What they give is light as well, and stored
                // beside black that is inverted or not: turned so that all four are the same.
                let three = [
                    luma + 1.402 * red,
                    luma - 0.344_136 * blue - 0.714_136 * red,
                    luma + 1.772 * blue,
                ];
                for (ink, value) in pixel.iter_mut().zip(three) {
                    *ink = 255 - value.round() as u8;
                }
            }
            if self.inverted {
                *pixel = pixel.map(|ink| 255 - ink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(inverted: bool, as_chroma: bool, mut pixel: [u8; 4]) -> [u8; 4] {
        Stored {
            inverted,
            as_chroma,
        }
        .to_amounts(&mut pixel);
        pixel
    }

    #[test]
    fn inks_are_amounts_however_they_are_stored() {
        assert_eq!(amounts(false, false, [10, 20, 30, 40]), [10, 20, 30, 40]);
        assert_eq!(amounts(true, false, [10, 20, 30, 40]), [245, 235, 225, 215]);
        // Luma 76 with the chroma of pure red: all cyan, no magenta, no yellow.
        assert_eq!(amounts(true, true, [76, 85, 255, 255]), [254, 0, 0, 0]);
    }
}
