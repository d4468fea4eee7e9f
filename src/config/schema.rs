//! The JSON Schema of what can be configured, and its shapes as far as checking a file needs them.

use std::fmt;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::Config;

/// The JSON Schema of the configuration file.
pub fn json_schema() -> Value {
    schema_of::<Config>()
}

pub(super) fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// A place in a schema, with references resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'s> {
    root: &'s Value,
    here: &'s Value,
}

/// What a value must be.
#[derive(Debug)]
pub(super) enum Shape<'s> {
    /// A table with these keys and no others.
    Table {
        properties: &'s Map<String, Value>,
        required: Vec<&'s str>,
    },
    /// A table with any keys.
    Open(Node<'s>),
    /// A table with exactly one of these keys.
    OneOf(Vec<(&'s str, Node<'s>)>),
    List(Node<'s>),
    Choice(Vec<&'s str>),
    Text,
    Integer {
        min: i128,
        max: i128,
    },
    Number,
    Boolean,
    /// Whatever it is, it is read later.
    Any,
}

impl<'s> Node<'s> {
    pub(super) fn root(root: &'s Value) -> Self {
        Self { root, here: root }
    }

    fn at(self, here: &'s Value) -> Self {
        let root = self.root;
        Self { root, here }
    }

    /// What the key is for, in the words of its type.
    pub(super) fn description(self) -> Option<&'s str> {
        let own = self.here.get("description").and_then(Value::as_str);
        own.or_else(|| self.resolved().here.get("description")?.as_str())
    }

    /// The property of a closed table.
    pub(super) fn property(self, name: &str) -> Option<Self> {
        match self.shape() {
            Shape::Table { properties, .. } => properties.get(name).map(|here| self.at(here)),
            _ => None,
        }
    }

    pub(super) fn properties(self) -> Vec<(&'s str, Self)> {
        match self.shape() {
            Shape::Table { properties, .. } => properties
                .iter()
                .map(|(name, here)| (name.as_str(), self.at(here)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Follows references and drops "or null", which TOML cannot say.
    fn resolved(self) -> Self {
        let here = self.here;
        if let Some(target) = here.get("$ref").and_then(Value::as_str) {
            let pointer = target.trim_start_matches('#');
            return match self.root.pointer(pointer) {
                Some(found) => self.at(found).resolved(),
                None => self,
            };
        }
        let not_null = |list: &'s Value| {
            let mut others = list.as_array()?.iter().filter(|one| one["type"] != "null");
            others.next().filter(|_| others.next().is_none())
        };
        for wrapper in ["anyOf", "allOf"] {
            if let Some(only) = here.get(wrapper).and_then(not_null) {
                return self.at(only).resolved();
            }
        }
        self
    }

    pub(super) fn shape(self) -> Shape<'s> {
        let node = self.resolved();
        let here = node.here;
        if let Some(choices) = here.get("enum").and_then(Value::as_array) {
            return Shape::Choice(choices.iter().filter_map(Value::as_str).collect());
        }
        if let Some(alternatives) = here.get("oneOf").and_then(Value::as_array) {
            return node.alternatives(alternatives);
        }
        let kind = match &here["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
            kind => Some(kind),
        };
        match kind.and_then(Value::as_str) {
            Some("object") => node.table(),
            Some("array") => Shape::List(node.at(&here["items"])),
            Some("integer") => node.integer(),
            Some("number") => Shape::Number,
            Some("boolean") => Shape::Boolean,
            Some(_) => Shape::Text,
            None => Shape::Any,
        }
    }

    fn alternatives(self, alternatives: &'s [Value]) -> Shape<'s> {
        let constants: Vec<&str> = alternatives
            .iter()
            .flat_map(|one| {
                let listed = one["enum"].as_array().into_iter().flatten();
                listed.chain(one.get("const")).filter_map(Value::as_str)
            })
            .collect();
        if !constants.is_empty() {
            return Shape::Choice(constants);
        }
        let tables = alternatives.iter().filter_map(|one| {
            let (name, here) = one["properties"].as_object()?.iter().next()?;
            Some((name.as_str(), self.at(here)))
        });
        Shape::OneOf(tables.collect())
    }

    fn table(self) -> Shape<'s> {
        let required = self.here["required"].as_array().into_iter().flatten();
        match (&self.here["properties"], &self.here["additionalProperties"]) {
            (Value::Object(properties), _) => Shape::Table {
                properties,
                required: required.filter_map(Value::as_str).collect(),
            },
            (_, values) => Shape::Open(self.at(values)),
        }
    }

    fn integer(self) -> Shape<'s> {
        let bound = |name: &str| self.here[name].as_i64().map(i128::from);
        let widest = match self.here["format"].as_str() {
            Some("uint8") => i128::from(u8::MAX),
            Some("uint16") => i128::from(u16::MAX),
            Some("uint32") => i128::from(u32::MAX),
            // TOML's own limit, also for types that hold more.
            _ => i128::from(i64::MAX),
        };
        Shape::Integer {
            min: bound("minimum").unwrap_or_else(|| i64::MIN.into()),
            max: bound("maximum").unwrap_or(widest),
        }
    }
}

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { .. } | Self::Open(_) => f.write_str("a table"),
            Self::OneOf(tables) => {
                let names: Vec<_> = tables.iter().map(|(name, _)| format!("`{name}`")).collect();
                write!(f, "a table with one of {}", names.join(", "))
            }
            Self::List(_) => f.write_str("a list"),
            Self::Choice(choices) => {
                let quoted: Vec<_> = choices.iter().map(|one| format!("\"{one}\"")).collect();
                write!(f, "one of {}", quoted.join(", "))
            }
            Self::Text => f.write_str("text"),
            Self::Integer { min, max } if *max >= i128::from(i64::MAX) => {
                write!(f, "a whole number from {min}")
            }
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Number => f.write_str("a number"),
            Self::Boolean => f.write_str("true or false"),
            Self::Any => f.write_str("anything"),
        }
    }
}

/// Every key that holds a value, as `section.key`; a list is one value.
pub(super) fn leaves(root: &Value) -> Vec<(String, Node<'_>)> {
    let mut found = Vec::new();
    collect_leaves(Node::root(root), String::new(), &mut found);
    found
}

fn collect_leaves<'s>(node: Node<'s>, path: String, found: &mut Vec<(String, Node<'s>)>) {
    let properties = node.properties();
    if properties.is_empty() {
        found.push((path, node));
        return;
    }
    for (name, property) in properties {
        let path = match path.as_str() {
            "" => name.to_owned(),
            section => format!("{section}.{name}"),
        };
        collect_leaves(property, path, found);
    }
}
