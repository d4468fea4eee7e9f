//! How much a person may upload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MediaConfig;
use super::semantics::Fault;
use crate::upload_quota::UploadQuota;

/// How much a person may upload in a day of UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Bytes of all files; 0 for any number.
    pub bytes_per_day: u64,
    /// Files; 0 for any number.
    pub files_per_day: u64,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            bytes_per_day: 2 * 1024 * 1024 * 1024,
            files_per_day: 1_000,
        }
    }
}

impl QuotaConfig {
    /// As it is counted.
    pub fn per_day(&self) -> UploadQuota {
        // The most that a database counts.
        let any = |limit| if limit == 0 { i64::MAX as u64 } else { limit };
        UploadQuota {
            bytes: any(self.bytes_per_day),
            files: any(self.files_per_day),
        }
    }
}

/// A file that no day has room for would be refused for ever, and its sender told to wait.
pub(super) fn check(media: &MediaConfig, faults: &mut Vec<Fault>) {
    let (bytes, largest) = (media.quota.bytes_per_day, media.file_bytes_max);
    if bytes != 0 && bytes < largest {
        let key = "media.quota.bytes_per_day";
        let message = format!(
            "`{key}` is {bytes}, which is less than one file may have: `media.file_bytes_max` is {largest}"
        );
        faults.push(Fault::new(key, message).or("media.file_bytes_max"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_without_room_for_the_largest_file_is_told_and_one_without_a_limit_is_none() {
        let wrong = |bytes_per_day| {
            let mut media = MediaConfig::default();
            media.quota.bytes_per_day = bytes_per_day;
            let mut faults = Vec::new();
            check(&media, &mut faults);
            faults.len()
        };
        let largest = MediaConfig::default().file_bytes_max;
        assert_eq!([0, largest, largest - 1].map(wrong), [0, 0, 1]);
        let none = QuotaConfig {
            bytes_per_day: 0,
            files_per_day: 0,
        };
        assert!(none.per_day().bytes > 1 << 62 && none.per_day().files > 1 << 62);
    }
}
