//! What the matcher must know of the graph beyond the commit in hand, and no more.
//!
//! Labels of vertices, for conditions on the other end of an edge; ends of edges, for commits that change only an
//! edge's property; who follows whom; who made what; what it says of who may see it. Ids are numbers of the lexicon that the
//! subscriptions use too: an edge costs a few words, not four strings, and an id of a change is looked up once for both.

mod model;
mod said;
mod snapshot;

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use iyagi_messages::change::{Commit, EdgeEnds};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::stream::{Op, RecordKind, StreamRecord};
use serde::{Deserialize, Serialize};

pub use self::model::{GraphModel, Meaning};
use self::said::Said;
use crate::projections::lexicon::{LabelSets, Lexicon, NO_LABELS, NOBODY, SharedLexicon};
use crate::visibility::Visibility;

/// The graph as of a commit, as far as matching needs it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The last operation folded.
    pub cursor: Cursor,
    lexicon: SharedLexicon,
    vertices: u64,
    edges: u64,
    /// By number of an id.
    nodes: Vec<Node>,
    /// By followed vertex: its followers with the label that they follow by, and by how many edges each does.
    followers: HashMap<u32, BTreeMap<(u32, u32), u32>, RandomState>,
    makers: HashMap<u32, u32, RandomState>,
    said: Said,
}

/// What is known of an id: labels if it is a vertex, ends if it is an edge.
#[derive(Debug, Clone, Copy)]
struct Node {
    labels: u32,
    edge: Edge,
}

/// An edge's ends and label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Source vertex.
    pub from: u32,
    /// Target vertex.
    pub to: u32,
    /// Its label.
    pub label: u32,
}

impl Edge {
    fn named(self, lexicon: &Lexicon) -> EdgeEnds {
        EdgeEnds {
            from: lexicon.ids.text(self.from).into(),
            to: lexicon.ids.text(self.to).into(),
            label: lexicon.labels.text(self.label).to_owned(),
        }
    }
}

const UNKNOWN: Node = Node {
    labels: NO_LABELS,
    edge: Edge {
        from: NOBODY,
        to: NOBODY,
        label: NOBODY,
    },
};

/// The numbers of a record's ids and label, looked up once for all that follows.
#[derive(Debug, Clone, Copy)]
pub struct RecordNumbers {
    /// The element.
    pub id: u32,
    /// Source and target, of an edge that has both.
    pub ends: Option<(u32, u32)>,
    /// The label, of a record that is about one.
    pub label: u32,
}

impl RecordNumbers {
    /// Appends those of records.
    pub(super) fn look_up<'c>(
        records: impl Iterator<Item = &'c StreamRecord> + Clone,
        lexicon: &mut Lexicon,
        found: &mut Vec<Self>,
    ) {
        let mut ids = Vec::with_capacity(3 * records.size_hint().0);
        for StreamRecord { data, .. } in records.clone() {
            ids.push(data.id.as_str());
            if let (Some(from), Some(to)) = (&data.from, &data.to) {
                ids.extend([from.as_str(), to.as_str()]);
            }
        }
        let mut numbers = Vec::with_capacity(ids.len());
        lexicon.ids.intern_all(&ids, &mut numbers);
        let mut numbers = numbers.into_iter();
        let mut next = || numbers.next().unwrap_or(NOBODY);
        found.extend(records.map(|StreamRecord { data, .. }| Self {
            id: next(),
            ends: (data.from.is_some() && data.to.is_some()).then(|| (next(), next())),
            label: match data.kind {
                RecordKind::VertexLabel | RecordKind::Edge => {
                    lexicon.labels.intern(&data.value.text())
                }
                RecordKind::VertexProperty | RecordKind::EdgeProperty => NOBODY,
            },
        }));
    }
}

/// By id, for those who look at single elements.
impl Graph {
    /// A graph of which nothing is known, in the numbers of a lexicon.
    pub fn speaking(lexicon: &SharedLexicon) -> Self {
        Self {
            lexicon: lexicon.clone(),
            ..Self::default()
        }
    }

    /// A vertex's labels, empty if it is not known.
    pub fn labels_of(&self, vertex: &ElementId) -> Vec<String> {
        let lexicon = self.lexicon.read();
        let Some(vertex) = lexicon.ids.get(vertex.as_str()) else {
            return Vec::new();
        };
        let labels = lexicon.label_sets.labels(self.label_set(vertex)).iter();
        labels
            .map(|label| lexicon.labels.text(*label).to_owned())
            .collect()
    }

    /// Whether a vertex carries a label.
    pub fn has_label(&self, vertex: &ElementId, label: &str) -> bool {
        let lexicon = self.lexicon.read();
        let vertex = lexicon.ids.get(vertex.as_str());
        let label = lexicon.labels.get(label);
        vertex
            .zip(label)
            .is_some_and(|(vertex, label)| lexicon.label_sets.has(self.label_set(vertex), label))
    }

