//! axe-core, which finds what keeps people from using a page: too little contrast, controls without a name.
//!
//! It is fetched once by npm, held to its hash, and kept under `target/`. Its licence, MPL-2.0, is not the project's, so it
//! is not in the repository.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use crate::chromium::Browser;
use crate::programs;

const PACKAGE: &str = "axe-core@4.14.1";
/// As the registry tells it.
const SHA512: &str =
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";
const FILE: &str = "package/axe.min.js";

/// Fails if the page that is shown has a defect that is more than minor.
pub(crate) fn finds_nothing_serious(browser: &Browser, what: &str) {
    if programs::lacks("npm", "it comes with Node.js") {
        return;
    }
    browser.run(script(), &[]);
    let found = browser.run_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, {resultTypes: ['violations']}).then(
             (results) => done(results.violations),
             (error) => done([{impact: 'critical', id: String(error), nodes: []}]));",
    );
    let serious: Vec<String> = found
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| {
            matches!(
                one["impact"].as_str(),
                Some("moderate" | "serious" | "critical")
            )
        })
        .map(told)
        .collect();
    assert!(serious.is_empty(), "{what}:\n{}", serious.join("\n"));
}

fn told(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let nodes: Vec<String> = nodes
        .map(|node| format!("  {}: {}", node["html"], node["failureSummary"]))
        .collect();
    format!(
        "{}: {}\n{}",
        violation["impact"],
        violation["id"],
        nodes.join("\n")
    )
}

fn script() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let package = fetched();
        let bytes = fs::read(&package).expect("the package is there");
        let digest = BASE64_STANDARD.encode(Sha512::digest(&bytes));
        assert_eq!(digest, SHA512, "{PACKAGE} is another one than it was");
        let unpacked = Command::new("tar")
            .args(["-xzOf"])
            .args([&package, Path::new(FILE)])
            .output();
        String::from_utf8(unpacked.expect("tar runs").stdout).expect("UTF-8")
    })
}

/// Where the package lies, fetched if it is not there yet.
fn fetched() -> PathBuf {
    let folder = match std::env::var_os("TEST_SERVERS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-servers"),
    };
    fs::create_dir_all(&folder).expect("a folder");
    let package = folder.join(format!("{}.tgz", PACKAGE.replace('@', "-")));
    // Other test processes want the same package at the same time.
    let lock = File::create(folder.join("axe-core.lock")).expect("a lock");
    lock.lock().expect("a lock");
    if !package.exists() {
        let output = Command::new("npm")
            .args(["pack", "--silent", PACKAGE, "--pack-destination"])
            .arg(&folder)
            .output();
        let output = output.expect("npm runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "npm cannot fetch {PACKAGE}: {said}"
        );
    }
    package
}
