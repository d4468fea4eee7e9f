//! The text format of Prometheus, family by family.

use std::fmt::{Display, Write};

use iyagi_actors::runtime::Latency;
use metrics_exporter_prometheus::formatting::{
    sanitize_label_value, write_help_line, write_type_line,
};

/// Upper bounds of a histogram's buckets as powers of two of microseconds: from 128 µs to two minutes.
const BOUNDS: [u32; 11] = [7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27];

/// Collects the text of a scrape.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// One family, whose samples follow.
pub(super) struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family whose samples only grow.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.family(name, "counter", help)
    }

    /// Begins a family whose samples come and go.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a family of distributions.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        write_help_line(&mut self.0, name, None, None, help);
        write_type_line(&mut self.0, name, None, None, kind);
        Family {
            text: &mut self.0,
            name,
        }
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// Adds a distribution of durations, in seconds.
    pub(super) fn distribution(&mut self, labels: &[(&str, &str)], latency: &Latency) {
        for bound in BOUNDS {
            // A duration of the bucket below 2^n is shorter than 2^n µs, so the bound holds exactly.
            let bound_us = 1_u64 << bound;
            let below = latency
                .buckets
                .iter()
                .filter(|bucket| bucket.up_to_us < bound_us);
            let count: u64 = below.map(|bucket| bucket.count).sum();
            self.bucket(labels, &seconds(bound_us).to_string(), count);
        }
        self.bucket(labels, "+Inf", latency.count);
        self.line("_sum", labels, seconds(latency.sum_us));
        self.line("_count", labels, latency.count);
    }

    fn bucket(&mut self, labels: &[(&str, &str)], bound: &str, count: u64) {
        let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
        self.line("_bucket", &labels, count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", sanitize_label_value(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let (open, close) = if labels.is_empty() {
            ("", "")
        } else {
            ("{", "}")
        };
        let name = self.name;
        writeln!(self.text, "{name}{suffix}{open}{labels}{close} {value}")
            .expect("writing to a String cannot fail");
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_actors::runtime::LatencyBucket;

    #[test]
    fn buckets_are_cumulative_and_labels_are_escaped() {
        let latency = Latency {
            count: 3,
            sum_us: 1_000_500,
            buckets: vec![
                LatencyBucket {
                    up_to_us: 127,
                    count: 1,
                },
                LatencyBucket {
                    up_to_us: 511,
                    count: 1,
                },
                LatencyBucket {
                    up_to_us: 1_048_575,
                    count: 1,
                },
            ],
            ..Latency::default()
        };
        let mut exposition = Exposition::default();
        exposition
            .histogram("iyagi_test_seconds", "A test")
            .distribution(&[("actor", "a\"b")], &latency);
        let text = exposition.finish();
        for line in [
            "# TYPE iyagi_test_seconds histogram",
            r#"iyagi_test_seconds_bucket{actor="a\"b",le="0.000128"} 1"#,
            r#"iyagi_test_seconds_bucket{actor="a\"b",le="0.000512"} 2"#,
            r#"iyagi_test_seconds_bucket{actor="a\"b",le="2.097152"} 3"#,
            r#"iyagi_test_seconds_bucket{actor="a\"b",le="+Inf"} 3"#,
            r#"iyagi_test_seconds_sum{actor="a\"b"} 1.0005"#,
            r#"iyagi_test_seconds_count{actor="a\"b"} 3"#,
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
