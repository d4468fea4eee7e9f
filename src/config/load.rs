//! Puts the layers together: defaults, the file, the environment, flags; later ones win.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use iyagi_actors::subscription_matcher::matching::Templates;
use serde::Serialize;
use serde_json::Value;

use super::document::{Document, described};
use super::environment;
use super::finding::{ConfigError, Finding, Place};
use super::schema::{Node, json_schema, leaves};
use super::{Config, semantics, templates};

/// Where a configuration is looked for if none is named; the first that exists counts.
pub const SEARCHED: [&str; 2] = ["iyagi.toml", "/etc/iyagi/iyagi.toml"];

/// What is known before anything is read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that was named; it must exist.
    pub file: Option<PathBuf>,
    /// Files of which the first that exists counts, if none was named.
    pub searched: Vec<PathBuf>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags that were given.
    pub flags: Vec<Flag>,
}

/// A flag of the command line that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its name, such as `--data-dir`.
    pub name: &'static str,
    /// The key that it sets.
    pub key: &'static str,
    /// The value as it was given.
    pub value: String,
}

/// Where a key's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from", content = "name")]
pub enum Provenance {
    /// Built in.
    Default,
    /// The file.
    File,
    /// This variable.
    Environment(String),
    /// This flag.
    Flag(&'static str),
    /// The program that started the daemon, such as the demo.
    Program,
}

/// A configuration that is fit for use.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the daemon is told.
    pub config: Config,
    /// Its notification templates.
    pub templates: Templates,
    /// Where each key's value comes from.
    pub provenance: BTreeMap<String, Provenance>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// What this process was started with.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        Self {
            file,
            searched: SEARCHED.iter().map(PathBuf::from).collect(),
            environment: std::env::vars_os().collect(),
            flags,
        }
    }

    /// Loads and checks everything, or says all that is wrong.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let schema = json_schema();
        let leaves = leaves(&schema);
        let mut layers = Layers::new(&schema, &leaves);
        layers.file(self.find()?)?;
        layers.environment(&self.environment);
        layers.flags(&self.flags);
        layers.finish()
    }

    fn find(&self) -> Result<Option<(PathBuf, String)>, ConfigError> {
        let unreadable = |path: &Path, error: &io::Error| {
            ConfigError::from(Finding {
                key: String::new(),
                message: format!("the configuration cannot be read: {error}"),
                help: Some("`iyagi init` writes one to begin with".to_owned()),
                place: Place::Whole(path.to_owned()),
            })
        };
        if let Some(path) = &self.file {
            return match fs::read_to_string(path) {
                Ok(text) => Ok(Some((path.clone(), text))),
                Err(error) => Err(unreadable(path, &error)),
            };
        }
        for path in &self.searched {
            match fs::read_to_string(path) {
                Ok(text) => return Ok(Some((path.clone(), text))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(path, &error)),
            }
        }
        Ok(None)
    }
}

impl Loaded {
    /// A configuration that a program made.
    pub fn made(config: Config, templates: Templates) -> Self {
        let schema = json_schema();
        let [made, built_in] = [&config, &Config::default()]
            .map(|config| serde_json::to_value(config).expect("it has only text keys"));
        let provenance = leaves(&schema).into_iter().map(|(key, _)| {
            let from = if value_at(&made, &key) == value_at(&built_in, &key) {
                Provenance::Default
            } else {
                Provenance::Program
            };
            (key, from)
        });
        Self {
            provenance: provenance.collect(),
            config,
            templates,
            file: None,
        }
    }
}

impl From<Finding> for ConfigError {
    fn from(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
        }
    }
}

struct Layers<'s> {
    schema: &'s Value,
    leaves: &'s [(String, Node<'s>)],
    merged: toml::Table,
    provenance: BTreeMap<String, Provenance>,
    document: Option<Document>,
    path: Option<PathBuf>,
    findings: Vec<Finding>,
}

