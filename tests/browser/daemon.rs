//! The real binary in a folder of its own, on free ports.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running daemon, which ends when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    /// Where its dashboard is.
    pub(crate) origin: String,
    /// Where it talks, which must not close: a demo that nobody listens to ends.
    _said: Box<dyn BufRead>,
    /// Where a demo plays, which cannot clean up after itself when it is killed.
    _stage: Option<tempfile::TempDir>,
}

impl Daemon {
    /// The demo, once its story is told.
    pub(crate) fn demo() -> Self {
        let stage = tempfile::tempdir().expect("a folder");
        let mut child = iyagi(&["demo", "--speed", "100"])
            .env("TMPDIR", stage.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut told = Vec::new();
        let origin = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let metrics = line.trim().strip_suffix("/metrics").map(str::to_owned);
                told.push(line);
                metrics
            });
        let origin = origin.unwrap_or_else(|| panic!("the demo does not end well: {told:#?}"));
        Self {
            child,
            origin,
            _said: Box::new(said),
            _stage: Some(stage),
        }
    }

    /// The daemon over a folder with a data folder in it, or nothing yet.
    pub(crate) fn run(folder: &Path) -> Self {
        let config = "log.format = \"json\"\nhttp.public = \"127.0.0.1:0\"\nhttp.operations = \"127.0.0.1:0\"\n\
            [push]\nmoderate = false\nrate.burst = 0\n";
        fs::write(folder.join("iyagi.toml"), config).expect("written");
        let mut child = iyagi(&["run"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let up = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let line: Value = serde_json::from_str(&line).ok()?;
                line["operations"].as_str().map(str::to_owned)
            });
        let address = up.expect("the daemon comes up");
        Self {
            child,
            origin: format!("http://{address}"),
            _said: Box::new(said),
            _stage: None,
        }
    }

    /// Asks the operations listener for something that must be there.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = ureq::get(format!("{}{path}", self.origin)).call();
        let mut answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        answer.body_mut().read_json().expect("JSON")
    }

    /// Tells the operations listener something that it must accept.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = ureq::post(format!("{}{path}", self.origin)).send_json(body);
        let mut answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        answer.body_mut().read_json().expect("JSON")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, which no variable of this machine tells anything.
fn iyagi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iyagi"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}
