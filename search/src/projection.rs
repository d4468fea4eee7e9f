//! From the change log to documents: what a record makes of the documents that it touches.
//!
//! A document is folded whole and carries the version of the last operation in it. An operation at or before that version
//! is in it already, so reading part of the log again changes nothing. The documents as they stand come from the index
//! itself: there is no second copy to keep in step with it.

use std::collections::{BTreeSet, HashMap};

use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::document::{Document, DocumentId, PropertyValue, Unindexable, Unversioned, Version};
use crate::properties::Properties;

/// Which elements have documents, what of them, and what the graph's labels mean. An index keeps the one that it was made
/// with: under another, part of it would be of one kind and part of the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// Which elements have documents.
    pub scope: Scope,
    /// Which of their properties are searched.
    pub properties: Properties,
    /// Labels of edges from a person to what they made.
    pub authored_labels: Vec<String>,
}

/// Which elements have documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Vertices: `nodes` of AWS's own stream poller.
    Vertices,
    /// Vertices and edges: `all` of AWS's own stream poller.
    Elements,
}

/// A document as the index has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The last operation in it.
    pub version: Version,
    /// The document.
    pub document: Document,
}

/// What is to be written to the index.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// The whole document.
    Index(Standing),
    /// The document is no more.
    Delete {
        /// Which.
        id: DocumentId,
        /// As of which operation.
        version: Version,
    },
}

impl Write {
    /// Of which document.
    pub fn id(&self) -> DocumentId {
        match self {
            Self::Index(standing) => standing.document.id(),
            Self::Delete { id, .. } => *id,
        }
    }

    /// As of which operation.
    pub fn version(&self) -> Version {
        match self {
            Self::Index(standing) => standing.version,
            Self::Delete { version, .. } => *version,
        }
    }
}

/// A record that no document can show.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("record {at} of {element} is not indexed: {reason}")]
pub struct Rejected {
    /// Where in the log.
    pub at: Cursor,
    /// Of which element.
    pub element: ElementId,
    /// Why.
    pub reason: Reason,
}

/// Why no document can show a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// Its place in the log.
    #[error(transparent)]
    Unversioned(#[from] Unversioned),
    /// Its value.
    #[error(transparent)]
    Unindexable(#[from] Unindexable),
    /// Its property's name is one too many.
    #[error(
        "the index has {names_max} names of properties, and `{property}` would be one more: leave some out in \
         `search.properties`, or raise its `names_max`"
    )]
    TooManyNames {
        /// The name.
        property: String,
        /// How many an index may have.
        names_max: usize,
    },
}

/// An index that was made with another projection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "it was made with `{key}` = {made}, and the configuration says {asked}: run `iyagi search rebuild`"
)]
pub struct OtherProjection {
    /// What differs, as the configuration names it.
    pub key: &'static str,
    /// What it was made with, as JSON.
    pub made: String,
    /// What is asked for, as JSON.
    pub asked: String,
}

impl Projection {
    /// Refuses to go on with an index that was made with another one.
    pub fn check(&self, made: &Self) -> Result<(), OtherProjection> {
        let (key, made, asked) = if self.scope != made.scope {
            let edges = |projection: &Self| json!(projection.scope == Scope::Elements);
            ("search.edges", edges(made), edges(self))
        } else if self.properties != made.properties {
            let properties = |projection: &Self| json!(projection.properties);
            ("search.properties", properties(made), properties(self))
        } else if self.authored_labels != made.authored_labels {
            let labels = |projection: &Self| json!(projection.authored_labels);
            ("graph.authored_labels", labels(made), labels(self))
        } else {
            return Ok(());
        };
        Err(OtherProjection {
            key,
            made: made.to_string(),
            asked: asked.to_string(),
        })
    }

    /// The documents that records touch, each once: whoever folds the records needs them as they stand.
    pub fn touched<'r>(
        &self,
        records: impl IntoIterator<Item = &'r StreamRecord>,
    ) -> Vec<DocumentId> {
        let ids = records
            .into_iter()
            .flat_map(|record| self.parts(&record.data))
            .map(|(kind, element, _)| DocumentId::of(kind, element));
        let mut ids: Vec<DocumentId> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn has_document(&self, kind: ElementKind) -> bool {
        kind == ElementKind::Vertex || self.scope == Scope::Elements
    }

    /// Whether a record is of a document's property that is not searched.
    fn leaves_out(&self, data: &RecordData) -> bool {
        let kind = match data.kind {
            RecordKind::VertexProperty => ElementKind::Vertex,
            RecordKind::EdgeProperty => ElementKind::Edge,
            RecordKind::VertexLabel | RecordKind::Edge => return false,
        };
        self.has_document(kind) && !self.properties.lists(data.key.as_str())
    }

    /// What a record says of which element.
    fn parts<'r>(
        &self,
        data: &'r RecordData,
    ) -> impl Iterator<Item = (ElementKind, &'r ElementId, Part)> + use<'r> {
        let kind = match data.kind {
            RecordKind::VertexLabel | RecordKind::VertexProperty => ElementKind::Vertex,
            RecordKind::Edge | RecordKind::EdgeProperty => ElementKind::Edge,
        };
        let part = match data.kind {
            RecordKind::VertexLabel | RecordKind::Edge => Part::Label,
            RecordKind::VertexProperty | RecordKind::EdgeProperty => Part::Property,
        };
        let has_document = self.has_document(kind) && !self.leaves_out(data);
        let says_owner = data.kind == RecordKind::Edge
            && self
                .authored_labels
                .iter()
                .any(|label| *label == data.value.text());
        let owned = data.to.as_ref().filter(|_| says_owner);
        let itself = has_document.then_some((kind, &data.id, part));
        let owned = owned.map(|thing| (ElementKind::Vertex, thing, Part::Owner));
        itself.into_iter().chain(owned)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Label,
    Property,
    Owner,
}

/// Folds records into documents.
#[derive(Debug)]
pub struct Fold<'p> {
    projection: &'p Projection,
    names: &'p mut BTreeSet<String>,
    documents: HashMap<DocumentId, Folding>,
    rejected: Vec<Rejected>,
    left_out: u64,
}

