//! The whole supervision tree, top to bottom:
//!
//! ```text
//! root                      one for one
//! ├── media-fan-out         one for one    MediaTopic → metadata-subscription, thumbnails-subscription,
//! │                                        audio-subscription
//! ├── ingest                rest for one   StreamPoller → SubscriptionMatcher
//! ├── redrive               one for one    redrive-intake → Redriver
//! ├── push                  one for one    PushFeeder → PushSender pool, DlqKeeper, PushFeedback
//! └── media                 one for one    metadata-intake → MetadataRecorder pool,
//!                                          thumbnails-intake → ThumbnailWorker pool, MediaBackfill,
//!                                          audio-intake → AudioWorker pool
//! ```
//!
//! A host of a fleet plants what its roles need; a dead-letter keeper is everywhere.
//!
//! What it is planted in (ports, roles, settings) is in `soil`.
//!
//! The journal stands outside: it is a thread of its own, and without it nothing here goes on.

mod soil;

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::ids::MemberId;
use tokio::sync::watch;

pub use self::soil::{Ports, Roles, Settings};
use crate::audio_worker::{Analysing, AudioWorker, AudioWorkerContext, Encoding, RenditionCounts};
use crate::dlq_keeper::{DlqKeeper, DlqKeeperContext, DlqMessage};
use crate::fleet::Fleet;
use crate::health::Health;
use crate::inbox::InboxReader;
use crate::journal::JournalFault;
use crate::media_backfill::{MediaBackfill, MediaBackfillContext, Step};
use crate::media_job::{DecodeBudget, DerivedFiles, MediaJournal, Offers};
use crate::media_topic::{Fan, MediaTopic, MediaTopicContext, Notice, QueueSubscription};
use crate::metadata_recorder::{MetadataRecorder, MetadataRecorderContext};
use crate::platforms::Platforms;
use crate::ports::Queue;
use crate::projections::{Projections, RecentlyAccepted, TrafficPolicy};
use crate::push_feedback::{FeedbackCounts, Hear, PushFeedback, PushFeedbackContext};
use crate::push_feeder::{Feed, PushFeeder, PushFeederContext};
use crate::push_sender::rendering::Names;
use crate::push_sender::{PushJob, PushSender, PushSenderContext};
use crate::queue_intake::{Deliveries, Delivery, QueueIntake, QueueIntakeContext, Receive};
use crate::redriver::{Redriver, RedriverContext};
use crate::runtime::{
    ChildSpec, CpuPool, Fault, Group, Intensity, Mailbox, Placement, PoolHandle, PoolSpec,
    Strategy, System,
};
use crate::stream_poller::{Poll, StreamPoller, StreamPollerContext};
use crate::subscription_matcher::{Commits, SubscriptionMatcher, SubscriptionMatcherContext};
use crate::thumbnail_worker::{Rendering, ThumbnailWorker, ThumbnailWorkerContext};

/// The running tree, as far as others speak to it.
pub struct Tree {
    /// What is folded from the journal.
    pub projections: Arc<Projections>,
    /// Which push services are sent to.
    pub platforms: Arc<Platforms>,
    /// How the dependencies are.
    pub health: Arc<Health>,
    /// Takes redrives and purges.
    pub dlq: Mailbox<DlqMessage>,
    /// Reads what people were told.
    pub inbox: Arc<InboxReader>,
    /// Messages about delivery that led to nothing, if there are any messages.
    pub feedback: Option<Arc<FeedbackCounts>>,
    /// What came of the renditions of recordings.
    pub renditions: Arc<RenditionCounts>,
}

/// Restarts that the root bears before the daemon gives up: enough for a bad moment, too few for a loop.
pub const ROOT_INTENSITY: Intensity = Intensity {
    max: 3,
    within: Duration::from_mins(1),
};
/// Messages of whole commits between poller and matcher; each has up to a few thousand records.
const COMMITS_BETWEEN: usize = 4;
/// Notifications that a subscription may be behind the topic.
const TOPIC_BACKLOG: usize = 256;
/// A worker restarts at once and seldom; a group is given up when its children keep failing.
const GROUP_INTENSITY: Intensity = Intensity {
    max: 5,
    within: Duration::from_mins(1),
};

