//! The embedded adapters of every port, opened in one data folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iyagi_actors::journal::{Journal, JournalFault};
use iyagi_actors::ports::{
    ChangeStream, Clock, PictureDecoder, PushGateway, Queue, Retention, SearchIndex, StoreFault,
    StreamFault,
};
use iyagi_actors::projections::Projections;
use iyagi_actors::subscription_matcher::bootstrap::BootstrapError;
use iyagi_actors::tree::Ports;
use iyagi_messages::ids::Pos;
use thiserror::Error;

use super::adapters::{ffmpeg, picture_decoder, spool};
use super::companions::{Parted, check_graph, check_journal};
use super::gateways::gateways;
use super::known_graph;
use crate::aws::opensearch::{OpenSearch, OpenSearchError};
use crate::config::{Config, DataConfig};
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::{Compaction, OpenError, Place, SqliteJournal};
use crate::embedded::links::LocalLinks;
use crate::embedded::metadata::EmbeddedMetadata;
use crate::embedded::objects::{EmbeddedObjects, ObjectsError};
use crate::embedded::push_log::PushLog;
use crate::embedded::queues::{EmbeddedQueues, InvalidQueue, QueueConfig};
use crate::embedded::search::{EmbeddedSearch, SearchOpenError};
use crate::embedded::sqlite::DatabaseError;
use crate::fcm::FcmError;
use crate::ffmpeg::Ffmpeg;
use crate::search_rebuild::{Rebuild, RebuildError};
use crate::spool::Spool;
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
    /// Room on the disk for what is on its way.
    pub spool: Arc<Spool>,
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
    picture_decoder: Option<Arc<dyn PictureDecoder>>,
    ffmpeg: Option<Arc<Ffmpeg>>,
    search: Option<Arc<dyn SearchIndex>>,
    clock: Arc<dyn Clock>,
}

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// The journal's events.
    #[error("{}: {source}", .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: JournalFault,
    },
    /// The journal does not answer.
    #[error(transparent)]
    JournalFault(#[from] JournalFault),
    /// The change log does not say where it begins.
    #[error("the change log cannot be read: {0}")]
    Log(#[source] StreamFault),
    /// The graph cannot be read for the matcher.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// Journal and graph do not belong together.
    #[error(transparent)]
    Parted(#[from] Parted),
    /// One of the other files.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The folder of files.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// Its objects cannot be told of once more.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A queue.
    #[error(transparent)]
    Queue(#[from] InvalidQueue),
    /// The search index.
    #[error(transparent)]
    Search(#[from] SearchOpenError),
    /// The search index, as it is made anew.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
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

impl EmbeddedError {
    /// What is wrong with a journal.
    pub(super) fn of_journal(path: &Path, error: OpenError) -> Self {
        match error {
            OpenError::Database(error) => error.into(),
            OpenError::Fault(source) => Self::Journal {
                path: path.to_owned(),
                source,
            },
        }
    }
}

impl EmbeddedAdapters {
    /// Opens or creates every store.
    pub async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let dir = &config.data.dir;
        let push_log = open_push_log(&config.data, clock)?;
        let gateway = gateways(config, clock, Arc::clone(&push_log) as _)?;
        let journal_path = dir.join("journal.db");
        let (graph, journal) = open_graph_and_journal(config, &journal_path, clock).await?;
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
        let (objects, table) = open_files(config, &intake, clock).await?;
        let links = LocalLinks::open(dir, &config.delivery).map_err(EmbeddedError::LinkKey)?;
        let search = search_index(config, &graph, clock).await?;
        let spool = spool(config);
        let ffmpeg = ffmpeg(config, &spool);
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
            picture_decoder: picture_decoder(config, ffmpeg.as_ref()),
            ffmpeg,
            spool,
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
            picture_decoder: self.picture_decoder.clone(),
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
        let kept = Place::Folder(exports);
        Arc::new(Compaction::new(
            journal,
            Arc::clone(projections),
            kept,
            None,
        ))
    }

    /// What counts people's uploads.
    pub(super) fn upload_counts(&self) -> Arc<dyn UploadCounts> {
        Arc::clone(&self.table) as _
    }

    /// Resolves with the reason once a store has met a full disk, an I/O error or damage.
    pub async fn stopped(&self) -> String {
        tokio::select! {
            reason = self.journal.stopped() => reason,
            reason = self.one_machine.graph.stopped() => reason,
            reason = self.queue_files.stopped() => reason,
            reason = self.objects.stopped() => reason,
            reason = self.table.stopped() => reason,
        }
    }
}

async fn open_graph_and_journal(
    config: &Config,
    journal_path: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<EmbeddedGraph>, Arc<SqliteJournal>), EmbeddedError> {
    let dir = &config.data.dir;
    let graph = EmbeddedGraph::open(&dir.join("graph.db"), Arc::clone(clock))?;
    let seen = graph.journal_seen().await?;
    if !journal_path.exists() {
        // Before there is one again, which would be in the way of the copy that is put back.
        check_journal(dir, Pos::default(), seen)?;
    }
    let retention = config.inbox.retention();
    let (journal, head) = open_journal(journal_path, clock, retention).await?;
    check_journal(dir, head, seen)?;
    check_graph(config, &graph).await?;
    known_graph::make_known(config, &graph, &journal, head, clock).await?;
    Ok((Arc::new(graph), journal))
}

async fn open_files(
    config: &Config,
    notifications: &Arc<dyn Queue>,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<EmbeddedObjects>, Arc<EmbeddedMetadata>), EmbeddedError> {
    let dir = &config.data.dir;
    let (files, bucket) = (dir.join("files"), &config.media.bucket);
    let notifications = Some(Arc::clone(notifications));
    let objects = EmbeddedObjects::open(&files, bucket, notifications, Arc::clone(clock)).await?;
    let path = dir.join("metadata.db");
    if !path.exists() {
        // If it was lost, what it knew is read from the files again: before there is one, so that a crash repeats it.
        let files = objects.announce_all().await?;
        if files > 0 {
            tracing::warn!(
                files,
                "the metadata table is new, and all files are recorded in it"
            );
        }
    }
    let table = EmbeddedMetadata::open(&path, Arc::clone(clock))?;
    Ok((Arc::new(objects), Arc::new(table)))
}

async fn search_index(
    config: &Config,
    graph: &Arc<EmbeddedGraph>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn SearchIndex>>, EmbeddedError> {
    if !config.search.enabled {
        return Ok(None);
    }
    if let Some(index) = OpenSearch::open(config, clock).await? {
        return Ok(Some(Arc::new(index)));
    }
    let folder = config.data.dir.join("search");
    let mut index = EmbeddedSearch::open(&folder, &config.projection())?;
    let at = index.cursor().await.map_err(RebuildError::from)?;
    let first = graph.first_commit().await.map_err(EmbeddedError::Log)?;
    if first > at.commit + 1 {
        tracing::warn!(
            first,
            "the change log no longer has what the search index lacks; it is made anew from the graph"
        );
        let (graph, clock) = (Arc::clone(graph), Arc::clone(clock));
        // The lock on the data folder is held, and nobody is listened to yet.
        let rebuild = Rebuild::at_rest(graph, config.clone(), clock).await?;
        rebuild.build(None, |_| {}).await?;
        rebuild.publish().await?;
        index = EmbeddedSearch::open(&folder, &config.projection())?;
    }
    Ok(Some(Arc::new(index)))
}

async fn open_journal(
    path: &Path,
    clock: &Arc<dyn Clock>,
    retention: Retention,
) -> Result<(Arc<SqliteJournal>, Pos), EmbeddedError> {
    let (file, clock) = (path.to_owned(), Arc::clone(clock));
    let open = move || SqliteJournal::open_retaining(&file, clock, retention);
    let opened = tokio::task::spawn_blocking(open).await;
    let of_journal = |error| EmbeddedError::of_journal(path, error);
    let journal = opened
        .expect("opening a journal does not panic")
        .map_err(of_journal)?;
    let head = journal
        .head()
        .await
        .map_err(|fault| of_journal(fault.into()))?;
    Ok((Arc::new(journal), head))
}

fn open_push_log(data: &DataConfig, clock: &Arc<dyn Clock>) -> Result<Arc<PushLog>, EmbeddedError> {
    let path = data.dir.join("push.ndjson");
    let opened = PushLog::open(&path, data.push_log_rotation(), Arc::clone(clock));
    Ok(Arc::new(opened.map_err(|source| {
        EmbeddedError::PushLog { path, source }
    })?))
}
