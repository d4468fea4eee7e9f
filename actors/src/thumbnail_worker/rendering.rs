//! The work on pixels: within the budget of memory, within its time, away from the actors' threads.

use std::sync::Arc;
use std::time::Duration;

use iyagi_media::{FocalPoint, Limits, Preset, RenderError, Rendered, probe, render, sha256};

use crate::media_job::{DecodeBudget, Watch};
use crate::runtime::{CpuError, CpuPool};

/// Where pixels are computed, and what that may cost.
#[derive(Clone)]
pub struct Rendering {
    /// The threads.
    pub cpu: CpuPool,
    /// The memory of all decodes.
    pub budget: DecodeBudget,
    /// What is not even decoded.
    pub limits: Limits,
    /// How long one picture may take, from when a thread is free for it.
    pub deadline: Duration,
}

/// Why a picture was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum Unrendered {
    /// It cannot be.
    #[error(transparent)]
    Picture(#[from] RenderError),
    /// The work did not come to its end.
    #[error(transparent)]
    Work(#[from] CpuError),
}

impl Rendering {
    /// SHA-256 of the bytes, hexadecimal.
    pub async fn digest(&self, bytes: Arc<Vec<u8>>) -> Result<String, CpuError> {
        self.cpu.run(self.deadline, move || sha256(&bytes)).await
    }

    /// Makes every thumbnail of a picture. Its share of the memory is held for as long as the work really takes.
    pub async fn render(
        &self,
        bytes: Arc<Vec<u8>>,
        focal_point: Option<FocalPoint>,
        presets: Vec<Preset>,
    ) -> Result<Rendered, Unrendered> {
        // What cannot be probed, or is beyond the limits, is refused by the render before it takes any memory.
        let foreseen = probe(&bytes).map_or(0, |probe| probe.estimated_decode_bytes);
        let share = if foreseen > self.limits.decode_bytes_max {
            None
        } else {
            Some(self.budget.share(foreseen).await)
        };
        let watch = Watch::default();
        let (late, limits) = (watch.ended(), self.limits.clone());
        let work = move || {
            let _share = share;
            render(&bytes, focal_point, &presets, &limits, &late)
        };
        Ok(self.cpu.run(self.deadline, work).await??)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

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
            budget: DecodeBudget::new(1 << 30),
            limits: Limits::default(),
            deadline,
        }
    }

    fn presets() -> Vec<Preset> {
        vec![Preset::new("large", 1080, &[OutputFormat::WebP])]
    }

    #[tokio::test]
    async fn a_deadline_stops_the_work_and_not_only_the_wait_for_it() {
        let picture = picture(3_000);
        let patient = rendering(Duration::from_mins(5));
        let began = Instant::now();
        let whole = patient.render(Arc::clone(&picture), None, presets()).await;
        assert!(whole.is_ok());
        let whole = began.elapsed();
        let hasty = rendering(Duration::from_millis(1));
        let began = Instant::now();
        let cut = hasty.render(picture, None, presets()).await;
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
        let refused = rendering.render(picture(16), None, presets()).await;
        let refused = refused.map(drop).unwrap_err();
        assert!(
            matches!(refused, Unrendered::Picture(RenderError::TooLarge { .. })),
            "{refused}"
        );
        drop(everything);
    }
}
