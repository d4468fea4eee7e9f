//! What people are told in the app.

use iyagi_actors::ports::Retention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 24 * 3_600_000;

/// What people are told in the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InboxConfig {
    /// Entries of one person; beyond that the oldest goes.
    pub entries_max: u32,
    /// Days after its newest notification for which an entry is kept.
    pub keep_days: u32,
    /// Apps that may listen for what is new at once; further ones are asked to come back.
    pub live_connections_max: usize,
    /// How long such an app may take nothing of what it is sent before it is cut off, in milliseconds.
    pub live_patience_ms: u64,
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self {
            entries_max: 1_000,
            keep_days: 90,
            live_connections_max: 1_024,
            live_patience_ms: 30_000,
        }
    }
}

impl InboxConfig {
    /// The same as the store of inboxes takes it.
    pub fn retention(&self) -> Retention {
        Retention {
            entries_max: self.entries_max,
            age_ms_max: u64::from(self.keep_days) * DAY_MS,
        }
    }
}
