//! The OWASP API Security Top 10 of 2023, a test for each: what attackers try, and what they get.
//!
//! That of API10, unsafe consumption of other services, is beside the service that it plays: `user_pool`.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use iyagi::config::Config;

use crate::fixture::{Answer, Fixture};

/// Written on one machine, served and listed: what a person has here.
fn with_things_of_minji() -> Fixture {
    let fixture = Fixture::start().with_people();
    let answer = fixture.public("PUT", "/v1/files/uploads/minji/diary.txt", "dear diary");
    assert_eq!(answer.status, 201);
    fixture.until("the metadata", |fixture| {
        let answer = fixture.public("GET", "/v1/media/uploads/minji/diary.txt", "");
        (answer.status == 200).then_some(())
    });
    fixture
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn api1_what_is_somebody_elses_is_not_there_whatever_id_is_named() {
    let fixture = with_things_of_minji();
    let created = fixture.public(
        "POST",
        "/v1/subscriptions",
        r#"{"anchor": {"element": {"id": "s"}}}"#,
    );
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    let grace =
        |method: &str, path: &str, body: &str| fixture.public_as("grace", method, path, body);
    for (method, path, body) in [
        ("GET", "/v1/media/uploads/minji/diary.txt", ""),
        (
            "GET",
            "/v1/media/uploads/minji/diary.txt/thumbnails/small",
            "",
        ),
        (
            "GET",
            "/v1/media/uploads/minji/diary.txt/derived/waveform.json",
            "",
        ),
        ("GET", "/v1/files/uploads/minji/diary.txt", ""),
        ("GET", "/v1/subscriptions?owner=minji", ""),
        (
            "POST",
            "/v1/subscriptions",
            r#"{"owner": "minji", "anchor": {"element": {"id": "s"}}}"#,
        ),
        (
            "PATCH",
            &format!("/v1/subscriptions/{id}"),
            r#"{"enabled": false}"#,
        ),
        ("DELETE", &format!("/v1/subscriptions/{id}"), ""),
        ("DELETE", &format!("/v1/subscriptions/{id}?owner=minji"), ""),
        ("GET", "/v1/preferences/minji", ""),
        ("PUT", "/v1/preferences/minji", "{}"),
        ("GET", "/v1/inbox?person=minji", ""),
        (
            "POST",
            "/v1/inbox/read",
            r#"{"person": "minji", "up_to": 9}"#,
        ),
        ("GET", "/v1/inbox/live?person=minji", ""),
        ("GET", "/v1/search?person=minji&q=a", ""),
        (
            "PUT",
            "/v1/devices/phone-2",
            r#"{"person": "minji", "platform": "fcm", "locale": "ko"}"#,
        ),
    ] {
        let answer = grace(method, path, body);
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    }
    assert_eq!(grace("DELETE", "/v1/devices/phone-1", "").status, 204);
    let status = fixture.operations("GET", "/v1/ops/status", "").json();
    assert_eq!(status["devices"], 1, "her phone is still there");
}

#[test]
fn api2_whatever_is_wrong_with_a_token_the_answer_is_the_same_and_no_url_holds_one() {
    let fixture = Fixture::start();
    let token = fixture.token("minji", &["admin"]);
    let refused = |path: &str, headers: &[(&str, &str)]| {
        let answer = fixture.send(fixture.public, "GET", path, headers, b"");
        answer.problem(401, "unauthenticated")
    };
    let nothing = refused("/v1/inbox", &[]);
    for (path, authorization) in [
        ("/v1/inbox", "Bearer"),
        ("/v1/inbox", "Bearer a.b.c"),
        ("/v1/inbox", &format!("Basic {token}")),
        ("/v1/inbox", &format!("Bearer {token}x")),
        (&format!("/v1/inbox?access_token={token}"), ""),
        (&format!("/v1/inbox?token={token}"), ""),
    ] {
        assert_eq!(
            refused(path, &[("authorization", authorization)]),
            nothing,
            "{path}"
        );
    }
    let cookie = format!("access_token={token}");
    assert_eq!(refused("/v1/inbox", &[("cookie", &cookie)]), nothing);
}

#[test]
fn api3_nothing_is_written_that_was_not_asked_for_and_nothing_told_that_is_not_documented() {
    let fixture = with_things_of_minji();
    for (method, path, body, field) in [
        (
            "POST",
            "/v1/subscriptions",
            r#"{"anchor": {"element": {"id": "s"}}, "effective_after": {}}"#,
            "effective_after",
        ),
        (
            "PUT",
            "/v1/devices/phone-9",
            r#"{"platform": "fcm", "locale": "ko", "endpoint": "arn"}"#,
            "endpoint",
        ),
        (
            "PUT",
            "/v1/preferences/minji",
            r#"{"is_admin": true}"#,
            "is_admin",
        ),
        (
            "PATCH",
            "/v1/preferences/minji",
            r#"{"person": "grace"}"#,
            "person",
        ),
        (
            "POST",
            "/v1/inbox/read",
            r#"{"up_to": 9, "unread": 0}"#,
            "unread",
        ),
    ] {
        let problem = fixture
            .public(method, path, body)
            .problem(400, "invalid-field");
        assert_eq!(problem["field"], field, "{method} {path}");
    }
    let item = fixture
        .public("GET", "/v1/media/uploads/minji/diary.txt", "")
        .json();
    let documented = BTreeSet::from([
        "key",
        "owner",
        "sequencer",
        "content_type",
        "size",
        "sha256",
        "dimensions",
        "animated",
        "defect",
        "recorded_at",
        "thumbnails",
        "audio",
        "url",
    ]);
    assert!(keys(&item).is_subset(&documented), "{item}");
    let device = fixture.public(
        "PUT",
        "/v1/devices/phone-1",
        r#"{"platform": "fcm", "locale": "en"}"#,
    );
    assert_eq!(
        keys(&device.json()),
        BTreeSet::from(["token", "person", "platform", "locale"])
    );
}

#[test]
fn api4_whoever_asks_too_often_waits_and_nobody_else_does() {
    let fixture = Fixture::with(|config| {
        config.http.limits.person_burst = 3;
        config.http.limits.person_per_minute = 1;
    });
    for _ in 0..3 {
        assert_eq!(
            fixture
                .public_as("minji", "GET", "/v1/subscriptions", "")
                .status,
            200
        );
    }
    let answer = fixture.public_as("minji", "GET", "/v1/subscriptions", "");
    answer.problem(429, "too-many-requests");
    let wait: u32 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        fixture
            .public_as("grace", "GET", "/v1/subscriptions", "")
            .status,
        200
    );
    let metrics = fixture.operations("GET", "/metrics", "").text();
    assert!(
        metrics.contains(r#"iyagi_http_limited_total{limit="person"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"iyagi_http_limited_total{limit="address"} 0"#),
        "{metrics}"
    );
}

#[test]
fn api4_an_address_is_limited_as_a_trusted_proxy_tells_it_and_as_nobody_else_does() {
    let ask = |fixture: &Fixture, from: &str, token: &str| -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("x-forwarded-for", from),
            ("authorization", bearer.as_str()),
        ];
        fixture.send(fixture.public, "GET", "/v1/subscriptions", &headers, b"")
    };
    let limited = |proxies: &[&str]| {
        let proxies = proxies.iter().map(ToString::to_string).collect();
        Fixture::with(|config| {
            config.http.limits.address_burst = 2;
            config.http.limits.address_per_minute = 1;
            config.http.limits.trusted_proxies = proxies;
        })
    };
    let fixture = limited(&[]);
    let statuses = |fixture: &Fixture, froms: [&str; 3]| {
        froms.map(|from| ask(fixture, from, &fixture.token("minji", &[])).status)
    };
    let hops = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
    assert_eq!(
        statuses(&fixture, hops),
        [200, 200, 429],
        "anybody can write that header"
    );
    let fixture = limited(&["127.0.0.0/8"]);
    assert_eq!(statuses(&fixture, hops), [200, 200, 200]);
    let forged = [
        "1.1.1.1, 203.0.113.7",
        "2.2.2.2, 203.0.113.7",
        "3.3.3.3, 203.0.113.7",
    ];
    assert_eq!(statuses(&fixture, forged), [200, 200, 429]);
}

