//! The journal's envelope: who wrote what, when, about which entity and because of what.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fact::{Fact, FactOfEvent};
use crate::ids::{EventId, Incarnation, Pos, Seq, Timestamp};

/// The thing that an event is about, as `kind/key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Entity(pub String);

impl Entity {
    /// The entity of `kind` with this key.
    pub fn new(kind: &str, key: impl fmt::Display) -> Self {
        Self(format!("{kind}/{key}"))
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event that is to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Derived from cause, kind and ordinal: appending it again is a no-op.
    pub id: EventId,
    /// What it is about.
    pub entity: Entity,
    /// The event in the journal that led to it.
    pub cause: Option<EventId>,
    /// The commit or upload that it all began with.
    pub corr: String,
    /// What happened.
    pub fact: Fact,
}

/// An event as the journal holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Global position, from 1. It is given out without a gap, and never to another event, also if this one is taken out.
    pub pos: Pos,
    /// Derived id.
    pub id: EventId,
    /// What it is about.
    pub entity: Entity,
    /// Number within the entity.
    pub seq: Seq,
    /// When it was appended.
    pub at: Timestamp,
    /// The event that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// The commit or upload that it all began with.
    pub corr: String,
    /// The actor incarnation that wrote it.
    pub actor: Incarnation,
    /// What happened.
    #[serde(flatten)]
    #[schema(value_type = FactOfEvent)]
    pub fact: Fact,
}
