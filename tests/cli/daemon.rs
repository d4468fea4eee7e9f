//! A daemon that commands speak to: the real binary, with what it takes to tell it things and to hear it.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::bearer::bearer;

/// Nothing takes this long unless it is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const FREE_ADDRESSES: [&str; 4] = [
    "--public-addr",
    "127.0.0.1:0",
    "--operations-addr",
    "127.0.0.1:0",
];

pub(super) struct Live {
    pub(super) folder: tempfile::TempDir,
    pub(super) daemon: Child,
    log: BufReader<ChildStderr>,
    pub(super) public: String,
    pub(super) operations: String,
    pub(super) agent: ureq::Agent,
}

impl Live {
    pub(super) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(super) fn start_with(surroundings: impl FnOnce(&mut Command)) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), surroundings)
    }

    /// Starts one in the folder of one that was stopped.
    pub(super) fn again(mut self) -> Self {
        let elsewhere = tempfile::tempdir().expect("a folder");
        let folder = std::mem::replace(&mut self.folder, elsewhere);
        Self::start_in(folder, |_| {})
    }

    fn start_in(folder: tempfile::TempDir, surroundings: impl FnOnce(&mut Command)) -> Self {
        let text = "log.format = \"json\"\nstream.interval_ms_min = 5\nstream.interval_ms_max = 20\n[push]\nmoderate = false\n";
        fs::write(folder.path().join("iyagi.toml"), text).expect("written");
        let mut call = Call::new(folder.path(), &["run"]);
        surroundings(&mut call.command);
        let spawned = call
            .command
            .args(FREE_ADDRESSES)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut daemon = spawned.expect("the binary starts");
        let mut log = BufReader::new(daemon.stderr.take().expect("piped"));
        let up = loop {
            let mut line = String::new();
            let read = log.read_line(&mut line).expect("UTF-8");
            assert!(read > 0, "the daemon does not come up");
            let line: Value = serde_json::from_str(&line).expect("one JSON object a line");
            if line["public"].is_string() {
                break line;
            }
        };
        let address = |side: &str| format!("http://{}", up[side].as_str().expect("an address"));
        Self {
            folder,
            daemon,
            log,
            public: address("public"),
            operations: address("operations"),
            agent: ureq::Agent::config_builder().proxy(None).build().into(),
        }
    }

    pub(super) fn bearer(&self, person: &str) -> String {
        bearer(&self.folder.path().join("data"), person, &[])
    }

    pub(super) fn iyagi(&self, arguments: &[&str]) -> Answer {
        let call = Call::new(self.folder.path(), arguments);
        call.env("IYAGI_OPERATIONS_URL", &self.operations).answer()
    }

    pub(super) fn done(&self, arguments: &[&str]) -> String {
        let answer = self.iyagi(arguments);
        assert_eq!(
            answer.status, 0,
            "{arguments:?}: {}{}",
            answer.out, answer.err
        );
        answer.out
    }

    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--output", "json"]);
        serde_json::from_str(&self.done(&arguments)).expect("JSON")
    }

    /// Starts the daemon in the folder of one that was stopped, which it refuses; yields why.
    pub(super) fn refuses_to_start(&self) -> String {
        let run = [&["run"][..], &FREE_ADDRESSES].concat();
        let answer = Call::new(self.folder.path(), &run).answer();
        assert_eq!(answer.status, 1, "{}", answer.err);
        let told = answer.err.lines().find(|line| line.starts_with("error: "));
        told.unwrap_or_else(|| panic!("no reason: {}", answer.err))
            .to_owned()
    }

    pub(super) fn until(what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "{what} never comes");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn follow(&self, edge: &str) {
        let body = json!({"operations": [
            {"op": "add_edge", "id": edge, "from": "ada", "to": "minji", "label": "FOLLOWS"},
        ]});
        self.agent
            .post(format!("{}/v1/graph/commits", self.operations))
            .send_json(&body)
            .expect("committed");
    }

    pub(super) fn people(&self) {
        let body = json!({"operations": [
            {"op": "add_vertex", "id": "minji", "label": "Person", "properties": {"name": "민지"}},
            {"op": "add_vertex", "id": "ada", "label": "Person", "properties": {"name": "Ada"}},
        ]});
        self.agent
            .post(format!("{}/v1/graph/commits", self.operations))
            .send_json(&body)
            .expect("committed");
        let device = json!({"platform": "fcm", "locale": "ko"});
        self.agent
            .put(format!("{}/v1/devices/phone", self.public))
            .header("Authorization", self.bearer("minji"))
            .send_json(&device)
            .expect("registered");
    }

    pub(super) fn poison(&self, times: u32) {
        self.agent
            .post(format!("{}/v1/ops/gateway/faults", self.operations))
            .send_json(json!({"class": "poison", "times": times}))
            .expect("told");
    }

    pub(super) fn letters(&self) -> usize {
        let listed = self.done(&["dlq", "ls", "--output", "json"]);
        // The last line is the law of conservation.
        listed.lines().count() - 1
    }

    pub(super) fn sent(&self) -> u64 {
        self.json(&["status"])["pushes"]["sent"]
            .as_u64()
            .expect("a count")
    }

    /// Stops the daemon as systemd would and yields how it ended.
    pub(super) fn stop(&mut self) -> Option<i32> {
        self.signal("-TERM");
        self.rest_of_the_log();
        self.daemon.wait().expect("it ends").code()
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.daemon.id().to_string();
        let told = Command::new("kill").args([name, &pid]).status();
        assert!(told.expect("kill runs").success());
    }

    pub(super) fn rest_of_the_log(&mut self) -> String {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("UTF-8");
        rest
    }

    /// Reads the log up to a line that says something.
    pub(super) fn log_until(&mut self, says: &str) -> Value {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).expect("UTF-8");
            assert!(read > 0, "the log ends without \"{says}\"");
            let line: Value = serde_json::from_str(&line).expect("one JSON object a line");
            if line["message"]
                .as_str()
                .is_some_and(|text| text.contains(says))
            {
                return line;
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It is gone already unless the test failed.
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}