/// Starts every actor, from the sinks up to the sources. `member` is what others of a fleet know this host as.
pub async fn plant(
    system: &System,
    ports: &Ports,
    settings: &Settings,
    member: Option<MemberId>,
) -> Result<Tree, JournalFault> {
    let policy = TrafficPolicy {
        rate: settings.rate,
        remembered_ms: settings.templates.longest_window_ms(),
    };
    let projections = Projections::recover(&*ports.journal, policy).await?;
    let fleet = match member.clone() {
        Some(me) => Fleet::member(me, Arc::clone(&projections)),
        None => Fleet::alone(Arc::clone(&projections)),
    };
    let platforms = Platforms::new(
        Arc::clone(&projections),
        member.as_ref(),
        settings.breaker,
        settings.gateway_timeout,
        ports.clock.now(),
    );
    let health = Arc::new(Health::default());
    let names = Names::new(
        Arc::clone(&ports.graph),
        Arc::clone(&ports.clock),
        settings.model.clone(),
    );
    let inbox = Arc::new(InboxReader {
        store: Arc::clone(&ports.inbox),
        projections: Arc::clone(&projections),
        names: Arc::new(names),
        templates: Arc::clone(&settings.templates),
        texts: Arc::clone(&settings.texts),
    });
    let renditions = Arc::new(RenditionCounts::default());
    let group = |name: &str, strategy| system.group(name, strategy, GROUP_INTENSITY);
    // Declared in the order in which a drain empties them.
    let fan_out = group("media-fan-out", Strategy::OneForOne);
    let ingest = group("ingest", Strategy::RestForOne);
    let redrive = group("redrive", Strategy::OneForOne);
    let push = group("push", Strategy::OneForOne);
    let media = group("media", Strategy::OneForOne);

    let shared = Shared {
        ports,
        settings,
        projections: &projections,
        fleet: &fleet,
        platforms: &platforms,
        health: &health,
        inbox: &inbox,
        renditions: &renditions,
    };
    let dlq = dead_letters(&push, &shared);
    if settings.roles.push {
        push_group(&push, &shared, &dlq);
    }
    let feedback = match ports.push_feedback.as_ref().filter(|_| settings.roles.push) {
        Some(queue) => Some(feedback(&push, queue, &shared).await?),
        None => None,
    };
    if settings.roles.ingest {
        ingest_group(&ingest, &shared);
    }
    if let Some(queue) = ports.redrive.as_ref().filter(|_| settings.roles.push) {
        redrive_group(&redrive, queue, &shared, &dlq);
    }
    backfill(&media, &shared);
    if settings.roles.media {
        media_group(&media, &shared, &dlq);
        if let Some(intake) = &ports.media_intake {
            fan_out_group(&fan_out, ports, intake, &health);
        }
    }
    Ok(Tree {
        projections,
        platforms,
        health,
        dlq,
        inbox,
        feedback,
        renditions,
    })
}

/// What every group is made of.
struct Shared<'a> {
    ports: &'a Ports,
    settings: &'a Settings,
    projections: &'a Arc<Projections>,
    fleet: &'a Fleet,
    platforms: &'a Arc<Platforms>,
    health: &'a Arc<Health>,
    inbox: &'a Arc<InboxReader>,
    renditions: &'a Arc<RenditionCounts>,
}

fn dead_letters(group: &Group, shared: &Shared<'_>) -> Mailbox<DlqMessage> {
    let ports = shared.ports;
    let context = Arc::new(DlqKeeperContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        queue: Arc::clone(&ports.dead_letters),
        consumers: vec![
            Arc::clone(&ports.thumbnails),
            Arc::clone(&ports.audio),
            Arc::clone(&ports.metadata),
        ],
    });
    let dlq = group.child(on("push", ChildSpec::new("dlq-keeper")), move |me| {
        let context = Arc::clone(&context);
        async move { Ok(DlqKeeper::new(me, context)) }
    });
    tell_now(&dlq, DlqMessage::Recover);
    dlq
}

fn push_group(group: &Group, shared: &Shared<'_>, dlq: &Mailbox<DlqMessage>) {
    let Shared {
        ports, settings, ..
    } = *shared;
    let context = Arc::new(PushSenderContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        fleet: shared.fleet.clone(),
        platforms: Arc::clone(shared.platforms),
        gateway: Arc::clone(&ports.gateway),
        clock: Arc::clone(&ports.clock),
        names: Arc::clone(&shared.inbox.names),
        inbox: Arc::clone(shared.inbox),
        templates: Arc::clone(&settings.templates),
        texts: Arc::clone(&settings.texts),
        retry: settings.retry,
        dying_tokens: settings.dying_tokens,
        catch_up: settings.catch_up,
        gateway_timeout: settings.gateway_timeout,
        dlq: dlq.for_sender("push-sender"),
    });
    let spec = PoolSpec {
        capacity: settings.push_backlog,
        lane: PushJob::lane,
        ..PoolSpec::new(
            on("push", ChildSpec::new("push-sender")),
            settings.push_max_in_flight,
        )
    };
    let pushes = group.pool(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(PushSender::new(me, context)) }
    });
    let context = Arc::new(PushFeederContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        fleet: shared.fleet.clone(),
        platforms: Arc::clone(shared.platforms),
        pushes: pushes.for_sender("push-feeder"),
        dlq: dlq.for_sender("push-feeder"),
        clock: Arc::clone(&ports.clock),
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("push", ChildSpec::new("push-feeder")))
    };
    let feeder = group.child(spec, move |_| {
        let context = Arc::clone(&context);
        async move { Ok(PushFeeder::new(context)) }
    });
    tell_now(&feeder, Feed);
}

