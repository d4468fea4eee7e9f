//! The notification templates: the built-in ones, or a file that is checked as strictly as the configuration.

mod entry;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use iyagi_actors::push_sender::texts;
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::subscription::Anchor;
use iyagi_messages::template::Template;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use self::entry::{Categories, Entry};
use super::document::Document;
use super::finding::{ConfigError, Finding, Place, meant};
use super::schema::schema_of;
use super::semantics::Fault;

/// The built-in templates, as they stand in their file.
pub const BUILT_IN: &str = include_str!("../../config/templates.toml");

/// The template of explicit subscriptions that name none.
const SUBSCRIPTION: &str = "subscription";
/// What a link may hold.
const SUBJECT: &str = "{subject}";
/// The furthest that a template may look back: whatever is requested meanwhile is remembered.
const WINDOW_SECONDS_MAX: u32 = 3_600;
/// Who is told, in an anchor.
const RECIPIENT: &str = "@me";

/// A file of templates, as the daemon reads it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// What the templates of a category have in common, by its name. Each may say otherwise for itself.
    #[serde(default)]
    category: Categories,
    /// The templates. Earlier ones win over later ones about the same change.
    template: Vec<Entry>,
    /// What they promise. Only `iyagi test` reads it, so that a mistake in a test hinders no daemon.
    #[serde(default, rename = "test")]
    #[schemars(with = "serde_json::Value")]
    _tests: IgnoredAny,
}

/// A file of templates, as `iyagi test` reads it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
struct TestedFile<T> {
    #[serde(default)]
    category: Categories,
    template: Vec<Entry>,
    /// What they promise.
    #[serde(default = "no_tests::<T>")]
    test: Vec<T>,
}

fn no_tests<T>() -> Vec<T> {
    Vec::new()
}

/// A file of templates with its tests, and where everything in it stands.
#[derive(Debug)]
pub struct TemplateDocument<T> {
    /// The templates.
    pub templates: Templates,
    /// The tests.
    pub tests: Vec<T>,
    document: Document,
}

/// The built-in templates.
pub fn built_in() -> Templates {
    let file: File = toml::from_str(BUILT_IN).expect("a test reads the built-in templates");
    Templates::new(entry::resolve(&file.category, &file.template))
}

/// Reads a file of templates; `named` is where the configuration names it.
pub(super) fn read(
    path: &Path,
    model: &GraphModel,
    named: impl FnOnce() -> Place,
) -> Result<Templates, Vec<Finding>> {
    let text = fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        vec![Finding {
            key: "push.templates".to_owned(),
            message: format!("the templates file {path} cannot be read: {error}"),
            help: Some("leave `push.templates` out for the built-in templates".to_owned()),
            place: named(),
        }]
    })?;
    let (document, file) = Document::read::<File>(path, text, &schema_of::<File>())?;
    checked(&file.category, &file.template, &document, model)
}

impl<T: DeserializeOwned + JsonSchema> TemplateDocument<T> {
    /// Reads a file, or says all that is wrong with it.
    pub fn read(path: &Path, model: &GraphModel) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| Finding {
            key: String::new(),
            message: format!("the file cannot be read: {error}"),
            help: None,
            place: Place::Whole(path.to_owned()),
        })?;
        let read = || {
            let schema = schema_of::<TestedFile<T>>();
            let (document, file) = Document::read::<TestedFile<T>>(path, text, &schema)?;
            let templates = checked(&file.category, &file.template, &document, model)?;
            Ok(Self {
                templates,
                tests: file.test,
                document,
            })
        };
        read().map_err(|findings| ConfigError { findings })
    }
}

impl<T> TemplateDocument<T> {
    /// What is wrong, with its place.
    pub fn placed(&self, fault: Fault) -> Finding {
        let place = self.document.place(&fault.keys[0]);
        fault.at(place)
    }

    /// The line of a key, such as `test[0].name`; if it is absent, of its table.
    pub fn line(&self, key: &str) -> usize {
        self.document.place(key).line().unwrap_or_default()
    }
}

fn checked(
    categories: &Categories,
    entries: &[Entry],
    document: &Document,
    model: &GraphModel,
) -> Result<Templates, Vec<Finding>> {
    let templates = entry::resolve(categories, entries);
    let mut faults = entry::check(categories, entries);
    faults.extend(check(&templates, model));
    if faults.is_empty() {
        return Ok(Templates::new(templates));
    }
    let placed = faults.into_iter().map(|fault| {
        let place = document.place(&fault.keys[0]);
        fault.at(place)
    });
    Err(placed.collect())
}

