//! Changes of the graph as people draw them, after the patterns of openCypher.
//!
//! ```text
//! (minji:Person {name: "민지"})          adds a vertex
//! (minji {name: "Minji"})               makes a value the only one of a property
//! (daniel)-[:FOLLOWS]->(minji)          adds an edge, whose id is daniel-FOLLOWS-minji
//! (daniel)-[like-1:LIKES]->(story-1)    adds an edge with an id of its own
//! -(daniel)-[:FOLLOWS]->(minji)         drops it
//! -(minji)                              drops a vertex, -(minji {name: "Minji"}) a value of it
//! ```
//!
//! Several in one text, a line each or with commas between them, are one commit.

use std::collections::BTreeMap;

use iyagi_messages::ids::ElementId;
use serde_json::Value;
use thiserror::Error;

use crate::embedded::graph::Operation;

/// A text that draws no change.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{expected} is expected before `{rest}`")]
pub struct NotAChange {
    expected: &'static str,
    /// The text from there on, cut off.
    rest: String,
}

/// Reads the operations of one commit.
pub fn parse(text: &str) -> Result<Vec<Operation>, NotAChange> {
    let mut reader = Reader { rest: text };
    let mut operations = Vec::new();
    loop {
        while reader.took(',') {}
        if reader.is_at_end() && !operations.is_empty() {
            return Ok(operations);
        }
        reader.change(&mut operations)?;
    }
}

/// What stands in brackets.
#[derive(Debug, Default)]
struct Element {
    id: String,
    labels: Vec<String>,
    properties: BTreeMap<String, Value>,
}

