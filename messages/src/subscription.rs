//! What a person wants to hear of: one anchor that finds the candidates, and a residual condition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::change::ChangeKind;
use crate::ids::{ElementId, PersonId, SubscriptionId, TemplateId};

/// A person's explicit subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The commit after which changes count, so that a replay matches the same.
    #[serde(default)]
    pub effective_after: u64,
}

fn subscription_template() -> TemplateId {
    "subscription".into()
}

/// Where changes are looked for. In a template, people are relative to the recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Anchor {
    /// Edges that touch a vertex.
    Incident {
        /// The vertex; `@me` in a template is the recipient.
        vertex: ElementId,
        /// Which end of the edge the vertex is.
        #[serde(default)]
        dir: Direction,
    },
    /// A vertex or an edge itself: its labels, properties and end.
    Element {
        /// The element.
        id: ElementId,
    },
    /// Edges that touch someone whom the recipient follows.
    Followed {
        /// Label of the edges by which the recipient follows.
        via: String,
        /// Which end of the changed edge the followed person is.
        #[serde(default = "outgoing")]
        dir: Direction,
    },
    /// Edges that touch something that the recipient made.
    Owned {
        /// Which end of the changed edge the owned thing is.
        #[serde(default = "incoming")]
        dir: Direction,
    },
    /// Every element with a label.
    Label {
        /// The label.
        label: String,
    },
}

fn outgoing() -> Direction {
    Direction::Out
}

fn incoming() -> Direction {
    Direction::In
}

/// Which end of an edge a vertex is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Conditions that all must hold; an empty list does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Kinds of change.
    pub change: Vec<ChangeKind>,
    /// Labels of the element, before or after the commit.
    pub labels: Vec<String>,
    /// Labels of the edge's other end.
    pub other_labels: Vec<String>,
    /// Properties of which one must have changed.
    pub keys: Vec<String>,
}
