//! The picture that a viewer shows: whole or in tiles, with its transparency, as it is to be turned.

use super::Codec;
use super::annex_b::Configuration;
use super::items::{ItemId, Items};
use super::reader::Reader;
use crate::probe::{Colour, Fault, Probe};

/// Names of the properties that are understood, or that change nothing in a small picture.
const UNDERSTOOD: [&[u8; 4]; 14] = [
    b"ispe", b"pixi", b"pasp", b"colr", b"av1C", b"hvcC", b"clap", b"irot", b"imir", b"auxC",
    b"clli", b"mdcv", b"cclv", b"amve",
];
/// What says how tiles lie takes twelve bytes at most.
const GRID_BYTES_MAX: usize = 64;
/// What transparency is called.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
];

/// A picture, none of which is decoded.
pub(super) struct Shown<'a> {
    pub(super) items: Items<'a>,
    pub(super) codec: Codec,
    /// What of it is to be seen, as stored.
    pub(super) window: Window,
    pub(super) colour: Tiles,
    pub(super) alpha: Option<Tiles>,
    /// Whether its colours are multiplied by alpha.
    pub(super) premultiplied: bool,
}

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Coded pictures that together are one, row by row.
pub(super) struct Tiles {
    pub(super) size: (u32, u32),
    pub(super) columns: u32,
    pub(super) items: Vec<ItemId>,
}

/// How numbers are colours (ITU-T H.273), as far as a file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nclx {
    pub(super) primaries: u16,
    pub(super) matrix: u16,
    pub(super) full_range: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn read(file: &'a [u8], codec: Codec) -> Result<Self, Fault> {
        let items = Items::read(file)?;
        let primary = items.primary;
        let size = size_of(&items, primary)?;
        let colour = Tiles::of(&items, codec, primary, size)?;
        let unknown = items
            .properties(primary)
            .any(|(property, essential)| essential && !UNDERSTOOD.contains(&&property.kind));
        if unknown {
            let why = "it is layered or changed in a way that is not understood";
            return Err(Fault::Unsupported(why));
        }
        let window = match items.property(primary, *b"clap") {
            Some(clap) => Window::read(clap, size)
                .ok_or(Fault::Corrupt("what of it is to be seen lies outside"))?,
            None => Window::of_all(size),
        };
        let mut auxiliary = items.referring(primary, *b"auxl");
        let alpha = auxiliary.find(|item| is_alpha(&items, *item));
        let premultiplied =
            alpha.is_some_and(|alpha| items.referred_to(primary, *b"prem").contains(&alpha));
        let alpha = alpha.map(|alpha| {
            let own = size_of(&items, alpha)?;
            if own != size {
                return Err(Fault::Unsupported("its transparency is of another size"));
            }
            Tiles::of(&items, codec, alpha, own)
        });
        let alpha = alpha.transpose()?;
        drop(auxiliary);
        Ok(Self {
            items,
            codec,
            window,
            colour,
            alpha,
            premultiplied,
        })
    }

    pub(super) fn probe(&self, bytes: &[u8]) -> Probe {
        let Window { width, height, .. } = self.window;
        let alpha = self.alpha.is_some();
        let (bits_per_channel, monochrome) = self.samples().unwrap_or((8, false));
        let pixels = u64::from(width) * u64::from(height);
        let samples = pixels.saturating_mul(3 + u64::from(alpha));
        let alphas = self.alpha.iter().flat_map(|tiles| &tiles.items);
        let mut all = self.colour.items.iter().chain(alphas);
        Probe {
            format: self.codec.format(),
            width,
            height,
            frames: 1,
            animated: false,
            bits_per_channel,
            colour: if monochrome {
                Colour::Gray
            } else {
                Colour::Rgb
            },
            alpha,
            orientation: self.orientation(),
            scans: 1,
            profile_bytes: self.profile().map_or(0, |profile| profile.len() as u64),
            complete: all.all(|item| self.items.length(*item).is_some()),
            // What is coded is copied once.
            estimated_decode_bytes: samples.saturating_add(2 * bytes.len() as u64),
        }
    }

    /// Bits of a sample, and whether there are but shades of grey.
    fn samples(&self) -> Option<(u8, bool)> {
        let first = *self.colour.items.first()?;
        let coded = self.items.property(first, self.codec.configuration())?;
        match self.codec {
            Codec::Hevc => Configuration::samples(coded),
            Codec::Av1 => {
                // One bit says that there are more than 8, the next whether 12, the next that there is no chroma.
                let layout = coded.get(2)?;
                let bits = match layout & 0x60 {
                    0x60 => 12,
                    0x40 => 10,
                    _ => 8,
                };
                Some((bits, layout & 0x10 != 0))
            }
        }
    }

    /// What has the same effect in EXIF: first turned, then mirrored (ISO/IEC 23000-22 §7.3.6.7).
    fn orientation(&self) -> u8 {
        let first_byte = |kind| {
            self.items
                .property(self.items.primary, kind)?
                .first()
                .copied()
        };
        let anticlockwise = first_byte(*b"irot").unwrap_or(0) & 3;
        let top_for_bottom = first_byte(*b"imir").map(|axis| axis & 1 == 0);
        match (anticlockwise, top_for_bottom) {
            (0, None) => 1,
            (1, None) => 8,
            (2, None) => 3,
            (_, None) => 6,
            (0, Some(true)) | (2, Some(false)) => 4,
            (0, Some(false)) | (2, Some(true)) => 2,
            (1, Some(true)) | (3, Some(false)) => 5,
            (_, Some(_)) => 7,
        }
    }

    /// The ICC profile.
    pub(super) fn profile(&self) -> Option<&'a [u8]> {
        self.colours().find_map(|(kind, body)| {
            let is_profile = matches!(&kind, b"prof" | b"rICC");
            is_profile.then_some(body)
        })
    }

    pub(super) fn nclx(&self) -> Option<Nclx> {
        let mut colours = self.colours();
        let (_, body) = colours.find(|(kind, _)| kind == b"nclx")?;
        let mut reader = Reader(body);
        let mut number = || reader.number(2).map(|number| number as u16);
        let (primaries, _transfer, matrix) = (number()?, number()?, number()?);
        let full_range = reader.number(1)? >> 7 == 1;
        Some(Nclx {
            primaries,
            matrix,
            full_range,
        })
    }

    /// Kind and body of what is said of colours.
    fn colours(&self) -> impl Iterator<Item = ([u8; 4], &'a [u8])> {
        let properties = self.items.properties(self.items.primary);
        let colours = properties.filter(|(property, _)| property.kind == *b"colr");
        colours.filter_map(|(property, _)| {
            let (kind, body) = property.body.split_first_chunk()?;
            Some((*kind, body))
        })
    }
}