#[test]
fn api4_tokens_that_are_refused_are_counted_by_address_and_lock_nobody_out() {
    let fixture = Fixture::with(|config| {
        config.http.limits.refused_burst = 2;
        config.http.limits.refused_per_minute = 1;
    });
    for _ in 0..2 {
        fixture
            .with_token("a.b.c", "GET", "/v1/inbox", "")
            .problem(401, "unauthenticated");
    }
    fixture
        .with_token("a.b.c", "GET", "/v1/inbox", "")
        .problem(429, "too-many-requests");
    assert_eq!(fixture.public("GET", "/v1/inbox", "").status, 200);
}

#[test]
fn api4_nobody_fills_the_bucket_and_nobody_else_pays_for_who_tries() {
    let quota = |config: &mut Config| {
        config.media.file_bytes_max = 1_000;
        config.media.quota.bytes_per_day = 1_000;
        config.media.quota.files_per_day = 4;
    };
    let fixture = Fixture::with(quota);
    let upload = |fixture: &Fixture, person: &str, size: u64| {
        let declared =
            json!({"content_type": "image/jpeg", "size": size, "checksum_crc32": "NSRBwg=="});
        fixture.public_as(person, "POST", "/v1/uploads", declared.to_string())
    };
    assert_eq!(upload(&fixture, "grace", 600).status, 200);
    // The other way to the same bucket is counted too.
    let file = vec![b'x'; 300];
    let path = "/v1/files/uploads/grace/a.bin";
    assert_eq!(fixture.public_as("grace", "PUT", path, &file).status, 201);
    let refused = fixture.public_as("grace", "PUT", path, &file);
    let problem = refused.problem(429, "quota-exceeded");
    let expected = ("media.quota.bytes_per_day".into(), 1_000.into(), 100.into());
    let told = ["limit", "max", "left"].map(|member| problem[member].clone());
    assert_eq!(<(Value, Value, Value)>::from(told), expected);
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait), "{wait}");
    for size in [101, 1_000] {
        upload(&fixture, "grace", size).problem(429, "quota-exceeded");
    }
    assert_eq!(upload(&fixture, "grace", 99).status, 200);
    assert_eq!(upload(&fixture, "grace", 1).status, 200);
    let problem = upload(&fixture, "grace", 1).problem(429, "quota-exceeded");
    assert_eq!(problem["limit"], "media.quota.files_per_day");
    assert_eq!(upload(&fixture, "minji", 1_000).status, 200);
    // What is refused for another reason costs nothing.
    upload(&fixture, "haruto", 1_001).problem(413, "too-large");
    assert_eq!(upload(&fixture, "haruto", 1_000).status, 200);
    let metrics = fixture.operations("GET", "/metrics", "").text();
    let expected = r#"iyagi_http_limited_total{limit="upload_quota"} 4"#;
    assert!(metrics.contains(expected), "{metrics}");
}

