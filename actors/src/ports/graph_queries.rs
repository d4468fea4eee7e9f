//! Questions to the graph that the change log alone cannot answer.

use async_trait::async_trait;
use iyagi_messages::change::EdgeEnds;
use iyagi_messages::ids::{ElementId, PersonId};
use thiserror::Error;

/// Queries the graph as it is now.
#[async_trait]
pub trait GraphQueries: Send + Sync + 'static {
    /// Who has an edge labelled `via` to `person`, by id, at most `limit` behind `after`.
    async fn followers_of(
        &self,
        person: &PersonId,
        via: &str,
        after: Option<&PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, GraphFault>;

    /// Whether there is an edge labelled `via` from one person to another.
    async fn has_edge(&self, from: &PersonId, via: &str, to: &PersonId)
    -> Result<bool, GraphFault>;

    /// Who has an edge with one of the labels `authored` to `thing`.
    async fn owner_of(
        &self,
        thing: &ElementId,
        authored: &[String],
    ) -> Result<Option<PersonId>, GraphFault>;

    /// A vertex's labels; empty if there is no such vertex.
    async fn labels_of(&self, vertex: &ElementId) -> Result<Vec<String>, GraphFault>;

    /// The values of a vertex's property, as texts. A graph that shows one of several shows that one.
    async fn values_of(&self, vertex: &ElementId, key: &str) -> Result<Vec<String>, GraphFault>;

    /// What an edge joins; nothing if there is no such edge.
    async fn ends_of(&self, edge: &ElementId) -> Result<Option<EdgeEnds>, GraphFault>;

    /// Vertices with their labels, by id in an order of the graph's own, at most `limit` behind `after`.
    async fn vertices(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault>;

    /// Vertices that have a property, with its values as [`Self::values_of`] has them, by id in an order of the graph's own,
    /// at most `limit` behind `after`.
    async fn vertices_with(
        &self,
        key: &str,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault>;

    /// Edges, by id in an order of the graph's own, at most `limit` behind `after`.
    async fn edges(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, EdgeEnds)>, GraphFault>;
}

/// Why there is no answer.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the graph cannot be queried: {0}")]
pub struct GraphFault(pub String);
