//! The actors of the groups `media` and `media-fan-out`.

use std::sync::Arc;

use super::child::{fair, intake, on, tell_now, waiting};
use super::{Ports, Settings, Shared};
use crate::audio_worker::{Analysing, AudioWorker, AudioWorkerContext, Encoding};
use crate::dlq_keeper::DlqMessage;
use crate::media_backfill::{MediaBackfill, MediaBackfillContext, Step, Workers};
use crate::media_job::{ByteBudget, DerivedFiles, MediaJournal, Offers};
use crate::media_topic::{Fan, MediaTopic, MediaTopicContext, Notice, QueueSubscription};
use crate::metadata_recorder::{MetadataRecorder, MetadataRecorderContext};
use crate::ports::Queue;
use crate::queue_intake::Delivery;
use crate::runtime::{ChildSpec, CpuPool, Group, Mailbox, PoolHandle};
use crate::thumbnail_worker::{Rendering, ThumbnailWorker, ThumbnailWorkerContext};

/// Notifications that a subscription may be behind the topic.
const TOPIC_BACKLOG: usize = 256;

/// A pool for each of the consumers' queues.
pub(super) fn consumers(group: &Group, shared: &Shared<'_>, dlq: &Mailbox<DlqMessage>) {
    let ports = shared.ports;
    let work = Work::new(shared, dlq);
    let pools = [
        (
            "metadata-intake",
            &ports.metadata,
            recorders(group, shared, &work),
        ),
        (
            "thumbnails-intake",
            &ports.thumbnails,
            thumbnailers(group, shared, &work),
        ),
        (
            "audio-intake",
            &ports.audio,
            listeners(group, shared, &work),
        ),
    ];
    for (name, queue, pool) in &pools {
        intake(group, name, queue, pool, shared);
    }
}

/// What all consumers work with.
struct Work {
    media: MediaJournal,
    derived: DerivedFiles,
    cpu: CpuPool,
    budget: ByteBudget,
}

impl Work {
    fn new(shared: &Shared<'_>, dlq: &Mailbox<DlqMessage>) -> Self {
        let Shared {
            ports, settings, ..
        } = *shared;
        let media = MediaJournal {
            journal: Arc::clone(&ports.journal),
            projections: Arc::clone(shared.projections),
            dlq: dlq.for_sender("media"),
            clock: Arc::clone(&ports.clock),
        };
        let derived = DerivedFiles {
            media: media.clone(),
            store: Arc::clone(&ports.store),
            table: Arc::clone(&ports.table),
            // Whoever derives files can be robbed of them.
            offers: offers_of_all(ports, settings),
        };
        Self {
            media,
            derived,
            cpu: CpuPool::new("media-cpu", settings.cpu_threads),
            budget: ByteBudget::new(settings.decode_budget_bytes),
        }
    }
}

fn recorders(group: &Group, shared: &Shared<'_>, work: &Work) -> PoolHandle<Delivery> {
    let Shared {
        ports, settings, ..
    } = *shared;
    let context = Arc::new(MetadataRecorderContext {
        media: work.media.clone(),
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        derived: work.derived.clone(),
        cpu: work.cpu.clone(),
        bytes_max: settings.file_bytes_max,
        deadline: settings.media_deadline,
    });
    let child = on("media", ChildSpec::new("metadata-recorder"));
    let spec = fair(child, settings.metadata_workers, settings.media_lookahead);
    group.pool(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(MetadataRecorder::new(&me, context)) }
    })
}

fn thumbnailers(group: &Group, shared: &Shared<'_>, work: &Work) -> PoolHandle<Delivery> {
    let Shared {
        ports, settings, ..
    } = *shared;
    let context = Arc::new(ThumbnailWorkerContext {
        media: work.media.clone(),
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        derived: work.derived.clone(),
        rendering: Rendering {
            cpu: work.cpu.clone(),
            budget: work.budget.clone(),
            limits: settings.limits.clone(),
            deadline: settings.media_deadline,
            decoder: ports.picture_decoder.clone(),
        },
        presets: settings.presets.clone(),
        prefixes: settings.thumbnail_prefixes.clone(),
    });
    let child = on("media", ChildSpec::new("thumbnail-worker"));
    let spec = fair(child, settings.thumbnail_workers, settings.media_lookahead);
    group.pool(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(ThumbnailWorker::new(&me, context)) }
    })
}

