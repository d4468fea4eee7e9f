//! The picture and audio engine of iyagi: bytes in, bytes and facts out.
//!
//! Uploads are hostile until shown otherwise, so a picture is read in two steps. [`probe()`] walks
//! its headers, without decoding and without believing a size it has not compared with [`Limits`].
//! [`render()`] then decodes it once and makes every thumbnail of every [`Preset`] from that decode.
//! [`sniff`] alone says what any file is, by its content and never by its name.
//!
//! There is no actor, store, clock or thread here. A deadline enters as a closure that says whether
//! to go on, and what a job may cost is known beforehand by [`estimated_bytes`].
//!
//! # Layout
//!
//! - `format`: what a file is, from its first bytes
//! - `probe`: what a picture claims, from its headers; one file a format
//! - `limits`: what a picture may cost
//! - `preset`: what is asked for
//! - `decode`: from a file to a picture, and `jpeg` and `png`: the same for the commonest files, faster
//! - `libwebp`: the same for WebP, by a library in C
//! - [`heif`]: AVIF, but for what is coded in it
//! - `inks`: from a JPEG of inks to their amounts
//! - `colour`: from the colours of a file to sRGB, and `recolour`: the same without leaving planes
//! - `picture`: what lies between two files, as pixels (`raster`) or as `planes`
//! - `ycbcr`: from colours to luma and chroma, and back
//! - `resize`: from one decode to every size, by the filter of `lanczos`; `shrink`: while it is decoded
//! - `linear`: the same in linear light
//! - `crop`, `interest`: which part of it is shown
//! - `digest`: what bytes are known by
//! - `placeholder`: what is shown until then
//! - `encode`, `animation`: from pixels to a file
//! - `render`: all of it, in order
//! - [`audio`]: recordings, in one pass
//! - `iso_media`: the boxes that recordings and pictures of phones are made of

mod animation;
pub mod audio;
mod colour;
mod crop;
mod decode;
mod digest;
mod encode;
mod error;
mod format;
pub mod heif;
mod inks;
mod interest;
mod iso_media;
mod jpeg;
mod lanczos;
mod libwebp;
mod limits;
mod linear;
mod picture;
mod placeholder;
mod planes;
mod png;
mod preset;
mod probe;
mod raster;
mod recolour;
mod render;
mod resize;
mod shrink;
mod ycbcr;

pub use colour::Profile;
pub use digest::{hexadecimal, sha256};
pub use error::{ProbeError, RenderError};
pub use format::{Format, SNIFF_BYTES, sniff};
pub use limits::{Limits, Quantity};
pub use placeholder::blurred;
pub use preset::{
    Crop, ENGINE_VERSION, Fit, FocalPoint, FocalPointError, OutputFormat, Preset, PresetError,
};
pub use probe::{Colour, Probe, probe};
pub use render::{Facts, Rendered, Variant, estimated_bytes, render, render_decoded};
