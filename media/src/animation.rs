//! An animation that stays one.

use webp::{AnimEncoder, AnimFrame, PixelLayout};

use crate::encode::{WebPMethod, webp_config};
use crate::error::RenderError;
use crate::limits::Limits;
use crate::preset::Preset;
use crate::probe::Probe;
use crate::raster::Raster;

/// The frames of one thumbnail, as they come.
pub(crate) struct Animation {
    width: u32,
    height: u32,
    frames: Vec<(Vec<u8>, u32)>,
}

impl Animation {
    /// Whether an animation of this size is within the limits: of pixels to decode, and of memory
    /// for thumbnails, which the encoder holds twice. One that is not stays a still.
    pub(crate) fn affordable(probe: &Probe, thumbnail: (u32, u32), limits: &Limits) -> bool {
        const BYTES_PER_PIXEL: u64 = 8;
        let frames = u64::from(probe.frames);
        let thumbnail = u64::from(thumbnail.0) * u64::from(thumbnail.1);
        probe.animated
            && frames.saturating_mul(probe.pixels()) <= limits.frames_pixels_max
            && frames.saturating_mul(thumbnail * BYTES_PER_PIXEL) <= limits.decode_bytes_max
    }

    pub(crate) fn new((width, height): (u32, u32)) -> Self {
        Self {
            width,
            height,
            frames: Vec::new(),
        }
    }

    /// Adds a frame that is shown for this long.
    pub(crate) fn push(&mut self, raster: &Raster, delay_ms: u32) {
        assert_eq!(
            raster.size(),
            (self.width, self.height),
            "frames are of one size"
        );
        self.frames.push((raster.rgba(), delay_ms));
    }

    pub(crate) fn frames(&self) -> u32 {
        self.frames.len() as u32
    }

    /// Encodes it as WebP, to be repeated for ever.
    pub(crate) fn encode(&self, preset: &Preset) -> Result<Vec<u8>, RenderError> {
        let failed = |why: String| RenderError::Encode { why };
        let config = webp_config(preset, WebPMethod::Fast)?;
        let mut encoder = AnimEncoder::new(self.width, self.height, &config);
        let mut at_ms = 0i32;
        for (rgba, delay_ms) in &self.frames {
            let (width, height) = (self.width, self.height);
            let frame = AnimFrame::new(rgba, PixelLayout::Rgba, width, height, at_ms, None);
            encoder.add_frame(frame);
            at_ms = at_ms.saturating_add(shown_ms(*delay_ms) as i32);
        }
        let file = encoder.try_encode();
        file.map(|file| file.to_vec())
            .map_err(|error| failed(format!("{error:?}")))
    }
}

/// How long a frame is shown. Browsers take less than this for a mistake, and show a tenth of a
/// second; longer than the other bound is a still.
fn shown_ms(delay_ms: u32) -> u32 {
    match delay_ms {
        0..=10 => 100,
        longer => longer.min(60_000),
    }
}
