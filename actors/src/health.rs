//! What each dependency last said of itself, for readiness and for people.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use iyagi_messages::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The last word of every dependency, by name.
#[derive(Debug, Default)]
pub struct Health {
    dependencies: Mutex<BTreeMap<String, Condition>>,
}

/// How a dependency is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Condition {
    /// Whether it can be used.
    pub ready: bool,
    /// Why not, or how well.
    pub detail: String,
    /// Since when it is so.
    pub since: Timestamp,
}

impl Health {
    /// Notes how a dependency is; the moment is kept while readiness does not change.
    pub fn report(&self, name: &str, ready: bool, detail: impl Into<String>, now: Timestamp) {
        let mut dependencies = self
            .dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let since = match dependencies.get(name) {
            Some(known) if known.ready == ready => known.since,
            _ => now,
        };
        dependencies.insert(
            name.to_owned(),
            Condition {
                ready,
                detail: detail.into(),
                since,
            },
        );
    }

    /// Every dependency's last word.
    pub fn all(&self) -> BTreeMap<String, Condition> {
        self.dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
