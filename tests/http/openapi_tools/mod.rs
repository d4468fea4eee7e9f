//! Tools of others read the descriptions, and find that the daemon does as they say.

#[path = "../../aws/servers/python.rs"]
mod python;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use iyagi::config::Config;
use iyagi::http::listener::Side;
use serde_json::{Value, json};

use self::python::Requirements;
use crate::fixture::{ADMIN, Fixture};
use crate::operators::with_operators;

/// Sends requests as the description says and as it does not, and checks the answers.
const SCHEMATHESIS: Requirements = Requirements {
    name: "schemathesis",
    text: include_str!("requirements-schemathesis.txt"),
    python_minor_min: 11,
};

/// Writes clients in other languages, with the Java that it needs.
const GENERATOR: Requirements = Requirements {
    name: "openapi-generator",
    text: include_str!("requirements-openapi-generator.txt"),
    python_minor_min: 11,
};

/// How long a run of requests may take on a machine that does much else.
const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// What is stored, which a person sees and cannot change.
const FILES: [(&str, &str); 2] = [
    (
        "posts/story-7/night.jpg",
        "demo/media/posts/story-launch/IMG_2041.jpg",
    ),
    ("posts/story-7/train.m4a", "tests/daemon/files/tone.m4a"),
];

fn document(of: Side) -> String {
    format!("{}/docs/openapi/{of}.json", env!("CARGO_MANIFEST_DIR"))
}

/// A program of an environment.
fn program(requirements: &Requirements, name: &str) -> Command {
    let python = requirements.python();
    let python = python.unwrap_or_else(|problem| panic!("{problem}"));
    Command::new(python.with_file_name(name))
}

fn succeeds(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&stderr)
    );
    said
}

/// A daemon with something of everything.
fn lived_in(change: impl FnOnce(&mut Config)) -> Fixture {
    let fixture = Fixture::with(change).with_people();
    fixture.commit(&json!([
        {"op": "add_vertex", "id": "story-7", "label": "Story", "properties": {"title": "밤 기차"}},
        {"op": "add_edge", "id": "posted-7", "from": "minji", "to": "story-7", "label": "POSTED"},
    ]));
    fixture.follow();
    for (key, file) in FILES {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let file = std::fs::read(file).expect("a file of the project");
        let answer = fixture.public("PUT", &format!("/v1/files/{key}"), file);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    for (key, derived) in [(FILES[0].0, "thumbnails"), (FILES[1].0, "audio")] {
        fixture.until(derived, |fixture| {
            let answer = fixture.get(&format!("/v1/media/{key}"), &[]);
            (answer.status == 200 && answer.json()[derived].is_object()).then_some(())
        });
    }
    fixture.until("a notification", |fixture| {
        let inbox = fixture.public_as("minji", "GET", "/v1/inbox", "").json();
        inbox["entries"].get(0).is_some().then_some(())
    });
    fixture
}

/// Sends a listener what its description says and what it does not, and checks all answers. The variables are those of the
/// tool's configuration.
fn is_as_described(of: Side, fixture: &Fixture, variables: &[(&str, &str)]) {
    let (address, config) = match of {
        Side::Public => (fixture.public, include_str!("schemathesis-public.toml")),
        Side::Operations => (
            fixture.operations,
            include_str!("schemathesis-operations.toml"),
        ),
    };
    let config = variables
        .iter()
        .fold(config.to_owned(), |config, (name, value)| {
            config.replace(&format!("${{{name}}}"), value)
        });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("schemathesis.toml");
    std::fs::write(&file, config).expect("written");
    // The committed document, which nobody has to be let in to read.
    let said = succeeds(
        program(&SCHEMATHESIS, "schemathesis")
            .current_dir(folder.path())
            .arg("--config-file")
            .arg(&file)
            .args(["run", "--no-color", &document(of)])
            .args(["--url", &format!("http://{address}")]),
    );
    let tested = format!("Tested: {}", operations(of).len());
    assert!(said.contains(&tested), "{said}");
}

#[test]
fn schemathesis_finds_no_failure_on_the_public_listener() {
    let fixture = lived_in(|_| {});
    let issuer = fixture.surface.sign_in.issuer();
    let issuer = issuer.expect("tokens are made here");
    let token = issuer.token("minji", &[], fixture.surface.clock.now(), TOKEN_LIFE);
    let token = token.expect("a token");
    is_as_described(Side::Public, &fixture, &[("TOKEN", &token)]);
}

#[test]
fn schemathesis_finds_no_failure_on_the_operations_listener() {
    let fixture = lived_in(with_operators);
    let order = |path: &str, body: &Value| {
        let answer = fixture.as_operator(ADMIN, "POST", path, &body.to_string());
        assert!(answer.status < 300, "{answer:?}");
    };
    let preset = json!({"preset": "small", "dry_run": true});
    order("/v1/ops/media/backfills", &preset);
    let rule = json!({"device": "phone-1", "class": "poison", "times": 2});
    order("/v1/ops/gateway/faults", &rule);
    for story in ["story-8", "story-9"] {
        fixture.commit(&json!([
            {"op": "add_vertex", "id": story, "label": "Story"},
            {"op": "add_edge", "from": "grace", "to": "minji", "label": "FOLLOWS"},
        ]));
    }
    let (letter, event) = fixture.until("dead letters", |fixture| {
        let path = "/v1/ops/dead-letters";
        let page = fixture.as_operator(ADMIN, "GET", path, "").json();
        let letter = page["letters"].get(0)?["id"].as_str()?.to_owned();
        let path = format!("{path}/{letter}");
        let letter_told = fixture.as_operator(ADMIN, "GET", &path, "").json();
        let event = letter_told["history"].get(0)?["id"].as_str()?.to_owned();
        Some((letter, event))
    });
    let variables = [("TOKEN", ADMIN), ("LETTER", &letter), ("EVENT", &event)];
    is_as_described(Side::Operations, &fixture, &variables);
}

#[test]
fn each_description_is_what_openapi_says_that_one_is() {
    let documents = [Side::Public, Side::Operations].map(document);
    succeeds(program(&SCHEMATHESIS, "openapi-spec-validator").args(documents));
}

#[test]
fn a_client_in_dart_is_generated_from_each_description() {
    let required = std::env::var("REQUIRE_SERVERS").is_ok_and(|servers| servers == "all");
    if !required && !GENERATOR.python_exists() {
        eprintln!("no client is generated: no Python 3.11 or newer is found");
        return;
    }
    for of in [Side::Public, Side::Operations] {
        let folder = tempfile::tempdir().expect("a folder");
        let client = folder.path().join("client");
        succeeds(
            program(&GENERATOR, "openapi-generator-cli")
                .args(["generate", "--generator-name", "dart"])
                .args(["--input-spec", &document(of)])
                .args(["--additional-properties", "pubName=iyagi_client"])
                .arg("--output")
                .arg(&client),
        );
        let written = sources(&client.join("lib/api"));
        for name in operations(of) {
            assert!(
                written.contains(&format!(" {name}(")),
                "there is no call `{name}`"
            );
        }
    }
}

/// The names of all operations.
fn operations(of: Side) -> Vec<String> {
    let document = std::fs::read_to_string(document(of)).expect("the document");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|path| path.as_object().expect("operations").values());
    let names = operations.map(|operation| {
        operation["operationId"]
            .as_str()
            .expect("a name")
            .to_owned()
    });
    names.collect()
}

/// All of a folder's files in one text.
fn sources(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).expect("a folder");
    let texts =
        files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("text"));
    texts.collect()
}
