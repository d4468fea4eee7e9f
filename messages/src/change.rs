//! One change per element and commit: what subscriptions are matched against.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cursor::Cursor;
use crate::ids::{ElementId, Timestamp};
use crate::stream::{Op, RecordKind, StreamRecord, TypedValue};

/// All records of one commit, in operation order.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Commit number.
    pub number: u64,
    /// When the commit was requested, as far as the engine says.
    pub at: Timestamp,
    /// The commit's records.
    pub records: Vec<StreamRecord>,
}

impl Commit {
    /// The place of the commit's last operation.
    pub fn end(&self) -> Cursor {
        self.records
            .last()
            .map_or(Cursor::new(self.number, 0), |record| record.event_id)
    }
}

/// What a change is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ElementKind {
    /// A vertex.
    Vertex,
    /// An edge.
    Edge,
}

/// What happened to an element in a commit.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It did not exist before.
    Created,
    /// It existed before and after.
    Updated,
    /// It no longer exists.
    Deleted,
}

/// An edge's ends and label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeEnds {
    /// Source vertex.
    pub from: ElementId,
    /// Target vertex.
    pub to: ElementId,
    /// The edge's label.
    pub label: String,
}

/// Values that one property lost and gained in a commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PropertyChange {
    /// Values that no longer hold.
    pub removed: Vec<TypedValue>,
    /// Values that now hold.
    pub added: Vec<TypedValue>,
}

/// One element's change in one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementChange {
    /// The element.
    pub id: ElementId,
    /// Vertex or edge.
    pub kind: ElementKind,
    /// Created, updated or deleted.
    pub change: ChangeKind,
    /// A vertex's labels before the commit.
    pub labels_before: Vec<String>,
    /// A vertex's labels after the commit.
    pub labels_after: Vec<String>,
    /// Ends and label of an edge, where the commit carries them.
    pub edge: Option<EdgeEnds>,
    /// Properties by name.
    pub properties: HashMap<String, PropertyChange>,
    /// First operation that touched the element.
    pub first_op: u64,
}

impl ElementChange {
    /// Whether the element carries one of `labels`, before the commit or after it.
    pub fn has_label(&self, labels: &[String]) -> bool {
        let of_edge = self
            .edge
            .as_ref()
            .is_some_and(|edge| labels.contains(&edge.label));
        of_edge
            || self
                .labels_before
                .iter()
                .chain(&self.labels_after)
                .any(|label| labels.contains(label))
    }

    /// Whether a property gained or lost a value.
    pub fn touches(&self, key: &str) -> bool {
        self.properties.contains_key(key)
    }
}

/// Folds a commit's records into one change per element, in order of first operation.
///
/// An element that the commit both created and deleted is not listed, nor is a value that was removed and added back.
/// `labels_before` gives a vertex's labels as of the previous commit: a vertex exists while it has at least one.
pub fn element_changes(
    commit: &Commit,
    labels_before: impl Fn(&ElementId) -> Vec<String>,
) -> Vec<ElementChange> {
    let mut order: Vec<Folding> = Vec::new();
    let mut index: HashMap<(ElementKind, &ElementId), usize> = HashMap::new();
    for record in &commit.records {
        let kind = match record.data.kind {
            RecordKind::VertexLabel | RecordKind::VertexProperty => ElementKind::Vertex,
            RecordKind::Edge | RecordKind::EdgeProperty => ElementKind::Edge,
        };
        let slot = *index.entry((kind, &record.data.id)).or_insert_with(|| {
            let labels = match kind {
                ElementKind::Vertex => labels_before(&record.data.id),
                ElementKind::Edge => Vec::new(),
            };
            order.push(Folding::new(
                &record.data.id,
                kind,
                labels,
                record.event_id.op,
            ));
            order.len() - 1
        });
        order[slot].fold(record);
    }
    order.into_iter().filter_map(Folding::finish).collect()
}

