//! What the table holds of one object.

use iyagi_messages::media::{Derived, MetadataItem};
use serde::de::DeserializeOwned;

use crate::aws::dynamodb::attributes::{Item, text_of};
use crate::aws::dynamodb::definitions::metadata::KEY;
use crate::aws::dynamodb::document::from_document;
use crate::aws::dynamodb::fault::TableFault;

/// The latest write, without what was derived from it, as a document.
pub(super) const ITEM: &str = "item";
/// Its sequencer, sortable.
pub(super) const ITEM_SEQUENCE: &str = "item_sequence";
/// What was derived latest, thumbnails or what a recording is, as a document. Older than the item they count as none: an update cannot remove them on a
/// condition of their own.
pub(super) const THUMBNAILS: &str = "thumbnails";
/// Their sequencer, sortable.
pub(super) const THUMBNAILS_SEQUENCE: &str = "thumbnails_sequence";
/// The latest removal's sequencer, sortable. Item and thumbnails are always later.
pub(super) const REMOVED_SEQUENCE: &str = "removed_sequence";

/// The item as readers see it, if there is one.
pub(super) fn item_of(table: &str, entry: &Item) -> Result<Option<MetadataItem>, TableFault> {
    let Some(item) = part::<MetadataItem>(table, entry, ITEM)? else {
        return Ok(None);
    };
    Ok(Some(item.with_derived(derived_of(table, entry)?)))
}

/// What was derived, as readers see it, whether or not its item is there yet.
pub(super) fn derived_of(table: &str, entry: &Item) -> Result<Option<Derived>, TableFault> {
    let made = text_of(entry, THUMBNAILS_SEQUENCE);
    if made < text_of(entry, ITEM_SEQUENCE) {
        return Ok(None);
    }
    part(table, entry, THUMBNAILS)
}

fn part<T: DeserializeOwned>(
    table: &str,
    entry: &Item,
    name: &str,
) -> Result<Option<T>, TableFault> {
    let Some(document) = entry.get(name) else {
        return Ok(None);
    };
    from_document(document)
        .map(Some)
        .map_err(|fault| TableFault::Corrupt {
            table: table.to_owned(),
            key: text_of(entry, KEY).unwrap_or_default().to_owned(),
            detail: format!("`{name}`: {fault}"),
        })
}
