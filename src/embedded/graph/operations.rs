//! Operations on the graph as a client writes them.

use std::collections::BTreeMap;

use iyagi_messages::ids::ElementId;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::rejection::{CommitRejected, List, Problem};

/// Entries in one commit, as operations or as records: bounds the time that the writer spends on one client.
pub const OPERATIONS_MAX: usize = 100_000;

/// One change of the graph, written `{"op": "add_vertex", "id": "person-1", ...}`.
///
/// A property's value is a text, a number, a boolean, or `{"value": ..., "dataType": ...}` for the types that JSON
/// has no notation for, such as `Date` in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = GraphOperation)]
pub enum Operation {
    /// Adds a vertex.
    AddVertex {
        /// Its id.
        id: ElementId,
        /// Its label, or several joined by `::`.
        #[serde(default = "unlabelled")]
        label: String,
        /// Its properties.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        properties: BTreeMap<String, Value>,
    },
    /// Drops a vertex with its properties and every edge from or to it.
    DropVertex {
        /// Its id.
        id: ElementId,
    },
    /// Adds an edge between two vertices that exist, or that this commit added before.
    AddEdge {
        /// Its id; derived from the commit if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<ElementId>,
        /// Where it comes from.
        from: ElementId,
        /// Where it goes to.
        to: ElementId,
        /// Its label.
        label: String,
        /// Its properties.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        properties: BTreeMap<String, Value>,
    },
    /// Drops an edge with its properties.
    DropEdge {
        /// Its id.
        id: ElementId,
    },
    /// Makes a value the only one of a property.
    SetProperty {
        /// The vertex or edge.
        id: ElementId,
        /// The property's name.
        key: String,
        /// The value.
        value: Value,
    },
    /// Adds a value to a vertex's property beside those it has.
    AddProperty {
        /// The vertex.
        id: ElementId,
        /// The property's name.
        key: String,
        /// The value.
        value: Value,
    },
    /// Drops one value of a property, or all.
    DropProperty {
        /// The vertex or edge.
        id: ElementId,
        /// The property's name.
        key: String,
        /// The value; absent for all.
        #[serde(
            default,
            deserialize_with = "present",
            skip_serializing_if = "Option::is_none"
        )]
        value: Option<Value>,
    },
}

/// The label of a vertex that was given none.
fn unlabelled() -> String {
    "vertex".to_owned()
}

/// Keeps `null` apart from an absent field: one is a mistake, the other drops every value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Operation {
    /// Reads the operation at `index` of a list.
    pub fn parse(index: usize, json: &str) -> Result<Self, CommitRejected> {
        serde_json::from_str(json).map_err(|error| {
            let (path, problem) = explain(json, &error);
            CommitRejected {
                list: List::Operations,
                index: Some(index),
                path,
                problem,
            }
        })
    }
}

/// What a field must be.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    OptionalText,
    OptionalObject,
    Any,
    OptionalAny,
}

type Fields = &'static [(&'static str, Shape)];

const FIELDS: [(&str, Fields); 7] = {
    use Shape::{Any, OptionalAny, OptionalObject, OptionalText, Text};
    [
        (
            "add_vertex",
            &[
                ("id", Text),
                ("label", OptionalText),
                ("properties", OptionalObject),
            ],
        ),
        ("drop_vertex", &[("id", Text)]),
        (
            "add_edge",
            &[
                ("id", OptionalText),
                ("from", Text),
                ("to", Text),
                ("label", Text),
                ("properties", OptionalObject),
            ],
        ),
        ("drop_edge", &[("id", Text)]),
        (
            "set_property",
            &[("id", Text), ("key", Text), ("value", Any)],
        ),
        (
            "add_property",
            &[("id", Text), ("key", Text), ("value", Any)],
        ),
        (
            "drop_property",
            &[("id", Text), ("key", Text), ("value", OptionalAny)],
        ),
    ]
};

/// The names of all operations.
pub(super) fn names() -> Vec<&'static str> {
    FIELDS.iter().map(|(name, _)| *name).collect()
}

