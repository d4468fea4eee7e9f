//! The work on pixels: within the budget of memory, within its time, away from the actors' threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iyagi_media::heif::{Assembly, Codec, Still};
use iyagi_media::{
    FocalPoint, Limits, Preset, Probe, RenderError, Rendered, estimated_bytes, probe, render,
    render_decoded,
};

use crate::media_job::{ByteBudget, Watch};
use crate::ports::{DecoderFault, LocalFile, PictureDecoder};
use crate::runtime::{CpuError, CpuPool};

/// Where pixels are computed, and what that may cost.
#[derive(Clone)]
pub struct Rendering {
    /// The threads.
    pub cpu: CpuPool,
    /// The memory of all decodes.
    pub budget: ByteBudget,
    /// What is not even decoded.
    pub limits: Limits,
    /// How long one picture may take, from when a thread is free for it.
    pub deadline: Duration,
    /// What decodes pictures that the engine only takes apart, if there is anything.
    pub decoder: Option<Arc<dyn PictureDecoder>>,
}

/// What is known of a picture before it is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// What its headers claim. What cannot be probed is refused by the render before it takes any memory.
    pub probe: Option<Probe>,
}

/// Why a picture was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum Unrendered {
    /// It cannot be.
    #[error(transparent)]
    Picture(#[from] RenderError),
    /// What decodes it elsewhere has not.
    #[error(transparent)]
    Decoder(#[from] DecoderFault),
    /// The work did not come to its end.
    #[error(transparent)]
    Work(#[from] CpuError),
}

impl Rendering {
    /// Looks at a picture before it is rendered. `sha256` is the digest of its bytes, if somebody else knows it.
    pub async fn look(
        &self,
        bytes: Arc<Vec<u8>>,
        sha256: Option<String>,
    ) -> Result<Foreseen, CpuError> {
        let work = move || Foreseen {
            sha256: sha256.unwrap_or_else(|| iyagi_media::sha256(&bytes)),
            probe: probe(&bytes).ok(),
        };
        self.cpu.run(self.deadline, work).await
    }

    /// Makes every thumbnail of a picture that was probed, and says how long the work took. Its share of the memory is held
    /// for as long as that.
    pub async fn render(
        &self,
        bytes: Arc<Vec<u8>>,
        probe: Option<&Probe>,
        focal_point: Option<FocalPoint>,
        presets: Vec<Preset>,
    ) -> Result<(Rendered, Duration), Unrendered> {
        // What is beyond the limits is refused by the render, too.
        let affordable =
            probe.filter(|probe| probe.estimated_decode_bytes <= self.limits.decode_bytes_max);
        let decoded = match (&self.decoder, affordable) {
            (Some(decoder), Some(probe)) if Codec::of(probe.format).is_some() => {
                Some(self.decoded(&**decoder, Arc::clone(&bytes)).await?)
            }
            _ => None,
        };
        // Taken last: whoever waited for room on the disk with memory in hand could be waited for.
        let share = match affordable {
            Some(probe) => Some(self.budget.share(estimated_bytes(probe, &presets)).await),
            None => None,
        };
        let watch = Watch::default();
        let (late, limits) = (watch.ended(), self.limits.clone());
        let work = move || {
            let _share = share;
            let began = Instant::now();
            let rendered = match decoded {
                None => render(&bytes, focal_point, &presets, &limits, &late)?,
                Some((assembly, decoded)) => {
                    let pixels = assembly.pixels(decoded.reader())?;
                    render_decoded(&bytes, pixels, focal_point, &presets, &limits, &late)?
                }
            };
            Ok::<_, RenderError>((rendered, began.elapsed()))
        };
        Ok(self.cpu.run(self.deadline, work).await??)
    }

    /// Has a picture decoded elsewhere. Yields what was decoded, and how it becomes one picture again.
    async fn decoded(
        &self,
        decoder: &dyn PictureDecoder,
        bytes: Arc<Vec<u8>>,
    ) -> Result<(Assembly, LocalFile), Unrendered> {
        let limits = self.limits.clone();
        let take_apart = move || Still::read(&bytes, &limits);
        let Still { layers, assembly } = self.cpu.run(self.deadline, take_apart).await??;
        let decoded = decoder.decode(layers, self.deadline).await?;
        Ok((assembly, decoded))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use iyagi_media::OutputFormat;

    use super::*;

    /// Noise compresses badly, so that it takes its time: a PNG is stored, and each row is to be read.
    fn picture(side: u32) -> Arc<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(7);
        let pixels: Vec<u8> = (0..3 * side * side).map(|_| random.u8(..)).collect();
        let pixels = image::RgbImage::from_raw(side, side, pixels).expect("as many as needed");
        let mut file = std::io::Cursor::new(Vec::new());
        pixels
            .write_to(&mut file, image::ImageFormat::Png)
            .expect("encodes");
        Arc::new(file.into_inner())
    }

    fn rendering(deadline: Duration) -> Rendering {
        Rendering {
            cpu: CpuPool::new("pixels", 1),
            budget: ByteBudget::new(1 << 30),
            limits: Limits::default(),
            deadline,
            decoder: None,
        }
    }

    /// As a worker does it.
    async fn rendered(
        rendering: &Rendering,
        picture: &Arc<Vec<u8>>,
    ) -> Result<(Rendered, Duration), Unrendered> {
        let foreseen = rendering.look(Arc::clone(picture), None).await?;
        let presets = vec![Preset::new("large", 1080, &[OutputFormat::WebP])];
        let picture = Arc::clone(picture);
        rendering
            .render(picture, foreseen.probe.as_ref(), None, presets)
            .await
    }

    #[tokio::test]
    async fn a_deadline_stops_the_work_and_not_only_the_wait_for_it() {
        let picture = picture(3_000);
        let patient = rendering(Duration::from_mins(5));
        let began = Instant::now();
        assert!(rendered(&patient, &picture).await.is_ok());
        let whole = began.elapsed();
        let hasty = rendering(Duration::from_millis(1));
        let began = Instant::now();
        let presets = vec![Preset::new("large", 1080, &[OutputFormat::WebP])];
        let cut = hasty.render(picture, None, None, presets).await;
        let cut = cut.map(drop).unwrap_err();
        assert!(
            matches!(cut, Unrendered::Work(CpuError::TimedOut { .. })),
            "{cut}"
        );
        while hasty.cpu.busy() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let stopped = began.elapsed();
        assert!(stopped < whole / 2, "{stopped:?} of {whole:?}");
    }

    #[tokio::test]
    async fn what_is_refused_by_its_headers_takes_nothing_from_the_budget() {
        let mut rendering = rendering(Duration::from_mins(5));
        rendering.limits.decode_bytes_max = 1;
        let everything = rendering.budget.share(u64::MAX).await;
        let refused = rendered(&rendering, &picture(16)).await;
        let refused = refused.map(drop).unwrap_err();
        assert!(
            matches!(refused, Unrendered::Picture(RenderError::TooLarge { .. })),
            "{refused}"
        );
        drop(everything);
    }

    #[tokio::test]
    async fn what_linear_light_takes_is_taken_from_the_budget() {
        let mut rendering = rendering(Duration::from_mins(5));
        let picture = picture(64);
        let foreseen = rendering.look(Arc::clone(&picture), None).await;
        let probe = foreseen.expect("looks").probe.expect("a picture");
        let plain = Preset::new("small", 32, &[OutputFormat::Jpeg]);
        let linear = Preset {
            linear: true,
            ..plain.clone()
        };
        let bytes = estimated_bytes(&probe, std::slice::from_ref(&linear));
        rendering.budget = ByteBudget::new(bytes);
        // Room is left for the decode alone.
        let rest = bytes - probe.estimated_decode_bytes;
        let others = rendering.budget.share(rest).await;
        let render = |preset: &Preset| {
            let presets = vec![preset.clone()];
            rendering.render(Arc::clone(&picture), Some(&probe), None, presets)
        };
        assert!(render(&plain).await.is_ok());
        let mut waiting = Box::pin(render(&linear));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(rendering.cpu.busy(), 0, "it takes what others have");
        drop(others);
        assert!(waiting.await.is_ok());
    }
}
