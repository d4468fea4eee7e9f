//! How old dead letters get.

use iyagi_messages::ids::Timestamp;
use iyagi_messages::letter::Letter;

const DAY_MS: u64 = 24 * 3_600_000;
/// How long before the end people are told of it, in days: a weekend.
const SOON_DAYS: u64 = 2;

/// How long letters are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterAge {
    keep_days: u32,
}

impl LetterAge {
    /// So many days; for ever if they are none.
    pub fn days(keep_days: u32) -> Self {
        Self { keep_days }
    }

    /// When a letter expires, if it ever does.
    pub fn expires(self, letter: &Letter) -> Option<Timestamp> {
        Some(letter.at.plus_ms(self.ms()?))
    }

    /// The days, and since when a letter must have waited to be expired at a moment.
    pub fn at(self, now: Timestamp) -> Option<(u32, Timestamp)> {
        Some((self.keep_days, before(now, self.ms()?)))
    }

    /// Since when a letter must have waited to expire soon: within two days, or half of all its time if that is less.
    pub fn soon(self, now: Timestamp) -> Option<Timestamp> {
        let ms = self.ms()?;
        Some(before(now, ms - (SOON_DAYS * DAY_MS).min(ms / 2)))
    }

    fn ms(self) -> Option<u64> {
        (self.keep_days > 0).then(|| u64::from(self.keep_days) * DAY_MS)
    }
}

fn before(now: Timestamp, ms: u64) -> Timestamp {
    Timestamp(now.0.saturating_sub_unsigned(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expires_soon_is_told_for_a_weekend_or_for_half_of_its_time() {
        let (now, day) = (Timestamp(100 * DAY_MS as i64), DAY_MS as i64);
        let ages = |days| {
            let ago = |at: Option<Timestamp>| at.map(|at| (now.0 - at.0) as f64 / day as f64);
            let age = LetterAge::days(days);
            (ago(age.soon(now)), ago(age.at(now).map(|(_, at)| at)))
        };
        assert_eq!(ages(14), (Some(12.0), Some(14.0)));
        assert_eq!(ages(1), (Some(0.5), Some(1.0)));
        assert_eq!(ages(0), (None, None));
    }
}
