//! Whether somebody may be told of a change: whether they may see what changed. The rule is the one of reading.
//!
//! A vertex is seen as it is when it is read. An edge is seen by whoever sees both its ends, of which a common one, such as a
//! topic, hides nothing.

use iyagi_messages::change::ElementKind;
use iyagi_messages::ids::{ElementId, PersonId};

use super::changes::Change;
use super::graph::{Edge, Graph, Meaning};
use crate::projections::Wishes;
use crate::projections::lexicon::{Lexicon, NO_LABELS};
use crate::visibility::Visibility;
use crate::visibility::rule::{Thing, Tie, VertexKind, is_common};

/// What people see by.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// Who follows whom, who made what, and what it says of itself.
    pub(super) graph: &'a Graph,
    /// Which labels say so, and who may see what says nothing.
    pub(super) meaning: &'a Meaning,
    /// What the numbers of the two are of.
    pub(super) lexicon: &'a Lexicon,
    /// Who blocks whom.
    pub(super) wishes: &'a Wishes,
}

/// Who may see one element.
pub(super) struct Sight<'a> {
    by: Surroundings<'a>,
    /// All of these must be seen.
    things: Vec<Thing<u32>>,
}

impl<'a> Surroundings<'a> {
    /// Who may see a changed element.
    pub(super) fn sight_of(self, change: &Change) -> Sight<'a> {
        match (change.kind, change.edge) {
            (ElementKind::Vertex, _) => self.of_vertex(change.id),
            (ElementKind::Edge, Some(edge)) => self.of_edge(edge),
            // Nobody knows what it joins.
            (ElementKind::Edge, None) => self.over(vec![Thing::new(None, Visibility::Private)]),
        }
    }

    /// Who may see an element as the graph is now; nothing if the graph does not have it any more.
    pub(super) fn sight_of_element(self, id: &ElementId) -> Option<Sight<'a>> {
        let id = self.lexicon.ids.get(id.as_str())?;
        if let Some(edge) = self.graph.edge_at(id) {
            return Some(self.of_edge(edge));
        }
        (self.graph.label_set(id) != NO_LABELS).then(|| self.of_vertex(id))
    }

    fn of_vertex(self, id: u32) -> Sight<'a> {
        self.over(vec![self.thing(id)])
    }

    fn of_edge(self, edge: Edge) -> Sight<'a> {
        let ends = [edge.from, edge.to].into_iter();
        let things = ends.filter(|end| !self.is_common(*end));
        self.over(things.map(|end| self.thing(end)).collect())
    }

    fn over(self, things: Vec<Thing<u32>>) -> Sight<'a> {
        Sight { by: self, things }
    }

    fn thing(self, vertex: u32) -> Thing<u32> {
        Thing::of_vertex(
            vertex,
            self.kind(vertex),
            self.graph.maker_at(vertex),
            self.graph.said_at(vertex),
            self.meaning.visibility_default,
        )
    }

    fn is_common(self, vertex: u32) -> bool {
        let (maker, said) = (
            || self.graph.maker_at(vertex),
            || self.graph.said_at(vertex),
        );
        is_common(self.kind(vertex), maker, said)
    }

    fn kind(self, vertex: u32) -> VertexKind {
        let labels = self.graph.label_set(vertex);
        if labels == NO_LABELS {
            VertexKind::Unknown
        } else if self.lexicon.label_sets.has(labels, self.meaning.person) {
            VertexKind::Person
        } else {
            VertexKind::Other
        }
    }
}

impl Sight<'_> {
    /// Whether a person has it, by number and by id.
    pub(super) fn is_of(&self, person: u32, id: &PersonId) -> bool {
        self.things.iter().all(|thing| {
            let owner = thing.decided_by(&person);
            let tie = owner.map_or_else(Tie::default, |owner| self.tie(person, id, *owner));
            thing.is_visible(&person, tie)
        })
    }

    fn tie(&self, person: u32, id: &PersonId, owner: u32) -> Tie {
        let Surroundings {
            graph,
            meaning,
            lexicon,
            wishes,
        } = self.by;
        Tie {
            follows: graph.follows_at(person, owner, meaning),
            blocked: wishes.may_silence(id)
                && wishes.blocked_between(id, &lexicon.ids.text(owner).into()),
        }
    }
}
