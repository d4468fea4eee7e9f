//! What the matcher must know of the graph beyond the commit in hand, and no more.
//!
//! Labels of vertices, for conditions on the other end of an edge; ends of edges, for commits that change only an
//! edge's property; who follows whom; who made what. Ids are interned: an edge costs a few words, not four strings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iyagi_messages::change::{Commit, EdgeEnds};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::preferences::Silence;
use iyagi_messages::stream::{Op, RecordKind, StreamRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the labels of the graph mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GraphModel {
    /// Label of vertices that are people.
    pub person_label: String,
    /// Labels of edges by which a person follows someone or something.
    pub follow_labels: Vec<String>,
    /// Labels of edges by which a person blocks another: neither hears of the other.
    pub block_labels: Vec<String>,
    /// Labels of edges by which a person mutes someone or something.
    pub mute_labels: Vec<String>,
    /// Labels of edges from a person to what they made.
    pub authored_labels: Vec<String>,
    /// Property that holds a person's name.
    pub name_property: String,
    /// Property that holds a thing's title.
    pub title_property: String,
    /// Property that says who made a change to a vertex.
    pub actor_property: String,
}

impl Default for GraphModel {
    fn default() -> Self {
        Self {
            person_label: "Person".to_owned(),
            follow_labels: vec!["FOLLOWS".to_owned()],
            block_labels: vec!["BLOCKS".to_owned()],
            mute_labels: vec!["MUTES".to_owned()],
            authored_labels: vec!["POSTED".to_owned()],
            name_property: "name".to_owned(),
            title_property: "title".to_owned(),
            actor_property: "updated_by".to_owned(),
        }
    }
}

impl GraphModel {
    /// What an edge with a label keeps from whom it comes from.
    pub fn silence_of(&self, label: &str) -> Option<Silence> {
        let is_one_of = |labels: &[String]| labels.iter().any(|known| known == label);
        if is_one_of(&self.block_labels) {
            Some(Silence::Block)
        } else if is_one_of(&self.mute_labels) {
            Some(Silence::Mute)
        } else {
            None
        }
    }
}

/// The graph as of a commit, as far as matching needs it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The last operation folded.
    pub cursor: Cursor,
    ids: Interner,
    labels: Interner,
    vertices: HashMap<u32, Vec<u32>>,
    edges: HashMap<u32, Edge>,
    /// By followed vertex: its followers, and by how many edges each follows.
    followers: HashMap<u32, BTreeMap<u32, u32>>,
    makers: HashMap<u32, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Edge {
    from: u32,
    to: u32,
    label: u32,
}

impl Graph {
    /// A vertex's labels, empty if it is not known.
    pub fn labels_of(&self, vertex: &ElementId) -> Vec<String> {
        let labels = self
            .ids
            .get(vertex.as_str())
            .and_then(|id| self.vertices.get(&id));
        labels
            .into_iter()
            .flatten()
            .map(|label| self.labels.text(*label).to_owned())
            .collect()
    }

    /// Whether a vertex carries a label.
    pub fn has_label(&self, vertex: &ElementId, label: &str) -> bool {
        let labels = self
            .ids
            .get(vertex.as_str())
            .and_then(|id| self.vertices.get(&id));
        let label = self.labels.get(label);
        labels
            .zip(label)
            .is_some_and(|(labels, label)| labels.contains(&label))
    }

    /// An edge's ends and label.
    pub fn edge(&self, id: &ElementId) -> Option<EdgeEnds> {
        let edge = self
            .ids
            .get(id.as_str())
            .and_then(|id| self.edges.get(&id))?;
        Some(EdgeEnds {
            from: self.ids.text(edge.from).into(),
            to: self.ids.text(edge.to).into(),
            label: self.labels.text(edge.label).to_owned(),
        })
    }

    /// Who follows a vertex.
    pub fn followers_of(&self, vertex: &ElementId) -> impl Iterator<Item = PersonId> {
        let followers = self
            .ids
            .get(vertex.as_str())
            .and_then(|id| self.followers.get(&id));
        followers
            .into_iter()
            .flat_map(BTreeMap::keys)
            .map(|id| self.ids.text(*id).into())
    }

    /// Whether a person follows a vertex.
    pub fn follows(&self, person: &PersonId, vertex: &ElementId) -> bool {
        let followers = self
            .ids
            .get(vertex.as_str())
            .and_then(|id| self.followers.get(&id));
        let person = self.ids.get(person.as_str());
        followers
            .zip(person)
            .is_some_and(|(followers, person)| followers.contains_key(&person))
    }

    /// Who made a thing.
    pub fn maker_of(&self, thing: &ElementId) -> Option<PersonId> {
        let maker = self
            .ids
            .get(thing.as_str())
            .and_then(|id| self.makers.get(&id))?;
        Some(self.ids.text(*maker).into())
    }

    /// How many vertices are known.
    pub fn vertex_count(&self) -> u64 {
        self.vertices.len() as u64
    }

    /// How many edges are known.
    pub fn edge_count(&self) -> u64 {
        self.edges.len() as u64
    }

    /// Every edge, in no order.
    pub fn edges(&self) -> impl Iterator<Item = (ElementId, EdgeEnds)> {
        self.edges.iter().map(|(id, edge)| {
            let ends = EdgeEnds {
                from: self.ids.text(edge.from).into(),
                to: self.ids.text(edge.to).into(),
                label: self.labels.text(edge.label).to_owned(),
            };
            (self.ids.text(*id).into(), ends)
        })
    }

    /// The body of a snapshot.
    pub fn to_snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("the graph has only text and number keys, so it is always JSON")
    }

    /// Folds a commit; one at or before the cursor is already folded.
    pub fn fold(&mut self, commit: &Commit, model: &GraphModel) {
        if commit.number <= self.cursor.commit {
            return;
        }
        for record in &commit.records {
            self.absorb(record, model);
        }
        self.cursor = commit.end();
    }

    /// Folds one record of a state that was read from elsewhere than the log. The cursor stays where it is.
    pub fn absorb(&mut self, record: &StreamRecord, model: &GraphModel) {
        let data = &record.data;
        match data.kind {
            RecordKind::VertexLabel => {
                let id = self.ids.intern(data.id.as_str());
                let label = self.labels.intern(&data.value.text());
                let labels = self.vertices.entry(id).or_default();
                match record.op {
                    Op::Add if labels.contains(&label) => {}
                    Op::Add => labels.push(label),
                    Op::Remove => labels.retain(|other| *other != label),
                }
                if labels.is_empty() {
                    self.vertices.remove(&id);
                }
            }
            RecordKind::Edge => {
                let id = self.ids.intern(data.id.as_str());
                match (record.op, &data.from, &data.to) {
                    (Op::Add, Some(from), Some(to)) => {
                        let edge = Edge {
                            from: self.ids.intern(from.as_str()),
                            to: self.ids.intern(to.as_str()),
                            label: self.labels.intern(&data.value.text()),
                        };
                        // A repeated record must not count a follower twice. Where the log is folded over what was
                        // read of the graph later, it may tell of an edge that has had the same id before.
                        let known = self.edges.insert(id, edge);
                        if known != Some(edge) {
                            if let Some(known) = known {
                                self.unrelate(known, model);
                            }
                            self.relate(edge, model);
                        }
                    }
                    (Op::Add, ..) => {
                        tracing::warn!(edge = %data.id, at = %record.event_id, "an edge without ends is left out");
                    }
                    (Op::Remove, ..) => {
                        if let Some(edge) = self.edges.remove(&id) {
                            self.unrelate(edge, model);
                        }
                    }
                }
            }
            RecordKind::VertexProperty | RecordKind::EdgeProperty => {}
        }
    }

    fn relate(&mut self, edge: Edge, model: &GraphModel) {
        let label = self.labels.text(edge.label);
        if model.follow_labels.iter().any(|follow| follow == label) {
            *self
                .followers
                .entry(edge.to)
                .or_default()
                .entry(edge.from)
                .or_default() += 1;
        }
        if model
            .authored_labels
            .iter()
            .any(|authored| authored == label)
        {
            self.makers.insert(edge.to, edge.from);
        }
    }

    fn unrelate(&mut self, edge: Edge, model: &GraphModel) {
        let label = self.labels.text(edge.label);
        if model.follow_labels.iter().any(|follow| follow == label)
            && let Some(followers) = self.followers.get_mut(&edge.to)
        {
            if let Some(times) = followers.get_mut(&edge.from) {
                *times -= 1;
                if *times == 0 {
                    followers.remove(&edge.from);
                }
            }
            if followers.is_empty() {
                self.followers.remove(&edge.to);
            }
        }
        if model
            .authored_labels
            .iter()
            .any(|authored| authored == label)
            && self.makers.get(&edge.to) == Some(&edge.from)
        {
            self.makers.remove(&edge.to);
        }
    }
}

/// Numbers for texts, given once and kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Arc<str>>", into = "Vec<Arc<str>>")]
struct Interner {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Interner {
    fn get(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.get(text) {
            return number;
        }
        let number = u32::try_from(self.texts.len()).expect("memory ends before four billion ids");
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }
}

impl From<Vec<Arc<str>>> for Interner {
    fn from(texts: Vec<Arc<str>>) -> Self {
        let numbers = texts
            .iter()
            .zip(0..)
            .map(|(text, number)| (Arc::clone(text), number))
            .collect();
        Self { texts, numbers }
    }
}

impl From<Interner> for Vec<Arc<str>> {
    fn from(interner: Interner) -> Self {
        interner.texts
    }
}
