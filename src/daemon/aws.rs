//! The adapters of every port on AWS, and this host's place in its fleet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::fleet::Fleet;
use iyagi_actors::fleet::keeper::{FleetKeeper, FleetKeeperContext, Membership};
use iyagi_actors::journal::Journal;
use iyagi_actors::ports::{Clock, LeaseFault, Leases, Queue, Retention, Transcriber};
use iyagi_actors::projections::Projections;
use iyagi_actors::runtime::System;
use iyagi_actors::tree::{Ports, Tree};
use thiserror::Error;

use super::adapters::{Following, ffmpeg, picture_decoder, spool};
use super::fleet_life::{FleetLife, report, share};
use super::gateways::gateways;
use super::host::{HostError, host_of};
use super::on_threads::OnThreads;
use crate::aws::check::Overlap;
use crate::aws::clients::{Clients, ClientsError};
use crate::aws::cloudfront::key::KeyError;
use crate::aws::dynamodb::leases::DynamoLeases;
use crate::aws::dynamodb::metadata::DynamoMetadata;
use crate::aws::instance::Instance;
use crate::aws::journal::{self, LogSweep, Parts, SharedJournal};
use crate::aws::links::AwsLinks;
use crate::aws::names::Names;
use crate::aws::neptune::{NeptuneGraph, NeptuneStream};
use crate::aws::opensearch::{OpenSearch, OpenSearchError};
use crate::aws::s3::{OpenBucketError, S3Objects};
use crate::aws::sns::{Applications, ApplicationsError, DynamoEndpoints, SnsGateway, SnsSettings};
use crate::aws::sqs::{OpenQueueError, SqsQueue};
use crate::aws::transcribe::AmazonTranscribe;
use crate::config::{Config, Role};
use crate::embedded::journal::{Compaction, OpenError, Place, Sharing, SqliteJournal};
use crate::fcm::FcmError;
use crate::links::Links;
use crate::retention::exports_bucket;
use crate::spool::Spool;
use crate::upload_quota::UploadCounts;

/// Every adapter on AWS.
pub struct AwsAdapters {
    /// The copy's file.
    pub journal_path: PathBuf,
    /// Every queue, for its depth.
    pub queues: Vec<Arc<dyn Queue>>,
    /// Room on the disk for what is on its way.
    pub spool: Arc<Spool>,
    ports: Ports,
    links: Arc<dyn Links>,
    upload_counts: Arc<dyn UploadCounts>,
    copy: Arc<SqliteJournal>,
    journal: Arc<SharedJournal>,
    sweep: Arc<LogSweep>,
    /// Where the journal's exports are kept, if that is a bucket.
    exports: Option<Place>,
    leases: Arc<dyn Leases>,
    membership: Membership,
    instance: Option<Arc<Instance>>,
    config: Config,
}

