//! A headless Chromium with a profile of its own, driven by its driver over `WebDriver` (W3C).
//!
//! The crates that speak `WebDriver` would change the daemon under test: a feature that a test turns on is on in the binary as
//! well, and one of them has JSON objects keep the order they are written in. The protocol is JSON over HTTP, and a dozen of
//! its commands do.
//!
//! Whatever a page does wrong fails the test: an error in its console, a breach of its content security policy, a request
//! to another origin.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::programs;

/// What a browser is started with that must reach nothing but this machine, as whatever user runs the tests.
const FLAGS: [&str; 10] = [
    "--headless",
    "--hide-scrollbars",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The browser ends with its driver, however that ends.
    "--remote-debugging-pipe",
];
/// Key under which `WebDriver` names elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What a test waits for is there by then, or is never there. A loaded machine takes seconds to start a browser.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A browser with one window.
pub(crate) struct Browser {
    /// `http://127.0.0.1:<port>` of the daemon whose pages it shows.
    origin: String,
    /// Address of the session with the driver.
    session: String,
    agent: ureq::Agent,
    driver: Child,
    /// Where the driver talks, which must not close.
    _said: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Light,
    Dark,
    /// As on a small phone.
    Narrow,
}

impl Look {
    pub(crate) const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Narrow];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Narrow => "360",
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light | Self::Narrow => "light",
        }
    }

    fn size(self) -> (u32, u32) {
        match self {
            Self::Light | Self::Dark => (1280, 800),
            Self::Narrow => (360, 740),
        }
    }
}

/// Whether there is no browser here, so that a test is left out.
pub(crate) fn is_missing() -> bool {
    let cure = "on Debian, `apt-get install chromium chromium-driver`";
    ["chromium", "chromedriver"]
        .iter()
        .any(|program| programs::lacks(program, cure))
}

impl Browser {
    /// A new browser for the pages of a daemon.
    pub(crate) fn open(origin: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let (driver, said, address) = start_driver();
        let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {
                "binary": programs::path("chromium").expect("it is not missing"),
                "args": flags,
            },
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let agent = ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .build();
        let mut browser = Self {
            origin: origin.to_owned(),
            session: format!("{address}/session"),
            agent: agent.into(),
            driver,
            _said: said,
            _profile: profile,
        };
        let begun = browser.must("", &capabilities);
        let id = begun["sessionId"].as_str().expect("a session");
        browser.session = format!("{address}/session/{id}");
        browser.look(Look::Light);
        // What the browser itself has shown so far is of no interest.
        browser.must("/url", &json!({"url": "about:blank"}));
        browser.complaints();
        browser
    }

    /// Shows a page of the daemon.
    pub(crate) fn visit(&self, path: &str) {
        self.must("/url", &json!({"url": format!("{}{path}", self.origin)}));
    }

    /// Shows the same page anew.
    pub(crate) fn reload(&self) {
        self.must("/refresh", &json!({}));
    }

    /// Goes back to the page before.
    pub(crate) fn back(&self) {
        self.must("/back", &json!({}));
    }

    /// Path and query of the page that is shown.
    pub(crate) fn path(&self) -> String {
        let address = self.run("return location.href", &[]);
        let address = address.as_str().expect("an address");
        let path = address.strip_prefix(&self.origin);
        let path = path.unwrap_or_else(|| panic!("{address} is another origin"));
        path.to_owned()
    }

