//! One installation with three daemons, from its provision to the audit of its journals.

mod check;
mod files;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use futures_util::future::join_all;
use iyagi::clock::SystemClock;
use iyagi_actors::ports::Clock as _;
use serde_json::{Value, json};

use crate::bearer::bearer;
use crate::fake::Fake;
use crate::fake_sns::{self, FakeSns};
use crate::servers::{Server, ministack, unique};

const HOSTS: usize = 3;
pub(crate) const COMMITS: u64 = 20_000;
/// One commit in so many is somebody who follows somebody else, which is one push.
const COMMITS_PER_PUSH: u64 = 10;
const PUSHES: u64 = COMMITS / COMMITS_PER_PUSH;
const PEOPLE: u64 = 40;
const PICTURES: u64 = 12;
/// Commits on their way to the graph at once.
const COMMITS_AT_ONCE: u64 = 100;
/// Pushes that may be with the gateway when a host dies.
const MAX_IN_FLIGHT: u64 = 16;
const PAUSE: Duration = Duration::from_secs(30);
/// How often what is over is to be taken out.
const COMPACT_EVERY: Duration = Duration::from_millis(500);
/// How long a leader that died or stopped may be missed.
const REPLACED_WITHIN: Duration = Duration::from_secs(15);
/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_mins(3);
const PICTURE: &[u8] = include_bytes!("../../demo/media/posts/story-launch/IMG_2041.jpg");

/// Where changes and pictures come from.
struct World {
    server: &'static Server,
    graph: Fake,
    bucket: String,
}

/// What becomes of the journal meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Everything stays in it.
    Never,
    /// Whatever is over is taken out, as soon as it is, by whoever leads.
    AllTheTime,
}

/// One installation with its hosts and its phones.
pub(crate) struct Round {
    retention: Retention,
    world: Arc<World>,
    phones: FakeSns,
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    hosts: Vec<Host>,
    agent: ureq::Agent,
}

impl World {
    async fn commit_all(&self) {
        for first in (0..COMMITS).step_by(COMMITS_AT_ONCE as usize) {
            let commits = (first..first + COMMITS_AT_ONCE).map(|commit| async move {
                let operation = if commit % COMMITS_PER_PUSH == 0 {
                    let nth = commit / COMMITS_PER_PUSH;
                    let (from, to) = (nth % PEOPLE, (nth + 1 + nth / PEOPLE % (PEOPLE - 1)) % PEOPLE);
                    json!({"op": "add_edge", "id": format!("e{commit}"), "from": format!("p{from}"), "to": format!("p{to}"), "label": "FOLLOWS"})
                } else {
                    json!({"op": "add_vertex", "id": format!("t{commit}"), "label": "Thing"})
                };
                self.graph.commit(json!([operation])).await;
            });
            join_all(commits).await;
        }
    }