struct Folding {
    change: ElementChange,
    /// The first and the last that the commit says of an edge.
    edge_ops: Option<(Op, Op)>,
    /// Ends and label of an edge, before the commit took it away.
    edge_before: Option<EdgeEnds>,
}

impl Folding {
    fn new(id: &ElementId, kind: ElementKind, labels: Vec<String>, first_op: u64) -> Self {
        Self {
            change: ElementChange {
                id: id.clone(),
                kind,
                change: ChangeKind::Updated,
                labels_after: labels.clone(),
                labels_before: labels,
                edge: None,
                properties: HashMap::new(),
                first_op,
            },
            edge_ops: None,
            edge_before: None,
        }
    }

    fn fold(&mut self, record: &StreamRecord) {
        let data = &record.data;
        match data.kind {
            RecordKind::VertexLabel => {
                let label = data.value.text().into_owned();
                let labels = &mut self.change.labels_after;
                match record.op {
                    Op::Add if labels.contains(&label) => {}
                    Op::Add => labels.push(label),
                    Op::Remove => labels.retain(|other| *other != label),
                }
            }
            RecordKind::Edge => {
                if let (Some(from), Some(to)) = (&data.from, &data.to) {
                    self.change.edge = Some(EdgeEnds {
                        from: from.clone(),
                        to: to.clone(),
                        label: data.value.text().into_owned(),
                    });
                }
                let first = match self.edge_ops {
                    Some((first, _)) => first,
                    None => record.op,
                };
                if self.edge_ops.is_none() && first == Op::Remove {
                    self.edge_before.clone_from(&self.change.edge);
                }
                self.edge_ops = Some((first, record.op));
            }
            RecordKind::VertexProperty | RecordKind::EdgeProperty => {
                let property = self
                    .change
                    .properties
                    .entry(data.key.to_string())
                    .or_default();
                match record.op {
                    Op::Add => cancel_or_push(
                        &mut property.removed,
                        &mut property.added,
                        data.value.clone(),
                    ),
                    Op::Remove => cancel_or_push(
                        &mut property.added,
                        &mut property.removed,
                        data.value.clone(),
                    ),
                }
            }
        }
    }

    fn finish(mut self) -> Option<ElementChange> {
        let change = &mut self.change;
        change
            .properties
            .retain(|_, property| *property != PropertyChange::default());
        let sorted = |labels: &[String]| {
            let mut labels = labels.to_vec();
            labels.sort();
            labels
        };
        let same_labels = sorted(&change.labels_before) == sorted(&change.labels_after);
        let (existed, exists) = match change.kind {
            // A property of a vertex whose label this log never showed still tells of a vertex that exists.
            ElementKind::Vertex if same_labels => (true, true),
            ElementKind::Vertex => (
                !change.labels_before.is_empty(),
                !change.labels_after.is_empty(),
            ),
            ElementKind::Edge => match self.edge_ops {
                None => (true, true),
                Some((first, Op::Remove)) => {
                    if self.edge_before.is_some() {
                        change.edge = self.edge_before;
                    }
                    (first == Op::Remove, false)
                }
                // The same id between others is another edge.
                Some((first, Op::Add)) => {
                    let moved = self.edge_before.is_some() && self.edge_before != change.edge;
                    (first == Op::Remove && !moved, true)
                }
            },
        };
        change.change = match (existed, exists) {
            (true, false) => ChangeKind::Deleted,
            (true, true) => ChangeKind::Updated,
            (false, true) => ChangeKind::Created,
            (false, false) => return None,
        };
        let touched =
            change.change != ChangeKind::Updated || !change.properties.is_empty() || !same_labels;
        touched.then_some(self.change)
    }
}

