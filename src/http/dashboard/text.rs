//! Numbers and moments as people read them.

use askama::Template;
use iyagi_messages::ids::Timestamp;

/// A moment: in words, with the exact one behind it.
#[derive(Template)]
#[template(
    source = r#"<time datetime="{{ exact }}" title="{{ exact }}">{{ words }}</time>"#,
    ext = "html"
)]
pub(super) struct Moment {
    exact: String,
    words: String,
}

/// A whole number with a comma between every three digits.
pub(super) fn number(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something, whose plural ends in `s`.
pub(super) fn count(of: u64, what: &str) -> String {
    let ending = if of == 1 { "" } else { "s" };
    format!("{} {what}{ending}", number(of))
}

/// How often a second something happens.
pub(super) fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        "0".to_owned()
    } else if per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        number(per_second.round() as u64)
    }
}

/// How long something takes, in the largest unit that fits and the one below it.
pub(super) fn span(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match ms % large / small {
        0 => format!("{} {unit}", ms / large),
        rest => format!("{} {unit} {rest} {small_unit}", ms / large),
    };
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => two(MINUTE, "min", SECOND, "s"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        _ => two(DAY, "d", HOUR, "h"),
    }
}

/// How late something is, if that is known.
pub(super) fn delay(seconds: Option<f64>) -> String {
    match seconds.map(|seconds| (seconds * 1_000.0) as u64) {
        None => "unknown".to_owned(),
        Some(0) => "none".to_owned(),
        Some(ms) => span(ms),
    }
}

/// A size, in the unit that fits.
pub(super) fn bytes(size: u64) -> String {
    let unit = |divisor: f64, name: &str| format!("{:.1} {name}", size as f64 / divisor);
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => unit(1e3, "kB"),
        1_000_000..1_000_000_000 => unit(1e6, "MB"),
        _ => unit(1e9, "GB"),
    }
}

/// A duration in microseconds, in the unit that fits.
pub(super) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => span(us / 1_000),
    }
}

/// A moment to come, as far as it is away.
pub(super) fn ahead(at: Timestamp, now: Timestamp) -> Moment {
    let hours = at.since_ms(now) / 3_600_000;
    let words = match hours {
        0 => "within the hour".to_owned(),
        1..48 => format!("in {hours} h"),
        _ => format!("in {} d", hours / 24),
    };
    Moment {
        exact: exact(at),
        words,
    }
}

/// A moment of the past, as far as it is away.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Moment {
    let ms = now.since_ms(at);
    let words = match ms / 1_000 {
        0..5 => "just now".to_owned(),
        // Coarse, so that what is shown need not change all the time.
        seconds @ 5..60 => format!("{} s ago", seconds / 5 * 5),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    };
    Moment {
        exact: exact(at),
        words,
    }
}

/// A moment as ISO 8601 writes it, to the millisecond, in UTC.
pub(super) fn exact(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0);
    moment.map_or_else(|_| at.0.to_string(), |moment| format!("{moment:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_comma_between_every_three_digits() {
        for (given, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(number(given), shown);
        }
        assert_eq!(count(1, "letter"), "1 letter");
        assert_eq!(count(2_000, "letter"), "2,000 letters");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (ms, shown) in [
            (0, "0 ms"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_599_999, "59 min 59 s"),
            (7_260_000, "2 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), shown);
        }
        assert_eq!(micros(127), "127 µs");
        assert_eq!(micros(4_095), "4.1 ms");
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(45_200), "45.2 kB");
        assert_eq!(bytes(2_000_000), "2.0 MB");
    }

    #[test]
    fn a_moment_has_the_exact_one_behind_it() {
        let (at, now) = (Timestamp(1_764_460_800_123), Timestamp(1_764_460_923_123));
        assert_eq!(
            ago(at, now).to_string(),
            "<time datetime=\"2025-11-30T00:00:00.123Z\" title=\"2025-11-30T00:00:00.123Z\">2 min ago</time>"
        );
    }
}
