//! From the change log to documents: what a record makes of the documents that it touches.
//!
//! A document is folded whole and carries the version of the last operation in it. An operation at or before that version
//! is in it already, so reading part of the log again changes nothing. The documents as they stand come from the index
//! itself: there is no second copy to keep in step with it.

use std::collections::HashMap;

use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord};
use thiserror::Error;

use crate::document::{Document, DocumentId, PropertyValue, Unindexable, Unversioned, Version};

/// Which elements have documents, and what the graph's labels mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Which elements have documents.
    pub scope: Scope,
    /// Labels of edges from a person to what they made.
    pub authored_labels: Vec<String>,
}

/// Which elements have documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Projection {
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
        let has_document = kind == ElementKind::Vertex || self.scope == Scope::Elements;
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
    documents: HashMap<DocumentId, Folding>,
    rejected: Vec<Rejected>,
}

#[derive(Debug)]
struct Folding {
    /// The last operation in it; none in a document that the index does not have.
    version: Option<Version>,
    document: Document,
    changed: bool,
}

impl<'p> Fold<'p> {
    /// Onto documents as they stand; what is not among them is not in the index.
    pub fn onto(projection: &'p Projection, standing: impl IntoIterator<Item = Standing>) -> Self {
        let documents = standing.into_iter().map(|standing| {
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
            rejected: Vec::new(),
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
        for (kind, element, part) in self.projection.parts(&record.data) {
            let id = DocumentId::of(kind, element);
            let folding = self.documents.entry(id).or_insert_with(|| Folding {
                version: None,
                document: Document::new(kind, element.clone()),
                changed: false,
            });
            if folding.version.is_none_or(|known| known < version) {
                folding.document.take(part, record)?;
                folding.version = Some(version);
                folding.changed = true;
            }
        }
        Ok(())
    }

    /// What is to be written, and what could not be folded.
    pub fn finish(self) -> (Vec<Write>, Vec<Rejected>) {
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
        (writes, self.rejected)
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
