//! Tools of others read the description, and find that the daemon does as it says.

#[path = "../../aws/servers/python.rs"]
mod python;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use self::python::Requirements;
use crate::fixture::Fixture;

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

fn document() -> String {
    format!("{}/docs/openapi/public.json", env!("CARGO_MANIFEST_DIR"))
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
fn lived_in() -> Fixture {
    let fixture = Fixture::start().with_people();
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

#[test]
fn schemathesis_finds_no_failure_on_the_public_listener() {
    let fixture = lived_in();
    let issuer = fixture
        .surface
        .sign_in
        .issuer()
        .expect("tokens are made here");
    let token = issuer.token("minji", &[], fixture.surface.clock.now(), TOKEN_LIFE);
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "{}/tests/http/openapi_tools/schemathesis.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let said = succeeds(
        program(&SCHEMATHESIS, "schemathesis")
            .current_dir(folder.path())
            .env("TOKEN", token.expect("a token"))
            .args(["--config-file", &config, "run", "--no-color"])
            .arg(format!("http://{}/openapi.json", fixture.public)),
    );
    // It leaves out the one that it has read the description by.
    let tested = format!("Tested: {}", operations().len() - 1);
    assert!(said.contains(&tested), "{said}");
}

#[test]
fn the_description_is_what_openapi_says_that_one_is() {
    succeeds(program(&SCHEMATHESIS, "openapi-spec-validator").arg(document()));
}

#[test]
fn a_client_in_dart_is_generated_from_the_description() {
    let required = std::env::var("REQUIRE_SERVERS").is_ok_and(|servers| servers == "all");
    if !required && !GENERATOR.python_exists() {
        eprintln!("no client is generated: no Python 3.11 or newer is found");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let client = folder.path().join("client");
    succeeds(
        program(&GENERATOR, "openapi-generator-cli")
            .args([
                "generate",
                "--generator-name",
                "dart",
                "--input-spec",
                &document(),
            ])
            .args([
                "--additional-properties",
                "pubName=iyagi_client",
                "--output",
            ])
            .arg(&client),
    );
    let written = sources(&client.join("lib/api"));
    for name in operations() {
        assert!(
            written.contains(&format!(" {name}(")),
            "there is no call `{name}`"
        );
    }
}

/// The names of all operations.
fn operations() -> Vec<String> {
    let document = std::fs::read_to_string(document()).expect("the document");
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