async fn feedback(
    group: &Group,
    queue: &Arc<dyn Queue>,
    shared: &Shared<'_>,
) -> Result<Arc<FeedbackCounts>, JournalFault> {
    let Shared {
        ports,
        settings,
        projections,
        health,
        ..
    } = *shared;
    let counts = Arc::new(FeedbackCounts::default());
    let context = Arc::new(PushFeedbackContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(projections),
        accepted: RecentlyAccepted::follow(&*ports.journal).await?,
        queue: Arc::clone(queue),
        health: Arc::clone(health),
        clock: Arc::clone(&ports.clock),
        counts: Arc::clone(&counts),
        dying_tokens: settings.dying_tokens,
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("push", ChildSpec::new("push-feedback")))
    };
    let mailbox = group.child(spec, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(PushFeedback::new(me, context)) }
    });
    tell_now(&mailbox, Hear);
    Ok(counts)
}

fn ingest_group(group: &Group, shared: &Shared<'_>) {
    let Shared {
        ports,
        settings,
        projections,
        ..
    } = *shared;
    // The matcher is declared behind the poller, whose mailbox it must have first: so the poller learns of it late.
    let (matcher, late) = watch::channel(None::<Mailbox<Commits>>);
    let (poller_ports, poller_health) = (ports.clone(), Arc::clone(shared.health));
    let (poller_projections, pace) = (Arc::clone(projections), settings.pace);
    let poller_fleet = shared.fleet.clone();
    let spec = ChildSpec {
        source: true,
        ..on("ingest", ChildSpec::new("stream-poller"))
    };
    let poller = group.child(spec, move |_| {
        let mut late = late.clone();
        let (ports, projections) = (poller_ports.clone(), Arc::clone(&poller_projections));
        let (health, fleet) = (Arc::clone(&poller_health), poller_fleet.clone());
        async move {
            let known = late.wait_for(Option::is_some).await;
            let known = known.map_err(|_| Fault::fatal("the matcher was never planted"))?;
            let matcher = known
                .as_ref()
                .map(|mailbox| mailbox.for_sender("stream-poller"));
            let context = StreamPollerContext {
                stream: ports.stream,
                projections,
                fleet,
                matcher: matcher.expect("waited for"),
                health,
                clock: ports.clock,
                pace,
            };
            Ok(StreamPoller::new(Arc::new(context)))
        }
    });
    let context = Arc::new(SubscriptionMatcherContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(projections),
        stream: Arc::clone(&ports.stream),
        pace: settings.pace,
        model: settings.model.clone(),
        templates: Arc::clone(&settings.templates),
        clock: Arc::clone(&ports.clock),
        fleet: shared.fleet.clone(),
        catch_up: settings.catch_up,
        pending_max_per_host: settings.push_backlog as u64 * 2,
    });
    let spec = ChildSpec {
        mailbox_capacity: COMMITS_BETWEEN,
        ..on("ingest", ChildSpec::new("subscription-matcher"))
    };
    let mailbox = group.child(spec, move |me| {
        let context = Arc::clone(&context);
        SubscriptionMatcher::recover(me, context)
    });
    matcher.send_replace(Some(mailbox));
    tell_now(&poller, Poll);
}

fn redrive_group(
    group: &Group,
    queue: &Arc<dyn Queue>,
    shared: &Shared<'_>,
    dlq: &Mailbox<DlqMessage>,
) {
    let context = Arc::new(RedriverContext {
        journal: Arc::clone(&shared.ports.journal),
        dlq: dlq.for_sender("redriver"),
    });
    // One, because letters of one person are redriven in order.
    let pool = group.pool(few(on("push", ChildSpec::new("redriver")), 1), move |_| {
        let context = Arc::clone(&context);
        async move { Ok(Redriver::new(context)) }
    });
    let (health, ports) = (shared.health, shared.ports);
    intake(group, "redrive-intake", queue, &pool, health, ports);
}

