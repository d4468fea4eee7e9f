//! How long what was given up can be tried anew.

use iyagi_actors::dlq_keeper::LetterAge;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use super::semantics::Fault;

/// Longest time that SQS keeps a message.
const SQS_DAYS_MAX: u32 = 14;

/// Jobs that were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLettersConfig {
    /// Days for which a dead letter is kept; 0 for ever. At most 14 on AWS, where SQS keeps no message longer.
    pub keep_days: u32,
}

impl Default for DeadLettersConfig {
    fn default() -> Self {
        Self {
            keep_days: SQS_DAYS_MAX,
        }
    }
}

impl DeadLettersConfig {
    /// The same as their keeper takes it.
    pub fn age(self) -> LetterAge {
        LetterAge::days(self.keep_days)
    }
}

/// What is wrong with it.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let days = config.dead_letters.keep_days;
    if config.aws.enabled && !(1..=SQS_DAYS_MAX).contains(&days) {
        let key = "dead_letters.keep_days";
        let message = format!(
            "`{key}` must be 1 to {SQS_DAYS_MAX} on AWS, not {days}: SQS keeps no message longer"
        );
        faults.push(Fault::new(key, message).or("aws.enabled"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_aws_no_letter_is_kept_longer_than_its_queue_keeps_it() {
        let faults = |enabled, keep_days| {
            let mut config = Config::default();
            config.aws.enabled = enabled;
            config.dead_letters.keep_days = keep_days;
            let mut faults = Vec::new();
            check(&config, &mut faults);
            faults.len()
        };
        assert_eq!([0, 1, 14, 15].map(|days| faults(true, days)), [1, 0, 0, 1]);
        assert_eq!([0, 15].map(|days| faults(false, days)), [0, 0]);
    }
}
