//! How much of something all jobs of a host may take together: memory, or room on the disk.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit that is counted in, so that a budget of terabytes still fits the counter.
const UNIT_BYTES: u64 = 1024;

/// Bytes that may be in use at a time. Who asks first is served first: a large job is not passed over for ever by small
/// ones, and these wait behind it only until it has what it needs.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    _units: OwnedSemaphorePermit,
}

impl ByteBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let units = units(bytes);
        Self {
            units: Arc::new(Semaphore::new(units as usize)),
            units_max: units,
        }
    }

    /// Waits for a share of so many bytes. Whoever needs more than there is gets all of it, and is alone.
    pub async fn share(&self, bytes: u64) -> Share {
        let wanted = units(bytes).min(self.units_max);
        let units = Arc::clone(&self.units).acquire_many_owned(wanted).await;
        Share {
            _units: units.expect("the budget is never closed"),
        }
    }
}

fn units(bytes: u64) -> u32 {
    let units = bytes.div_ceil(UNIT_BYTES).clamp(1, u64::from(u32::MAX));
    // A semaphore holds an eighth of what an address space can.
    (units as u32).min(u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_large_job_waits_for_room_and_is_not_passed_over_by_small_ones() {
        let budget = ByteBudget::new(10 * UNIT_BYTES);
        let first = budget.share(6 * UNIT_BYTES).await;
        let small = budget.share(4 * UNIT_BYTES).await;
        let mut large = Box::pin(budget.share(8 * UNIT_BYTES));
        assert!((&mut large).now_or_never().is_none(), "it waits");
        drop(small);
        // There are four units, but the large job asked before.
        let behind = budget.share(UNIT_BYTES);
        let waited = tokio::time::timeout(Duration::from_secs(1), behind).await;
        assert!(waited.is_err(), "it was passed over");
        drop(first);
        let large = large.await;
        let beside = budget.share(2 * UNIT_BYTES).await;
        drop((large, beside));
    }

    #[tokio::test]
    async fn a_job_larger_than_the_budget_is_done_alone() {
        let budget = ByteBudget::new(UNIT_BYTES);
        let share = budget.share(u64::MAX).await;
        assert_eq!(budget.units.available_permits(), 0);
        drop(share);
        assert_eq!(budget.units.available_permits(), 1);
    }
}
