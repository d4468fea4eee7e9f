//! The real binary creates, repairs, checks and takes away an installation.
//!
//! - `life`: from nothing to all of it, and back
//! - `cut_off`: whatever goes wrong on the way
//! - `running`: the daemon on it
//! - `own_output`: the daemon where it would be told of its own files
//! - `template`: the same by CloudFormation
//! - `surroundings`: permissions, credentials, region, and the graph

mod cut_off;
mod life;
mod own_output;
mod running;
mod surroundings;
mod template;

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

use super::canned;
use super::servers::{Server, unique};

const FCM_KEY: &str =
    r#"{ "type": "service_account", "project_id": "test", "private_key": "none" }"#;
const APNS_KEY: &str = "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n";

/// A push service of which there is an application.
#[derive(Clone, Copy)]
enum Phones {
    Fcm,
    Apns,
}

/// An installation of its own on a server.
struct Installation {
    prefix: String,
    bucket: String,
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What a call of the binary came to.
struct Told {
    status: i32,
    out: String,
    err: String,
}

impl Installation {
    fn on(server: &Server, phones: Phones) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let prefix = unique("provision");
        let bucket = format!("{prefix}-files");
        let graph = canned::serve(|head| {
            if head.starts_with("GET /propertygraph/stream") {
                let body = r#"{"code":"StreamRecordsNotFoundException","detailedMessage":"at the tip","requestId":"1"}"#;
                (404, "StreamRecordsNotFoundException", body)
            } else {
                (200, "", r#"{"results":[]}"#)
            }
        });
        let mut environment = server.environment();
        let key = folder.path().join("key");
        let settings = match phones {
            Phones::Fcm => {
                std::fs::write(&key, FCM_KEY).expect("written");
                vec![("IYAGI_AWS_FCM_CREDENTIAL_FILE", key.display().to_string())]
            }
            Phones::Apns => {
                std::fs::write(&key, APNS_KEY).expect("written");
                vec![
                    ("IYAGI_AWS_APNS_CREDENTIAL_FILE", key.display().to_string()),
                    ("IYAGI_AWS_APNS_KEY_ID", "ABC123DEFG".to_owned()),
                    ("IYAGI_AWS_APNS_TEAM_ID", "DEF123GHIJ".to_owned()),
                    ("IYAGI_AWS_APNS_BUNDLE_ID", "app.iyagi".to_owned()),
                ]
            }
        };
        let usual = [
            ("IYAGI_AWS_ENABLED", "true".to_owned()),
            ("IYAGI_AWS_NAME_PREFIX", prefix.clone()),
            ("IYAGI_AWS_NEPTUNE_ENDPOINT", graph),
            ("IYAGI_MEDIA_BUCKET", bucket.clone()),
            ("IYAGI_HTTP_PUBLIC", "127.0.0.1:0".to_owned()),
            ("IYAGI_HTTP_OPERATIONS", "127.0.0.1:0".to_owned()),
        ];
        for (name, value) in usual.into_iter().chain(settings) {
            environment.push((name.to_owned(), value));
        }
        Self {
            prefix,
            bucket,
            folder,
            environment,
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(one, _)| one != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn iyagi(&self, arguments: &[&str]) -> Told {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_iyagi"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("the binary starts");
        Told {
            status: status.code().expect("it ends by itself"),
            out: String::from_utf8(stdout).expect("UTF-8"),
            err: String::from_utf8(stderr).expect("UTF-8"),
        }
    }

    fn done(&self, arguments: &[&str]) -> Told {
        let told = self.iyagi(arguments);
        assert_eq!(told.status, 0, "{arguments:?}: {}{}", told.out, told.err);
        told
    }

    /// What is to be done, by resource; what is to be kept is left out.
    fn plan(&self, arguments: &[&str]) -> (BTreeMap<String, Value>, Value) {
        let mut all = vec!["provision", "--dry-run", "--output", "json"];
        all.extend(arguments);
        let plan: Value = serde_json::from_str(&self.iyagi(&all).out).expect("JSON");
        let steps = plan["steps"].as_array().expect("steps").iter();
        let steps = steps.filter(|step| step["action"] != "keep");
        let steps = steps.map(|step| {
            let resource = &step["resource"];
            let word = |field: &str| resource[field].as_str().expect("a word").to_owned();
            let name = word("name").replace(&format!("{}-", self.prefix), "");
            (format!("{} {name}", word("kind")), step.clone())
        });
        (steps.collect(), plan["untouched"].clone())
    }
}
