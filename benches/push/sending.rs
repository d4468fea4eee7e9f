//! The same gateway, in a plain loop and behind the journal.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::{BehaviorVersion, Credentials, Region};
use iyagi::aws::dynamodb::fault::TableFault;
use iyagi::aws::sns::envelope::envelope;
use iyagi::aws::sns::registry::{Endpoint, EndpointKey};
use iyagi::aws::sns::{
    Application, Applications, EndpointRegistry, Service, SnsGateway, SnsSettings,
};
use iyagi::clock::SystemClock;
use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{DaemonError, OnThreads, block_on};
use iyagi::embedded::graph::{EmbeddedGraph, Operation};
use iyagi::embedded::journal::SqliteJournal;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::embedded::objects::EmbeddedObjects;
use iyagi::embedded::queues::{EmbeddedQueues, QueueConfig};
use iyagi::fcm::{FcmGateway, FcmSettings, ServiceAccount};
use iyagi_actors::journal::{Draft, Journal};
use iyagi_actors::ports::{Clock, Payload, PushGateway, Queue};
use iyagi_actors::push_sender::texts::Texts;
use iyagi_actors::runtime::{Observer, RuntimeEvent, System};
use iyagi_actors::tree::{Ports, ROOT_INTENSITY, Roles, Settings, plant};
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, PushRequested};
use iyagi_messages::ids::{PushId, Seq, Timestamp};
use iyagi_messages::push::{OnUnknownOutcome, Push};
use iyagi_messages::template::Presentation;
use tokio::task::JoinSet;

use super::{PUSHES, ROUNDS, in_flight};

const PHONES: usize = 2_000;
/// Whom all pushes tell of.
const WHO: &str = "minji";
/// Nothing may limit the rate but what is measured.
const QUOTA: u32 = 1_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Pushes that are requested in one append, as many commits matched at once would be.
const CHUNK: usize = 500;

/// Measures both in turns; yields the pushes a second through the journal.
pub(crate) fn compare(name: &str, gateway: impl Fn() -> Arc<dyn PushGateway>) -> f64 {
    let (mut plain, mut journalled) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(in_a_plain_loop(&gateway));
        journalled.push(through_the_journal(&gateway));
    }
    let ratios = plain
        .iter()
        .zip(&journalled)
        .map(|(plain, ours)| ours / plain);
    let ratio = median(ratios.collect());
    let (plain, journalled) = (median(plain), median(journalled));
    println!("{name}, a plain loop, no journal    {plain:>8.0} pushes/s");
    println!("{name}, through the journal         {journalled:>8.0} pushes/s");
    println!("{name}, through the journal, beside the plain loop {ratio:>5.2}   (goal ≥ 0.8)");
    journalled
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(crate) fn sns(url: &str) -> Arc<dyn PushGateway> {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("test-region-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url);
    let applications = Applications {
        fcm: Some(application()),
        apns: None,
    };
    let settings = SnsSettings {
        publish_per_second: QUOTA,
        endpoint_calls_per_second: QUOTA,
        timeout: Duration::from_secs(10),
    };
    let registry = Arc::<Registry>::default();
    let client = Client::from_conf(config.build());
    Arc::new(SnsGateway::new(&client, applications, registry, settings))
}

pub(crate) fn fcm(tokens: &str, url: &str) -> Arc<dyn PushGateway> {
    let folder = tempfile::tempdir().expect("a folder");
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'static> = key.as_der().expect("a key");
    let private_key = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()));
    let file = folder.path().join("key.json");
    let key = serde_json::json!({
        "type": "service_account", "project_id": "iyagi-bench", "private_key_id": "1", "private_key": private_key,
        "client_email": "sender@iyagi-bench.iam.example", "client_id": "1", "token_uri": format!("{tokens}/token"),
    });
    std::fs::write(&file, key.to_string()).expect("written");
    let account = ServiceAccount::read(&file).expect("a key");
    let settings = FcmSettings {
        base_url: url.to_owned(),
        project_id: None,
        timeout: Duration::from_secs(10),
        max_in_flight: in_flight(),
        sends_per_second: QUOTA,
    };
    Arc::new(FcmGateway::new(account, &settings, Arc::new(SystemClock)).expect("it opens"))
}

