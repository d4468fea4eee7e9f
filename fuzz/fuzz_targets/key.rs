//! A key decodes to what encodes to the same key, or is refused; no key leaves the store's folder.

#![no_main]

use std::path::{Component, Path};

use iyagi_messages::object::{KEY_BYTES_MAX, ObjectKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|encoded: &str| {
    let Ok(key) = ObjectKey::from_notification(encoded) else {
        return;
    };
    assert!((1..=KEY_BYTES_MAX).contains(&key.as_str().len()));
    assert_eq!(
        ObjectKey::from_notification(&key.to_notification()).as_ref(),
        Ok(&key)
    );
    let inside = |part| matches!(part, Component::Normal(_));
    assert!(Path::new(key.as_str()).components().all(inside), "{key}");
});
