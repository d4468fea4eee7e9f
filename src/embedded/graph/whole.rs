//! The whole graph as it stands, as records of a change log that only adds.

use std::iter;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::{Op, StreamRecord};
use rusqlite::{Connection, params};

use super::EmbeddedGraph;
use super::statement::{self, Kind, Statement};
use crate::embedded::sqlite::DatabaseError;

/// Elements that are read at once.
const PAGE: u32 = 500;

impl EmbeddedGraph {
    /// Every statement that holds, those of one element together, vertices before edges. The positions are nobody's.
    ///
    /// It blocks for a page at a time, and each page is of a moment of its own: for whoever knows that nobody writes.
    pub fn records(&self) -> impl Iterator<Item = Result<StreamRecord, DatabaseError>> {
        let mut next = Some((Kind::Vertex, ElementId::from("")));
        let pages = iter::from_fn(move || {
            let (kind, after) = next.take()?;
            let page = self
                .database
                .read_blocking(|connection| page(connection, kind, &after));
            Some(page.map(|(statements, last)| {
                next = match (last, kind) {
                    (Some(last), kind) => Some((kind, last)),
                    (None, Kind::Vertex) => Some((Kind::Edge, ElementId::from(""))),
                    (None, Kind::Edge) => None,
                };
                statements
            }))
        });
        pages.flat_map(|page| {
            let (statements, error) = match page {
                Ok(statements) => (statements, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let records = statements
                .into_iter()
                .map(|statement| Ok(record(&statement)));
            records.chain(error)
        })
    }
}

/// The statements of some elements, and the last of them; nothing behind the last.
fn page(
    connection: &Connection,
    kind: Kind,
    after: &ElementId,
) -> rusqlite::Result<(Vec<Statement>, Option<ElementId>)> {
    let ids = match kind {
        Kind::Vertex => {
            "SELECT DISTINCT vertex FROM vertex_labels WHERE vertex > ?1 ORDER BY vertex LIMIT ?2"
        }
        Kind::Edge => "SELECT id FROM edges WHERE id > ?1 ORDER BY id LIMIT ?2",
    };
    let ids: Vec<ElementId> = connection
        .prepare_cached(ids)?
        .query_map(params![after.as_str(), PAGE], |row| {
            row.get::<_, String>(0).map(ElementId::from)
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut statements = Vec::new();
    for id in &ids {
        match kind {
            Kind::Vertex => {
                let labels = statement::labels(connection, id.as_str())?.into_iter();
                statements.extend(labels.map(|label| Statement::Label {
                    vertex: id.clone(),
                    label,
                }));
            }
            Kind::Edge => statements.extend(statement::edge(connection, id)?.map(Statement::Edge)),
        }
        statements.extend(statement::properties(connection, kind, id)?);
    }
    Ok((statements, ids.last().cloned()))
}

fn record(statement: &Statement) -> StreamRecord {
    let data = statement.data_json();
    StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::START,
        data: serde_json::from_str(&data).expect("the log shows every statement so"),
        op: Op::Add,
        is_last_op: false,
    }
}
