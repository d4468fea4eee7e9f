//! Files by key, and the keys that no file may have.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::fixture::Fixture;

#[test]
fn a_file_comes_back_as_it_was_stored_until_it_is_deleted() {
    let fixture = Fixture::start();
    let put = |body: &[u8]| {
        let bearer = format!("Bearer {}", fixture.token("operator", &["admin"]));
        let headers = [("content-type", "audio/ogg"), ("authorization", &*bearer)];
        fixture.send(
            fixture.public,
            "PUT",
            "/v1/files/posts/1/a%20b.ogg",
            &headers,
            body,
        )
    };
    let answer = put(b"first");
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("location"), "/v1/files/posts/1/a%20b.ogg");
    let stored = answer.json();
    assert_eq!(
        (&stored["key"], &stored["size"]),
        (&"posts/1/a b.ogg".into(), &5.into())
    );
    assert!(stored["sequencer"].is_string());
    let answer = put(b"second!");
    assert_eq!(answer.status, 200, "it replaces one");
    let etag = answer.header("etag").to_owned();

    let answer = fixture.get("/v1/files/posts/1/a%20b.ogg", &[]);
    assert_eq!((answer.status, &*answer.body), (200, &b"second!"[..]));
    assert_eq!(answer.header("content-type"), "audio/ogg");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("etag"), etag);
    let answer = fixture.get("/v1/files/posts/1/a%20b.ogg", &[("if-none-match", &etag)]);
    assert_eq!((answer.status, answer.body.len()), (304, 0));

    for _ in 0..2 {
        let answer = fixture.public("DELETE", "/v1/files/posts/1/a%20b.ogg", "");
        assert_eq!(answer.status, 204);
    }
    fixture
        .get("/v1/files/posts/1/a%20b.ogg", &[])
        .problem(404, "not-found");
}

#[test]
fn keys_that_no_file_may_have_are_refused_with_their_field() {
    let fixture = Fixture::start();
    let long = "k".repeat(1_025);
    for key in [
        "a/../b",
        "%2e%2e%2fsecret",
        "..",
        "a%00b",
        "a//b",
        "a/",
        "",
        "%FF",
        "a%0Ab",
        &long,
    ] {
        let path = format!("/v1/files/{key}");
        let problem = fixture
            .public("PUT", &path, "x")
            .problem(400, "invalid-key");
        assert_eq!(problem["field"], "key", "{key}");
        fixture.get(&path, &[]).problem(400, "invalid-key");
    }
    let longest = format!("/v1/files/{}", "k".repeat(1_024));
    assert_eq!(fixture.public("PUT", &longest, "x").status, 201);
    for method in ["PUT", "DELETE"] {
        let answer = fixture.public(method, "/v1/files/derived/ab/c.webp", "x");
        answer.problem(403, "reserved-key");
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_whole() {
    let fixture = Fixture::with(|config| config.media.file_bytes_max = 1_000);
    let problem = fixture
        .public("PUT", "/v1/files/posts/1/a", vec![0; 1_001])
        .problem(413, "too-large");
    assert_eq!(problem["bytes_max"], 1_000);
    fixture
        .get("/v1/files/posts/1/a", &[])
        .problem(404, "not-found");
    assert_eq!(
        fixture
            .public("PUT", "/v1/files/posts/1/a", vec![0; 1_000])
            .status,
        201
    );
    // An empty file is a file.
    assert_eq!(
        fixture.public("PUT", "/v1/files/posts/1/empty", "").status,
        201
    );
    assert_eq!(fixture.get("/v1/files/posts/1/empty", &[]).status, 200);
}

#[test]
fn a_player_gets_the_part_of_a_file_that_it_asks_for() {
    let fixture = Fixture::start();
    let path = "/v1/files/posts/1/tone.ogg";
    let stored = fixture.public("PUT", path, "0123456789");
    assert_eq!(stored.status, 201);
    let whole = fixture.get(path, &[]);
    assert_eq!(
        (whole.status, whole.header("accept-ranges")),
        (200, "bytes")
    );
    let part = fixture.get(path, &[("range", "bytes=2-4")]);
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(part.header("content-length"), "3");
    assert_eq!(part.header("etag"), whole.header("etag"));
    let tail = fixture.get(path, &[("range", "bytes=-3")]);
    assert_eq!((tail.status, tail.text().as_str()), (206, "789"));
    let behind = fixture.get(path, &[("range", "bytes=10-")]);
    behind.problem(416, "no-such-range");
    assert_eq!(behind.header("content-range"), "bytes */10");
    let etag = whole.header("etag").to_owned();
    let old = [("range", "bytes=2-4"), ("if-range", "\"old\"")];
    assert_eq!(fixture.get(path, &old).text(), "0123456789");
    let same = [("range", "bytes=2-4"), ("if-range", &*etag)];
    assert_eq!(fixture.get(path, &same).text(), "234");
}

#[test]
fn clients_who_stop_reading_keep_nobody_else_from_a_file() {
    /// More than the system buffers for a connection.
    const LARGE_BYTES: usize = 24 << 20;
    const STALLED: usize = 20;
    let fixture = Fixture::start();
    let large = vec![7; LARGE_BYTES];
    for (path, body) in [
        ("/v1/files/large", &large[..]),
        ("/v1/files/small", &b"small"[..]),
    ] {
        assert_eq!(fixture.public("PUT", path, body).status, 201);
    }
    let bearer = fixture.token("operator", &["admin"]);
    let asked = format!(
        "GET /v1/files/large HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\n\r\n",
        fixture.public
    );
    let stalled = (0..STALLED).map(|_| {
        let mut client = TcpStream::connect(fixture.public).expect("connects");
        client.write_all(asked.as_bytes()).expect("sent");
        let patience = client.set_read_timeout(Some(Duration::from_secs(20)));
        patience.expect("set");
        client
    });
    let mut stalled: Vec<_> = stalled.collect();
    for client in &mut stalled {
        let mut begun = [0; 15];
        client.read_exact(&mut begun).expect("an answer");
        assert_eq!(&begun, b"HTTP/1.1 200 OK");
    }
    let answer = fixture.get("/v1/files/small", &[]);
    assert_eq!((answer.status, &*answer.body), (200, &b"small"[..]));
}

#[test]
fn whoever_stops_sending_keeps_nobody_else_from_sending() {
    /// More than there are places for what comes at once.
    const STALLED: usize = 40;
    const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);
    let fixture = Fixture::start();
    let bearer = fixture.token("minji", &[]);
    let stalled = (0..STALLED).map(|number| {
        let mut client = TcpStream::connect(fixture.public).expect("connects");
        let begun = format!(
            "PUT /v1/files/uploads/minji/{number} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\nContent-Length: 1000\r\n\r\nhalf",
            fixture.public
        );
        client.write_all(begun.as_bytes()).expect("sent");
        client
    });
    let stalled: Vec<_> = stalled.collect();
    let began = Instant::now();
    for number in 0..10 {
        let path = format!("/v1/files/uploads/grace/{number}");
        let answer = fixture.public_as("grace", "PUT", &path, "all of it");
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    assert!(
        began.elapsed() < GIVEN_UP_AFTER,
        "the others were waited for"
    );
    drop(stalled);
}