/// What both SDKs publish.
pub(crate) fn message() -> String {
    envelope(&payload(1), &application())
        .expect("it fits")
        .message
}

fn application() -> Application {
    Application {
        service: Service::Fcm,
        arn: "arn:aws:sns:test-region-1:111122223333:app/GCM/iyagi-fcm".to_owned(),
        topic: None,
    }
}

/// Endpoints of whichever phones.
#[derive(Default)]
struct Registry(Mutex<HashMap<EndpointKey, Endpoint>>);

#[async_trait]
impl EndpointRegistry for Registry {
    async fn get(&self, key: &EndpointKey) -> Result<Option<Endpoint>, TableFault> {
        Ok(self.0.lock().expect("sound").get(key).cloned())
    }

    async fn put(&self, key: &EndpointKey, endpoint: &Endpoint) -> Result<(), TableFault> {
        let mut rows = self.0.lock().expect("sound");
        rows.insert(key.clone(), endpoint.clone());
        Ok(())
    }

    async fn remove(&self, key: &EndpointKey) -> Result<(), TableFault> {
        self.0.lock().expect("sound").remove(key);
        Ok(())
    }
}

fn phone(number: usize) -> String {
    format!("phone-{}", number % PHONES)
}

fn payload(number: usize) -> Payload {
    let id = push(number).id;
    Payload {
        push_id: id,
        collapse_id: id,
        device: phone(number).into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "새 팔로워".to_owned(),
        body: "민지 님이 회원님을 팔로우합니다".to_owned(),
        link: "iyagi://people/minji".to_owned(),
        category: "people".to_owned(),
        device_texts: None,
        badge: None,
        presentation: Presentation::default(),
        ttl_seconds: 3_600,
    }
}

/// Makes the graph tell what all pushes are about: one that has waited is sent only of what is still there.
pub(crate) async fn introduce(graph: &EmbeddedGraph) {
    let person = Operation::AddVertex {
        id: WHO.into(),
        label: "Person".to_owned(),
        properties: BTreeMap::new(),
    };
    graph.commit(vec![person]).await.expect("accepted");
}

/// The push of a number; as many go to a phone as there are pushes for each.
pub(crate) fn push(number: usize) -> Push {
    let (element, template) = (WHO.into(), "follow".into());
    let recipient = format!("p{}", number % PHONES).into();
    let device = phone(number).into();
    Push {
        id: PushId::derive(
            number as u64,
            &element,
            &template,
            &recipient,
            Some(&device),
        ),
        recipient,
        device: Some(device),
        platform: Some(Platform::Fcm),
        locale: "ko".to_owned(),
        template,
        category: "people".to_owned(),
        commit: iyagi_messages::cursor::Cursor::new(number as u64, 1),
        element,
        actor: Some(WHO.into()),
        subject: Some(WHO.into()),
        key: None,
        // An inbox drops what is old, and a push of an older change is looked at again.
        at: SystemClock.now(),
        expires_at: Timestamp(i64::MAX / 2),
        on_unknown_outcome: OnUnknownOutcome::Resend,
        burst: None,
        own_act_too: false,
        of_deletion: false,
    }
}

/// Requests pushes, and registers their phones first if they are the first ones.
pub(crate) async fn request(journal: &dyn Journal, numbers: std::ops::Range<usize>) {
    let mut draft = Draft::new(&"bench", "bench");
    if numbers.start == 0 {
        for number in 0..PHONES {
            let device = Device {
                token: phone(number).into(),
                person: push(number).recipient,
                platform: Platform::Fcm,
                locale: "ko".to_owned(),
            };
            let token = phone(number);
            draft.begin(
                &token,
                Entity::new("device", &token),
                DeviceRegistered { device },
            );
        }
    }
    for number in numbers {
        let push = push(number);
        let entity = Entity::new("push", push.id);
        draft.begin(&number.to_string(), entity, PushRequested { push });
    }
    journal.append(draft.finish()).await.expect("appended");
}

