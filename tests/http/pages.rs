//! The dashboard's pages of what people made: files, events, hits.

use serde_json::json;

use crate::fixture::{Answer, Fixture};

/// A page, as whoever has this cookie gets it.
fn page(fixture: &Fixture, path: &str, cookie: &str) -> Answer {
    let headers = [("cookie", cookie), ("accept", "text/html")];
    fixture.send(fixture.operations, "GET", path, &headers, &[])
}

/// The cookie that a sign-in to the search gives, and all that is said with it.
fn sign_in(fixture: &Fixture, person: &str) -> (String, String) {
    let form = format!("person={person}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/search/sign-in";
    let answer = fixture.send(fixture.operations, "POST", path, &headers, form.as_bytes());
    assert_eq!(answer.status, 303, "{}", answer.text());
    let set = answer.header("set-cookie").to_owned();
    let cookie = set.split(';').next().expect("a cookie").to_owned();
    (cookie, set)
}

#[test]
fn the_search_shows_what_its_visitor_may_see_and_runs_nothing_of_it() {
    let fixture = Fixture::start().with_people();
    let committed = fixture.commit(&json!([
        {"op": "add_vertex", "id": "spring", "label": "Story", "properties": {"title": "<script>alert(1)</script> 봄 노래", "visibility": "public"}},
        {"op": "add_vertex", "id": "diary", "label": "Story", "properties": {"title": "봄 일기", "visibility": "private"}},
        {"op": "add_edge", "id": "p1", "from": "minji", "to": "spring", "label": "POSTED"},
        {"op": "add_edge", "id": "p2", "from": "minji", "to": "diary", "label": "POSTED"},
    ]));
    let last = committed.json()["last"].clone();
    let version = format!("{}:{}", last["commit"], last["op"]);
    let waited = format!("/v1/search?q=%EB%B4%84&min_version={version}");
    assert_eq!(fixture.get(&waited, &[]).status, 200);

    let (cookie, set) = sign_in(&fixture, "grace");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/search"] {
        assert!(set.contains(word), "{set}");
    }
    let found = page(&fixture, "/search?q=%EB%B4%84", &cookie).text();
    assert!(
        found.contains("spring") && !found.contains("diary"),
        "{found}"
    );
    assert!(!found.contains("<script>alert"), "{found}");
    assert!(found.contains("<mark>봄</mark>"), "{found}");

    let (cookie, _) = sign_in(&fixture, "minji");
    let found = page(&fixture, "/search?q=%EB%B4%84", &cookie).text();
    assert!(
        found.contains("spring") && found.contains("diary"),
        "{found}"
    );

    // A token that does not hold is as good as none.
    let forged = page(&fixture, "/search?q=%EB%B4%84", &format!("{cookie}x")).text();
    assert!(forged.contains("Sign in to search"), "{forged}");
    assert!(!forged.contains("diary"), "{forged}");
}

#[test]
fn nobody_signs_in_as_whom_the_graph_does_not_know() {
    let fixture = Fixture::start().with_people();
    fixture.commit(&json!([{"op": "add_vertex", "id": "spring", "label": "Story"}]));
    for stranger in ["minjj", "spring"] {
        let form = format!("person={stranger}");
        let headers = [("accept", "text/html")];
        let path = "/search/sign-in";
        let answer = fixture.send(fixture.operations, "POST", path, &headers, form.as_bytes());
        assert_eq!(answer.status, 404, "{stranger}");
        assert_eq!(answer.header("set-cookie"), "");
        assert!(answer.text().contains(stranger), "{}", answer.text());
    }
}

#[test]
fn a_page_of_somebody_else_signs_nobody_in() {
    let fixture = Fixture::start().with_people();
    let headers = [("sec-fetch-site", "cross-site")];
    let answer = fixture.send(
        fixture.operations,
        "POST",
        "/search/sign-in",
        &headers,
        b"person=minji",
    );
    answer.problem(403, "foreign-origin");
    let answer = fixture.send(
        fixture.operations,
        "POST",
        "/search/sign-in",
        &[],
        b"person=",
    );
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("set-cookie"), "");
}

