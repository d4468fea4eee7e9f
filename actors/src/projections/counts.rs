//! The conservation law's columns.

use std::collections::BTreeMap;

use iyagi_messages::compaction::Totals;
use iyagi_messages::feedback::BounceClass;
use iyagi_messages::push::SuppressReason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many pushes ended how. `matched = sent + dead + suppressed + pending` holds after every event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Pushes that were ever requested.
    pub matched: u64,
    /// Taken by the gateway.
    pub sent: u64,
    /// Given up: their letters wait, were purged or have expired.
    pub dead: u64,
    /// Not sent, by reason.
    pub suppressed: BTreeMap<SuppressReason, u64>,
    /// Not settled yet.
    pub pending: u64,
    /// Of those sent, the ones that were not delivered as far as was learned later, by kind of failure. They stay sent:
    /// this is no column of the law.
    #[serde(default)]
    pub bounced: BTreeMap<BounceClass, u64>,
    /// Redriven letters, of all kinds of job.
    pub redriven: u64,
    /// Purged letters, of all kinds of job.
    pub purged: u64,
    /// Letters that nobody had tried anew in time, of all kinds of job.
    #[serde(default)]
    pub expired: u64,
}

impl Counts {
    /// What events that are not folded any more add up to.
    pub(super) fn of(totals: &Totals) -> Self {
        Self {
            matched: totals.matched,
            sent: totals.sent,
            dead: totals.dead,
            suppressed: totals.suppressed.clone(),
            pending: 0,
            bounced: totals.bounced.clone(),
            redriven: totals.redriven,
            purged: totals.purged,
            expired: totals.expired,
        }
    }

    /// Not sent, for whatever reason.
    pub fn suppressed_total(&self) -> u64 {
        self.suppressed.values().sum()
    }
}
