//! A bucket tells a topic, and the topic tells every consumer's queue.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::types::{Event, NotificationConfiguration, TopicConfiguration};
use iyagi::aws::sqs::SqsQueue;
use iyagi_actors::ports::{ObjectStore, PutOptions, Queue};
use iyagi_messages::object::{Notification, ObjectEvent, ObjectEventKind, ObjectKey};

use crate::objects::{S3, under};
use crate::queues::Sqs;
use crate::servers::{Server, localemu, ministack, unique};

const VISIBILITY: Duration = Duration::from_mins(5);
const WAIT: Duration = Duration::from_secs(10);
/// Long enough that a second copy would have come.
const QUIET: Duration = Duration::from_secs(3);
const UPLOADS: &str = "posts/";
const KEYS: [&str; 7] = [
    "posts/1/plain.jpg",
    "posts/1/with space.jpg",
    "posts/1/with+plus.jpg",
    "posts/1/100%.jpg",
    "posts/1/with%20escape.jpg",
    // The same word in NFC and NFD: two objects.
    "posts/1/\u{d55c}\u{ae00}.jpg",
    "posts/1/\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}.jpg",
];

/// Every event that a queue gets, until it is quiet; deleted.
async fn events(queue: &SqsQueue, expected: usize) -> Vec<ObjectEvent> {
    let mut events = Vec::new();
    loop {
        let wait = if events.len() < expected { WAIT } else { QUIET };
        let received = queue.receive(10, wait, VISIBILITY).await.expect("receives");
        if received.is_empty() {
            return events;
        }
        for message in &received {
            match Notification::parse(&message.body) {
                Ok(Notification::Objects(some)) => events.extend(some),
                Ok(Notification::Test) => {}
                Err(error) => panic!("{error}: {}", message.body),
            }
        }
        let receipts = received.into_iter().map(|message| message.receipt);
        let receipts: Vec<_> = receipts.collect();
        queue.delete(&receipts).await.expect("deletes");
    }
}

async fn fan_out(server: &Server) {
    let s3 = S3::on(server).await;
    s3.keep_versions().await;
    let sqs = Sqs::on(server);
    let sns = server.clients().sns;
    let topic = sns.create_topic().name(unique("media")).send().await;
    let topic = topic.expect("a topic is made").topic_arn.expect("its name");
    let mut queues = Vec::new();
    for (name, raw) in [("thumbnails", "true"), ("metadata", "false")] {
        let queue = sqs.create(name, None).await;
        let subscribed = sns
            .subscribe()
            .topic_arn(&topic)
            .protocol("sqs")
            .endpoint(sqs.arn(&queue).await)
            .attributes("RawMessageDelivery", raw)
            .send();
        subscribed.await.expect("a queue subscribes");
        queues.push(queue);
    }
    let target = TopicConfiguration::builder()
        .topic_arn(&topic)
        .events(Event::S3ObjectCreated)
        .events(Event::S3ObjectRemoved)
        .filter(under(UPLOADS));
    let target = target.build().expect("complete");
    let configuration = NotificationConfiguration::builder().topic_configurations(target);
    s3.notify(configuration.build()).await;

    let store = s3.open().await;
    let mut stored = BTreeMap::new();
    for name in KEYS {
        let key = ObjectKey::new(name).expect("valid");
        let put = store.put(&key, name.into(), PutOptions::default()).await;
        stored.insert(key, put.expect("stores"));
    }
    let derived = ObjectKey::new("derived/posts/1/small.webp").expect("valid");
    let put = store.put(&derived, vec![0], PutOptions::default()).await;
    put.expect("stores");
    let first = ObjectKey::new(KEYS[0]).expect("valid");
    store.delete(&first).await.expect("removes");

    let count = stored.len() + 1;
    let (raw, wrapped) = tokio::join!(events(&queues[0], count), events(&queues[1], count));
    let in_order = |mut events: Vec<ObjectEvent>| {
        events.sort_by(|a, b| (&a.key, &a.sequencer).cmp(&(&b.key, &b.sequencer)));
        events
    };
    let (raw, wrapped) = (in_order(raw), in_order(wrapped));
    assert_eq!(raw, wrapped, "the envelope makes no difference");
    let (removed, created): (Vec<_>, Vec<_>) = raw
        .iter()
        .partition(|event| event.kind == ObjectEventKind::Removed);
    assert_eq!(created.len(), stored.len(), "each object once: {created:?}");
    for event in created {
        let info = &stored[&event.key];
        assert_eq!(event.kind, ObjectEventKind::Created);
        assert_eq!(event.bucket, s3.bucket);
        assert_eq!(event.size, Some(info.size));
        assert_eq!(event.etag.as_ref(), Some(&info.etag));
        assert_eq!(event.version_id, info.version_id);
        assert!(!event.sequencer.0.is_empty());
        let (bytes, _) = store.get(&event.key, 1024).await.unwrap_or_else(|fault| {
            assert_eq!(event.key, first, "{fault}");
            (first.as_str().into(), info.clone())
        });
        assert_eq!(bytes, event.key.as_str().as_bytes());
    }
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].key, first);
}

#[tokio::test]
async fn each_consumer_gets_every_event_once_and_alike_on_ministack() {
    fan_out(ministack()).await;
}

#[tokio::test]
async fn each_consumer_gets_every_event_once_and_alike_on_localemu() {
    if let Some(server) = localemu() {
        fan_out(server).await;
    }
}