impl Window {
    fn of_all((width, height): (u32, u32)) -> Self {
        Self {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// Four fractions: width, height, and how far its centre lies from that of the picture (ISO/IEC 14496-12 §12.1.4). `None`
    /// if a side does not lie between two pixels, or outside.
    fn read(clap: &[u8], (width, height): (u32, u32)) -> Option<Self> {
        let mut reader = Reader(clap);
        let mut number = || reader.number(4).map(|number| number as i32);
        let mut fraction = || Some((i64::from(number()?), i64::from(number()?)));
        let fractions = [fraction()?, fraction()?, fraction()?, fraction()?];
        if fractions.iter().any(|(_, denominator)| *denominator <= 0) {
            return None;
        }
        let [across, down, right, below] = fractions;
        let side = |(numerator, denominator): (i64, i64), (offset, of): (i64, i64), whole: u32| {
            let length = (numerator % denominator == 0).then(|| numerator / denominator)?;
            // Twice as far, so that a half is a whole number.
            let twice =
                i64::from(whole) - length + (offset * 2 % of == 0).then(|| offset * 2 / of)?;
            let start = (twice % 2 == 0).then_some(twice / 2)?;
            let inside = length > 0 && start >= 0 && start + length <= i64::from(whole);
            inside.then_some((start as u32, length as u32))
        };
        let (left, width) = side(across, right, width)?;
        let (top, height) = side(down, below, height)?;
        Some(Self {
            left,
            top,
            width,
            height,
        })
    }
}

impl Tiles {
    /// Those of a picture of that size.
    fn of(items: &Items<'_>, codec: Codec, item: ItemId, size: (u32, u32)) -> Result<Self, Fault> {
        match items.kind(item) {
            Some(kind) if kind == codec.item() => Ok(Self {
                size,
                columns: 1,
                items: vec![item],
            }),
            Some(kind) if kind == *b"grid" => Self::of_grid(items, codec, item, size),
            _ => Err(Fault::Unsupported(match codec {
                Codec::Av1 => "its picture is not coded as AV1",
                Codec::Hevc => "its picture is not coded as HEVC",
            })),
        }
    }

    fn of_grid(
        items: &Items<'_>,
        codec: Codec,
        grid: ItemId,
        size: (u32, u32),
    ) -> Result<Self, Fault> {
        const WRONG: Fault = Fault::Corrupt("its tiles do not make up its picture");
        let short = items
            .length(grid)
            .filter(|length| *length <= GRID_BYTES_MAX);
        let bytes = short.and_then(|_| items.bytes(grid)).ok_or(WRONG)?;
        let Grid {
            rows,
            columns,
            output,
        } = Grid::read(&bytes).ok_or(WRONG)?;
        let tiles = items.referred_to(grid, *b"dimg");
        let first = *tiles.first().ok_or(WRONG)?;
        let (width, height) = size_of(items, first)?;
        let fills = |tile: u32, count: u32, whole: u32| {
            let (tile, count, whole) = (u64::from(tile), u64::from(count), u64::from(whole));
            tile * count >= whole && tile * (count - 1) < whole
        };
        let alike = tiles.iter().all(|tile| {
            items.kind(*tile) == Some(codec.item())
                && size_of(items, *tile).is_ok_and(|size| size == (width, height))
        });
        let sound = alike
            && output == size
            && tiles.len() == rows as usize * columns as usize
            && fills(width, columns, size.0)
            && fills(height, rows, size.1);
        if !sound {
            return Err(WRONG);
        }
        Ok(Self {
            size: (width, height),
            columns,
            items: tiles.to_vec(),
        })
    }
}

/// What a picture of tiles says of itself.
struct Grid {
    rows: u32,
    columns: u32,
    output: (u32, u32),
}

impl Grid {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [_version, flags, rows, columns] = reader.array()?;
        let side = if flags & 1 == 1 { 4 } else { 2 };
        let mut side = || reader.number(side).map(|side| side as u32);
        Some(Self {
            rows: u32::from(rows) + 1,
            columns: u32::from(columns) + 1,
            output: (side()?, side()?),
        })
    }
}

fn size_of(items: &Items<'_>, item: ItemId) -> Result<(u32, u32), Fault> {
    let ispe = items.property(item, *b"ispe").and_then(|ispe| {
        let mut reader = Reader(ispe.get(4..)?);
        Some((reader.number(4)? as u32, reader.number(4)? as u32))
    });
    ispe.ok_or(Fault::Corrupt("it does not say its size"))
}

fn is_alpha(items: &Items<'_>, item: ItemId) -> bool {
    let kind = items.property(item, *b"auxC");
    kind.and_then(|kind| kind.get(4..))
        .is_some_and(|kind| ALPHA.iter().any(|alpha| kind.starts_with(alpha)))
}
