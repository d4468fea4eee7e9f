//! One upload to all its thumbnails, in order: size, headers, limits, decode, resize, turn, encode.

use std::borrow::Cow;

use serde::Serialize;

use crate::animation::Animation;
use crate::colour::{Conversion, Profile};
use crate::crop::Frame;
use crate::decode::{Needed, decode, each_frame};
use crate::encode::encode;
use crate::error::RenderError;
use crate::format::Format;
use crate::heif::Pixels;
use crate::interest;
use crate::limits::Limits;
use crate::linear;
use crate::picture::Picture;
use crate::placeholder::{self, thumb_hash};
use crate::preset::{Crop, Fit, FocalPoint, OutputFormat, Preset};
use crate::probe::{Colour, Probe, probe, profile};
use crate::raster::Raster;
use crate::resize::{fit, made_of_largest, resize_to_each};

/// What one upload became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What it was.
    pub source: Facts,
    /// Its thumbnails, in the order of the presets and of their formats.
    pub variants: Vec<Variant>,
    /// Its mean colour in linear light: red, green, blue. To be shown until a thumbnail is there.
    pub dominant_colour: [u8; 3],
    /// Its `ThumbHash`: a blurred picture of about 25 bytes, to be shown until a thumbnail is there.
    pub thumb_hash: Vec<u8>,
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
    /// How many frames it has: 1 for a still.
    pub frames: u32,
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
    let decode = |probe: &Probe, needed| decode(bytes, probe, needed, limits, cancel);
    render_by(decode, bytes, focal_point, presets, limits, cancel)
}

/// The same for a picture that was decoded elsewhere.
pub fn render_decoded(
    bytes: &[u8],
    decoded: Pixels,
    focal_point: Option<FocalPoint>,
    presets: &[Preset],
    limits: &Limits,
    cancel: &dyn Fn() -> bool,
) -> Result<Rendered, RenderError> {
    let decode = |_: &Probe, _| Ok(Picture::Pixels(decoded.0));
    render_by(decode, bytes, focal_point, presets, limits, cancel)
}

fn render_by(
    decode: impl FnOnce(&Probe, Needed) -> Result<Picture, RenderError>,
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
    let plan = Plan::new(&probe, presets);
    let source = decode(&probe, plan.needed())?;
    go_on(cancel)?;
    let profile = profile(bytes, &probe, limits.profile_bytes_max);
    let conversion = Conversion::new(profile.as_deref(), source.layout());
    let convert = |picture: Picture| conversion.apply(picture);
    let convert = conversion.needed().then_some(&convert as &Convert<'_>);
    let pictures = plan.carried_out(source, convert, cancel)?;
    let corners: Vec<_> = presets
        .iter()
        .zip(&plan.frames)
        .map(|(preset, frame)| pictures.corner(preset, *frame, focal_point))
        .collect();
    let upload = Upload {
        bytes,
        probe: &probe,
        limits,
        cancel,
    };
    let animations = upload.animations(presets, &plan.frames, &corners, convert)?;
    let mut variants = Vec::new();
    for (at, preset) in presets.iter().enumerate() {
        let picture = pictures.thumbnail(preset, plan.frames[at], corners[at]);
        let (width, height) = picture.size();
        for &format in &preset.formats {
            go_on(cancel)?;
            let animation = animations[at].as_ref();
            let (frames, bytes) = match animation.filter(|_| format.can_be_animated()) {
                Some(animation) => (animation.frames(), animation.encode(preset)?),
                None => (1, encode(&picture, format, preset)?),
            };
            variants.push(Variant {
                preset: preset.name.clone(),
                format,
                width,
                height,
                frames,
                bytes,
            });
        }
    }
    let placeholder = pictures.inside(placeholder::LONGEST_SIDE).pixels();
    Ok(Rendered {
        source: facts(&probe, &conversion),
        variants,
        dominant_colour: placeholder.mean_colour(),
        thumb_hash: thumb_hash(&placeholder),
    })
}

/// Returns the memory that rendering a picture takes at its peak, as foreseen: its decode, and what
/// presets in linear light need beside it. Thumbnails themselves are small, and not counted.
pub fn estimated_bytes(probe: &Probe, presets: &[Preset]) -> u64 {
    let plan = Plan::new(probe, presets);
    let whole = (probe.width, probe.height);
    // One after the other.
    let light = plan.linear.iter();
    let light = light
        .map(|size| linear::estimated_bytes(whole, *size))
        .max();
    let beside = light.map_or(0, |light| light + probe.pixels() * PIXEL_BYTES);
    probe.estimated_decode_bytes.saturating_add(beside)
}

/// Of a pixel that planes became, at most.
const PIXEL_BYTES: u64 = 3;

/// Makes colours of a file those of sRGB.
type Convert<'a> = dyn Fn(Picture) -> Picture + 'a;

/// An upload that was admitted.
struct Upload<'a> {
    bytes: &'a [u8],
    probe: &'a Probe,
    limits: &'a Limits,
    cancel: &'a dyn Fn() -> bool,
}