    /// An edge's ends and label.
    pub fn edge(&self, id: &ElementId) -> Option<EdgeEnds> {
        let lexicon = self.lexicon.read();
        let edge = self.edge_at(lexicon.ids.get(id.as_str())?)?;
        Some(edge.named(&lexicon))
    }

    /// Whether a person follows a vertex by edges of a label.
    pub fn follows(&self, person: &PersonId, vertex: &ElementId, via: &str) -> bool {
        let lexicon = self.lexicon.read();
        let number = |id: &str| lexicon.ids.get(id);
        let (Some(person), Some(vertex)) = (number(person.as_str()), number(vertex.as_str()))
        else {
            return false;
        };
        let followers = self.followers.get(&vertex);
        let via = lexicon.labels.get(via);
        followers
            .zip(via)
            .is_some_and(|(followers, via)| followers.contains_key(&(person, via)))
    }

    /// Who follows a vertex, each once, in no order.
    pub fn followers_of(&self, vertex: &ElementId) -> Vec<PersonId> {
        let lexicon = self.lexicon.read();
        let vertex = lexicon.ids.get(vertex.as_str());
        let followers = vertex
            .into_iter()
            .flat_map(|vertex| self.followers_at(vertex));
        let mut numbers: Vec<u32> = followers.map(|(follower, _)| follower).collect();
        numbers.dedup();
        let named = numbers
            .into_iter()
            .map(|follower| lexicon.ids.text(follower).into());
        named.collect()
    }

    /// Who made a thing.
    pub fn maker_of(&self, thing: &ElementId) -> Option<PersonId> {
        let lexicon = self.lexicon.read();
        let maker = self.maker_at(lexicon.ids.get(thing.as_str())?)?;
        Some(lexicon.ids.text(maker).into())
    }

    /// Who may see a vertex by its own word; nothing if it says none.
    pub fn visibility_of(&self, vertex: &ElementId) -> Option<Visibility> {
        let lexicon = self.lexicon.read();
        self.said_at(lexicon.ids.get(vertex.as_str())?)
    }

    /// How many vertices are known.
    pub fn vertex_count(&self) -> u64 {
        self.vertices
    }

    /// How many edges are known.
    pub fn edge_count(&self) -> u64 {
        self.edges
    }

    /// Every edge, in no order.
    pub fn edges(&self) -> Vec<(ElementId, EdgeEnds)> {
        let lexicon = self.lexicon.read();
        let edges = (0..self.nodes.len() as u32).filter_map(|id| Some((id, self.edge_at(id)?)));
        let named = edges.map(|(id, edge)| (lexicon.ids.text(id).into(), edge.named(&lexicon)));
        named.collect()
    }

    /// Folds a commit; one at or before the cursor is already folded.
    pub fn fold(&mut self, commit: &Commit, model: &GraphModel) {
        if commit.number <= self.cursor.commit {
            return;
        }
        let shared = self.lexicon.clone();
        let lexicon = &mut *shared.write();
        let meaning = Meaning::of(model, lexicon);
        let mut numbers = Vec::new();
        RecordNumbers::look_up(commit.records.iter(), lexicon, &mut numbers);
        self.fold_numbered(commit, &numbers, &meaning, &mut lexicon.label_sets);
    }

    /// Folds one record of a state that was read from elsewhere than the log. The cursor stays where it is.
    pub fn absorb(&mut self, record: &StreamRecord, model: &GraphModel) {
        let shared = self.lexicon.clone();
        let lexicon = &mut *shared.write();
        let meaning = Meaning::of(model, lexicon);
        let mut numbers = Vec::new();
        RecordNumbers::look_up(std::iter::once(record), lexicon, &mut numbers);
        for numbers in numbers {
            self.fold_record(record, numbers, &meaning, &mut lexicon.label_sets);
        }
    }
}

/// By number, for the matcher.
impl Graph {
    /// The set of a vertex's labels, empty if it is not known.
    #[inline]
    pub(super) fn label_set(&self, vertex: u32) -> u32 {
        self.node(vertex).labels
    }

    /// An edge's ends and label.
    pub(super) fn edge_at(&self, id: u32) -> Option<Edge> {
        let edge = self.node(id).edge;
        (edge.from != NOBODY).then_some(edge)
    }

    /// Who follows a vertex, and by what label.
    pub(super) fn followers_at(&self, vertex: u32) -> impl Iterator<Item = (u32, u32)> {
        let followers = self.followers.get(&vertex);
        followers.into_iter().flat_map(BTreeMap::keys).copied()
    }

    /// Who made a thing.
    pub(super) fn maker_at(&self, thing: u32) -> Option<u32> {
        self.makers.get(&thing).copied()
    }

