//! What is in deploy/ speaks of the daemon as it is: its metrics, its resources, its files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use iyagi::aws::provision::{Kind, Resource, resources};
use iyagi::config::Config;
use serde_json::Value;

/// The most that `CloudFormation` takes as a text; a longer template would need a bucket first.
const TEMPLATE_BYTES_MAX: usize = 51_200;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The daemon's metrics, as its snapshot test keeps them.
fn metrics() -> BTreeSet<String> {
    let snapshot = text(
        "tests/http/snapshots/http__operations__metric_names_and_labels_stay_what_they_are.snap",
    );
    let mut metrics = BTreeSet::new();
    for line in snapshot.lines().filter(|line| line.starts_with("iyagi_")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        metrics.insert(name.to_owned());
        if kind == "histogram" {
            metrics.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        }
    }
    assert!(metrics.len() > 20, "{metrics:?}");
    metrics
}

/// Every word that begins like a metric.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("iyagi_"));
    words.map(str::to_owned).collect()
}

fn alerts() -> Vec<String> {
    let rules = text("deploy/prometheus/alerts.yml");
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn every_metric_of_alerts_and_dashboard_is_one_of_the_daemons() {
    let metrics = metrics();
    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts.test.yml",
        "deploy/grafana/iyagi.json",
    ] {
        let named = named(&text(file));
        assert!(!named.is_empty(), "{file}");
        let unknown: Vec<_> = named.difference(&metrics).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[test]
fn the_dashboard_is_one_document_whose_panels_have_places_of_their_own() {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/iyagi.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let places: BTreeSet<_> = panels
        .iter()
        .map(|panel| panel["gridPos"].to_string())
        .collect();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].to_string()).collect();
    assert_eq!((places.len(), ids.len()), (panels.len(), panels.len()));
}

