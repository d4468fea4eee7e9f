//! The rules that hold the layers apart, and what may be depended on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Licences under which a dependency may come.
const LICENCES: [&str; 15] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    // Of a list of root certificates, which is data, and which only other platforms use.
    "CDLA-Permissive-2.0",
    "IJG",
    "ISC",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What each crate of the workspace may depend on inside the workspace.
const DIRECTION: [(&str, &[&str]); 5] = [
    ("iyagi-messages", &[]),
    ("iyagi-media", &[]),
    ("iyagi-search", &["iyagi-messages"]),
    (
        "iyagi-actors",
        &["iyagi-messages", "iyagi-media", "iyagi-search"],
    ),
    (
        "iyagi",
        &[
            "iyagi-messages",
            "iyagi-media",
            "iyagi-search",
            "iyagi-actors",
        ],
    ),
];

/// What the inner crates must never know: databases, HTTP, SDKs, configuration formats.
const OUTSIDE: [&str; 9] = [
    "actix-web",
    "rusqlite",
    "ureq",
    "reqwest",
    "hyper",
    "clap",
    "toml",
    "notify",
    "metrics-exporter-prometheus",
];

/// What the build for this platform is made of. Whoever has only ever built the project has nothing else downloaded.
fn metadata() -> Value {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline"];
    let platform = host_platform();
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--filter-platform", &platform])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn host_platform() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    let version = String::from_utf8(output.expect("rustc runs").stdout).expect("UTF-8");
    let mut lines = version.lines();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

fn packages(metadata: &Value) -> &Vec<Value> {
    metadata["packages"].as_array().expect("packages")
}

fn dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let all = package["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter();
    let needed = all.filter(|dependency| dependency["kind"].is_null());
    needed.filter_map(|dependency| dependency["name"].as_str())
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    for (name, allowed) in DIRECTION {
        let package = packages(&metadata)
            .iter()
            .find(|package| package["name"] == name);
        let package = package.unwrap_or_else(|| panic!("{name} is in the workspace"));
        for dependency in dependencies(package) {
            let inside = dependency.starts_with("iyagi");
            assert!(
                !inside || allowed.contains(&dependency),
                "{name} may not know {dependency}"
            );
            let foreign = name != "iyagi" && OUTSIDE.contains(&dependency);
            assert!(
                !foreign,
                "{name} may not know {dependency}: that is an adapter's business"
            );
        }
    }
}

#[test]
fn only_the_runtime_imports_actix() {
    for folder in [
        "messages/src",
        "media/src",
        "search/src",
        "actors/src",
        "src",
    ] {
        for (path, text) in sources(folder) {
            if path.components().any(|part| part.as_os_str() == "runtime") {
                continue;
            }
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let names_actix = ["actix::", "actix_rt", "use actix;"]
                    .iter()
                    .any(|name| code.contains(name));
                assert!(
                    !names_actix,
                    "{}:{} imports actix",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn an_adapter_never_names_another_adapter() {
    const PARTS: [&str; 7] = [
        "graph", "journal", "metadata", "objects", "push_log", "queues", "search",
    ];
    for (path, text) in sources("src/embedded") {
        let Some(own) = PARTS.iter().find(|part| {
            path.components().any(|at| {
                Path::new(at.as_os_str())
                    .file_stem()
                    .is_some_and(|stem| stem == **part)
            })
        }) else {
            continue;
        };
        // What a unit test puts behind a port is no business of the adapter's.
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for other in PARTS.iter().filter(|part| *part != own) {
            let named = shipped.contains(&format!("embedded::{other}"));
            assert!(!named, "{} names the adapter {other}", path.display());
        }
    }
}

#[test]
fn the_ways_to_a_phone_and_to_the_rest_of_the_world_do_not_know_each_other() {
    const FOLDERS: [&str; 3] = ["aws", "embedded", "fcm"];
    for folder in FOLDERS {
        for (path, text) in sources(&format!("src/{folder}")) {
            for other in FOLDERS.iter().filter(|other| **other != folder) {
                let named = text.contains(&format!("crate::{other}::"));
                assert!(!named, "{} names an adapter of {other}", path.display());
            }
        }
    }
}

#[test]
fn messages_read_no_clock_and_do_no_io() {
    for (path, text) in sources("messages/src") {
        for banned in [
            "std::fs",
            "std::net",
            "SystemTime",
            "Instant::now",
            "tokio",
            "std::thread",
        ] {
            assert!(!text.contains(banned), "{} uses {banned}", path.display());
        }
    }
}

#[test]
fn every_dependency_comes_from_the_registry_under_a_known_licence() {
    let metadata = metadata();
    let mut unknown = BTreeSet::new();
    for package in packages(&metadata) {
        let name = package["name"].as_str().expect("a name");
        if name.starts_with("iyagi") {
            continue;
        }
        let source = package["source"].as_str().unwrap_or("none");
        assert!(
            source.starts_with("registry+"),
            "{name} comes from {source}"
        );
        let licence = package["license"].as_str().unwrap_or("none");
        // `/` is the old spelling of OR; of alternatives one is enough, of AND all are needed.
        let licence = licence.replace('/', " OR ").replace(['(', ')'], "");
        let known = licence
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())));
        if !known {
            unknown.insert(format!("{name}: {licence}"));
        }
    }
    assert_eq!(unknown, BTreeSet::new());
}