#[test]
fn files_are_shown_to_operators_in_parts_and_cannot_run_as_pages() {
    let fixture = Fixture::start();
    let drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let headers = [("content-type", "image/svg+xml")];
    let bearer = format!("Bearer {}", fixture.token("minji", &[]));
    let headers = [&headers[..], &[("authorization", &bearer)]].concat();
    let key = "profile/minji/drawing.svg";
    let path = format!("/v1/files/{key}");
    let stored = fixture.send(fixture.public, "PUT", &path, &headers, drawing);
    assert_eq!(stored.status, 201);

    let path = format!("/media/files/{key}");
    let part = [("range", "bytes=0-3")];
    let answer = fixture.send(fixture.operations, "GET", &path, &part, &[]);
    assert_eq!((answer.status, answer.text().as_str()), (206, "<svg"));
    assert!(answer.header("content-security-policy").contains("sandbox"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let missing = fixture.operations("GET", "/media/files/profile/minji/none", "");
    missing.problem(404, "not-found");

    fixture.until("its entry", |fixture| {
        let shown = page(fixture, "/media?prefix=profile/minji/", "").text();
        shown.contains("drawing.svg").then_some(())
    });
    let others = page(&fixture, "/media?show=recordings", "").text();
    assert!(!others.contains("drawing.svg"), "{others}");
    assert_eq!(page(&fixture, "/media?show=nothing", "").status, 400);
}

#[test]
fn the_journal_is_paged_through_without_a_gap_and_exported_whole() {
    let fixture = Fixture::start().with_people();
    for nth in 0..60 {
        let device = json!({"person": "minji", "platform": "fcm", "locale": "ko"}).to_string();
        fixture.public("PUT", &format!("/v1/devices/page-{nth}"), device);
    }
    let (mut path, mut seen) = ("/journal?kind=device.registered".to_owned(), Vec::new());
    loop {
        let text = page(&fixture, &path, "").text();
        let links = text.split("<td class=\"num\"><a href=\"").skip(1);
        seen.extend(links.map(|link| link.split('"').next().expect("a link").to_owned()));
        let older = text
            .split("href=\"/journal?")
            .filter(|link| link.contains("before="));
        let Some(older) = older.last() else { break };
        let query = older.split('"').next().expect("a query");
        path = format!(
            "/journal?{}",
            query.replace("&#38;", "&").replace("&amp;", "&")
        );
    }
    assert_eq!(seen.len(), 61);
    let export = fixture.operations("GET", "/journal/export.jsonl?kind=device.registered", "");
    let lines: Vec<serde_json::Value> = export
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut ids: Vec<_> = lines
        .iter()
        .map(|line| format!("/journal/{}", line["id"].as_str().expect("an id")))
        .collect();
    ids.reverse();
    assert_eq!(seen, ids);

    let one = page(&fixture, &seen[0], "");
    assert_eq!(one.status, 200);
    assert!(one.text().contains("device.registered"));
    for wrong in [
        "/journal?kind=none",
        "/journal?commit=x",
        "/journal/nonsense",
    ] {
        assert_eq!(page(&fixture, wrong, "").status, 400, "{wrong}");
    }
    let unknown = page(&fixture, "/journal/00000000000000000000000000000000", "");
    assert_eq!(unknown.status, 404);
}

#[test]
fn the_configuration_says_who_set_what() {
    let fixture = Fixture::with(|config| config.push.max_in_flight = 3);
    let set = page(&fixture, "/config?set=true", "").text();
    assert!(set.contains("push.max_in_flight"), "{set}");
    assert!(set.contains(">program<"), "{set}");
    assert!(!set.contains("inbox.live_connections_max"), "{set}");
    let all = page(&fixture, "/config", "").text();
    assert!(all.contains("inbox.live_connections_max"), "{all}");
}
