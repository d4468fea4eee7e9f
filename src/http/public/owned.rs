//! The files of one person: those under `profile/<person>/` and `uploads/<person>/`. What belongs to a post is its maker's, but
//! lies under the post.

use iyagi_actors::ports::{MetadataFault, MetadataPage, MetadataTable};
use iyagi_messages::object::ObjectKey;

use crate::http::problem::Problem;

/// In order of key, so that pages go on from one to the next.
const ROOTS: [&str; 2] = ["profile/", "uploads/"];

/// The prefixes of a person's files, as far as they lie under `prefix`.
pub(super) fn prefixes(owner: &str, prefix: &str) -> Result<Vec<String>, Problem> {
    if owner.is_empty() || owner.contains('/') {
        let detail =
            "`owner` is the id of a person, and no key has one that is empty or has a slash";
        return Err(Problem::invalid("owner", detail));
    }
    let roots = ROOTS.map(|root| format!("{root}{owner}/"));
    let narrowed = roots.into_iter().filter_map(|root| {
        if prefix.starts_with(&root) {
            Some(prefix.to_owned())
        } else {
            root.starts_with(prefix).then_some(root)
        }
    });
    Ok(narrowed.collect())
}

/// At most `limit` items behind `after`, under these prefixes, which are in order and apart.
pub(super) async fn page(
    table: &dyn MetadataTable,
    prefixes: &[String],
    after: Option<&ObjectKey>,
    limit: u32,
) -> Result<MetadataPage, MetadataFault> {
    let mut all = MetadataPage {
        items: Vec::new(),
        next: None,
    };
    for prefix in prefixes {
        let after = after.filter(|after| after.as_str() > prefix.as_str());
        if after.is_some_and(|after| !after.as_str().starts_with(prefix)) {
            // An earlier page was past it.
            continue;
        }
        let left = limit - all.items.len() as u32;
        if left == 0 {
            all.next = all.items.last().map(|item| item.key.clone());
            break;
        }
        let page = table.list(prefix, after, left).await?;
        all.items.extend(page.items);
        all.next = page.next;
        if all.next.is_some() {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_person_lie_under_two_prefixes_and_under_no_longer_name() {
        let under = |prefix| prefixes("minji", prefix).expect("a person");
        assert_eq!(under(""), ["profile/minji/", "uploads/minji/"]);
        assert_eq!(under("uploads/"), ["uploads/minji/"]);
        assert_eq!(under("uploads/minji/2026/"), ["uploads/minji/2026/"]);
        assert_eq!(under("uploads/min"), ["uploads/minji/"]);
        assert!(under("uploads/minjiwoo/").is_empty());
        assert!(under("posts/").is_empty());
        for nobody in ["", "a/b", "/"] {
            assert!(prefixes(nobody, "").is_err(), "{nobody}");
        }
    }
}
