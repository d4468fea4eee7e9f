//! The SDK's client as the daemon makes it, with credentials for tests.

use std::time::Duration;

use aws_sdk_neptunedata::Client;
use aws_sdk_neptunedata::config::retry::RetryConfig;
use aws_sdk_neptunedata::config::timeout::TimeoutConfig;
use aws_sdk_neptunedata::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
};
use iyagi::aws::clients::Clients;
use iyagi::aws::neptune::{NeptuneGraph, NeptuneStream};
use iyagi::config::AwsConfig;

/// A client on the server at `url`, whose retries do not wait.
pub(crate) fn client(url: &str) -> Client {
    let credentials = Credentials::new("AKIDTEST", "not-a-secret", None, None, "tests");
    let sdk = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("ap-northeast-2"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let config = AwsConfig {
        neptune_endpoint: Some(url.to_owned()),
        ..AwsConfig::default()
    };
    let clients = Clients::of(&sdk, &config).expect("a region is set");
    let client = clients.neptune.expect("an endpoint is set");
    let retries = RetryConfig::standard()
        .with_initial_backoff(Duration::from_millis(1))
        .with_max_backoff(Duration::from_millis(2));
    let config = client.config().to_builder().retry_config(retries);
    Client::from_conf(config.build())
}

/// The change log at `url`.
pub(crate) fn stream(url: &str) -> NeptuneStream {
    NeptuneStream::new(client(url))
}

/// The same, by a client that gives up on an answer after `attempt`.
pub(crate) fn impatient_stream(url: &str, attempt: Duration) -> NeptuneStream {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(attempt)
        .build();
    let config = client(url).config().to_builder().timeout_config(timeouts);
    NeptuneStream::new(Client::from_conf(config.build()))
}

/// The graph at `url`.
pub(crate) fn graph(url: &str) -> NeptuneGraph {
    NeptuneGraph::new(client(url))
}
