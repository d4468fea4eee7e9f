//! The graph as it is kept between two starts.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use iyagi_messages::cursor::Cursor;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Edge, Graph};
use crate::projections::lexicon::{NO_LABELS, SharedLexicon};

/// A graph as it is kept: its own numbers, for those of a lexicon are given anew by every process.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct GraphSnapshot {
    cursor: Cursor,
    ids: Vec<String>,
    labels: Vec<String>,
    vertices: Vec<(u32, Vec<u32>)>,
    edges: Vec<(u32, Edge)>,
    followers: Vec<(u32, Vec<Follower>)>,
    makers: Vec<(u32, u32)>,
    words: Vec<String>,
    said: Vec<(u32, Vec<u32>)>,
}

/// Who follows, by what label, by how many edges.
type Follower = (u32, u32, u32);

impl Graph {
    /// The body of a snapshot.
    pub fn to_snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(&self.snapshot())
            .expect("a snapshot has only text keys, so it is always JSON")
    }

    pub(super) fn snapshot(&self) -> GraphSnapshot {
        let lexicon = &*self.lexicon.read();
        let mut numbers = Numbers::default();
        let mut vertices = Vec::new();
        let mut edges = Vec::new();
        for (id, node) in (0..).zip(&self.nodes) {
            if node.labels != NO_LABELS {
                vertices.push((
                    numbers.of(id),
                    lexicon.label_sets.labels(node.labels).to_vec(),
                ));
            }
            if let Some(Edge { from, to, label }) = self.edge_at(id) {
                let (from, to) = (numbers.of(from), numbers.of(to));
                edges.push((numbers.of(id), Edge { from, to, label }));
            }
        }
        let mut followers: Vec<_> = self.followers.iter().collect();
        followers.sort_by_key(|(followed, _)| **followed);
        let followers = followers.into_iter().map(|(followed, by)| {
            let by = by
                .iter()
                .map(|((follower, label), times)| (numbers.of(*follower), *label, *times));
            let by = by.collect();
            (numbers.of(*followed), by)
        });
        let followers = followers.collect();
        let mut makers: Vec<_> = self.makers.iter().collect();
        makers.sort_unstable();
        let makers = makers
            .into_iter()
            .map(|(thing, maker)| (numbers.of(*thing), numbers.of(*maker)));
        let makers = makers.collect();
        let mut words = Numbers::default();
        let said = self.said.all().into_iter().map(|(vertex, its_words)| {
            let its_words = its_words.iter().map(|word| words.of(*word)).collect();
            (numbers.of(vertex), its_words)
        });
        let said = said.collect();
        GraphSnapshot {
            cursor: self.cursor,
            ids: numbers
                .order
                .iter()
                .map(|id| lexicon.ids.text(*id).to_owned())
                .collect(),
            labels: (0..lexicon.labels.len() as u32)
                .map(|label| lexicon.labels.text(label).to_owned())
                .collect(),
            vertices,
            edges,
            followers,
            makers,
            words: words
                .order
                .iter()
                .map(|word| self.said.text(*word).to_owned())
                .collect(),
            said,
        }
    }

    /// A graph that was kept; nothing if what was kept contradicts itself.
    pub(super) fn restore(snapshot: GraphSnapshot, shared: SharedLexicon) -> Option<Self> {
        let lexicon = &mut *shared.write();
        let ids: Vec<u32> = snapshot
            .ids
            .iter()
            .map(|id| lexicon.ids.intern(id))
            .collect();
        let labels: Vec<u32> = snapshot
            .labels
            .iter()
            .map(|label| lexicon.labels.intern(label))
            .collect();
        let id = |number: u32| ids.get(number as usize).copied();
        let label = |number: u32| labels.get(number as usize).copied();
        let mut graph = Self {
            cursor: snapshot.cursor,
            lexicon: shared.clone(),
            vertices: snapshot.vertices.len() as u64,
            edges: snapshot.edges.len() as u64,
            ..Self::default()
        };
        for (vertex, its_labels) in snapshot.vertices {
            for number in its_labels {
                let node = graph.node_mut(id(vertex)?);
                node.labels = lexicon.label_sets.with(node.labels, label(number)?);
            }
        }
        for (edge, ends) in snapshot.edges {
            graph.node_mut(id(edge)?).edge = Edge {
                from: id(ends.from)?,
                to: id(ends.to)?,
                label: label(ends.label)?,
            };
        }
        for (followed, followers) in snapshot.followers {
            let by = graph.followers.entry(id(followed)?).or_default();
            for (follower, via, times) in followers {
                by.insert((id(follower)?, label(via)?), times);
            }
        }
        for (thing, maker) in snapshot.makers {
            graph.makers.insert(id(thing)?, id(maker)?);
        }
        for (vertex, its_words) in snapshot.said {
            for word in its_words {
                graph
                    .said
                    .add(id(vertex)?, snapshot.words.get(word as usize)?);
            }
        }
        Some(graph)
    }
}

impl Serialize for Graph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.snapshot().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Graph {
    /// With a lexicon of its own.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let snapshot = GraphSnapshot::deserialize(deserializer)?;
        let graph = Self::restore(snapshot, SharedLexicon::default());
        graph.ok_or_else(|| de::Error::custom("the graph refers to what it does not have"))
    }
}

/// Numbers from 0 on for those that are used.
#[derive(Default)]
struct Numbers {
    order: Vec<u32>,
    given: HashMap<u32, u32, RandomState>,
}

impl Numbers {
    fn of(&mut self, id: u32) -> u32 {
        *self.given.entry(id).or_insert_with(|| {
            self.order.push(id);
            self.order.len() as u32 - 1
        })
    }
}
