//! From a follow in the graph to Firebase, through a whole daemon; and what it says of a key before it comes up.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iyagi::config::{Config, DirectFcmConfig, built_in_templates};
use iyagi::daemon::{self, Daemon, DaemonError};
use iyagi::embedded::journal::JournalReader;
use iyagi::surface::Surface;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::Fact;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::fake::{FakeFcm, Reply};
use super::token_endpoint::TokenEndpoint;
use super::{PATIENCE, fcm_error, google};
use crate::bearer::bearer;

const PHONE: &str = "phone-of-minji";

/// A daemon on free ports.
struct Running {
    public: SocketAddr,
    operations: SocketAddr,
    surface: Arc<Surface>,
    client: ureq::Agent,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), DaemonError>>,
}

impl Running {
    fn start(config: Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (up, is_up) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            daemon::block_on(async move {
                let daemon = Daemon::start(config, built_in_templates()).await?;
                let public = daemon.listeners.public.expect("every role");
                let addresses = (public, daemon.listeners.operations);
                up.send((addresses, Arc::clone(&daemon.surface))).ok();
                stopped.await.ok();
                daemon.stop().await;
                Ok(())
            })
        });
        let Ok(((public, operations), surface)) = is_up.recv() else {
            panic!("the daemon did not start: {:?}", thread.join());
        };
        let client = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            public,
            operations,
            surface,
            client: client.into(),
            stop,
            thread,
        }
    }

    fn commit(&self, operations: &Value) {
        let url = format!("http://{}/v1/graph/commits", self.operations);
        let call = self.client.post(&url);
        let answer = call.send(json!({ "operations": operations }).to_string());
        assert_eq!(answer.expect("answered").status(), 201);
    }

    fn follow(&self, who: &str, whom: &str) {
        self.commit(&json!([{"op": "add_edge", "from": who, "label": "FOLLOWS", "to": whom}]));
    }

    /// Registers a phone; yields the status.
    fn register(&self, person: &str, platform: &str, token: &str) -> u16 {
        let url = format!("http://{}/v1/devices/{token}", self.public);
        let body = json!({"platform": platform, "locale": "ko"});
        let bearer = bearer(&self.surface.config.data.dir, person, &[]);
        let request = self.client.put(&url).header("Authorization", bearer);
        let answer = request.send(body.to_string());
        answer.expect("answered").status().as_u16()
    }

    fn dependency(&self, name: &str) -> Value {
        let url = format!("http://{}/readyz", self.operations);
        let mut answer = self.client.get(&url).call().expect("answered");
        let text = answer.body_mut().read_to_string().expect("text");
        let ready: Value = serde_json::from_str(&text).expect("JSON");
        ready["dependencies"][name].clone()
    }

    /// Waits until so many pushes are settled one way or the other.
    fn settle(&self, pushes: u64) {
        let began = Instant::now();
        loop {
            let counts = self.surface.tree.projections.outbox().counts.clone();
            if counts.matched == pushes && counts.pending == 0 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "in vain: {counts:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(self) {
        drop(self.surface);
        self.stop.send(()).expect("it runs");
        self.thread.join().expect("no panic").expect("no error");
    }
}

fn config(folder: &Path, key: &Path, base_url: String) -> Config {
    let mut config = Config::default();
    config.data.dir = folder.join("data");
    config.push.moderate = false;
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.stream.interval_ms_min = 5;
    config.stream.interval_ms_max = 20;
    config.push.fcm = Some(DirectFcmConfig {
        credential_file: Some(key.to_owned()),
        project_id: None,
        base_url,
        ..DirectFcmConfig::default()
    });
    config
}

/// What the journal says became of the phone.
fn facts_of_the_phone(folder: &Path) -> Vec<String> {
    let journal = JournalReader::open(&folder.join("data/journal.db")).expect("a journal");
    let events = journal
        .entity(&Entity::new("device", PHONE))
        .expect("readable");
    let facts = events.iter().map(|event| match &event.fact {
        Fact::DeviceRegistered(_) => "registered".to_owned(),
        Fact::DeviceRemoved(removed) => format!("removed: {}", removed.reason),
        other => format!("{other:?}"),
    });
    facts.collect()
}

