//! The bound on what a crash may repeat holds over all push services together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iyagi::clock::SystemClock;
use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{DaemonError, block_on};
use iyagi::embedded::graph::EmbeddedGraph;
use iyagi::embedded::journal::SqliteJournal;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi::embedded::queues::{EmbeddedQueues, QueueConfig};
use iyagi_actors::journal::{Draft, Journal};
use iyagi_actors::ports::{Clock, GatewayFault, Payload, PushGateway, Queue};
use iyagi_actors::push_sender::texts::Texts;
use iyagi_actors::runtime::{Observer, RuntimeEvent, System};
use iyagi_actors::tree::{Ports, ROOT_INTENSITY, Roles, Settings, plant};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, Fact, PushRequested};
use iyagi_messages::ids::{PushId, Timestamp};
use iyagi_messages::push::{OnUnknownOutcome, Push};
use tempfile::TempDir;

const IN_FLIGHT_MAX: usize = 5;
const PUSHES: usize = 40;

/// Answers when as many are in flight as may be.
struct Together(tokio::sync::Barrier);

#[async_trait]
impl PushGateway for Together {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        self.0.wait().await;
        Ok(payload.push_id.to_string())
    }
}

pub(crate) struct Unobserved;

impl Observer for Unobserved {
    fn on(&self, _: &RuntimeEvent) {}
}

#[test]
fn all_push_services_together_have_no_more_in_flight_than_is_declared() {
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal = SqliteJournal::open(&folder.path().join("journal.db"), Arc::clone(&clock));
        let journal = Arc::new(journal.expect("opens"));
        let at = clock.now();
        let ports = ports(&folder, &journal, clock).await;
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, peak) = (Arc::clone(&open), Arc::clone(&most));
        journal.on_commit(Arc::new(move |events| {
            for event in events {
                match event.fact {
                    Fact::PushAttempted(_) => {
                        let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
                        peak.fetch_max(now, Ordering::SeqCst);
                    }
                    Fact::PushAccepted(_) => _ = counted.fetch_sub(1, Ordering::SeqCst),
                    _ => {}
                }
            }
        }));
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        let tree = plant(&system, &ports, &settings(), None).await;
        let tree = tree.expect("planted");
        journal.append(requests(at)).await.expect("appended");
        let mut folded = tree.projections.folded();
        while tree.projections.outbox().counts.sent < PUSHES as u64 {
            let changed = tokio::time::timeout(Duration::from_secs(30), folded.changed());
            changed.await.expect("in time").expect("they live");
        }
        assert_eq!(most.load(Ordering::SeqCst), IN_FLIGHT_MAX);
        assert_eq!(open.load(Ordering::SeqCst), 0);
        system.drain(Duration::from_secs(5)).await;
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}

/// To as many phones, every other one an iPhone.
fn requests(at: Timestamp) -> iyagi_actors::journal::Append {
    let mut draft = Draft::new(&"test", "test");
    for number in 0..PUSHES {
        let person = format!("p{number}");
        let platform = Platform::ALL[number % 2];
        let device = Device {
            token: person.as_str().into(),
            person: person.as_str().into(),
            platform,
            locale: "en".to_owned(),
        };
        draft.begin(
            &person,
            Entity::new("device", &person),
            DeviceRegistered { device },
        );
        let push = push(&person, &format!("e{number}"), platform, at);
        let entity = Entity::new("push", push.id);
        draft.begin(&format!("push-{number}"), entity, PushRequested { push });
    }
    draft.finish()
}

/// What is told of an element to a person's phone, whose token is the person's name.
pub(crate) fn push(person: &str, element: &str, platform: Platform, at: Timestamp) -> Push {
    let (element, template) = (element.into(), "follow".into());
    let (recipient, device) = (person.into(), person.into());
    Push {
        id: PushId::derive(1, &element, &template, &recipient, Some(&device)),
        recipient,
        device: Some(device),
        platform: Some(platform),
        locale: "en".to_owned(),
        template,
        category: "people".to_owned(),
        commit: Cursor::new(1, 1),
        element,
        actor: None,
        subject: None,
        key: None,
        at,
        expires_at: Timestamp(i64::MAX / 2),
        on_unknown_outcome: OnUnknownOutcome::Resend,
        burst: None,
        own_act_too: false,
        of_deletion: false,
    }
}

pub(crate) async fn ports(
    folder: &TempDir,
    journal: &Arc<SqliteJournal>,
    clock: Arc<dyn Clock>,
) -> Ports {
    let path = |name: &str| folder.path().join(name);
    let queues = EmbeddedQueues::open(&path("queues.db"), Arc::clone(&clock)).expect("opens");
    let queue = |name: &str| -> Arc<dyn Queue> {
        let name = name.to_owned();
        let redrive = None;
        queues.queue(QueueConfig { name, redrive }).expect("made")
    };
    let files = path("files");
    let objects = EmbeddedObjects::open(&files, "bucket", None, Arc::clone(&clock));
    let graph = EmbeddedGraph::open(&path("graph.db"), Arc::clone(&clock)).expect("opens");
    let graph = Arc::new(graph);
    Ports {
        inbox: Arc::clone(journal) as _,
        journal: Arc::clone(journal) as _,
        stream: Arc::clone(&graph) as _,
        graph,
        gateway: Arc::new(Together(tokio::sync::Barrier::new(IN_FLIGHT_MAX))),
        store: Arc::new(objects.await.expect("opens")),
        table: Arc::new(
            EmbeddedMetadata::open(&path("metadata.db"), Arc::clone(&clock)).expect("opens"),
        ),
        dead_letters: queue("dead-letters.fifo"),
        redrive: None,
        push_feedback: None,
        media_intake: None,
        search: None,
        picture_decoder: None,
        decoder: None,
        encoder: None,
        transcriber: None,
        thumbnails: queue("thumbnails"),
        audio: queue("audio"),
        metadata: queue("metadata"),
        clock,
    }
}

pub(crate) fn settings() -> Settings {
    let config = Config::default();
    let templates = Arc::new(built_in_templates().unmoderated());
    let search = config.projection();
    let push = config.push;
    Settings {
        roles: Roles {
            ingest: false,
            push: true,
            media: false,
        },
        pace: config.stream,
        search,
        model: config.graph,
        texts: Arc::new(Texts::of(&templates).expect("usable")),
        templates,
        rate: push.rate,
        push_max_in_flight: IN_FLIGHT_MAX,
        push_backlog: push.backlog,
        retry: push.retry,
        breaker: push.breaker,
        dying_tokens: push.dying_tokens,
        catch_up: push.catch_up,
        keep_letters: config.dead_letters.age(),
        gateway_timeout: Duration::from_secs(30),
        thumbnail_workers: 1,
        audio_workers: 1,
        audio_limits: iyagi_media::audio::AudioLimits::default(),
        audio_prefixes: Vec::new(),
        audio_deadline: Duration::from_secs(30),
        renditions: Vec::new(),
        rendition_deadline: Duration::from_secs(30),
        metadata_workers: 1,
        media_lookahead: 16,
        decode_budget_bytes: 1 << 30,
        bucket: "iyagi".to_owned(),
        cpu_threads: 1,
        presets: config.media.presets,
        limits: config.media.limits,
        thumbnail_prefixes: config.media.thumbnail_prefixes,
        file_bytes_max: config.media.file_bytes_max,
        media_deadline: Duration::from_secs(30),
    }
}
