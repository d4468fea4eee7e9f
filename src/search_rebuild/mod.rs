//! A search index that is built anew beside the one that is searched, and put in its place: from the whole change log; or,
//! where that has lost its beginning, from an export, or on one machine from the graph itself.

mod comparing;

use std::sync::Arc;

use iyagi_actors::health::Health;
use iyagi_actors::ports::{
    ChangeStream, Clock, GraphFault, GraphQueries, SearchFault, SearchIndex,
};
use iyagi_actors::search_indexer::{CURE, IndexTarget, LOG, SearchCounts, fill, load};
use iyagi_actors::stream_poller::reading::LogSource;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamRecord;
use iyagi_search::projection::Projection;
use thiserror::Error;

pub use self::comparing::Difference;
use crate::aws::clients::{Clients, ClientsError};
use crate::aws::neptune::{NeptuneGraph, NeptuneStream};
use crate::aws::opensearch::{OpenSearch, OpenSearchError};
use crate::backfill::export::{Export, ExportError};
use crate::clock::SystemClock;
use crate::config::{Config, SearchEngine};
use crate::daemon::{DataLock, LockError};
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::search::{EmbeddedSearch, SearchOpenError};
use crate::embedded::sqlite::DatabaseError;
use crate::{aws, embedded};

/// What an index was built from, and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// As of which operation of the change log it is.
    pub as_of: Cursor,
    /// How many documents it has.
    pub documents: u64,
    /// Records that no document can show, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// Records of properties that are not searched.
    pub left_out: u64,
}