#[test]
fn a_follow_reaches_firebase_a_dead_phone_is_dropped_and_its_next_registration_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let fcm = Arc::new(FakeFcm::start());
    let tokens = TokenEndpoint::start(&fcm);
    let key = tokens.key_file(folder.path());
    let daemon = Running::start(config(folder.path(), &key, fcm.url()));
    let people = [
        ("minji", "민지"),
        ("oliver", "Oliver"),
        ("daniel", "Daniel"),
        ("grace", "Grace"),
        ("hana", "하나"),
    ];
    for (id, name) in people {
        daemon.commit(&json!([
            {"op": "add_vertex", "id": id, "label": "Person", "properties": {"name": name}}
        ]));
    }
    assert_eq!(daemon.register("minji", "fcm", PHONE), 201);
    assert_eq!(daemon.register("oliver", "apns", "iphone"), 201);

    daemon.follow("daniel", "minji");
    daemon.follow("daniel", "oliver");
    daemon.settle(2);
    let first = fcm.seen().calls[0].clone();
    assert_eq!(first.token(), PHONE);
    let body: Value = serde_json::from_str(&first.body).expect("JSON");
    let data = &body["message"]["data"];
    assert_eq!(data["title"], "새 팔로워");
    assert_eq!(data["body"], "Daniel 님이 회원님을 팔로우합니다");
    let here = daemon.surface.one_machine.as_ref().expect("one machine");
    let logged: Vec<_> = here
        .push_log
        .tail()
        .iter()
        .map(|one| one.payload.device.to_string())
        .collect();
    assert_eq!(
        logged,
        ["iphone"],
        "the push log has what is not Firebase's"
    );
    let service = daemon.dependency("push service fcm");
    assert_eq!(service["ready"], true, "{service}");

    let gone = google(
        404,
        "NOT_FOUND",
        "Requested entity was not found.",
        &[fcm_error("UNREGISTERED")],
    );
    fcm.always(PHONE, Reply::Answer(404, Vec::new(), gone));
    daemon.follow("grace", "minji");
    daemon.settle(3);
    assert_eq!(fcm.seen().calls.len(), 2);
    assert_eq!(
        facts_of_the_phone(folder.path()),
        ["registered", "removed: endpoint_dead"]
    );

    fcm.be_well();
    assert_eq!(daemon.register("minji", "fcm", PHONE), 201);
    daemon.follow("hana", "minji");
    daemon.settle(4);
    let last = fcm.seen().calls.last().expect("it came").clone();
    assert!(
        last.token() == PHONE && last.body.contains("하나 님이"),
        "{last:?}"
    );
    assert_eq!(fcm.seen().calls.len(), 3);
    assert_eq!(
        tokens.asked().claims.len(),
        1,
        "one access token for all of it"
    );
    daemon.end();

    let journal = JournalReader::open(&folder.path().join("data/journal.db")).expect("a journal");
    let report = journal.audit().expect("readable");
    assert_eq!(report.violations, []);
    assert_eq!((report.counts.matched, report.counts.sent), (4, 3));
}

/// Runs the binary in a folder; yields status and all that it said.
fn iyagi(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iyagi"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("IYAGI_") {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    let status = output.status.code().expect("it ends by itself");
    (status, String::from_utf8(said).expect("UTF-8"))
}

#[test]
fn check_and_start_tell_of_a_key_that_is_of_no_use_by_its_name_and_the_cure() {
    let folder = tempfile::tempdir().expect("a folder");
    let fcm = Arc::new(FakeFcm::start());
    let tokens = TokenEndpoint::start(&fcm);
    let conf = folder.path().join("conf");
    std::fs::create_dir(&conf).expect("made");
    let write = |name: &str, text: &str| std::fs::write(conf.join(name), text).expect("written");
    write(
        "iyagi.toml",
        "[http]\npublic = \"127.0.0.1:0\"\noperations = \"127.0.0.1:0\"\n[push.fcm]\ncredential_file = \"key.json\"\n",
    );
    let check = ["check", "--config", "conf/iyagi.toml"];
    let run = ["run", "--config", "conf/iyagi.toml"];
    for (key, says, cure) in [
        (
            None,
            "conf/key.json of `push.fcm.credential_file` cannot be read",
            "name the JSON key",
        ),
        (Some("{}"), "it has no `private_key`", "make a new key"),
    ] {
        if let Some(key) = key {
            write("key.json", key);
        }
        for arguments in [&check, &run] {
            let (status, said) = iyagi(folder.path(), arguments);
            assert_eq!(status, 78, "{said}");
            let one_line = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(one_line.contains(says) && one_line.contains(cure), "{said}");
        }
    }
    write("key.json", &tokens.key().to_string());
    let (status, said) = iyagi(folder.path(), &check);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("sends to phones of iyagi-test"), "{said}");
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}
