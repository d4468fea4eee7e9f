//! Every picture that is known, page by page, and which of them lack what.

use iyagi_media::Preset;
use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;

use crate::ports::{MetadataFault, MetadataTable};
use crate::thumbnail_worker::derived_key;

/// Items of one page: few enough to be gone through while an operator waits for a pause.
const PAGE: u32 = 100;

/// The next items under the prefixes behind a key; none if that was the last one.
pub(super) async fn page(
    table: &dyn MetadataTable,
    prefixes: &[String],
    after: Option<&ObjectKey>,
) -> Result<Vec<MetadataItem>, MetadataFault> {
    for prefix in ordered(prefixes) {
        let behind = match after {
            Some(after) if after.as_str().starts_with(prefix) => Some(after),
            // All under this prefix comes before it.
            Some(after) if after.as_str() > prefix => continue,
            _ => None,
        };
        let found = table.list(prefix, behind, PAGE).await?;
        if !found.items.is_empty() {
            return Ok(found.items);
        }
    }
    Ok(Vec::new())
}

/// The prefixes in the order of their keys, without those that lie in another one.
fn ordered(prefixes: &[String]) -> Vec<&str> {
    let mut all: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    all.sort_unstable();
    let mut ordered: Vec<&str> = Vec::new();
    for prefix in all {
        if ordered.last().is_none_or(|last| !prefix.starts_with(last)) {
            ordered.push(prefix);
        }
    }
    ordered
}

/// Whether an item is of a picture that thumbnails can be made of.
pub(super) fn is_picture(item: &MetadataItem) -> bool {
    item.content_type.starts_with("image/") && item.defect.is_none() && item.sha256.is_some()
}

/// Whether a picture lacks a file of a preset as it is now.
///
/// Where a crop keeps a point that the uploader named, the item does not tell which, so the picture counts as lacking;
/// whoever is offered it finds the file and makes nothing.
pub(super) fn lacks(item: &MetadataItem, preset: &Preset) -> bool {
    let Some(sha256) = &item.sha256 else {
        return false;
    };
    let made = item.thumbnails.as_ref().map(|made| &made.variants[..]);
    let made = made.unwrap_or_default();
    preset.formats.iter().any(|format| {
        let key = derived_key(sha256, preset, *format, None);
        made.iter().all(|variant| variant.key != key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_within_another_is_not_gone_through_twice() {
        let prefixes = ["profile/", "posts/", "posts/1/"].map(str::to_owned);
        assert_eq!(ordered(&prefixes), ["posts/", "profile/"]);
        assert_eq!(ordered(&[String::new(), "posts/".to_owned()]), [""]);
    }
}
