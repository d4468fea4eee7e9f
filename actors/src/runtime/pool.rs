//! Pools of equal workers that pull their jobs: whoever is free takes the next job that may be done.
//!
//! A worker is a cell like any actor, so panics, restarts and poison follow the same rules, and its
//! job stays in its hand over a restart, which keeps the order of the job's lane.

use std::fmt;
use std::sync::Arc;

use super::dispatcher::PoolCore;
use super::mailbox::{Closed, Entrance, Refused};

/// The way into a pool. It stays valid over every restart and resize.
pub struct PoolHandle<M: Send + 'static> {
    entrance: Entrance,
    core: Arc<PoolCore<M>>,
}

impl<M: Send + 'static> PoolHandle<M> {
    pub(super) fn new(core: Arc<PoolCore<M>>) -> Self {
        Self {
            entrance: Entrance::new(Arc::clone(&core.record)),
            core,
        }
    }

    /// The same pool for a named sender, whose waiting is then counted apart.
    #[must_use]
    pub fn for_sender(&self, sender: &str) -> Self {
        Self {
            entrance: self.entrance.for_sender(sender),
            core: Arc::clone(&self.core),
        }
    }

    /// Submits a job, waiting for room.
    pub async fn submit(&self, job: M) -> Result<(), Closed<M>> {
        let envelope = self.entrance.enter(job).await?;
        self.core.push(envelope);
        Ok(())
    }

    /// Submits a job if there is room now.
    pub fn try_submit(&self, job: M) -> Result<(), Refused<M>> {
        let envelope = self.entrance.try_enter(job)?;
        self.core.push(envelope);
        Ok(())
    }

    /// Changes the number of workers; returns the number before. No job is lost or doubled.
    pub fn resize(&self, size: usize) -> usize {
        self.core.resize(size)
    }

    /// The number of workers it is to have.
    pub fn size(&self) -> usize {
        self.core.size()
    }

    /// Jobs accepted and not finished, those in hand included.
    pub fn len(&self) -> usize {
        self.entrance.record.depth()
    }

    /// True if every job accepted is finished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most it accepts.
    pub fn capacity(&self) -> usize {
        self.entrance.record.capacity
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.entrance.record.name
    }

    /// True once the pool has stopped for good.
    pub fn closed(&self) -> bool {
        self.entrance.record.permits.is_closed()
    }
}

impl<M: Send + 'static> Clone for PoolHandle<M> {
    fn clone(&self) -> Self {
        Self {
            entrance: self.entrance.clone(),
            core: Arc::clone(&self.core),
        }
    }
}

impl<M: Send + 'static> fmt::Debug for PoolHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolHandle")
            .field("pool", &self.name())
            .field("size", &self.size())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