/// Why an adapter on AWS cannot be opened.
#[derive(Debug, Error)]
pub enum AwsError {
    /// The clients.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The graph's address is not configured.
    #[error("`aws.neptune_endpoint` is missing: the graph's change log is read there")]
    NoGraph,
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] OpenBucketError),
    /// The bucket tells of what the daemon itself writes.
    #[error("{overlap}; {}", Overlap::CURE)]
    Overlap {
        /// The rule that does.
        overlap: Overlap,
    },
    /// A queue.
    #[error(transparent)]
    Queue(#[from] OpenQueueError),
    /// A platform application.
    #[error(transparent)]
    Applications(#[from] ApplicationsError),
    /// The gateway to Firebase.
    #[error(transparent)]
    Fcm(#[from] FcmError),
    /// The key that links are signed with.
    #[error(transparent)]
    DeliveryKey(#[from] KeyError),
    /// The search index.
    #[error(transparent)]
    Search(#[from] OpenSearchError),
    /// This host's name.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The leases.
    #[error(transparent)]
    Leases(#[from] LeaseFault),
    /// The copy of the journal.
    #[error(transparent)]
    Copy(#[from] OpenError),
    /// The shared journal.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
}

impl AwsAdapters {
    /// Opens everything, and makes this host known to the others. The future that it also yields must be run once the
    /// journal's hooks are in place.
    pub(super) async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Self, Following), AwsError> {
        let aws = &config.aws;
        let clients = Clients::new(aws).await?;
        let names = Names::new(&aws.name_prefix);
        let call_timeout = Duration::from_millis(aws.call_timeout_ms);
        let neptune = clients.neptune.clone().ok_or(AwsError::NoGraph)?;
        let bucket = &config.media.bucket;
        let spool = spool(config);
        let store = S3Objects::open(clients.s3.clone(), bucket, call_timeout, Arc::clone(&spool));
        let store = Arc::new(store.await?);
        if config.fleet.roles.contains(&Role::Media) {
            refuse_own_output(&clients, config).await?;
        }
        let queue = async |name: &str, queue: String| -> Result<Arc<dyn Queue>, AwsError> {
            let client = clients.sqs.clone();
            let queue = SqsQueue::open(client, name, &queue, call_timeout).await?;
            Ok(Arc::new(queue) as Arc<dyn Queue>)
        };
        let thumbnails = queue("thumbnails", names.thumbnails_queue()).await?;
        let audio = queue("audio", names.audio_queue()).await?;
        let metadata = queue("metadata", names.metadata_queue()).await?;
        let dead_letters = queue("dead-letters.fifo", names.dead_letters_queue()).await?;
        let redrive = queue("redrive.fifo", names.redrive_queue()).await?;
        let feedback = queue("push-feedback", names.feedback_queue()).await?;
        let applications = Applications::find(&clients.sns, aws, &names).await?;
        let registry = DynamoEndpoints::new(
            clients.dynamodb.clone(),
            names.endpoints_table(),
            Arc::clone(clock),
        );
        let settings = SnsSettings {
            publish_per_second: aws.publish_per_second,
            endpoint_calls_per_second: aws.endpoint_calls_per_second,
            timeout: Duration::from_millis(config.push.gateway_timeout_ms),
        };
        let gateway = SnsGateway::new(&clients.sns, applications, Arc::new(registry), settings);
        let gateway = Arc::new(OnThreads::of_here(Arc::new(gateway)));
        let gateway = gateways(config, clock, gateway)?;
        let leases: Arc<dyn Leases> = Arc::new(DynamoLeases::new(
            clients.dynamodb.clone(),
            names.leases_table(),
        ));
        let host = host_of(&config.data.dir)?;
        let pushes = config.fleet.roles.contains(&Role::Pusher);
        let membership = Membership::join(&*leases, &host, pushes).await?;
        let journal_path = config.data.dir.join("journal.db");
        let copy = Arc::new(open_copy(&journal_path, clock, config.inbox.retention()).await?);
        let parts = Parts {
            client: clients.dynamodb.clone(),
            table: names.journal_table(),
            replica: Arc::clone(&copy) as _,
            store: Arc::clone(&store) as _,
            member: membership.id.clone(),
            clock: Arc::clone(clock),
        };
        let (journal, following) = SharedJournal::open(parts).await?;
        let journal = Arc::new(journal);
        let ffmpeg = ffmpeg(config, &spool);
        let transcripts = &config.media.transcripts;
        let transcriber = transcripts.enabled.then(|| {
            let transcribe = AmazonTranscribe::new(
                clients.transcribe.clone(),
                Arc::clone(&store) as _,
                bucket,
                &aws.name_prefix,
                &transcripts.languages,
            );
            Arc::new(transcribe) as Arc<dyn Transcriber>
        });
        let links = AwsLinks::open(&config.delivery, &clients, Arc::clone(&store))?;
        let search = OpenSearch::open(config, clock).await?;
        let table = Arc::new(DynamoMetadata::new(
            clients.dynamodb.clone(),
            names.metadata_table(),
            Arc::clone(clock),
        ));
        let ports = Ports {
            journal: Arc::clone(&journal) as _,
            // Every host has the whole journal in its copy, and so every inbox.
            inbox: Arc::clone(&copy) as _,
            stream: Arc::new(NeptuneStream::new(neptune.clone())),
            graph: Arc::new(NeptuneGraph::new(neptune)),
            gateway,
            store,
            table: Arc::clone(&table) as _,
            dead_letters: Arc::clone(&dead_letters),
            redrive: Some(Arc::clone(&redrive)),
            push_feedback: Some(Arc::clone(&feedback)),
            media_intake: None,
            thumbnails: Arc::clone(&thumbnails),
            audio: Arc::clone(&audio),
            metadata: Arc::clone(&metadata),
            search: search.map(|index| Arc::new(index) as _),
            picture_decoder: picture_decoder(config, ffmpeg.as_ref()),
            decoder: ffmpeg.clone().map(|ffmpeg| ffmpeg as _),
            encoder: ffmpeg.map(|ffmpeg| ffmpeg as _),
            transcriber,
            clock: Arc::clone(clock),
        };
        let adapters = Self {
            journal_path,
            spool,
            queues: vec![thumbnails, audio, metadata, dead_letters, redrive, feedback],
            ports,
            links: Arc::new(links),
            upload_counts: table,
            copy,
            journal,
            sweep: Arc::new(LogSweep::new(
                clients.dynamodb.clone(),
                names.journal_table(),
                Arc::clone(clock),
            )),
            exports: exports_bucket(config, &clients),
            leases,
            membership,
            instance: Instance::here(clients.autoscaling, aws.lifecycle_hook.clone()).map(Arc::new),
            config: config.clone(),
        };
        Ok((adapters, Box::pin(following)))
    }

    /// The adapters as the actors see them.
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// What makes links to files.
    pub(super) fn links(&self) -> Arc<dyn Links> {
        Arc::clone(&self.links)
    }

    /// What counts people's uploads.
    pub(super) fn upload_counts(&self) -> Arc<dyn UploadCounts> {
        Arc::clone(&self.upload_counts)
    }

    /// What others know this start of the daemon as.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The instance that the daemon runs on, if notices of its end may be looked for.
    pub(super) fn instance(&self) -> Option<Arc<Instance>> {
        self.instance.clone()
    }

    /// What takes out of the shared journal what is over, if exports have a bucket.
    pub(super) fn compaction(&self, projections: &Arc<Projections>) -> Option<Arc<Compaction>> {
        let sharing = Sharing {
            journal: Arc::clone(&self.journal) as _,
            log: Arc::clone(&self.sweep) as _,
            fleet: Fleet::member(self.membership.id.clone(), Arc::clone(projections)),
        };
        let copy = SqliteJournal::clone(&self.copy);
        let kept = self.exports.clone()?;
        let compaction = Compaction::new(copy, Arc::clone(projections), kept, Some(sharing));
        Some(Arc::new(compaction))
    }

    /// Resolves with the reason once the copy has met a full disk or an I/O error, or can no longer follow the log.
    pub async fn stopped(&self) -> String {
        let reason = tokio::select! {
            reason = self.copy.stopped() => reason,
            reason = self.journal.outrun() => reason,
        };
        format!("journal: {reason}")
    }

    /// Starts what works beside the actors.
    pub(super) fn live(&self, system: &System, tree: &Tree, following: Following) -> FleetLife {
        let roles = &self.config.fleet.roles;
        let context = FleetKeeperContext {
            leases: Arc::clone(&self.leases),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            projections: Arc::clone(&tree.projections),
            health: Arc::clone(&tree.health),
            clock: Arc::clone(&self.ports.clock),
            patience: Duration::from_millis(self.config.fleet.lease_ms),
            candidate: roles.contains(&Role::Poller),
            pushes: roles.contains(&Role::Pusher),
        };
        let keeper = FleetKeeper::new(context, self.membership.clone());
        let beside = vec![
            system.spawn_named("shared-journal", following),
            system.spawn_named(
                "shared-journal-health",
                report(self.journal.reachable(), tree, &self.ports.clock),
            ),
            system.spawn_named("push-quota", share(Arc::clone(&self.ports.gateway), tree)),
        ];
        FleetLife::begin(system, keeper, beside)
    }
}

/// A daemon that was told of its own output would work for nobody, and be paid for.
async fn refuse_own_output(clients: &Clients, config: &Config) -> Result<(), AwsError> {
    match Overlap::find(clients, config).await {
        Ok(None) => Ok(()),
        Ok(Some(overlap)) => Err(AwsError::Overlap { overlap }),
        Err(fault) => {
            tracing::warn!(%fault, "it is not known whether the bucket tells of derived files");
            Ok(())
        }
    }
}

/// Opens the copy; one that is damaged is set aside, because the log has everything that was in it.
async fn open_copy(
    path: &Path,
    clock: &Arc<dyn Clock>,
    retention: Retention,
) -> Result<SqliteJournal, AwsError> {
    let open = async || {
        let (path, clock) = (path.to_owned(), Arc::clone(clock));
        let open = move || SqliteJournal::open_copy(&path, clock, retention);
        let opened = tokio::task::spawn_blocking(open);
        opened.await.expect("opening a journal does not panic")
    };
    let error = match open().await {
        Ok(copy) => return Ok(copy),
        Err(error @ OpenError::Fault(_)) => error,
        Err(error) => return Err(error.into()),
    };
    let aside = path.with_extension("db.damaged");
    tracing::error!(%error, aside = %aside.display(), "the copy of the journal is set aside and made again from the log");
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&aside, suffix));
        if let Err(error) = std::fs::rename(&from, &to)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let path = from.display().to_string();
            return Err(HostError::Unwritable {
                path,
                reason: error.to_string(),
            }
            .into());
        }
    }
    Ok(open().await?)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
