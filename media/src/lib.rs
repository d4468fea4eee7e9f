//! The picture and audio engine of iyagi: bytes in, bytes and facts out.
//!
//! Uploads are hostile until shown otherwise, so a picture is read in two steps. [`probe()`] walks
//! its headers, without decoding and without believing a size it has not compared with [`Limits`].
//! [`render()`] then decodes it once and makes every thumbnail of every [`Preset`] from that decode.
//! [`sniff`] alone says what any file is, by its content and never by its name.
//!
//! There is no actor, store, clock or thread here. A deadline enters as a closure that says whether
//! to go on, and what a job may cost is known beforehand as [`Probe::estimated_decode_bytes`].
//!
//! # Layout
//!
//! - `format`: what a file is, from its first bytes
//! - `probe`: what a picture claims, from its headers; one file a format
//! - `limits`: what a picture may cost
//! - `decode`: from a file to pixels
//! - `raster`: pixels, and the loops over them
//! - `resize`: from one decode to every size
//! - `encode`: from pixels to a file
//! - `render`: all of it, in order
//! - [`audio`]: recordings, in one pass

pub mod audio;
mod decode;
mod encode;
mod error;
mod format;
mod limits;
mod probe;
mod raster;
mod render;
mod resize;

pub use encode::{OutputFormat, Preset, PresetError};
pub use error::{ProbeError, RenderError};
pub use format::{Format, sniff};
pub use limits::{Limits, Quantity};
pub use probe::{Colour, Probe, probe};
pub use render::{Facts, Rendered, Variant, render};
