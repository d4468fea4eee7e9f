//! From the commit to the phone and back: the supervision tree with this gateway and its feedback.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iyagi::aws::sqs::SqsQueue;
use iyagi::clock::SystemClock;
use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::block_on;
use iyagi::embedded::graph::{EmbeddedGraph, Operation};
use iyagi::embedded::journal::SqliteJournal;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi::embedded::queues::{EmbeddedQueues, QueueConfig};
use iyagi_actors::invariants::Audit;
use iyagi_actors::journal::Draft;
use iyagi_actors::ports::{Clock, Outgoing, Queue};
use iyagi_actors::push_sender::texts::Texts;
use iyagi_actors::runtime::{System, Unobserved};
use iyagi_actors::tree::{Ports, ROOT_INTENSITY, Roles, Settings, Tree, plant};
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{DeviceRegistered, Fact};
use iyagi_messages::ids::{DeviceToken, Pos};
use serde_json::json;
use tokio::time::Instant;

use super::fake_sns::{FakeSns, delivery_failure};
use super::{PATIENCE, gateway};
use crate::servers::{ministack, unique};

const TOKEN: &str = "phone-of-minji";

/// The queue that the push service's topic is subscribed to.
async fn feedback() -> SqsQueue {
    let sqs = ministack().clients().sqs;
    let name = unique("push-feedback");
    let made = sqs.create_queue().queue_name(&name).send().await;
    made.expect("a queue is made");
    let opened = SqsQueue::open(sqs, "push-feedback", &name, PATIENCE).await;
    opened.expect("it is there")
}

