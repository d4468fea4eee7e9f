//! The description of each interface is of what is served, and whoever changes it sees so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use actix_web::dev::ResourceMap;
use actix_web::http::{Method, header};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::ServiceConfig;
use actix_web::{App, rt};
use iyagi::http::listener::Side;
use iyagi::http::{openapi, operations, public};
use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};
use crate::operators::{READ_ONLY, with_operators};

/// The page of the description and its files, which are no interface.
const VIEWER: [&str; 2] = ["/docs", "/docs/{name}"];
/// Pages of the dashboard and what belongs to them, which are none either.
const DASHBOARD: [&str; 17] = [
    "/",
    "/actors",
    "/actors/{name:.+}",
    "/assets/{version}/{name}",
    "/config",
    "/dead-letters",
    "/dead-letters/{id}",
    "/journal",
    "/journal/export.jsonl",
    "/journal/why-not",
    "/journal/{id}",
    "/media",
    "/media/files/{key:.*}",
    "/pipelines",
    "/search",
    "/search/sign-in",
    "/search/sign-out",
];

fn described(of: Side) -> Value {
    serde_json::from_str(&openapi::json(of)).expect("JSON")
}

/// Every pattern of a path that is served, which only the description of the map for debugging tells.
fn patterns(map: &ResourceMap) -> BTreeSet<String> {
    let text = format!("{map:?}");
    let behind = text.split("patterns: Single(\"").skip(1);
    let patterns = behind.map(|rest| rest.split('"').next().unwrap_or_default().to_owned());
    patterns.filter(|pattern| !pattern.is_empty()).collect()
}

/// A path of a pattern, each of whose parameters is `name`.
fn example(pattern: &str, name: &str) -> String {
    let mut path = String::new();
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('{') {
        path += before;
        path += name;
        rest = behind.split_once('}').expect("a parameter ends").1;
    }
    path + rest
}

/// Checks that a listener with these routes describes whatever it serves, but for pages, and nothing else.
async fn is_described(of: Side, routes: fn(&mut ServiceConfig), pages: &[&str]) {
    let app = init_service(App::new().configure(routes)).await;
    let ask = async |method: Method, path: &str| {
        let request = TestRequest::with_uri(path).method(method).to_request();
        call_service(&app, request).await
    };
    let somewhere = ask(Method::GET, "/no/where/at/all").await;
    let map = somewhere.request().resource_map();

    let mut patterns = patterns(map);
    for page in pages {
        assert!(patterns.remove(*page), "nobody serves {page}");
    }
    let mut served = BTreeSet::new();
    for pattern in patterns {
        let answer = ask(Method::TRACE, &example(&pattern, "x")).await;
        let allowed = answer.headers().get(header::ALLOW);
        let allowed = allowed.unwrap_or_else(|| panic!("{pattern} says what it takes"));
        for method in allowed.to_str().expect("text").split(", ") {
            // Whatever can be got can be asked for without its body.
            if method != "HEAD" {
                served.insert((pattern.clone(), method.to_lowercase()));
            }
        }
    }

    let document = described(of);
    let paths = document["paths"].as_object().expect("paths");
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, operations)| {
            let pattern = map.match_pattern(&example(path, "opus-32k"));
            let pattern = pattern.unwrap_or_else(|| panic!("nobody serves {path}"));
            let methods = operations.as_object().expect("operations").keys();
            methods.map(move |method| (pattern.clone(), method.clone()))
        })
        .collect();
    assert!(served.len() >= 20, "{served:?}");
    assert_eq!(described, served);
}

#[test]
fn what_is_served_is_described_and_nothing_else_is() {
    rt::System::new().block_on(async {
        is_described(Side::Public, public::routes, &VIEWER).await;
        let pages = [&VIEWER[..], &DASHBOARD].concat();
        is_described(Side::Operations, operations::routes, &pages).await;
    });
}

#[test]
fn every_change_of_an_interface_is_seen_in_its_committed_document() {
    for of in [Side::Public, Side::Operations] {
        is_committed(of);
    }
}

fn is_committed(of: Side) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/openapi/{of}.json"));
    let current = openapi::json(of);
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "new") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, &current).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    for (at, (was, is)) in committed.lines().zip(current.lines()).enumerate() {
        let line = at + 1;
        assert_eq!(
            was,
            is,
            "line {line} of {}: if it is meant, GOLDEN=new",
            path.display()
        );
    }
    assert_eq!(
        committed.len(),
        current.len(),
        "{}: GOLDEN=new",
        path.display()
    );
}

#[test]
fn the_command_line_prints_either_without_a_daemon() {
    let print = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iyagi"));
        let output = command.arg("openapi").args(arguments).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(print(&[]), openapi::json(Side::Public));
    assert_eq!(print(&["public"]), openapi::json(Side::Public));
    assert_eq!(print(&["operations"]), openapi::json(Side::Operations));
}

#[test]
fn whoever_has_no_token_yet_can_read_what_there_is() {
    let fixture = Fixture::start();
    let read = |headers: &[(&str, &str)]| {
        fixture.send(fixture.public, "GET", "/openapi.json", headers, b"")
    };
    let answer = read(&[]);
    assert_eq!(answer.json(), described(Side::Public));
    let etag = answer.header("etag");
    assert_eq!(read(&[("if-none-match", etag)]).status, 304);
    check_page(|path| fixture.send(fixture.public, "GET", path, &[], b""));
}

#[test]
fn only_operators_can_read_what_there_is_for_operators() {
    let fixture = Fixture::with(with_operators);
    for path in ["/openapi.json", "/docs", "/docs/rapidoc.js"] {
        let answer = fixture.operations("GET", path, "");
        answer.problem(401, "unauthenticated");
    }
    let read = |path: &str| fixture.as_operator(READ_ONLY, "GET", path, "");
    assert_eq!(read("/openapi.json").json(), described(Side::Operations));
    check_page(read);
}

#[test]
fn nobody_is_let_in_but_those_whom_the_description_lets_in() {
    let fixture = Fixture::with(with_operators);
    let document = described(Side::Operations);
    let mut orders = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let path = example(path, "x");
        for (method, operation) in operations.as_object().expect("operations") {
            let method = method.to_uppercase();
            let answer = fixture.operations(&method, &path, "");
            let refused = answer.header("www-authenticate") == "Bearer";
            let is_open = operation["security"] == json!([{}]);
            assert_eq!(refused, !is_open, "{method} {path}: {answer:?}");
            if method != "GET" {
                let answer = fixture.as_operator(READ_ONLY, &method, &path, "");
                let refusal = &operation["responses"]["403"]["description"];
                let is_order = refusal.as_str().expect("text").contains("`forbidden`");
                let told = answer.text().contains("urn:iyagi:problem:forbidden");
                assert_eq!(told, is_order, "{method} {path}: {answer:?}");
                orders += u32::from(is_order);
            }
        }
    }
    assert!(orders >= 10, "{orders}");
}

/// Checks that the page of a description loads nothing from elsewhere and has no script in it.
fn check_page(read: impl Fn(&str) -> Answer) {
    let page = read("/docs");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    let html = page.text();
    let named = html
        .split("=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let files: Vec<&str> = named.filter(|name| name.starts_with("docs/")).collect();
    assert_eq!(files.len(), 3, "{html}");
    for file in files {
        let answer = read(&format!("/{file}"));
        assert_eq!(answer.status, 200, "{file}");
        assert!(!answer.body.is_empty());
    }
    assert!(!html.contains("://"), "{html}");
    read("/docs/nothing.js").problem(404, "not-found");
}
