//! One upload to all its thumbnails, in order: size, headers, limits, decode, resize, turn, encode.

use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::colour::{Conversion, Profile};
use crate::crop::Frame;
use crate::decode::decode;
use crate::encode::encode;
use crate::error::RenderError;
use crate::format::Format;
use crate::limits::Limits;
use crate::preset::{FocalPoint, OutputFormat, Preset};
use crate::probe::{Colour, Probe, probe, profile};
use crate::raster::Raster;
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
    /// What became of its colour profile.
    pub profile: Profile,
    /// Whether colours of thumbnails are only near: a profile was of no use, or inks had none.
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
/// `focal_point` belongs to the upload: presets that fill a frame keep what is around it.
///
/// `cancel` is asked between steps, and within the steps that can stop: once it says yes, the
/// render ends with [`RenderError::Cancelled`].
pub fn render(
    bytes: &[u8],
    focal_point: Option<FocalPoint>,
    presets: &[Preset],
    limits: &Limits,
    cancel: &dyn Fn() -> bool,
) -> Result<Rendered, RenderError> {
    for preset in presets {
        preset.validate()?;
    }
    let probe = admitted(bytes, limits)?;
    go_on(cancel)?;
    let source = decode(bytes, &probe, limits, cancel)?;
    go_on(cancel)?;
    let profile = profile(bytes, &probe, limits.profile_bytes_max);
    let conversion = Conversion::new(profile.as_deref(), source.layout);

    let whole = probe.upright();
    let frames: Vec<Frame> = presets
        .iter()
        .map(|preset| Frame::of(preset, whole))
        .collect();
    let colour_size = fit(whole, COLOUR_LONGEST_SIDE);
    let sizes = frames.iter().map(|frame| frame.whole).chain([colour_size]);
    // Sizes are as seen, and the picture is resized as stored.
    let sizes = sizes.map(|size| probe.turned(size)).collect();
    let rasters: Vec<Raster> =
        resize_to_each(source, sizes, &|raster| conversion.apply(raster), cancel)?
            .into_iter()
            // Turned last: a small picture costs a hundredth of the whole to turn.
            .map(|raster| raster.upright(probe.orientation))
            .collect();
    let sized = |size| {
        rasters
            .iter()
            .find(|raster| raster.size() == size)
            .expect("every size asked for was made")
    };

    let mut variants = Vec::new();
    for (preset, frame) in presets.iter().zip(&frames) {
        let cut;
        let mut raster = sized(frame.whole);
        if frame.part != frame.whole {
            cut = match focal_point {
                Some(focal_point) => frame.cut_around(raster, focal_point),
                None => frame.cut_centre(raster),
            };
            raster = &cut;
        }
        for &format in &preset.formats {
            go_on(cancel)?;
            variants.push(Variant {
                preset: preset.name.clone(),
                format,
                width: raster.width,
                height: raster.height,
                bytes: encode(raster, format, preset)?,
            });
        }
    }
    Ok(Rendered {
        source: facts(bytes, &probe, &conversion),
        variants,
        dominant_colour: sized(colour_size).mean_colour(),
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

fn facts(bytes: &[u8], probe: &Probe, conversion: &Conversion) -> Facts {
    let (width, height) = probe.upright();
    Facts {
        width,
        height,
        format: probe.format,
        sha256: hexadecimal(&Sha256::digest(bytes)),
        animated: probe.animated,
        colour: probe.colour,
        profile: conversion.profile,
        colour_approximated: conversion.approximate(probe.colour),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}