#[test]
fn api4_bodies_and_pages_have_bounds() {
    let fixture = Fixture::with(|config| config.media.file_bytes_max = 1_000);
    let large = vec![b'x'; 1_001];
    let answer = fixture.public("PUT", "/v1/files/uploads/minji/a.bin", large);
    answer.problem(413, "too-large");
    for path in [
        "/v1/media?limit=1001",
        "/v1/inbox?limit=101",
        "/v1/search?q=a&limit=100000",
    ] {
        fixture
            .public("GET", path, "")
            .problem(400, "invalid-field");
    }
}

#[test]
fn api5_what_operators_do_is_nowhere_on_the_public_listener_for_admins_neither() {
    let fixture = Fixture::start();
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/v1/ops/status"),
        ("GET", "/v1/ops/journal"),
        ("POST", "/v1/ops/actors/push-sender/pause"),
        ("POST", "/v1/ops/dead-letters/purge"),
        ("POST", "/v1/graph/commits"),
        ("GET", "/propertygraph/stream"),
        ("POST", "/login"),
    ] {
        fixture
            .public(method, path, "{}")
            .problem(404, "unknown-path");
    }
    let foreign = fixture.public_as("minji", "PUT", "/v1/files/uploads/grace/a.txt", "for her");
    foreign.problem(403, "forbidden");
    let foreign = fixture.public("GET", "/v1/preferences/grace", "");
    foreign.problem(404, "not-found");
}

