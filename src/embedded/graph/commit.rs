//! Applies a commit's operations to the graph, statement by statement, in the order that Neptune logs them.

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, Timestamp};
use rusqlite::Connection;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::log::LogWriter;
use super::rejection::{CommitRejected, List, Problem};
use super::statement::{self, Edge, Kind, Statement};
use super::step::Step;
use super::value::StoredValue;
use crate::embedded::sqlite::WriteFault;

/// A commit that is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Committed {
    /// Its number; that of the newest commit before it if it changed nothing, because then there is no new one.
    pub commit: u64,
    /// How many records it added to the log.
    pub records: u64,
    /// The newest record.
    pub last: Cursor,
    /// Edges that were added without an id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derived_edges: Vec<DerivedEdge>,
}

/// The id that an edge got because it was added without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DerivedEdge {
    /// The operation's place in the commit, from 0.
    pub index: usize,
    /// The edge's id.
    pub id: ElementId,
}

/// A refusal by the graph: the field, and what is wrong with it.
pub(super) struct Refusal {
    pub(super) path: &'static [&'static str],
    pub(super) problem: Problem,
}

pub(super) type Applied<T> = Result<T, WriteFault<Refusal>>;

pub(super) fn refuse<T>(path: &'static [&'static str], problem: Problem) -> Applied<T> {
    Err(WriteFault::Refused(Refusal { path, problem }))
}

/// One commit being written.
pub(super) struct Writer<'c> {
    pub(super) connection: &'c Connection,
    log: LogWriter<'c>,
    at: Timestamp,
    derived_edges: Vec<DerivedEdge>,
}

impl<'c> Writer<'c> {
    pub(super) fn open(connection: &'c Connection, at: Timestamp) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            log: LogWriter::open(connection)?,
            at,
            derived_edges: Vec::new(),
        })
    }

    /// Adds or removes a statement, and logs it if that changed anything.
    pub(super) fn change(&mut self, add: bool, statement: &Statement) -> rusqlite::Result<bool> {
        let changed = if add {
            statement.insert(self.connection)?
        } else {
            statement.delete(self.connection)?
        };
        if changed {
            self.log.append(add, statement)?;
        }
        Ok(changed)
    }

    pub(super) fn finish(self) -> rusqlite::Result<Committed> {
        let (last, records) = self.log.finish(self.at)?;
        Ok(Committed {
            commit: last.commit,
            records,
            last,
            derived_edges: self.derived_edges,
        })
    }
}

/// Applies all steps, or refuses; the caller undoes what was applied before the refusal.
pub(super) fn apply(
    connection: &Connection,
    steps: Vec<Step>,
    at: Timestamp,
) -> Result<Committed, WriteFault<CommitRejected>> {
    let mut writer = Writer::open(connection, at)?;
    for (index, step) in steps.into_iter().enumerate() {
        writer
            .step(index, step)
            .map_err(|fault| at_entry(List::Operations, index, fault))?;
    }
    Ok(writer.finish()?)
}

/// Says which entry a refusal is about.
pub(super) fn at_entry(
    list: List,
    index: usize,
    fault: WriteFault<Refusal>,
) -> WriteFault<CommitRejected> {
    match fault {
        WriteFault::Refused(Refusal { path, problem }) => {
            WriteFault::Refused(CommitRejected::entry(list, index, path, problem))
        }
        WriteFault::Statement(error) => WriteFault::Statement(error),
    }
}

