//! From the colours of a file to sRGB, the only ones that every screen shows right without being
//! told.
//!
//! Done on small pictures, after the filter: the difference to converting every pixel of the upload
//! is less than an encoder adds, and it costs a tenth. A profile that is broken, or of other
//! colours than the file has, is ignored as if it were not there; the facts say so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use moxcms::{ColorProfile, DataColorSpace, Transform8BitExecutor, TransformOptions};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::picture::Picture;
use crate::probe::Colour;
use crate::raster::{Layout, Raster};
use crate::recolour::recoloured;

/// What became of the colour profile of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// There is none.
    Absent,
    /// It says what is assumed without one: it moves no colour visibly.
    Srgb,
    /// Thumbnails were converted by it to sRGB.
    Converted,
    /// It is broken, or of other colours than the picture's.
    Ignored,
}

/// How the colours of one upload become sRGB.
pub(crate) struct Conversion {
    pub(crate) profile: Profile,
    step: Step,
}

#[derive(Clone)]
enum Step {
    /// They are sRGB, or taken for it.
    Nothing,
    Shades(Arc<[[u8; 3]; 256]>),
    Lights {
        tight: Arc<Transform8BitExecutor>,
        /// Of pixels that have a fourth byte, which says nothing.
        padded: Arc<Transform8BitExecutor>,
    },
    Inks(Arc<Transform8BitExecutor>),
    /// Inks without a usable profile: each ink takes away its share of light.
    InksByFormula,
}

impl Conversion {
    /// The conversion by an embedded profile of what a decoder made.
    pub(crate) fn new(profile: Option<&[u8]>, decoded: Layout) -> Self {
        let inks = decoded == Layout::Cmyk;
        let otherwise = if inks {
            Step::InksByFormula
        } else {
            Step::Nothing
        };
        let (profile, step) = match profile {
            None => (Profile::Absent, otherwise),
            Some(icc) => match cached(icc, inks) {
                None => (Profile::Ignored, otherwise),
                Some(Step::Nothing) => (Profile::Srgb, Step::Nothing),
                Some(step) => (Profile::Converted, step),
            },
        };
        Self { profile, step }
    }

    /// Tells whether colours, which the file stores as `stored`, come out near and not right. The
    /// decoder of TIFF converts inks itself, by the formula.
    pub(crate) fn approximate(&self, stored: Colour) -> bool {
        let by_profile = self.profile == Profile::Converted;
        self.profile == Profile::Ignored || stored == Colour::Cmyk && !by_profile
    }

    /// Tells whether there is anything to convert.
    pub(crate) fn needed(&self) -> bool {
        !matches!(self.step, Step::Nothing)
    }

    /// The picture in sRGB. Planes of chroma are those of 4:2:0, and stay planes.
    pub(crate) fn apply(&self, picture: Picture) -> Picture {
        match (&self.step, picture) {
            (Step::Nothing, picture) => picture,
            (Step::Lights { padded, .. }, Picture::Planes(planes)) if planes.chroma.is_some() => {
                let change = |from: &[u8], to: &mut [u8]| padded.transform(from, to).expect(FITS);
                Picture::Planes(recoloured(planes, change))
            }
            (_, picture) => Picture::Pixels(self.apply_to_pixels(picture.into_pixels())),
        }
    }

    fn apply_to_pixels(&self, raster: Raster) -> Raster {
        match &self.step {
            Step::Nothing => raster,
            Step::Shades(shades) => raster.recoloured(|rgb| {
                for pixel in rgb.as_chunks_mut::<3>().0 {
                    *pixel = shades[usize::from(pixel[0])];
                }
            }),
            Step::Lights { tight, .. } => raster.recoloured(|rgb| {
                let from = rgb.to_vec();
                tight.transform(&from, rgb).expect(FITS);
            }),
            Step::Inks(transform) => raster.without_inks(|inks, rgb| {
                transform.transform(inks, rgb).expect(FITS);
            }),
            Step::InksByFormula => raster.without_inks(|inks, rgb| {
                let pixels = rgb.as_chunks_mut::<3>().0.iter_mut();
                for (light, ink) in pixels.zip(inks.as_chunks::<4>().0) {
                    let [cyan, magenta, yellow, black] = ink.map(|ink| u16::from(255 - ink));
                    *light = [cyan, magenta, yellow].map(|left| ((left * black + 127) / 255) as u8);
                }
            }),
        }
    }
}

