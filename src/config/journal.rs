//! What is kept of the journal.

use std::path::PathBuf;

use iyagi_messages::object::ObjectKey;
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
    /// Days after which events are exported, and taken out if what they tell of is over; 0 for never. 90 if absent; in a
    /// fleet never, unless exports have a bucket.
    pub keep_days: Option<u32>,
    /// Where exports are kept: a folder, or in a fleet a bucket, such as `s3://bucket/prefix`. `journal-exports` in the data
    /// folder if absent.
    pub exports: Option<String>,
}

/// Where exports are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportsPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket {
        /// Its name.
        name: String,
        /// What keys begin with: empty, or ending with a slash.
        prefix: String,
    },
}

/// As long as an inbox keeps its entries by default, whose pushes the journal would have to keep anyway.
const KEEP_DAYS: u32 = 90;
/// How the address of a bucket begins.
const BUCKET: &str = "s3://";
/// What iyagi keeps of the journal in the bucket of files, where no notification is told of it.
const OWN_PREFIX: &str = "journal/";
/// The part of it that is in use.
const SNAPSHOTS_PREFIX: &str = "journal/snapshots/";

impl Config {
    /// Days after which the journal is compacted, if it ever is.
    pub fn journal_keep_days(&self) -> Option<u32> {
        let has_place = matches!(self.exports_place(), ExportsPlace::Bucket { .. });
        let absent = if self.aws.enabled && !has_place {
            0
        } else {
            KEEP_DAYS
        };
        let days = self.journal.retention.keep_days.unwrap_or(absent);
        (days > 0).then_some(days)
    }

    /// The folder of exports on their way to a bucket. What is in it is removed, so that it must never be one that keeps them.
    pub fn exports_on_their_way(&self) -> PathBuf {
        self.data.dir.join("journal-exports-on-their-way")
    }

    /// Where the journal's exports are kept.
    pub fn exports_place(&self) -> ExportsPlace {
        match &self.journal.retention.exports {
            None => ExportsPlace::Folder(self.data.dir.join("journal-exports")),
            Some(named) => place(named),
        }
    }
}

fn place(named: &str) -> ExportsPlace {
    let Some(address) = named.strip_prefix(BUCKET) else {
        return ExportsPlace::Folder(named.into());
    };
    let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
    let prefix = prefix.trim_end_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    ExportsPlace::Bucket {
        name: name.to_owned(),
        prefix: format!("{prefix}{slash}"),
    }
}

/// What is wrong with the values themselves.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let retention = &config.journal.retention;
    let key = "journal.retention.exports";
    let own = format!("{BUCKET}{}/journal/exports", config.media.bucket);
    if retention.exports.as_ref().is_some_and(String::is_empty) {
        let message = format!("`{key}` is empty: exports need a place");
        let help = if config.aws.enabled {
            format!("name a bucket, such as {own}, or leave it out")
        } else {
            "name a folder, or leave it out for journal-exports in the data folder".to_owned()
        };
        faults.push(Fault::new(key, message).help(help));
        return;
    }
    match config.exports_place() {
        ExportsPlace::Folder(folder) if config.aws.enabled => {
            let asked = if retention.exports.is_some() {
                format!("`{key}` is the folder {}", folder.display())
            } else if config.journal_keep_days().is_some() {
                format!("`journal.retention.keep_days` is set, and `{key}` is not")
            } else {
                return;
            };
            let message = format!(
                "{asked}, but a fleet has no folder: whichever host leads exports what all of them take out"
            );
            let help = format!("name a bucket, such as {own}, or leave both out");
            let fault = Fault::new(key, message).or("journal.retention.keep_days");
            faults.push(fault.or("aws.enabled").help(help));
        }
        ExportsPlace::Folder(_) => {}
        ExportsPlace::Bucket { .. } if !config.aws.enabled => {
            let message = format!("`{key}` is a bucket, which needs `aws.enabled`");
            faults.push(Fault::new(key, message).help("name a folder, or leave it out"));
        }
        ExportsPlace::Bucket { name, prefix } => {
            if let Some(reason) = wrong_with(&name, &prefix, config) {
                let message = format!("`{key}` cannot be used: {reason}");
                let help = format!("write it as s3://bucket/prefix, such as {own}");
                faults.push(Fault::new(key, message).help(help));
            }
        }
    }
}

