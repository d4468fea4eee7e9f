//! Questions to the graph as it is now, each answered from one index.

use async_trait::async_trait;
use iyagi_actors::ports::{GraphFault, GraphQueries};
use iyagi_messages::change::EdgeEnds;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::stream::TypedValue;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::EmbeddedGraph;
use super::statement;

#[async_trait]
impl GraphQueries for EmbeddedGraph {
    async fn followers_of(
        &self,
        person: &PersonId,
        via: &str,
        after: Option<&PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, GraphFault> {
        let (person, via) = (person.0.clone(), via.to_owned());
        // No id is empty, so everybody is behind the empty one.
        let after = after.map_or_else(String::new, ToString::to_string);
        self.ask(move |connection| {
            connection
                .prepare_cached(
                    "SELECT DISTINCT source FROM edges
                     WHERE target = ?1 AND label = ?2 AND source > ?3
                     ORDER BY source LIMIT ?4",
                )?
                .query_map(params![person, via, after, limit], |row| {
                    row.get(0).map(PersonId)
                })?
                .collect()
        })
        .await
    }

    async fn has_edge(
        &self,
        from: &PersonId,
        via: &str,
        to: &PersonId,
    ) -> Result<bool, GraphFault> {
        let (from, via, to) = (from.0.clone(), via.to_owned(), to.0.clone());
        self.ask(move |connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM edges WHERE target = ?1 AND label = ?2 AND source = ?3",
                )?
                .exists(params![to, via, from])
        })
        .await
    }

    async fn owner_of(
        &self,
        thing: &ElementId,
        authored: &[String],
    ) -> Result<Option<PersonId>, GraphFault> {
        let (thing, authored) = (thing.to_string(), authored.to_vec());
        self.ask(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT source FROM edges WHERE target = ?1 AND label = ?2 ORDER BY source LIMIT 1",
            )?;
            for label in authored {
                let owner = statement
                    .query_row([&thing, &label], |row| row.get(0).map(PersonId))
                    .optional()?;
                if owner.is_some() {
                    return Ok(owner);
                }
            }
            Ok(None)
        })
        .await
    }

    async fn labels_of(&self, vertex: &ElementId) -> Result<Vec<String>, GraphFault> {
        let vertex = vertex.to_string();
        self.ask(move |connection| statement::labels(connection, &vertex))
            .await
    }

    async fn values_of(&self, vertex: &ElementId, key: &str) -> Result<Vec<String>, GraphFault> {
        let (vertex, key) = (vertex.to_string(), key.to_owned());
        let values = self
            .ask(move |connection| statement::values(connection, &vertex, &key))
            .await?;
        let values = values.iter();
        values.map(|value| text_of(value.as_json())).collect()
    }

    async fn ends_of(&self, edge: &ElementId) -> Result<Option<EdgeEnds>, GraphFault> {
        let edge = edge.to_string();
        self.ask(move |connection| {
            connection
                .prepare_cached("SELECT source, target, label FROM edges WHERE id = ?1")?
                .query_row([edge], ends_in)
                .optional()
        })
        .await
    }

    async fn vertices(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        let after = after.map_or_else(String::new, ToString::to_string);
        let rows: Vec<(String, String)> = self
            .ask(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT vertex, label FROM vertex_labels WHERE vertex IN (
                             SELECT DISTINCT vertex FROM vertex_labels WHERE vertex > ?1
                             ORDER BY vertex LIMIT ?2
                         ) ORDER BY vertex, label",
                    )?
                    .query_map(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .await?;
        Ok(by_vertex(rows))
    }

    async fn vertices_with(
        &self,
        key: &str,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        let (key, after) = (
            key.to_owned(),
            after.map_or_else(String::new, ToString::to_string),
        );
        let rows: Vec<(String, String)> = self
            .ask(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT element, value FROM properties WHERE key = ?2 AND element IN (
                             SELECT DISTINCT vertex FROM vertex_labels WHERE vertex > ?1 AND EXISTS (
                                 SELECT 1 FROM properties WHERE element = vertex AND key = ?2
                             ) ORDER BY vertex LIMIT ?3
                         ) ORDER BY element, value",
                    )?
                    .query_map(params![after, key, limit], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })?
                    .collect()
            })
            .await?;
        let rows = rows
            .into_iter()
            .map(|(vertex, value)| Ok((vertex, text_of(&value)?)));
        Ok(by_vertex(rows.collect::<Result<_, GraphFault>>()?))
    }

    async fn edges(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, EdgeEnds)>, GraphFault> {
        let after = after.map_or_else(String::new, ToString::to_string);
        self.ask(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, source, target, label FROM edges WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after, limit], |row| {
                    Ok((ElementId::from(row.get::<_, String>("id")?), ends_in(row)?))
                })?
                .collect()
        })
        .await
    }
}

impl EmbeddedGraph {
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, GraphFault> {
        self.database
            .read(question)
            .await
            .map_err(|error| GraphFault(error.to_string()))
    }
}

fn ends_in(row: &Row<'_>) -> rusqlite::Result<EdgeEnds> {
    Ok(EdgeEnds {
        from: ElementId::from(row.get::<_, String>("source")?),
        to: ElementId::from(row.get::<_, String>("target")?),
        label: row.get("label")?,
    })
}

/// Rows in the order of their vertices, those of each together.
fn by_vertex(rows: Vec<(String, String)>) -> Vec<(ElementId, Vec<String>)> {
    let mut vertices: Vec<(ElementId, Vec<String>)> = Vec::new();
    for (vertex, text) in rows {
        match vertices.last_mut() {
            Some((last, texts)) if last.as_str() == vertex => texts.push(text),
            _ => vertices.push((ElementId::from(vertex), vec![text])),
        }
    }
    vertices
}

fn text_of(value: &str) -> Result<String, GraphFault> {
    serde_json::from_str::<TypedValue>(value)
        .map(|value| value.text().into_owned())
        .map_err(|error| GraphFault(format!("a stored value cannot be read: {error}")))
}
