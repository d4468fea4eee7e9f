//! What is written to the log, and what can be wrong with the filter that says so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::Config;
use super::finding::meant;
use super::semantics::Fault;

/// What is written to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Level, or a filter such as `info,iyagi::http=debug`. `iyagi log` lets another one hold for a while.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a filter is none.
#[derive(Debug, Error)]
pub enum FilterFault {
    /// There is nothing in it.
    #[error("says nothing")]
    Empty,
    /// It is not written as one.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] ParseError),
    /// A level with a slip of the finger. A lone word is a module to the filter, so everything would be silent.
    #[error("names no level: there is no \"{word}\"")]
    NoLevel {
        /// What is written.
        word: String,
        /// What was probably meant.
        meant: &'static str,
    },
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl FilterFault {
    /// What to do about it.
    pub fn cure(&self) -> String {
        match self {
            Self::Empty | Self::Unreadable(_) => format!(
                "levels are {}; a filter is such as \"info,iyagi::http=debug\"",
                LEVELS.join(", ")
            ),
            Self::NoLevel { meant, .. } => format!("did you mean \"{meant}\"?"),
        }
    }
}

/// Reads a filter as it is configured or ordered.
pub fn readable_filter(filter: &str) -> Result<EnvFilter, FilterFault> {
    let readable = EnvFilter::try_new(filter)?;
    if filter.split(',').all(|word| word.trim().is_empty()) {
        return Err(FilterFault::Empty);
    }
    for word in filter.split(',').map(str::trim) {
        let lower = word.to_lowercase();
        if let Some(meant) = meant(word, LEVELS.into_iter()).filter(|level| *level != lower) {
            return Err(FilterFault::NoLevel {
                word: word.to_owned(),
                meant,
            });
        }
    }
    Ok(readable)
}

/// What is wrong with it.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let key = "log.filter";
    if let Err(fault) = readable_filter(&config.log.filter) {
        faults.push(Fault::new(key, format!("`{key}` {fault}")).help(fault.cure()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_silence_the_log_by_mistake_is_no_filter() {
        for filter in [
            "info",
            "WARN",
            "off",
            "info,iyagi::http=debug",
            "debug,",
            "iyagi=3",
        ] {
            assert!(readable_filter(filter).is_ok(), "{filter}");
        }
        for (mistake, cure) in [
            ("", "levels are off, error"),
            (" , ", "levels are off, error"),
            ("iyagi=loud", "levels are off, error"),
            ("debgu", "did you mean \"debug\"?"),
            ("info,wran", "did you mean \"warn\"?"),
        ] {
            let fault = readable_filter(mistake).expect_err(mistake);
            assert!(fault.cure().contains(cure), "{mistake}: {fault}");
        }
    }
}