impl Writer<'_> {
    fn step(&mut self, index: usize, step: Step) -> Applied<()> {
        match step {
            Step::AddVertex {
                id,
                labels,
                properties,
            } => self.add_vertex(&id, labels, properties),
            Step::DropVertex { id } => self.drop_vertex(&id),
            Step::AddEdge {
                id,
                from,
                to,
                label,
                properties,
            } => {
                let ends = Ends { from, to, label };
                let id = id.unwrap_or_else(|| self.derive_id(index, &ends));
                self.add_edge(&id, ends, properties)
            }
            Step::DropEdge { id } => match statement::edge(self.connection, &id)? {
                Some(edge) => self.drop_edges(vec![edge]),
                None => refuse(&["id"], not_there("edge", &id)),
            },
            Step::SetProperty { id, key, value } => self.set_property(&id, &key, value),
            Step::AddProperty { id, key, value } => self.add_property(&id, &key, value),
            Step::DropProperty { id, key, value } => self.drop_property(&id, &key, value),
        }
    }

    fn add_vertex(
        &mut self,
        id: &ElementId,
        labels: Vec<String>,
        properties: Vec<(String, StoredValue)>,
    ) -> Applied<()> {
        self.check_unused(id)?;
        let labels = labels.into_iter();
        self.change_each(true, labels.map(|label| label_of(id, label)))?;
        self.add_properties(Kind::Vertex, id, properties)
    }

    fn add_edge(
        &mut self,
        id: &ElementId,
        ends: Ends,
        properties: Vec<(String, StoredValue)>,
    ) -> Applied<()> {
        self.check_unused(id)?;
        for (path, end) in [(&["from"], &ends.from), (&["to"], &ends.to)] {
            if !statement::vertex_exists(self.connection, end)? {
                return refuse(
                    path,
                    Problem::MissingVertex {
                        id: end.to_string(),
                    },
                );
            }
        }
        let edge = Edge {
            id: id.clone(),
            source: ends.from,
            target: ends.to,
            label: ends.label,
        };
        self.change(true, &Statement::Edge(edge))?;
        self.add_properties(Kind::Edge, id, properties)
    }

    fn add_properties(
        &mut self,
        of: Kind,
        element: &ElementId,
        properties: Vec<(String, StoredValue)>,
    ) -> Applied<()> {
        let properties = properties.into_iter();
        self.change_each(
            true,
            properties.map(|(key, value)| property(of, element, key, value)),
        )
    }

    /// Adds or removes statements, one after the other.
    fn change_each(
        &mut self,
        add: bool,
        statements: impl IntoIterator<Item = Statement>,
    ) -> Applied<()> {
        for statement in statements {
            self.change(add, &statement)?;
        }
        Ok(())
    }

    /// Removes the properties of all edges, then the edges.
    fn drop_edges(&mut self, edges: Vec<Edge>) -> Applied<()> {
        for edge in &edges {
            self.remove_properties(Kind::Edge, &edge.id)?;
        }
        self.change_each(false, edges.into_iter().map(Statement::Edge))
    }

    fn drop_vertex(&mut self, id: &ElementId) -> Applied<()> {
        let labels = statement::labels(self.connection, id.as_str())?;
        if labels.is_empty() {
            return refuse(&["id"], not_there("vertex", id));
        }
        self.drop_edges(statement::incident_edges(self.connection, id)?)?;
        self.remove_properties(Kind::Vertex, id)?;
        let labels = labels.into_iter();
        self.change_each(false, labels.map(|label| label_of(id, label)))
    }

    fn remove_properties(&mut self, of: Kind, element: &ElementId) -> Applied<()> {
        self.change_each(false, statement::properties(self.connection, of, element)?)
    }

    fn set_property(&mut self, id: &ElementId, key: &str, value: StoredValue) -> Applied<()> {
        let of = self.existing(id)?;
        let mut replaced = statement::values(self.connection, id.as_str(), key)?;
        replaced.retain(|old| *old != value);
        let replaced = replaced.into_iter();
        self.change_each(false, replaced.map(|old| property(of, id, key, old)))?;
        self.change(true, &property(of, id, key, value))?;
        Ok(())
    }

    fn add_property(&mut self, id: &ElementId, key: &str, value: StoredValue) -> Applied<()> {
        let of = self.existing(id)?;
        if of == Kind::Edge {
            return refuse(&["id"], Problem::EdgeHoldsOne);
        }
        self.change(true, &property(of, id, key, value))?;
        Ok(())
    }

    fn drop_property(
        &mut self,
        id: &ElementId,
        key: &str,
        value: Option<StoredValue>,
    ) -> Applied<()> {
        let of = self.existing(id)?;
        if let Some(value) = value {
            if !self.change(false, &property(of, id, key, value))? {
                let what = format!("such value of property `{key}` of `{id}`");
                return refuse(&["value"], Problem::NotThere { what });
            }
            return Ok(());
        }
        let values = statement::values(self.connection, id.as_str(), key)?;
        if values.is_empty() {
            let what = format!("property `{key}` of `{id}`");
            return refuse(&["key"], Problem::NotThere { what });
        }
        let values = values.into_iter();
        self.change_each(false, values.map(|value| property(of, id, key, value)))
    }

    fn existing(&self, id: &ElementId) -> Applied<Kind> {
        match statement::kind_of(self.connection, id)? {
            Some(kind) => Ok(kind),
            None => refuse(&["id"], not_there("vertex or edge", id)),
        }
    }

    fn check_unused(&self, id: &ElementId) -> Applied<()> {
        match statement::kind_of(self.connection, id)? {
            Some(_) => refuse(&["id"], Problem::DuplicateId { id: id.to_string() }),
            None => Ok(()),
        }
    }

    /// An id that the same commit always gives, and no other commit of this or another graph.
    ///
    /// It begins with the time, the commit and the index, so that new edges go to one place of the file.
    fn derive_id(&mut self, index: usize, ends: &Ends) -> ElementId {
        let (commit, at) = (self.log.commit(), self.at.0);
        let mut hash = Sha256::new();
        for part in [ends.from.as_str(), ends.to.as_str(), &ends.label] {
            // Lengths keep "a" + "bc" apart from "ab" + "c".
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.update(commit.to_be_bytes());
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&commit.to_be_bytes()[6..]);
        tail[2..5].copy_from_slice(&(index as u32).to_be_bytes()[1..]);
        tail[5..].copy_from_slice(&hash.finalize()[..5]);
        let id = uuid::Builder::from_unix_timestamp_millis(at.max(0).unsigned_abs(), &tail);
        let id = ElementId::from(id.into_uuid().to_string());
        self.derived_edges.push(DerivedEdge {
            index,
            id: id.clone(),
        });
        id
    }
}

/// An edge's ends and label, before it has an id.
struct Ends {
    from: ElementId,
    to: ElementId,
    label: String,
}

fn label_of(vertex: &ElementId, label: String) -> Statement {
    let vertex = vertex.clone();
    Statement::Label { vertex, label }
}

fn property(
    of: Kind,
    element: &ElementId,
    key: impl Into<String>,
    value: StoredValue,
) -> Statement {
    Statement::Property {
        of,
        element: element.clone(),
        key: key.into(),
        value,
    }
}

pub(super) fn not_there(what: &str, id: &ElementId) -> Problem {
    Problem::NotThere {
        what: format!("{what} `{id}`"),
    }
}
