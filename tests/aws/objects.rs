//! Objects in S3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Event, FilterRule,
    FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter, VersioningConfiguration,
};
use iyagi::aws::s3::{OpenBucketError, S3Objects};
use iyagi::aws::sqs::SqsQueue;
use iyagi::clock::SystemClock;
use iyagi::links::{Checksum, Upload};
use iyagi::spool::Spool;
use iyagi_actors::media_job::{Reading, read_write};
use iyagi_actors::ports::contract::object_store as contract;
use iyagi_actors::ports::{Clock, ObjectStore, PutOptions, Queue, StoreFault};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::{Notification, ObjectEvent, ObjectKey};

use crate::queues::{CALL_TIMEOUT, Sqs};
use crate::servers::{Server, localemu, ministack, unique};

const BYTES_MAX: u64 = 1024;
const UPLOADS: &str = "posts/";
/// Where the contract's objects lie.
const PREFIX: &str = "posts/test/";

/// Makes buckets on a server.
pub(crate) struct S3 {
    pub(crate) client: aws_sdk_s3::Client,
    pub(crate) bucket: String,
}

impl S3 {
    /// A fresh bucket.
    pub(crate) async fn on(server: &Server) -> Self {
        let client = server.clients().s3;
        let bucket = unique("media");
        let region = BucketLocationConstraint::from(server.region());
        let place = CreateBucketConfiguration::builder().location_constraint(region);
        let request = client.create_bucket().bucket(&bucket);
        let request = request.create_bucket_configuration(place.build());
        if let Err(error) = request.send().await {
            // The first answer came too late for the SDK, which asked again.
            let ours = error
                .as_service_error()
                .is_some_and(CreateBucketError::is_bucket_already_owned_by_you);
            assert!(ours, "{error:?}");
        }
        Self { client, bucket }
    }

    pub(crate) async fn open(&self) -> S3Objects {
        let opened = S3Objects::open(self.client.clone(), &self.bucket, CALL_TIMEOUT, spool());
        opened.await.expect("the bucket is there")
    }

    pub(crate) async fn keep_versions(&self) {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let request = self.client.put_bucket_versioning().bucket(&self.bucket);
        let request = request.versioning_configuration(enabled.build());
        request.send().await.expect("versioning is switched on");
    }

    pub(crate) async fn notify(&self, configuration: NotificationConfiguration) {
        let request = self
            .client
            .put_bucket_notification_configuration()
            .bucket(&self.bucket);
        let request = request.notification_configuration(configuration);
        request.send().await.expect("notifications are set up");
    }
}

/// Room for whatever a test reads. What is in it has no name, so all of them can have the same folder.
pub(crate) fn spool() -> Arc<Spool> {
    let folder = std::env::temp_dir().join("iyagi-spool-of-tests");
    Arc::new(Spool::new(folder, 1 << 30))
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// Only what lies under a prefix.
pub(crate) fn under(prefix: &str) -> NotificationConfigurationFilter {
    let rule = FilterRule::builder()
        .name(FilterRuleName::Prefix)
        .value(prefix);
    let key = S3KeyFilter::builder().filter_rules(rule.build()).build();
    NotificationConfigurationFilter::builder().key(key).build()
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("a valid key")
}

fn servers() -> impl Iterator<Item = &'static Server> {
    [Some(ministack()), localemu()].into_iter().flatten()
}

/// A bucket that tells a queue of its own.
pub(crate) async fn notified(server: &Server) -> (S3, S3Objects, SqsQueue) {
    let s3 = S3::on(server).await;
    let sqs = Sqs::on(server);
    let queue = sqs.create("events", None).await;
    let target = QueueConfiguration::builder()
        .queue_arn(sqs.arn(&queue).await)
        .events(Event::S3ObjectCreated)
        .events(Event::S3ObjectRemoved)
        .filter(under(UPLOADS));
    let target = target.build().expect("complete");
    let configuration = NotificationConfiguration::builder().queue_configurations(target);
    s3.notify(configuration.build()).await;
    let store = s3.open().await;
    (s3, store, queue)
}

#[tokio::test]
async fn keep_the_contract_on_ministack() {
    let (_, store, queue) = notified(ministack()).await;
    contract::all(&store, &queue, PREFIX).await;
}

