//! `IYAGI_<SECTION>_<KEY>`: what the environment says, and text as the value of a key.

use std::ffi::OsString;

use super::finding::{Finding, Place, meant};
use super::schema::{Node, Shape};

/// What the names of the variables begin with.
const PREFIX: &str = "IYAGI_";
/// Variables that the command line itself reads, which are no keys.
const OTHERS: [&str; 3] = ["IYAGI_CONFIG", "IYAGI_OPERATIONS_URL", "IYAGI_OUTPUT"];

/// A variable that sets a key.
pub(super) struct Setting<'s> {
    pub(super) variable: String,
    pub(super) key: &'s str,
    pub(super) node: Node<'s>,
    pub(super) text: String,
}

/// The variable that sets a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The variables that set keys, in the order of their names, and those that set nothing.
pub(super) fn settings<'s>(
    environment: &[(OsString, OsString)],
    leaves: &'s [(String, Node<'s>)],
) -> (Vec<Setting<'s>>, Vec<Finding>) {
    let (mut settings, mut findings) = (Vec::new(), Vec::new());
    for (variable, value) in environment {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        if OTHERS.contains(&variable) {
            continue;
        }
        let mistake = |key: &str, message: &str, help: Option<String>| Finding {
            key: key.to_owned(),
            message: message.to_owned(),
            help,
            place: Place::Environment(variable.to_owned()),
        };
        let known = leaves.iter().find(|(key, _)| variable_of(key) == variable);
        match (known, value.to_str()) {
            (Some((key, node)), Some(text)) => settings.push(Setting {
                variable: variable.to_owned(),
                key,
                node: *node,
                text: text.to_owned(),
            }),
            (Some((key, _)), None) => findings.push(mistake(key, "its value is not UTF-8", None)),
            (None, _) => {
                let all: Vec<_> = leaves.iter().map(|(key, _)| variable_of(key)).collect();
                let candidates = all.iter().map(String::as_str).chain(OTHERS);
                let help =
                    meant(variable, candidates).map(|meant| format!("did you mean {meant}?"));
                let or_else = "`iyagi schema` lists every key; keys are IYAGI_<SECTION>_<KEY>";
                let help = help.unwrap_or_else(|| or_else.to_owned());
                findings.push(mistake("", "it sets no key that is known", Some(help)));
            }
        }
    }
    settings.sort_by(|one, other| one.variable.cmp(&other.variable));
    (settings, findings)
}

/// Text as the value of a key: plain for text and numbers, as in TOML for lists.
pub(super) fn value_of(node: Node<'_>, text: &str) -> Result<toml::Value, String> {
    let shape = node.shape();
    let not = |shape: &Shape<'_>| format!("it must be {shape}, not \"{text}\"");
    match shape {
        Shape::Text | Shape::Choice(_) => Ok(toml::Value::String(text.to_owned())),
        Shape::Integer { min, max } => {
            let number = text.trim().parse::<i64>().ok();
            let number = number.filter(|number| (min..=max).contains(&i128::from(*number)));
            number.map(toml::Value::Integer).ok_or_else(|| not(&shape))
        }
        _ => {
            let mut table = format!("value = {text}")
                .parse::<toml::Table>()
                .map_err(|error| {
                    format!("{}: {}", not(&shape), error.message().replace('\n', "; "))
                })?;
            table.remove("value").ok_or_else(|| not(&shape))
        }
    }
}