    /// Whether a person follows a vertex, by whatever label people follow.
    pub(super) fn follows_at(&self, person: u32, vertex: u32, meaning: &Meaning) -> bool {
        let followers = self.followers.get(&vertex);
        followers.is_some_and(|followers| {
            let mut labels = meaning.follow.iter();
            labels.any(|label| followers.contains_key(&(person, *label)))
        })
    }

    /// Who may see a vertex by its own word; nothing if it says none.
    pub(super) fn said_at(&self, vertex: u32) -> Option<Visibility> {
        self.said.of(vertex)
    }

    /// Makes the numbers those of a lexicon.
    pub(super) fn speak(&mut self, lexicon: &SharedLexicon) {
        if !self.lexicon.is(lexicon) {
            let snapshot = self.snapshot();
            let known = Self::restore(snapshot, lexicon.clone());
            *self = known.expect("what was a graph is one");
        }
    }

    /// Folds a commit whose ids have been looked up.
    pub(super) fn fold_numbered(
        &mut self,
        commit: &Commit,
        numbers: &[RecordNumbers],
        meaning: &Meaning,
        label_sets: &mut LabelSets,
    ) {
        if commit.number <= self.cursor.commit {
            return;
        }
        for (record, numbers) in commit.records.iter().zip(numbers) {
            self.fold_record(record, *numbers, meaning, label_sets);
        }
        self.cursor = commit.end();
    }

    fn fold_record(
        &mut self,
        record: &StreamRecord,
        RecordNumbers { id, ends, label }: RecordNumbers,
        meaning: &Meaning,
        label_sets: &mut LabelSets,
    ) {
        match record.data.kind {
            RecordKind::VertexLabel => {
                let node = self.node_mut(id);
                let before = node.labels;
                node.labels = match record.op {
                    Op::Add => label_sets.with(before, label),
                    Op::Remove => label_sets.without(before, label),
                };
                let (was, is) = (before != NO_LABELS, node.labels != NO_LABELS);
                self.vertices = self.vertices + u64::from(is) - u64::from(was);
            }
            RecordKind::Edge => match (record.op, ends) {
                (Op::Add, Some((from, to))) => self.put_edge(id, Edge { from, to, label }, meaning),
                (Op::Add, None) => {
                    let edge = &record.data.id;
                    tracing::warn!(%edge, at = %record.event_id, "an edge without ends is left out");
                }
                (Op::Remove, _) => self.put_edge(id, UNKNOWN.edge, meaning),
            },
            RecordKind::VertexProperty if record.data.key == meaning.visibility_property => {
                let word = record.data.value.text();
                match record.op {
                    Op::Add => self.said.add(id, &word),
                    Op::Remove => self.said.remove(id, &word),
                }
            }
            RecordKind::VertexProperty | RecordKind::EdgeProperty => {}
        }
    }

    /// A repeated record must not count a follower twice. Where the log is folded over what was read of the graph later, it
    /// may tell of an edge that has had the same id before.
    fn put_edge(&mut self, id: u32, edge: Edge, meaning: &Meaning) {
        let known = std::mem::replace(&mut self.node_mut(id).edge, edge);
        if known == edge {
            return;
        }
        if known != UNKNOWN.edge {
            self.edges -= 1;
            self.unrelate(known, meaning);
        }
        if edge != UNKNOWN.edge {
            self.edges += 1;
            self.relate(edge, meaning);
        }
    }

    fn relate(&mut self, edge: Edge, meaning: &Meaning) {
        if meaning.is_follow(edge.label) {
            let followers = self.followers.entry(edge.to).or_default();
            *followers.entry((edge.from, edge.label)).or_default() += 1;
        }
        if meaning.authored.contains(&edge.label) {
            self.makers.insert(edge.to, edge.from);
        }
    }

    fn unrelate(&mut self, edge: Edge, meaning: &Meaning) {
        if meaning.is_follow(edge.label)
            && let Some(followers) = self.followers.get_mut(&edge.to)
        {
            let follower = (edge.from, edge.label);
            if let Some(times) = followers.get_mut(&follower) {
                *times -= 1;
                if *times == 0 {
                    followers.remove(&follower);
                }
            }
            if followers.is_empty() {
                self.followers.remove(&edge.to);
            }
        }
        if meaning.authored.contains(&edge.label) && self.makers.get(&edge.to) == Some(&edge.from) {
            self.makers.remove(&edge.to);
        }
    }

    #[inline]
    fn node(&self, id: u32) -> Node {
        self.nodes.get(id as usize).copied().unwrap_or(UNKNOWN)
    }

    fn node_mut(&mut self, id: u32) -> &mut Node {
        let at = id as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, UNKNOWN);
        }
        &mut self.nodes[at]
    }
}
