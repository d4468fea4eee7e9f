//! Questions to the graph by `ExecuteOpenCypherQuery`.

use async_trait::async_trait;
use aws_sdk_neptunedata::Client;
use iyagi_actors::ports::{GraphFault, GraphQueries};
use iyagi_messages::change::EdgeEnds;
use iyagi_messages::ids::{ElementId, PersonId};
use serde_json::{Value, json};

use super::{cypher, document, fault};

/// The graph of a Neptune cluster, as it is now.
#[derive(Debug, Clone)]
pub struct NeptuneGraph {
    client: Client,
}

impl NeptuneGraph {
    /// The graph of the cluster that `client` speaks to.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The column `answer` of every row.
    async fn ask(&self, query: String, parameters: Value) -> Result<Vec<Value>, GraphFault> {
        let rows = self.rows(query, parameters).await?;
        rows.into_iter()
            .map(|mut row| column(&mut row, "answer"))
            .collect()
    }

    async fn rows(&self, query: String, parameters: Value) -> Result<Vec<Value>, GraphFault> {
        let answer = self
            .client
            .execute_open_cypher_query()
            .open_cypher_query(query)
            .parameters(parameters.to_string())
            .send()
            .await
            .map_err(|error| GraphFault(fault::describe(&error)))?;
        let Value::Array(rows) = document::value_of(answer.results()) else {
            return Err(GraphFault("the answer has no list of results".to_owned()));
        };
        Ok(rows)
    }
}

fn column(row: &mut Value, name: &str) -> Result<Value, GraphFault> {
    match row.get_mut(name) {
        Some(value) => Ok(value.take()),
        None => Err(GraphFault(format!("a row lacks its column {name}: {row}"))),
    }
}

fn id_in(row: &mut Value, name: &str) -> Result<ElementId, GraphFault> {
    text(column(row, name)?)
        .map(ElementId::from)
        .ok_or_else(no_id)
}

fn ends_in(mut row: Value) -> Result<EdgeEnds, GraphFault> {
    let label = text(column(&mut row, "label")?);
    Ok(EdgeEnds {
        from: id_in(&mut row, "source")?,
        to: id_in(&mut row, "target")?,
        label: label.ok_or_else(|| GraphFault("an edge has no label".to_owned()))?,
    })
}

fn labels_in(value: Value) -> Result<Vec<String>, GraphFault> {
    let Value::Array(labels) = value else {
        return Err(GraphFault("the labels are not a list".to_owned()));
    };
    let mut labels: Vec<String> = labels.into_iter().filter_map(text).collect();
    labels.sort_unstable();
    Ok(labels)
}

#[async_trait]
impl GraphQueries for NeptuneGraph {
    async fn followers_of(
        &self,
        person: &PersonId,
        via: &str,
        after: Option<&PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, GraphFault> {
        let after = after.map_or("", |after| after.0.as_str());
        let parameters = json!({ "person": person, "after": after });
        let rows = self.ask(cypher::followers(via, limit), parameters).await?;
        rows.into_iter()
            .map(|id| text(id).map(PersonId).ok_or_else(no_id))
            .collect()
    }

    async fn has_edge(
        &self,
        from: &PersonId,
        via: &str,
        to: &PersonId,
    ) -> Result<bool, GraphFault> {
        let parameters = json!({ "from": from, "to": to });
        let rows = self.ask(cypher::edge_between(via), parameters).await?;
        Ok(!rows.is_empty())
    }

    /// Labels are tried in their order, so that the first one wins whoever comes first by id.
    async fn owner_of(
        &self,
        thing: &ElementId,
        authored: &[String],
    ) -> Result<Option<PersonId>, GraphFault> {
        for label in authored {
            let parameters = json!({ "thing": thing });
            let rows = self.ask(cypher::owner(label), parameters).await?;
            if let Some(id) = rows.into_iter().next() {
                return text(id).map(|id| Some(PersonId(id))).ok_or_else(no_id);
            }
        }
        Ok(None)
    }

    async fn labels_of(&self, vertex: &ElementId) -> Result<Vec<String>, GraphFault> {
        let parameters = json!({ "vertex": vertex });
        let rows = self.ask(cypher::labels(), parameters).await?;
        // One row a vertex, and an id names one.
        rows.into_iter().next().map_or(Ok(Vec::new()), labels_in)
    }

    async fn values_of(&self, vertex: &ElementId, key: &str) -> Result<Vec<String>, GraphFault> {
        let parameters = json!({ "vertex": vertex });
        let rows = self.ask(cypher::property(key), parameters).await?;
        Ok(rows.into_iter().filter_map(text).collect())
    }

    async fn ends_of(&self, edge: &ElementId) -> Result<Option<EdgeEnds>, GraphFault> {
        let rows = self.rows(cypher::ends(), json!({ "edge": edge })).await?;
        rows.into_iter().next().map(ends_in).transpose()
    }

    async fn vertices(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        let rows = self.rows(cypher::vertices(limit), behind(after)).await?;
        rows.into_iter()
            .map(|mut row| {
                let labels = labels_in(column(&mut row, "labels")?)?;
                Ok((id_in(&mut row, "id")?, labels))
            })
            .collect()
    }

    async fn vertices_with(
        &self,
        key: &str,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        let query = cypher::vertices_with(key, limit);
        let rows = self.rows(query, behind(after)).await?;
        rows.into_iter()
            .map(|mut row| {
                let value = text(column(&mut row, "value")?);
                Ok((id_in(&mut row, "id")?, value.into_iter().collect()))
            })
            .collect()
    }

    async fn edges(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, EdgeEnds)>, GraphFault> {
        let rows = self.rows(cypher::edges(limit), behind(after)).await?;
        rows.into_iter()
            .map(|mut row| Ok((id_in(&mut row, "id")?, ends_in(row)?)))
            .collect()
    }
}

/// No id is empty, so everything is behind the empty one.
fn behind(after: Option<&ElementId>) -> Value {
    json!({ "after": after.map_or("", ElementId::as_str) })
}

/// A value as people write it; null is none.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn no_id() -> GraphFault {
    GraphFault("a vertex in the answer has no id".to_owned())
}
