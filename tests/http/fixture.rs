//! A daemon on free ports, and a client that keeps whatever it is answered.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{self, Daemon, DaemonError};
use iyagi::surface::Surface;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The token of an operator, where there are any.
pub(crate) const ADMIN: &str = "0123456789abcdef0123456789abcdef";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon; it goes down with the fixture.
pub(crate) struct Fixture {
    pub(crate) public: SocketAddr,
    pub(crate) operations: SocketAddr,
    pub(crate) surface: Arc<Surface>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), DaemonError>>>,
    client: ureq::Agent,
    /// For pages: what they redirect a browser to is looked at, not followed.
    browser: ureq::Agent,
    _folder: tempfile::TempDir,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A configuration on free ports.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    // Each push by itself and at once, whatever came before it.
    config.push.moderate = false;
    config.push.rate.burst = 0;
    config.data.dir = folder.join("data");
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.drain.timeout_ms = 2_000;
    config
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = config(folder.path());
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let (up, is_up) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            daemon::block_on(async move {
                let daemon = Daemon::start(config, built_in_templates()).await?;
                let listeners = &daemon.listeners;
                let public = listeners.public.expect("every role");
                let addresses = (public, listeners.operations);
                up.send((addresses, Arc::clone(&daemon.surface))).ok();
                stopped.await.ok();
                daemon.stop().await;
                Ok(())
            })
        });
        let Ok(((public, operations), surface)) = is_up.recv() else {
            panic!("the daemon did not start: {:?}", thread.join());
        };
        let agent = |redirects| {
            let config = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE))
                .max_redirects(redirects);
            ureq::Agent::from(config.build())
        };
        Self {
            public,
            operations,
            surface,
            stop: Some(stop),
            thread: Some(thread),
            client: agent(10),
            browser: agent(0),
            _folder: folder,
        }
    }

    /// Sends a request to the public listener, as Minji, who happens to be an operator.
    pub(crate) fn public(&self, method: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let token = self.token("minji", &["admin"]);
        self.with_token(&token, method, path, body)
    }

    /// Sends a request to the public listener, as somebody.
    pub(crate) fn public_as(
        &self,
        person: &str,
        method: &str,
        path: &str,
        body: impl AsRef<[u8]>,
    ) -> Answer {
        self.with_token(&self.token(person, &[]), method, path, body)
    }

    /// Sends a request to the public listener, with a token.
    pub(crate) fn with_token(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.send(self.public, method, path, &headers, body.as_ref())
    }

    /// A token that speaks for somebody.
    pub(crate) fn token(&self, person: &str, groups: &[&str]) -> String {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let issuer = self.surface.sign_in.issuer().expect("tokens are made here");
        let now = self.surface.clock.now();
        let token = issuer.token(person, &groups, now, Duration::from_mins(5));
        token.expect("a token")
    }

    /// Sends a request to the operations listener.
    pub(crate) fn operations(&self, method: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(self.operations, method, path, &[], body.as_ref())
    }

    /// Sends a request to the operations listener, with the token of an operator.
    pub(crate) fn as_operator(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.send(self.operations, method, path, &headers, body.as_bytes())
    }

    /// Gets from the public listener, as Minji, who happens to be an operator.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.token("minji", &["admin"]));
        let headers = [headers, &[("authorization", &bearer)]].concat();
        self.send(self.public, "GET", path, &headers, &[])
    }

    pub(crate) fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = if to == self.operations {
            &self.browser
        } else {
            &self.client
        };
        let answer = if body.is_empty() && matches!(method, "GET" | "HEAD" | "DELETE") {
            client.run(request.body(()).expect("a request"))
        } else {
            client.run(request.body(body.to_vec()).expect("a request"))
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let mut body = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .read_to_end(&mut body)
            .expect("a whole body");
        Answer {
            status,
            headers,
            body,
        }
    }

    /// Commits operations to the graph, whether operators have tokens or not.
    pub(crate) fn commit(&self, operations: &Value) -> Answer {
        let body = json!({ "operations": operations }).to_string();
        let answer = self.as_operator(ADMIN, "POST", "/v1/graph/commits", &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Two people, the first of whom has a phone.
    pub(crate) fn with_people(self) -> Self {
        self.commit(&json!([
            {"op": "add_vertex", "id": "minji", "label": "Person", "properties": {"name": "민지"}},
            {"op": "add_vertex", "id": "grace", "label": "Person", "properties": {"name": "Grace"}},
        ]));
        let device = json!({"person": "minji", "platform": "fcm", "locale": "ko"}).to_string();
        let answer = self.public("PUT", "/v1/devices/phone-1", device);
        assert_eq!(answer.status, 201, "{answer:?}");
        self
    }

    /// Grace follows Minji, and Minji is to be told.
    pub(crate) fn follow(&self) {
        self.commit(&json!([
            {"op": "add_edge", "id": "follows-1", "from": "grace", "to": "minji", "label": "FOLLOWS"},
        ]));
    }

    /// Asks until the answer is as it must come to be.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "never came: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("it ran").expect("no panic").expect("no error");
        }
    }
}

impl Answer {
    /// The body of a success.
    pub(crate) fn json(&self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// The problem document, which must be of this kind and status.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(
            document["type"],
            format!("urn:iyagi:problem:{kind}"),
            "{document}"
        );
        assert_eq!(document["status"], status);
        for member in ["title", "detail"] {
            assert!(document[member].is_string(), "{document}");
        }
        assert!(
            !self.text().contains("/data/"),
            "no path of the machine: {document}"
        );
        document
    }
}