#[test]
fn every_alert_has_its_page_and_its_test_and_every_page_its_alert() {
    let alerts = alerts();
    let rules = text("deploy/prometheus/alerts.yml");
    let tests = text("deploy/prometheus/alerts.test.yml");
    for alert in &alerts {
        let page = format!("docs/runbook/{alert}.md");
        assert!(rules.contains(&format!("runbook: {page}")), "{alert}");
        assert!(text(&page).starts_with(&format!("# {alert}\n")), "{page}");
        // Once where it must not fire, once where it must.
        let mentions = tests.matches(&format!("alertname: {alert}")).count();
        assert_eq!(mentions, 2, "{alert}");
    }
    let pages = fs::read_dir(path("docs/runbook")).expect("a folder");
    let pages: BTreeSet<_> = pages
        .map(|page| page.expect("readable").path())
        .filter_map(|page| Some(page.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(pages, alerts.into_iter().collect());
    let template = text("deploy/cloudformation.yaml");
    for named in template.split("docs/runbook/").skip(1) {
        let (page, _) = named.split_once(".md").expect("a page");
        assert!(path(&format!("docs/runbook/{page}.md")).is_file(), "{page}");
    }
}

/// A resource of the template: its logical id, its type, its lines.
struct Declared {
    id: String,
    kind: String,
    lines: Vec<String>,
}

/// The template is written in one style, so that its lines are enough to tell its resources.
fn declared(template: &str) -> Vec<Declared> {
    let mut lines = template.lines().skip_while(|line| *line != "Resources:");
    lines.next().expect("resources");
    let mut found: Vec<Declared> = Vec::new();
    for line in lines.take_while(|line| line.is_empty() || line.starts_with("  ")) {
        let indent = line.len() - line.trim_start().len();
        let content = line.trim();
        if indent == 2 && content.ends_with(':') && !content.starts_with('#') {
            found.push(Declared {
                id: content.trim_end_matches(':').to_owned(),
                kind: String::new(),
                lines: Vec::new(),
            });
        } else if let Some(last) = found.last_mut() {
            if let (4, Some(kind)) = (indent, content.strip_prefix("Type: ")) {
                kind.clone_into(&mut last.kind);
            }
            last.lines.push(content.to_owned());
        }
    }
    found
}

impl Declared {
    fn property(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// A name that is made of the prefix.
    fn name(&self, property: &str) -> String {
        let name = self.property(property).expect("it has a name");
        let name = name.trim_start_matches("!Sub ").trim_matches('"');
        name.replace("${NamePrefix}", "iyagi")
            .replace("!Ref BucketName", "iyagi")
    }
}

#[test]
fn the_template_and_provision_make_the_same_resources() {
    let template = text("deploy/cloudformation.yaml");
    assert!(template.len() <= TEMPLATE_BYTES_MAX, "{}", template.len());
    let declared = declared(&template);
    let called = |id: &str| {
        let declared = declared.iter().find(|one| one.id == id).expect("declared");
        let property = match declared.kind.as_str() {
            "AWS::SNS::Topic" => "TopicName",
            _ => "QueueName",
        };
        declared.name(property)
    };
    let made: BTreeSet<_> = declared
        .iter()
        .filter_map(|one| {
            let (kind, name) = match one.kind.as_str() {
                "AWS::SNS::Topic" => (Kind::Topic, one.name("TopicName")),
                "AWS::SQS::Queue" => (Kind::Queue, one.name("QueueName")),
                "AWS::DynamoDB::Table" => (Kind::Table, one.name("TableName")),
                "AWS::S3::Bucket" => (Kind::Bucket, one.name("BucketName")),
                "AWS::SNS::Subscription" => {
                    let topic = one.property("TopicArn").expect("a topic");
                    let queue = one.property("Endpoint").expect("a queue");
                    let topic = called(topic.trim_start_matches("!Ref "));
                    let queue = queue
                        .trim_start_matches("!GetAtt ")
                        .trim_end_matches(".Arn");
                    (Kind::Subscription, format!("{topic} to {}", called(queue)))
                }
                _ => return None,
            };
            Some(Resource { kind, name })
        })
        .collect();
    // Platform applications are not there by default, as in the template.
    let planned: BTreeSet<_> = resources(&Config::default()).into_iter().collect();
    assert_eq!(made, planned);
    for prefix in Config::default().aws.upload_prefixes {
        assert!(template.contains(&format!("Value: {prefix} ")), "{prefix}");
    }
}

fn check(folder: &Path, config: &str) {
    fs::write(folder.join("iyagi.toml"), config).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_iyagi"))
        .args(["check", "--offline"])
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

#[test]
fn the_configurations_for_aws_are_fit_for_use() {
    let folder = tempfile::tempdir().expect("a folder");
    check(folder.path(), &text("config/aws.toml"));
    let template = text("deploy/cloudformation.yaml");
    let lines = template.lines();
    let value = lines
        .skip_while(|line| *line != "      Value: !Sub")
        .skip(2)
        .take_while(|line| line.starts_with("          "));
    let value: Vec<_> = value.map(str::trim).collect();
    assert!(value.len() > 10, "{value:?}");
    let value = value
        .join("\n")
        .replace("${NeptuneEndpoint}", "https://graph.example:8182")
        .replace("${NamePrefix}", "iyagi")
        .replace("${AWS::Region}", "ap-northeast-2")
        .replace("${BucketName}", "files")
        .replace("${Key.Arn}", "arn")
        .replace("${UserPool}", "ap-northeast-2_AbCdEfGhI")
        .replace("${UserPoolClient}", "1example23456789abcdefghij")
        .replace("${SearchEngine}", "opensearch")
        .replace("${SearchEndpoint}", "https://search.example");
    assert!(!value.contains("${"), "{value}");
    check(folder.path(), &value);
}

#[test]
fn a_configuration_for_aws_can_be_written_to_begin_with() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&["init", "--aws"][..], &["check", "--offline"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .output()
            .expect("the binary starts");
        assert!(output.status.success(), "{output:?}");
    }
    let written = fs::read_to_string(folder.path().join("iyagi.toml")).expect("written");
    assert!(written.contains("enabled = true"), "{written}");
    assert!(
        written.contains("\ntemplates = \"templates.toml\""),
        "{written}"
    );
}

#[test]
fn every_file_of_the_package_is_there() {
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    let package = &manifest["package"]["metadata"]["deb"];
    let assets = package["assets"].as_array().expect("assets");
    assert!(assets.len() > 5);
    for asset in assets {
        let source = asset[0].as_str().expect("a path");
        match source.split_once('*') {
            // The build makes it.
            _ if source.starts_with("target/release/") => {
                assert_eq!(source, "target/release/iyagi");
            }
            Some((folder, end)) => {
                let files = fs::read_dir(path(folder)).expect("a folder");
                let mut files = files.map(|file| file.expect("readable").file_name());
                let found = files.any(|file| file.to_string_lossy().ends_with(end));
                assert!(found, "{source}");
            }
            None => assert!(path(source).is_file(), "{source}"),
        }
    }
    let scripts = package["maintainer-scripts"].as_str().expect("a folder");
    assert!(text(&format!("{scripts}/postinst")).contains("#DEBHELPER#"));
    let units = package["systemd-units"]["unit-scripts"]
        .as_str()
        .expect("a folder");
    let name = package["systemd-units"]["unit-name"]
        .as_str()
        .expect("a name");
    let unit = text(&format!("{units}/{name}.service"));
    assert!(unit.contains("ExecStart=/usr/bin/iyagi run\n"));
    // Both ways of installing put the daemon where the unit looks for it.
    let release = text("deploy/release.sh");
    assert!(release.contains("/usr/bin/iyagi") && release.contains("/iyagi.service"));
}

#[test]
fn the_hosts_wait_for_the_daemons_drain() {
    let seconds = |text: &str, key: &str| -> u64 {
        let mut lines = text.lines().map(str::trim);
        let value = lines.find_map(|line| line.strip_prefix(key));
        value
            .and_then(|value| value.trim().parse().ok())
            .expect(key)
    };
    let drain = seconds(&text("config/aws.toml"), "timeout_ms =") / 1_000;
    let unit = seconds(&text("deploy/systemd/iyagi.service"), "TimeoutStopSec=");
    let hook = seconds(&text("deploy/cloudformation.yaml"), "HeartbeatTimeout:");
    assert!(drain < unit && unit < hook, "{drain} {unit} {hook}");
}

#[test]
fn a_start_that_has_much_to_read_is_not_ended_for_it() {
    let unit = text("deploy/systemd/iyagi.service");
    assert!(unit.lines().any(|line| line == "TimeoutStartSec=infinity"));
}
