//! Newtypes for every id and position, so that no signature carries two naked strings or numbers.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::change::ElementKind;
use crate::cursor::Cursor;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
        )]
        #[serde(transparent)]
        #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

/// A vertex or an edge of the graph. Most are short, and then cost no allocation: a page has three a record.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
pub struct ElementId(#[schemars(with = "String")] pub SmolStr);

impl ElementId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ElementId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for ElementId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

text_id! {
    /// A person, who is also a vertex of the graph.
    PersonId
}
text_id! {
    /// The registration token of one phone, as its push service issued it.
    DeviceToken
}
text_id! {
    /// A notification template's name, such as `follow`.
    TemplateId
}
text_id! {
    /// A person's explicit subscription.
    SubscriptionId
}
text_id! {
    /// The actor incarnation that wrote an event, such as `push-3#12`.
    Incarnation
}
text_id! {
    /// One start of the daemon on one host of a fleet, such as `host-a~3`.
    MemberId
}

impl From<PersonId> for ElementId {
    fn from(person: PersonId) -> Self {
        Self(person.0.into())
    }
}

impl From<ElementId> for PersonId {
    fn from(vertex: ElementId) -> Self {
        Self(vertex.0.into())
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// One push to one device; the same change, template and device always give the same id.
    PushId
}
uuid_id! {
    /// One dead letter; the same failed job always gives the same id.
    LetterId
}

/// Name space of every UUIDv5 that iyagi derives.
const NAME_SPACE: Uuid = Uuid::from_u128(0x6979_6167_6900_5000_8000_7075_7368_6964);

impl PushId {
    /// Derives the id from what makes a push unique.
    pub fn derive(
        commit: u64,
        element: &ElementId,
        template: &TemplateId,
        recipient: &PersonId,
        device: Option<&DeviceToken>,
    ) -> Self {
        let device = device.map_or("", DeviceToken::as_str);
        // Lengths keep "a" + "bc" apart from "ab" + "c".
        let name = format!(
            "{commit}|{}:{element}|{}:{template}|{}:{recipient}|{device}",
            element.0.len(),
            template.0.len(),
            recipient.0.len(),
        );
        Self(Uuid::new_v5(&NAME_SPACE, name.as_bytes()))
    }
}

impl LetterId {
    /// The letter of a push is known by the push's own id.
    pub fn of_push(push: PushId) -> Self {
        Self(push.0)
    }

    /// The letter of a media job: one per consumer, object and version.
    pub fn of_object(consumer: &str, key: &str, sequencer: &str) -> Self {
        let name = format!("letter|{consumer}|{}:{key}|{sequencer}", key.len());
        Self(Uuid::new_v5(&NAME_SPACE, name.as_bytes()))
    }

    /// The letter of a document: one per element and operation.
    pub fn of_document(kind: ElementKind, element: &ElementId, as_of: Cursor) -> Self {
        let kind = match kind {
            ElementKind::Vertex => "vertex",
            ElementKind::Edge => "edge",
        };
        let name = format!("letter|document|{kind}|{element}|{as_of}");
        Self(Uuid::new_v5(&NAME_SPACE, name.as_bytes()))
    }
}

/// A position in the journal: global, gapless, from 1. Zero is before the first event.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct Pos(pub u64);

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's number within its entity, from 1.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since the Unix epoch.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus `ms` milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    /// Milliseconds from `earlier` to this moment, zero if `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// An event's id: derived from what caused it, so that a replay makes the same id and an append is idempotent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{32}$", example = "5f1c0d7a93b24e8864f0c2a1d9e7b305")]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// The id of an event that has no cause in the journal, from its upstream identity.
    pub fn root(source: &str, upstream: &str) -> Self {
        Self::hash(&[source.as_bytes(), upstream.as_bytes()])
    }

    /// The id of the `ordinal`-th event of `kind` that `cause` led to.
    pub fn derived(cause: Self, kind: &str, ordinal: u32) -> Self {
        Self::hash(&[&cause.0, kind.as_bytes(), &ordinal.to_be_bytes()])
    }

    fn hash(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

/// Text that is not an event id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not an event id: 32 hexadecimal digits are expected")]
pub struct InvalidEventId(String);

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidEventId(text.to_owned());
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut id = [0; 16];
        for (index, byte) in id.iter_mut().enumerate() {
            *byte =
                u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| invalid())?;
        }
        Ok(Self(id))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_kind_and_ordinal_give_the_same_event_id() {
        let cause = EventId::root("neptune", "17");
        assert_eq!(
            EventId::derived(cause, "push.requested", 0),
            EventId::derived(cause, "push.requested", 0)
        );
        assert_ne!(
            EventId::derived(cause, "push.requested", 0),
            EventId::derived(cause, "push.requested", 1)
        );
        assert_eq!(cause.to_string().parse(), Ok(cause));
    }

    #[test]
    fn push_ids_keep_neighbouring_fields_apart() {
        let id = |element: &str, template: &str| {
            PushId::derive(1, &element.into(), &template.into(), &"p".into(), None)
        };
        assert_ne!(id("ab", "c"), id("a", "bc"));
    }
}
