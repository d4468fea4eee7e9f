//! A picture as the page shows it: one of its thumbnails, and what phones show until that is there.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use iyagi_messages::media::{Thumbnails, Variant};

use super::{Derived, href};
use crate::http::dashboard::text;

/// Width of the square that a thumbnail is shown in, in pixels of a screen with two for each.
const SHOWN_WIDTH: u32 = 480;
/// Squares of a placeholder.
const TILES_ACROSS: usize = 8;
const TILES_DOWN: usize = 6;

pub(super) struct Picture {
    pub(super) shown: String,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Mean colour, `#rrggbb`.
    pub(super) colour: String,
    /// What phones show until a thumbnail is there, as far as it is known.
    pub(super) placeholder: Vec<Tile>,
    pub(super) rendered_in: Option<String>,
    pub(super) variants: Vec<Derived>,
}

/// A part of a placeholder.
pub(super) struct Tile {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) colour: String,
}

impl Picture {
    /// Shows the smallest that fills its place, or else the largest; nothing if there is none.
    pub(super) fn of(thumbnails: &Thumbnails) -> Option<Self> {
        let variants = &thumbnails.variants;
        let rank = |variant: &&Variant| {
            let short = variant.width < SHOWN_WIDTH;
            (short, variant.width.abs_diff(SHOWN_WIDTH), variant.size)
        };
        let shown = variants.iter().min_by_key(rank)?;
        let derived = variants.iter().map(|variant| Derived {
            name: format!("{} {}", variant.preset, short(&variant.content_type)),
            href: href(&variant.key),
            facts: format!(
                "{} × {}, {}",
                variant.width,
                variant.height,
                text::bytes(variant.size)
            ),
        });
        Some(Self {
            shown: href(&shown.key),
            width: shown.width,
            height: shown.height,
            colour: thumbnails.dominant_colour.clone(),
            placeholder: thumbnails
                .placeholder
                .as_deref()
                .map_or_else(Vec::new, tiles),
            rendered_in: thumbnails.rendered_in_ms.map(text::span),
            variants: derived.collect(),
        })
    }
}

/// The blurred picture of a `ThumbHash` as squares; a foreign one is left blank.
fn tiles(base64: &str) -> Vec<Tile> {
    let hash = BASE64_STANDARD.decode(base64).unwrap_or_default();
    let colours = iyagi_media::blurred(&hash, TILES_ACROSS, TILES_DOWN).unwrap_or_default();
    let tiles = colours.into_iter().enumerate().map(|(place, colour)| {
        let [red, green, blue] = colour;
        Tile {
            x: place % TILES_ACROSS,
            y: place / TILES_ACROSS,
            colour: format!("#{red:02x}{green:02x}{blue:02x}"),
        }
    });
    tiles.collect()
}

/// A media type without its family.
fn short(content_type: &str) -> &str {
    content_type.rsplit('/').next().unwrap_or(content_type)
}
