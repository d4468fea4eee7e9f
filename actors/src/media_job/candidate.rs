//! Which objects a consumer works on.

use iyagi_messages::object::ObjectKey;

/// Whether a key lies where a consumer works.
pub fn is_candidate(key: &ObjectKey, prefixes: &[String]) -> bool {
    prefixes
        .iter()
        .any(|prefix| key.as_str().starts_with(prefix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_under_the_prefixes_are_candidates() {
        let prefixes = ["profile/".to_owned(), "posts/".to_owned()];
        let candidate = |key: &str| is_candidate(&ObjectKey::new(key).expect("valid"), &prefixes);
        assert!(candidate("profile/minji/me.jpg") && candidate("posts/1/x"));
        assert!(!candidate("derived/ab/x.jpg") && !candidate("profiles/minji/me.jpg"));
    }
}