#[test]
fn api6_nobody_can_make_a_phone_ring_without_end() {
    let fixture = Fixture::with(|config| {
        config.push.rate.burst = 2;
        config.push.rate.refill_seconds = 3_600;
    });
    let fixture = fixture.with_people();
    let mut operations = Vec::new();
    for n in 0..6 {
        operations.push(json!({"op": "add_vertex", "id": format!("bot-{n}"), "label": "Person"}));
        operations.push(json!({"op": "add_edge", "id": format!("f-{n}"), "from": format!("bot-{n}"), "to": "minji", "label": "FOLLOWS"}));
    }
    fixture.commit(&json!(operations));
    let pushes = fixture.until("all settled", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        let pushes = status["pushes"].clone();
        (pushes["matched"] == 6 && pushes["pending"] == 0).then_some(pushes)
    });
    assert_eq!(pushes["sent"], 2, "{pushes}");
    assert_eq!(pushes["suppressed"]["rate_limited"], 4, "{pushes}");
}

#[test]
fn api7_no_address_that_a_person_writes_anywhere_is_ever_asked() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    trap.set_nonblocking(true).expect("set");
    let url = format!("http://{}/secret", trap.local_addr().expect("bound"));
    let fixture = Fixture::start().with_people();
    let encoded = url.replace(':', "%3A").replace('/', "%2F");
    let device = json!({"platform": "fcm", "locale": "ko"}).to_string();
    assert_eq!(
        fixture
            .public("PUT", &format!("/v1/devices/{encoded}"), device)
            .status,
        201
    );
    let svg = format!(
        r#"<?xml version="1.0"?><!DOCTYPE svg SYSTEM "{url}"><svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>"#
    );
    let playlist = format!("#EXTM3U\n#EXTINF:9,\n{url}\n");
    for (name, body) in [
        ("a.svg", &svg),
        ("a.jpg", &svg),
        ("a.m3u8", &playlist),
        ("a.mp3", &playlist),
        ("a.txt", &url),
    ] {
        let path = format!("/v1/files/profile/minji/{name}");
        assert_eq!(fixture.public("PUT", &path, body).status, 201, "{name}");
    }
    let anchor = json!({"anchor": {"element": {"id": url}}}).to_string();
    assert_eq!(
        fixture.public("POST", "/v1/subscriptions", anchor).status,
        201
    );
    let story = json!([{"op": "add_vertex", "id": url, "label": "Story", "properties": {"title": url, "link": url}}]);
    fixture.commit(&story);
    fixture.follow();
    fixture.until("everything is worked on", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        // What is given up waits among the dead letters.
        let works = |queue: &&Value| queue["name"] != "dead-letters.fifo";
        let idle = |queue: &Value| queue["visible"] == 0 && queue["in_flight"] == 0;
        let idle = status["queues"].as_array()?.iter().filter(works).all(idle);
        let told = status["pushes"]["pending"] == 0 && status["pushes"]["matched"] != 0;
        let listed = fixture.public("GET", "/v1/media", "").json();
        (idle && told && listed["items"].as_array()?.len() == 5).then_some(())
    });
    let asked = trap.accept().map(|(_, from): (_, SocketAddr)| from);
    let error = asked.expect_err("nobody comes");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn api8_every_answer_says_that_it_is_no_page_and_nobody_elses() {
    let fixture = Fixture::start();
    let (public, operations) = (fixture.public, fixture.operations);
    let foreign = [("origin", "https://evil.example")];
    for (to, method, path) in [
        (public, "GET", "/v1/media"),
        (public, "GET", "/nowhere"),
        (public, "GET", "/.well-known/jwks.json"),
        (public, "OPTIONS", "/v1/media"),
        (public, "POST", "/v1/subscriptions"),
        (operations, "GET", "/livez"),
        (operations, "GET", "/metrics"),
        (operations, "GET", "/v1/ops/status"),
        (operations, "POST", "/v1/graph/commits"),
    ] {
        let answer = fixture.send(to, method, path, &foreign, b"");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'"),
            "{path}"
        );
        for absent in [
            "access-control-allow-origin",
            "server",
            "x-powered-by",
            "set-cookie",
        ] {
            assert_eq!(answer.header(absent), "", "{path}");
        }
        if answer.status >= 400 {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
    let answer = fixture.get("/v1/media", &[]);
    assert_eq!(
        answer.header("strict-transport-security"),
        "max-age=31536000"
    );
    let page = fixture.public(
        "PUT",
        "/v1/files/profile/minji/page.html",
        "<script>alert(1)</script>",
    );
    assert_eq!(page.status, 201);
    let page = fixture.public("GET", "/v1/files/profile/minji/page.html", "");
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; sandbox"
    );
    fixture
        .send(public, "POST", "/v1/subscriptions", &foreign, b"{}")
        .problem(403, "foreign-origin");
}

