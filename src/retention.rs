//! The journal's retention outside a daemon: when a moment is old enough, where exports are kept, and the journal at rest.

use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::JournalFault;
use iyagi_actors::ports::Clock;
use iyagi_actors::projections::{Projections, TrafficPolicy};
use iyagi_messages::ids::Timestamp;
use thiserror::Error;

use crate::aws::clients::Clients;
use crate::aws::s3::S3Objects;
use crate::clock::SystemClock;
use crate::config::{Config, ExportsPlace, Loaded};
use crate::daemon::{DataLock, LockError};
use crate::embedded::journal::{
    Bucket, Compaction, CompactionFault, OpenError, Outcome, Place, SqliteJournal,
};
use crate::spool::{KINDS, Spool};

const DAY_MS: i64 = 24 * 3_600_000;

/// The first moment that is not old enough, for whoever keeps so many days: the beginning of a day of UTC, so that exports
/// are of whole days.
pub fn kept_since(now: Timestamp, keep_days: u32) -> Timestamp {
    let today = now.0.div_euclid(DAY_MS);
    Timestamp((today - i64::from(keep_days)).saturating_mul(DAY_MS))
}

/// Bytes of exports that are read back at once. The largest has a few dozen million.
const READ_BACK_BYTES_MAX: u64 = 1 << 30;

/// Where exports are kept, if that is a bucket. Who sends pushes does not depend on it, so it is not looked at yet.
pub fn exports_bucket(config: &Config, clients: &Clients) -> Option<Place> {
    let ExportsPlace::Bucket { name, prefix } = config.exports_place() else {
        return None;
    };
    let spool = Spool::new(config.data.dir.join("spool"), READ_BACK_BYTES_MAX * KINDS);
    let call_timeout = Duration::from_millis(config.aws.call_timeout_ms);
    let store = S3Objects::assumed(clients.s3.clone(), &name, call_timeout, Arc::new(spool));
    Some(Place::Bucket(Bucket {
        store: Arc::new(store),
        prefix,
        on_their_way: config.exports_on_their_way(),
    }))
}

/// A journal that no daemon has.
pub struct AtRest {
    compaction: Compaction,
    _lock: DataLock,
}

/// Why it cannot be compacted.
#[derive(Debug, Error)]
pub enum AtRestError {
    /// A host's journal is the copy of one that others have as well.
    #[error(
        "the journal of a fleet is a log that all hosts share: the daemon that leads takes out of it what is over; start it, or \
         ask it with --operations-url"
    )]
    OfFleet,
    /// A daemon has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be folded.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// It could not be done.
    #[error(transparent)]
    Compaction(#[from] CompactionFault),
}

impl AtRest {
    /// Opens and folds the journal that the configuration names, which is there. No daemon may run meanwhile: two must not write to one
    /// data folder.
    pub async fn open(loaded: Loaded) -> Result<Self, AtRestError> {
        let Loaded {
            config, templates, ..
        } = loaded;
        let path = config.data.dir.join("journal.db");
        let lock = DataLock::take(&config.data.dir)?;
        let ExportsPlace::Folder(exports) = config.exports_place() else {
            return Err(AtRestError::OfFleet);
        };
        if config.aws.enabled {
            return Err(AtRestError::OfFleet);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal = SqliteJournal::open_retaining(&path, clock, config.inbox.retention())?;
        let policy = TrafficPolicy {
            rate: config.push.rate,
            remembered_ms: templates.longest_window_ms(),
        };
        let projections = Projections::recover(&journal, policy).await?;
        Ok(Self {
            compaction: Compaction::new(journal, projections, Place::Folder(exports), None),
            _lock: lock,
        })
    }

    /// Takes out what is over and was appended before `until`, or only tells what that would be.
    pub async fn compact(&self, until: Timestamp, dry_run: bool) -> Result<Outcome, AtRestError> {
        let outcome = if dry_run {
            self.compaction.preview(until).await
        } else {
            self.compaction.run(until).await
        };
        Ok(outcome?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_begins_with_a_day_of_utc() {
        let noon = Timestamp(20_000 * DAY_MS + DAY_MS / 2);
        assert_eq!(kept_since(noon, 90), Timestamp(19_910 * DAY_MS));
        assert_eq!(kept_since(noon, u32::MAX).0 % DAY_MS, 0);
    }
}
