//! What a person wants to hear of: one anchor that finds the candidates, and a residual condition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::change::{ChangeKind, ElementKind};
use crate::cursor::Cursor;
use crate::ids::{ElementId, PersonId, SubscriptionId, TemplateId, Timestamp};
use crate::predicate::Predicate;

/// A person's explicit subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// Who is told.
    pub owner: PersonId,
    /// Where changes are looked for.
    pub anchor: Anchor,
    /// What else must hold.
    #[serde(default)]
    pub when: When,
    /// The texts that announce it.
    #[serde(default = "subscription_template")]
    pub template: TemplateId,
    /// Whether the owner's own acts are left out.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub exclude_self: bool,
    /// Whether it tells of anything at all.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// From when on it tells of nothing more, by the time of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The operation after which changes count, so that a replay matches the same.
    #[serde(default, with = "effective_after")]
    #[schemars(with = "EffectiveAfter")]
    #[schema(value_type = EffectiveAfter)]
    pub effective_after: Cursor,
}

fn subscription_template() -> TemplateId {
    "subscription".into()
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_yes(flag: &bool) -> bool {
    *flag
}

/// Where changes are looked for. In a template, people are relative to the recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Anchor {
    /// Edges that touch a vertex.
    #[schema(title = "IncidentAnchor")]
    Incident {
        /// The vertex; `@me` in a template is the recipient.
        vertex: ElementId,
        /// Which end of the edge the vertex is.
        #[serde(default)]
        dir: Direction,
    },
    /// A vertex or an edge itself: its labels, properties and end.
    #[schema(title = "ElementAnchor")]
    Element {
        /// The element.
        id: ElementId,
    },
    /// What has to do with someone or something that the recipient follows.
    #[schema(title = "FollowedAnchor")]
    Followed {
        /// Label of the edges by which the recipient follows.
        via: String,
        /// What of it.
        #[serde(default, alias = "dir")]
        then: Then,
    },
    /// Edges that touch something that the recipient made.
    #[schema(title = "OwnedAnchor")]
    Owned {
        /// Which end of the changed edge the owned thing is.
        #[serde(default = "incoming")]
        dir: Direction,
    },
    /// Every element with a label.
    #[schema(title = "LabelAnchor")]
    Label {
        /// The label.
        label: String,
    },
}

fn incoming() -> Direction {
    Direction::In
}

/// Which end of an edge a vertex is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The edge points to it.
    In,
    /// The edge leaves it.
    Out,
    /// Either.
    #[default]
    Any,
}

/// What of a followed vertex is heard of.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Edges that point to it.
    In,
    /// Edges that leave it: what the followed person does.
    #[default]
    Out,
    /// Edges that touch it.
    Any,
    /// The vertex itself: its labels, properties and end.
    Element,
}

/// Conditions that all must hold; an empty list does not restrict.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Condition)]
pub struct When {
    /// Vertices, edges or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<ElementKind>,
    /// Kinds of change.
    pub change: Vec<ChangeKind>,
    /// Labels of the element, before or after the commit.
    pub labels: Vec<String>,
    /// Labels of the edge's other end, after the commit; of a deleted edge before it.
    pub other_labels: Vec<String>,
    /// Properties of which one must have changed.
    pub keys: Vec<String>,
    /// What must hold of values that the commit took away or brought.
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub predicates: Vec<Predicate>,
}

impl Subscription {
    /// Whether a change at an operation is news to its owner. What was committed before someone asked for it is not,
    /// also when it is matched later.
    pub fn awaits(&self, change: Cursor) -> bool {
        change > self.effective_after
    }
}

/// An operation, or a whole commit as older journals have it.
#[derive(Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(untagged)]
enum EffectiveAfter {
    Commit(u64),
    Operation { commit: u64, op: u64 },
}

mod effective_after {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Cursor, EffectiveAfter};

    /// Behind every operation of a commit.
    const ALL_OF_IT: u64 = u64::MAX;

    pub(super) fn serialize<S: Serializer>(
        cursor: &Cursor,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let Cursor { commit, op } = *cursor;
        let wire = match op {
            ALL_OF_IT => EffectiveAfter::Commit(commit),
            op => EffectiveAfter::Operation { commit, op },
        };
        wire.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Cursor, D::Error> {
        Ok(match EffectiveAfter::deserialize(deserializer)? {
            EffectiveAfter::Commit(commit) => Cursor::new(commit, ALL_OF_IT),
            EffectiveAfter::Operation { commit, op } => Cursor::new(commit, op),
        })
    }
}
