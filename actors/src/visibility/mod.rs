//! Who may see what: one rule for every answer that shows something of somebody, and for everybody who is told of something.
//!
//! A thing belongs to a person, and says who else may see it. Whoever was blocked by its owner, or blocks them, sees
//! nothing of theirs. What somebody may not see is to them as if it were not there.
//!
//! # Layout
//! - this file: what one who reads sees, by the graph as it is now
//! - `told`: what one may still be told of who was to be told of it
//! - `recent`: what the graph said a moment ago
//! - [`rule`]: the rule
//!
//! What one may be told of is asked in [`crate::subscription_matcher`] first.

mod recent;
pub mod rule;
mod told;

use std::collections::HashMap;
use std::sync::Arc;

use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::media::owner_of_key;
use iyagi_messages::object::ObjectKey;

use self::recent::Recent;
pub use self::rule::Visibility;
use self::rule::{Thing, Tie, VertexKind, is_common};
use crate::ports::{Clock, GraphFault, GraphQueries};
use crate::projections::Projections;
use crate::subscription_matcher::graph::GraphModel;

/// Pictures that people show themselves with.
const PROFILES: &str = "profile/";
/// What belongs to a post, whose id is the next segment.
const POSTS: &str = "posts/";

/// Somebody who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer<'v> {
    /// Who.
    pub person: &'v PersonId,
    /// Whether they may see everything.
    pub is_admin: bool,
}

/// Answers who may see what.
pub struct Sight {
    graph: Arc<dyn GraphQueries>,
    model: GraphModel,
    projections: Arc<Projections>,
    recent: Option<Recent>,
}

/// What one viewer sees. It asks about each owner and thing once, so it is for one answer and no longer.
pub struct Look<'s> {
    sight: &'s Sight,
    viewer: Viewer<'s>,
    follows: HashMap<PersonId, bool>,
    vertices: HashMap<ElementId, Vertex>,
}

/// What decides who may see a vertex.
#[derive(Debug, Clone)]
struct Vertex {
    kind: VertexKind,
    maker: Option<PersonId>,
    said: Option<Visibility>,
}

impl Sight {
    /// By the graph as it is now, and by what people said of each other.
    pub fn new(
        graph: Arc<dyn GraphQueries>,
        model: GraphModel,
        projections: Arc<Projections>,
    ) -> Self {
        Self {
            graph,
            model,
            projections,
            recent: None,
        }
    }

    /// By the graph as it was a second ago at the most: many who are asked for at once see the same things.
    #[must_use]
    pub fn remembering(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            recent: Some(Recent::new(clock)),
            ..self
        }
    }

    /// Begins to look with a viewer's eyes.
    pub fn of<'s>(&'s self, viewer: Viewer<'s>) -> Look<'s> {
        Look {
            sight: self,
            viewer,
            follows: HashMap::new(),
            vertices: HashMap::new(),
        }
    }

    async fn vertex(&self, id: &ElementId) -> Result<Vertex, GraphFault> {
        let Self { graph, model, .. } = self;
        let words = graph.values_of(id, &model.visibility_property).await?;
        let maker = graph.owner_of(id, &model.authored_labels).await?;
        let kind = match maker {
            Some(_) => VertexKind::Other,
            None => self.kind(id).await?,
        };
        Ok(Vertex {
            kind,
            maker,
            said: Visibility::said(words),
        })
    }

    async fn kind(&self, id: &ElementId) -> Result<VertexKind, GraphFault> {
        let labels = self.graph.labels_of(id).await?;
        Ok(if labels.contains(&self.model.person_label) {
            VertexKind::Person
        } else if labels.is_empty() {
            VertexKind::Unknown
        } else {
            VertexKind::Other
        })
    }

    async fn follows(&self, viewer: &PersonId, owner: &PersonId) -> Result<bool, GraphFault> {
        for label in &self.model.follow_labels {
            if self.graph.has_edge(viewer, label, owner).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Vertex {
    /// The graph does not have it.
    fn is_gone(&self) -> bool {
        self.kind == VertexKind::Unknown
    }

    fn is_common(&self) -> bool {
        is_common(self.kind, || self.maker.as_ref(), || self.said)
    }
}

impl Look<'_> {
    /// Whether the viewer may see a file.
    pub async fn sees_file(&mut self, key: &ObjectKey) -> Result<bool, GraphFault> {
        let thing = self.file(key).await?;
        self.visible(&thing).await
    }

    /// Whether the viewer may see what a vertex of the graph stands for.
    pub async fn sees_element(&mut self, id: &ElementId) -> Result<bool, GraphFault> {
        let thing = self.element(id).await?;
        self.visible(&thing).await
    }

    /// Whether the viewer may see a thing.
    async fn visible(&mut self, thing: &Thing<PersonId>) -> Result<bool, GraphFault> {
        let Viewer { person, is_admin } = self.viewer;
        if is_admin {
            return Ok(true);
        }
        let tie = match thing.decided_by(person) {
            Some(owner) => Tie {
                blocked: {
                    let wishes = self.sight.projections.wishes();
                    wishes.blocked_between(person, owner)
                },
                // The rest decides without, and the graph need not be asked.
                follows: thing.is_for_followers() && self.follows(owner).await?,
            },
            None => Tie::default(),
        };
        Ok(thing.is_visible(person, tie))
    }

    /// Whose a file is, by its key: profiles are public, what belongs to a post is as the post is, and the rest is the
    /// uploader's own.
    async fn file(&mut self, key: &ObjectKey) -> Result<Thing<PersonId>, GraphFault> {
        let text = key.as_str();
        if let Some((post, _)) = text
            .strip_prefix(POSTS)
            .and_then(|rest| rest.split_once('/'))
        {
            return self.element(&ElementId::from(post)).await;
        }
        let visibility = if text.starts_with(PROFILES) {
            Visibility::Public
        } else {
            Visibility::Private
        };
        let owner = owner_of_key(key).map(PersonId::from);
        Ok(Thing::new(owner, visibility))
    }

    async fn element(&mut self, id: &ElementId) -> Result<Thing<PersonId>, GraphFault> {
        let Vertex { kind, maker, said } = self.vertex(id).await?;
        let default = self.sight.model.visibility_default;
        let id = PersonId::from(id.clone());
        Ok(Thing::of_vertex(id, kind, maker, said, default))
    }

    async fn vertex(&mut self, id: &ElementId) -> Result<Vertex, GraphFault> {
        if let Some(known) = self.vertices.get(id) {
            return Ok(known.clone());
        }
        let asked = self.sight.vertex(id);
        let vertex = match &self.sight.recent {
            Some(recent) => recent.vertex(id, asked).await?,
            None => asked.await?,
        };
        self.vertices.insert(id.clone(), vertex.clone());
        Ok(vertex)
    }

    async fn follows(&mut self, owner: &PersonId) -> Result<bool, GraphFault> {
        if let Some(known) = self.follows.get(owner) {
            return Ok(*known);
        }
        let follows = self.sight.follows(self.viewer.person, owner).await?;
        self.follows.insert(owner.clone(), follows);
        Ok(follows)
    }
}
