//! Publishes a second of one host, against a push service that answers at once, beside Python's SDK in threads.
//!
//! `BENCH_PYTHON=<a Python with boto3> cargo bench --bench sns`: both publish the same push to the same stub with as
//! many calls in flight, in turns within one run; the ratio of the medians is what counts, for the absolute figures
//! depend on the machine. Without `BENCH_PYTHON` only the first is measured.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::{BehaviorVersion, Credentials, Region};
use iyagi::aws::dynamodb::fault::TableFault;
use iyagi::aws::sns::envelope::envelope;
use iyagi::aws::sns::registry::{Endpoint, EndpointKey};
use iyagi::aws::sns::{
    Application, Applications, EndpointRegistry, Service, SnsGateway, SnsSettings,
};
use iyagi_actors::ports::{Payload, PushGateway};
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{PushId, Seq};
use tokio::task::JoinSet;

const IN_FLIGHT: u64 = 32;
const PUSHES: u64 = 15_000;
/// Python gets fewer: it is measured for about as long.
const PUSHES_PYTHON: u64 = 2_000;
const ROUNDS: usize = 5;
const APPLICATION: &str = "arn:aws:sns:test-region-1:111122223333:app/GCM/iyagi-fcm";
const ENDPOINT: &str = "arn:aws:sns:test-region-1:111122223333:endpoint/GCM/iyagi-fcm/e-1";

const PYTHON: &str = r#"
import sys, time
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.config import Config

url, target, message, ttl, total, threads = sys.argv[1:7]
total, threads = int(total), int(threads)
config = Config(retries={"max_attempts": 0}, max_pool_connections=threads)
sns = boto3.client("sns", endpoint_url=url, region_name="test-region-1", aws_access_key_id="test",
                   aws_secret_access_key="test", config=config)
attributes = {"AWS.SNS.MOBILE.FCM.TTL": {"DataType": "String", "StringValue": ttl}}

def publish(_):
    answer = sns.publish(TargetArn=target, Message=message, MessageStructure="json", MessageAttributes=attributes)
    assert answer["MessageId"]

with ThreadPoolExecutor(threads) as pool:
    list(pool.map(publish, range(threads * 4)))
    began = time.perf_counter()
    list(pool.map(publish, range(total)))
    print(total / (time.perf_counter() - began))
"#;

/// One endpoint for whichever phone.
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

fn payload(number: u64) -> Payload {
    Payload {
        push_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        device: "phone".into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "민지님이 회원님을 팔로우했어요".to_owned(),
        body: "지금 민지님의 이야기를 들어 보세요".to_owned(),
        link: "iyagi://people/person-minji".to_owned(),
        category: "social".to_owned(),
        ttl_seconds: 3_600,
    }
}

fn application() -> Application {
    Application {
        service: Service::Fcm,
        arn: APPLICATION.to_owned(),
        topic: None,
    }
}

fn gateway(url: &str) -> SnsGateway {
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
        publish_per_second: 1_000_000,
        endpoint_calls_per_second: 1_000_000,
        timeout: Duration::from_secs(10),
    };
    let registry = Arc::<Registry>::default();
    SnsGateway::new(
        &Client::from_conf(config.build()),
        applications,
        registry,
        settings,
    )
}

/// Publishes a second.
async fn publish(gateway: &Arc<SnsGateway>, pushes: u64) -> f64 {
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..IN_FLIGHT {
        let gateway = Arc::clone(gateway);
        senders.spawn(async move {
            for number in (sender..pushes).step_by(IN_FLIGHT as usize) {
                gateway
                    .send(&payload(number))
                    .await
                    .expect("the stub takes everything");
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.expect("no sender panics");
    }
    pushes as f64 / began.elapsed().as_secs_f64()
}

fn publish_in_python(python: &str, url: &str) -> f64 {
    let push = payload(1);
    let message = envelope(&push, &application()).expect("it fits").message;
    let (ttl, pushes) = (push.ttl_seconds.to_string(), PUSHES_PYTHON.to_string());
    let threads = IN_FLIGHT.to_string();
    let output = Command::new(python)
        .args([
            "-c", PYTHON, url, ENDPOINT, &message, &ttl, &pushes, &threads,
        ])
        .output()
        .expect("BENCH_PYTHON is a Python");
    let told = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    told.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{told}{problem}"))
}

/// Answers every call at once, one thread a connection.
fn stub() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&stream));
        }
    });
    address
}

fn answer(stream: &TcpStream) {
    stream.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::with_capacity(16 * 1024, stream);
    let mut writer = stream;
    let mut line = Vec::new();
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        let mut waits = false;
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).unwrap_or_default() == 0 {
                return;
            }
            if line == b"\r\n" {
                break;
            }
            let header = std::str::from_utf8(&line)
                .expect("ASCII")
                .to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            waits |= header.starts_with("expect:");
        }
        if waits {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok();
        }
        body.resize(length, 0);
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let action = body.split(|byte| *byte == b'&').next().unwrap_or_default();
        let answered = match action {
            b"Action=CreatePlatformEndpoint" => respond(
                writer,
                &format!(
                    "<CreatePlatformEndpointResponse><CreatePlatformEndpointResult><EndpointArn>{ENDPOINT}</EndpointArn>\
                 </CreatePlatformEndpointResult></CreatePlatformEndpointResponse>"
                ),
            ),
            b"Action=GetEndpointAttributes" => respond(
                writer,
                "<GetEndpointAttributesResponse><GetEndpointAttributesResult><Attributes>\
                 <entry><key>Enabled</key><value>true</value></entry><entry><key>Token</key><value>phone</value></entry>\
                 </Attributes></GetEndpointAttributesResult></GetEndpointAttributesResponse>",
            ),
            _ => respond(
                writer,
                "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                 <MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>\
                 <RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>",
            ),
        };
        if answered.is_err() {
            return;
        }
    }
}

fn respond(mut writer: &TcpStream, body: &str) -> std::io::Result<()> {
    let length = body.len();
    writer.write_all(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    )
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let url = format!("http://{}", stub());
    let python = std::env::var("BENCH_PYTHON").ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads");
    let gateway = Arc::new(gateway(&url));
    runtime.block_on(publish(&gateway, PUSHES / 10));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(runtime.block_on(publish(&gateway, PUSHES)));
        theirs.extend(python.iter().map(|python| publish_in_python(python, &url)));
    }
    let ours = median(ours);
    println!("iyagi   {ours:>8.0} publishes/s, {IN_FLIGHT} in flight, median of {ROUNDS}");
    if python.is_some() {
        let theirs = median(theirs);
        println!("boto3   {theirs:>8.0} publishes/s, {IN_FLIGHT} threads");
        println!("ratio   {:>8.1}", ours / theirs);
    }
}
