//! A graph that is older than its change log: read from an export or from the graph itself, and left where the matcher
//! takes it over.
//!
//! # Layout
//! - this file: where the graph, its log and the offer lie, on one machine and on AWS
//! - [`export`]: the folder that neptune-export writes

pub mod export;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::{Journal, JournalFault};
use iyagi_actors::ports::{ChangeStream, Clock, GraphQueries, StreamFault};
use iyagi_actors::subscription_matcher::bootstrap::{
    Bootstrap, BootstrapError, OFFER, Read, Sources,
};
use iyagi_messages::cursor::Cursor;
use thiserror::Error;

use self::export::{ExportError, read_export};
use crate::aws::clients::{Clients, ClientsError};
use crate::aws::journal::Snapshots;
use crate::aws::neptune::{NeptuneGraph, NeptuneStream};
use crate::aws::s3::{OpenBucketError, S3Objects};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::daemon::{DataLock, LockError};
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::{OpenError, SqliteJournal};
use crate::embedded::sqlite::DatabaseError;
use crate::spool::Spool;

/// Where the graph is read from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An export.
    Export {
        /// Its folder.
        folder: PathBuf,
        /// Which operation it contains last, if its own file does not say.
        watermark: Option<Cursor>,
    },
    /// The graph as it stands.
    Graph {
        /// Vertices or edges in one query.
        page: u32,
    },
}

/// Why there is no offer.
#[derive(Debug, Error)]
pub enum BackfillError {
    /// The export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The graph itself.
    #[error(transparent)]
    Graph(#[from] BootstrapError),
    /// The log's head.
    #[error("the change log does not say where it ends: {0}")]
    Log(StreamFault),
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
    /// What happened between the export and the log's beginning is in neither.
    #[error(
        "the change log begins at commit {first}, behind the export's watermark {watermark}: what happened in between is in \
         neither. Export the graph anew, or read it with --from-graph"
    )]
    Trimmed {
        /// The first commit that is kept.
        first: u64,
        /// What the export says.
        watermark: Cursor,
    },
    /// The data folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The embedded graph.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The embedded journal.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The offer cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The clients.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The graph's address is not configured.
    #[error("`aws.neptune_endpoint` is missing: the graph and its change log are read there")]
    NoGraph,
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] OpenBucketError),
}

/// The graph with its log, and where an offer is kept.
pub struct Backfill {
    queries: Arc<dyn GraphQueries>,
    stream: Arc<dyn ChangeStream>,
    offers: Offers,
    clock: SystemClock,
    config: Config,
}

enum Offers {
    /// In the journal's file. The lock keeps a daemon away meanwhile, because two must not write to it.
    File {
        journal: Arc<SqliteJournal>,
        graph: Arc<EmbeddedGraph>,
        _lock: DataLock,
    },
    /// In the bucket, where each host looks.
    Bucket(Snapshots),
}

impl Backfill {
    /// Opens what the configuration names. On one machine no daemon may run meanwhile.
    pub async fn open(config: Config) -> Result<Self, BackfillError> {
        let clock = SystemClock;
        if config.aws.enabled {
            let clients = Clients::new(&config.aws).await?;
            let neptune = clients.neptune.ok_or(BackfillError::NoGraph)?;
            let timeout = Duration::from_millis(config.aws.call_timeout_ms);
            let spool = Arc::new(Spool::of(&config));
            let store = S3Objects::open(clients.s3, &config.media.bucket, timeout, spool).await?;
            return Ok(Self {
                queries: Arc::new(NeptuneGraph::new(neptune.clone())),
                stream: Arc::new(NeptuneStream::new(neptune)),
                offers: Offers::Bucket(Snapshots::new(Arc::new(store))),
                clock,
                config,
            });
        }
        let dir = &config.data.dir;
        let lock = DataLock::take(dir)?;
        let shared: Arc<dyn Clock> = Arc::new(clock);
        let graph = Arc::new(EmbeddedGraph::open(
            &dir.join("graph.db"),
            Arc::clone(&shared),
        )?);
        let journal = Arc::new(SqliteJournal::open(&dir.join("journal.db"), shared)?);
        Ok(Self {
            queries: Arc::clone(&graph) as _,
            stream: Arc::clone(&graph) as _,
            offers: Offers::File {
                journal,
                graph,
                _lock: lock,
            },
            clock,
            config,
        })
    }

    /// Reads a whole graph. `progress` is told now and then.
    pub async fn read(
        &self,
        source: &Source,
        progress: impl FnMut(Read),
    ) -> Result<Bootstrap, BackfillError> {
        match source {
            Source::Export { folder, watermark } => {
                let model = &self.config.graph;
                let bootstrap = read_export(folder, *watermark, model, progress)?;
                self.check_within_log(bootstrap.watermark()).await?;
                Ok(bootstrap)
            }
            Source::Graph { page } => {
                let sources = Sources {
                    queries: &*self.queries,
                    stream: &*self.stream,
                    pace: self.config.stream,
                    clock: &self.clock,
                    model: &self.config.graph,
                    page: *page,
                };
                Ok(Bootstrap::by_queries(sources, progress).await?)
            }
        }
    }

    /// Leaves the graph where the matcher that leads takes it over when it starts next.
    pub async fn offer(&self, bootstrap: Bootstrap) -> Result<(), BackfillError> {
        let offer = bootstrap.into_offer();
        match &self.offers {
            Offers::File { journal, graph, .. } => {
                journal.save_snapshot(OFFER, offer).await?;
                // With the graph known as it is, a journal will do that is not the one that was.
                graph.see_journal(journal.head().await?).await?;
            }
            Offers::Bucket(snapshots) => snapshots.save(OFFER, offer).await?,
        }
        Ok(())
    }

    async fn check_within_log(&self, watermark: Cursor) -> Result<(), BackfillError> {
        let head = self.stream.head().await.map_err(BackfillError::Log)?;
        let head = head.unwrap_or(Cursor::START);
        if head < watermark {
            return Err(BackfillError::Beyond { head, watermark });
        }
        let first = self.stream.first_commit().await;
        let first = first.map_err(BackfillError::Log)?;
        if first > watermark.commit + 1 {
            return Err(BackfillError::Trimmed { first, watermark });
        }
        Ok(())
    }
}