impl Upload<'_> {
    /// The animation of each preset that wants one and can have it, decoded once for all of them.
    /// Each frame shows the same part.
    fn animations(
        &self,
        presets: &[Preset],
        frames: &[Frame],
        corners: &[(u32, u32)],
        convert: Option<&Convert<'_>>,
    ) -> Result<Vec<Option<Animation>>, RenderError> {
        let mut animations: Vec<_> = presets
            .iter()
            .zip(frames)
            .map(|(preset, frame)| {
                let wanted = preset.animated && preset.formats.iter().any(|f| f.can_be_animated());
                let affordable = Animation::affordable(self.probe, frame.part, self.limits);
                (wanted && affordable).then(|| Animation::new(frame.part))
            })
            .collect();
        if animations.iter().all(Option::is_none) {
            return Ok(animations);
        }
        let orientation = self.probe.orientation;
        let mut take = |source: Raster, delay_ms: u32| {
            let wanted = animations
                .iter()
                .zip(frames)
                .filter(|(animation, _)| animation.is_some());
            let sizes = wanted
                .map(|(_, frame)| self.probe.turned(frame.whole))
                .collect();
            let source = Picture::Pixels(source);
            let pictures: Vec<_> = resize_to_each(source, sizes, convert, self.cancel)?
                .into_iter()
                .map(|picture| picture.upright(orientation))
                .collect();
            for ((animation, frame), corner) in animations.iter_mut().zip(frames).zip(corners) {
                let Some(animation) = animation else { continue };
                let picture = sized(&pictures, frame.whole).expect("a size asked for was made");
                animation.push(&picture.pixels().part(*corner, frame.part), delay_ms);
            }
            Ok(())
        };
        each_frame(self.bytes, self.probe, self.limits, self.cancel, &mut take)?;
        Ok(animations)
    }
}

/// Which sizes a picture is needed in. Sizes are as stored, frames are as seen.
struct Plan<'a> {
    probe: &'a Probe,
    /// Of each preset.
    frames: Vec<Frame>,
    /// Sizes to be resized as bytes are, as everybody does.
    gamma: Vec<(u32, u32)>,
    /// Sizes to be resized in linear light.
    linear: Vec<(u32, u32)>,
}

impl<'a> Plan<'a> {
    fn new(probe: &'a Probe, presets: &[Preset]) -> Self {
        let whole = probe.upright();
        let frames: Vec<Frame> = presets
            .iter()
            .map(|preset| Frame::of(preset, whole))
            .collect();
        // Inks are no light, and resized as they are.
        let may_be_linear = probe.colour != Colour::Cmyk;
        let sizes = |linear: bool| {
            let wanted = presets.iter().zip(&frames);
            wanted
                .filter(move |(preset, _)| (preset.linear && may_be_linear) == linear)
                .map(|(_, frame)| probe.turned(frame.whole))
        };
        let linear = sizes(true).collect();
        let mut gamma: Vec<_> = sizes(false).collect();
        gamma.push(probe.turned(fit(whole, placeholder::LONGEST_SIDE)));
        if presets.iter().any(looks) {
            gamma.push(probe.turned(fit(whole, interest::LONGEST_SIDE)));
        }
        Self {
            probe,
            frames,
            gamma,
            linear,
        }
    }

