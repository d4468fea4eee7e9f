//! A change, and what is asked of it, in words.

use iyagi_messages::change::{ChangeKind, EdgeEnds, ElementKind};
use iyagi_messages::predicate::{Comparison, Side};

use super::View;

impl View<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self.change.kind {
            ElementKind::Vertex => "vertex",
            ElementKind::Edge => "edge",
        }
    }

    /// Labels before and after the commit, each once.
    pub(super) fn labels(&self) -> Vec<String> {
        let of_edge = self.change.edge.iter().map(|edge| &edge.label);
        let (before, after) = (&self.change.labels_before, &self.change.labels_after);
        let mut labels: Vec<String> = Vec::new();
        for label in of_edge.chain(before).chain(after) {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        labels
    }

    pub(super) fn drawing(&self) -> String {
        let drawn = match &self.change.edge {
            Some(edge) => drawn(edge),
            None => format!("({}:{})", self.change.id, self.labels().join(":")),
        };
        let mut keys: Vec<_> = self.change.properties.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let kind = kind(self.change.change);
        if self.change.change == ChangeKind::Updated && !keys.is_empty() {
            format!("{drawn} {kind}: {}", keys.join(", "))
        } else {
            format!("{drawn} {kind}")
        }
    }
}

pub(super) fn element_kind(kind: ElementKind) -> &'static str {
    match kind {
        ElementKind::Vertex => "a vertex",
        ElementKind::Edge => "an edge",
    }
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::New => "a new value",
        Side::Old => "an old value",
        Side::Either => "an old or new value",
    }
}

pub(super) fn comparison(op: Comparison) -> &'static str {
    match op {
        Comparison::Eq => "that is",
        Comparison::Ne => "that is not",
        Comparison::In => "that is one of",
        Comparison::Prefix => "that begins with",
        Comparison::Lt => "less than",
        Comparison::Gt => "greater than",
        Comparison::Exists => "",
    }
}

pub(super) fn drawn(edge: &EdgeEnds) -> String {
    format!("({})-[:{}]->({})", edge.from, edge.label, edge.to)
}

pub(super) fn kind(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Deleted => "deleted",
    }
}

pub(super) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(" or ")
}