    async fn upload_all(&self) {
        let client = self.server.clients().s3;
        for picture in 0..PICTURES {
            let put = client
                .put_object()
                .bucket(&self.bucket)
                .key(format!("posts/{picture}/사진 {picture}.jpg"))
                .content_type("image/jpeg")
                .body(ByteStream::from_static(PICTURE));
            put.send().await.expect("the bucket takes it");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

struct Host {
    data: PathBuf,
    public: String,
    operations: String,
    process: Option<Child>,
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // A stopped process dies of this as well.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

impl Host {
    fn at(folder: &tempfile::TempDir, number: usize) -> Self {
        Self {
            data: folder.path().join(format!("host-{number}")),
            public: free_address(),
            operations: free_address(),
            process: None,
        }
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

impl Round {
    /// Provisions, starts the hosts, and gives everybody a phone.
    pub(crate) async fn begin(retention: Retention) -> Self {
        let server = ministack();
        let (graph, phones) = (Fake::start_at(Arc::new(SystemClock)), FakeSns::start());
        let folder = tempfile::tempdir().expect("a folder");
        let prefix = unique("fleet");
        let bucket = format!("{prefix}-files");
        let mut environment = server.environment();
        for (name, value) in [
            ("IYAGI_AWS_ENABLED", "true"),
            ("IYAGI_AWS_NAME_PREFIX", &prefix),
            ("IYAGI_AWS_NEPTUNE_ENDPOINT", graph.url()),
            ("IYAGI_MEDIA_BUCKET", &bucket),
            ("IYAGI_LOG_FILTER", "warn"),
            ("IYAGI_PUSH_MAX_IN_FLIGHT", &MAX_IN_FLIGHT.to_string()),
            ("IYAGI_PUSH_MODERATE", "false"),
            ("IYAGI_PUSH_RATE_BURST", "0"),
            ("IYAGI_PUSH_RETRY_BACKOFF_MS_MIN", "50"),
            ("IYAGI_PUSH_RETRY_BACKOFF_MS_MAX", "500"),
        ] {
            environment.push((name.to_owned(), value.to_owned()));
        }
        if retention == Retention::AllTheTime {
            let exports = format!("s3://{bucket}/journal/exports");
            environment.push(("IYAGI_JOURNAL_RETENTION_EXPORTS".to_owned(), exports));
        }
        let hosts = (0..HOSTS).map(|number| Host::at(&folder, number));
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(false)
            .build();
        let mut round = Self {
            retention,
            hosts: hosts.collect(),
            world: Arc::new(World {
                server,
                graph,
                bucket,
            }),
            phones,
            folder,
            environment,
            agent: agent.into(),
        };
        round.provision();
        for number in 0..HOSTS {
            round.start(number);
        }
        round.people().await;
        round
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iyagi"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn provision(&self) {
        let made = self.command().args(["provision"]).output();
        let made = made.expect("the binary starts");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "provision: {said}");
    }

    fn start(&mut self, number: usize) {
        let host = &self.hosts[number];
        let mut command = self.command();
        command
            .args(["run", "--public-addr", &host.public])
            .args(["--operations-addr", &host.operations])
            .arg("--data-dir")
            .arg(&host.data)
            // Topics are on the server that all share; phones are not.
            .env("AWS_ENDPOINT_URL_SNS", self.phones.url())
            .env("IYAGI_AWS_FCM_APPLICATION_ARN", fake_sns::APPLICATIONS[1])
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let process = command.spawn().expect("the binary starts");
        self.hosts[number].process = Some(process);
        let deadline = Instant::now() + PATIENCE;
        while self.status(number).is_none() {
            assert!(Instant::now() < deadline, "host {number} does not come up");
            let process = self.hosts[number].process.as_mut().expect("started");
            let ended = process.try_wait().expect("a child");
            assert!(
                ended.is_none(),
                "host {number} ended at its start: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, number: usize, signal: &str) {
        let process = self.hosts[number].process.as_ref().expect("it runs");
        let pid = process.id().to_string();
        let told = Command::new("kill").args([signal, &pid]).status();
        assert!(told.expect("kill runs").success());
    }

    fn kill(&mut self, number: usize) {
        let mut process = self.hosts[number].process.take().expect("it runs");
        process.kill().expect("SIGKILL is sent");
        process.wait().expect("it is dead");
    }

    fn status(&self, number: usize) -> Option<Value> {
        let url = format!("http://{}/v1/ops/status", self.hosts[number].operations);
        self.agent.get(url).call().ok()?.body_mut().read_json().ok()
    }

    fn number(status: Option<&Value>, pointer: &str) -> Option<u64> {
        status?.pointer(pointer)?.as_u64()
    }

    /// Which host leads, as `asked` knows.
    fn leader(&self, asked: usize) -> Option<String> {
        let status = self.status(asked)?;
        Some(status.pointer("/fleet/leader")?.as_str()?.to_owned())
    }

    fn member(&self, number: usize) -> Option<String> {
        let status = self.status(number)?;
        Some(status.pointer("/fleet/member")?.as_str()?.to_owned())
    }

    /// Everybody exists, and everybody has a phone.
    async fn people(&self) {
        let people = (0..PEOPLE).map(|person| {
            json!({"op": "add_vertex", "id": format!("p{person}"), "label": "Person", "properties": {"name": format!("이름 {person}")}})
        });
        self.world.graph.commit(people.collect()).await;
        for person in 0..PEOPLE {
            let host = &self.hosts[person as usize % HOSTS];
            let url = format!("http://{}/v1/devices/d{person}", host.public);
            let device = json!({"platform": "fcm", "locale": "ko"});
            let bearer = bearer(&host.data, &format!("p{person}"), &[]);
            let request = self.agent.put(url).header("Authorization", bearer);
            let answer = request.send_json(device).expect("an answer");
            assert_eq!(answer.status(), 201);
        }
    }

    /// Commits and uploads while hosts die and stop, waits until everything is settled, and checks it. Blocks.
    pub(crate) fn play(mut self, random: &mut fastrand::Rng) -> String {
        let world = Arc::clone(&self.world);
        // The graph and the bucket go on while hosts come and go.
        let going_on = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                tokio::join!(world.commit_all(), world.upload_all());
            });
        });
        let compacting = (self.retention == Retention::AllTheTime).then(|| self.compact_on());
        let trouble = self.trouble(random);
        going_on.join().expect("everything is taken");
        let compacted = compacting.map(Compacting::end);
        let settled = self.wait_until_settled();
        if let Some(runs) = compacted {
            assert!(runs > 0, "nothing was ever taken out");
            self.newcomer_knows_the_same();
        }
        let passed = self.a_large_file_passes();
        for number in 0..self.hosts.len() {
            self.signal(number, "-TERM");
        }
        for host in &mut self.hosts {
            let mut process = host.process.take().expect("it runs");
            let ended = process.wait().expect("it ends");
            assert!(ended.success(), "a drain ends with status 0, not {ended}");
        }
        let checked = self.check();
        format!("{trouble}; {settled}; {passed}; {checked}")
    }

    /// Kills one host and stops another, the leader among them, at random moments.
    fn trouble(&mut self, random: &mut fastrand::Rng) -> String {
        let wait = |random: &mut fastrand::Rng| {
            std::thread::sleep(Duration::from_millis(random.u64(200..4_000)));
        };
        wait(random);
        let deadline = Instant::now() + PATIENCE;
        let leader = loop {
            let leader = (0..HOSTS).find(|&number| {
                let member = self.member(number);
                member.is_some() && member == self.leader(number)
            });
            match leader {
                Some(leader) => break leader,
                None => assert!(Instant::now() < deadline, "nobody leads"),
            }
        };
        let other = (leader + random.usize(1..HOSTS)) % HOSTS;
        // Either the leader is killed and another one stopped, or the other way round.
        let (killed, stopped) = if random.bool() {
            (leader, other)
        } else {
            (other, leader)
        };
        let watcher = (0..HOSTS).find(|number| *number != killed && *number != stopped);
        let watcher = watcher.expect("three hosts");
        let lost = self.member(leader).expect("it leads");
        let replaced;
        if killed == leader {
            self.kill(killed);
            replaced = self.until_replaced(watcher, &lost);
            self.start(killed);
            wait(random);
            self.signal(stopped, "-STOP");
            std::thread::sleep(PAUSE);
            self.signal(stopped, "-CONT");
        } else {
            self.signal(stopped, "-STOP");
            let began = Instant::now();
            let killing = Duration::from_millis(random.u64(200..4_000));
            replaced = self.until_replaced(watcher, &lost);
            std::thread::sleep(killing);
            self.kill(killed);
            self.start(killed);
            std::thread::sleep(PAUSE.saturating_sub(began.elapsed()));
            self.signal(stopped, "-CONT");
        }
        assert!(
            replaced <= REPLACED_WITHIN,
            "the leader was missed for {replaced:.1?}"
        );
        let how = if killed == leader {
            "killed"
        } else {
            "stopped"
        };
        format!("the leader was {how} and replaced after {replaced:.1?}")
    }

    fn until_replaced(&self, watcher: usize, lost: &str) -> Duration {
        let began = Instant::now();
        loop {
            let leader = self.leader(watcher);
            if leader.is_some_and(|leader| leader != lost) {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "nobody takes the lead");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks every host again and again to take out what is over.
    fn compact_on(&self) -> Compacting {
        let urls = self.hosts.iter().map(|host| host.operations.clone());
        let urls: Vec<String> = urls
            .map(|address| format!("http://{address}/v1/ops/compaction"))
            .collect();
        let agent = self.agent.clone();
        let going_on = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&going_on);
        let asking = std::thread::spawn(move || {
            let mut taken = 0;
            while goes_on.load(Ordering::Relaxed) {
                for url in &urls {
                    // One that does not lead refuses, and one that is dead or stopped does not answer.
                    let order = json!({"before": SystemClock.now()});
                    let answer = agent.post(url).send_json(order);
                    taken += u64::from(answer.is_ok_and(|answer| answer.status() == 202));
                }
                std::thread::sleep(COMPACT_EVERY);
            }
            taken
        });
        Compacting { going_on, asking }
    }

    /// Whoever was stopped until what it had not read was taken out ends, and systemd would start it again.
    fn revive(&mut self) {
        for number in 0..self.hosts.len() {
            let process = self.hosts[number].process.as_mut();
            let ended = process.and_then(|process| process.try_wait().expect("a child"));
            if let Some(ended) = ended {
                assert_eq!(ended.code(), Some(1), "host {number}");
                assert!(
                    self.retention == Retention::AllTheTime,
                    "host {number} ended: {ended}"
                );
                self.start(number);
            }
        }
    }

    fn newcomer_knows_the_same(&mut self) {
        let number = self.hosts.len();
        let newcomer = Host::at(&self.folder, number);
        self.hosts.push(newcomer);
        self.start(number);
        let status = self.status(number);
        for (pointer, value) in [("/pushes/matched", PUSHES), ("/pushes/pending", 0)] {
            assert_eq!(
                Self::number(status.as_ref(), pointer),
                Some(value),
                "{status:?}"
            );
        }
    }

    fn wait_until_settled(&mut self) -> String {
        let began = Instant::now();
        loop {
            self.revive();
            let settled = (0..HOSTS).all(|number| {
                let status = self.status(number);
                let is = |pointer, value| Self::number(status.as_ref(), pointer) == Some(value);
                is("/pushes/matched", PUSHES) && is("/pushes/pending", 0)
            });
            if settled && self.pictures_have_thumbnails() {
                return format!(
                    "settled {:.1?} after the last commit and the last trouble",
                    began.elapsed()
                );
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not settle: {:?}",
                (0..HOSTS)
                    .map(|number| self.status(number))
                    .collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn pictures_have_thumbnails(&self) -> bool {
        let operator = bearer(&self.hosts[0].data, "operator", &["admin"]);
        (0..PICTURES).all(|picture| {
            let key = format!("posts/{picture}/%EC%82%AC%EC%A7%84%20{picture}.jpg");
            let url = format!("http://{}/v1/media/{key}", self.hosts[0].public);
            let item: Option<Value> = self
                .agent
                .get(url)
                .header("Authorization", &operator)
                .call()
                .ok()
                .filter(|answer| answer.status() == 200)
                .and_then(|mut answer| answer.body_mut().read_json().ok());
            let variants =
                item.and_then(|item| item.pointer("/thumbnails/variants")?.as_array().cloned());
            variants.is_some_and(|variants| variants.len() == 6)
        })
    }
}

/// Has what is over taken out until it is told to end.
struct Compacting {
    going_on: Arc<AtomicBool>,
    asking: JoinHandle<u64>,
}

impl Compacting {
    /// How many orders were taken.
    fn end(self) -> u64 {
        self.going_on.store(false, Ordering::Relaxed);
        self.asking.join().expect("it asks")
    }
}
