//! `GET /config`: what the daemon was told and by whom, and how what it depends on is.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use super::frame::{Frame, Refusal, page};
use super::text::{self, Moment};
use crate::config::{Provenance, value_at};
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::surface::Surface;

const PARAMETERS: [&str; 2] = ["key", "set"];
/// What the last word of a key ends in whose text is nobody's business.
const SECRETS: [&str; 4] = ["password", "secret", "token", "private_key"];
const MASK: &str = "••••••••";

#[derive(Template)]
#[template(path = "config.html")]
struct Page {
    frame: Frame,
    file: String,
    started: Moment,
    /// Part of the keys that are wanted.
    key: String,
    /// Whether only what somebody has set is wanted.
    set_only: bool,
    sections: Vec<Section>,
    dependencies: Vec<Dependency>,
    public: Option<String>,
}

struct Section {
    name: String,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    value: String,
    from: String,
    is_default: bool,
}

struct Dependency {
    name: String,
    ready: bool,
    detail: String,
    since: Moment,
}

/// `GET /config?key&set`
pub(super) async fn show(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let query = Query::of(&request, &PARAMETERS)?;
    let key = query.text("key").unwrap_or_default().trim().to_owned();
    let set_only = query.flag("set")?;
    let look = state.board.refresh().await;
    let surface = &state.surface;
    let dependencies = look.probes.dependencies.iter();
    let config = serde_json::to_value(&surface.config);
    let config = config.map_err(|error| Problem::internal("the configuration", &error))?;
    page(&Page {
        frame: Frame::of(&state, &request, "Configuration", "/config"),
        file: file(surface),
        started: text::ago(surface.started_at, look.at),
        sections: sections(&config, &surface.provenance, |name, from| {
            name.contains(&key) && !(set_only && *from == Provenance::Default)
        }),
        key,
        set_only,
        dependencies: dependencies
            .map(|(name, condition)| Dependency {
                name: name.clone(),
                ready: condition.ready,
                detail: condition.detail.clone(),
                since: text::ago(condition.since, look.at),
            })
            .collect(),
        public: state.public.map(|address| address.to_string()),
    })
}

fn file(surface: &Surface) -> String {
    match &surface.config_file {
        Some(path) => path.display().to_string(),
        None => "none, the defaults are built in".to_owned(),
    }
}

/// Every key that is wanted, by section.
fn sections(
    config: &Value,
    provenance: &BTreeMap<String, Provenance>,
    wanted: impl Fn(&str, &Provenance) -> bool,
) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (key, from) in provenance.iter().filter(|(key, from)| wanted(key, from)) {
        let section = key.split('.').next().unwrap_or(key);
        if sections.last().is_none_or(|last| last.name != section) {
            sections.push(Section {
                name: section.to_owned(),
                keys: Vec::new(),
            });
        }
        let keys = &mut sections.last_mut().expect("one was pushed").keys;
        keys.push(Key {
            name: key.clone(),
            value: shown(key, value_at(config, key)),
            from: told_by(from),
            is_default: *from == Provenance::Default,
        });
    }
    sections
}

/// A value as it may be shown. The configuration refers to secrets by file, so there should be none; a new key is not to be
/// the first.
fn shown(key: &str, value: Option<&Value>) -> String {
    let secret = SECRETS.iter().any(|ending| key.ends_with(ending));
    match value {
        None => "–".to_owned(),
        Some(Value::String(_)) if secret => MASK.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn told_by(provenance: &Provenance) -> String {
    match provenance {
        Provenance::Default => "default".to_owned(),
        Provenance::File => "file".to_owned(),
        Provenance::Environment(variable) => variable.clone(),
        Provenance::Flag(flag) => (*flag).to_owned(),
        Provenance::Program => "program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_that_is_a_secret_is_masked_and_a_number_is_not() {
        assert_eq!(
            shown("http.operations_token", Some(&json!("hunter2"))),
            MASK
        );
        assert_eq!(shown("auth.client_secret", Some(&json!("hunter2"))), MASK);
        assert_eq!(shown("push.dying_token", Some(&json!(7))), "7");
        assert_eq!(shown("data.dir", Some(&json!("data"))), "data");
        assert_eq!(shown("push.templates", None), "–");
    }

    #[test]
    fn keys_stand_in_the_section_that_they_belong_to() {
        let told = [
            ("data.dir", Provenance::File),
            ("http.public", Provenance::Flag("--public-addr")),
            ("http.operations", Provenance::Default),
        ];
        let told = told.map(|(key, from)| (key.to_owned(), from)).into();
        let config = json!({"data": {"dir": "d"}, "http": {"public": "p", "operations": "o"}});
        let set = sections(&config, &told, |_, from| *from != Provenance::Default);
        let set: Vec<_> = set
            .iter()
            .flat_map(|section| &section.keys)
            .map(|key| (key.name.as_str(), key.value.as_str(), key.from.as_str()))
            .collect();
        assert_eq!(
            set,
            [
                ("data.dir", "d", "file"),
                ("http.public", "p", "--public-addr")
            ]
        );
    }
}
