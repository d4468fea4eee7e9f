//! Where an object's item lies, and where the items under a prefix are found.
//!
//! A table's partition takes a thousand writes a second, and a listing in order of key is a query of one partition. So
//! keys are spread over a fixed number of shards, by their first two segments: all files of one person
//! (`profile/<person>/…`) or one post lie in one shard in order, which is what is listed most; whatever else is listed is
//! the merge of a query per shard, never a scan. Two first segments alone, such as `profile/`, would be one hot partition.

use std::iter;

use iyagi_messages::object::{KEY_BYTES_MAX, ObjectKey};
use sha2::{Digest, Sha256};

/// How many shards there are. It cannot change without moving every item.
const SHARDS: u8 = 16;
/// How many segments of a key decide on its shard.
const SEGMENTS: usize = 2;

/// A partition of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard(u8);

impl Shard {
    /// The shard of a key.
    pub(super) fn of(key: &ObjectKey) -> Self {
        let key = key.as_str();
        Self::of_group(group(key).unwrap_or(key))
    }

    /// The shards that hold keys under a prefix.
    pub(super) fn under(prefix: &str) -> Vec<Self> {
        match group(prefix) {
            Some(group) => vec![Self::of_group(group)],
            None => (0..SHARDS).map(Self).collect(),
        }
    }

    fn of_group(group: &str) -> Self {
        let digest = Sha256::digest(group.as_bytes());
        Self(digest[0] % SHARDS)
    }

    /// The value of the partition key.
    pub(super) fn name(self) -> String {
        format!("{:02x}", self.0)
    }
}

/// What decides on the shard of every key that begins with `text`; nothing if that is still open.
fn group(text: &str) -> Option<&str> {
    let (at, _) = text.match_indices('/').nth(SEGMENTS - 1)?;
    Some(&text[..at])
}

/// Keys from one to another, both included: the smallest range of sort keys around what is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    /// Nothing: from the first.
    pub(super) from: Option<String>,
    /// Nothing: to the last.
    pub(super) to: Option<String>,
}

impl KeyRange {
    /// The range around the keys under `prefix` behind `after`; nothing if there can be none.
    pub(super) fn around(prefix: &str, after: Option<&ObjectKey>) -> Option<Self> {
        if prefix.len() > KEY_BYTES_MAX {
            return None;
        }
        let from = after.map_or(prefix, |after| after.as_str().max(prefix));
        let to = match prefix.len() {
            0 => None,
            // Only the prefix itself can be a key.
            KEY_BYTES_MAX => Some(prefix.to_owned()),
            _ => successor(prefix),
        };
        if to.as_deref().is_some_and(|to| from > to) {
            return None;
        }
        Some(Self {
            // A condition on a key must not be empty.
            from: Some(from.to_owned()).filter(|from| !from.is_empty()),
            to,
        })
    }
}

/// The first text behind all that begin with `prefix`; nothing if there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        // What lies between is no character.
        if let Some(next) = (last..=char::MAX).nth(1) {
            return Some(head.chars().chain(iter::once(next)).collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> ObjectKey {
        ObjectKey::new(text).expect("valid")
    }

    /// Few characters, so that prefixes meet keys, and the edges of UTF-8.
    fn text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            prop::sample::select(vec!['a', 'b', '/', '\u{7ff}', '\u{d7ff}', '\u{e000}']),
            prop::sample::select(vec!['\u{ffff}', '\u{10000}', char::MAX]),
        ];
        prop::collection::vec(character, 0..7).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn whatever_is_under_a_prefix_is_in_its_shards_and_range(
            name in text(),
            at in 0..7_usize,
            after in prop::option::of(text()),
        ) {
            let Ok(key) = ObjectKey::new(name.clone()) else { return Ok(()) };
            let prefix: String = name.chars().take(at).collect();
            prop_assert!(Shard::under(&prefix).contains(&Shard::of(&key)));
            let after = after.and_then(|after| ObjectKey::new(after).ok());
            if after.as_ref().is_some_and(|after| key <= *after) {
                return Ok(());
            }
            let range = KeyRange::around(&prefix, after.as_ref()).expect("there is a key");
            prop_assert!(range.from.is_none_or(|from| from.as_str() <= key.as_str()));
            prop_assert!(range.to.is_none_or(|to| key.as_str() <= to.as_str()));
        }

        #[test]
        fn no_other_key_but_the_two_ends_is_in_a_prefixs_range(prefix in text(), name in text()) {
            let Ok(key) = ObjectKey::new(name) else { return Ok(()) };
            let Some(KeyRange { from, to }) = KeyRange::around(&prefix, None) else { return Ok(()) };
            let inside = from.is_none_or(|from| from.as_str() <= key.as_str())
                && to.as_deref().is_none_or(|to| key.as_str() <= to);
            let end = to.as_deref() == Some(key.as_str());
            prop_assert_eq!(inside && !end, key.as_str().starts_with(&prefix) && !end);
        }
    }

    #[test]
    fn one_persons_files_lie_in_one_shard_and_many_persons_in_all() {
        let files = [
            "profile/ann/a.jpg",
            "profile/ann/voice/1.m4a",
            "profile/ann/z",
        ];
        let shards = files.map(|file| Shard::of(&key(file)));
        assert_eq!(shards, [shards[0]; 3]);
        assert_eq!(Shard::under("profile/ann/"), [shards[0]]);
        assert_eq!(Shard::under("profile/ann/vo"), [shards[0]]);
        assert_eq!(Shard::under("profile/ann").len(), usize::from(SHARDS));

        let mut items = [0; SHARDS as usize];
        for person in 0..1_600 {
            let file = key(&format!("profile/{person}/a.jpg"));
            items[usize::from(Shard::of(&file).0)] += 1;
        }
        assert!(
            items.iter().all(|items| (60..140).contains(items)),
            "{items:?}"
        );
    }

    /// A change of these would lose every stored item.
    #[test]
    fn a_keys_shard_never_changes() {
        let keys = [
            "profile/ann/a.jpg",
            "posts/1.jpg",
            "a.jpg",
            "uploads/\u{d55c}/1",
        ];
        let names = keys.map(|text| Shard::of(&key(text)).name());
        assert_eq!(names, ["01", "08", "00", "0e"]);
    }

    #[test]
    fn there_is_nothing_under_a_prefix_that_no_key_can_have() {
        let longest = "k".repeat(KEY_BYTES_MAX);
        let own = KeyRange::around(&longest, None).expect("one key can be there");
        assert_eq!(
            (own.from, own.to),
            (Some(longest.clone()), Some(longest.clone()))
        );
        assert_eq!(KeyRange::around(&format!("{longest}k"), None), None);
        let behind = KeyRange::around("a", Some(&key("c")));
        assert_eq!(behind, None, "all under `a` is before `c`");
    }
}
