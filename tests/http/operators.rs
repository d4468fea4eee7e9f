//! Who may use the operations listener, and for what.

use std::net::SocketAddr;

use iyagi::config::{Config, OperatorConfig, OperatorRole};
use serde_json::json;

use crate::fixture::{ADMIN, Answer, Fixture};

pub(crate) const READ_ONLY: &str = "fedcba9876543210fedcba9876543210";
const PAUSE: &str = "/v1/ops/actors/stream-poller/pause";

pub(crate) fn with_operators(config: &mut Config) {
    let folder = config.data.dir.parent().expect("a folder").to_owned();
    let operator = |name: &str, role, token: &str| {
        let token_file = folder.join(name);
        std::fs::write(&token_file, format!("{token}\n")).expect("a file");
        let name = name.to_owned();
        OperatorConfig {
            name,
            role,
            token_file,
        }
    };
    config.operations.operators = vec![
        operator("oncall", OperatorRole::Admin, ADMIN),
        operator("grafana", OperatorRole::ReadOnly, READ_ONLY),
    ];
}

impl Fixture {
    fn sign_in(&self, token: &str, next: &str) -> Answer {
        let form = format!("token={token}&next={next}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(self.operations, "POST", "/login", &headers, form.as_bytes())
    }

    /// Who paused an actor last, as the journal has it.
    fn paused_by(&self) -> String {
        let path = "/v1/ops/journal?kind=actor.paused";
        let events = self.as_operator(READ_ONLY, "GET", path, "").json();
        let events = events["events"].as_array().expect("a list").clone();
        let last = events.iter().max_by_key(|event| event["pos"].as_u64());
        let last = last.expect("an order");
        last["body"]["by"].as_str().expect("who").to_owned()
    }
}

#[test]
fn without_a_token_nothing_is_told_but_the_state_of_health() {
    let fixture = Fixture::with(with_operators);
    for path in ["/livez", "/readyz"] {
        assert_eq!(fixture.operations("GET", path, "").status, 200, "{path}");
    }
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/v1/ops/status"),
        ("GET", "/v1/ops/journal"),
        ("GET", "/propertygraph/stream"),
        ("GET", "/nothing/here"),
        ("POST", PAUSE),
        ("POST", "/v1/graph/commits"),
        ("DELETE", "/v1/ops/gateway/faults"),
    ] {
        let answer = fixture.operations(method, path, "");
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let wrong = "0".repeat(32);
    for token in [wrong.as_str(), &ADMIN[1..], ""] {
        let answer = fixture.as_operator(token, "GET", "/v1/ops/status", "");
        answer.problem(401, "unauthenticated");
    }
}

#[test]
fn a_read_only_operator_looks_at_everything_and_changes_nothing() {
    let fixture = Fixture::with(with_operators);
    for path in ["/metrics", "/v1/ops/status", "/v1/ops/gateway/faults"] {
        let answer = fixture.as_operator(READ_ONLY, "GET", path, "");
        assert_eq!(answer.status, 200, "{path}");
    }
    for (method, path, body) in [
        ("POST", PAUSE, "{}"),
        ("POST", "/v1/ops/dead-letters/purge", r#"{"filter": {}}"#),
        ("POST", "/v1/graph/commits", r#"{"operations": []}"#),
        ("DELETE", "/v1/ops/gateway/faults", ""),
    ] {
        let answer = fixture.as_operator(READ_ONLY, method, path, body);
        let problem = answer.problem(403, "forbidden");
        assert!(
            problem["detail"]
                .as_str()
                .expect("text")
                .contains("grafana")
        );
    }
    assert_eq!(fixture.as_operator(ADMIN, "POST", PAUSE, "{}").status, 200);
}

#[test]
fn the_journal_names_whose_token_it_was_whatever_the_request_says_of_itself() {
    let fixture = Fixture::with(with_operators);
    assert_eq!(fixture.as_operator(ADMIN, "POST", PAUSE, "{}").status, 200);
    assert_eq!(fixture.paused_by(), "oncall");
    let bearer = format!("Bearer {ADMIN}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-iyagi-actor", "grace"),
    ];
    let answer = fixture.send(fixture.operations, "POST", PAUSE, &headers, b"{}");
    assert_eq!(answer.status, 200);
    assert_eq!(fixture.paused_by(), "oncall (grace)");
}

#[test]
fn with_tokens_other_machines_may_reach_it() {
    let fixture = Fixture::with(|config| {
        with_operators(config);
        config.http.operations = SocketAddr::from(([0, 0, 0, 0], 0));
    });
    let headers = [
        ("host", "ops.example"),
        ("authorization", &format!("Bearer {ADMIN}")),
    ];
    let answer = fixture.send(fixture.operations, "GET", "/v1/ops/status", &headers, b"");
    assert_eq!(answer.status, 200, "by whatever name");
}

#[test]
fn a_browser_signs_in_once_and_keeps_a_cookie_that_no_script_can_read() {
    let fixture = Fixture::with(with_operators);
    let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let to = fixture.operations;
    let answer = fixture.send(to, "GET", "/v1/ops/status?a=1", &html, b"");
    assert_eq!(answer.status, 303);
    let login = answer.header("location").to_owned();
    assert_eq!(login, "/login?next=%2Fv1%2Fops%2Fstatus%3Fa%3D1");
    let page = fixture.send(to, "GET", &login, &html, b"");
    assert_eq!(page.status, 200);
    assert!(page.text().contains(r#"value="/v1/ops/status?a=1""#));
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );

    let answer = fixture.sign_in(ADMIN, "%2Fv1%2Fops%2Fstatus");
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, "/v1/ops/status")
    );
    let cookie = answer.header("set-cookie").to_owned();
    for attribute in [
        "; HttpOnly",
        "; SameSite=Strict",
        "; Path=/",
        "; Max-Age=43200",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "loopback has no TLS: {cookie}");
    assert!(!cookie.contains(ADMIN), "{cookie}");
    let session = cookie.split(';').next().expect("a pair").to_owned();

    let own = format!("http://{to}");
    let page = [("cookie", session.as_str()), ("origin", &own)];
    assert_eq!(fixture.send(to, "POST", PAUSE, &page, b"{}").status, 200);
    assert_eq!(fixture.paused_by(), "oncall");
    let foreign = [
        ("cookie", session.as_str()),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = fixture.send(to, "POST", PAUSE, &foreign, b"{}");
    answer.problem(403, "foreign-origin");

    let answer = fixture.send(to, "POST", "/logout", &page, b"");
    assert_eq!((answer.status, answer.header("location")), (303, "/login"));
    let answer = fixture.send(to, "GET", "/v1/ops/status", &page, b"");
    answer.problem(401, "unauthenticated");
}

#[test]
fn behind_a_proxy_the_cookie_crosses_no_wire_in_the_clear() {
    let fixture = Fixture::with(with_operators);
    let headers = [("host", "ops.example"), ("origin", "https://ops.example")];
    let form = format!("token={ADMIN}");
    let answer = fixture.send(
        fixture.operations,
        "POST",
        "/login",
        &headers,
        form.as_bytes(),
    );
    assert_eq!(answer.status, 303);
    assert!(answer.header("set-cookie").ends_with("; Secure"));
}

#[test]
fn tokens_cannot_be_tried_out() {
    let fixture = Fixture::with(with_operators);
    let wrong = "0".repeat(32);
    for _ in 0..10 {
        assert_eq!(fixture.sign_in(&wrong, "%2F").status, 401);
    }
    let answer = fixture.sign_in(ADMIN, "%2F");
    assert_eq!(answer.status, 429, "not even compared");
    let wait: u32 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    let bearer = format!("Bearer {wrong}");
    for headers in [
        &[("authorization", bearer.as_str())][..],
        &[("authorization", bearer.as_str()), ("accept", "text/html")],
    ] {
        let answer = fixture.send(fixture.operations, "GET", "/v1/ops/status", headers, b"");
        answer.problem(429, "too-many-requests");
    }
    let answer = fixture.as_operator(ADMIN, "GET", "/v1/ops/status", "");
    assert_eq!(answer.status, 200, "nobody is locked out by others");
}

#[test]
fn a_token_that_cannot_be_used_keeps_the_daemon_from_starting() {
    let told = crate::listeners::refusal(|config| {
        with_operators(config);
        let file = &config.operations.operators[0].token_file;
        std::fs::write(file, "hunter2").expect("a file");
    });
    assert!(told.contains("openssl rand -hex 32"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let told = crate::listeners::refusal(|config| {
        with_operators(config);
        config.operations.operators[0].token_file = "nowhere".into();
    });
    assert!(told.contains("nowhere"), "{told}");
}

#[test]
fn on_loopback_whoever_is_there_is_taken_at_their_word() {
    let fixture = Fixture::start();
    fixture.operations("POST", PAUSE, json!({}).to_string());
    let by = fixture.operations("GET", "/v1/ops/journal?kind=actor.paused", "");
    assert_eq!(by.json()["events"][0]["body"]["by"], "local");
    let answer = fixture.operations("GET", "/login", "");
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
}