const FITS: &str = "a transform takes whole pixels of the layout that it was made for";

/// What is known of a profile.
struct Prepared {
    digest: [u8; 32],
    for_inks: bool,
    /// None if it is of no use.
    step: Option<Step>,
}

/// The profiles seen last. Cameras and editors embed a handful of them, and preparing one costs as
/// much as a small thumbnail. An ink profile takes about half a megabyte.
static CACHE: Mutex<VecDeque<Prepared>> = Mutex::new(VecDeque::new());

/// How many of them are kept.
const CACHED_MAX: usize = 16;

fn cached(icc: &[u8], for_inks: bool) -> Option<Step> {
    let digest: [u8; 32] = Sha256::digest(icc).into();
    // A panic elsewhere leaves the queue whole: entries are only pushed and dropped.
    let lock = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = lock()
        .iter()
        .find(|known| known.digest == digest && known.for_inks == for_inks)
        .map(|known| known.step.clone());
    found.unwrap_or_else(|| {
        let step = prepared(icc, for_inks);
        let mut cache = lock();
        cache.truncate(CACHED_MAX - 1);
        cache.push_front(Prepared {
            digest,
            for_inks,
            step: step.clone(),
        });
        step
    })
}

fn prepared(icc: &[u8], inks: bool) -> Option<Step> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let srgb = ColorProfile::new_srgb();
    let transform = |from, to| {
        let options = TransformOptions::default();
        profile.create_transform_8bit(from, &srgb, to, options).ok()
    };
    match (profile.color_space, inks) {
        (DataColorSpace::Cmyk, true) => {
            let (inks, lights) = (moxcms::Layout::Rgba, moxcms::Layout::Rgb);
            Some(Step::Inks(transform(inks, lights)?))
        }
        (DataColorSpace::Gray, false) => {
            let shades: Vec<u8> = (0..=u8::MAX).collect();
            let mut rgb = [0; 3 * 256];
            let transform = transform(moxcms::Layout::Gray, moxcms::Layout::Rgb)?;
            transform.transform(&shades, &mut rgb).ok()?;
            let same = shades.iter().flat_map(|&shade| [shade; 3]);
            if near(same, &rgb) {
                return Some(Step::Nothing);
            }
            let rgb = rgb.as_chunks().0;
            Some(Step::Shades(Arc::new(
                rgb.try_into().expect("three times 256 are 256 threes"),
            )))
        }
        (DataColorSpace::Rgb, false) => {
            let tight = transform(moxcms::Layout::Rgb, moxcms::Layout::Rgb)?;
            let grid = grid();
            let mut moved = vec![0; grid.len()];
            tight.transform(&grid, &mut moved).ok()?;
            let padded = transform(moxcms::Layout::Rgba, moxcms::Layout::Rgba)?;
            Some(if near(grid.iter().copied(), &moved) {
                Step::Nothing
            } else {
                Step::Lights { tight, padded }
            })
        }
        _ => None,
    }
}

/// Six levels of each light, mixed in every way.
fn grid() -> Vec<u8> {
    let levels = || (0..=u8::MAX).step_by(51);
    levels()
        .flat_map(|r| levels().flat_map(move |g| levels().flat_map(move |b| [r, g, b])))
        .collect()
}

/// Tells whether nobody sees a difference.
fn near(from: impl Iterator<Item = u8>, to: &[u8]) -> bool {
    const LEVELS: u8 = 2;
    from.zip(to).all(|(from, to)| from.abs_diff(*to) <= LEVELS)
}