fn wrong_with(name: &str, prefix: &str, config: &Config) -> Option<String> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inside = |byte: u8| letter(byte) || matches!(byte, b'.' | b'-');
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let named = (3..=63).contains(&bytes.len())
        && ends.into_iter().flatten().all(|byte| letter(*byte))
        && bytes.iter().all(|byte| inside(*byte));
    if !named {
        return Some(format!("no bucket can be called \"{name}\""));
    }
    if let Err(error) = ObjectKey::new(format!("{prefix}2026/01/31/1-2.jsonl.zst")) {
        return Some(error.to_string());
    }
    let in_the_way = !prefix.starts_with(OWN_PREFIX) || prefix.starts_with(SNAPSHOTS_PREFIX);
    (name == config.media.bucket && in_the_way).then(|| {
        format!(
            "in the bucket of files, which tells of what is put elsewhere, exports lie below {OWN_PREFIX} and not below \
             {SNAPSHOTS_PREFIX}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(exports: Option<&str>, keep_days: Option<u32>) -> Config {
        let mut config = Config::default();
        config.aws.enabled = true;
        config.media.bucket = "files".to_owned();
        config.journal.retention = RetentionConfig {
            keep_days,
            exports: exports.map(str::to_owned),
        };
        config
    }

    fn faults(config: &Config) -> usize {
        let mut faults = Vec::new();
        check(config, &mut faults);
        faults.len()
    }

    #[test]
    fn a_fleet_compacts_by_default_if_exports_have_a_bucket_and_never_without_one() {
        let days = |exports, keep_days| fleet(exports, keep_days).journal_keep_days();
        assert_eq!(days(None, None), None);
        assert_eq!(days(Some("s3://archive/iyagi"), None), Some(KEEP_DAYS));
        assert_eq!(days(Some("s3://archive/iyagi"), Some(0)), None);
        assert_eq!(Config::default().journal_keep_days(), Some(KEEP_DAYS));
    }

    #[test]
    fn exports_have_a_place_that_every_host_reaches() {
        for (exports, keep_days) in [
            (None, None),
            (None, Some(0)),
            (Some("s3://archive"), None),
            (Some("s3://archive/of/iyagi/"), Some(30)),
            (Some("s3://files/journal/exports"), None),
        ] {
            assert_eq!(
                faults(&fleet(exports, keep_days)),
                0,
                "{exports:?}, {keep_days:?}"
            );
        }
        for (exports, keep_days) in [
            (Some(""), None),
            (None, Some(30)),
            (Some("/var/exports"), None),
            (Some("s3://"), None),
            (Some("s3://A_b/x"), None),
            (Some("s3://archive//x"), None),
            (Some("s3://files"), None),
            (Some("s3://files/posts"), None),
            (Some("s3://files/journal/snapshots"), None),
        ] {
            assert_eq!(
                faults(&fleet(exports, keep_days)),
                1,
                "{exports:?}, {keep_days:?}"
            );
        }
        let mut alone = fleet(Some("s3://archive/iyagi"), None);
        alone.aws.enabled = false;
        assert_eq!(faults(&alone), 1);
    }

    #[test]
    fn what_is_on_its_way_to_a_bucket_is_not_where_one_machine_has_kept_its_exports() {
        let kept = Config::default().exports_place();
        let on_their_way = fleet(Some("s3://archive/iyagi"), None).exports_on_their_way();
        assert_ne!(kept, ExportsPlace::Folder(on_their_way));
    }

    #[test]
    fn an_address_is_a_bucket_and_what_keys_begin_with() {
        let bucket = |name: &str, prefix: &str| ExportsPlace::Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(place("s3://a/b/c/"), bucket("a", "b/c/"));
        assert_eq!(place("s3://a"), bucket("a", ""));
        assert_eq!(place("a/b"), ExportsPlace::Folder("a/b".into()));
    }
}
