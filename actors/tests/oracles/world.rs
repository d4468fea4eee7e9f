//! A small network that lives: what happens in it as records of the stream, and what holds before and after.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use iyagi_messages::change::{ChangeKind, Commit, ElementKind};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord, TypedValue};
use serde_json::{Value, json};

pub(crate) const VERTICES: usize = 12;
pub(crate) const EDGE_LABELS: [&str; 4] = ["FOLLOWS", "LIKES", "POSTED", "BOOKMARKS"];
pub(crate) const KEYS: [&str; 3] = ["title", "score", "since"];

pub(crate) fn one_of<T: Copy>(dice: &mut Rng, items: &[T]) -> T {
    items[dice.usize(..items.len())]
}

/// More labels than a word has bits.
pub(crate) fn vertex_label(dice: &mut Rng) -> String {
    match dice.u32(..4) {
        0 => format!("Rare{}", dice.u32(..80)),
        _ => one_of(dice, &["Person", "Story", "Audio"]).to_owned(),
    }
}

pub(crate) fn vertex_id(dice: &mut Rng) -> String {
    format!("v{}", dice.usize(..VERTICES))
}

/// A value of a property, as its text, its type and its JSON.
fn value_of(key: &str, dice: &mut Rng) -> Value {
    match key {
        "title" => {
            json!({"value": one_of(dice, &["a", "ab", "b", "가나", ""]), "dataType": "String"})
        }
        "score" => match dice.i64(-3..4) {
            // Exports write numbers as texts.
            number if dice.bool() => json!({"value": number.to_string(), "dataType": "Int"}),
            number => json!({"value": number, "dataType": "Int"}),
        },
        _ => {
            json!({"value": 1_700_000_000_000_i64 + dice.i64(0..4) * 86_400_000, "dataType": "Date"})
        }
    }
}

/// Everything that holds at one moment. Values are kept as JSON.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct World {
    pub(crate) vertices: BTreeMap<String, BTreeSet<String>>,
    pub(crate) edges: BTreeMap<String, Edge>,
    pub(crate) values: BTreeSet<(ElementKind, String, String, String)>,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) label: String,
}

/// What a commit made of one element, by comparing what held before with what holds after.
pub(crate) struct Change {
    pub(crate) kind: ElementKind,
    pub(crate) id: String,
    pub(crate) what: ChangeKind,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) edge: Option<Edge>,
    /// Property and value.
    pub(crate) old: Vec<(String, TypedValue)>,
    pub(crate) new: Vec<(String, TypedValue)>,
    pub(crate) first: Cursor,
}

/// Writes records as it changes the world.
pub(crate) struct Author<'w> {
    pub(crate) world: &'w mut World,
    pub(crate) dice: &'w mut Rng,
    pub(crate) records: Vec<StreamRecord>,
    pub(crate) commit: u64,
    pub(crate) edges_made: &'w mut u32,
}

