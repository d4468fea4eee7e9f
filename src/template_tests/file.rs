//! A file of templates with its tests: read whole, or refused with every mistake in it and its place.

use std::path::{Path, PathBuf};

use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::ids::TemplateId;

use super::format::{self, Test};
use crate::config::{ConfigError, Fault, TemplateDocument};

/// Templates and what they promise.
#[derive(Debug, Clone)]
pub struct TestedTemplates {
    /// The file.
    pub path: PathBuf,
    /// The templates.
    pub templates: Templates,
    /// Their tests, in order.
    pub tests: Vec<PlacedTest>,
}

/// A test and where it stands.
#[derive(Debug, Clone)]
pub struct PlacedTest {
    /// The test.
    pub test: Test,
    /// The line of its name.
    pub line: usize,
    /// The line of each of its pushes.
    pub push_lines: Vec<usize>,
    /// The line of each that is held.
    pub held_lines: Vec<usize>,
}

impl TestedTemplates {
    /// Reads a file.
    pub fn read(path: &Path, model: &GraphModel) -> Result<Self, ConfigError> {
        let document = TemplateDocument::<Test>::read(path, model)?;
        let mut findings = Vec::new();
        for (at, test) in document.tests.iter().enumerate() {
            for fault in check(&format!("test[{at}]"), test, &document.templates) {
                findings.push(document.placed(fault));
            }
        }
        if !findings.is_empty() {
            return Err(ConfigError { findings });
        }
        let line = |key: String| document.line(&key);
        let tests = document.tests.iter().enumerate().map(|(at, test)| {
            let lines = |list: &str, count: usize| {
                let each = (0..count).map(|item| line(format!("test[{at}].{list}[{item}]")));
                each.collect()
            };
            PlacedTest {
                line: line(format!("test[{at}].name")),
                push_lines: lines("push", test.push.len()),
                held_lines: lines("held", test.held.len()),
                test: test.clone(),
            }
        });
        Ok(Self {
            path: path.to_owned(),
            tests: tests.collect(),
            templates: document.templates.clone(),
        })
    }

    /// Templates that no test expects anything of.
    pub fn untested(&self) -> Vec<&str> {
        let tests = || self.tests.iter().map(|placed| &placed.test);
        let expected = |id: &TemplateId| {
            let mut pushes = tests().flat_map(|test| &test.push);
            pushes.any(|push| push.template == *id)
        };
        let ids = self.templates.iter().map(|template| &template.id);
        ids.filter(|id| !expected(id))
            .map(TemplateId::as_str)
            .collect()
    }
}

/// What a well-formed test can still get wrong.
fn check(at: &str, test: &Test, templates: &Templates) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut refuse = |key: String, reason: String| faults.push(Fault::new(key, reason));
    if let Err(reason) = test.begins() {
        refuse(format!("{at}.at"), reason);
    }
    for (item, value) in test.given.iter().enumerate() {
        if let Err(reason) = format::commit(value) {
            refuse(format!("{at}.given[{item}]"), reason);
        }
    }
    for (item, value) in test.when.iter().enumerate() {
        if let Err(reason) = format::step(value) {
            refuse(format!("{at}.when[{item}]"), reason);
        }
    }
    for (item, push) in test.push.iter().enumerate() {
        if let Some(Err(reason)) = push.after.as_deref().map(format::span_ms) {
            refuse(format!("{at}.push[{item}].after"), reason);
        }
    }
    let pushes = test.push.iter().map(|push| &push.template).enumerate();
    let pushes = pushes.map(|(item, id)| (format!("{at}.push[{item}].template"), id));
    let held = test.held.iter().map(|held| &held.template).enumerate();
    let held = held.map(|(item, id)| (format!("{at}.held[{item}].template"), id));
    for (key, id) in pushes.chain(held) {
        if templates.get(id).is_none() {
            refuse(key, format!("there is no template \"{id}\""));
        }
    }
    faults
}
