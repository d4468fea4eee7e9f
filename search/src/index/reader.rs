//! Who looks into the index: any number, at what was committed last.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use iyagi_messages::cursor::Cursor;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocAddress, DocSet, Index, ReloadPolicy, Searcher, TERMINATED, TantivyDocument};

use super::ranking::Best;
use super::schema::{Fields, VERSION};
use super::translate::translate;
use super::{IndexFault, Payload, committed};
use crate::document::{Document, DocumentId, Version};
use crate::hits::{Hit, Page, Request};
use crate::projection::{Projection, Standing};

/// Looks into the index. Clones look into the same.
#[derive(Clone)]
pub struct IndexReader {
    index: Index,
    reader: tantivy::IndexReader,
    fields: Fields,
    view: Arc<RwLock<View>>,
}

/// What was committed at one moment.
#[derive(Clone)]
struct View {
    searcher: Searcher,
    committed: Option<Payload>,
}

impl View {
    fn cursor(&self) -> Cursor {
        let committed = self.committed.as_ref();
        committed.map_or(Cursor::START, |committed| committed.cursor)
    }
}

/// Blocks of documents that are kept unpacked: rewriting what was written lately reads few others.
const STORE_BLOCKS_CACHED: usize = 32;

impl IndexReader {
    pub(super) fn open(index: Index, fields: Fields) -> Result<Self, IndexFault> {
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(STORE_BLOCKS_CACHED)
            .try_into()?;
        let view = View {
            committed: committed(&index)?,
            searcher: reader.searcher(),
        };
        let view = Arc::new(RwLock::new(view));
        Ok(Self {
            index,
            reader,
            fields,
            view,
        })
    }

    /// Shows what was committed since. Called by who commits, so that a cursor never runs ahead of what is found.
    pub(super) fn reload(&self) -> Result<(), IndexFault> {
        self.reader.reload()?;
        let view = View {
            committed: committed(&self.index)?,
            searcher: self.reader.searcher(),
        };
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        Ok(())
    }

    fn view(&self) -> View {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.clone()
    }

    /// As of which operation of the change log the index is.
    pub fn cursor(&self) -> Cursor {
        self.view().cursor()
    }

    /// What its documents are of; nothing of an index that was never committed.
    pub fn projection(&self) -> Option<Projection> {
        self.view().committed.map(|committed| committed.projection)
    }

    /// Names of the properties that documents have. That of one that went stays until its segment is merged.
    pub fn property_names(&self) -> Result<BTreeSet<String>, IndexFault> {
        let mut names = BTreeSet::new();
        for segment in self.view().searcher.segment_readers() {
            let index = segment.inverted_index(self.fields.property)?;
            let mut terms = index.terms().stream()?;
            while terms.advance() {
                names.insert(String::from_utf8_lossy(terms.key()).into_owned());
            }
        }
        Ok(names)
    }

    /// How many documents there are.
    pub fn documents(&self) -> u64 {
        self.view().searcher.num_docs()
    }

    /// The best hits.
    pub fn search(&self, request: &Request) -> Result<Page, IndexFault> {
        let view = self.view();
        let (searcher, as_of) = (&view.searcher, view.cursor());
        let best = Best {
            limit: request.limit,
            after: request.after,
        };
        let found = searcher.search(&translate(request, self.fields), &best)?;
        let hits = found.into_iter().map(|(place, address)| {
            let standing = self.read(searcher, address)?;
            Ok(Hit { place, standing })
        });
        Ok(Page {
            hits: hits.collect::<Result<_, IndexFault>>()?,
            as_of,
        })
    }

    /// A document as it was committed last.
    pub fn document(&self, id: DocumentId) -> Result<Option<Standing>, IndexFault> {
        let View { searcher, .. } = self.view();
        let address = self.find(&searcher, id)?;
        address
            .map(|address| self.read(&searcher, address))
            .transpose()
    }

    fn find(&self, searcher: &Searcher, id: DocumentId) -> Result<Option<DocAddress>, IndexFault> {
        let term = self.fields.id_term(id);
        for (segment, reader) in (0..).zip(searcher.segment_readers()) {
            let index = reader.inverted_index(self.fields.id)?;
            let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            let mut doc = postings.doc();
            while doc != TERMINATED {
                if !reader.is_deleted(doc) {
                    return Ok(Some(DocAddress::new(segment, doc)));
                }
                doc = postings.advance();
            }
        }
        Ok(None)
    }

    fn read(&self, searcher: &Searcher, at: DocAddress) -> Result<Standing, IndexFault> {
        let row: TantivyDocument = searcher.doc(at)?;
        let source = row.get_first(self.fields.source);
        let source = source
            .and_then(|value| value.as_bytes())
            .unwrap_or_default();
        let document: Document = serde_json::from_slice(source)?;
        let segment = searcher.segment_reader(at.segment_ord);
        let version = segment.fast_fields().u64(VERSION)?.first(at.doc_id);
        Ok(Standing {
            version: Version::from_number(version.unwrap_or_default()),
            document,
        })
    }
}
