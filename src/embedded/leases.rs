//! Leases in memory, for a fleet that is one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use iyagi_actors::ports::{Lease, LeaseFault, Leases};

/// Leases that all clones share.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedLeases {
    leases: Arc<Mutex<BTreeMap<String, Lease>>>,
}

impl EmbeddedLeases {
    fn leases(&self) -> MutexGuard<'_, BTreeMap<String, Lease>> {
        // Each change is one assignment, so that a panic leaves nothing half done.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Leases for EmbeddedLeases {
    async fn list(&self, prefix: &str) -> Result<Vec<Lease>, LeaseFault> {
        let leases = self.leases();
        let under = leases
            .range(prefix.to_owned()..)
            .map(|(_, lease)| lease)
            .take_while(|lease| lease.name.starts_with(prefix));
        Ok(under.cloned().collect())
    }

    async fn take(
        &self,
        name: &str,
        owner: &str,
        detail: &str,
        seen: Option<&Lease>,
    ) -> Result<Option<Lease>, LeaseFault> {
        let mut leases = self.leases();
        let known = leases.get(name);
        let still = |lease: &Lease| {
            seen.is_some_and(|seen| (lease.epoch, lease.counter) == (seen.epoch, seen.counter))
        };
        if known.is_some_and(|lease| lease.owner.is_some() && !still(lease)) {
            return Ok(None);
        }
        let last = known.or(seen).map_or(0, |lease| lease.epoch);
        let lease = Lease {
            name: name.to_owned(),
            owner: Some(owner.to_owned()),
            epoch: last + 1,
            counter: 0,
            detail: detail.to_owned(),
        };
        leases.insert(name.to_owned(), lease.clone());
        Ok(Some(lease))
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, LeaseFault> {
        let mut leases = self.leases();
        let mine = leases
            .get_mut(&lease.name)
            .filter(|known| holds(lease, known));
        Ok(mine.map(|known| {
            known.counter += 1;
            known.detail.clone_from(&lease.detail);
            known.clone()
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseFault> {
        let mut leases = self.leases();
        if let Some(mine) = leases
            .get_mut(&lease.name)
            .filter(|known| holds(lease, known))
        {
            mine.owner = None;
        }
        Ok(())
    }
}

/// Whether a lease as its holder knows it is still the holder's.
fn holds(lease: &Lease, known: &Lease) -> bool {
    lease.owner.is_some() && (&lease.owner, lease.epoch) == (&known.owner, known.epoch)
}