fn in_a_plain_loop(gateway: impl Fn() -> Arc<dyn PushGateway>) -> f64 {
    // One thread, as all senders of a daemon share one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads");
    runtime.block_on(async {
        let gateway = gateway();
        send(&gateway, PHONES).await;
        let began = Instant::now();
        send(&gateway, PUSHES).await;
        PUSHES as f64 / began.elapsed().as_secs_f64()
    })
}

async fn send(gateway: &Arc<dyn PushGateway>, pushes: usize) {
    let mut senders = JoinSet::new();
    for sender in 0..in_flight() {
        let gateway = Arc::clone(gateway);
        senders.spawn(async move {
            for number in (sender..pushes).step_by(in_flight()) {
                gateway
                    .send(&payload(number))
                    .await
                    .expect("it takes everything");
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.expect("no sender panics");
    }
}

struct Unobserved;

impl Observer for Unobserved {
    fn on(&self, _: &RuntimeEvent) {}
}

/// Warm-up and measured pushes come by the journal and go by the whole tree, as in a daemon.
fn through_the_journal(gateway: impl Fn() -> Arc<dyn PushGateway>) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let measured = block_on(async {
        let gateway = Arc::new(OnThreads::of_here(gateway()));
        let ports = ports(folder.path(), gateway).await;
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        let tree = plant(&system, &ports, &settings(), None).await;
        let tree = tree.expect("planted");
        // Looks from time to time: whoever is told of each commit takes a core's time from it.
        let until = async |sent: usize| {
            while tree.projections.outbox().counts.sent < sent as u64 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        request(&*ports.journal, 0..PHONES).await;
        until(PHONES).await;
        let all = PHONES + PUSHES;
        let began = Instant::now();
        for start in (PHONES..all).step_by(CHUNK) {
            request(&*ports.journal, start..(start + CHUNK).min(all)).await;
        }
        until(all).await;
        let rate = PUSHES as f64 / began.elapsed().as_secs_f64();
        system.drain(Duration::from_secs(10)).await;
        Ok::<_, DaemonError>(rate)
    });
    measured.expect("the actors run")
}

async fn ports(folder: &Path, gateway: Arc<dyn PushGateway>) -> Ports {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let queues = EmbeddedQueues::open(&folder.join("queues.db"), Arc::clone(&clock));
    let queues = queues.expect("opens");
    let queue = |name: &str| -> Arc<dyn Queue> {
        let name = name.to_owned();
        let redrive = None;
        queues.queue(QueueConfig { name, redrive }).expect("made")
    };
    let files = folder.join("files");
    let objects = EmbeddedObjects::open(&files, "bucket", None, Arc::clone(&clock));
    let graph = EmbeddedGraph::open(&folder.join("graph.db"), Arc::clone(&clock));
    let graph = Arc::new(graph.expect("opens"));
    introduce(&graph).await;
    let journal = SqliteJournal::open(&folder.join("journal.db"), Arc::clone(&clock));
    let journal = Arc::new(journal.expect("opens"));
    Ports {
        inbox: Arc::clone(&journal) as _,
        journal,
        stream: Arc::clone(&graph) as _,
        graph,
        gateway,
        store: Arc::new(objects.await.expect("opens")),
        table: Arc::new(
            EmbeddedMetadata::open(&folder.join("metadata.db"), Arc::clone(&clock)).expect("opens"),
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

fn settings() -> Settings {
    let config = Config::default();
    let templates = Arc::new(built_in_templates().unmoderated());
    Settings {
        roles: Roles {
            ingest: false,
            push: true,
            media: false,
        },
        pace: config.stream,
        search: config.projection(),
        model: config.graph,
        texts: Arc::new(Texts::of(&templates).expect("usable")),
        templates,
        rate: config.push.rate,
        push_max_in_flight: in_flight(),
        push_backlog: config.push.backlog,
        retry: config.push.retry,
        breaker: config.push.breaker,
        dying_tokens: config.push.dying_tokens,
        catch_up: config.push.catch_up,
        keep_letters: config.dead_letters.age(),
        gateway_timeout: Duration::from_secs(10),
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
