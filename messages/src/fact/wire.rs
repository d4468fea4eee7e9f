//! A fact as a field of JSON: its kind, its version and its body.

use serde::de::{self, Deserializer};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Fact;

/// How an event has its fact.
#[derive(ToSchema)]
#[schema(as = Fact)]
#[expect(dead_code, reason = "its schema is used")]
pub(crate) struct FactOfEvent {
    /// What happened, as `noun.past_participle`.
    #[schema(example = "push.accepted")]
    kind: String,
    /// Version of the body's schema.
    v: u16,
    /// The rest, which is different for each kind.
    #[schema(value_type = Object)]
    body: Value,
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body: Value = serde_json::from_str(&self.body()).map_err(serde::ser::Error::custom)?;
        let mut fields = serializer.serialize_struct("Fact", 3)?;
        fields.serialize_field("kind", self.kind())?;
        fields.serialize_field("v", &self.version())?;
        fields.serialize_field("body", &body)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            kind: String,
            v: u16,
            body: Value,
        }
        let wire = Wire::deserialize(deserializer)?;
        Self::decode(&wire.kind, wire.v, &wire.body.to_string()).map_err(de::Error::custom)
    }
}
