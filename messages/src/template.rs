//! Notifications that everybody gets unless they opt out, and the texts that announce a change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::TemplateId;
use crate::push::OnUnknownOutcome;
use crate::subscription::{Anchor, When};

/// A kind of notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template's name, also in opt-outs and the journal.
    pub id: TemplateId,
    /// Where changes are looked for; absent for texts that only explicit subscriptions use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// What else must hold.
    #[serde(default)]
    pub when: When,
    /// Groups templates on the phone and in preferences.
    pub category: String,
    /// Seconds after the change from which a push would only annoy.
    pub ttl_seconds: u32,
    /// What to do with an attempt whose outcome a crash swallowed.
    #[serde(default)]
    pub on_unknown_outcome: OnUnknownOutcome,
    /// Whether it disturbs people also in their quiet hours, and however many they have had of late.
    #[serde(default)]
    pub urgent: bool,
    /// Seconds within which the same by the same person about the same thing is told once; 0 to tell it each time.
    #[serde(default)]
    pub duplicate_seconds: u32,
    /// Seconds within which what comes after the first about one thing is gathered, and told of together; 0 to tell each
    /// by itself.
    #[serde(default)]
    pub burst_seconds: u32,
    /// Texts by locale; `en` is the fallback and must be present.
    pub texts: BTreeMap<String, Texts>,
    /// Texts that the app brings itself: if there are any, the phone gets their keys, and no text leaves the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_texts: Option<DeviceTexts>,
    /// How phones present it.
    #[serde(default)]
    pub presentation: Presentation,
    /// Where a tap leads; `{subject}` in it is the id of what it was done to.
    #[serde(default = "default_link")]
    pub link: String,
}

/// The language of people whose own has no texts.
pub const FALLBACK_LOCALE: &str = "en";

/// Where a tap leads unless a template says otherwise.
pub fn default_link() -> String {
    "iyagi://inbox".to_owned()
}

/// What a phone shows, as patterns of Fluent. `$actor`, `$subject`, `$title` and `$key` are filled in when the push is
/// sent, and so are `$count`, how many notifications it tells of, and `$others`, how many people besides the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// First line.
    pub title: String,
    /// Second line.
    pub body: String,
}

/// Texts that the app brings itself, by their keys in its tables of translations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceTexts {
    /// Key of the first line: a pattern of Fluent, so that it may be chosen by `$count` and `$others`.
    pub title_key: String,
    /// What the first line is filled with.
    #[serde(default)]
    pub title_args: Vec<DeviceArgument>,
    /// Key of the second line, likewise.
    pub body_key: String,
    /// What the second line is filled with.
    #[serde(default)]
    pub body_args: Vec<DeviceArgument>,
}

/// What the app's own texts may be filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceArgument {
    /// Id of who did it.
    ActorId,
    /// Name of who did it. It leaves the daemon.
    Actor,
    /// Id of what it was done to.
    SubjectId,
    /// Title of what it was done to. It leaves the daemon.
    Title,
    /// The property that changed.
    Key,
    /// How many notifications it tells of.
    Count,
    /// How many people did it besides the actor.
    Others,
}

/// What a phone is sent of people's names and things' titles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownWith {
    /// Names.
    pub names: bool,
    /// Titles.
    pub titles: bool,
}

/// How phones present a notification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Presentation {
    /// Android's notification channel; that of the category's name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub android_channel: Option<String>,
    /// What an iPhone knows the notification's buttons by; the category's name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apns_category: Option<String>,
    /// How much an iPhone lets it interrupt.
    pub interruption_level: InterruptionLevel,
    /// Whether a sleeping phone is woken for it.
    pub priority: Priority,
}

/// How much an iPhone lets a notification interrupt (`aps.interruption-level`).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum InterruptionLevel {
    /// It waits in the list.
    Passive,
    /// It lights the screen and may sound.
    #[default]
    Active,
    /// It also breaks through a focus, if the app may.
    TimeSensitive,
    /// It also breaks through silence, if Apple allows the app to.
    Critical,
}

/// Whether a sleeping phone is woken.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// At once: `high` on Android, 10 on iPhones.
    #[default]
    High,
    /// When it suits the phone: `normal` on Android, 5 on iPhones.
    Normal,
}

impl Presentation {
    /// Whether nothing was said of it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Template {
    /// What a phone is sent of people's names and things' titles: both with texts, with keys only what they ask for.
    pub fn shown_with(&self) -> ShownWith {
        let asks = |argument: DeviceArgument| {
            self.device_texts.as_ref().is_none_or(|texts| {
                let mut all = texts.title_args.iter().chain(&texts.body_args);
                all.any(|one| *one == argument)
            })
        };
        ShownWith {
            names: asks(DeviceArgument::Actor),
            titles: asks(DeviceArgument::Title),
        }
    }

    /// The locale whose texts somebody with a locale such as `ko-KR` gets, and by whose rules of number they are written:
    /// their own, that of their language, else English.
    pub fn locale_for<'a>(&'a self, locale: &'a str) -> &'a str {
        let language = locale.split(['-', '_']).next().unwrap_or(locale);
        [locale, language]
            .into_iter()
            .find(|known| self.texts.contains_key(*known))
            .unwrap_or(FALLBACK_LOCALE)
    }
}
