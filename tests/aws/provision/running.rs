//! What is provisioned is run: a picture by another SDK on one end, thumbnails and metadata on the other, whatever happens
//! in between.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Installation, Phones};
use crate::bearer::bearer;
use crate::faults::{Fault, FaultProxy, Rule};
use crate::servers::{Server, localemu, ministack, python_with_boto3};

/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);
/// Calls that fail before the fault is over.
const FAILURES: u32 = 60;
/// What memory may grow by under a fault, in bytes: allocators keep some of what they are given back.
const GROWTH_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// Puts a picture as a backend in Python does, under a key that is a trap of its own.
const PUT: &str = r#"
import base64, sys, boto3
picture = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
for key in sys.argv[2:]:
    boto3.client("s3").put_object(Bucket=sys.argv[1], Key=key, Body=picture, ContentType="image/png")
"#;

/// A running daemon of an installation.
struct Running<'i> {
    installation: &'i Installation,
    process: Child,
    public: String,
    agent: ureq::Agent,
}

impl<'i> Running<'i> {
    fn start(installation: &'i Installation) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let public = free.local_addr().expect("bound").to_string();
        drop(free);
        let process = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .args(["run", "--public-addr", &public])
            .current_dir(installation.folder.path())
            .env_clear()
            .envs(installation.environment.iter().cloned())
            .env("IYAGI_LOG_FILTER", "off")
            .stdin(Stdio::null())
            .spawn();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        Self {
            installation,
            process: process.expect("the binary starts"),
            public,
            agent: agent.into(),
        }
    }

    fn put_with_boto3(&self, server: &Server, keys: &[String]) {
        let put = Command::new(python_with_boto3())
            .args(["-I", "-c", PUT, &self.installation.bucket])
            .args(keys)
            .env_clear()
            .envs(server.environment())
            .status();
        assert!(put.expect("Python runs").success());
    }

    fn item(&self, key: &str) -> Option<Value> {
        let url = format!("http://{}/v1/media/{key}", self.public);
        let operator = bearer(
            &self.installation.folder.path().join("data"),
            "operator",
            &["admin"],
        );
        let request = self.agent.get(url).header("Authorization", operator);
        let mut answer = request.call().ok()?;
        let found = answer.status() == 200;
        found.then(|| answer.body_mut().read_json().ok()).flatten()
    }

    /// Waits until a picture's item is there with its thumbnails.
    fn until_described(&self, key: &str) -> Value {
        let began = Instant::now();
        loop {
            let item = self.item(key);
            if let Some(item) = item.filter(|item| item["thumbnails"]["variants"].is_array()) {
                return item;
            }
            assert!(began.elapsed() < PATIENCE, "{key} is never described");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.expect("a size") * 1024
    }

    fn stop(mut self) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill runs").success());
        let ended = self.process.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // It is gone already unless the test failed.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

async fn a_picture_is_described(server: &Server, phones: Phones) {
    let installation = Installation::on(server, phones);
    installation.done(&["provision"]);
    let running = Running::start(&installation);
    running.put_with_boto3(server, &["profile/민지/her photo.png".to_owned()]);
    let item = running.until_described("profile/%EB%AF%BC%EC%A7%80/her%20photo.png");
    assert_eq!(item["owner"], "민지");
    let bucket = server.clients().s3.list_objects_v2();
    let derived = bucket.bucket(&installation.bucket).prefix("derived/");
    let derived = derived.send().await.expect("listed");
    let stored: Vec<&str> = derived.contents().iter().filter_map(|o| o.key()).collect();
    let variants = item["thumbnails"]["variants"].as_array().expect("a list");
    assert!(!variants.is_empty());
    for variant in variants {
        let key = variant["key"].as_str().expect("a key");
        assert!(stored.contains(&key), "{key} is not in {stored:?}");
    }
    let table = server.clients().dynamodb.scan();
    let table = table.table_name(installation.name("metadata"));
    let items = table.send().await.expect("scanned").items.expect("items");
    let (items, claims): (Vec<_>, Vec<_>) =
        items.iter().partition(|item| item.contains_key("item"));
    assert_eq!((items.len(), claims.len()), (1, 1), "{items:?} {claims:?}");
    running.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_by_boto3_has_thumbnails_and_an_item_on_ministack() {
    a_picture_is_described(ministack(), Phones::Fcm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_by_boto3_has_thumbnails_and_an_item_on_localemu() {
    if let Some(server) = localemu() {
        a_picture_is_described(server, Phones::Apns).await;
    }
}

#[test]
fn while_nothing_answers_memory_stays_flat_and_afterwards_all_is_made_good() {
    let server = ministack();
    let proxy = FaultProxy::before(server);
    let installation = Installation::on(proxy.server(), Phones::Fcm);
    installation.done(&["provision"]);
    let running = Running::start(&installation);
    running.put_with_boto3(server, &["posts/0/a.png".to_owned()]);
    running.until_described("posts/0/a.png");
    let before = running.resident_bytes();

    proxy.inject(Rule::every(Fault::Page(503)));
    let keys: Vec<String> = (1..=30).map(|n| format!("posts/{n}/a.png")).collect();
    running.put_with_boto3(server, &keys);
    let began = Instant::now();
    while proxy.fired() < FAILURES {
        assert!(began.elapsed() < PATIENCE, "{} calls failed", proxy.fired());
        thread::sleep(Duration::from_millis(50));
    }
    let during = running.resident_bytes();
    proxy.heal();
    for key in &keys {
        running.until_described(key);
    }
    let after = running.resident_bytes();
    println!("resident: {before} before, {during} during, {after} after {FAILURES} failures");
    assert!(during < before + GROWTH_BYTES_MAX, "{before} -> {during}");
    assert!(after < before + GROWTH_BYTES_MAX, "{before} -> {after}");
    running.stop();
}
