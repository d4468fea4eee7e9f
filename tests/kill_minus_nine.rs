//! The real binary, killed with SIGKILL at random moments under load, loses nothing and repeats no more than declared.
//!
//! `cargo test --test kill_minus_nine -- --kills 500 --seed 7` runs longer, or the same again.

#[path = "http/bearer.rs"]
mod bearer;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use iyagi::clock::SystemClock;
use iyagi::embedded::journal::{JournalReader, SqliteJournal};
use iyagi::embedded::push_log::accepted_per_push;
use iyagi_actors::ports::Inbox as _;
use iyagi_messages::ids::{PersonId, PushId};
use serde_json::{Value, json};

use self::bearer::bearer;

const KILLS: u32 = 50;
const COMMITS: u64 = 5_000;
const PICTURES: u64 = 60;
const PEOPLE: u64 = 40;
/// Pushes that may be with the gateway when the process dies.
const MAX_IN_FLIGHT: u64 = 16;
/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(1);
const PICTURE: &[u8] = include_bytes!("../demo/media/posts/story-launch/IMG_2041.jpg");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("killed_at_random_moments_it_settles_every_record_once: test");
        return ExitCode::SUCCESS;
    }
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let seed = number("--seed", fastrand::u64(..));
    let kills = u32::try_from(number("--kills", u64::from(KILLS))).unwrap_or(KILLS);
    println!(
        "\nrunning 1 test\nseed {seed}, {kills} kills, {COMMITS} commits, {PICTURES} pictures"
    );
    let began = Instant::now();
    killed_at_random_moments_it_settles_every_record_once(seed, kills);
    println!("test killed_at_random_moments_it_settles_every_record_once ... ok");
    println!(
        "\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2?}\n",
        began.elapsed()
    );
    ExitCode::SUCCESS
}

fn killed_at_random_moments_it_settles_every_record_once(seed: u64, kills: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::prepare(folder.path());
    let mut random = fastrand::Rng::with_seed(seed);
    let (committed, uploaded, stop) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let mut lives = 0;
    thread::scope(|scope| {
        scope.spawn(|| host.commit_all(&committed, kills, &stop));
        scope.spawn(|| host.upload_all(&uploaded, &committed));
        while lives < kills {
            let mut daemon = host.start();
            thread::sleep(Duration::from_millis(random.u64(20..400)));
            daemon.kill().expect("SIGKILL is sent");
            daemon.wait().expect("it is dead");
            lives += 1;
        }
        stop.store(true, Ordering::Relaxed);
        let mut daemon = host.start();
        host.wait_until_settled(&committed, &uploaded);
        terminate(&mut daemon);
    });
    check(&host, kills);
}

fn check(host: &Host, kills: u32) {
    let journal = JournalReader::open(&host.data.join("journal.db")).expect("a sound journal");
    let report = journal.audit().expect("readable");
    assert_eq!(report.violations, [], "the journal breaks its invariants");
    assert_eq!(report.counts.pending, 0);
    assert_eq!(report.counts.matched, COMMITS, "one push a commit");
    assert_eq!(
        report.counts.sent, COMMITS,
        "nothing is suppressed or given up"
    );
    assert_eq!(report.pictures_without_outcome, []);
    let accepted = accepted_per_push(&host.data.join("push.ndjson")).expect("readable");
    let pushes: BTreeSet<&PushId> = accepted.keys().collect();
    assert_eq!(
        pushes.len() as u64,
        COMMITS,
        "each push reached the gateway"
    );
    let repeated: u64 = accepted.values().map(|times| u64::from(*times) - 1).sum();
    let window = u64::from(kills) * MAX_IN_FLIGHT;
    assert!(
        repeated <= window,
        "{repeated} repeats, the declared window is {window}"
    );
    assert!(
        repeated <= report.unknown_outcomes,
        "a repeat without an unknown outcome before it"
    );
    for (push, times) in &accepted {
        assert!(*times <= 1 + kills, "push {push} went out {times} times");
    }
    assert_eq!(
        listed_in_inboxes(&host.data.join("journal.db")),
        COMMITS,
        "each is in its person's inbox, once"
    );
    println!(
        "{} events, {} starts, {} unknown outcomes, {repeated} repeats of at most {window} declared",
        report.events, report.starts, report.unknown_outcomes
    );
}

fn listed_in_inboxes(journal: &Path) -> u64 {
    let journal = SqliteJournal::open(journal, Arc::new(SystemClock)).expect("a sound journal");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let unread = runtime.expect("a runtime").block_on(async {
        let people: Vec<PersonId> = (0..PEOPLE)
            .map(|person| format!("p{person}").into())
            .collect();
        join_all(people.iter().map(|person| journal.unread(person))).await
    });
    unread
        .into_iter()
        .map(|unread| unread.expect("readable"))
        .sum()
}

/// The folder and the addresses that every life of the daemon shares.
struct Host {
    data: PathBuf,
    config: PathBuf,
    public: String,
    operations: String,
    agent: ureq::Agent,
}

impl Host {
    fn prepare(folder: &Path) -> Self {
        let (public, operations) = (free_address(), free_address());
        let data = folder.join("data");
        let config = folder.join("iyagi.toml");
        let text = format!(
            "data.dir = \"{}\"\nlog.filter = \"warn\"\n\
             http = {{ public = {public:?}, operations = {operations:?} }}\n\
             stream = {{ interval_ms_min = 5, interval_ms_max = 20 }}\n\
             push = {{ max_in_flight = {MAX_IN_FLIGHT}, moderate = false, rate = {{ burst = 0 }}, retry = {{ attempts_max = 1000, backoff_ms_min = 1, backoff_ms_max = 5 }} }}\n",
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
            public: format!("http://{public}"),
            operations: format!("http://{operations}"),
            agent,
        }
    }