/// All but the listing: `LocalEmu` compares keys as they are encoded, and so loses those that are not ASCII.
#[tokio::test]
async fn keep_the_contract_on_localemu() {
    let Some(server) = localemu() else { return };
    let (_, store, queue) = notified(server).await;
    contract::an_object_is_read_as_it_was_written(&store, PREFIX).await;
    contract::objects_stored_together_are_all_read_as_they_were_written(&store, PREFIX).await;
    contract::a_missing_object_is_not_found(&store, PREFIX).await;
    contract::every_spelling_of_a_key_is_its_own_object(&store, PREFIX).await;
    contract::the_latest_write_is_read(&store, PREFIX).await;
    contract::an_object_larger_than_wanted_is_not_read(&store, PREFIX).await;
    contract::a_file_is_the_object_that_it_was_asked_for(&store, PREFIX).await;
    contract::a_file_stays_what_it_was_whatever_becomes_of_its_object(&store, PREFIX).await;
    contract::what_is_stored_from_a_file_is_read_as_it_was_in_it(&store, PREFIX).await;
    contract::drain(&queue).await;
    contract::writes_and_removals_are_notified_in_the_order_of_their_sequencers(
        &store, &queue, PREFIX,
    )
    .await;
    contract::derived_objects_are_not_notified(&store, &queue, PREFIX).await;
}

#[tokio::test]
async fn a_bucket_that_is_not_there_says_what_makes_it() {
    for server in servers() {
        let bucket = unique("missing");
        let opened = S3Objects::open(server.clients().s3, &bucket, CALL_TIMEOUT, spool());
        let missing = opened.await.expect_err("nobody made it");
        assert_eq!(missing, OpenBucketError::Missing { bucket });
        assert!(missing.to_string().contains("`iyagi provision`"));
    }
}

#[tokio::test]
async fn a_version_is_told_with_what_is_read_and_written() {
    for server in servers() {
        let s3 = S3::on(server).await;
        s3.keep_versions().await;
        let store = s3.open().await;
        let key = key("posts/1/a.jpg");
        let mut versions = Vec::new();
        for bytes in [b"same", b"same"] {
            let put = store.put(&key, bytes.to_vec(), PutOptions::default()).await;
            let put = put.expect("stores");
            let (_, read) = store.get(&key, BYTES_MAX).await.expect("reads");
            assert_eq!(read.etag, put.etag);
            assert_eq!(read.version_id, put.version_id);
            assert_eq!(read.sequencer, None, "S3 tells it in notifications alone");
            versions.push(read.version_id.expect("a version"));
        }
        assert_ne!(versions[0], versions[1], "the same bytes, another write");
        store.delete(&key).await.expect("deletes");
        let gone = store.get(&key, BYTES_MAX).await;
        assert_eq!(gone, Err(StoreFault::NotFound(key)), "behind a marker");
    }
}

/// The events of a bucket's queue, sorted by their order.
async fn events(queue: &SqsQueue, count: usize) -> Vec<ObjectEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        let received = queue
            .receive(10, Duration::from_secs(10), CALL_TIMEOUT)
            .await;
        let received = received.expect("receives");
        assert!(!received.is_empty(), "{} of {count} came", events.len());
        for message in received {
            match Notification::parse(&message.body) {
                Ok(Notification::Objects(some)) => events.extend(some),
                Ok(Notification::Test) => {}
                Err(error) => panic!("{error}: {}", message.body),
            }
            queue.delete(&[message.receipt]).await.expect("deletes");
        }
    }
    events.sort_by(|a, b| a.sequencer.cmp(&b.sequencer));
    events
}

#[tokio::test]
async fn a_later_write_is_never_taken_for_an_earlier_one() {
    for (server, versions) in servers().flat_map(|one| [(one, true), (one, false)]) {
        let (s3, store, queue) = notified(server).await;
        if versions {
            s3.keep_versions().await;
        }
        let key = key("posts/1/a.jpg");
        let (first, second) = (b"first".to_vec(), b"second, longer".to_vec());
        for bytes in [&first, &second] {
            let put = store.put(&key, bytes.clone(), PutOptions::default()).await;
            put.expect("stores");
        }
        let events = events(&queue, 2).await;
        let read = read_write::<Vec<u8>>(&store, &events[0], BYTES_MAX).await;
        assert_eq!(read, Ok(Reading::Superseded), "{versions}");
        let read = read_write::<Vec<u8>>(&store, &events[1], BYTES_MAX).await;
        let Ok(Reading::Whole {
            whole, sequencer, ..
        }) = read
        else {
            panic!("{read:?}")
        };
        assert_eq!((whole, &sequencer), (second, &events[1].sequencer));
        // The same of what is too large to be read.
        let read = read_write::<Vec<u8>>(&store, &events[0], 3).await;
        assert_eq!(read, Ok(Reading::Superseded));
        let read = read_write::<Vec<u8>>(&store, &events[1], 3).await;
        assert!(matches!(read, Ok(Reading::Unread { .. })), "{read:?}");
        store.delete(&key).await.expect("deletes");
        let read = read_write::<Vec<u8>>(&store, &events[1], BYTES_MAX).await;
        assert_eq!(read, Ok(Reading::Superseded));
    }
}

