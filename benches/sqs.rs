//! Receiving and deleting messages of SQS, against a server that answers at once.
//!
//! `cargo bench --bench sqs`: what the adapter and the SDK cost, not what a service or an emulator does. With
//! `BENCH_PYTHON` set to a Python that has boto3, the same work is done in turns by threads of it.

#[path = "../tests/aws/stub.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod stub;

use std::num::NonZero;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use futures_util::future::try_join_all;
use iyagi::aws::clients::Clients;
use iyagi::aws::sqs::SqsQueue;
use iyagi::config::AwsConfig;
use iyagi_actors::ports::{Queue, QueueFault};
use serde_json::json;

use stub::{Answer, Request, response, serve};

const BATCH: usize = 10;
/// Receivers at once; the boto3 side has as many threads.
const RECEIVERS: usize = 8;
const ROUNDS: usize = 5;
/// Receives of each receiver in a round.
const RECEIVES: usize = 500;
/// The same for Python, which takes longer.
const RECEIVES_OF_PYTHON: usize = 40;
const WAIT: Duration = Duration::from_secs(20);
const VISIBILITY: Duration = Duration::from_secs(30);
const JSON: &[(&str, &str)] = &[("content-type", "application/x-amz-json-1.0")];

/// Every receiver receives and deletes batches, and the time is taken without the first of them.
const PYTHON: &str = r"
import sys, time, threading, boto3
from botocore.config import Config
url, receivers, receives = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sqs = boto3.client('sqs', endpoint_url=url, region_name='eu-west-1', aws_access_key_id='test',
                   aws_secret_access_key='test', config=Config(max_pool_connections=receivers))
def work(receives):
    for _ in range(receives):
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, VisibilityTimeout=30,
            MessageSystemAttributeNames=['ApproximateReceiveCount', 'SentTimestamp', 'MessageGroupId'])
        entries = [{'Id': str(number), 'ReceiptHandle': message['ReceiptHandle']}
                   for number, message in enumerate(answer['Messages'])]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
def run(receives):
    threads = [threading.Thread(target=work, args=(receives,)) for _ in range(receivers)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
run(1)
began = time.monotonic()
run(receives)
print(time.monotonic() - began)
";

/// A server whose queue is always full, of notifications as S3 sends them.
fn full_queue() -> String {
    let body = json!({ "Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": { "principalId": "EXAMPLE" },
        "requestParameters": { "sourceIPAddress": "203.0.113.1" },
        "responseElements": { "x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE" },
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "iyagi",
            "bucket": { "name": "media", "arn": "arn:aws:s3:::media" },
            "object": {
                "key": "posts/1/a.jpg", "size": 123_456, "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": "006955B900000000A1",
            },
        },
    }]})
    .to_string();
    let messages = (0..BATCH).map(|number| {
        json!({
            "MessageId": format!("message-{number}"), "ReceiptHandle": "r".repeat(180), "Body": body,
            "Attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000" },
        })
    });
    let messages: Vec<_> = messages.collect();
    let deleted: Vec<_> = (0..BATCH)
        .map(|id| json!({ "Id": id.to_string() }))
        .collect();
    let answer = |value: serde_json::Value| response(200, JSON, value.to_string().as_bytes());
    let received = answer(json!({ "Messages": messages }));
    let deleted = answer(json!({ "Successful": deleted, "Failed": [] }));
    let found = answer(json!({ "QueueUrl": "http://sqs.invalid/1/full" }));
    serve(move |request: &Request| {
        let target = &request.headers["x-amz-target"];
        let whole = match target.rsplit('.').next() {
            Some("ReceiveMessage") => &received,
            Some("DeleteMessageBatch") => &deleted,
            _ => &found,
        };
        Answer::Whole(whole.clone())
    })
}

async fn open(url: &str) -> SqsQueue {
    let credentials = Credentials::new("test", "test", None, None, "bench");
    let sdk = SdkConfig::builder()
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url)
        .build();
    let clients = Clients::of(&sdk, &AwsConfig::default()).expect("a region is set");
    let opened = SqsQueue::open(clients.sqs, "full", "full", Duration::from_secs(10)).await;
    opened.expect("the stub answers")
}

async fn receive_and_delete(queue: &SqsQueue, receives: usize) -> Result<(), QueueFault> {
    for _ in 0..receives {
        let received = queue.receive(BATCH, WAIT, VISIBILITY).await?;
        assert_eq!(received.len(), BATCH);
        let receipts: Vec<_> = received
            .into_iter()
            .map(|message| message.receipt)
            .collect();
        queue.delete(&receipts).await?;
    }
    Ok(())
}

/// The receivers on as many threads as the machine has cores, as the daemon's actors are.
fn adapter_round(url: &str, threads: usize, receives: usize) -> f64 {
    let start = Barrier::new(threads);
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs nothing but the machine");
        runtime.block_on(async {
            let queue = open(url).await;
            start.wait();
            let began = Instant::now();
            let receivers = (0..RECEIVERS / threads).map(|_| receive_and_delete(&queue, receives));
            try_join_all(receivers).await.expect("the stub answers");
            began.elapsed()
        })
    };
    let longest = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let took = threads.into_iter().map(thread::ScopedJoinHandle::join);
        took.map(|took| took.expect("the stub answers")).max()
    });
    let seconds = longest.expect("a thread at least").as_secs_f64();
    rate(RECEIVERS / threads * threads, receives, seconds)
}

fn python_round(python: &str, url: &str) -> f64 {
    let ran = Command::new(python)
        .args(["-c", PYTHON, url])
        .args([RECEIVERS, RECEIVES_OF_PYTHON].map(|number| number.to_string()))
        .output()
        .expect("BENCH_PYTHON runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let seconds = String::from_utf8_lossy(&ran.stdout);
    let seconds = seconds.trim().parse().expect("seconds");
    rate(RECEIVERS, RECEIVES_OF_PYTHON, seconds)
}

fn rate(receivers: usize, receives: usize, seconds: f64) -> f64 {
    (receivers * receives * BATCH) as f64 / seconds
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let url = full_queue();
    let python = std::env::var("BENCH_PYTHON").ok();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(RECEIVERS);
    adapter_round(&url, threads, 10);
    let (mut adapter, mut boto3) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        adapter.push(adapter_round(&url, threads, RECEIVES));
        boto3.extend(python.as_deref().map(|python| python_round(python, &url)));
    }
    let adapter = median(adapter);
    println!(
        "adapter  {adapter:>8.0} messages/s received and deleted on {threads} threads (goal: at least 5,000)"
    );
    if boto3.is_empty() {
        println!("boto3    not measured: BENCH_PYTHON is not set");
        return;
    }
    let boto3 = median(boto3);
    println!("boto3    {boto3:>8.0} messages/s by {RECEIVERS} threads");
    println!("ratio    {:>8.1} (goal: at least 8)", adapter / boto3);
}
