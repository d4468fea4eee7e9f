//! This host's part among others.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;

/// This host's part among others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// What this host does.
    pub roles: BTreeSet<Role>,
    /// How long a host may be silent before others take over its work, in milliseconds. It is heard of three times as
    /// often.
    pub lease_ms: u64,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            roles: Role::ALL.into(),
            lease_ms: 10_000,
        }
    }
}

/// A part of the work that a host can take.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads the graph's change log, one host at a time.
    Poller,
    /// Turns changes into pushes, on the host that reads them.
    Matcher,
    /// Sends pushes.
    Pusher,
    /// Makes thumbnails and records metadata.
    Media,
    /// Answers the public API.
    Api,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Poller,
        Self::Matcher,
        Self::Pusher,
        Self::Media,
        Self::Api,
    ];
}

/// Shorter ones are lost to a moment's trouble, longer ones leave work undone for too long.
const LEASE_MS: std::ops::RangeInclusive<u64> = 1_000..=60_000;

/// What is wrong with the values themselves.
pub(super) fn check(fleet: &FleetConfig, faults: &mut Vec<Fault>) {
    let (poller, matcher) = (Role::Poller, Role::Matcher);
    if fleet.roles.contains(&poller) != fleet.roles.contains(&matcher) {
        let message = "\"poller\" and \"matcher\" are two roles of one host: a commit's pushes and the reader's place in \
                       the log are written together";
        faults.push(Fault::new("fleet.roles", message).help("name both, or neither"));
    }
    if fleet.roles.is_empty() {
        let message = "`fleet.roles` is empty: this host would do nothing";
        faults.push(Fault::new("fleet.roles", message).help("leave it out for every role"));
    }
    if !LEASE_MS.contains(&fleet.lease_ms) {
        let (min, max) = (LEASE_MS.start(), LEASE_MS.end());
        let message = format!(
            "`fleet.lease_ms` must be {min} to {max}, not {}",
            fleet.lease_ms
        );
        faults.push(Fault::new("fleet.lease_ms", message));
    }
}
