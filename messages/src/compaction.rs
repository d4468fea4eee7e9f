//! What is left to know of events that were taken out of the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::Platform;
use crate::feedback::BounceClass;
use crate::push::SuppressReason;

/// What events add up to that are no longer in the journal. Whoever counts from its beginning begins with these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Pushes that were requested; each is in one of the next three as well.
    pub matched: u64,
    /// Of those, the ones that the gateway took.
    pub sent: u64,
    /// Given up, and their letters purged.
    pub dead: u64,
    /// Not sent, by reason.
    pub suppressed: BTreeMap<SuppressReason, u64>,
    /// Of those sent, the ones that were not delivered as was learned later.
    pub bounced: BTreeMap<BounceClass, u64>,
    /// Letters that were redriven.
    pub redriven: u64,
    /// Letters that were purged.
    pub purged: u64,
    /// Letters that nobody had tried anew in time.
    #[serde(skip_serializing_if = "is_zero")]
    pub expired: u64,
    /// Attempts whose outcome a crash swallowed.
    pub unknown_outcomes: u64,
    /// Commits that the cursor passed over because the change log did not have them.
    pub skipped_commits: u64,
    /// Commits that nobody was told of, because they changed too much at once.
    pub withheld_commits: u64,
    /// Times that the change log was read late.
    pub catch_ups: u64,
    /// Times that a push service was paused.
    pub pauses: BTreeMap<Platform, u64>,
    /// Times that the daemon came up.
    pub starts: u64,
}

/// Whether a field says what its absence says.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
