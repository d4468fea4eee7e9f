//! The embedded adapters of every port, opened in one data folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::ports::{Clock, PushGateway, Queue, Retention, SearchIndex};
use iyagi_actors::projections::Projections;
use iyagi_actors::tree::Ports;
use thiserror::Error;

use super::adapters::ffmpeg;
use super::gateways::gateways;
use crate::aws::opensearch::{OpenSearch, OpenSearchError};
use crate::config::Config;
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::{Compaction, OpenError, SqliteJournal};
use crate::embedded::links::LocalLinks;
use crate::embedded::metadata::EmbeddedMetadata;
use crate::embedded::objects::{EmbeddedObjects, ObjectsError};
use crate::embedded::push_log::PushLog;
use crate::embedded::queues::{EmbeddedQueues, InvalidQueue, QueueConfig};
use crate::embedded::search::{EmbeddedSearch, SearchOpenError};
use crate::embedded::sqlite::DatabaseError;
use crate::fcm::FcmError;
use crate::ffmpeg::Ffmpeg;
use crate::surface::OneMachine;
use crate::upload_quota::UploadCounts;

/// Every embedded adapter.
pub struct EmbeddedAdapters {
    /// The journal's file.
    pub journal_path: PathBuf,
    /// The graph and the push gateway, within reach.
    pub one_machine: OneMachine,
    /// Every queue, for its depth.
    pub queues: Vec<Arc<dyn Queue>>,
    journal: Arc<SqliteJournal>,
    objects: Arc<EmbeddedObjects>,
    table: Arc<EmbeddedMetadata>,
    queue_files: EmbeddedQueues,
    gateway: Arc<dyn PushGateway>,
    intake: Arc<dyn Queue>,
    thumbnails: Arc<dyn Queue>,
    audio: Arc<dyn Queue>,
    metadata: Arc<dyn Queue>,
    dead_letters: Arc<dyn Queue>,
    ffmpeg: Option<Arc<Ffmpeg>>,
    search: Option<Arc<dyn SearchIndex>>,
    clock: Arc<dyn Clock>,
}

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// One of the other files.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The folder of files.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A queue.
    #[error(transparent)]
    Queue(#[from] InvalidQueue),
    /// The search index.
    #[error(transparent)]
    Search(#[from] SearchOpenError),
    /// The search index on OpenSearch.
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    /// The push gateway's log.
    #[error("{} cannot be written to: {source}", .path.display())]
    PushLog {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The gateway to Firebase.
    #[error(transparent)]
    Fcm(#[from] FcmError),
    /// The secret that links are signed with.
    #[error("the secret of links in the data folder cannot be read or made: {0}")]
    LinkKey(#[source] io::Error),
}

/// How often the stores are asked whether they still take writes.
const STOPPED_INTERVAL: Duration = Duration::from_millis(500);

impl EmbeddedAdapters {
    /// Opens or creates every store.
    pub async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let dir = &config.data.dir;
        let push_log = open_push_log(dir, clock)?;
        let gateway = gateways(config, clock, Arc::clone(&push_log) as _)?;
        let journal_path = dir.join("journal.db");
        let journal = open_journal(&journal_path, clock, config.inbox.retention()).await?;
        let graph = Arc::new(EmbeddedGraph::open(
            &dir.join("graph.db"),
            Arc::clone(clock),
        )?);
        let queue_files = EmbeddedQueues::open(&dir.join("queues.db"), Arc::clone(clock))?;
        // The lock on the data folder makes this daemon the only receiver.
        let released = queue_files.release_in_flight().await?;
        if released > 0 {
            tracing::info!(
                messages = released,
                "what was in hand before is received again"
            );
        }
        let queue = |name: &str| {
            queue_files.queue(QueueConfig {
                name: name.to_owned(),
                redrive: None,
            })
        };
        let intake = queue("media-topic")?;
        let thumbnails = queue("thumbnails")?;
        let audio = queue("audio")?;
        let metadata = queue("metadata")?;
        let dead_letters = queue("dead-letters.fifo")?;
        let table = Arc::new(EmbeddedMetadata::open(&dir.join("metadata.db"))?);
        let notifications = Some(Arc::clone(&intake));
        let bucket = &config.media.bucket;
        let files = dir.join("files");
        let objects = EmbeddedObjects::open(&files, bucket, notifications, Arc::clone(clock));
        let objects = Arc::new(objects.await?);
        let links = LocalLinks::open(dir, &config.delivery).map_err(EmbeddedError::LinkKey)?;
        let search = search_index(config, clock).await?;
        let queues = vec![
            Arc::clone(&intake),
            Arc::clone(&thumbnails),
            Arc::clone(&audio),
            Arc::clone(&metadata),
            Arc::clone(&dead_letters),
        ];
        Ok(Self {
            journal_path,
            one_machine: OneMachine {
                graph,
                objects: Arc::clone(&objects),
                links: Arc::new(links),
                push_log,
            },
            queues,
            journal,
            objects,
            table,
            queue_files,
            gateway,
            intake,
            thumbnails,
            audio,
            metadata,
            dead_letters,
            ffmpeg: ffmpeg(config),
            search,
            clock: Arc::clone(clock),
        })
    }

    /// The adapters as the actors see them.
    pub fn ports(&self) -> Ports {
        Ports {
            journal: Arc::clone(&self.journal) as _,
            inbox: Arc::clone(&self.journal) as _,
            stream: Arc::clone(&self.one_machine.graph) as _,
            graph: Arc::clone(&self.one_machine.graph) as _,
            gateway: Arc::clone(&self.gateway),
            store: Arc::clone(&self.objects) as _,
            table: Arc::clone(&self.table) as _,
            dead_letters: Arc::clone(&self.dead_letters),
            redrive: None,
            push_feedback: None,
            media_intake: Some(Arc::clone(&self.intake)),
            thumbnails: Arc::clone(&self.thumbnails),
            audio: Arc::clone(&self.audio),
            metadata: Arc::clone(&self.metadata),
            decoder: self.ffmpeg.clone().map(|ffmpeg| ffmpeg as _),
            encoder: self.ffmpeg.clone().map(|ffmpeg| ffmpeg as _),
            search: self.search.clone(),
            transcriber: None,
            clock: Arc::clone(&self.clock),
        }
    }

    /// What takes out of the journal what is over.
    pub(super) fn compaction(
        &self,
        projections: &Arc<Projections>,
        exports: PathBuf,
    ) -> Arc<Compaction> {
        let journal = SqliteJournal::clone(&self.journal);
        Arc::new(Compaction::new(journal, Arc::clone(projections), exports))
    }

    /// What counts people's uploads.
    pub(super) fn upload_counts(&self) -> Arc<dyn UploadCounts> {
        Arc::clone(&self.table) as _
    }

    /// Resolves with the reason once a store has met a full disk or an I/O error.
    pub async fn stopped(&self) -> String {
        let others = async {
            loop {
                tokio::time::sleep(STOPPED_INTERVAL).await;
                let stopped = [
                    ("graph", self.one_machine.graph.has_stopped()),
                    ("queues", self.queue_files.has_stopped()),
                    ("files", self.objects.has_stopped()),
                    ("metadata", self.table.has_stopped()),
                ];
                if let Some((name, _)) = stopped.into_iter().find(|(_, stopped)| *stopped) {
                    return format!("{name}: the disk is full or failed");
                }
            }
        };
        tokio::select! {
            reason = self.journal.stopped() => format!("journal: {reason}"),
            reason = others => reason,
        }
    }
}

async fn search_index(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn SearchIndex>>, EmbeddedError> {
    if !config.search.enabled {
        return Ok(None);
    }
    if let Some(index) = OpenSearch::open(config, clock).await? {
        return Ok(Some(Arc::new(index)));
    }
    let folder = config.data.dir.join("search");
    let index = EmbeddedSearch::open(&folder, &config.projection())?;
    Ok(Some(Arc::new(index)))
}

async fn open_journal(
    path: &Path,
    clock: &Arc<dyn Clock>,
    retention: Retention,
) -> Result<Arc<SqliteJournal>, EmbeddedError> {
    let (path, clock) = (path.to_owned(), Arc::clone(clock));
    let open = move || SqliteJournal::open_retaining(&path, clock, retention);
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(Arc::new(opened.expect("opening a journal does not panic")?))
}

fn open_push_log(dir: &Path, clock: &Arc<dyn Clock>) -> Result<Arc<PushLog>, EmbeddedError> {
    let path = dir.join("push.ndjson");
    let opened = PushLog::open(&path, Arc::clone(clock));
    Ok(Arc::new(opened.map_err(|source| {
        EmbeddedError::PushLog { path, source }
    })?))
}
