//! What the adapters make of answers that no emulator gives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iyagi::aws::clients::Clients;
use iyagi::aws::s3::S3Objects;
use iyagi::aws::sqs::SqsQueue;
use iyagi::config::AwsConfig;
use iyagi::spool::Spool;
use iyagi_actors::ports::{ObjectStore, Outgoing, PutOptions, Queue, QueueFault, StoreFault};
use iyagi_messages::object::ObjectKey;
use serde_json::{Value, json};

use crate::objects::spool;
use crate::servers::Server;
use crate::stub::{Answer, Request, response, serve};

const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const JSON: &[(&str, &str)] = &[("content-type", "application/x-amz-json-1.0")];

fn clients(url: &str) -> Clients {
    let server = Server::at(url.to_owned());
    let config = AwsConfig {
        call_timeout_ms: CALL_TIMEOUT.as_millis() as u64,
        ..server.aws_config()
    };
    server.clients_with(&config)
}

pub(crate) fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).expect("a valid key")
}

fn text(body: &str) -> Outgoing {
    Outgoing {
        body: body.to_owned(),
        ..Outgoing::default()
    }
}

/// A queue whose stubbed server answers each action as it is told.
async fn queue(
    name: &str,
    answer: impl Fn(&str, Value) -> (u16, Value) + Send + Sync + 'static,
) -> SqsQueue {
    let url = serve(move |request: &Request| {
        let action = request.headers["x-amz-target"]
            .rsplit('.')
            .next()
            .expect("an action");
        let body = serde_json::from_slice(&request.body).expect("JSON");
        let (status, body) = match action {
            "GetQueueUrl" => (200, json!({ "QueueUrl": "http://sqs.invalid/1/q" })),
            _ => answer(action, body),
        };
        Answer::Whole(response(status, JSON, body.to_string().as_bytes()))
    });
    let opened = SqsQueue::open(clients(&url).sqs, name, name, CALL_TIMEOUT).await;
    opened.expect("it is there")
}

fn entries(body: &Value) -> Vec<Value> {
    body["Entries"].as_array().expect("a batch").clone()
}

fn failed(id: &Value, code: &str, sender_fault: bool) -> Value {
    json!({ "Id": id, "Code": code, "Message": "said so", "SenderFault": sender_fault })
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_result() {
    let queue = queue("jobs", |_, body| {
        let entries = entries(&body);
        let taken = json!({ "Id": entries[0]["Id"], "MessageId": "m", "MD5OfMessageBody": "" });
        let refused = failed(&entries[1]["Id"], "InvalidMessageContents", true);
        let stumbled = failed(&entries[2]["Id"], "InternalError", false);
        // And nothing is said of the fourth.
        (
            200,
            json!({ "Successful": [taken], "Failed": [stumbled, refused] }),
        )
    })
    .await;
    let messages = ["a", "b", "c", "d"].map(text).to_vec();
    let results = queue.send(messages).await.expect("in bounds");
    assert_eq!(results[0].as_ref().map(|sent| &*sent.message_id), Ok("m"));
    assert!(matches!(results[1], Err(QueueFault::Refused { .. })));
    assert!(matches!(results[2], Err(QueueFault::Unavailable { .. })));
    assert!(matches!(results[3], Err(QueueFault::Unavailable { .. })));
}

#[tokio::test]
async fn in_a_fifo_queue_nothing_overtakes_what_failed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let queue = queue("jobs.fifo", move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        (
            400,
            json!({ "__type": "com.amazonaws.sqs#KmsDisabled", "message": "no key" }),
        )
    })
    .await;
    let large = |number: usize| Outgoing {
        group: Some("g".to_owned()),
        deduplication_id: Some(number.to_string()),
        ..text(&"x".repeat(800 * 1024))
    };
    let results = queue.send((0..3).map(large).collect()).await;
    let results = results.expect("in bounds");
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert_eq!(
        calls.load(Ordering::Relaxed),
        1,
        "the rest is not even tried"
    );
}