impl Author<'_> {
    pub(crate) fn act(&mut self) {
        match self.dice.u32(..16) {
            0 | 1 => self.add_vertex(),
            2 => self.add_label(),
            3 => self.remove_label(),
            4 => self.drop_vertex(),
            5..8 => self.set_property(),
            8 => self.add_property(),
            9 => self.remove_property(),
            10 => self.drop_an_edge(),
            11 => self.make_an_edge_anew(),
            12 => self.take_back(),
            _ => self.add_edge(),
        }
    }

    fn record(&mut self, op: Op, kind: RecordKind, id: &str, key: &str, value: Value) {
        let op_num = self.records.len() as u64 + 1;
        let edge = (kind == RecordKind::Edge).then(|| self.world.edges[id].clone());
        self.records.push(StreamRecord {
            commit_timestamp: Some(Timestamp(1_000)),
            event_id: Cursor::new(self.commit, op_num),
            data: RecordData {
                id: id.into(),
                kind,
                key: key.into(),
                value: serde_json::from_value(value).expect("a value"),
                from: edge.as_ref().map(|edge| edge.from.as_str().into()),
                to: edge.map(|edge| edge.to.as_str().into()),
            },
            op,
            is_last_op: false,
        });
    }

    fn label(&mut self, op: Op, id: &str, label: &str) {
        let value = json!({"value": label, "dataType": "String"});
        self.record(op, RecordKind::VertexLabel, id, "label", value);
        match op {
            Op::Add => {
                let labels = self.world.vertices.entry(id.to_owned()).or_default();
                labels.insert(label.to_owned());
            }
            Op::Remove => {
                let labels = self.world.vertices.get_mut(id).expect("is there");
                labels.remove(label);
                if labels.is_empty() {
                    self.world.vertices.remove(id);
                }
            }
        }
    }

    fn value(&mut self, op: Op, kind: ElementKind, id: &str, key: &str, value: &str) {
        let record_kind = match kind {
            ElementKind::Vertex => RecordKind::VertexProperty,
            ElementKind::Edge => RecordKind::EdgeProperty,
        };
        let statement = (kind, id.to_owned(), key.to_owned(), value.to_owned());
        let news = match op {
            Op::Add => self.world.values.insert(statement),
            Op::Remove => self.world.values.remove(&statement),
        };
        if news {
            let value = serde_json::from_str(value).expect("JSON");
            self.record(op, record_kind, id, key, value);
        }
    }

    fn values_of(&self, kind: ElementKind, id: &str, key: Option<&str>) -> Vec<(String, String)> {
        let values = self.world.values.iter();
        let values = values
            .filter(|(k, i, name, _)| *k == kind && i == id && key.is_none_or(|key| key == name));
        values
            .map(|(_, _, key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn vertex(&mut self) -> Option<String> {
        let at = self.dice.usize(..VERTICES);
        self.world.vertices.keys().nth(at).cloned()
    }

    fn edge(&mut self) -> Option<String> {
        let len = self.world.edges.len().max(1);
        let at = self.dice.usize(..len);
        self.world.edges.keys().nth(at).cloned()
    }

    fn element(&mut self) -> Option<(ElementKind, String)> {
        if self.dice.u32(..3) == 0 {
            self.edge().map(|id| (ElementKind::Edge, id))
        } else {
            self.vertex().map(|id| (ElementKind::Vertex, id))
        }
    }

    fn add_vertex(&mut self) {
        let id = vertex_id(self.dice);
        if !self.world.vertices.contains_key(&id) {
            for _ in 0..self.dice.u32(1..3) {
                let label = vertex_label(self.dice);
                if self
                    .world
                    .vertices
                    .get(&id)
                    .is_none_or(|labels| !labels.contains(&label))
                {
                    self.label(Op::Add, &id, &label);
                }
            }
        }
    }

    fn add_label(&mut self) {
        let Some(id) = self.vertex() else { return };
        let label = vertex_label(self.dice);
        if !self.world.vertices[&id].contains(&label) {
            self.label(Op::Add, &id, &label);
        }
    }

    fn remove_label(&mut self) {
        let Some(id) = self.vertex() else { return };
        let labels = &self.world.vertices[&id];
        if labels.len() > 1 {
            let label = labels.iter().next().expect("is there").clone();
            self.label(Op::Remove, &id, &label);
        }
    }

    fn drop_vertex(&mut self) {
        let Some(id) = self.vertex() else { return };
        let edges = self.world.edges.iter();
        let touching = edges.filter(|(_, edge)| edge.from == id || edge.to == id);
        let touching: Vec<_> = touching.map(|(edge, _)| edge.clone()).collect();
        for edge in touching {
            self.drop_edge(&edge);
        }
        for (key, value) in self.values_of(ElementKind::Vertex, &id, None) {
            self.value(Op::Remove, ElementKind::Vertex, &id, &key, &value);
        }
        for label in self.world.vertices[&id].clone() {
            self.label(Op::Remove, &id, &label);
        }
    }

    fn set_property(&mut self) {
        let Some((kind, id)) = self.element() else {
            return;
        };
        let key = one_of(self.dice, &KEYS);
        let value = value_of(key, self.dice).to_string();
        for (key, old) in self.values_of(kind, &id, Some(key)) {
            self.value(Op::Remove, kind, &id, &key, &old);
        }
        self.value(Op::Add, kind, &id, key, &value);
    }

    fn add_property(&mut self) {
        let Some(id) = self.vertex() else { return };
        let key = one_of(self.dice, &KEYS);
        let value = value_of(key, self.dice).to_string();
        self.value(Op::Add, ElementKind::Vertex, &id, key, &value);
    }

    fn remove_property(&mut self) {
        let Some((kind, id)) = self.element() else {
            return;
        };
        if let Some((key, value)) = self.values_of(kind, &id, None).pop() {
            self.value(Op::Remove, kind, &id, &key, &value);
        }
    }

    /// Takes a value away and brings it back.
    fn take_back(&mut self) {
        let Some((kind, id)) = self.element() else {
            return;
        };
        if let Some((key, value)) = self.values_of(kind, &id, None).pop() {
            self.value(Op::Remove, kind, &id, &key, &value);
            self.value(Op::Add, kind, &id, &key, &value);
        }
    }

    fn add_edge(&mut self) {
        *self.edges_made += 1;
        let id = format!("e{}", *self.edges_made);
        self.put_edge(&id);
    }

    fn put_edge(&mut self, id: &str) {
        let (Some(from), Some(to)) = (self.vertex(), self.vertex()) else {
            return;
        };
        let label = one_of(self.dice, &EDGE_LABELS);
        let made_already = |edge: &Edge| edge.label == "POSTED" && edge.to == to;
        if label == "POSTED" && self.world.edges.values().any(made_already) {
            // A thing has one maker.
            return;
        }
        let edge = Edge {
            from,
            to,
            label: label.to_owned(),
        };
        self.world.edges.insert(id.to_owned(), edge);
        let value = json!({"value": label, "dataType": "String"});
        self.record(Op::Add, RecordKind::Edge, id, "label", value);
    }

    fn drop_edge(&mut self, id: &str) {
        for (key, value) in self.values_of(ElementKind::Edge, id, None) {
            self.value(Op::Remove, ElementKind::Edge, id, &key, &value);
        }
        let value = json!({"value": self.world.edges[id].label, "dataType": "String"});
        self.record(Op::Remove, RecordKind::Edge, id, "label", value);
        self.world.edges.remove(id);
    }

    fn drop_an_edge(&mut self) {
        if let Some(id) = self.edge() {
            self.drop_edge(&id);
        }
    }

    /// The same id again, perhaps between others: only of an edge that was there before the commit.
    fn make_an_edge_anew(&mut self) {
        let Some(id) = self.edge() else { return };
        if !self
            .records
            .iter()
            .any(|record| record.data.id.as_str() == id)
        {
            self.drop_edge(&id);
            self.put_edge(&id);
        }
    }
}

/// What a commit made of each element.
pub(crate) fn changes(before: &World, after: &World, commit: &Commit) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    for record in &commit.records {
        let kind = match record.data.kind {
            RecordKind::VertexLabel | RecordKind::VertexProperty => ElementKind::Vertex,
            RecordKind::Edge | RecordKind::EdgeProperty => ElementKind::Edge,
        };
        let id = record.data.id.to_string();
        if seen.insert((kind, id.clone())) {
            changes.extend(change_of(before, after, kind, id, record.event_id));
        }
    }
    changes
}

fn change_of(
    before: &World,
    after: &World,
    kind: ElementKind,
    id: String,
    first: Cursor,
) -> Option<Change> {
    let values = |of: &World, not: &World| -> Vec<(String, TypedValue)> {
        let gone = of.values.difference(&not.values);
        let its = gone.filter(|(k, i, ..)| *k == kind && *i == id);
        let read = its
            .map(|(_, _, key, value)| (key.clone(), serde_json::from_str(value).expect("a value")));
        read.collect()
    };
    let (old, new) = (values(before, after), values(after, before));
    let labels_of = |world: &World| world.vertices.get(&id).cloned().unwrap_or_default();
    let (existed, exists, same, labels, edge) = match kind {
        ElementKind::Vertex => {
            let (were, are) = (labels_of(before), labels_of(after));
            let labels = were.union(&are).cloned().collect();
            (!were.is_empty(), !are.is_empty(), were == are, labels, None)
        }
        ElementKind::Edge => {
            let (was, is) = (before.edges.get(&id), after.edges.get(&id));
            let moved = was.is_some() && is.is_some() && was != is;
            let edge = is.or(was).cloned();
            let labels = edge.iter().map(|edge| edge.label.clone()).collect();
            // Between others it is another edge.
            (
                was.is_some() && !moved,
                is.is_some(),
                was == is,
                labels,
                edge,
            )
        }
    };
    let change = match (existed, exists) {
        (false, false) => return None,
        (false, true) => ChangeKind::Created,
        (true, false) => ChangeKind::Deleted,
        (true, true) if same && old.is_empty() && new.is_empty() => return None,
        (true, true) => ChangeKind::Updated,
    };
    Some(Change {
        kind,
        id,
        what: change,
        labels,
        edge,
        old,
        new,
        first,
    })
}