impl<'s> Layers<'s> {
    fn new(schema: &'s Value, leaves: &'s [(String, Node<'s>)]) -> Self {
        let defaults = toml::Table::try_from(Config::default());
        Self {
            schema,
            leaves,
            merged: defaults.expect("the defaults are tables, texts and small numbers"),
            provenance: leaves
                .iter()
                .map(|(key, _)| (key.clone(), Provenance::Default))
                .collect(),
            document: None,
            path: None,
            findings: Vec::new(),
        }
    }

    /// A file that cannot be read hides what it sets, so nothing else is looked at then.
    fn file(&mut self, found: Option<(PathBuf, String)>) -> Result<(), ConfigError> {
        let Some((path, text)) = found else {
            return Ok(());
        };
        // Read as the typed tree to find every mistake, and once more as what it says and no more.
        let said = text.parse::<toml::Table>();
        let read = Document::read::<Config>(&path, text, self.schema);
        let (document, _) = read.map_err(|findings| ConfigError { findings })?;
        let said = said.expect("what was read once is read again");
        for (key, _) in self.leaves.iter().filter(|(key, _)| document.has(key)) {
            self.provenance.insert(key.clone(), Provenance::File);
        }
        overlay(&mut self.merged, said);
        self.document = Some(document);
        self.path = Some(path);
        Ok(())
    }

    fn environment(&mut self, environment: &[(OsString, OsString)]) {
        let (settings, findings) = environment::settings(environment, self.leaves);
        self.findings.extend(findings);
        for setting in settings {
            let place = Place::Environment(setting.variable.clone());
            let provenance = Provenance::Environment(setting.variable);
            self.set(setting.key, setting.node, &setting.text, place, provenance);
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        for flag in flags {
            let leaf = self.leaves.iter().find(|(key, _)| key == flag.key);
            let (key, node) = leaf.expect("every flag sets a key of the schema");
            let provenance = Provenance::Flag(flag.name);
            self.set(key, *node, &flag.value, Place::Flag(flag.name), provenance);
        }
    }

    fn set(&mut self, key: &str, node: Node<'_>, text: &str, place: Place, from: Provenance) {
        let checked = environment::value_of(node, text).and_then(|value| {
            let alone = nested(key, value);
            // Alone, so that whatever is wrong is wrong with this value.
            match toml::Value::Table(alone.clone()).try_into::<Config>() {
                Ok(_) => Ok(alone),
                Err(error) => Err(error.message().replace('\n', "; ")),
            }
        });
        match checked {
            Ok(alone) => {
                overlay(&mut self.merged, alone);
                self.provenance.insert(key.to_owned(), from);
            }
            Err(reason) => self.findings.push(Finding {
                key: key.to_owned(),
                message: format!("`{key}` cannot be \"{text}\": {reason}"),
                help: described(key, self.schema),
                place,
            }),
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        let merged = std::mem::take(&mut self.merged);
        let mut config: Config = match merged.try_into() {
            Ok(config) => config,
            // Each layer was read as a whole before, so this is about how they go together.
            Err(error) => {
                self.findings.push(Finding {
                    key: String::new(),
                    message: error.message().to_owned(),
                    help: None,
                    place: Place::Whole(self.path.clone().unwrap_or_default()),
                });
                return Err(self.failed());
            }
        };
        for fault in semantics::check(&config) {
            let place = self.place(&fault.keys);
            self.findings.push(fault.at(place));
        }
        self.resolve_files(&mut config);
        let read = match &config.push.templates {
            None => Ok(templates::built_in()),
            Some(path) => templates::read(path, &config.graph, || {
                self.place(&["push.templates".to_owned()])
            }),
        };
        match read {
            Ok(templates) if self.findings.is_empty() => Ok(Loaded {
                config,
                templates,
                provenance: self.provenance,
                file: self.path,
            }),
            Ok(_) => Err(self.failed()),
            Err(findings) => {
                self.findings.extend(findings);
                Err(self.failed())
            }
        }
    }

    /// A file that the configuration file names lies beside it.
    fn resolve_files(&self, config: &mut Config) {
        let Some(folder) = self.path.as_deref().and_then(Path::parent) else {
            return;
        };
        let push = &mut config.push;
        let credential = push
            .fcm
            .as_mut()
            .and_then(|fcm| fcm.credential_file.as_mut());
        let cloudfront = config.delivery.cloudfront.as_mut();
        for (key, file) in [
            ("push.templates", push.templates.as_mut()),
            ("push.fcm.credential_file", credential),
            (
                "auth.cognito.jwks_file",
                config.auth.cognito.jwks_file.as_mut(),
            ),
            (
                "delivery.cloudfront.private_key_file",
                cloudfront.map(|one| &mut one.private_key_file),
            ),
            (
                "operations.token_file",
                config.operations.token_file.as_mut(),
            ),
        ] {
            if let (Some(Provenance::File), Some(file)) = (self.provenance.get(key), file) {
                *file = folder.join(&*file);
            }
        }
        if self.provenance.get("operations.operators") == Some(&Provenance::File) {
            for operator in &mut config.operations.operators {
                operator.token_file = folder.join(&operator.token_file);
            }
        }
    }

    fn failed(mut self) -> ConfigError {
        // What stands in no file comes first, what does in its order.
        self.findings.sort_by_key(Finding::line);
        ConfigError {
            findings: self.findings,
        }
    }

    /// Where the first of these keys that somebody set was set.
    fn place(&self, keys: &[String]) -> Place {
        let set = keys.iter().find_map(|key| {
            let leaf = key.split('[').next().unwrap_or(key);
            match self.provenance.get(leaf)? {
                Provenance::Default | Provenance::Program => None,
                Provenance::File => Some(self.document.as_ref()?.place(key)),
                Provenance::Environment(variable) => Some(Place::Environment(variable.clone())),
                Provenance::Flag(name) => Some(Place::Flag(name)),
            }
        });
        // A test holds that the defaults alone are fit for use.
        set.unwrap_or_else(|| Place::Whole(self.path.clone().unwrap_or_else(|| "defaults".into())))
    }
}

/// The value of a key in a configuration as JSON, if it has one.
pub fn value_at<'c>(config: &'c Value, key: &str) -> Option<&'c Value> {
    let pointer = format!("/{}", key.replace('.', "/"));
    config.pointer(&pointer).filter(|value| !value.is_null())
}

/// A table that says only that `key` is `value`.
fn nested(key: &str, value: toml::Value) -> toml::Table {
    let (name, rest) = key.split_once('.').unwrap_or((key, ""));
    let value = match rest {
        "" => value,
        rest => toml::Value::Table(nested(rest, value)),
    };
    toml::Table::from_iter([(name.to_owned(), value)])
}

/// Puts `upper` over `lower`, table by table; lists replace each other whole.
fn overlay(lower: &mut toml::Table, upper: toml::Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(toml::Value::Table(lower)), toml::Value::Table(upper)) => overlay(lower, upper),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
