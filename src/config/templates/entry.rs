//! A kind of notification as its file has it, and what it has in common with others of its category.

use std::collections::{BTreeMap, BTreeSet};

use iyagi_messages::ids::TemplateId;
use iyagi_messages::push::OnUnknownOutcome;
use iyagi_messages::subscription::{Anchor, When};
use iyagi_messages::template::{
    DeviceTexts, InterruptionLevel, Presentation, Priority, Template, Texts, default_link,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::WINDOW_SECONDS_MAX;
use crate::config::finding::meant;
use crate::config::semantics::Fault;

/// What the templates of each category have in common, by its name.
pub(super) type Categories = BTreeMap<String, InCommon>;

/// What the templates of a category have in common.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InCommon {
    /// Seconds after the change from which a push would only annoy.
    ttl_seconds: Option<u32>,
    /// What to do with an attempt whose outcome a crash swallowed.
    on_unknown_outcome: Option<OnUnknownOutcome>,
    /// Whether it disturbs people also in their quiet hours, and however many they have had of late.
    urgent: Option<bool>,
    /// Seconds within which the same by the same person about the same thing is told once; 0 to tell it each time.
    duplicate_seconds: Option<u32>,
    /// Seconds within which what comes after the first about one thing is gathered; 0 to tell each by itself.
    burst_seconds: Option<u32>,
    /// Android's notification channel; that of the category's name if absent.
    android_channel: Option<String>,
    /// What an iPhone knows the notification's buttons by; the category's name if absent.
    apns_category: Option<String>,
    /// How much an iPhone lets it interrupt.
    interruption_level: Option<InterruptionLevel>,
    /// Whether a sleeping phone is woken for it.
    priority: Option<Priority>,
}

/// A kind of notification, as its file has it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The template's name, also in opt-outs and the journal.
    id: TemplateId,
    /// Where changes are looked for; absent for texts that only explicit subscriptions use.
    anchor: Option<Anchor>,
    /// What else must hold.
    #[serde(default)]
    when: When,
    /// Groups templates on the phone and in preferences.
    category: String,
    /// Seconds after the change from which a push would only annoy.
    ttl_seconds: Option<u32>,
    /// What to do with an attempt whose outcome a crash swallowed.
    on_unknown_outcome: Option<OnUnknownOutcome>,
    /// Whether it disturbs people also in their quiet hours, and however many they have had of late.
    urgent: Option<bool>,
    /// Seconds within which the same by the same person about the same thing is told once; 0 to tell it each time.
    duplicate_seconds: Option<u32>,
    /// Seconds within which what comes after the first about one thing is gathered; 0 to tell each by itself.
    burst_seconds: Option<u32>,
    /// Android's notification channel; that of the category's name if absent.
    android_channel: Option<String>,
    /// What an iPhone knows the notification's buttons by; the category's name if absent.
    apns_category: Option<String>,
    /// How much an iPhone lets it interrupt.
    interruption_level: Option<InterruptionLevel>,
    /// Whether a sleeping phone is woken for it.
    priority: Option<Priority>,
    /// Texts by locale; `en` is the fallback and must be present.
    texts: BTreeMap<String, Texts>,
    /// Texts that the app brings itself: if there are any, the phone gets their keys, and no text leaves the daemon.
    device_texts: Option<DeviceTexts>,
    /// Where a tap leads; `{subject}` in it is the id of what it was done to.
    #[serde(default = "default_link")]
    link: String,
}

/// Every template with what its category says where it says nothing itself. One that nobody gives a time to live has none,
/// which [`check`] refuses.
pub(super) fn resolve(categories: &Categories, entries: &[Entry]) -> Vec<Template> {
    let unsaid = InCommon::default();
    let of = |entry: &Entry| {
        let category = categories.get(&entry.category).unwrap_or(&unsaid);
        entry.resolve(category)
    };
    entries.iter().map(of).collect()
}

/// What is wrong with what templates and their categories say in one place or the other.
pub(super) fn check(categories: &Categories, entries: &[Entry]) -> Vec<Fault> {
    let mut faults = check_categories(categories, entries);
    for (at, entry) in entries.iter().enumerate() {
        faults.extend(entry.check(at, categories.get(&entry.category)));
    }
    faults
}

