//! What a HEIF says of the pictures in it: items, their properties, how they belong together, and where their bytes lie
//! (ISO/IEC 14496-12 §8.11, ISO/IEC 23008-12 §6 and §9.3).

use std::borrow::Cow;

use super::reader::Reader;
use crate::iso_media::{boxes, child};
use crate::probe::Fault;

/// Of a picture of 256 tiles, each with something beside it, and some more.
const ITEMS_MAX: usize = 1_024;
/// Of everything else that is said of items, of each kind: several times what a picture of so many tiles has. An entry can
/// take no bytes in the file, and some here.
const ENTRIES_MAX: usize = 16 * ITEMS_MAX;

/// A picture, a part of one, or something that belongs to one.
pub(super) type ItemId = u32;

/// Everything that is said of items.
pub(super) struct Items<'a> {
    file: &'a [u8],
    /// The one that a viewer shows.
    pub(super) primary: ItemId,
    kinds: Vec<(ItemId, [u8; 4])>,
    properties: Vec<Property<'a>>,
    associations: Vec<Association>,
    references: Vec<Reference>,
    locations: Vec<Location>,
    /// Bytes of small items.
    idat: &'a [u8],
}

/// Something that holds for one item or several.
#[derive(Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
}

struct Association {
    item: ItemId,
    /// Among all properties.
    at: usize,
    /// Whether who does not know the property cannot show the item.
    essential: bool,
}

struct Reference {
    kind: [u8; 4],
    from: ItemId,
    to: Vec<ItemId>,
}

struct Location {
    item: ItemId,
    in_idat: bool,
    base: u64,
    /// Where each piece begins, and its length; 0 for all that follows.
    extents: Vec<(u64, u64)>,
}

impl<'a> Items<'a> {
    pub(super) fn read(file: &'a [u8]) -> Result<Self, Fault> {
        let corrupt = Fault::Corrupt("what it says of its pictures is cut short or invalid");
        let meta = child(file, *b"meta").ok_or(Fault::Unsupported("it has no still picture"))?;
        // A full box: version and flags come first.
        let meta = meta.get(4..).unwrap_or_default();
        Self::of_meta(file, meta).ok_or(corrupt)
    }

    fn of_meta(file: &'a [u8], meta: &'a [u8]) -> Option<Self> {
        let kinds = kinds_in(child(meta, *b"iinf")?)?;
        let primary = match (child(meta, *b"pitm"), &kinds[..]) {
            (Some(pitm), _) => {
                let (version, mut pitm) = full_box(pitm)?;
                item_id(&mut pitm, version > 0)?
            }
            // Some writers of sequences do not say it.
            (None, [(only, _)]) => *only,
            (None, _) => return None,
        };
        let iprp = child(meta, *b"iprp")?;
        let properties = boxes(child(iprp, *b"ipco")?).map(|(kind, body)| Property { kind, body });
        let mut associations = Vec::new();
        for (_, body) in boxes(iprp).filter(|(kind, _)| kind == b"ipma") {
            associate(body, &mut associations)?;
        }
        Some(Self {
            file,
            primary,
            kinds,
            properties: properties.take(ITEMS_MAX).collect(),
            associations,
            references: child(meta, *b"iref").map_or(Some(Vec::new()), references_in)?,
            locations: locations_in(child(meta, *b"iloc")?)?,
            idat: child(meta, *b"idat").unwrap_or_default(),
        })
    }

    /// Four characters that name what it is.
    pub(super) fn kind(&self, item: ItemId) -> Option<[u8; 4]> {
        let mut kinds = self.kinds.iter();
        kinds.find(|(id, _)| *id == item).map(|(_, kind)| *kind)
    }

    /// What holds for an item, in order, and whether it is essential.
    pub(super) fn properties(&self, item: ItemId) -> impl Iterator<Item = (Property<'a>, bool)> {
        let of_item = self.associations.iter().filter(move |one| one.item == item);
        of_item.filter_map(|one| Some((*self.properties.get(one.at)?, one.essential)))
    }

