//! The fast path of the commonest upload: a JPEG, baseline or progressive, read at a fraction of its
//! size and kept as the planes of luma and chroma that it is made of.
//!
//! Most of a photograph's coefficients describe detail that no thumbnail shows. They cannot be
//! jumped over in the file, but they need not be stored, transformed, converted to another colour
//! space or resized away. What is made of a JPEG is mostly a JPEG again, so luma and chroma are
//! never turned into red, green and blue on the way.
//!
//! Nothing here panics on any file, and each piece of work is bounded by a size that was admitted
//! before. What this decoder does not do is [`Refusal::Unsupported`], and for another to try.
//!
//! # Layout
//!
//! - `segment`: what stands between the scans: sizes, tables, intervals
//! - `huffman`: codes to run and value, by table
//! - `bits`: the entropy-coded bytes as bits
//! - `component`: how large each plane is made
//! - `units`: the way through a scan, from one restart marker to the next
//! - `scan`: from bits to planes
//! - `progressive`: from bits to planes by way of coefficients, scan by scan
//! - `encoder`: from planes to a file
//! - `kernels`: the transforms, in plain Rust and in vector instructions

#![allow(
    clippy::inline_always,
    reason = "steps of the loops over every coefficient; calls would cost more than they do"
)]

mod bits;
mod component;
mod encoder;
mod huffman;
mod kernels;
mod progressive;
mod scan;
mod segment;
mod units;

pub(crate) use encoder::encode;

use crate::planes::Planes;
use component::Component;
use progressive::Progressive;
use segment::{ScanHeader, Segment, Tables};

/// Why a file was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is a valid kind of JPEG, but not one that this decoder is for.
    Unsupported,
    /// It is damaged: the first thing found wrong.
    Corrupt(&'static str),
    /// The caller wants no more of it.
    Cancelled,
}

/// Coefficients in the order of the file: where in a block of eight by eight each one belongs.
const NATURAL_ORDER: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Decodes a JPEG, grey or of luma and chroma, at the smallest of 1/8, 1/4, 1/2 and 1/1
/// that a picture of `needed` (width and height as stored) can be made from without a visible loss,
/// and each plane for itself: chroma at least half of `needed`, since nothing is made that has more.
///
/// `size` is what the probe found. `cancel` is asked before each row of blocks.
pub(crate) fn decode(
    bytes: &[u8],
    size: (u32, u32),
    needed: (u32, u32),
    cancel: &dyn Fn() -> bool,
) -> Result<Planes, Refusal> {
    let mut tables = Tables::default();
    let mut picture: Option<Picture> = None;
    let mut rest = bytes
        .strip_prefix(&[0xff, 0xd8])
        .ok_or(Refusal::Corrupt("it does not begin like a JPEG"))?;
    loop {
        let (segment, after) = segment::next(rest)?;
        rest = after;
        match segment {
            Segment::Frame(_) if picture.is_some() => {
                return Err(Refusal::Corrupt("it says its size twice"));
            }
            Segment::Frame(frame) => {
                // A file that two readers understand differently is one made to get past the first.
                if (u32::from(frame.width), u32::from(frame.height)) != size {
                    return Err(Refusal::Corrupt("it says its size twice, and differently"));
                }
                let components = Component::each(&frame, needed);
                let progressive = frame
                    .progressive
                    .then(|| Progressive::new(rest, &components));
                picture = Some(Picture {
                    width: frame.width,
                    height: frame.height,
                    progressive: progressive.transpose()?,
                    components,
                });
            }
            Segment::QuantisationTables(payload) => tables.read_quantisation(payload)?,
            Segment::HuffmanTables(payload) => tables.read_huffman(payload)?,
            Segment::RestartInterval(mcus) => tables.restart_interval = mcus,
            Segment::Adobe { transform } => tables.adobe_transform = Some(transform),
            Segment::Jfif => tables.jfif = true,
            Segment::Scan(header) => {
                let picture = picture
                    .as_mut()
                    .ok_or(Refusal::Corrupt("its pixels come before its size"))?;
                if !tables.luma_and_chroma(&picture.components) {
                    return Err(Refusal::Unsupported);
                }
                rest = picture.read_scan(rest, &header, &tables, cancel)?;
                if picture.complete() {
                    break;
                }
            }
            Segment::End => return Err(Refusal::Corrupt("it ends before all its colours")),
            Segment::Other => {}
        }
    }
    let picture = picture.expect("a scan was read, and only after a frame");
    picture.into_planes(cancel)
}

/// What is known of the picture once its frame header is read.
struct Picture {
    width: u16,
    height: u16,
    components: Vec<Component>,
    /// None if its planes are made while it is read.
    progressive: Option<Progressive>,
}

impl Picture {
    /// Reads one scan; returns what follows it.
    fn read_scan<'a>(
        &mut self,
        bytes: &'a [u8],
        header: &ScanHeader,
        tables: &Tables<'_>,
        cancel: &dyn Fn() -> bool,
    ) -> Result<&'a [u8], Refusal> {
        match &mut self.progressive {
            Some(progressive) => progressive.read(bytes, header, tables, &self.components, cancel),
            None => scan::read(bytes, header, tables, &mut self.components, cancel),
        }
    }

    fn complete(&self) -> bool {
        match &self.progressive {
            Some(progressive) => progressive.complete(),
            None => self.components.iter().all(|component| component.complete),
        }
    }

    fn into_planes(mut self, cancel: &dyn Fn() -> bool) -> Result<Planes, Refusal> {
        if let Some(progressive) = self.progressive {
            progressive.transform(&mut self.components, cancel)?;
        }
        let size = (u32::from(self.width), u32::from(self.height));
        let mut planes = self.components.into_iter().map(Component::into_plane);
        let luma = planes.next().expect("a frame has a component");
        let chroma = planes.next().zip(planes.next());
        Ok(Planes::of(
            size,
            luma,
            chroma.map(|(blue, red)| [blue, red]),
        ))
    }
}

#[cfg(test)]
mod tests;
