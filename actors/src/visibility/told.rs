//! Whether somebody may still be told of a change, or shown what they were told of it, by the graph as it is by then.
//!
//! The rule is that of being told at once ([`crate::subscription_matcher`]): a vertex is seen as it is, an edge by whoever sees
//! both its ends, of which a common one hides nothing. What is gone is seen by nobody, unless that it went is what is told.

use iyagi_messages::change::EdgeEnds;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::push::Push;

use super::Look;
use crate::ports::GraphFault;

impl Look<'_> {
    /// Whether the viewer may be told what a push tells.
    pub async fn may_be_told(&mut self, push: &Push) -> Result<bool, GraphFault> {
        let Push {
            element,
            actor,
            subject,
            of_deletion,
            ..
        } = push;
        // What happens to a vertex is done to the vertex itself, and what happens to an edge to one of its ends.
        if subject.as_ref() == Some(element) {
            return if self.vertex(element).await?.is_gone() {
                Ok(*of_deletion)
            } else {
                self.sees_element(element).await
            };
        }
        match self.ends(element).await? {
            Some(EdgeEnds { from, to, .. }) => {
                Ok(self.sees_end(&from, false).await? && self.sees_end(&to, false).await?)
            }
            None if *of_deletion => self.sees_both(actor.as_ref(), subject.as_ref(), true).await,
            None => Ok(false),
        }
    }

    /// Whether the viewer may see who did something, and what it was done to.
    pub async fn sees_both(
        &mut self,
        actor: Option<&PersonId>,
        subject: Option<&ElementId>,
        of_deletion: bool,
    ) -> Result<bool, GraphFault> {
        if let Some(actor) = actor {
            // A change to a vertex is by whom the change names, which may be nobody of the graph.
            let actor = actor.clone().into();
            if !self.sees_end(&actor, true).await? {
                return Ok(false);
            }
        }
        match subject {
            Some(subject) => self.sees_end(subject, of_deletion).await,
            None => Ok(true),
        }
    }

    /// Whether the viewer may see one of two that a change is between; if it is gone, `or_gone`.
    async fn sees_end(&mut self, end: &ElementId, or_gone: bool) -> Result<bool, GraphFault> {
        let vertex = self.vertex(end).await?;
        if vertex.is_gone() {
            return Ok(or_gone);
        }
        Ok(vertex.is_common() || self.sees_element(end).await?)
    }

    async fn ends(&self, edge: &ElementId) -> Result<Option<EdgeEnds>, GraphFault> {
        let asked = self.sight.graph.ends_of(edge);
        match &self.sight.recent {
            Some(recent) => recent.ends(edge, asked).await,
            None => asked.await,
        }
    }
}