    /// What a decoder has to hand out. Light is only right if every pixel counts.
    fn needed(&self) -> Needed {
        if self.linear.is_empty() {
            Needed {
                size: self.gamma.iter().copied().max().unwrap_or_default(),
                alone: made_of_largest(&self.gamma),
            }
        } else {
            Needed {
                size: (self.probe.width, self.probe.height),
                alone: false,
            }
        }
    }

    fn carried_out(
        &self,
        source: Picture,
        convert: Option<&Convert<'_>>,
        cancel: &dyn Fn() -> bool,
    ) -> Result<Pictures, RenderError> {
        // Turned last: a small picture costs a hundredth of the whole to turn.
        let upright = |picture: Picture| picture.upright(self.probe.orientation);
        let mut linear = Vec::new();
        if !self.linear.is_empty() {
            let pixels = source.pixels();
            for &size in &self.linear {
                go_on(cancel)?;
                let made = Picture::Pixels(linear::resize(&pixels, size));
                let made = match convert {
                    Some(convert) => convert(made),
                    None => made,
                };
                linear.push(upright(made));
            }
        }
        let gamma = resize_to_each(source, self.gamma.clone(), convert, cancel)?;
        Ok(Pictures {
            whole: self.probe.upright(),
            gamma: gamma.into_iter().map(upright).collect(),
            linear,
        })
    }
}

/// The picture in every size that is needed, upright and in sRGB.
struct Pictures {
    whole: (u32, u32),
    gamma: Vec<Picture>,
    linear: Vec<Picture>,
}

impl Pictures {
    /// The whole picture, small.
    fn inside(&self, longest_side: u32) -> &Picture {
        let size = fit(self.whole, longest_side);
        sized(&self.gamma, size).expect("a size that was asked for was made")
    }

    fn thumbnail(&self, preset: &Preset, frame: Frame, corner: (u32, u32)) -> Cow<'_, Picture> {
        let linear = sized(&self.linear, frame.whole).filter(|_| preset.linear);
        let picture = linear
            .or_else(|| sized(&self.gamma, frame.whole))
            .expect("a size that was asked for was made");
        if frame.cuts() {
            let part = picture.pixels().part(corner, frame.part);
            Cow::Owned(Picture::Pixels(part))
        } else {
            Cow::Borrowed(picture)
        }
    }

    /// Where the part begins that a thumbnail shows.
    fn corner(&self, preset: &Preset, frame: Frame, focal_point: Option<FocalPoint>) -> (u32, u32) {
        match focal_point {
            Some(focal_point) => frame.around(focal_point),
            None if looks(preset) => {
                let small = self.inside(interest::LONGEST_SIDE).pixels();
                frame.best(&small, preset.crop)
            }
            None => frame.centre(),
        }
    }
}

/// Whether a preset looks where there is something to see.
fn looks(preset: &Preset) -> bool {
    preset.fit == Fit::Fill && preset.crop != Crop::Centre
}

fn sized(pictures: &[Picture], size: (u32, u32)) -> Option<&Picture> {
    pictures.iter().find(|picture| picture.size() == size)
}

/// The headers of a picture that is whole and within limits.
pub(crate) fn admitted(bytes: &[u8], limits: &Limits) -> Result<Probe, RenderError> {
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

fn facts(probe: &Probe, conversion: &Conversion) -> Facts {
    let (width, height) = probe.upright();
    Facts {
        width,
        height,
        format: probe.format,
        animated: probe.animated,
        colour: probe.colour,
        profile: conversion.profile,
        colour_approximated: conversion.approximate(probe.colour),
    }
}

#[cfg(test)]
mod tests;
