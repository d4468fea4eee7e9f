//! The notification templates: the built-in ones, or a file that is checked as strictly as the configuration.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::subscription::Anchor;
use iyagi_messages::template::Template;
use schemars::JsonSchema;
use serde::Deserialize;

use super::document::Document;
use super::finding::{Finding, Place, meant};
use super::schema::schema_of;
use super::semantics::Fault;

/// The built-in templates, as they stand in their file.
pub const BUILT_IN: &str = include_str!("../../config/templates.toml");

/// The template of explicit subscriptions that name none.
const SUBSCRIPTION: &str = "subscription";
/// What the texts and the link may hold.
const PLACEHOLDERS: [&str; 4] = ["actor", "title", "subject", "key"];
/// Who is told, in an anchor.
const RECIPIENT: &str = "@me";

/// A file of templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// The templates. Earlier ones win over later ones about the same change.
    template: Vec<Template>,
}

/// The built-in templates.
pub fn built_in() -> Templates {
    let file: File = toml::from_str(BUILT_IN).expect("a test reads the built-in templates");
    Templates::new(file.template)
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
    parse(path, text, model)
}

fn parse(path: &Path, text: String, model: &GraphModel) -> Result<Templates, Vec<Finding>> {
    let (document, file) = Document::read::<File>(path, text, &schema_of::<File>())?;
    let faults = check(&file.template, model);
    if faults.is_empty() {
        return Ok(Templates::new(file.template));
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
        if template.ttl_seconds == 0 {
            let message =
                format!("template \"{id}\" is stale at once: ttl_seconds must be at least 1");
            faults.push(Fault::new(key("ttl_seconds"), message));
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
        let texts = template.texts.iter().flat_map(|(locale, texts)| {
            let of = |field: &str| key(&format!("texts.{locale}.{field}"));
            [(of("title"), &texts.title), (of("body"), &texts.body)]
        });
        for (key, text) in texts.chain([(key("link"), &template.link)]) {
            faults.extend(check_text(id, &key, text));
        }
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

fn check_text(id: &str, key: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if text.trim().is_empty() {
        faults.push(Fault::new(
            key,
            format!("template \"{id}\" has an empty text"),
        ));
    }
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let behind = &rest[open + 1..];
        let Some(close) = behind.find('}') else {
            let message = format!("template \"{id}\": a `{{` is never closed");
            faults.push(Fault::new(key, message));
            break;
        };
        let name = &behind[..close];
        if !PLACEHOLDERS.contains(&name) {
            let message = format!("template \"{id}\": there is no placeholder {{{name}}}");
            let help = match meant(name, PLACEHOLDERS.into_iter()) {
                Some(meant) => format!("did you mean {{{meant}}}?"),
                None => "there are {actor}, {title}, {subject} and {key}".to_owned(),
            };
            faults.push(Fault::new(key, message).help(help));
        }
        rest = &behind[close + 1..];
    }
    faults
}
