//! One change per element and commit: what subscriptions are matched against.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use iyagi_messages::change::{ChangeKind, Commit, ElementKind};
use iyagi_messages::stream::{Op, RecordKind, StreamRecord};

use super::graph::{Edge, Graph, RecordNumbers};
use crate::projections::clause::Evidence;
use crate::projections::lexicon::{LabelSets, Lexicon, Mask, NO_LABELS};

/// One element's change in one commit.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The element.
    pub id: u32,
    /// Vertex or edge.
    pub kind: ElementKind,
    /// Created, updated or deleted.
    pub change: ChangeKind,
    /// A vertex's labels before the commit.
    pub labels_before: u32,
    /// A vertex's labels after the commit.
    pub labels_after: u32,
    /// Ends and label of an edge, where the commit or the graph has them.
    pub edge: Option<Edge>,
    /// The first record that touched the element.
    pub first: u32,
    /// Which of [`Changes::values`] are its.
    values: (u32, u32),
    /// Whether the first and the last that the commit says of an edge is that it is there.
    edge_ops: Option<(Op, Op)>,
    /// Ends and label of an edge, before the commit took it away.
    edge_before: Option<Edge>,
}

/// The changes of a commit, in order of first operation. Kept from commit to commit for its room.
#[derive(Debug, Default)]
pub struct Changes {
    list: Vec<Change>,
    /// Records that say what values properties gained and lost, those of each element together.
    values: Vec<u32>,
    /// Element and record, before they are put together.
    told: Vec<(u32, u32)>,
    by_element: HashMap<(ElementKind, u32), u32, RandomState>,
}

/// Elements of a commit up to which looking through them is faster than hashing.
const FEW: usize = 16;

impl Changes {
    /// Folds a commit's records into one change per element.
    ///
    /// An element that the commit both created and deleted is not listed, nor is a value that was removed and added back.
    /// `graph` is as of the previous commit: a vertex exists while it has at least one label.
    pub fn fold(
        &mut self,
        commit: &Commit,
        numbers: &[RecordNumbers],
        graph: &Graph,
        label_sets: &mut LabelSets,
    ) {
        self.list.clear();
        self.values.clear();
        self.told.clear();
        self.by_element.clear();
        for (at, (record, numbers)) in (0..).zip(commit.records.iter().zip(numbers)) {
            let nth = self.change_of(at, record, numbers.id, graph);
            match record.data.kind {
                RecordKind::VertexProperty | RecordKind::EdgeProperty => self.told.push((nth, at)),
                RecordKind::VertexLabel => {
                    self.list[nth as usize].fold_label(record, numbers.label, label_sets);
                }
                RecordKind::Edge => self.list[nth as usize].fold_edge(record, *numbers),
            }
        }
        self.put_values_together(&commit.records);
        self.list.retain_mut(|change| change.finish(graph));
    }

    /// The changes.
    pub fn list(&self) -> &[Change] {
        &self.list
    }

