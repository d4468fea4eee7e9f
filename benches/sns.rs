//! Publishes a second of one host, against a push service that answers at once, beside Python's SDK in threads.
//!
//! `BENCH_PYTHON=<a Python with boto3> cargo bench --bench sns`: both publish the same push to the same stub with as
//! many calls in flight, in turns within one run. The stub is a process of its own. Beside the rate stands the CPU time
//! of a publish: it is what tells on a machine that has other work to do. Without `BENCH_PYTHON` only the first is
//! measured.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
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
/// Makes this program the stub.
const STUB: &str = "--stub";
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
    began, worked = time.perf_counter(), time.process_time()
    list(pool.map(publish, range(total)))
    print(total / (time.perf_counter() - began), (time.process_time() - worked) / total * 1e6)
"#;

/// What one round showed.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    cpu_us: f64,
}

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
        collapse_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        device: "phone".into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "민지님이 회원님을 팔로우했어요".to_owned(),
        body: "지금 민지님의 이야기를 들어 보세요".to_owned(),
        link: "iyagi://people/person-minji".to_owned(),
        category: "social".to_owned(),
        device_texts: None,
        badge: None,
        presentation: iyagi_messages::template::Presentation::default(),
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

/// CPU time of this process so far, of every thread that lives.
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    let spent = threads.flatten().filter_map(|thread| {
        let told = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

async fn publish(gateway: &Arc<SnsGateway>, pushes: u64) -> Round {
    let (began, worked) = (Instant::now(), cpu_time());
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
    let pushes = pushes as f64;
    Round {
        per_second: pushes / began.elapsed().as_secs_f64(),
        cpu_us: cpu_time().saturating_sub(worked).as_secs_f64() * 1e6 / pushes,
    }
}

fn publish_in_python(python: &str, url: &str) -> Round {
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
    let figures: Vec<f64> = told
        .split_whitespace()
        .filter_map(|figure| figure.parse().ok())
        .collect();
    let [per_second, cpu_us] = figures[..] else {
        panic!("{told}{problem}");
    };
    Round { per_second, cpu_us }
}

/// The stub in a process of its own; it ends with its input, so whatever becomes of this process.
struct Stub {
    process: Child,
    url: String,
}

impl Stub {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command
            .arg(STUB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut url = String::new();
        let told = process.stdout.take().expect("piped");
        BufReader::new(told)
            .read_line(&mut url)
            .expect("its address");
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

/// Answers every call at once, one thread a connection, until its input ends.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&stream));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new()).ok();
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
            line.make_ascii_lowercase();
            if let Some(value) = line.strip_prefix(b"content-length:") {
                let value = std::str::from_utf8(value).expect("ASCII");
                length = value.trim().parse().expect("a length");
            }
            waits |= line.starts_with(b"expect:");
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

fn median(rounds: &[Round], figure: fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn tell(name: &str, rounds: &[Round]) -> Round {
    let median = Round {
        per_second: median(rounds, |round| round.per_second),
        cpu_us: median(rounds, |round| round.cpu_us),
    };
    println!(
        "{name:<8}{:>8.0} publishes/s {:>8.0} us of CPU each",
        median.per_second, median.cpu_us
    );
    median
}

fn main() {
    if std::env::args().any(|argument| argument == STUB) {
        return serve();
    }
    let stub = Stub::start();
    let python = std::env::var("BENCH_PYTHON").ok();
    // One thread, as all senders of a daemon share one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads");
    let gateway = Arc::new(gateway(&stub.url));
    runtime.block_on(publish(&gateway, PUSHES / 10));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(runtime.block_on(publish(&gateway, PUSHES)));
        theirs.extend(
            python
                .iter()
                .map(|python| publish_in_python(python, &stub.url)),
        );
    }
    println!("{IN_FLIGHT} in flight, medians of {ROUNDS} rounds");
    let ours = tell("iyagi", &ours);
    if python.is_some() {
        let theirs = tell("boto3", &theirs);
        println!(
            "ratio   {:>8.1} {:>20.1}",
            ours.per_second / theirs.per_second,
            theirs.cpu_us / ours.cpu_us
        );
    }
}
