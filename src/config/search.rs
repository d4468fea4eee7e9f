//! How the graph is searched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the graph is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Whether there is a search index.
    pub enabled: bool,
    /// Whether edges have documents of their own, besides vertices.
    pub edges: bool,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            edges: false,
        }
    }
}