#[tokio::test]
async fn a_delete_that_the_service_fails_at_is_tried_again_and_one_that_came_late_is_not() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let queue = queue("jobs", move |_, body| {
        let entries = entries(&body);
        let receipts = entries.iter().map(|entry| entry["ReceiptHandle"].clone());
        let receipts: Vec<_> = receipts.collect();
        seen.lock().unwrap().push(receipts.clone());
        let answers = entries.iter().map(|entry| match &entry["ReceiptHandle"] {
            late if late == "late" => failed(&entry["Id"], "ReceiptHandleIsInvalid", true),
            _ => failed(&entry["Id"], "InternalError", false),
        });
        // The third time it works.
        let failed: Vec<_> = answers.collect();
        match seen.lock().unwrap().len() {
            1 | 2 => (200, json!({ "Successful": [], "Failed": failed })),
            _ => (200, json!({ "Successful": [{ "Id": "0" }], "Failed": [] })),
        }
    })
    .await;
    let receipts = ["late", "good"].map(str::to_owned);
    assert_eq!(queue.delete(&receipts).await, Ok(()));
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls, [vec!["late", "good"], vec!["good"], vec!["good"]]);
}

#[tokio::test]
async fn a_delete_that_keeps_failing_is_told() {
    let queue = queue("jobs", |_, body| {
        let failed = failed(&entries(&body)[0]["Id"], "InternalError", false);
        (200, json!({ "Successful": [], "Failed": [failed] }))
    })
    .await;
    let deleted = queue.delete(&["good".to_owned()]).await;
    assert!(matches!(deleted, Err(QueueFault::Unavailable { .. })));
    assert_eq!(queue.delete(&[]).await, Ok(()), "nothing to do");
}

