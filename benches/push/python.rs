//! What a user would write today: Python's SDK in a pool of threads, as in a Lambda.

use std::process::Command;

use super::stub::ENDPOINT;
use super::{PUSHES_PYTHON, in_flight};

const PROGRAM: &str = r#"
import sys, time
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.config import Config

url, target, message, total, threads = sys.argv[1:6]
total, threads = int(total), int(threads)
config = Config(retries={"max_attempts": 0}, max_pool_connections=threads)
sns = boto3.client("sns", endpoint_url=url, region_name="test-region-1", aws_access_key_id="test",
                   aws_secret_access_key="test", config=config)
attributes = {"AWS.SNS.MOBILE.FCM.TTL": {"DataType": "String", "StringValue": "3600"}}

def publish(_):
    answer = sns.publish(TargetArn=target, Message=message, MessageStructure="json", MessageAttributes=attributes)
    assert answer["MessageId"]

with ThreadPoolExecutor(threads) as pool:
    list(pool.map(publish, range(threads * 4)))
    began = time.perf_counter()
    list(pool.map(publish, range(total)))
    print(total / (time.perf_counter() - began))
"#;

/// Pushes a second.
pub(crate) fn publish(python: &str, url: &str) -> f64 {
    let message = super::sending::message();
    let (pushes, threads) = (PUSHES_PYTHON.to_string(), in_flight().to_string());
    let output = Command::new(python)
        .args(["-c", PROGRAM, url, ENDPOINT, &message, &pushes, &threads])
        .output()
        .expect("BENCH_PYTHON is a Python");
    let told = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    let figure = told.trim().parse();
    figure.unwrap_or_else(|_| panic!("{told}{problem}"))
}
