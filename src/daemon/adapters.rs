//! The adapters that a daemon stands on: all embedded, or all on AWS.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use iyagi_actors::ports::{Clock, PictureDecoder, Queue};
use iyagi_actors::projections::Projections;
use iyagi_actors::runtime::System;
use iyagi_actors::tree::{Ports, Tree};
use iyagi_messages::ids::MemberId;
use thiserror::Error;

use super::aws::{AwsAdapters, AwsError};
use super::embedded::{EmbeddedAdapters, EmbeddedError};
use super::fleet_life::FleetLife;
use crate::aws::clients::ClientsError;
use crate::aws::instance::Instance;
use crate::config::{Config, ExportsPlace};
use crate::embedded::journal::Compaction;
use crate::ffmpeg::Ffmpeg;
use crate::links::Links;
use crate::spool::Spool;
use crate::surface::OneMachine;
use crate::upload_quota::UploadCounts;

/// Every adapter of a daemon.
pub enum Adapters {
    /// On this machine.
    Embedded(Box<EmbeddedAdapters>),
    /// On AWS, with what must be run once the actors are there.
    Aws(Box<AwsAdapters>),
}

/// Why an adapter cannot be opened.
#[derive(Debug, Error)]
pub enum AdapterError {
    /// On this machine.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// On AWS.
    #[error(transparent)]
    Aws(#[from] Box<AwsError>),
}

impl AdapterError {
    /// Whether starting again cannot help as long as the configuration is what it is.
    pub fn is_of_configuration(&self) -> bool {
        match self {
            Self::Embedded(error) => {
                matches!(error, EmbeddedError::Fcm(_) | EmbeddedError::OpenSearch(_))
            }
            Self::Aws(error) => matches!(
                **error,
                AwsError::Clients(ClientsError::NoRegion)
                    | AwsError::NoGraph
                    | AwsError::Fcm(_)
                    | AwsError::DeliveryKey(_)
                    | AwsError::Search(_)
                    | AwsError::Overlap { .. }
            ),
        }
    }
}

/// What decodes recordings that the engine does not, and encodes renditions, if it is configured.
pub(super) fn ffmpeg(config: &Config, spool: &Arc<Spool>) -> Option<Arc<Ffmpeg>> {
    let audio = &config.media.audio;
    let program = audio.ffmpeg.clone()?;
    let (bytes_max, duration_s_max) = (audio.limits.bytes_max, audio.limits.duration_s_max);
    let ffmpeg = Ffmpeg::new(program, Arc::clone(spool), bytes_max, duration_s_max);
    Some(Arc::new(ffmpeg))
}

/// What decodes pictures that the engine only takes apart, if that is asked for.
pub(super) fn picture_decoder(
    config: &Config,
    ffmpeg: Option<&Arc<Ffmpeg>>,
) -> Option<Arc<dyn PictureDecoder>> {
    let ffmpeg = ffmpeg.filter(|_| config.media.heif)?;
    Some(Arc::clone(ffmpeg) as _)
}

/// The daemon's own spool, without what an earlier one may have left.
pub(super) fn spool(config: &Config) -> Arc<Spool> {
    let spool = Spool::of(config);
    spool.clear();
    Arc::new(spool)
}

/// What follows a shared journal, until it is run.
pub(super) type Following = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Adapters {
    /// Opens what the configuration asks for. What follows a shared journal is to be given to [`Adapters::live`].
    pub(super) async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Self, Option<Following>), AdapterError> {
        if config.aws.enabled {
            let opened = AwsAdapters::open(config, clock).await;
            let (adapters, following) = opened.map_err(Box::new)?;
            Ok((Self::Aws(Box::new(adapters)), Some(following)))
        } else {
            let adapters = EmbeddedAdapters::open(config, clock).await?;
            Ok((Self::Embedded(Box::new(adapters)), None))
        }
    }

    /// The adapters as the actors see them.
    pub fn ports(&self) -> Ports {
        match self {
            Self::Embedded(adapters) => adapters.ports(),
            Self::Aws(adapters) => adapters.ports(),
        }
    }

    /// The journal's file, or that of its copy.
    pub fn journal_path(&self) -> PathBuf {
        match self {
            Self::Embedded(adapters) => adapters.journal_path.clone(),
            Self::Aws(adapters) => adapters.journal_path.clone(),
        }
    }

    /// What takes out of the journal what is over, if exports have a place.
    pub(super) fn compaction(
        &self,
        projections: &Arc<Projections>,
        config: &Config,
    ) -> Option<Arc<Compaction>> {
        match (self, config.exports_place()) {
            (Self::Embedded(adapters), ExportsPlace::Folder(exports)) => {
                Some(adapters.compaction(projections, exports))
            }
            (Self::Embedded(_), ExportsPlace::Bucket { .. }) => None,
            (Self::Aws(adapters), _) => adapters.compaction(projections),
        }
    }

    /// Every queue, for its depth.
    pub fn queues(&self) -> Vec<Arc<dyn Queue>> {
        match self {
            Self::Embedded(adapters) => adapters.queues.clone(),
            Self::Aws(adapters) => adapters.queues.clone(),
        }
    }

    /// Room on this machine's disk for what is on its way.
    pub fn spool(&self) -> Arc<Spool> {
        match self {
            Self::Embedded(adapters) => Arc::clone(&adapters.spool),
            Self::Aws(adapters) => Arc::clone(&adapters.spool),
        }
    }

    /// What only a daemon with everything on one machine has.
    pub fn one_machine(&self) -> Option<OneMachine> {
        match self {
            Self::Embedded(adapters) => Some(adapters.one_machine.clone()),
            Self::Aws(_) => None,
        }
    }

    /// What makes links to files.
    pub fn links(&self) -> Arc<dyn Links> {
        match self {
            Self::Embedded(adapters) => Arc::clone(&adapters.one_machine.links) as _,
            Self::Aws(adapters) => adapters.links(),
        }
    }

    /// What counts people's uploads.
    pub fn upload_counts(&self) -> Arc<dyn UploadCounts> {
        match self {
            Self::Embedded(adapters) => adapters.upload_counts(),
            Self::Aws(adapters) => adapters.upload_counts(),
        }
    }

    /// What the other hosts know this one as, if there are others.
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Self::Embedded(_) => None,
            Self::Aws(adapters) => Some(adapters.membership().id.clone()),
        }
    }

    /// The instance that the daemon runs on, if notices of its end may be looked for.
    pub(super) fn instance(&self) -> Option<Arc<Instance>> {
        match self {
            Self::Embedded(_) => None,
            Self::Aws(adapters) => adapters.instance(),
        }
    }

    /// Starts what works beside the actors, if anything does.
    pub(super) fn live(
        &self,
        system: &System,
        tree: &Tree,
        following: Option<Following>,
    ) -> Option<FleetLife> {
        match self {
            Self::Embedded(_) => None,
            Self::Aws(adapters) => {
                following.map(|following| adapters.live(system, tree, following))
            }
        }
    }

    /// Resolves with the reason once a store has met a full disk or an I/O error.
    pub async fn stopped(&self) -> String {
        match self {
            Self::Embedded(adapters) => adapters.stopped().await,
            Self::Aws(adapters) => adapters.stopped().await,
        }
    }
}
