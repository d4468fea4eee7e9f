//! A search index that is built anew beside the one that is searched, from the whole change log, and put in its place.

use std::sync::Arc;

use iyagi_actors::health::Health;
use iyagi_actors::ports::{
    ChangeStream, Clock, GraphFault, GraphQueries, SearchFault, SearchIndex,
};
use iyagi_actors::search_indexer::{IndexTarget, LOG, SearchCounts, fill};
use iyagi_actors::stream_poller::reading::LogSource;
use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::ElementId;
use iyagi_search::document::DocumentId;
use iyagi_search::projection::Scope;
use thiserror::Error;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::daemon::{DataLock, LockError};
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::search::{Beside, EmbeddedSearch, SearchOpenError};
use crate::embedded::sqlite::DatabaseError;

/// What an index was built from, and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// As of which operation of the change log it is.
    pub as_of: Cursor,
    /// How many documents it has.
    pub documents: u64,
    /// Records that no document can show, by reason.
    pub rejected: Vec<(&'static str, u64)>,
}

/// Why no index was built.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// On AWS there is none.
    #[error("there is no search index on AWS yet: `iyagi search` is for one machine")]
    OnAws,
    /// There is to be none.
    #[error("`search.enabled` is false: there is no search index to rebuild")]
    Disabled,
    /// The log does not go back to the beginning.
    #[error("the change log begins at {oldest}, so that not all of the graph is in it")]
    Trimmed {
        /// The oldest record that is kept.
        oldest: Cursor,
    },
    /// It is not what the graph is.
    #[error("the new index is not what the graph is, and was not put in place: {0}")]
    Differs(Difference),
    /// The data folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The graph.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Its log.
    #[error("the change log cannot be read: {0}")]
    Log(#[from] iyagi_actors::ports::StreamFault),
    /// Questions to it.
    #[error(transparent)]
    Graph(#[from] GraphFault),
    /// The folder of the index.
    #[error(transparent)]
    Open(#[from] SearchOpenError),
    /// The index.
    #[error(transparent)]
    Index(#[from] SearchFault),
}

/// Where an index is not what the graph is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Difference {
    /// An element has other labels.
    #[error("{element} has the labels {graph:?} in the graph and {index:?} in the index")]
    Labels {
        /// Which.
        element: ElementId,
        /// What the graph says.
        graph: Vec<String>,
        /// What the index says; nothing if it has no such document.
        index: Option<Vec<String>>,
    },
    /// There are documents of elements that the graph does not have.
    #[error("the graph has {graph} elements and the index {index} documents")]
    Count {
        /// Elements that have documents.
        graph: u64,
        /// Documents.
        index: u64,
    },
}

/// Elements that are compared in one go.
const PAGE: u32 = 5_000;

/// A new index, not yet in place.
pub struct Rebuild {
    graph: Arc<EmbeddedGraph>,
    index: EmbeddedSearch,
    beside: Beside,
    config: Config,
    clock: Arc<dyn Clock>,
    _lock: DataLock,
}

impl Rebuild {
    /// Opens the graph, and begins an index. No daemon may run meanwhile: two must not write to one data folder.
    pub fn begin(config: Config) -> Result<Self, RebuildError> {
        if config.aws.enabled {
            return Err(RebuildError::OnAws);
        }
        if !config.search.enabled {
            return Err(RebuildError::Disabled);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let dir = &config.data.dir;
        let lock = DataLock::take(dir)?;
        let graph = Arc::new(EmbeddedGraph::open(
            &dir.join("graph.db"),
            Arc::clone(&clock),
        )?);
        let (index, beside) = EmbeddedSearch::beside(&dir.join("search"))?;
        Ok(Self {
            graph,
            index,
            beside,
            config,
            clock,
            _lock: lock,
        })
    }

    /// Folds the whole log into the index. `progress` is told as of which operation it is.
    pub async fn build(&self, progress: impl FnMut(Cursor)) -> Result<Rebuilt, RebuildError> {
        let head = self.graph.head().await?.unwrap_or(Cursor::START);
        if let Some(oldest) = self.graph.oldest().await?
            && oldest.event_id.commit > 1
        {
            let oldest = oldest.event_id;
            return Err(RebuildError::Trimmed { oldest });
        }
        let target = IndexTarget {
            index: Arc::new(self.index.clone()),
            projection: self.config.projection(),
            counts: Arc::new(SearchCounts::default()),
        };
        let log = LogSource {
            stream: Arc::clone(&self.graph) as _,
            health: Arc::new(Health::default()),
            dependency: LOG,
            clock: Arc::clone(&self.clock),
            pace: self.config.stream,
        };
        fill(log, &target, head, progress).await?;
        let rejected = target.counts.rejected_by_reason().into_iter();
        Ok(Rebuilt {
            as_of: self.index.cursor().await?,
            documents: self.index.documents(),
            rejected: rejected.filter(|(_, count)| *count > 0).collect(),
        })
    }

    /// Compares every document with the graph itself, which keeps what it is apart from how it became so.
    pub async fn verify(&self) -> Result<(), RebuildError> {
        let mut elements = 0;
        let mut after: Option<ElementId> = None;
        loop {
            let page = self.graph.vertices(after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            elements += page.len() as u64;
            self.compare(ElementKind::Vertex, page).await?;
        }
        if self.config.projection().scope == Scope::Elements {
            let mut after: Option<ElementId> = None;
            loop {
                let page = self.graph.edges(after.as_ref(), PAGE).await?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                elements += page.len() as u64;
                let page = page.into_iter().map(|(id, ends)| (id, vec![ends.label]));
                self.compare(ElementKind::Edge, page.collect()).await?;
            }
        }
        let documents = self.index.documents();
        if documents == elements {
            Ok(())
        } else {
            Err(RebuildError::Differs(Difference::Count {
                graph: elements,
                index: documents,
            }))
        }
    }

    async fn compare(
        &self,
        kind: ElementKind,
        elements: Vec<(ElementId, Vec<String>)>,
    ) -> Result<(), RebuildError> {
        let ids: Vec<DocumentId> = elements
            .iter()
            .map(|(element, _)| DocumentId::of(kind, element))
            .collect();
        let mut standing = self.index.standing(&ids).await?.into_iter().peekable();
        for (element, mut graph) in elements {
            // What stands comes in the order in which it was asked for.
            let found = standing.next_if(|found| found.document.entity_id == element);
            let mut index = found.map(|found| found.document.entity_type);
            graph.sort();
            if let Some(labels) = &mut index {
                labels.sort();
            }
            if index.as_ref() != Some(&graph) {
                return Err(RebuildError::Differs(Difference::Labels {
                    element,
                    graph,
                    index,
                }));
            }
        }
        Ok(())
    }

    /// Puts the index in the place of the one that was searched.
    pub fn publish(self) -> Result<(), RebuildError> {
        Ok(self.beside.publish()?)
    }
}
