//! Requests are signed as AWS's own library for Python signs the same.

use std::process::Command;
use std::sync::{Arc, Mutex};

use aws_config::Region;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use iyagi::aws::opensearch::{OpenSearch, Signer};
use iyagi::config::{OpenSearchConfig, OpenSearchService};
use iyagi_actors::ports::contract;
use iyagi_actors::ports::{Clock, SearchIndex};
use iyagi_messages::ids::Timestamp;
use serde_json::json;

use super::TIMEOUT;
use crate::servers::python_with_boto3;
use crate::stub::{Answer, response, serve};

/// 2026-01-01T00:00:00Z
struct NewYear;

impl Clock for NewYear {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000)
    }
}

const WITNESS: &str = r#"
import datetime, json, sys
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

asked = json.load(sys.stdin)
botocore.auth.get_current_datetime = lambda *_, **__: datetime.datetime(2026, 1, 1)
request = AWSRequest(method=asked["method"], url=asked["url"], data=asked["body"], headers=asked["headers"])
botocore.auth.SigV4Auth(Credentials("key", "secret", "token"), asked["service"], "ap-northeast-2").add_auth(request)
print(request.headers["Authorization"])
"#;

fn witness(asked: &serde_json::Value) -> String {
    let mut input = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut input, asked.to_string().as_bytes()).expect("written");
    std::io::Seek::rewind(&mut input).expect("rewinds");
    let output = Command::new(python_with_boto3())
        .args(["-I", "-c", WITNESS])
        .stdin(input)
        .output()
        .expect("Python runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn a_request_is_signed_as_awss_own_library_signs_it() {
    for (service, name) in [
        (OpenSearchService::Es, "es"),
        (OpenSearchService::Aoss, "aoss"),
    ] {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let url = serve(move |request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let asked = (
                request.method.clone(),
                request.path.clone(),
                request.headers.clone(),
                body,
            );
            seen.lock().expect("sound").push(asked);
            Answer::Whole(response(200, &[], b"{}"))
        });
        let credentials =
            Credentials::new("key", "secret", Some("token".to_owned()), None, "tests");
        let signer = Signer::new(
            SharedCredentialsProvider::new(credentials),
            Region::new("ap-northeast-2"),
            service,
            Arc::new(NewYear),
        );
        let config = OpenSearchConfig {
            service,
            ..OpenSearchConfig::default()
        };
        let (projection, clock) = (contract::search_index::projection(), Arc::new(NewYear));
        let index = OpenSearch::new(&url, &config, projection, Some(signer), TIMEOUT, clock);
        let index = index.expect("an address");
        let (beside, _) = index.beside().await.expect("makes it");
        // The stub counts nothing; what was asked is what matters.
        beside.documents().await.ok();
        beside
            .commit(iyagi_messages::cursor::Cursor::new(1, 2))
            .await
            .expect("commits");
        let requests = requests.lock().expect("sound").clone();
        assert!(requests.len() >= 4);
        for (method, path, headers, body) in requests {
            let signed = [
                "content-type",
                "host",
                "x-amz-content-sha256",
                "x-amz-date",
                "x-amz-security-token",
            ];
            let authorization = &headers["authorization"];
            assert!(authorization.contains(&signed.join(";")), "{authorization}");
            let own = |name: &str| (name.to_owned(), headers[name].clone().into());
            let given: serde_json::Map<_, _> = ["content-type", "x-amz-content-sha256"]
                .map(own)
                .into_iter()
                .collect();
            let asked = json!({
                "method": method, "url": format!("{url}{path}"), "body": body, "headers": given, "service": name,
            });
            assert_eq!(witness(&asked), *authorization, "{method} {path}");
        }
    }
}