impl Element {
    /// The end of an edge names a vertex, and says nothing of it.
    fn is_end(&self) -> bool {
        !self.id.is_empty() && self.labels.is_empty() && self.properties.is_empty()
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn change(&mut self, operations: &mut Vec<Operation>) -> Result<(), NotAChange> {
        let drops = self.took('-');
        if !drops {
            self.took('+');
        }
        let begin = self.rest;
        let first = self.element('(', ')')?;
        if self.goes_on_with_an_edge() {
            self.took('-');
            let edge = self.element('[', ']')?;
            self.expect('-', "`->` behind an edge's label")?;
            self.expect('>', "`->` behind an edge's label")?;
            let target = self.element('(', ')')?;
            return edge_change(drops, first, edge, target, begin, operations);
        }
        if self.took('<') {
            self.expect('-', "`<-[`")?;
            let edge = self.element('[', ']')?;
            self.expect('-', "`-` behind an edge's label")?;
            let source = self.element('(', ')')?;
            return edge_change(drops, source, edge, first, begin, operations);
        }
        vertex_change(drops, first, begin, operations)
    }

    fn element(&mut self, open: char, close: char) -> Result<Element, NotAChange> {
        let what = if open == '(' {
            "a vertex such as `(minji)`"
        } else {
            "an edge such as `[:FOLLOWS]`"
        };
        self.expect(open, what)?;
        let mut element = Element {
            id: self.word(),
            ..Element::default()
        };
        while self.took(':') {
            let label = self.word();
            if label.is_empty() {
                return Err(self.expected("a label"));
            }
            element.labels.push(label);
        }
        if self.took('{') {
            while !self.took('}') {
                let key = self.word();
                if key.is_empty() {
                    return Err(self.expected("a property's name or `}`"));
                }
                self.expect(':', "`:` behind a property's name")?;
                let value = self.value()?;
                element.properties.insert(key, value);
                self.took(',');
            }
        }
        self.expect(close, "the closing bracket")?;
        Ok(element)
    }

    /// A value as JSON writes it.
    fn value(&mut self) -> Result<Value, NotAChange> {
        self.skip_space();
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                self.rest = &self.rest[values.byte_offset()..];
                Ok(value)
            }
            _ => Err(self.expected("a value, such as \"text\", 7 or true")),
        }
    }

    fn word(&mut self) -> String {
        self.skip_space();
        let ends = |c: char| c.is_whitespace() || ":(){}[]<>,;\"'`".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// Whether a `-` belongs to the vertex before it: behind a space it may also begin the next change.
    fn goes_on_with_an_edge(&self) -> bool {
        let rest = self.rest.trim_start();
        let behind = rest.strip_prefix('-');
        let apart = rest.len() < self.rest.len();
        behind.is_some_and(|behind| !apart || behind.trim_start().starts_with('['))
    }

    fn took(&mut self, wanted: char) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char, expected: &'static str) -> Result<(), NotAChange> {
        if self.took(wanted) {
            return Ok(());
        }
        Err(self.expected(expected))
    }

    fn expected(&self, expected: &'static str) -> NotAChange {
        NotAChange {
            expected,
            rest: excerpt(self.rest),
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

fn vertex_change(
    drops: bool,
    vertex: Element,
    begin: &str,
    operations: &mut Vec<Operation>,
) -> Result<(), NotAChange> {
    let refused = |expected| {
        let rest = excerpt(begin);
        Err(NotAChange { expected, rest })
    };
    let Element {
        id,
        labels,
        properties,
    } = vertex;
    if id.is_empty() {
        return refused("an id within the brackets");
    }
    let id = ElementId::from(id);
    match (drops, labels.is_empty(), properties.is_empty()) {
        (false, false, _) => operations.push(Operation::AddVertex {
            id,
            label: labels.join("::"),
            properties,
        }),
        (false, true, true) => {
            return refused("a label, such as `:Person`, or properties");
        }
        (false, true, false) => {
            operations.extend(properties.into_iter().map(|(key, value)| {
                let id = id.clone();
                Operation::SetProperty { id, key, value }
            }));
        }
        (true, true, true) => operations.push(Operation::DropVertex { id }),
        (true, true, false) => {
            operations.extend(
                properties
                    .into_iter()
                    .map(|(key, value)| Operation::DropProperty {
                        id: id.clone(),
                        key,
                        value: Some(value),
                    }),
            );
        }
        (true, false, _) => return refused("a vertex without labels"),
    }
    Ok(())
}

fn edge_change(
    drops: bool,
    source: Element,
    edge: Element,
    target: Element,
    begin: &str,
    operations: &mut Vec<Operation>,
) -> Result<(), NotAChange> {
    let refused = |expected| {
        let rest = excerpt(begin);
        Err(NotAChange { expected, rest })
    };
    let [label] = &edge.labels[..] else {
        return refused("an edge with one label");
    };
    if !source.is_end() || !target.is_end() {
        return refused("an edge between two ids; a vertex is added by itself");
    }
    let id = if edge.id.is_empty() {
        format!("{}-{label}-{}", source.id, target.id)
    } else {
        edge.id
    };
    let id = ElementId::from(id);
    operations.push(if drops {
        Operation::DropEdge { id }
    } else {
        Operation::AddEdge {
            id: Some(id),
            from: ElementId::from(source.id),
            to: ElementId::from(target.id),
            label: label.clone(),
            properties: edge.properties,
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        json!(parse(text).expect("changes"))
    }

    #[test]
    fn vertices_and_edges_are_read_as_they_are_drawn() {
        assert_eq!(
            read(r#"(minji:Person:Admin {name: "민지", age: 7, ok: true})"#),
            json!([{"op": "add_vertex", "id": "minji", "label": "Person::Admin",
                    "properties": {"name": "민지", "age": 7, "ok": true}}])
        );
        let follows = json!({"op": "add_edge", "id": "daniel-FOLLOWS-minji", "from": "daniel", "to": "minji", "label": "FOLLOWS"});
        assert_eq!(read("(daniel)-[:FOLLOWS]->(minji)"), json!([follows]));
        assert_eq!(read("+ (minji) <-[:FOLLOWS]- (daniel)"), json!([follows]));
        assert_eq!(
            read("(a)-[like-1:LIKES {stars: 5}]->(s)"),
            json!([{"op": "add_edge", "id": "like-1", "from": "a", "to": "s", "label": "LIKES", "properties": {"stars": 5}}])
        );
    }

    #[test]
    fn what_is_there_is_changed_and_dropped_and_a_text_is_one_commit() {
        assert_eq!(
            read("(s {title: \"new\"}),\n -(s {mood: \"old\"})\n-(a)-[:LIKES]->(s) -(s)"),
            json!([
                {"op": "set_property", "id": "s", "key": "title", "value": "new"},
                {"op": "drop_property", "id": "s", "key": "mood", "value": "old"},
                {"op": "drop_edge", "id": "a-LIKES-s"},
                {"op": "drop_vertex", "id": "s"},
            ])
        );
    }

    #[test]
    fn a_slip_is_told_with_what_is_expected_and_where() {
        for (text, expected) in [
            ("", "a vertex such as `(minji)` is expected before ``"),
            (
                "minji",
                "a vertex such as `(minji)` is expected before `minji`",
            ),
            (
                "(minji)",
                "a label, such as `:Person`, or properties is expected before `(minji)`",
            ),
            (
                "(a)-[LIKES]->(b)",
                "an edge with one label is expected before `(a)-[LIKES]->(b)`",
            ),
            (
                "(a)-[:LIKES]-(b)",
                "`->` behind an edge's label is expected before `(b)`",
            ),
            (
                "(a:Person {name: 민지})",
                "a value, such as \"text\", 7 or true is expected before `민지})`",
            ),
            ("(a:Person", "the closing bracket is expected before ``"),
            (
                "(a:Person)-[:L]->(b)",
                "an edge between two ids; a vertex is added by itself is expected before `(a:Person)-[:L]->(b)`",
            ),
            (
                "(a)-(b)",
                "an edge such as `[:FOLLOWS]` is expected before `(b)`",
            ),
            (
                "-(a:Person)",
                "a vertex without labels is expected before `(a:Person)`",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
