//! What the picture engine promises, on pictures made for the purpose.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its input has failed"
)]

mod baseline;
mod colour;
mod content;
mod hostile;
mod limits;
mod orientation;
mod presets;
mod privacy;
mod quality;
mod sample;
#[expect(dead_code, reason = "a baseline file has more convenient writers")]
mod scans;
mod ssim;
