//! Who may see what: one rule for every answer that shows something of somebody, and for everybody who is told of something.
//!
//! A thing belongs to a person, and says who else may see it. Whoever was blocked by its owner, or blocks them, sees
//! nothing of theirs. What somebody may not see is to them as if it were not there.
//!
//! # Layout
//! - this file: what one who reads sees, by the graph as it is now
//! - [`rule`]: the rule
//!
//! What one who is told may be told of is asked in [`crate::subscription_matcher`].

pub mod rule;

use std::collections::HashMap;
use std::sync::Arc;

use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::media::owner_of_key;
use iyagi_messages::object::ObjectKey;

pub use self::rule::Visibility;
use self::rule::{Thing, Tie, VertexKind};
use crate::ports::{GraphFault, GraphQueries};
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
}

/// What one viewer sees. It asks about each owner and post once, so it is for one answer and no longer.
pub struct Look<'s> {
    sight: &'s Sight,
    viewer: Viewer<'s>,
    ties: HashMap<PersonId, Tie>,
    posts: HashMap<ElementId, Thing<PersonId>>,
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
        }
    }

    /// Begins to look with a viewer's eyes.
    pub fn of<'s>(&'s self, viewer: Viewer<'s>) -> Look<'s> {
        Look {
            sight: self,
            viewer,
            ties: HashMap::new(),
            posts: HashMap::new(),
        }
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
            Some(owner) => self.tie(owner).await?,
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
        if let Some(known) = self.posts.get(id) {
            return Ok(known.clone());
        }
        let Sight { graph, model, .. } = self.sight;
        let words = graph.values_of(id, &model.visibility_property).await?;
        let maker = graph.owner_of(id, &model.authored_labels).await?;
        let kind = match maker {
            Some(_) => VertexKind::Other,
            None => self.kind(id).await?,
        };
        let thing = Thing::of_vertex(
            PersonId::from(id.clone()),
            kind,
            maker,
            Visibility::said(words),
            model.visibility_default,
        );
        self.posts.insert(id.clone(), thing.clone());
        Ok(thing)
    }

    async fn kind(&self, id: &ElementId) -> Result<VertexKind, GraphFault> {
        let Sight { graph, model, .. } = self.sight;
        let labels = graph.labels_of(id).await?;
        Ok(if labels.contains(&model.person_label) {
            VertexKind::Person
        } else if labels.is_empty() {
            VertexKind::Unknown
        } else {
            VertexKind::Other
        })
    }

    async fn tie(&mut self, owner: &PersonId) -> Result<Tie, GraphFault> {
        if let Some(known) = self.ties.get(owner) {
            return Ok(*known);
        }
        let Sight {
            graph,
            model,
            projections,
        } = self.sight;
        let viewer = self.viewer.person;
        let blocked = projections.wishes().blocked_between(viewer, owner);
        let mut follows = false;
        for label in &model.follow_labels {
            follows |= !follows && graph.has_edge(viewer, label, owner).await?;
        }
        let tie = Tie { follows, blocked };
        self.ties.insert(owner.clone(), tie);
        Ok(tie)
    }
}
