//! Whoever listens to an inbox misses nothing and hears nothing twice, also when the daemon is killed under them.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bearer::bearer;
use crate::event_stream::{EventStream, Told};

const FOLLOWERS: u64 = 300;
const KILLS: u64 = 6;
/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn every_entry_is_heard_of_once_and_in_order_over_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::prepare(folder.path());
    let mut daemon = host.start();
    host.commit(&json!([
        {"op": "add_vertex", "id": "minji", "label": "Person", "properties": {"name": "Minji"}},
    ]));
    let all_done = AtomicBool::new(false);
    let heard = thread::scope(|scope| {
        let listener = scope.spawn(|| host.listen(&all_done));
        for follower in 0..FOLLOWERS {
            host.commit(&json!([
                {"op": "add_vertex", "id": format!("fan-{follower}"), "label": "Person"},
                {"op": "add_edge", "id": format!("e{follower}"), "from": format!("fan-{follower}"), "to": "minji",
                 "label": "FOLLOWS"},
            ]));
            // Under load: what was committed last is perhaps not yet matched, and what was matched not yet told.
            if follower % (FOLLOWERS / KILLS) == FOLLOWERS / KILLS / 2 {
                daemon.kill().expect("SIGKILL is sent");
                daemon.wait().expect("it is dead");
                daemon = host.start();
            }
        }
        let heard = listener.join().expect("it listened to the end");
        all_done.store(true, Ordering::Relaxed);
        heard
    });
    daemon.kill().expect("SIGKILL is sent");
    daemon.wait().expect("it is dead");
    let (entries, connections) = heard;
    let ids: Vec<u64> = entries.iter().map(|told| told.id).collect();
    assert!(
        ids.is_sorted_by(|one, next| one < next),
        "in order: {ids:?}"
    );
    let actors: Vec<&str> = entries
        .iter()
        .map(|told| told.data["actor"]["id"].as_str().expect("an id"))
        .collect();
    let once: BTreeSet<&str> = actors.iter().copied().collect();
    assert_eq!(once.len() as u64, FOLLOWERS, "nobody is missing");
    assert_eq!(actors.len() as u64, FOLLOWERS, "nobody is told twice");
    assert!(
        connections > KILLS,
        "each kill ended a connection: {connections}"
    );
}

/// The folder and the addresses that every life of the daemon shares.
struct Host {
    data: PathBuf,
    config: PathBuf,
    public: SocketAddr,
    operations: SocketAddr,
    agent: ureq::Agent,
}

impl Host {
    fn prepare(folder: &Path) -> Self {
        let (public, operations) = (free_address(), free_address());
        let data = folder.join("data");
        let config = folder.join("iyagi.toml");
        let text = format!(
            "data.dir = \"{}\"\nlog.filter = \"error\"\n\
             http = {{ public = \"{public}\", operations = \"{operations}\" }}\n\
             stream = {{ interval_ms_min = 5, interval_ms_max = 20 }}\n\
             push = {{ moderate = false, rate = {{ burst = 0 }} }}\n",
            data.display()
        );
        fs::write(&config, text).expect("written");
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            data,
            config,
            public,
            operations,
            agent,
        }
    }

    fn start(&self) -> Child {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .args(["run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let began = Instant::now();
        let livez = format!("http://{}/livez", self.operations);
        while self.agent.get(&livez).call().is_err() {
            assert!(began.elapsed() < PATIENCE, "the daemon does not come up");
            let ended = daemon.try_wait().expect("a child");
            assert!(ended.is_none(), "the daemon ended at its start: {ended:?}");
            thread::sleep(Duration::from_millis(2));
        }
        daemon
    }

    fn commit(&self, operations: &Value) {
        let path = format!("http://{}/v1/graph/commits", self.operations);
        let body = json!({ "operations": operations });
        let answer = self.agent.post(path).send_json(&body).expect("answered");
        assert_eq!(answer.status(), 201);
    }

    /// Listens until it has heard of everybody, and comes back whenever the stream ends.
    fn listen(&self, all_done: &AtomicBool) -> (Vec<Told>, u64) {
        let minji = bearer(&self.data, "minji", &[]);
        let (mut entries, mut last, mut connections) = (Vec::<Told>::new(), None, 0);
        while (entries.len() as u64) < FOLLOWERS && !all_done.load(Ordering::Relaxed) {
            let Some(mut stream) = EventStream::try_open(self.public, &minji, last.or(Some(0)))
            else {
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            connections += 1;
            while let Some(told) = stream.next() {
                last = Some(told.id);
                if told.name == "entry" {
                    entries.push(told);
                }
                if entries.len() as u64 == FOLLOWERS {
                    break;
                }
            }
        }
        (entries, connections)
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}