    fn start(&self) -> Child {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .args(["run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let deadline = Instant::now() + PATIENCE;
        while self
            .agent
            .get(format!("{}/livez", self.operations))
            .call()
            .is_err()
        {
            assert!(Instant::now() < deadline, "the daemon does not come up");
            let ended = daemon.try_wait().expect("a child");
            assert!(ended.is_none(), "the daemon ended at its start: {ended:?}");
            thread::sleep(Duration::from_millis(2));
        }
        daemon
    }

    /// Commits, and spreads the commits over the lives so that each dies under load.
    fn commit_all(&self, committed: &AtomicU64, kills: u32, stop: &AtomicBool) {
        let mut people = Vec::new();
        for person in 0..PEOPLE {
            let id = format!("p{person}");
            people.push(json!({"op": "add_vertex", "id": id, "label": "Person"}));
            let device = json!({"platform": "fcm", "locale": "ko"});
            Self::insist(|| {
                self.agent
                    .put(self.public_path(&format!("/v1/devices/d{person}")))
                    .header("Authorization", bearer(&self.data, &id, &[]))
                    .send_json(&device)
            });
        }
        Self::insist(|| self.post_commit(&json!({ "operations": people })));
        let batch = (COMMITS / u64::from(kills * 4)).max(1);
        for commit in 0..COMMITS {
            let (from, to) = (
                commit % PEOPLE,
                (commit + 1 + commit / PEOPLE % (PEOPLE - 1)) % PEOPLE,
            );
            let edge = json!({
                "op": "add_edge", "id": format!("e{commit}"),
                "from": format!("p{from}"), "to": format!("p{to}"), "label": "FOLLOWS",
            });
            Self::insist(|| self.post_commit(&json!({ "operations": [edge] })));
            committed.store(commit + 1, Ordering::Relaxed);
            if commit % batch == 0 && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn upload_all(&self, uploaded: &AtomicU64, committed: &AtomicU64) {
        let operator = bearer(&self.data, "operator", &["admin"]);
        for picture in 0..PICTURES {
            // In step with the commits, so that uploads last as long as they do.
            while committed.load(Ordering::Relaxed) < picture * COMMITS / PICTURES {
                thread::sleep(Duration::from_millis(5));
            }
            let path = self.public_path(&format!("/v1/files/posts/{picture}/photo.jpg"));
            Self::insist(|| {
                self.agent
                    .put(&path)
                    .header("Authorization", &operator)
                    .content_type("image/jpeg")
                    .send(PICTURE)
            });
            uploaded.store(picture + 1, Ordering::Relaxed);
        }
    }

    fn post_commit(&self, body: &Value) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        self.agent
            .post(format!("{}/v1/graph/commits", self.operations))
            .send_json(body)
    }

    /// Repeats a call until it is answered. A refusal as a duplicate means that an earlier answer was lost.
    fn insist(call: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(mut response) = call() {
                let status = response.status();
                let body = response.body_mut().read_to_string().unwrap_or_default();
                if status.is_success() || body.contains("is there already") {
                    return;
                }
                assert!(status.is_server_error(), "{status}: {body}");
            }
            assert!(Instant::now() < deadline, "no answer for a minute");
            thread::sleep(Duration::from_millis(3));
        }
    }

    fn wait_until_settled(&self, committed: &AtomicU64, uploaded: &AtomicU64) {
        let deadline = Instant::now() + PATIENCE * 3;
        loop {
            let done = committed.load(Ordering::Relaxed) == COMMITS
                && uploaded.load(Ordering::Relaxed) == PICTURES;
            if done && self.is_settled() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "it does not settle: {:?}",
                self.status()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_settled(&self) -> bool {
        let settled = self.status().is_some_and(|status| {
            let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64);
            number("/pushes/matched") == Some(COMMITS) && number("/pushes/pending") == Some(0)
        });
        settled && (0..PICTURES).all(|picture| self.has_thumbnails(picture))
    }

    fn has_thumbnails(&self, picture: u64) -> bool {
        let path = self.public_path(&format!("/v1/media/posts/{picture}/photo.jpg"));
        let item = self
            .agent
            .get(path)
            .header("Authorization", bearer(&self.data, "operator", &["admin"]))
            .call()
            .ok()
            .filter(|answer| answer.status() == 200);
        let item = item
            .and_then(|mut answer| answer.body_mut().read_json::<HashMap<String, Value>>().ok());
        let variants =
            item.and_then(|item| item.get("thumbnails")?.get("variants")?.as_array().cloned());
        variants.is_some_and(|variants| variants.len() == 6)
    }

    fn status(&self) -> Option<Value> {
        let path = format!("{}/v1/ops/status", self.operations);
        self.agent
            .get(path)
            .call()
            .ok()?
            .body_mut()
            .read_json()
            .ok()
    }

    fn public_path(&self, path: &str) -> String {
        format!("{}{path}", self.public)
    }
}

fn terminate(daemon: &mut Child) {
    let pid = daemon.id().to_string();
    let told = Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .expect("kill runs");
    assert!(told.success());
    let ended = daemon.wait().expect("it ends");
    assert!(ended.success(), "a drain ends with status 0, not {ended}");
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}
