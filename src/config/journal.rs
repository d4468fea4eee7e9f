//! What is kept of the journal.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use super::semantics::Fault;

/// The journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// How long what is over stays in it.
    pub retention: RetentionConfig,
}

/// How long what is over stays in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after which events are exported, and taken out if what they tell of is over; 0 for never. 90 if absent; never
    /// in a fleet.
    pub keep_days: Option<u32>,
    /// The folder of exports; `journal-exports` in the data folder if absent.
    pub exports: Option<PathBuf>,
}

/// As long as an inbox keeps its entries by default, whose pushes the journal would have to keep anyway.
const KEEP_DAYS: u32 = 90;

impl Config {
    /// Days after which the journal is compacted, if it ever is.
    pub fn journal_keep_days(&self) -> Option<u32> {
        let days = self.journal.retention.keep_days;
        let days = days.unwrap_or(if self.aws.enabled { 0 } else { KEEP_DAYS });
        (days > 0).then_some(days)
    }

    /// The folder of the journal's exports.
    pub fn exports_folder(&self) -> PathBuf {
        let named = self.journal.retention.exports.clone();
        named.unwrap_or_else(|| self.data.dir.join("journal-exports"))
    }
}

/// What is wrong with the values themselves.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    if config.aws.enabled && config.journal_keep_days().is_some() {
        let key = "journal.retention.keep_days";
        let message = format!(
            "`{key}` is set, but the journal of a fleet is a log in DynamoDB that nothing is taken out of yet, and its copies \
             on the hosts must be whole"
        );
        faults.push(
            Fault::new(key, message)
                .or("aws.enabled")
                .help("leave it out, or set it to 0"),
        );
    }
}