    /// Changes how pages are looked at from now on.
    pub(crate) fn look(&self, look: Look) {
        let (width, height) = look.size();
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": "prefers-color-scheme", "value": look.scheme()}]}),
        );
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": look == Look::Narrow}),
        );
    }

    /// Clicks the element that a CSS selector names, as soon as it is there.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.must(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types into the element that a CSS selector names.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.must(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// Waits for the element that a CSS selector names, and yields its `WebDriver` id.
    pub(crate) fn find(&self, selector: &str) -> String {
        let named = json!({"using": "css selector", "value": selector});
        let mut found = None;
        self.wait(selector, || {
            found = self.send("/element", &named).ok();
            found.is_some()
        });
        let element = found.expect("it was waited for");
        element[ELEMENT].as_str().expect("an id").to_owned()
    }

    /// Waits until the text of the page's part that a CSS selector names is as it must come to be.
    pub(crate) fn until(&self, selector: &str, holds: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        self.wait(selector, || {
            text = self.text(selector);
            holds(&text)
        });
        text
    }

    /// The text of the page's part that a CSS selector names; empty if there is none.
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let found = self.run(script, &[json!(selector)]);
        found.as_str().unwrap_or_default().to_owned()
    }

    /// How many elements a CSS selector names.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        let script = "return document.querySelectorAll(arguments[0]).length";
        let found = self.run(script, &[json!(selector)]);
        found.as_u64().expect("a number")
    }

    /// Waits until something holds.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let page = "return location.pathname + '\\n' + document.body.innerText";
            assert!(
                Instant::now() < deadline,
                "{what} never comes on {}",
                self.run(page, &[])
            );
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What the body of a function yields in the page.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.must(
            "/execute/sync",
            &json!({"script": script, "args": arguments}),
        )
    }

    /// What the body of a function hands to its last argument in the page.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        self.must("/execute/async", &json!({"script": script, "args": []}))
    }

    /// What is to be seen of the page, as PNG.
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", &json!({}));
        let data = taken["data"].as_str().expect("a picture");
        BASE64_STANDARD.decode(data).expect("base64")
    }

    /// Fails if anything was wrong since it was last asked.
    pub(crate) fn must_be_content(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{}: {complaints:#?}", self.path());
    }

    fn complaints(&self) -> Vec<String> {
        let console = self.log("browser").into_iter().map(|entry| {
            let text = entry["message"].as_str().unwrap_or_default();
            format!("{}: {text}", entry["level"])
        });
        let requests = self.log("performance").into_iter().filter_map(|entry| {
            let message = entry["message"].as_str().expect("text");
            let event: Value = serde_json::from_str(message).expect("JSON");
            let asked = event.pointer("/message/params/request/url")?.as_str()?;
            let own = asked.strip_prefix(&self.origin);
            let stays = own.is_some_and(|path| path.starts_with('/'));
            let needs_none = asked.starts_with("data:") || asked.starts_with("blob:");
            (!stays && !needs_none).then(|| format!("a request leaves the origin: {asked}"))
        });
        console.chain(requests).collect()
    }

    fn log(&self, of: &str) -> Vec<Value> {
        match self.must("/se/log", &json!({"type": of})) {
            Value::Array(entries) => entries,
            other => panic!("the driver's log is {other}"),
        }
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        let command = json!({"cmd": command, "params": params});
        self.must("/goog/cdp/execute", &command)
    }

    fn must(&self, command: &str, body: &Value) -> Value {
        let done = self.send(command, body);
        done.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn send(&self, command: &str, body: &Value) -> Result<Value, String> {
        let address = format!("{}{command}", self.session);
        let answer = self.agent.post(&address).send_json(body);
        let mut answer = answer.map_err(|error| error.to_string())?;
        let succeeded = answer.status().is_success();
        let mut document: Value = answer.body_mut().read_json().expect("JSON");
        let value = document["value"].take();
        if succeeded {
            return Ok(value);
        }
        Err(format!("{}: {}", value["error"], value["message"]))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver whose session ends takes the browser along; it may have died of what failed the test.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts a driver on a free port, and yields where it talks and its address.
fn start_driver() -> (Child, BufReader<ChildStdout>, String) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the driver starts");
    let mut said = BufReader::new(driver.stdout.take().expect("piped"));
    let mut line = String::new();
    let port = loop {
        line.clear();
        let read = said.read_line(&mut line).expect("UTF-8");
        assert!(read > 0, "the driver ends before it says where it listens");
        if let Some((_, port)) = line.trim().split_once("started successfully on port ") {
            break port.trim_end_matches('.').to_owned();
        }
    };
    (driver, said, format!("http://127.0.0.1:{port}"))
}
