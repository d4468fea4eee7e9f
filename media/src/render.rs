//! One upload to all its thumbnails, in order: size, headers, limits, decode, resize, turn, encode.

use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::decode::decode;
use crate::encode::{OutputFormat, Preset, encode};
use crate::error::RenderError;
use crate::format::Format;
use crate::limits::Limits;
use crate::picture::Picture;
use crate::probe::{Colour, Probe, probe};
use crate::resize::{fit, resize_to_each};

/// The longest side of the picture whose mean is the dominant colour: small enough to be free.
const COLOUR_LONGEST_SIDE: u32 = 32;

/// What one upload became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What it was.
    pub source: Facts,
    /// Its thumbnails, in the order of the presets and of their formats.
    pub variants: Vec<Variant>,
    /// Its mean colour in linear light: red, green, blue. To be shown until a thumbnail is there.
    pub dominant_colour: [u8; 3],
}

/// What is known of the upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Width as seen, orientation applied.
    pub width: u32,
    /// Height as seen, orientation applied.
    pub height: u32,
    /// What it is, by content.
    pub format: Format,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Whether it has more than one frame; thumbnails show the first that is not blank.
    pub animated: bool,
    /// How it stores colours.
    pub colour: Colour,
    /// Whether colours of thumbnails are only near: inks were converted without their profile.
    pub colour_approximated: bool,
}

/// One thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Name of its preset.
    pub preset: String,
    /// What it is encoded as.
    pub format: OutputFormat,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Makes every thumbnail of a picture. The same bytes and presets give the same thumbnails.
///
/// `cancel` is asked between steps, and within the steps that can stop: once it says yes, the
/// render ends with [`RenderError::Cancelled`].
pub fn render(
    bytes: &[u8],
    presets: &[Preset],
    limits: &Limits,
    cancel: &dyn Fn() -> bool,
) -> Result<Rendered, RenderError> {
    for preset in presets {
        preset.validate()?;
    }
    let probe = admitted(bytes, limits)?;
    go_on(cancel)?;
    let stored = (probe.width, probe.height);
    let sides = presets.iter().map(|preset| preset.longest_side);
    let sizes: Vec<_> = sides
        .chain([COLOUR_LONGEST_SIDE])
        .map(|side| fit(stored, side))
        .collect();
    let needed = sizes.iter().copied().max().unwrap_or_default();
    let source = decode(bytes, &probe, needed, limits, cancel)?;
    go_on(cancel)?;

    let pictures: Vec<Picture> = resize_to_each(source, sizes, cancel)?
        .into_iter()
        // Turned last: a small picture costs a hundredth of the whole to turn.
        .map(|picture| picture.upright(probe.orientation))
        .collect();
    let sized = |longest_side| {
        let size = fit(probe.upright(), longest_side);
        pictures
            .iter()
            .find(|picture| picture.size() == size)
            .expect("every size asked for was made")
    };

    let mut variants = Vec::new();
    for preset in presets {
        let picture = sized(preset.longest_side);
        let (width, height) = picture.size();
        for &format in &preset.formats {
            go_on(cancel)?;
            variants.push(Variant {
                preset: preset.name.clone(),
                format,
                width,
                height,
                bytes: encode(picture, format, preset)?,
            });
        }
    }
    Ok(Rendered {
        source: facts(bytes, &probe),
        variants,
        dominant_colour: sized(COLOUR_LONGEST_SIDE).pixels().mean_colour(),
    })
}

/// The headers of a picture that is whole and within limits.
fn admitted(bytes: &[u8], limits: &Limits) -> Result<Probe, RenderError> {
    limits.admit_size(bytes)?;
    let probe = probe(bytes)?;
    limits.admit(bytes, &probe)?;
    if !probe.complete {
        let why = "it is cut short; upload it again".to_owned();
        return Err(RenderError::Corrupt {
            format: probe.format,
            why,
        });
    }
    Ok(probe)
}

fn go_on(cancel: &dyn Fn() -> bool) -> Result<(), RenderError> {
    if cancel() {
        Err(RenderError::Cancelled)
    } else {
        Ok(())
    }
}

fn facts(bytes: &[u8], probe: &Probe) -> Facts {
    let (width, height) = probe.upright();
    Facts {
        width,
        height,
        format: probe.format,
        sha256: hexadecimal(&Sha256::digest(bytes)),
        animated: probe.animated,
        colour: probe.colour,
        colour_approximated: probe.colour == Colour::Cmyk,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}
