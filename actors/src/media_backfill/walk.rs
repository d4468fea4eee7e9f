//! Every upload that is known, page by page.

use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;

use crate::ports::{MetadataFault, MetadataTable};

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