fn media_group(group: &Group, shared: &Shared<'_>, dlq: &Mailbox<DlqMessage>) {
    let Shared {
        ports,
        settings,
        projections,
        health,
        ..
    } = *shared;
    let cpu = CpuPool::new("media-cpu", settings.cpu_threads);
    let media = MediaJournal {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(projections),
        dlq: dlq.for_sender("media"),
        clock: Arc::clone(&ports.clock),
    };
    let derived = DerivedFiles {
        media: media.clone(),
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        // Whoever derives files can be robbed of them.
        offers: offers(ports, settings, &[&ports.thumbnails, &ports.audio]),
    };
    let context = Arc::new(MetadataRecorderContext {
        media: media.clone(),
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        derived: derived.clone(),
        cpu: cpu.clone(),
        bytes_max: settings.file_bytes_max,
        deadline: settings.media_deadline,
    });
    let child = on("media", ChildSpec::new("metadata-recorder"));
    let recorders = fair(child, settings.metadata_workers, settings.media_lookahead);
    let recorders = group.pool(recorders, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(MetadataRecorder::new(&me, context)) }
    });
    let budget = DecodeBudget::new(settings.decode_budget_bytes);
    let context = Arc::new(AudioWorkerContext {
        media: media.clone(),
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        derived: derived.clone(),
        analysing: Analysing {
            cpu: cpu.clone(),
            budget: budget.clone(),
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
    let listeners = fair(child, settings.audio_workers, settings.media_lookahead);
    let listeners = group.pool(listeners, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(AudioWorker::new(&me, context)) }
    });
    let context = Arc::new(ThumbnailWorkerContext {
        media,
        store: Arc::clone(&ports.store),
        table: Arc::clone(&ports.table),
        derived,
        rendering: Rendering {
            cpu,
            budget,
            limits: settings.limits.clone(),
            deadline: settings.media_deadline,
        },
        presets: settings.presets.clone(),
        prefixes: settings.thumbnail_prefixes.clone(),
    });
    let child = on("media", ChildSpec::new("thumbnail-worker"));
    let workers = fair(child, settings.thumbnail_workers, settings.media_lookahead);
    let workers = group.pool(workers, move |me| {
        let context = Arc::clone(&context);
        async move { Ok(ThumbnailWorker::new(&me, context)) }
    });
    intake(
        group,
        "metadata-intake",
        &ports.metadata,
        &recorders,
        health,
        ports,
    );
    intake(
        group,
        "thumbnails-intake",
        &ports.thumbnails,
        &workers,
        health,
        ports,
    );
    intake(
        group,
        "audio-intake",
        &ports.audio,
        &listeners,
        health,
        ports,
    );
}

/// Everywhere, because whoever leads does it, also on a host that works on no files.
fn backfill(group: &Group, shared: &Shared<'_>) {
    let Shared {
        ports, settings, ..
    } = *shared;
    let context = Arc::new(MediaBackfillContext {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        fleet: shared.fleet.clone(),
        table: Arc::clone(&ports.table),
        offers: offers(ports, settings, &[&ports.thumbnails]),
        queue: Arc::clone(&ports.thumbnails),
        presets: settings.presets.clone(),
        prefixes: settings.thumbnail_prefixes.clone(),
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

fn intake(
    group: &Group,
    name: &str,
    queue: &Arc<dyn Queue>,
    pool: &PoolHandle<Delivery>,
    health: &Arc<Health>,
    ports: &Ports,
) {
    let context = Arc::new(QueueIntakeContext {
        queue: Arc::clone(queue),
        pool: pool.for_sender(name),
        deliveries: Arc::new(Deliveries::default()),
        health: Arc::clone(health),
        clock: Arc::clone(&ports.clock),
    });
    let spec = ChildSpec {
        source: true,
        ..waiting(on("media", ChildSpec::new(name)))
    };
    let mailbox = group.child(spec, move |_| {
        let context = Arc::clone(&context);
        async move { Ok(QueueIntake::new(context)) }
    });
    tell_now(&mailbox, Receive);
}

fn fan_out_group(group: &Group, ports: &Ports, intake: &Arc<dyn Queue>, health: &Arc<Health>) {
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

/// Actors of one kind of work share a thread.
fn on(thread: &str, spec: ChildSpec) -> ChildSpec {
    ChildSpec {
        placement: Placement::Arbiter(thread.to_owned()),
        ..spec
    }
}

/// A pool that takes on little more than it works on: the rest stays in its queue, where other hosts can have it.
fn few(child: ChildSpec, size: usize) -> PoolSpec<Delivery> {
    PoolSpec {
        capacity: size * 2,
        ..PoolSpec::new(child, size)
    }
}

/// A pool that looks ahead, so that turns can go round among those whose files wait.
fn fair(child: ChildSpec, size: usize, backlog: usize) -> PoolSpec<Delivery> {
    PoolSpec {
        capacity: backlog.max(size * 2),
        turn: Delivery::turn,
        ..PoolSpec::new(child, size)
    }
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

/// A long poll is no sign of being stuck.
fn waiting(spec: ChildSpec) -> ChildSpec {
    ChildSpec {
        stuck_after: Duration::from_mins(5),
        ..spec
    }
}

fn tell_now<M: Send + 'static>(mailbox: &Mailbox<M>, message: M) {
    let told = mailbox.try_tell(message);
    debug_assert!(told.is_ok(), "a new mailbox has room");
}