/// What became of records.
#[derive(Debug)]
pub struct Folded {
    /// What is to be written.
    pub writes: Vec<Write>,
    /// What could not be folded.
    pub rejected: Vec<Rejected>,
    /// Records of properties that are not searched.
    pub left_out: u64,
}

#[derive(Debug)]
struct Folding {
    /// The last operation in it; none in a document that the index does not have.
    version: Option<Version>,
    document: Document,
    changed: bool,
}

impl<'p> Fold<'p> {
    /// Onto documents as they stand; what is not among them is not in the index. `names` are those of the properties that
    /// the index has; new ones are added.
    pub fn onto(
        projection: &'p Projection,
        names: &'p mut BTreeSet<String>,
        standing: impl IntoIterator<Item = Standing>,
    ) -> Self {
        let documents = standing.into_iter().map(|standing| {
            // What is not committed yet has names that the index could not tell.
            names.extend(standing.document.predicates.keys().cloned());
            let folding = Folding {
                version: Some(standing.version),
                document: standing.document,
                changed: false,
            };
            (folding.document.id(), folding)
        });
        Self {
            projection,
            documents: documents.collect(),
            names,
            rejected: Vec::new(),
            left_out: 0,
        }
    }

    /// Folds the next record of the log.
    pub fn fold(&mut self, record: &StreamRecord) {
        if let Err(reason) = self.try_fold(record) {
            self.rejected.push(Rejected {
                at: record.event_id,
                element: record.data.id.clone(),
                reason,
            });
        }
    }

    fn try_fold(&mut self, record: &StreamRecord) -> Result<(), Reason> {
        let version = Version::of(record.event_id)?;
        let names_max = self.projection.properties.names_max;
        self.left_out += u64::from(self.projection.leaves_out(&record.data));
        for (kind, element, part) in self.projection.parts(&record.data) {
            let id = DocumentId::of(kind, element);
            let folding = self.documents.entry(id).or_insert_with(|| Folding {
                version: None,
                document: Document::new(kind, element.clone()),
                changed: false,
            });
            if folding.version.is_none_or(|known| known < version) {
                let key = record.data.key.as_str();
                let named = part == Part::Property && record.op == Op::Add;
                let new_name = named && !self.names.contains(key);
                if new_name && self.names.len() >= names_max {
                    let property = key.to_owned();
                    return Err(Reason::TooManyNames {
                        property,
                        names_max,
                    });
                }
                folding.document.take(part, record)?;
                if new_name {
                    self.names.insert(key.to_owned());
                }
                folding.version = Some(version);
                folding.changed = true;
            }
        }
        Ok(())
    }

    /// What became of all of them.
    pub fn finish(self) -> Folded {
        let changed = self.documents.into_iter().filter_map(|(id, folding)| {
            let version = folding.version.filter(|_| folding.changed)?;
            Some(if folding.document.is_empty() {
                Write::Delete { id, version }
            } else {
                let document = folding.document;
                Write::Index(Standing { version, document })
            })
        });
        let mut writes: Vec<Write> = changed.collect();
        writes.sort_by_key(|write| (write.version(), write.id()));
        Folded {
            writes,
            rejected: self.rejected,
            left_out: self.left_out,
        }
    }
}

impl Document {
    /// Adds or removes what a record says. Adding what is there and removing what is not change nothing.
    fn take(&mut self, part: Part, record: &StreamRecord) -> Result<(), Unindexable> {
        let RecordData {
            key, value, from, ..
        } = &record.data;
        match part {
            Part::Label => put(&mut self.entity_type, value.text().into_owned(), record.op),
            Part::Property => {
                let value = PropertyValue::of(value)?;
                let values = self.predicates.entry(key.to_string()).or_default();
                put(values, value, record.op);
                if values.is_empty() {
                    self.predicates.remove(key.as_str());
                }
            }
            Part::Owner => {
                let owner = from.iter().map(|person| person.clone().into());
                match record.op {
                    // Of two edges one may go, and the other still says the same.
                    Op::Add => self.owner.extend(owner),
                    Op::Remove => owner.for_each(|owner| put(&mut self.owner, owner, Op::Remove)),
                }
            }
        }
        Ok(())
    }
}

fn put<T: PartialEq>(list: &mut Vec<T>, item: T, op: Op) {
    let place = list.iter().position(|known| *known == item);
    match (op, place) {
        (Op::Add, None) => list.push(item),
        (Op::Remove, Some(place)) => {
            list.remove(place);
        }
        (Op::Add, Some(_)) | (Op::Remove, None) => {}
    }
}
