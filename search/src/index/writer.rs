//! Who writes the index: one.

use std::collections::HashMap;

use iyagi_messages::cursor::Cursor;
use tantivy::Index;
use tantivy::indexer::IndexWriterOptions;

use super::reader::IndexReader;
use super::schema::Fields;
use super::{IndexFault, Payload};
use crate::document::{DocumentId, Version};
use crate::projection::{Projection, Standing, Write};

/// Writes the index. What is written is found, and survives, once it is committed.
///
/// **Invariant:** the cursor and the documents up to it are one commit.
pub struct IndexWriter {
    writer: tantivy::IndexWriter,
    fields: Fields,
    reader: IndexReader,
    projection: Projection,
    /// Documents that were asked for or written since the last commit.
    known: HashMap<DocumentId, Known>,
    uncommitted: usize,
}

/// A document as it will be once it is committed.
#[derive(Debug, Clone)]
struct Known {
    /// Of one that is gone, the version as of which it went.
    version: Option<Version>,
    standing: Option<Standing>,
    /// Whether there is a row to take out before another is put in.
    has_row: bool,
}

/// What became of a document that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Yes,
    /// The index has the same or a newer one.
    Newer,
}

impl IndexWriter {
    pub(super) fn open(
        index: &Index,
        fields: Fields,
        reader: IndexReader,
        projection: Projection,
        memory_bytes: usize,
    ) -> Result<Self, IndexFault> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(memory_bytes)
            .build();
        Ok(Self {
            writer: index.writer_with_options(options)?,
            fields,
            reader,
            projection,
            known: HashMap::new(),
            uncommitted: 0,
        })
    }

    /// Where to go on writing, unless the index has documents of another projection.
    pub fn begin(&self) -> Result<Cursor, IndexFault> {
        if let Some(made) = self.reader.projection() {
            self.projection.check(&made)?;
        }
        Ok(self.reader.cursor())
    }

    /// Documents as they stand, also where that is not committed yet. What is not among them is not in the index.
    pub fn standing(&mut self, ids: &[DocumentId]) -> Result<Vec<Standing>, IndexFault> {
        let mut standing = Vec::new();
        for id in ids {
            standing.extend(self.known(*id)?.standing.clone());
        }
        Ok(standing)
    }

    /// Writes one document, unless the index has the same or a newer one.
    pub fn write(&mut self, write: Write) -> Result<Written, IndexFault> {
        let (id, version) = (write.id(), write.version());
        let known = self.known(id)?;
        if known.version.is_some_and(|known| known >= version) {
            return Ok(Written::Newer);
        }
        let had_row = known.has_row;
        let standing = match write {
            Write::Index(standing) => Some(standing),
            Write::Delete { .. } => None,
        };
        if had_row {
            self.writer.delete_term(self.fields.id_term(id));
        }
        if let Some(standing) = &standing {
            self.writer.add_document(self.fields.row(standing)?)?;
        }
        let known = Known {
            version: Some(version),
            has_row: standing.is_some(),
            standing,
        };
        self.known.insert(id, known);
        self.uncommitted += 1;
        Ok(Written::Yes)
    }

    /// How many documents are not committed yet.
    pub fn uncommitted(&self) -> usize {
        self.uncommitted
    }

    /// Makes all that was written found, and durable together with the place in the change log that it reaches.
    pub fn commit(&mut self, cursor: Cursor) -> Result<(), IndexFault> {
        let payload = Payload::of(cursor, &self.projection).to_json()?;
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&payload);
        commit.commit()?;
        self.reader.reload()?;
        self.known.clear();
        self.uncommitted = 0;
        Ok(())
    }

    /// Ends, once what is being merged is merged. What is not committed is forgotten.
    pub fn close(self) -> Result<(), IndexFault> {
        Ok(self.writer.wait_merging_threads()?)
    }

    fn known(&mut self, id: DocumentId) -> Result<&Known, IndexFault> {
        use std::collections::hash_map::Entry;
        match self.known.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let standing = self.reader.document(id)?;
                Ok(unknown.insert(Known {
                    version: standing.as_ref().map(|standing| standing.version),
                    has_row: standing.is_some(),
                    standing,
                }))
            }
        }
    }
}
