//! What holds for every request, and which addresses may be had.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{self, Daemon, DaemonError};

use crate::fixture::{Fixture, config};

pub(crate) fn refusal(change: impl FnOnce(&mut Config)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(folder.path());
    change(&mut config);
    let started = daemon::block_on(async {
        let daemon = Daemon::start(config, built_in_templates()).await?;
        daemon.stop().await;
        Ok::<_, DaemonError>(())
    });
    started.expect_err("refused").to_string()
}

#[test]
fn an_address_that_other_machines_reach_is_refused() {
    for address in ["0.0.0.0:0", "10.1.2.3:8080", "[::]:0"] {
        let address: SocketAddr = address.parse().expect("an address");
        let error = refusal(|config| config.http.public = address);
        assert!(error.contains("no user pool says who they are"), "{error}");
        assert!(error.contains("http.public"), "{error}");
        let error = refusal(|config| config.http.operations = address);
        assert!(error.contains("http.operations"), "{error}");
    }
}

#[test]
fn an_address_that_someone_has_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let error = refusal(|config| config.http.operations = address);
    assert!(error.contains(&address.to_string()), "{error}");
    assert!(error.contains("http.operations"), "{error}");
}

#[test]
fn unknown_paths_methods_and_parameters_are_problems() {
    let fixture = Fixture::start();
    let problem = fixture.get("/v1/medja", &[]).problem(404, "unknown-path");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("/v1/medja")
    );
    let problem = fixture.get("/metrics", &[]).problem(404, "unknown-path");
    assert!(
        problem["detail"]
            .as_str()
            .expect("text")
            .contains("operations listener")
    );
    for path in ["/v1/media", "/v1/search", "/.well-known/jwks.json"] {
        let problem = fixture
            .operations("GET", path, "")
            .problem(404, "unknown-path");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains("the public listener has it"), "{detail}");
    }

    let answer = fixture.public("DELETE", "/v1/media", "");
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD");
    let answer = fixture.operations("GET", "/v1/ops/dead-letters/purge", "");
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");

    let problem = fixture
        .get("/v1/media?limt=3", &[])
        .problem(400, "unknown-parameter");
    assert_eq!(problem["field"], "limt");
    let problem = fixture
        .get("/v1/media?limit=0", &[])
        .problem(400, "invalid-field");
    assert_eq!(problem["field"], "limit");
    let problem = fixture
        .get("/v1/media?cursor=nonsense", &[])
        .problem(400, "invalid-field");
    assert_eq!(problem["field"], "cursor");
    let answer = fixture.public("HEAD", "/v1/media", "");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[test]
fn malformed_json_is_known_by_its_place() {
    let fixture = Fixture::start();
    for (path, method) in [("/v1/subscriptions", "POST"), ("/v1/devices/t", "PUT")] {
        let problem = fixture
            .public(method, path, "{\n  \"owner\": mi")
            .problem(400, "malformed-json");
        assert_eq!(problem["line"], 2);
        fixture
            .public(method, path, "[]")
            .problem(400, "malformed-json");
    }
    let large = format!("{{\"owner\": \"{}\"}}", "x".repeat(70_000));
    let problem = fixture
        .public("POST", "/v1/subscriptions", large)
        .problem(413, "too-large");
    assert_eq!(problem["bytes_max"], 65_536);
}

#[test]
fn only_pages_and_names_of_this_machine_get_through() {
    let fixture = Fixture::start();
    let pause = "/v1/ops/actors/stream-poller/pause";
    let to = fixture.operations;
    for header in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let answer = fixture.send(to, "POST", pause, &[header], b"{}");
        answer.problem(403, "foreign-origin");
    }
    let own = format!("http://{to}");
    let answer = fixture.send(to, "POST", pause, &[("origin", &own)], b"{}");
    assert_eq!(answer.status, 200);

    let mut stream = TcpStream::connect(to).expect("connects");
    let request = "GET /v1/ops/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn a_stop_ends_endless_answers_and_frees_the_addresses() {
    let fixture = Fixture::start();
    let (public, operations) = (fixture.public, fixture.operations);
    let mut tap = TcpStream::connect(operations).expect("connects");
    let request = "GET /v1/ops/tap/push HTTP/1.1\r\nHost: localhost\r\n\r\n";
    tap.write_all(request.as_bytes()).expect("sends");
    let mut first = [0; 12];
    tap.read_exact(&mut first).expect("answers");
    assert_eq!(&first, b"HTTP/1.1 200");
    drop(fixture);
    let mut rest = Vec::new();
    tap.read_to_end(&mut rest).expect("ends in order");
    TcpListener::bind(public).expect("free again");
    TcpListener::bind(operations).expect("free again");
}
