//! The check of operations before anything touches the file.

use std::collections::BTreeMap;

use iyagi_messages::ids::ElementId;
use serde_json::Value;

use super::operations::{OPERATIONS_MAX, Operation};
use super::rejection::{CommitRejected, List, Problem};
use super::value::StoredValue;

/// An operation whose texts and values are known to be good; only the graph itself can still refuse it.
#[derive(Debug)]
pub(super) enum Step {
    AddVertex {
        id: ElementId,
        labels: Vec<String>,
        properties: Vec<(String, StoredValue)>,
    },
    DropVertex {
        id: ElementId,
    },
    AddEdge {
        id: Option<ElementId>,
        from: ElementId,
        to: ElementId,
        label: String,
        properties: Vec<(String, StoredValue)>,
    },
    DropEdge {
        id: ElementId,
    },
    SetProperty {
        id: ElementId,
        key: String,
        value: StoredValue,
    },
    AddProperty {
        id: ElementId,
        key: String,
        value: StoredValue,
    },
    DropProperty {
        id: ElementId,
        key: String,
        value: Option<StoredValue>,
    },
}

/// Checks everything that can be known without the graph.
pub(super) fn check(operations: Vec<Operation>) -> Result<Vec<Step>, CommitRejected> {
    check_count(List::Operations, operations.len())?;
    operations
        .into_iter()
        .enumerate()
        .map(|(index, operation)| Checker { index }.check(operation))
        .collect()
}

/// Refuses a commit of no entry, or of too many.
pub(super) fn check_count(list: List, count: usize) -> Result<(), CommitRejected> {
    match count {
        0 => Err(CommitRejected::whole(list, Problem::Empty)),
        1..=OPERATIONS_MAX => Ok(()),
        count => Err(CommitRejected::whole(list, Problem::TooMany { count })),
    }
}

struct Checker {
    index: usize,
}

impl Checker {
    fn check(&self, operation: Operation) -> Result<Step, CommitRejected> {
        Ok(match operation {
            Operation::AddVertex {
                id,
                label,
                properties,
            } => Step::AddVertex {
                id: self.id("id", id)?,
                labels: self.labels(&label)?,
                properties: self.properties(properties)?,
            },
            Operation::DropVertex { id } => Step::DropVertex {
                id: self.id("id", id)?,
            },
            Operation::AddEdge {
                id,
                from,
                to,
                label,
                properties,
            } => Step::AddEdge {
                id: id.map(|id| self.id("id", id)).transpose()?,
                from: self.id("from", from)?,
                to: self.id("to", to)?,
                label: self.text("label", label)?,
                properties: self.properties(properties)?,
            },
            Operation::DropEdge { id } => Step::DropEdge {
                id: self.id("id", id)?,
            },
            Operation::SetProperty { id, key, value } => Step::SetProperty {
                id: self.id("id", id)?,
                key: self.text("key", key)?,
                value: self.value(&["value"], &value)?,
            },
            Operation::AddProperty { id, key, value } => Step::AddProperty {
                id: self.id("id", id)?,
                key: self.text("key", key)?,
                value: self.value(&["value"], &value)?,
            },
            Operation::DropProperty { id, key, value } => Step::DropProperty {
                id: self.id("id", id)?,
                key: self.text("key", key)?,
                value: value
                    .map(|value| self.value(&["value"], &value))
                    .transpose()?,
            },
        })
    }

    fn rejected(&self, path: &[&str], problem: Problem) -> CommitRejected {
        CommitRejected::entry(List::Operations, self.index, path, problem)
    }

    fn id(&self, field: &str, id: ElementId) -> Result<ElementId, CommitRejected> {
        self.text(field, id.to_string()).map(ElementId::from)
    }

    fn text(&self, field: &str, text: String) -> Result<String, CommitRejected> {
        if text.is_empty() {
            return Err(self.rejected(&[field], Problem::EmptyText));
        }
        Ok(text)
    }

    fn labels(&self, label: &str) -> Result<Vec<String>, CommitRejected> {
        let mut labels: Vec<String> = Vec::new();
        for part in label.split("::") {
            let part = self.text("label", part.to_owned())?;
            if !labels.contains(&part) {
                labels.push(part);
            }
        }
        Ok(labels)
    }

    fn value(&self, path: &[&str], value: &Value) -> Result<StoredValue, CommitRejected> {
        StoredValue::read(value).map_err(|problem| self.rejected(path, problem))
    }

    fn properties(
        &self,
        properties: BTreeMap<String, Value>,
    ) -> Result<Vec<(String, StoredValue)>, CommitRejected> {
        let read = |(key, value): (String, Value)| {
            if key.is_empty() {
                return Err(self.rejected(&["properties", ""], Problem::EmptyText));
            }
            let value = self.value(&["properties", &key], &value)?;
            Ok((key, value))
        };
        properties.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_value_does_not_drop_every_value() {
        let json = r#"{"op": "drop_property", "id": "a", "key": "k", "value": null}"#;
        let operation = Operation::parse(0, json).expect("parses");
        let rejected = check(vec![operation]).unwrap_err();
        assert_eq!(rejected.problem, Problem::NotScalar);
        assert_eq!(
            rejected.to_string(),
            format!(
                "operations[0].value: the value is not a scalar; {}",
                rejected.cure()
            )
        );
    }
}
