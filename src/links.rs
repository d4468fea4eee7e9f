//! Links that need no sign-in: whoever has one may read, or upload, one object for a while.
//!
//! A link that leaked is a leak until it ends, so it is made only for whoever may do that anyway, and holds shortly.

use std::collections::BTreeMap;

use async_trait::async_trait;
use iyagi_messages::ids::{PersonId, Timestamp};
use iyagi_messages::object::ObjectKey;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

/// Makes links.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// Lets whoever has the link read an object.
    async fn to_read(&self, key: &ObjectKey, now: Timestamp) -> Result<Link, LinkFault>;

    /// Lets whoever has the link upload by one PUT exactly what is declared, once.
    async fn to_put(&self, upload: &Upload, now: Timestamp) -> Result<Grant, LinkFault>;

    /// Lets whoever has the form upload by one POST what is declared, of at most so many bytes as that is.
    async fn to_post(&self, upload: &Upload, now: Timestamp) -> Result<Grant, LinkFault>;

    /// Lets a browser read all originals of one person by cookies.
    fn cookies(&self, person: &PersonId, now: Timestamp) -> Result<Cookies, LinkFault>;
}

/// A link to read one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its address; of this very listener, if it begins with a slash.
    pub url: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What somebody is going to upload. All of it is bound: nothing else is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it will be.
    pub key: ObjectKey,
    /// Its media type.
    pub content_type: String,
    /// Its bytes.
    pub size: u64,
    /// Its checksum.
    pub checksum: Checksum,
}

/// A checksum of an upload, which the store holds against what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32, as of ISO 3309.
    Crc32([u8; 4]),
    /// SHA-256.
    Sha256([u8; 32]),
}

impl Checksum {
    /// The algorithm as S3 spells it in names of headers.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Crc32(_) => "crc32",
            Self::Sha256(_) => "sha256",
        }
    }

    /// The checksum itself.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Crc32(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// One of an algorithm by that name, if it has that many bytes.
    pub fn of(algorithm: &str, bytes: &[u8]) -> Option<Self> {
        match algorithm {
            "crc32" => bytes.try_into().ok().map(Self::Crc32),
            "sha256" => bytes.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }
}

/// A request that uploads one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where to send it.
    pub url: String,
    /// How.
    pub form: GrantForm,
    /// When it can no longer be begun.
    pub expires_at: Timestamp,
}

/// How an upload is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantForm {
    /// A PUT of the bytes, with these headers.
    Put(BTreeMap<String, String>),
    /// A POST of a form (`multipart/form-data`) with these fields, and the bytes as the last one, `file`.
    Post(BTreeMap<String, String>),
}

/// Cookies for the originals of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookies {
    /// All of them.
    pub cookies: Vec<Cookie>,
    /// The domain that they are for; the API's own if absent.
    pub domain: Option<String>,
    /// When they end.
    pub expires_at: Timestamp,
}

/// A cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// The path that it is sent to. There is one cookie of each name for each path.
    pub path: String,
}

/// Why there is no link.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum LinkFault {
    /// Here there is none of that kind.
    #[error("{0}")]
    NotHere(&'static str),
    /// It cannot be signed at present.
    #[error("no link can be signed: {0}")]
    Unsigned(String),
}

/// How long a link to read holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When its time began.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Validity {
    /// At least `seconds` from now, and less than twice as long. Within one such span the ends are the same, and so the
    /// same file has the same link: whatever keeps files by their address finds it again.
    pub fn of(seconds: u32, now: Timestamp) -> Self {
        let span_ms = i64::from(seconds.max(1)) * 1_000;
        let from = now.0.div_euclid(span_ms) * span_ms;
        Self {
            from: Timestamp(from),
            until: Timestamp(from + 2 * span_ms),
        }
    }

    /// When it ends, in seconds of the epoch.
    pub fn until_seconds(self) -> i64 {
        self.until.0 / 1_000
    }
}

/// A key as it stands in an address, slashes kept. In a policy with `*` or `?`, those of a key stand for themselves.
pub fn escaped(key: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(key, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_one_span_end_together_and_none_before_its_time() {
        let of = |seconds: i64| Validity::of(3_600, Timestamp(seconds * 1_000));
        assert_eq!(of(7_200), of(10_799));
        assert_ne!(of(7_200), of(10_800));
        for now in [0, 1, 3_599, 3_600, 1_767_225_601] {
            let left = of(now).until_seconds() - now;
            assert!((3_601..=7_200).contains(&left), "{now}: {left}");
        }
    }
}