fn listeners(group: &Group, shared: &Shared<'_>, work: &Work) -> PoolHandle<Delivery> {
    let Shared {
        ports, settings, ..
    } = *shared;
    let context = Arc::new(AudioWorkerContext {
        media: work.media.clone(),
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        derived: work.derived.clone(),
        analysing: Analysing {
            cpu: work.cpu.clone(),
            budget: work.budget.clone(),
            limits: settings.audio_limits.clone(),
            deadline: settings.audio_deadline,
            decoder: ports.decoder.clone(),
        },
        encoding: Encoding {
            renditions: settings.renditions.clone(),
            encoder: ports.encoder.clone(),
            deadline: settings.rendition_deadline,
            counts: Arc::clone(shared.renditions),
        },
        transcriber: ports.transcriber.clone(),
        prefixes: settings.audio_prefixes.clone(),
    });
    let renditions = u32::try_from(settings.renditions.len()).unwrap_or(u32::MAX);
    let child = ChildSpec {
        stuck_after: settings.audio_deadline + settings.rendition_deadline * renditions,
        ..on("media", ChildSpec::new("audio-worker"))
    };
    let spec = fair(child, settings.audio_workers, settings.media_lookahead);
    group.pool(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(AudioWorker::new(&me, context)) }
    })
}

/// Everywhere, because whoever leads does it, also on a host that works on no files.
pub(super) fn backfill(group: &Group, shared: &Shared<'_>) {
    let Shared {
        ports, settings, ..
    } = *shared;
    let workers = |queue, prefixes: &[String]| Workers {
        offers: offers(ports, settings, &[queue]),
        queue: Arc::clone(queue),
        prefixes: prefixes.to_vec(),
    };
    let context = Arc::new(MediaBackfillContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        fleet: shared.fleet.clone(),
        table: Arc::clone(&ports.table),
        pictures: workers(&ports.thumbnails, &settings.thumbnail_prefixes),
        recordings: workers(&ports.audio, &settings.audio_prefixes),
        presets: settings.presets.clone(),
        renditions: settings.renditions.clone(),
    });
    let spec = ChildSpec {
        source: true,
        ..on("media", ChildSpec::new("media-backfill"))
    };
    let mailbox = group.child(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(MediaBackfill::new(&me, context)) }
    });
    tell_now(&mailbox, Step);
}

/// Does what SNS does elsewhere.
pub(super) fn fan_out(group: &Group, intake: &Arc<dyn Queue>, shared: &Shared<'_>) {
    let Shared { ports, health, .. } = *shared;
    let topic = group.broadcast::<Notice>("media-notices", TOPIC_BACKLOG);
    let consumers = [&ports.metadata, &ports.thumbnails, &ports.audio];
    let context = Arc::new(MediaTopicContext {
        intake: Arc::clone(intake),
        topic: topic.clone(),
        subscriptions: consumers.len(),
        health: Arc::clone(health),
        clock: Arc::clone(&ports.clock),
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("media", ChildSpec::new("media-topic")))
    };
    let mailbox = group.child(spec, move |_| {
        let context = Arc::clone(&context);
        async move { Ok(MediaTopic::new(context)) }
    });
    for queue in consumers {
        let queue = Arc::clone(queue);
        let name = format!("{}-subscription", queue.name());
        let subscription = group.child(on("media", ChildSpec::new(&*name)), move |_| {
            let queue = Arc::clone(&queue);
            async move { Ok(QueueSubscription::new(queue)) }
        });
        topic.subscribe(&name, subscription, |notice| notice);
    }
    tell_now(&mailbox, Fan);
}

/// Offers files once more to everybody who derives others from them.
pub(super) fn offers_of_all(ports: &Ports, settings: &Settings) -> Offers {
    offers(ports, settings, &[&ports.thumbnails, &ports.audio])
}

/// Offers files once more to consumers, by their queues.
fn offers(ports: &Ports, settings: &Settings, consumers: &[&Arc<dyn Queue>]) -> Offers {
    Offers {
        store: Arc::clone(&ports.store),
        queues: consumers.iter().copied().map(Arc::clone).collect(),
        bucket: settings.bucket.clone(),
        clock: Arc::clone(&ports.clock),
    }
}
