//! Objects in the store: their keys, and the order of what happens to one.
//!
//! # Layout
//! - this file: keys and sequencers
//! - `notification`: what the store tells of its objects

mod notification;

use std::cmp::Ordering;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

pub use self::notification::{Notification, ObjectEvent, ObjectEventKind, UnknownNotification};

/// Longest key that S3 accepts, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;

/// A valid object key. It is bytes: never normalised, so that NFC and NFD spellings stay two objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    min_length = 1,
    max_length = 1024,
    pattern = "^(?!(.*/)?\\.{1,2}(/|$))[^/\\u0000-\\u001f\\u007f-\\u009f]+(/[^/\\u0000-\\u001f\\u007f-\\u009f]+)*$",
    example = "profile/minji/me.jpg"
)]
pub struct ObjectKey(String);

/// A key that no object may have.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum InvalidKey {
    /// Nothing there.
    #[error("the key is empty")]
    Empty,
    /// Longer than S3 allows.
    #[error("the key has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A segment that could leave the store's folder.
    #[error("the key `{0}` has an empty, `.` or `..` segment")]
    Segment(String),
    /// A NUL or another control character.
    #[error("the key {0:?} has a control character")]
    Control(String),
    /// Percent-encoding that is no UTF-8.
    #[error("the key `{0}` does not decode to UTF-8")]
    Encoding(String),
}

impl ObjectKey {
    /// Checks a key as clients write it, undecoded.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidKey> {
        let key = key.into();
        if key.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(InvalidKey::TooLong { bytes: key.len() });
        }
        if key.chars().any(char::is_control) {
            return Err(InvalidKey::Control(key));
        }
        if key
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return Err(InvalidKey::Segment(key));
        }
        Ok(Self(key))
    }

    /// Decodes a key as it stands in an S3 notification: a form-urlencoded path, decoded exactly once.
    pub fn from_notification(encoded: &str) -> Result<Self, InvalidKey> {
        let spaced = encoded.replace('+', " ");
        let decoded = percent_decode_str(&spaced)
            .decode_utf8()
            .map_err(|_| InvalidKey::Encoding(encoded.to_owned()))?;
        Self::new(decoded)
    }

    /// The key as S3 writes it into a notification.
    pub fn to_notification(&self) -> String {
        const KEPT: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'/')
            .remove(b'-')
            .remove(b'_')
            .remove(b'.')
            .remove(b'*')
            .remove(b' ');
        utf8_percent_encode(&self.0, KEPT)
            .to_string()
            .replace(' ', "+")
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = InvalidKey;

    fn try_from(key: String) -> Result<Self, InvalidKey> {
        Self::new(key)
    }
}

impl<'de> Deserialize<'de> for ObjectKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The order of writes to one key: a hexadecimal number of any length, compared as a number.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Sequencer(pub String);

impl Sequencer {
    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl PartialEq for Sequencer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sequencer {}

impl PartialOrd for Sequencer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sequencer {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.digits(), other.digits());
        mine.len().cmp(&theirs.len()).then_with(|| {
            mine.bytes()
                .map(|digit| digit.to_ascii_lowercase())
                .cmp(theirs.bytes().map(|digit| digit.to_ascii_lowercase()))
        })
    }
}

impl fmt::Display for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequencers_compare_as_numbers_whatever_their_padding() {
        let order = |a: &str, b: &str| Sequencer(a.to_owned()).cmp(&Sequencer(b.to_owned()));
        assert_eq!(
            order("0055AED6DCD90281E5", "55aed6dcd90281e5"),
            Ordering::Equal
        );
        assert_eq!(order("9", "0010"), Ordering::Less);
        assert_eq!(order("00B", "00A"), Ordering::Greater);
    }

    #[test]
    fn keys_that_could_leave_the_store_are_refused() {
        assert_eq!(ObjectKey::new(""), Err(InvalidKey::Empty));
        for key in ["../secret", "a/../b", "/etc/passwd", "a//b", "a/./b", "a/"] {
            assert!(
                matches!(ObjectKey::new(key), Err(InvalidKey::Segment(_))),
                "{key}"
            );
        }
        assert!(matches!(
            ObjectKey::new("a\0b"),
            Err(InvalidKey::Control(_))
        ));
        assert!(ObjectKey::new("k".repeat(KEY_BYTES_MAX)).is_ok());
        let long = ObjectKey::new("k".repeat(KEY_BYTES_MAX + 1));
        assert_eq!(long, Err(InvalidKey::TooLong { bytes: 1025 }));
        assert!(matches!(
            ObjectKey::from_notification("%2e%2e%2fx"),
            Err(InvalidKey::Segment(_))
        ));
        assert!(matches!(
            ObjectKey::from_notification("%FF"),
            Err(InvalidKey::Encoding(_))
        ));
    }

    proptest::proptest! {
        #[test]
        fn every_valid_key_survives_the_notification(key in "\\PC{1,40}") {
            if let Ok(key) = ObjectKey::new(key) {
                proptest::prop_assert_eq!(ObjectKey::from_notification(&key.to_notification()), Ok(key));
            }
        }
    }
}
