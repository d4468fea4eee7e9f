//! What is provisioned is run: a picture by another SDK on one end, thumbnails and metadata on the other, whatever happens
//! in between.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

type Answer = ureq::http::Response<ureq::Body>;

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

    /// A request to the public listener in somebody's name, and what it is answered with. Redirects are not followed.
    fn ask(&self, person: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = bearer(&self.installation.folder.path().join("data"), person, &[]);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.public))
            .header("Authorization", bearer);
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = ureq::Agent::from(agent).run(request.body(body).expect("a request"));
        answer.expect("the daemon answers")
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

/// A picture that the engine takes.
fn picture() -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(folder.join("docs/images/cat.jpg")).expect("a picture")
}

fn declared(bytes: &[u8], method: &str) -> Value {
    json!({
        "content_type": "image/jpeg",
        "size": bytes.len(),
        "checksum_sha256": STANDARD.encode(Sha256::digest(bytes)),
        "method": method,
    })
}

/// What a browser sends for a form whose last field is a file.
fn form(fields: &Value, file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields.as_object().expect("fields") {
        let value = value.as_str().expect("text");
        let part =
            format!("--part\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "--part\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: image/jpeg\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--part--\r\n");
    body
}

/// Sends a request with no token, straight to the store.
fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::from(agent.build());
    let sent = match method {
        "GET" => agent.run(request.body(()).expect("a request")),
        _ => agent.run(request.body(body).expect("a request")),
    };
    sent.expect("the server answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_to_the_bucket_itself_and_the_whole_way_from_there() {
    let server = ministack();
    let installation = Installation::on(server, Phones::Fcm);
    installation.done(&["provision"]);
    let running = Running::start(&installation);
    running.put_with_boto3(server, &["posts/0/a.png".to_owned()]);
    running.until_described("posts/0/a.png");
    let picture = picture();
    for method in ["PUT", "POST"] {
        let mut granted = running.ask("minji", "POST", "/v1/uploads", &declared(&picture, method));
        assert_eq!(granted.status(), 200);
        let grant: Value = granted.body_mut().read_json().expect("JSON");
        let url = grant["url"].as_str().expect("an address");
        assert!(url.starts_with(server.url()), "{url}");
        let mut larger = picture.clone();
        larger.push(0);
        let upload = |bytes: &[u8]| {
            if method == "PUT" {
                let headers = grant["headers"].as_object().expect("headers");
                let headers = headers.iter().filter(|(name, _)| *name != "content-length");
                let headers: Vec<_> = headers
                    .map(|(name, value)| (name.as_str(), value.as_str().expect("text")))
                    .collect();
                send("PUT", url, &headers, bytes.to_vec())
            } else {
                let headers = [("content-type", "multipart/form-data; boundary=part")];
                send("POST", url, &headers, form(&grant["fields"], bytes))
            }
        };
        let refused = upload(&larger);
        assert!(
            matches!(refused.status().as_u16(), 400 | 403),
            "{method}: {refused:?}"
        );
        let mut stored = upload(&picture);
        let told = stored.body_mut().read_to_string().unwrap_or_default();
        assert!(
            stored.status().is_success(),
            "{method}: {} {told}",
            stored.status()
        );
        let key = grant["key"].as_str().expect("a key");
        assert!(key.starts_with("uploads/minji/"), "{key}");
        let object = server.clients().s3.get_object();
        let object = object.bucket(&installation.bucket).key(key).send().await;
        let object = object.expect("it is there");
        assert_eq!(object.content_type(), Some("image/jpeg"));
        let bytes = object.body.collect().await.expect("all of it");
        assert_eq!(bytes.into_bytes(), picture);
        if method == "POST" {
            // The server looks for the topic of a form in another region than the bucket's, and tells nobody.
            continue;
        }
        let second = upload(&picture);
        assert_eq!(second.status(), 412, "If-None-Match is signed");
        running.until_described(key);
        let path = format!("/v1/media/{key}");
        let mut owned = running.ask("minji", "GET", &path, &Value::Null);
        let item: Value = owned.body_mut().read_json().expect("JSON");
        assert_eq!(
            (&item["owner"], &item["size"]),
            (&"minji".into(), &picture.len().into())
        );
        let foreign = running.ask("grace", "GET", &path, &Value::Null);
        assert_eq!(foreign.status(), 404);

        let small = item["thumbnails"]["variants"][0]["url"]
            .as_str()
            .expect("a path");
        let led = running.ask("minji", "GET", small, &Value::Null);
        assert_eq!(led.status(), 307);
        let link = led.headers()["location"].to_str().expect("text").to_owned();
        let mut shown = send("GET", &link, &[], Vec::new());
        assert_eq!(shown.status(), 200);
        let cached = shown.headers()["cache-control"].to_str().expect("text");
        assert_eq!(cached, "public, max-age=31536000, immutable");
        assert!(shown.headers().contains_key("etag"));
        let bytes = shown.body_mut().read_to_vec().expect("a picture");
        assert_eq!(
            Some(bytes.len() as u64),
            item["thumbnails"]["variants"][0]["size"].as_u64()
        );
        let altered = link.replace("X-Amz-Expires=", "X-Amz-Expires=1");
        assert_ne!(altered, link);
        assert_eq!(send("GET", &altered, &[], Vec::new()).status(), 403);
    }
    running.stop();
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
