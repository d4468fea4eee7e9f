//! Notifications that everybody gets unless they opt out, and the texts that announce a change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Where a tap leads; `{subject}` in it is the id of what it was done to.
    #[serde(default = "default_link")]
    pub link: String,
}

/// The language of people whose own has no texts.
pub const FALLBACK_LOCALE: &str = "en";

fn default_link() -> String {
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

impl Template {
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