impl Entry {
    fn resolve(&self, category: &InCommon) -> Template {
        let own = |own: &Option<String>, shared: &Option<String>| own.clone().or(shared.clone());
        Template {
            id: self.id.clone(),
            anchor: self.anchor.clone(),
            when: self.when.clone(),
            category: self.category.clone(),
            ttl_seconds: self.ttl_seconds.or(category.ttl_seconds).unwrap_or(0),
            on_unknown_outcome: self
                .on_unknown_outcome
                .or(category.on_unknown_outcome)
                .unwrap_or_default(),
            urgent: self.urgent.or(category.urgent).unwrap_or(false),
            duplicate_seconds: self
                .duplicate_seconds
                .or(category.duplicate_seconds)
                .unwrap_or(0),
            burst_seconds: self.burst_seconds.or(category.burst_seconds).unwrap_or(0),
            texts: self.texts.clone(),
            device_texts: self.device_texts.clone(),
            presentation: Presentation {
                android_channel: own(&self.android_channel, &category.android_channel),
                apns_category: own(&self.apns_category, &category.apns_category),
                interruption_level: self
                    .interruption_level
                    .or(category.interruption_level)
                    .unwrap_or_default(),
                priority: self.priority.or(category.priority).unwrap_or_default(),
            },
            link: self.link.clone(),
        }
    }

    fn check(&self, at: usize, shared: Option<&InCommon>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let key = |field: &str| format!("template[{at}].{field}");
        let (id, category) = (&self.id, &self.category);
        match (
            self.ttl_seconds,
            shared.and_then(|shared| shared.ttl_seconds),
        ) {
            (Some(0), _) => {
                let message =
                    format!("template \"{id}\" is stale at once: ttl_seconds must be at least 1");
                faults.push(Fault::new(key("ttl_seconds"), message));
            }
            (None, None) => {
                let message = format!(
                    "template \"{id}\" has no ttl_seconds, and neither has its category \"{category}\""
                );
                let help = format!(
                    "say how long it is news, here or for all of the category under [category.{category}]"
                );
                faults.push(Fault::new(key("category"), message).help(help));
            }
            _ => {}
        }
        let names = [
            ("android_channel", &self.android_channel),
            ("apns_category", &self.apns_category),
        ];
        faults.extend(check_names(&key, names));
        let windows = [
            ("duplicate_seconds", self.duplicate_seconds),
            ("burst_seconds", self.burst_seconds),
        ];
        faults.extend(check_windows(&format!("template \"{id}\""), &key, windows));
        faults
    }
}

/// What is wrong with what the templates of a category have in common.
fn check_categories(categories: &Categories, entries: &[Entry]) -> Vec<Fault> {
    let used: BTreeSet<&str> = entries.iter().map(|one| &*one.category).collect();
    let mut faults = Vec::new();
    for (name, category) in categories {
        let key = |field: &str| format!("category.{name}.{field}");
        if !used.contains(name.as_str()) {
            let message = format!("no template is of the category \"{name}\"");
            let help = match meant(name, used.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "give it a template, or leave it out".to_owned(),
            };
            faults.push(Fault::new(format!("category.{name}"), message).help(help));
        }
        if category.ttl_seconds == Some(0) {
            let message = format!(
                "whatever is of the category \"{name}\" is stale at once: ttl_seconds must be at least 1"
            );
            faults.push(Fault::new(key("ttl_seconds"), message));
        }
        let names = [
            ("android_channel", &category.android_channel),
            ("apns_category", &category.apns_category),
        ];
        faults.extend(check_names(&key, names));
        let windows = [
            ("duplicate_seconds", category.duplicate_seconds),
            ("burst_seconds", category.burst_seconds),
        ];
        faults.extend(check_windows(
            &format!("category \"{name}\""),
            &key,
            windows,
        ));
    }
    faults
}

fn check_names(
    key: &impl Fn(&str) -> String,
    names: [(&str, &Option<String>); 2],
) -> impl Iterator<Item = Fault> {
    let empty = names
        .into_iter()
        .filter(|(_, name)| name.as_ref().is_some_and(|name| name.trim().is_empty()));
    empty.map(|(field, _)| {
        let message = format!("`{field}` is empty, so the phone would not know what it is");
        Fault::new(key(field), message).help("leave it out for the category's name")
    })
}

fn check_windows(
    who: &str,
    key: &impl Fn(&str) -> String,
    windows: [(&str, Option<u32>); 2],
) -> Vec<Fault> {
    let too_long = windows.into_iter().filter_map(|(field, seconds)| {
        let seconds = seconds.filter(|seconds| *seconds > WINDOW_SECONDS_MAX)?;
        let message = format!(
            "{who} looks back {seconds} seconds; no more than {WINDOW_SECONDS_MAX} are remembered"
        );
        Some(Fault::new(key(field), message))
    });
    too_long.collect()
}