#[tokio::test]
async fn what_iyagi_makes_itself_is_marked() {
    for server in servers() {
        let store = S3::on(server).await.open().await;
        for (name, mark) in [("derived/a.webp", Some("1")), ("posts/a.webp", None)] {
            let key = key(name);
            let put = store.put(&key, b"x".to_vec(), PutOptions::default()).await;
            put.expect("stores");
            let info = store.head(&key).await.expect("is there");
            let marked = info.options.metadata.get("iyagi-derived");
            assert_eq!(marked.map(String::as_str), mark, "{name}");
        }
    }
}

#[tokio::test]
async fn a_listing_leaves_out_keys_that_iyagi_does_not_use_and_loses_none_behind_them() {
    for server in servers() {
        let s3 = S3::on(server).await;
        // A folder's placeholder, as the console makes it, and a segment that a file system would not take.
        for name in [
            "list/",
            "list/0",
            "list/1//2",
            "list/3",
            "list/4/",
            "list/5",
        ] {
            let put = s3.client.put_object().bucket(&s3.bucket).key(name);
            put.send().await.expect("stores");
        }
        let store = s3.open().await;
        for limit in [1, 2, 10] {
            let (mut listed, mut after) = (Vec::new(), None);
            loop {
                let page = store.list("list/", after.as_ref(), limit).await;
                let page = page.expect("lists");
                listed.extend(
                    page.objects
                        .into_iter()
                        .map(|object| object.key.to_string()),
                );
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, ["list/0", "list/3", "list/5"], "limit {limit}");
        }
    }
}

/// Sends a signed request and yields its status and body.
fn send(
    method: &str,
    url: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let sent = match method {
        "GET" => agent.run(request.body(()).expect("a request")),
        _ => agent.run(request.body(body.to_vec()).expect("a request")),
    };
    let mut response = sent.expect("the server answers");
    let read = response.body_mut().read_to_vec().expect("a body");
    (response.status().as_u16(), read)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_does_what_it_was_signed_for_and_nothing_else() {
    const HOUR: Duration = Duration::from_hours(1);
    for server in servers() {
        let store = S3::on(server).await.open().await;
        let key = key("posts/1/한글 +%.jpg");
        let upload = Upload {
            key: key.clone(),
            content_type: "image/jpeg".to_owned(),
            size: 5,
            checksum: Checksum::Crc32(crc32fast::hash(b"12345").to_be_bytes()),
        };
        let put = store.presign_put(&upload, now(), HOUR).await;
        let put = put.expect("signs");
        let send = |method: &str, url: &str, headers: &BTreeMap<String, String>, body: &[u8]| {
            tokio::task::block_in_place(|| send(method, url, headers, body))
        };
        assert_eq!(put.headers["content-length"], "5");
        let (status, body) = send("PUT", &put.url, &put.headers, b"12345");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let (bytes, info) = store.get(&key, BYTES_MAX).await.expect("is there");
        assert_eq!(bytes, b"12345");
        assert_eq!(info.options.content_type.as_deref(), Some("image/jpeg"));

        let get = store.presign_get(&key, now(), HOUR).await.expect("signs");
        assert_eq!(
            send("GET", &get.url, &get.headers, b""),
            (200, b"12345".to_vec())
        );
        let other = get.url.replace("posts/1/", "posts/2/");
        let (status, _) = send("GET", &other, &get.headers, b"");
        assert!(matches!(status, 403 | 404), "another key: {status}");
        let tampered = get.url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200");
        assert_ne!(tampered, get.url);
        let (status, _) = send("GET", &tampered, &get.headers, b"");
        assert_eq!(status, 403, "a longer life than was signed");
    }
}

#[tokio::test]
async fn a_signature_lasts_a_week_at_most() {
    let store = S3::on(ministack()).await.open().await;
    let too_long = store
        .presign_get(&key("posts/a"), now(), Duration::from_hours(24 * 7 + 1))
        .await;
    assert!(too_long.is_err());
}
