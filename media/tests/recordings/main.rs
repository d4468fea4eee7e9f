//! What the audio engine promises, on recordings whose truth is known.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its input has failed"
)]

mod content;
mod duplicates;
mod durations;
mod hostile;
mod limits;
mod loudness;
mod sample;
mod sources;
mod waveforms;