    /// The records that say what values a changed element's properties gained and lost.
    pub fn values_of<'c>(&self, change: &Change, commit: &'c Commit) -> Vec<&'c StreamRecord> {
        let values = &self.values[change.values.0 as usize..change.values.1 as usize];
        values
            .iter()
            .map(|at| &commit.records[*at as usize])
            .collect()
    }

    /// What conditions on a change are tested against.
    pub fn evidence<'e>(
        &'e self,
        change: &Change,
        commit: &'e Commit,
        lexicon: &Lexicon,
    ) -> Evidence<'e> {
        let values = &self.values[change.values.0 as usize..change.values.1 as usize];
        let (label_sets, labels) = if let Some(edge) = change.edge {
            ([NO_LABELS; 2], Mask::of(edge.label))
        } else {
            let sets = [change.labels_before, change.labels_after];
            let [before, after] = sets.map(|set| lexicon.label_sets.mask(set));
            (sets, before.union(after))
        };
        let mut evidence = Evidence {
            kind: change.kind,
            change: change.change,
            label_sets,
            edge_label: change.edge.map(|edge| edge.label),
            labels,
            keys: Mask::default(),
            records: &commit.records,
            values,
        };
        if !lexicon.keys.is_empty() {
            let keys = evidence
                .values()
                .filter_map(|record| lexicon.keys.get(&record.data.key));
            evidence.keys = keys.collect();
        }
        evidence
    }

    fn change_of(&mut self, at: u32, record: &StreamRecord, id: u32, graph: &Graph) -> u32 {
        let kind = match record.data.kind {
            RecordKind::VertexLabel | RecordKind::VertexProperty => ElementKind::Vertex,
            RecordKind::Edge | RecordKind::EdgeProperty => ElementKind::Edge,
        };
        let len = self.list.len();
        let known = if len <= FEW {
            let mut newest_first = self.list.iter().rev();
            let from_end = newest_first.position(|one| (one.kind, one.id) == (kind, id));
            from_end.map(|from_end| (len - 1 - from_end) as u32)
        } else {
            if len == FEW + 1 && self.by_element.is_empty() {
                let elements = self.list.iter().map(|one| (one.kind, one.id));
                self.by_element.extend(elements.zip(0..));
            }
            self.by_element.get(&(kind, id)).copied()
        };
        if let Some(known) = known {
            return known;
        }
        let labels = match kind {
            ElementKind::Vertex => graph.label_set(id),
            ElementKind::Edge => NO_LABELS,
        };
        self.list.push(Change {
            id,
            kind,
            change: ChangeKind::Updated,
            labels_before: labels,
            labels_after: labels,
            edge: None,
            first: at,
            values: (0, 0),
            edge_ops: None,
            edge_before: None,
        });
        if len > FEW {
            self.by_element.insert((kind, id), len as u32);
        }
        len as u32
    }

    /// Leaves out what was taken away and brought back, or the other way round.
    fn put_values_together(&mut self, records: &[StreamRecord]) {
        let key_of = |at: u32| &records[at as usize].data.key;
        match &*self.told {
            [] => return,
            &[(nth, at)] => {
                self.values.push(at);
                self.list[nth as usize].values = (0, 1);
                return;
            }
            _ => {}
        }
        // Those of one property lie together then, in their order.
        self.told.sort_by(|(one, at), (other, at_other)| {
            one.cmp(other)
                .then_with(|| key_of(*at).cmp(key_of(*at_other)))
        });
        let mut property = 0;
        for (place, &(nth, at)) in self.told.iter().enumerate() {
            let change = &mut self.list[nth as usize];
            if place == 0 || self.told[place - 1].0 != nth {
                change.values = (self.values.len() as u32, 0);
            }
            if place == 0
                || self.told[place - 1].0 != nth
                || key_of(self.told[place - 1].1) != key_of(at)
            {
                property = self.values.len();
            }
            let record = &records[at as usize];
            let undone = self.values[property..].iter().position(|other| {
                let other = &records[*other as usize];
                other.op != record.op && other.data.value == record.data.value
            });
            match undone {
                Some(undone) => drop(self.values.remove(property + undone)),
                None => self.values.push(at),
            }
            change.values.1 = self.values.len() as u32;
        }
    }
}

impl Change {
    fn fold_label(&mut self, record: &StreamRecord, label: u32, label_sets: &mut LabelSets) {
        let labels = &mut self.labels_after;
        *labels = match record.op {
            Op::Add => label_sets.with(*labels, label),
            Op::Remove => label_sets.without(*labels, label),
        };
    }

    fn fold_edge(&mut self, record: &StreamRecord, numbers: RecordNumbers) {
        if let Some((from, to)) = numbers.ends {
            let label = numbers.label;
            self.edge = Some(Edge { from, to, label });
        }
        let first = if let Some((first, _)) = self.edge_ops {
            first
        } else {
            self.edge_before = self.edge.filter(|_| record.op == Op::Remove);
            record.op
        };
        self.edge_ops = Some((first, record.op));
    }

    /// Says what happened, and whether anything did.
    fn finish(&mut self, graph: &Graph) -> bool {
        let (existed, exists) = match self.kind {
            // A property of a vertex whose label this log never showed still tells of a vertex that exists.
            ElementKind::Vertex if self.labels_before == self.labels_after => (true, true),
            ElementKind::Vertex => (
                self.labels_before != NO_LABELS,
                self.labels_after != NO_LABELS,
            ),
            ElementKind::Edge => self.finish_edge(graph),
        };
        self.change = match (existed, exists) {
            (true, false) => ChangeKind::Deleted,
            (true, true) => ChangeKind::Updated,
            (false, true) => ChangeKind::Created,
            (false, false) => return false,
        };
        self.change != ChangeKind::Updated
            || self.values.0 != self.values.1
            || self.labels_before != self.labels_after
    }

    /// Whether an edge existed before the commit, and whether it exists after it.
    fn finish_edge(&mut self, graph: &Graph) -> (bool, bool) {
        let Some((first, last)) = self.edge_ops else {
            self.edge = graph.edge_at(self.id);
            return (true, true);
        };
        if last == Op::Remove && self.edge_before.is_some() {
            self.edge = self.edge_before;
        }
        // The same id between others is another edge.
        let moved = self.edge_before.is_some() && self.edge_before != self.edge;
        let existed = first == Op::Remove && !(last == Op::Add && moved);
        (existed, last == Op::Add)
    }
}