fn cancel_or_push<T: PartialEq>(opposite: &mut Vec<T>, list: &mut Vec<T>, value: T) {
    if let Some(at) = opposite.iter().position(|other| *other == value) {
        opposite.remove(at);
    } else {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::RecordData;

    fn record(
        op_num: u64,
        op: Op,
        kind: RecordKind,
        id: &str,
        key: &str,
        value: &str,
    ) -> StreamRecord {
        let edge = kind == RecordKind::Edge;
        StreamRecord {
            commit_timestamp: Some(Timestamp(1)),
            event_id: Cursor::new(1, op_num),
            data: RecordData {
                id: id.into(),
                kind,
                key: key.into(),
                value: TypedValue::string(value),
                from: edge.then(|| "a".into()),
                to: edge.then(|| "b".into()),
            },
            op,
            is_last_op: false,
        }
    }

    fn fold(records: Vec<StreamRecord>, labels: &[(&str, &str)]) -> Vec<ElementChange> {
        let labels: HashMap<String, Vec<String>> = labels
            .iter()
            .map(|(id, label)| ((*id).to_owned(), vec![(*label).to_owned()]))
            .collect();
        let commit = Commit {
            number: 1,
            at: Timestamp(1),
            records,
        };
        element_changes(&commit, |id| {
            labels.get(id.as_str()).cloned().unwrap_or_default()
        })
    }

    #[test]
    fn a_property_update_is_one_change_with_old_and_new_value() {
        let changes = fold(
            vec![
                record(
                    1,
                    Op::Remove,
                    RecordKind::VertexProperty,
                    "v",
                    "title",
                    "old",
                ),
                record(2, Op::Add, RecordKind::VertexProperty, "v", "title", "new"),
            ],
            &[("v", "Story")],
        );
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].change, ChangeKind::Updated);
        assert_eq!(changes[0].properties["title"].removed[0].text(), "old");
        assert_eq!(changes[0].properties["title"].added[0].text(), "new");
    }

    #[test]
    fn a_dropped_edge_keeps_its_ends_and_its_last_properties() {
        let changes = fold(
            vec![
                record(
                    1,
                    Op::Remove,
                    RecordKind::EdgeProperty,
                    "e",
                    "since",
                    "2020",
                ),
                record(2, Op::Remove, RecordKind::Edge, "e", "label", "FOLLOWS"),
            ],
            &[],
        );
        assert_eq!(changes[0].change, ChangeKind::Deleted);
        assert_eq!(
            changes[0].edge.as_ref().map(|edge| edge.to.as_str()),
            Some("b")
        );
        assert!(changes[0].touches("since"));
    }

    #[test]
    fn what_a_commit_creates_and_drops_again_is_not_a_change() {
        let changes = fold(
            vec![
                record(1, Op::Add, RecordKind::VertexLabel, "v", "label", "Story"),
                record(2, Op::Add, RecordKind::Edge, "e", "label", "LIKES"),
                record(3, Op::Remove, RecordKind::Edge, "e", "label", "LIKES"),
                record(
                    4,
                    Op::Remove,
                    RecordKind::VertexLabel,
                    "v",
                    "label",
                    "Story",
                ),
            ],
            &[],
        );
        assert_eq!(changes, Vec::new());
    }

    #[test]
    fn a_vertex_is_deleted_with_its_last_label_only() {
        let drop_label = |label: &str| {
            vec![record(
                1,
                Op::Remove,
                RecordKind::VertexLabel,
                "v",
                "label",
                label,
            )]
        };
        let labels = [("v", "Story")];
        assert_eq!(
            fold(drop_label("Story"), &labels)[0].change,
            ChangeKind::Deleted
        );
        let mut swap = drop_label("Story");
        swap.push(record(
            2,
            Op::Add,
            RecordKind::VertexLabel,
            "v",
            "label",
            "Poem",
        ));
        let changes = fold(swap, &labels);
        assert_eq!(changes[0].change, ChangeKind::Updated);
        assert!(
            changes[0].has_label(&["Story".to_owned()])
                && changes[0].has_label(&["Poem".to_owned()])
        );
    }
}