    /// The first property of a kind.
    pub(super) fn property(&self, item: ItemId, kind: [u8; 4]) -> Option<&'a [u8]> {
        let mut properties = self.properties(item);
        let found = properties.find(|(property, _)| property.kind == kind);
        found.map(|(property, _)| property.body)
    }

    /// Items that an item refers to.
    pub(super) fn referred_to(&self, from: ItemId, kind: [u8; 4]) -> &[ItemId] {
        let mut references = self.references.iter();
        let found = references.find(|one| one.from == from && one.kind == kind);
        found.map_or(&[], |one| &one.to)
    }

    /// Items that refer to an item.
    pub(super) fn referring(&self, to: ItemId, kind: [u8; 4]) -> impl Iterator<Item = ItemId> {
        let references = self.references.iter();
        let found = references.filter(move |one| one.kind == kind && one.to.contains(&to));
        found.map(|one| one.from)
    }

    /// How many bytes an item has; `None` if not all of them are in the file. They may be the same ones again and again.
    pub(super) fn length(&self, item: ItemId) -> Option<usize> {
        let mut pieces = self.pieces(item)?;
        pieces.try_fold(0_usize, |length, piece| length.checked_add(piece?.len()))
    }

    /// The bytes of an item, the [`length`](Self::length) of which is within bounds.
    pub(super) fn bytes(&self, item: ItemId) -> Option<Cow<'a, [u8]>> {
        let mut pieces = self.pieces(item)?;
        let mut bytes = Cow::Borrowed(pieces.next()??);
        for piece in pieces {
            bytes.to_mut().extend_from_slice(piece?);
        }
        Some(bytes)
    }

    /// Where the bytes of an item lie; `None` for a piece that does not lie in the file.
    fn pieces(&self, item: ItemId) -> Option<impl Iterator<Item = Option<&'a [u8]>>> {
        let mut locations = self.locations.iter();
        let location = locations.find(|location| location.item == item)?;
        let place = if location.in_idat {
            self.idat
        } else {
            self.file
        };
        Some(location.extents.iter().map(move |&(offset, length)| {
            let start = usize::try_from(location.base.checked_add(offset)?).ok()?;
            let rest = place.get(start..)?;
            match usize::try_from(length).ok()? {
                0 => Some(rest),
                length => rest.get(..length),
            }
        }))
    }
}

/// Version and body of a box that has a version.
fn full_box(body: &[u8]) -> Option<(u8, Reader<'_>)> {
    let mut reader = Reader(body);
    let [version, _, _, _] = reader.array()?;
    Some((version, reader))
}

fn item_id(reader: &mut Reader<'_>, wide: bool) -> Option<ItemId> {
    reader.number(if wide { 4 } else { 2 }).map(|id| id as u32)
}

/// What each item is. Items of early versions have no such name, and are no pictures.
fn kinds_in(iinf: &[u8]) -> Option<Vec<(ItemId, [u8; 4])>> {
    let (version, mut reader) = full_box(iinf)?;
    reader.number(if version == 0 { 2 } else { 4 })?;
    let entries = boxes(reader.0).filter(|(kind, _)| kind == b"infe");
    let kinds = entries.take(ITEMS_MAX).filter_map(|(_, infe)| {
        let (version, mut reader) = full_box(infe).filter(|(version, _)| *version >= 2)?;
        let item = item_id(&mut reader, version > 2)?;
        let _protection = reader.number(2)?;
        Some((item, reader.array()?))
    });
    Some(kinds.collect())
}

fn associate(ipma: &[u8], all: &mut Vec<Association>) -> Option<()> {
    let mut head = Reader(ipma);
    let [version, _, _, flags] = head.array()?;
    let wide = flags & 1 == 1;
    for _ in 0..head.number(4)?.min(ITEMS_MAX as u64) {
        let item = item_id(&mut head, version > 0)?;
        for _ in 0..head.number(1)? {
            let (bits, entry) = if wide {
                (15, head.number(2)?)
            } else {
                (7, head.number(1)?)
            };
            // Counted from one; 0 is none.
            let at = (entry & ((1 << bits) - 1)).checked_sub(1);
            all.extend(at.map(|at| Association {
                item,
                at: at as usize,
                essential: entry >> bits == 1,
            }));
        }
    }
    (all.len() <= ENTRIES_MAX).then_some(())
}

fn references_in(iref: &[u8]) -> Option<Vec<Reference>> {
    let (version, reader) = full_box(iref)?;
    let references = boxes(reader.0).take(ITEMS_MAX).map(|(kind, body)| {
        let mut reader = Reader(body);
        let from = item_id(&mut reader, version > 0)?;
        let count = reader.number(2)?.min(ITEMS_MAX as u64);
        let to = (0..count).map(|_| item_id(&mut reader, version > 0));
        let to = to.collect::<Option<_>>()?;
        Some(Reference { kind, from, to })
    });
    references.collect()
}

fn locations_in(iloc: &[u8]) -> Option<Vec<Location>> {
    let (version, mut reader) = full_box(iloc)?;
    let [sizes, more_sizes] = reader.array()?;
    let (offset_size, length_size) = (sizes >> 4, sizes & 15);
    let (base_size, index_size) = (more_sizes >> 4, more_sizes & 15);
    let wide = version == 2;
    let count = reader.number(if wide { 4 } else { 2 })?;
    let mut all = Vec::new();
    let mut entries = 0;
    for _ in 0..count.min(ITEMS_MAX as u64) {
        let item = item_id(&mut reader, wide)?;
        let method = if version == 0 {
            0
        } else {
            reader.number(2)? & 15
        };
        let _other_file = reader.number(2)?;
        let base = reader.number(base_size)?;
        let count = reader.number(2)?;
        entries += count as usize;
        if entries > ENTRIES_MAX {
            return None;
        }
        let extents = (0..count).map(|_| {
            if version > 0 {
                reader.number(index_size)?;
            }
            Some((reader.number(offset_size)?, reader.number(length_size)?))
        });
        let extents = extents.collect::<Option<Vec<_>>>()?;
        // Made of other items, by the third method, is nothing that is looked for.
        if method <= 1 {
            all.push(Location {
                item,
                in_idat: method == 1,
                base,
                extents,
            });
        }
    }
    Some(all)
}