fn check(templates: &[Template], model: &GraphModel) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut ids = HashSet::new();
    for (at, template) in templates.iter().enumerate() {
        let key = |field: &str| format!("template[{at}].{field}");
        let id = template.id.as_str();
        if id.is_empty() {
            faults.push(Fault::new(key("id"), "a template needs an id"));
        } else if !ids.insert(id) {
            let message = format!("there are two templates with the id \"{id}\"");
            faults.push(Fault::new(key("id"), message).help("give each an id of its own"));
        }
        if !template.texts.contains_key("en") {
            let message =
                format!("template \"{id}\" has no text for \"en\", which others fall back to");
            let help = "add texts.en = { title = \"…\", body = \"…\" }";
            faults.push(Fault::new(key("texts"), message).help(help));
        }
        if let Some(anchor) = &template.anchor {
            faults.extend(check_anchor(id, &key("anchor"), anchor, model));
        }
        for (nth, predicate) in template.when.predicates.iter().enumerate() {
            if let Err(error) = predicate.check() {
                let message = format!("template \"{id}\" compares {}: {error}", predicate.key);
                faults.push(Fault::new(
                    key(&format!("when.where[{nth}].value")),
                    message,
                ));
            }
        }
        for (locale, texts) in &template.texts {
            for (part, text) in [("title", &texts.title), ("body", &texts.body)] {
                let key = key(&format!("texts.{locale}.{part}"));
                faults.extend(check_text(id, &key, text, locale));
            }
        }
        if let Some(texts) = &template.device_texts {
            for (part, pattern) in [
                ("title_key", &texts.title_key),
                ("body_key", &texts.body_key),
            ] {
                let key = key(&format!("device_texts.{part}"));
                faults.extend(check_key(id, &key, pattern));
            }
        }
        faults.extend(check_link(id, &key("link"), &template.link));
    }
    let general = templates
        .iter()
        .find(|template| template.id.as_str() == SUBSCRIPTION);
    match general {
        None => {
            let message = format!(
                "there is no template \"{SUBSCRIPTION}\", which announces explicit subscriptions"
            );
            faults.push(Fault::new("", message).help("`iyagi init` writes a file that has one"));
        }
        Some(template) if template.anchor.is_some() => {
            let message = format!(
                "template \"{SUBSCRIPTION}\" must have no anchor: each subscription brings its own"
            );
            let at = templates.iter().position(|one| one.id == template.id);
            let at = at.unwrap_or_default();
            faults.push(Fault::new(format!("template[{at}].anchor"), message));
        }
        Some(_) => {}
    }
    faults
}

/// A template goes to whom its anchor finds, so the anchor must lead from a change to people.
fn check_anchor(id: &str, key: &str, anchor: &Anchor, model: &GraphModel) -> Option<Fault> {
    match anchor {
        Anchor::Incident { vertex, .. } if vertex.as_str() == RECIPIENT => None,
        Anchor::Incident { vertex, .. } => {
            let message =
                format!("template \"{id}\" is anchored at \"{vertex}\", which finds nobody");
            let key = format!("{key}.incident.vertex");
            Some(Fault::new(key, message).help(format!("the recipient is \"{RECIPIENT}\"")))
        }
        Anchor::Owned { .. } => None,
        Anchor::Followed { via, .. } if model.follow_labels.contains(via) => None,
        Anchor::Followed { via, .. } => {
            let labels = &model.follow_labels;
            let message = format!(
                "template \"{id}\" follows \"{via}\", which is not one of graph.follow_labels"
            );
            let meant = meant(via, labels.iter().map(String::as_str));
            let help = match meant {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("these are: {}", labels.join(", ")),
            };
            Some(Fault::new(format!("{key}.followed.via"), message).help(help))
        }
        Anchor::Element { .. } | Anchor::Label { .. } => {
            let message = format!(
                "the anchor of template \"{id}\" leads to no people, so nobody would be told; \
                 element and label are for explicit subscriptions"
            );
            Some(Fault::new(key, message).help("use incident, owned or followed"))
        }
    }
}

fn check_text(id: &str, key: &str, text: &str, locale: &str) -> Option<Fault> {
    let reason = texts::check(text, locale).err()?;
    let message = format!("template \"{id}\": this text cannot be used: {reason}");
    let help = "texts are patterns of Project Fluent, which may use { $actor }, { $title }, { $subject }, { $key }, \
                { $count } and { $others }";
    Some(Fault::new(key, message).help(help))
}

fn check_key(id: &str, key: &str, pattern: &str) -> Option<Fault> {
    let reason = texts::check_key(pattern).err()?;
    let message =
        format!("template \"{id}\": the app's text cannot be found by this key: {reason}");
    let help = "a key is such as \"new_follower\"; it may be chosen by { $count } and { $others }";
    Some(Fault::new(key, message).help(help))
}

fn check_link(id: &str, key: &str, link: &str) -> Option<Fault> {
    let rest = link.replace(SUBJECT, "");
    if link.trim().is_empty() {
        let message = format!("template \"{id}\" has an empty link");
        return Some(Fault::new(key, message).help("leave it out for the inbox"));
    }
    rest.contains(['{', '}']).then(|| {
        let message = format!("template \"{id}\": a link may hold {SUBJECT}, and no other braces");
        Fault::new(key, message)
    })
}