#[tokio::test]
async fn every_shape_of_a_receipt_that_ran_out_is_the_same() {
    for code in [
        "com.amazonaws.sqs#MessageNotInflight",
        "com.amazonaws.sqs#ReceiptHandleIsInvalid",
        "com.amazonaws.sqs#InvalidParameterValue",
    ] {
        let said = json!({ "__type": code, "message": "Value r for parameter ReceiptHandle" });
        let queue = queue("jobs", move |_, _| (400, said.clone())).await;
        let hidden = queue.change_visibility("r", Duration::ZERO).await;
        assert!(
            matches!(hidden, Err(QueueFault::NotInFlight { .. })),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_second_purge_within_a_minute_is_told_to_wait() {
    for code in [
        "com.amazonaws.sqs#PurgeQueueInProgress",
        "AWS.SimpleQueueService.PurgeQueueInProgress",
    ] {
        let said = json!({ "__type": code, "message": "no" });
        let queue = queue("jobs", move |_, _| (400, said.clone())).await;
        let Err(QueueFault::Unavailable { reason, .. }) = queue.purge().await else {
            panic!("it was purged")
        };
        assert!(reason.contains("try again in a minute"), "{reason}");
    }
}

#[tokio::test]
async fn twenty_five_receipts_are_renewed_in_three_calls() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let queue = queue("jobs", move |action, body| {
        assert_eq!(action, "ChangeMessageVisibilityBatch");
        counted.fetch_add(1, Ordering::Relaxed);
        let entries = entries(&body);
        let (gone, there): (Vec<_>, Vec<_>) = entries
            .iter()
            .partition(|entry| entry["ReceiptHandle"] == "13");
        let there: Vec<_> = there.iter().map(|e| json!({ "Id": e["Id"] })).collect();
        let gone = gone
            .iter()
            .map(|e| failed(&e["Id"], "InvalidParameterValue", true));
        let gone: Vec<_> = gone.collect();
        (200, json!({ "Successful": there, "Failed": gone }))
    })
    .await;
    let receipts: Vec<_> = (0..25).map(|number: u32| number.to_string()).collect();
    let results = queue
        .change_visibilities(&receipts, Duration::from_secs(30))
        .await;
    assert_eq!(results.len(), 25);
    for (number, result) in results.iter().enumerate() {
        let gone = matches!(result, Err(QueueFault::NotInFlight { .. }));
        assert_eq!(gone, number == 13, "{number}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_long_poll_outlasts_the_limit_of_other_calls_and_no_more() {
    let wait = Duration::from_secs(3);
    let queue = queue("jobs", move |_, body| {
        assert_eq!(body["WaitTimeSeconds"], wait.as_secs());
        std::thread::sleep(wait);
        (200, json!({}))
    })
    .await;
    assert!(CALL_TIMEOUT < wait);
    let received = queue.receive(10, wait, Duration::from_secs(30)).await;
    assert_eq!(received, Ok(vec![]));
    let hanging = self::queue("jobs", |_, _| {
        std::thread::sleep(Duration::from_mins(1));
        (200, json!({}))
    })
    .await;
    let began = std::time::Instant::now();
    let received = hanging
        .receive(10, Duration::from_secs(1), Duration::from_secs(30))
        .await;
    assert!(matches!(received, Err(QueueFault::Unavailable { .. })));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "nobody waits for ever"
    );
}

/// A bucket whose objects come as they are told.
pub(crate) async fn bucket(
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> S3Objects {
    bucket_spooling(spool(), answer).await
}

/// The same, with a spool of its own.
pub(crate) async fn bucket_spooling(
    spool: Arc<Spool>,
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> S3Objects {
    let url = serve(move |request: &Request| {
        if request.path.contains("versioning") {
            let xml = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            return Answer::Whole(response(200, &[], xml.as_bytes()));
        }
        match (request.method.as_str(), request.path.contains("posts")) {
            ("HEAD", false) => Answer::Whole(response(200, &[], b"")),
            _ => answer(request),
        }
    });
    let opened = S3Objects::open(clients(&url).s3, "media", CALL_TIMEOUT, spool);
    opened.await.expect("it is there")
}

const BODY: &[u8] = b"0123456789";
const HEADERS: &[(&str, &str)] = &[("etag", "\"e\"")];

#[tokio::test]
async fn a_read_that_breaks_off_is_begun_anew() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let store = bucket(move |_| {
        let whole = response(200, HEADERS, BODY);
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Cut(whole[..whole.len() - 5].to_vec()),
            // Whole, but not what its checksum is of.
            1 => {
                let checksum = [("x-amz-checksum-crc32", "AAAAAA=="), HEADERS[0]];
                Answer::Whole(response(200, &checksum, BODY))
            }
            _ => Answer::Whole(whole),
        }
    })
    .await;
    let (bytes, info) = store.get(&key("posts/a"), 100).await.expect("reads");
    assert_eq!(bytes, BODY);
    assert_eq!(info.etag, "e");
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_read_that_keeps_breaking_off_is_told() {
    let store = bucket(|_| {
        let whole = response(200, HEADERS, BODY);
        Answer::Cut(whole[..whole.len() - 1].to_vec())
    })
    .await;
    let read = store.get(&key("posts/a"), 100).await;
    let Err(StoreFault::Unavailable(reason)) = read else {
        panic!("{read:?}")
    };
    assert!(reason.contains("broke off 3 times"), "{reason}");
}

#[tokio::test]
async fn an_object_that_is_too_large_is_refused_by_its_length_before_it_is_read() {
    let store = bucket(|_| {
        // A terabyte is announced, and never sent: whoever reads on waits in vain.
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\netag: \"e\"\r\n\r\n";
        Answer::Whole(head.as_bytes().to_vec())
    })
    .await;
    let key = key("posts/a");
    let read = tokio::time::timeout(Duration::from_secs(2), store.get(&key, 100)).await;
    let too_large = StoreFault::TooLarge {
        key: key.clone(),
        size: 1_000_000_000_000,
        max: 100,
    };
    assert_eq!(read.expect("at once"), Err(too_large));
}

#[tokio::test]
async fn a_refusal_says_what_it_may_mean() {
    let said = BTreeMap::from([
        ("missing", (404, "NoSuchKey")),
        ("archived", (403, "InvalidObjectState")),
        ("forbidden", (403, "AccessDenied")),
    ]);
    let store = bucket(move |request| {
        let name = request.path.split(['/', '?']).nth(3).expect("a key");
        let (status, code) = said[name];
        let xml = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        Answer::Whole(response(status, &[], xml.as_bytes()))
    })
    .await;
    let get = async |name: &str| store.get(&key(&format!("posts/{name}")), 100).await;
    assert!(matches!(get("missing").await, Err(StoreFault::NotFound(_))));
    let archived = get("archived").await;
    assert!(matches!(archived, Err(StoreFault::Unreadable { .. })));
    let forbidden = get("forbidden").await.expect_err("refused");
    assert!(
        forbidden.to_string().contains("s3:ListBucket"),
        "{forbidden}"
    );
    let key = key("posts/forbidden");
    let put = store.put(&key, vec![], PutOptions::default()).await;
    assert!(matches!(put, Err(StoreFault::Full(_))), "{put:?}");
}