/// Every port on this machine but the push service and the queue by which it tells.
async fn ports(folder: &Path, fake: &FakeSns, graph: &Arc<EmbeddedGraph>) -> Ports {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let queues =
        EmbeddedQueues::open(&folder.join("queues.db"), Arc::clone(&clock)).expect("opens");
    let queue = |name: &str| -> Arc<dyn Queue> {
        let name = name.to_owned();
        let redrive = None;
        queues.queue(QueueConfig { name, redrive }).expect("made")
    };
    let files = folder.join("files");
    let objects = EmbeddedObjects::open(&files, "bucket", None, Arc::clone(&clock));
    let journal = SqliteJournal::open(&folder.join("journal.db"), Arc::clone(&clock));
    let journal = Arc::new(journal.expect("opens"));
    Ports {
        journal: Arc::clone(&journal) as _,
        inbox: journal,
        stream: Arc::clone(graph) as _,
        graph: Arc::clone(graph) as _,
        gateway: Arc::new(gateway(fake, &Arc::default())),
        store: Arc::new(objects.await.expect("opens")),
        table: Arc::new(
            EmbeddedMetadata::open(&folder.join("metadata.db"), Arc::clone(&clock)).expect("opens"),
        ),
        dead_letters: queue("dead-letters.fifo"),
        redrive: None,
        push_feedback: Some(Arc::new(feedback().await)),
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

fn settings() -> Settings {
    let config = Config::default();
    let templates = Arc::new(built_in_templates().unmoderated());
    Settings {
        roles: Roles::ALL,
        pace: config.stream,
        search: config.projection(),
        model: config.graph,
        texts: Arc::new(Texts::of(&templates).expect("usable")),
        templates,
        rate: config.push.rate,
        push_max_in_flight: config.push.max_in_flight,
        push_backlog: config.push.backlog,
        retry: config.push.retry,
        breaker: config.push.breaker,
        dying_tokens: config.push.dying_tokens,
        catch_up: config.push.catch_up,
        keep_letters: config.dead_letters.age(),
        gateway_timeout: PATIENCE,
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
        media_deadline: PATIENCE,
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn register(ports: &Ports, upstream: &str) {
    let device = Device {
        token: TOKEN.into(),
        person: "minji".into(),
        platform: Platform::Fcm,
        locale: "ko".to_owned(),
    };
    let mut draft = Draft::new(&"test", "test");
    draft.begin(
        upstream,
        Entity::new("device", TOKEN),
        DeviceRegistered { device },
    );
    ports
        .journal
        .append(draft.finish())
        .await
        .expect("appended");
}

async fn commit(graph: &EmbeddedGraph, operations: serde_json::Value) {
    let operations: Vec<Operation> = serde_json::from_value(operations).expect("operations");
    graph.commit(operations).await.expect("accepted");
}

async fn story(ports: &Ports, graph: &EmbeddedGraph, tree: &Tree, fake: &FakeSns) {
    let token = DeviceToken::from(TOKEN);
    let sent = |count| move || tree.projections.outbox().counts.sent == count;
    let registered = || tree.projections.audience().device(&token).is_some();
    for (id, name) in [("minji", "민지"), ("daniel", "Daniel"), ("grace", "Grace")] {
        commit(graph, json!([{"op": "add_vertex", "id": id, "label": "Person", "properties": {"name": name}}])).await;
    }
    register(ports, "1").await;
    commit(
        graph,
        json!([{"op": "add_edge", "from": "daniel", "label": "FOLLOWS", "to": "minji"}]),
    )
    .await;
    until("the first push", sent(1)).await;
    let published = fake.published().remove(0);
    assert!(
        published.parameters["Message"].contains("Daniel"),
        "{published:?}"
    );
    // The platform finds out that the token is dead: the service disables its endpoint, and tells.
    fake.disable_all();
    let body = delivery_failure(&published, "InvalidPlatformToken");
    let queue = ports.push_feedback.as_ref().expect("there is one");
    let message = || Outgoing {
        body: body.clone(),
        ..Outgoing::default()
    };
    let told_twice = queue.send(vec![message(), message()]).await.expect("sent");
    assert!(told_twice.iter().all(Result::is_ok));
    until("the phone is gone", || !registered()).await;
    let ignored = |reason| {
        let counts = tree.feedback.as_ref().expect("feedback is heard").ignored();
        counts
            .iter()
            .any(|(name, count)| *name == reason && *count == 1)
    };
    until("the repeat is recognised", || ignored("duplicate")).await;
    // The app starts again, with the same token: its endpoint is enabled, and pushes arrive.
    register(ports, "2").await;
    commit(
        graph,
        json!([{"op": "add_edge", "from": "grace", "label": "FOLLOWS", "to": "minji"}]),
    )
    .await;
    until("the second push", sent(2)).await;
    assert!(registered());
}

#[test]
fn a_dead_phone_is_heard_of_and_reached_again_once_it_registers_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = FakeSns::start();
    let events: Vec<Event> = block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let graph = EmbeddedGraph::open(&folder.path().join("graph.db"), clock).expect("opens");
        let graph = Arc::new(graph);
        let ports = ports(folder.path(), &fake, &graph).await;
        let system = System::new(7, ROOT_INTENSITY, Arc::new(Unobserved));
        let tree = plant(&system, &ports, &settings(), None)
            .await
            .expect("planted");
        story(&ports, &graph, &tree, &fake).await;
        let report = system.drain(PATIENCE / 3).await;
        assert!(
            report.actors.iter().all(|actor| actor.stopped_in_time),
            "{report:?}"
        );
        Ok(ports.journal.read(Pos(0), 1_000).await.expect("readable"))
    })
    .expect("it ran");
    let mut audit = Audit::default();
    let mut told = Vec::new();
    for event in &events {
        audit.event(event);
        if matches!(
            event.fact,
            Fact::PushAccepted(_)
                | Fact::PushBounced(_)
                | Fact::DeviceRegistered(_)
                | Fact::DeviceRemoved(_)
        ) {
            told.push(event.fact.kind());
        }
    }
    assert_eq!(audit.finish().violations, []);
    let story = [
        "device.registered",
        "push.accepted",
        "push.bounced",
        "device.removed",
        "device.registered",
        "push.accepted",
    ];
    assert_eq!(told, story);
}
