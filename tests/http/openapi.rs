//! The description of the public interface is of what is served, and whoever changes it sees so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use actix_web::dev::ResourceMap;
use actix_web::http::{Method, header};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, rt};
use iyagi::http::{openapi, public};
use serde_json::Value;

use crate::fixture::Fixture;

/// A page for people and its files, which are no interface.
fn is_page(pattern: &str) -> bool {
    pattern == "/docs" || pattern == "/docs/{name}"
}

fn described() -> Value {
    serde_json::from_str(&openapi::public_json()).expect("JSON")
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

#[test]
fn what_is_served_is_described_and_nothing_else_is() {
    rt::System::new().block_on(async {
        let app = init_service(App::new().configure(public::routes)).await;
        let ask = async |method: Method, path: &str| {
            let request = TestRequest::with_uri(path).method(method).to_request();
            call_service(&app, request).await
        };
        let somewhere = ask(Method::GET, "/nowhere").await;
        let map = somewhere.request().resource_map();

        let mut served = BTreeSet::new();
        for pattern in patterns(map).into_iter().filter(|one| !is_page(one)) {
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

        let document = described();
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
    });
}

#[test]
fn every_change_of_the_interface_is_seen_in_the_committed_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi/public.json");
    let current = openapi::public_json();
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
fn the_command_line_prints_it_without_a_daemon() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iyagi"));
    let output = command.arg("openapi").output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).expect("text"),
        openapi::public_json()
    );
}

#[test]
fn whoever_has_no_token_yet_can_read_what_there_is() {
    let fixture = Fixture::start();
    let read = |headers: &[(&str, &str)]| {
        fixture.send(fixture.public, "GET", "/openapi.json", headers, b"")
    };
    let answer = read(&[]);
    assert_eq!(answer.json(), described());
    let etag = answer.header("etag");
    assert_eq!(read(&[("if-none-match", etag)]).status, 304);
}

#[test]
fn the_page_of_the_description_loads_nothing_from_elsewhere_and_has_no_script_in_it() {
    let fixture = Fixture::start();
    let read = |path: &str| fixture.send(fixture.public, "GET", path, &[], b"");
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
