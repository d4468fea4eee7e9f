//! Where state is kept, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;
use crate::embedded::push_log::Rotation;

/// What Neptune's `neptune_streams_expiry_days` takes.
const STREAM_EXPIRY_DAYS: std::ops::RangeInclusive<u32> = 1..=90;

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// The folder of journal, graph, queues and files. One daemon at a time uses it.
    pub dir: PathBuf,
    /// Days for which the embedded graph keeps its change log, 1 to 90, as `neptune_streams_expiry_days` is for Neptune. What
    /// the daemon has not read, or still needs for its next start, stays longer.
    pub stream_expiry_days: u32,
    /// Size in bytes at which the push log goes on in a new file.
    pub push_log_bytes_max: u64,
    /// Files of the push log that are kept, the newest among them; the oldest goes.
    pub push_log_files_max: u32,
}

impl Default for DataConfig {
    fn default() -> Self {
        let rotation = Rotation::default();
        Self {
            dir: PathBuf::from("data"),
            stream_expiry_days: 7,
            push_log_bytes_max: rotation.bytes_max,
            push_log_files_max: rotation.files_max,
        }
    }
}

impl DataConfig {
    /// How old a commit gets in the change log.
    pub fn stream_expiry(&self) -> Duration {
        Duration::from_hours(24) * self.stream_expiry_days
    }

    /// The same as the push log takes it.
    pub fn push_log_rotation(&self) -> Rotation {
        Rotation {
            bytes_max: self.push_log_bytes_max,
            files_max: self.push_log_files_max,
        }
    }
}

/// What is wrong with it.
pub(super) fn check(data: &DataConfig, faults: &mut Vec<Fault>) {
    if data.dir.as_os_str().is_empty() {
        let message = "`data.dir` must not be empty";
        let help = "for the folder that iyagi is started in: \".\"";
        faults.push(Fault::new("data.dir", message).help(help));
    }
    if !STREAM_EXPIRY_DAYS.contains(&data.stream_expiry_days) {
        let (key, days) = ("data.stream_expiry_days", data.stream_expiry_days);
        let message = format!("`{key}` must be 1 to 90, not {days}");
        faults.push(Fault::new(key, message));
    }
    for (key, value) in [
        ("data.push_log_bytes_max", data.push_log_bytes_max),
        ("data.push_log_files_max", data.push_log_files_max.into()),
    ] {
        if value == 0 {
            let message = format!("`{key}` must be at least 1, not 0");
            faults.push(Fault::new(key, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_neptune_does_not_take_either_are_refused_and_so_is_a_log_of_no_size() {
        let wrong = |change: fn(&mut DataConfig)| {
            let mut data = DataConfig::default();
            change(&mut data);
            let mut faults = Vec::new();
            check(&data, &mut faults);
            faults
                .into_iter()
                .flat_map(|fault| fault.keys)
                .collect::<Vec<_>>()
        };
        assert_eq!(wrong(|data| data.stream_expiry_days = 1), [""; 0]);
        assert_eq!(wrong(|data| data.stream_expiry_days = 90), [""; 0]);
        assert_eq!(
            wrong(|data| data.stream_expiry_days = 0),
            ["data.stream_expiry_days"]
        );
        assert_eq!(
            wrong(|data| data.stream_expiry_days = 91),
            ["data.stream_expiry_days"]
        );
        assert_eq!(
            wrong(|data| data.push_log_bytes_max = 0),
            ["data.push_log_bytes_max"]
        );
        assert_eq!(
            wrong(|data| data.push_log_files_max = 0),
            ["data.push_log_files_max"]
        );
    }
}
