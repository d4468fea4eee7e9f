//! What a person wants of notifications at all: when, in which language, about whom and about what.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;
use utoipa::ToSchema;

use crate::ids::{ElementId, PersonId};

/// One person's wishes; the default is what somebody has who never said anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Preferences {
    /// Language of the texts, such as `ko` or `en-GB`; that of each phone if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Name in the IANA time zone database, such as `Asia/Seoul`; UTC if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When the phone is to be left alone; never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Whether several notifications may come as one.
    pub digest: bool,
    /// Categories that are not wanted.
    pub opted_out_categories: BTreeSet<String>,
    /// People and things of which nothing is to be heard.
    pub muted: BTreeSet<ElementId>,
    /// People of whom nothing is to be heard, and who are to hear nothing of this person.
    pub blocked: BTreeSet<PersonId>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            locale: None,
            time_zone: None,
            quiet_hours: None,
            digest: true,
            opted_out_categories: BTreeSet::new(),
            muted: BTreeSet::new(),
            blocked: BTreeSet::new(),
        }
    }
}

/// A part of each day in the person's own time; one that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuietHours {
    /// When it begins.
    pub from: TimeOfDay,
    /// When it is over.
    pub to: TimeOfDay,
}

/// A moment of the day by a clock on the wall, in minutes since midnight, written such as `22:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:30")]
pub struct TimeOfDay(u16);

/// A text that is no time of day.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("`{0}` is not a time of day such as `22:30`")]
pub struct NotATimeOfDay(pub String);

impl TimeOfDay {
    /// A time of day; nothing beyond `23:59`.
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        (hour < 24 && minute < 60).then(|| Self(u16::from(hour) * 60 + u16::from(minute)))
    }

    /// The hour, 0 to 23.
    pub fn hour(self) -> u8 {
        (self.0 / 60) as u8
    }

    /// The minute, 0 to 59.
    pub fn minute(self) -> u8 {
        (self.0 % 60) as u8
    }
}

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let two_digits = |part: &str| {
            let plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        };
        let parsed = text
            .split_once(':')
            .and_then(|(hour, minute)| Self::new(two_digits(hour)?, two_digits(minute)?));
        parsed.ok_or_else(|| NotATimeOfDay(text.to_owned()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What keeps one person's doings from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// Neither hears of the other.
    Block,
    /// One does not hear of the other.
    Mute,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_strictly_and_written_as_it_was() {
        for text in ["00:00", "07:05", "23:59"] {
            let read: TimeOfDay = text.parse().expect("it is one");
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "24:00", "12:60", "7:05", "+7:05", "12:5", "12", "", "aa:bb", "12:30:00",
        ] {
            assert_eq!(
                text.parse::<TimeOfDay>(),
                Err(NotATimeOfDay(text.to_owned()))
            );
        }
    }

    #[test]
    fn who_never_said_anything_has_the_default() {
        let read: Preferences = serde_json::from_str("{}").expect("an object");
        assert_eq!(read, Preferences::default());
        assert!(read.digest);
    }
}