/// Why no index was built.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// A host on AWS has none of its own.
    #[error(
        "`search.engine` is \"embedded\", and a host on AWS keeps no index of its own: set it to \"opensearch\""
    )]
    OnAws,
    /// There is to be none.
    #[error("`search.enabled` is false: there is no search index to rebuild")]
    Disabled,
    /// The log does not go back far enough.
    #[error(
        "the change log begins at commit {first}, so that not all of the graph is in it: give an export that reaches up to \
         there, with --from-export"
    )]
    Trimmed {
        /// The first commit that is kept.
        first: u64,
    },
    /// The export is of another graph, or of this one before it was reset.
    #[error(
        "the change log ends at {head}, before the export's watermark {watermark}: the export is not of this graph"
    )]
    Beyond {
        /// Where the log ends.
        head: Cursor,
        /// What the export says.
        watermark: Cursor,
    },
    /// The export.
    #[error(transparent)]
    Export(#[from] ExportError),
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
    /// The graph's address is not configured.
    #[error("`aws.neptune_endpoint` is missing: the graph's change log is read there")]
    NoGraph,
    /// Who speaks to the graph.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The folder of the index.
    #[error(transparent)]
    Open(#[from] SearchOpenError),
    /// OpenSearch.
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    /// The index.
    #[error(transparent)]
    Index(#[from] SearchFault),
}

/// A new index, not yet in place.
pub struct Rebuild {
    graph: Arc<dyn GraphQueries>,
    log: Arc<dyn ChangeStream>,
    /// The graph itself, where it can be read from one end to the other while nobody writes it.
    at_rest: Option<Arc<EmbeddedGraph>>,
    index: NewIndex,
    config: Config,
    projection: Projection,
    clock: Arc<dyn Clock>,
    counts: Arc<SearchCounts>,
    /// Keeps others from writing the graph, unless the caller does; on AWS they do.
    _lock: Option<DataLock>,
}

/// Where the new index is.
enum NewIndex {
    /// In a folder.
    Folder(EmbeddedSearch, embedded::search::Beside),
    /// On OpenSearch.
    OpenSearch(OpenSearch, aws::opensearch::Beside),
}

impl NewIndex {
    async fn beside(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, RebuildError> {
        if let Some(searched) = OpenSearch::open(config, clock).await? {
            let (index, beside) = searched.beside().await?;
            return Ok(Self::OpenSearch(index, beside));
        }
        let folder = config.data.dir.join("search");
        let (index, beside) = EmbeddedSearch::beside(&folder, &config.projection())?;
        Ok(Self::Folder(index, beside))
    }

    fn port(&self) -> Arc<dyn SearchIndex> {
        match self {
            Self::Folder(index, _) => Arc::new(index.clone()),
            Self::OpenSearch(index, _) => Arc::new(index.clone()),
        }
    }

    async fn documents(&self) -> Result<u64, SearchFault> {
        match self {
            Self::Folder(index, _) => Ok(index.documents()),
            Self::OpenSearch(index, _) => index.documents().await,
        }
    }
}

impl Rebuild {
    /// Opens the graph, and begins an index. On one machine no daemon may run meanwhile: two must not write to one data
    /// folder. On AWS the daemons go on, and go over to the new index once it is in place.
    pub async fn begin(config: Config) -> Result<Self, RebuildError> {
        if !config.search.enabled {
            return Err(RebuildError::Disabled);
        }
        if config.aws.enabled && config.search.engine == SearchEngine::Embedded {
            return Err(RebuildError::OnAws);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        if config.aws.enabled {
            let clients = Clients::new(&config.aws).await?;
            let neptune = clients.neptune.ok_or(RebuildError::NoGraph)?;
            let log = Arc::new(NeptuneStream::new(neptune.clone()));
            let graph = Arc::new(NeptuneGraph::new(neptune));
            return Self::of(graph, log, config, clock).await;
        }
        let dir = &config.data.dir;
        let lock = DataLock::take(dir)?;
        let graph = EmbeddedGraph::open(&dir.join("graph.db"), Arc::clone(&clock))?;
        Ok(Self {
            _lock: Some(lock),
            ..Self::at_rest(Arc::new(graph), config, clock).await?
        })
    }

    /// Begins an index of an embedded graph, for a caller who sees to it that nobody writes that graph meanwhile.
    pub async fn at_rest(
        graph: Arc<EmbeddedGraph>,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RebuildError> {
        let (queries, log) = (Arc::clone(&graph) as _, Arc::clone(&graph) as _);
        Ok(Self {
            at_rest: Some(graph),
            ..Self::of(queries, log, config, clock).await?
        })
    }

    async fn of(
        graph: Arc<dyn GraphQueries>,
        log: Arc<dyn ChangeStream>,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RebuildError> {
        Ok(Self {
            graph,
            log,
            at_rest: None,
            index: NewIndex::beside(&config, &clock).await?,
            projection: config.projection(),
            config,
            clock,
            counts: Arc::default(),
            _lock: None,
        })
    }

    /// Folds an export and what of the log is behind it into the index; without one the whole log, or the graph itself
    /// where that has lost its beginning. `progress` is told as of which operation it is.
    pub async fn build(
        &self,
        export: Option<&Export>,
        progress: impl FnMut(Cursor),
    ) -> Result<Rebuilt, RebuildError> {
        let (first, head) = (self.log.first_commit().await?, self.head().await?);
        match (export, &self.at_rest) {
            (Some(export), _) => {
                let watermark = export.watermark();
                if first > watermark.commit + 1 {
                    return Err(RebuildError::Trimmed { first });
                }
                if head < watermark {
                    return Err(RebuildError::Beyond { head, watermark });
                }
                let records = export.records();
                let records = records.map(|record| Ok(record?.1));
                self.load(records, watermark).await?;
            }
            (None, Some(graph)) if first > 1 => {
                let records = graph.records();
                self.load(records.map(|record| Ok(record?)), head).await?;
            }
            (None, None) if first > 1 => return Err(RebuildError::Trimmed { first }),
            (None, _) => {}
        }
        self.fill_to(head, progress).await?;
        let rejected = self.counts.rejected_by_reason().into_iter();
        Ok(Rebuilt {
            as_of: self.index.port().cursor().await?,
            documents: self.index.documents().await?,
            rejected: rejected.filter(|(_, count)| *count > 0).collect(),
            left_out: self.counts.left_out.get(),
        })
    }

    async fn load(
        &self,
        records: impl Iterator<Item = Result<StreamRecord, RebuildError>>,
        as_of: Cursor,
    ) -> Result<(), RebuildError> {
        load(records, &self.target(), as_of, self.config.stream).await
    }

    async fn head(&self) -> Result<Cursor, RebuildError> {
        Ok(self.log.head().await?.unwrap_or(Cursor::START))
    }

    async fn fill_to(
        &self,
        head: Cursor,
        progress: impl FnMut(Cursor),
    ) -> Result<(), RebuildError> {
        let log = LogSource {
            stream: Arc::clone(&self.log),
            health: Arc::new(Health::default()),
            dependency: LOG,
            clock: Arc::clone(&self.clock),
            pace: self.config.stream,
            cure: CURE,
        };
        Ok(fill(log, &self.target(), head, progress).await?)
    }

    fn target(&self) -> IndexTarget {
        IndexTarget {
            index: self.index.port(),
            projection: self.projection.clone(),
            counts: Arc::clone(&self.counts),
            letters: None,
        }
    }

    /// Puts the index in the place of the one that was searched.
    pub async fn publish(self) -> Result<(), RebuildError> {
        match self.index {
            NewIndex::Folder(_, beside) => Ok(beside.publish()?),
            NewIndex::OpenSearch(_, beside) => Ok(beside.publish().await?),
        }
    }

    /// Leaves the one that was searched in its place. In a folder the next start takes away what this leaves.
    pub async fn discard(self) -> Result<(), RebuildError> {
        match self.index {
            NewIndex::Folder(..) => Ok(()),
            NewIndex::OpenSearch(_, beside) => Ok(beside.discard().await?),
        }
    }
}
