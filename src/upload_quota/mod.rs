//! How much a person may upload in a day, over all hosts and all starts.
//!
//! A day is one of UTC, not the last 24 hours: so it is one count a person, which one conditional write changes wherever it
//! is asked for. Around midnight a person may upload two days' worth in a row, and no more than that.

pub mod contract;

use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::MetadataFault;
use iyagi_messages::ids::{PersonId, Timestamp};

const DAY: Duration = Duration::from_hours(24);

/// Counts what people upload.
#[async_trait]
pub trait UploadCounts: Send + Sync + 'static {
    /// Counts one more upload of a person, unless it were beyond the quota of the day. A call that is repeated because its
    /// answer was lost counts twice: a person loses a little of a day rather than has it without end.
    async fn count(
        &self,
        person: &PersonId,
        day: Day,
        bytes: u64,
        quota: &UploadQuota,
    ) -> Result<Counted, MetadataFault>;
}

/// What a person may upload in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadQuota {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// What became of an upload that was to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It is within the quota.
    Yes,
    /// It is not, after so much.
    Beyond(Uploaded),
}

/// What a person has uploaded, or been granted, in a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

impl UploadQuota {
    /// Whether one more file is within it.
    pub fn takes(&self, uploaded: Uploaded, bytes: u64) -> bool {
        uploaded.files < self.files && uploaded.bytes.saturating_add(bytes) <= self.bytes
    }
}

/// A day of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    since_epoch: i64,
}

impl Day {
    /// That of a moment.
    pub fn of(moment: Timestamp) -> Self {
        Self {
            since_epoch: moment.0.div_euclid(Self::MILLIS),
        }
    }

    const MILLIS: i64 = DAY.as_millis() as i64;

    /// Its number; 1970-01-01 is 0.
    pub fn number(self) -> i64 {
        self.since_epoch
    }

    /// When the next one begins.
    pub fn end(self) -> Timestamp {
        Timestamp((self.since_epoch + 1) * Self::MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_next_begins() {
        let noon = Timestamp(1_767_225_600_000 + 43_200_000);
        let day = Day::of(noon);
        assert_eq!(day.end(), Timestamp(1_767_312_000_000));
        assert_eq!(Day::of(Timestamp(day.end().0 - 1)), day);
        assert_eq!(Day::of(day.end()).number(), day.number() + 1);
        assert_eq!(Day::of(Timestamp(-1)).number(), -1);
    }

    #[test]
    fn the_last_byte_of_a_quota_is_within_it_and_none_behind_it_is() {
        let quota = UploadQuota {
            bytes: 10,
            files: 2,
        };
        let uploaded = |bytes, files| Uploaded { bytes, files };
        assert!(quota.takes(uploaded(4, 1), 6));
        assert!(!quota.takes(uploaded(4, 1), 7));
        assert!(!quota.takes(uploaded(0, 2), 1));
        assert!(!quota.takes(uploaded(4, 1), u64::MAX));
    }
}