/// Finds the field that `error` is about, which the parser's own message does not always name.
fn explain(json: &str, error: &serde_json::Error) -> (Vec<String>, Problem) {
    let malformed = || Problem::Malformed {
        reason: error.to_string(),
    };
    let at = |name: &str, problem| (vec![name.to_owned()], problem);
    let Ok(value) = serde_json::from_str::<Value>(json) else {
        return (Vec::new(), malformed());
    };
    let Some(object) = value.as_object() else {
        let expected = "an object such as {\"op\": \"add_vertex\", ...}";
        return (Vec::new(), Problem::Expected { expected });
    };
    let name = match object.get("op") {
        None => return at("op", Problem::Missing),
        Some(Value::String(name)) => name,
        Some(_) => return at("op", Problem::Expected { expected: "a text" }),
    };
    let Some((_, fields)) = FIELDS.iter().find(|(known, _)| known == name) else {
        let problem = Problem::UnknownOperation {
            name: name.clone(),
            meant: nearest(name, names().into_iter()),
        };
        return at("op", problem);
    };
    for key in object.keys().filter(|key| *key != "op") {
        if !fields.iter().any(|(known, _)| known == key) {
            let meant = nearest(key, fields.iter().map(|(known, _)| *known));
            return at(key, Problem::UnknownField { meant });
        }
    }
    for (field, shape) in *fields {
        let found = object.get(*field);
        let problem = match (shape, found) {
            (Shape::Text | Shape::Any, None) => Problem::Missing,
            (Shape::Text | Shape::OptionalText, Some(value)) if !value.is_string() => {
                Problem::Expected { expected: "a text" }
            }
            (Shape::OptionalObject, Some(value)) if !value.is_object() => Problem::Expected {
                expected: "an object of names and values",
            },
            _ => continue,
        };
        return at(field, problem);
    }
    (Vec::new(), malformed())
}

/// How alike two names must be for one to be suggested for the other.
const LIKENESS_MIN: f64 = 0.7;

/// The known name that `name` was probably meant to be.
pub(super) fn nearest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> (String, Problem) {
        let rejected = Operation::parse(4, json).unwrap_err();
        assert_eq!(rejected.index, Some(4));
        (rejected.pointer(), rejected.problem)
    }

    #[test]
    fn a_refusal_points_at_the_field_and_says_what_was_meant() {
        let unknown = refusal(r#"{"op": "add_vertx", "id": "a"}"#);
        let problem = Problem::UnknownOperation {
            name: "add_vertx".to_owned(),
            meant: Some("add_vertex"),
        };
        assert_eq!(unknown, ("/operations/4/op".to_owned(), problem));
        let meant = Some("label");
        assert_eq!(
            refusal(r#"{"op": "add_vertex", "id": "a", "lable": "b"}"#),
            (
                "/operations/4/lable".to_owned(),
                Problem::UnknownField { meant }
            )
        );
        assert_eq!(
            refusal(r#"{"op": "add_edge", "from": "a", "label": "b"}"#),
            ("/operations/4/to".to_owned(), Problem::Missing)
        );
        let expected = "a text";
        assert_eq!(
            refusal(r#"{"op": "drop_edge", "id": 7}"#),
            (
                "/operations/4/id".to_owned(),
                Problem::Expected { expected }
            )
        );
        assert_eq!(
            refusal("{}"),
            ("/operations/4/op".to_owned(), Problem::Missing)
        );
        assert_eq!(refusal("[]").0, "/operations/4");
    }

    #[test]
    fn the_table_of_fields_knows_every_operation() {
        let schema = schemars::schema_for!(Operation).to_value();
        let variants = schema["oneOf"].as_array().expect("a tagged enum");
        assert_eq!(variants.len(), FIELDS.len());
        for (variant, (name, fields)) in variants.iter().zip(FIELDS) {
            assert_eq!(variant["properties"]["op"]["const"], name);
            let properties = variant["properties"].as_object().expect("an object");
            assert_eq!(properties.len(), fields.len() + 1, "{name}");
            assert!(
                fields
                    .iter()
                    .all(|(field, _)| properties.contains_key(*field))
            );
        }
    }
}
