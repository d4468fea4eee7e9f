//! When a person's quiet hours end, in their own time zone.

use iyagi_messages::ids::Timestamp;
use iyagi_messages::preferences::{Preferences, QuietHours, TimeOfDay};
use jiff::Zoned;
use jiff::civil::Time;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The moment at which the quiet hours end that a moment lies in; nothing if it lies in none.
///
/// An hour that a day leaves out ends when the clock jumps over it; one that it has twice is quiet both times.
pub fn end_of_quiet(preferences: &Preferences, now: Timestamp) -> Option<Timestamp> {
    let quiet = preferences.quiet_hours?;
    let zone = zone_of(preferences);
    let here = jiff::Timestamp::from_millisecond(now.0)
        .ok()?
        .to_zoned(zone);
    if !lies_in(quiet, here.time()) {
        return None;
    }
    let today = at(&here, quiet.to)?;
    let end = if today > here {
        today
    } else {
        at(&here.tomorrow().ok()?, quiet.to)?
    };
    Some(Timestamp(end.timestamp().as_millisecond()))
}

/// A person's time zone. One that this machine's database no longer knows is taken for UTC.
pub fn zone_of(preferences: &Preferences) -> TimeZone {
    let Some(name) = &preferences.time_zone else {
        return TimeZone::UTC;
    };
    TimeZone::get(name).unwrap_or_else(|error| {
        tracing::warn!(zone = name, %error, "a person's time zone is not known here, and taken for UTC");
        TimeZone::UTC
    })
}

fn lies_in(quiet: QuietHours, time: Time) -> bool {
    let (from, to) = (civil(quiet.from), civil(quiet.to));
    if from <= to {
        (from..to).contains(&time)
    } else {
        time >= from || time < to
    }
}

fn civil(time: TimeOfDay) -> Time {
    jiff::civil::time(time.hour() as i8, time.minute() as i8, 0, 0)
}

/// A time of the day that `day` lies in; where the day leaves it out, the moment at which it goes on.
fn at(day: &Zoned, time: TimeOfDay) -> Option<Zoned> {
    let wanted = day.date().to_datetime(civil(time));
    let ambiguous = day.time_zone().to_ambiguous_zoned(wanted);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        let before = ambiguous.earlier().ok()?;
        let jump = day.time_zone().following(before.timestamp()).next()?;
        return Some(jump.timestamp().to_zoned(day.time_zone().clone()));
    }
    // Of an hour that comes twice, the later one ends it.
    ambiguous.later().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of the quiet hours `from`-`to` in `zone`, as a local time, at a moment in UTC.
    fn end(zone: &str, from: &str, to: &str, now: &str) -> Option<String> {
        let preferences = Preferences {
            time_zone: Some(zone.to_owned()),
            quiet_hours: Some(QuietHours {
                from: from.parse().expect("a time of day"),
                to: to.parse().expect("a time of day"),
            }),
            ..Preferences::default()
        };
        let now: jiff::Timestamp = now.parse().expect("a moment");
        let end = end_of_quiet(&preferences, Timestamp(now.as_millisecond()))?;
        let end = jiff::Timestamp::from_millisecond(end.0).expect("in range");
        Some(
            end.to_zoned(zone_of(&preferences))
                .strftime("%m-%d %H:%M %z")
                .to_string(),
        )
    }

    #[test]
    fn quiet_hours_go_over_midnight_in_the_persons_own_time() {
        let seoul = |now| end("Asia/Seoul", "22:00", "07:30", now);
        // 22:00 in Seoul is 13:00 in Greenwich.
        assert_eq!(seoul("2026-11-25T12:59:59Z"), None);
        let morning = Some("11-26 07:30 +0900".to_owned());
        assert_eq!(seoul("2026-11-25T13:00:00Z"), morning);
        assert_eq!(seoul("2026-11-25T22:29:59Z"), morning);
        assert_eq!(seoul("2026-11-25T22:30:00Z"), None);
    }

    #[test]
    fn quiet_hours_within_a_day_and_none_at_all() {
        let noon = |now| end("Asia/Seoul", "12:00", "13:00", now);
        let end_of_it = Some("11-25 13:00 +0900".to_owned());
        assert_eq!(noon("2026-11-25T03:30:00Z"), end_of_it);
        assert_eq!(noon("2026-11-25T04:00:00Z"), None);
        assert_eq!(
            end("Asia/Seoul", "12:00", "12:00", "2026-11-25T03:00:00Z"),
            None
        );
        assert_eq!(end_of_quiet(&Preferences::default(), Timestamp(0)), None);
    }

    #[test]
    fn an_hour_that_is_left_out_ends_when_the_clock_jumps_over_it() {
        // On 29 March 2026 Berlin goes from 02:00 to 03:00.
        let berlin = |to| end("Europe/Berlin", "22:00", to, "2026-03-28T23:00:00Z");
        assert_eq!(berlin("02:30"), Some("03-29 03:00 +0200".to_owned()));
        assert_eq!(berlin("07:00"), Some("03-29 07:00 +0200".to_owned()));
    }

    #[test]
    fn an_hour_that_comes_twice_is_quiet_both_times() {
        // On 25 October 2026 Berlin goes from 03:00 back to 02:00.
        let berlin = |to| end("Europe/Berlin", "22:00", to, "2026-10-24T22:00:00Z");
        assert_eq!(berlin("02:30"), Some("10-25 02:30 +0100".to_owned()));
        assert_eq!(berlin("07:00"), Some("10-25 07:00 +0100".to_owned()));
    }

    #[test]
    fn a_zone_that_nobody_knows_is_taken_for_utc() {
        let end = end("Mars/Olympus", "22:00", "07:00", "2026-11-25T23:00:00Z");
        assert_eq!(end, Some("11-26 07:00 +0000".to_owned()));
    }
}