#[test]
fn api9_every_path_that_is_documented_is_served_under_its_version_and_on_its_listener_alone() {
    // What clients find before they know a version. The operations listener has pages beside its interface.
    const WITHOUT_VERSION: [&str; 3] = ["/openapi.json", "/docs", "/.well-known/jwks.json"];
    // Each listener describes itself.
    const ON_BOTH: &str = "/openapi.json";
    let fixture = Fixture::start();
    let document = include_str!("../../docs/http.md");
    let (public, operations) = document
        .split_once("## Operations listener")
        .expect("both listeners");
    for (text, here, there) in [
        (public, fixture.public, fixture.operations),
        (operations, fixture.operations, fixture.public),
    ] {
        let paths = documented(text);
        assert!(paths.len() > 8, "{paths:?}");
        for (method, path) in paths {
            assert!(
                here == fixture.operations
                    || path.starts_with("/v1/")
                    || WITHOUT_VERSION.contains(&path.as_str()),
                "{path}"
            );
            let bearer = format!("Bearer {}", fixture.token("minji", &["admin"]));
            let headers = [("authorization", bearer.as_str())];
            // An unknown method shows that the path is known without doing anything there.
            let allowed = fixture.send(here, "TRACE", &path, &headers, b"");
            allowed.problem(405, "method-not-allowed");
            assert!(
                allowed.header("allow").contains(&method),
                "{method} {path}: {}",
                allowed.header("allow")
            );
            if path != ON_BOTH {
                let elsewhere = fixture.send(there, "TRACE", &path, &headers, b"");
                elsewhere.problem(404, "unknown-path");
            }
        }
    }
}

/// What a document lists as `METHOD /path`, with something in the place of what is to be filled in.
fn documented(text: &str) -> BTreeSet<(String, String)> {
    let code = text.split('`').skip(1).step_by(2);
    let routes = code.filter_map(|code| {
        let (method, path) = code.split_once(' ')?;
        let path = path.split(['?', '[']).next()?.trim_end();
        let known = ["GET", "PUT", "POST", "PATCH", "DELETE"].contains(&method);
        (known && path.starts_with('/')).then_some((method, path))
    });
    routes
        .map(|(method, path)| {
            let segments = path.split('/').map(|segment| match segment {
                "{preset}" => "small",
                "{platform}" => "fcm",
                "{name}" => "waveform.json",
                filled if filled.starts_with('{') => "x",
                plain => plain,
            });
            (method.to_owned(), segments.collect::<Vec<_>>().join("/"))
        })
        .collect()
}
