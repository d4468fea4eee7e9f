//! The last hour of what the daemon counts, for charts and for what is said of rates.

use std::collections::VecDeque;

use iyagi_messages::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Time between two samples.
pub(super) const EVERY_MS: u64 = 2_000;
/// How far back it goes.
pub(super) const SPAN_MS: u64 = 3_600_000;
/// What a rate of now is measured over: long enough not to flicker, short enough to tell of now.
const RATE_MS: u64 = 10_000;

/// What was counted up to a moment, since whenever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    /// Commits of the graph that are done with.
    pub(super) commits: u64,
    /// Pushes that were requested.
    pub(super) matched: u64,
    /// Pushes that a gateway took.
    pub(super) sent: u64,
    /// Files whose metadata was recorded.
    pub(super) recorded: u64,
    /// Pictures that were made smaller.
    pub(super) thumbnails: u64,
    /// Recordings that were listened to.
    pub(super) recordings: u64,
    /// Documents that were written to the search index.
    pub(super) indexed: u64,
    /// Restarts of all actors.
    pub(super) restarts: u64,
}

/// What happens in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) commits: f64,
    pub(super) matched: f64,
    pub(super) sent: f64,
    pub(super) recorded: f64,
    pub(super) thumbnails: f64,
    pub(super) recordings: f64,
    pub(super) indexed: f64,
}

/// The samples of the last hour, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Sample>);

/// The rates of the last hour, a column each, as charts take them.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub(super) struct Columns {
    /// Milliseconds since 1970.
    pub(super) at: Vec<i64>,
    pub(super) commits: Vec<f64>,
    pub(super) matched: Vec<f64>,
    pub(super) sent: Vec<f64>,
    pub(super) recorded: Vec<f64>,
    pub(super) thumbnails: Vec<f64>,
    pub(super) recordings: Vec<f64>,
    pub(super) indexed: Vec<f64>,
}

impl Rates {
    fn between(earlier: &Sample, later: &Sample) -> Self {
        let seconds = later.at.since_ms(earlier.at).max(1) as f64 / 1_000.0;
        // A count begins anew where an actor does.
        let rate = |count: fn(&Sample) -> u64| {
            let rate = count(later).saturating_sub(count(earlier)) as f64 / seconds;
            // More digits than anybody reads.
            (rate * 1_000.0).round() / 1_000.0
        };
        Self {
            commits: rate(|sample| sample.commits),
            matched: rate(|sample| sample.matched),
            sent: rate(|sample| sample.sent),
            recorded: rate(|sample| sample.recorded),
            thumbnails: rate(|sample| sample.thumbnails),
            recordings: rate(|sample| sample.recordings),
            indexed: rate(|sample| sample.indexed),
        }
    }
}

impl History {
    /// Keeps a sample, unless the last one is too young, and forgets those that are too old.
    pub(super) fn note(&mut self, sample: Sample) {
        let last = self.0.back();
        if last.is_some_and(|last| sample.at.since_ms(last.at) < EVERY_MS) {
            return;
        }
        self.0.push_back(sample);
        while self
            .0
            .front()
            .is_some_and(|first| sample.at.since_ms(first.at) > SPAN_MS)
        {
            self.0.pop_front();
        }
    }

    /// What happens in a second now.
    pub(super) fn rates(&self, now: &Sample) -> Rates {
        let mut newest_first = self.0.iter().rev();
        let before = newest_first.find(|sample| now.at.since_ms(sample.at) >= RATE_MS);
        let before = before.or_else(|| self.0.front());
        before.map_or_else(Rates::default, |before| Rates::between(before, now))
    }

    /// Restarts within the last hour.
    pub(super) fn restarts(&self, now: &Sample) -> u64 {
        let oldest = self.0.front().unwrap_or(now);
        now.restarts.saturating_sub(oldest.restarts)
    }

    /// What is later than a moment, as rates between each sample and the one before it.
    pub(super) fn columns(&self, after: Timestamp) -> Columns {
        let mut columns = Columns::default();
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        for (earlier, later) in pairs.filter(|(_, later)| later.at > after) {
            let rates = Rates::between(earlier, later);
            columns.at.push(later.at.0);
            columns.commits.push(rates.commits);
            columns.matched.push(rates.matched);
            columns.sent.push(rates.sent);
            columns.recorded.push(rates.recorded);
            columns.thumbnails.push(rates.thumbnails);
            columns.recordings.push(rates.recordings);
            columns.indexed.push(rates.indexed);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: i64, sent: u64) -> Sample {
        Sample {
            at: Timestamp(seconds * 1_000),
            sent,
            restarts: sent / 10,
            ..Sample::default()
        }
    }

    #[test]
    fn an_hour_is_kept_at_an_even_pace() {
        let mut history = History::default();
        for second in 0..10_000 {
            history.note(sample(second, second as u64));
        }
        let columns = history.columns(Timestamp(0));
        assert_eq!(columns.at.len(), 1_800);
        assert!(columns.sent.iter().all(|rate| (*rate - 1.0).abs() < 1e-9));
        let last = *columns.at.last().expect("a sample");
        assert_eq!(history.columns(Timestamp(last - 2_000)).at, [last]);
        assert_eq!(history.restarts(&sample(10_000, 10_000)), 361);
    }

    #[test]
    fn a_rate_is_of_the_last_ten_seconds_and_never_below_zero() {
        let mut history = History::default();
        assert_eq!(history.rates(&sample(0, 5)), Rates::default());
        for (second, sent) in [(0, 0), (10, 1_000), (20, 1_020)] {
            history.note(sample(second, sent));
        }
        let rates = history.rates(&sample(22, 1_030));
        assert!((rates.sent - 2.5).abs() < 1e-9, "{rates:?}");
        assert!(history.rates(&sample(30, 0)).sent.abs() < 1e-9);
    }
}
