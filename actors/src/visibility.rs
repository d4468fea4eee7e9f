//! Who may see what: one rule for every answer that shows something of somebody.
//!
//! A thing belongs to a person, and says who else may see it. Whoever was blocked by its owner, or blocks them, sees
//! nothing of theirs. What somebody may not see is to them as if it were not there.

use std::collections::HashMap;
use std::sync::Arc;

use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::media::owner_of_key;
use iyagi_messages::object::ObjectKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Something that is somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Thing {
    /// Whose it is; nobody's if that is not known.
    owner: Option<PersonId>,
    /// Who else may see it.
    visibility: Visibility,
}

/// Who may see a thing beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody who is signed in.
    Public,
    /// Those who follow its owner.
    Followers,
    /// Nobody.
    Private,
}

/// How a viewer and an owner stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tie {
    follows: bool,
    blocked: bool,
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
    posts: HashMap<ElementId, Thing>,
}

impl Visibility {
    /// What the word in a thing's property means. A word that is not known hides the thing: it may have been meant to.
    fn named(word: &str) -> Self {
        match word {
            "public" => Self::Public,
            "followers" => Self::Followers,
            _ => Self::Private,
        }
    }
}

impl Thing {
    /// A person, who is their own and meets everybody unless they say otherwise.
    fn person(id: &ElementId, said: Option<&str>) -> Self {
        Self {
            owner: Some(id.clone().into()),
            visibility: said.map_or(Visibility::Public, Visibility::named),
        }
    }
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

    /// What somebody made, or nobody did.
    fn thing(&self, owner: Option<PersonId>, said: Option<&str>) -> Thing {
        Thing {
            owner,
            visibility: said.map_or(self.model.visibility_default, Visibility::named),
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
    async fn visible(&mut self, thing: &Thing) -> Result<bool, GraphFault> {
        let unasked = Tie {
            follows: false,
            blocked: false,
        };
        let tie = match &thing.owner {
            Some(owner) if !self.viewer.is_admin && owner != self.viewer.person => {
                self.tie(owner).await?
            }
            _ => unasked,
        };
        Ok(visible(self.viewer, thing, tie))
    }

    /// Whose a file is, by its key: profiles are public, what belongs to a post is as the post is, and the rest is the
    /// uploader's own.
    async fn file(&mut self, key: &ObjectKey) -> Result<Thing, GraphFault> {
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
        Ok(Thing {
            owner: owner_of_key(key).map(PersonId::from),
            visibility,
        })
    }

    async fn element(&mut self, id: &ElementId) -> Result<Thing, GraphFault> {
        if let Some(known) = self.posts.get(id) {
            return Ok(known.clone());
        }
        let Sight { graph, model, .. } = self.sight;
        let word = graph.property_of(id, &model.visibility_property).await?;
        let maker = graph.owner_of(id, &model.authored_labels).await?;
        let thing = match maker {
            None if self.is_person(id).await? => Thing::person(id, word.as_deref()),
            owner => self.sight.thing(owner, word.as_deref()),
        };
        self.posts.insert(id.clone(), thing.clone());
        Ok(thing)
    }

    async fn is_person(&self, id: &ElementId) -> Result<bool, GraphFault> {
        let Sight { graph, model, .. } = self.sight;
        let labels = graph.labels_of(id).await?;
        Ok(labels.contains(&model.person_label))
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

/// The rule. Of a thing that is nobody's, nothing is shown but what is public.
fn visible(viewer: Viewer<'_>, thing: &Thing, tie: Tie) -> bool {
    if viewer.is_admin || thing.owner.as_ref() == Some(viewer.person) {
        return true;
    }
    match thing.visibility {
        _ if tie.blocked => false,
        Visibility::Public => true,
        Visibility::Followers => thing.owner.is_some() && tie.follows,
        Visibility::Private => false,
    }
}
