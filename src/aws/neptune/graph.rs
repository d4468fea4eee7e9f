//! Questions to the graph by `ExecuteOpenCypherQuery`.

use async_trait::async_trait;
use aws_sdk_neptunedata::Client;
use iyagi_actors::ports::{GraphFault, GraphQueries};
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
        rows.into_iter()
            .map(|mut row| match row.get_mut("answer") {
                Some(answer) => Ok(answer.take()),
                None => Err(GraphFault(format!("a row lacks its column: {row}"))),
            })
            .collect()
    }
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
        let mut labels = Vec::new();
        for row in rows {
            let Value::Array(row) = row else {
                return Err(GraphFault("the labels are not a list".to_owned()));
            };
            labels.extend(row.into_iter().filter_map(text));
        }
        labels.sort_unstable();
        Ok(labels)
    }

    async fn property_of(
        &self,
        vertex: &ElementId,
        key: &str,
    ) -> Result<Option<String>, GraphFault> {
        let parameters = json!({ "vertex": vertex });
        let rows = self.ask(cypher::property(key), parameters).await?;
        Ok(rows.into_iter().next().and_then(text))
    }
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
