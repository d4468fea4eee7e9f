//! One HTTP client for every service, with credentials, region and time limits.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, imds};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use thiserror::Error;

use super::whole_xml::WholeXml;
use crate::config::AwsConfig;

/// A client of each service, all on one pool of connections.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The graph; present if its address is configured.
    pub neptune: Option<aws_sdk_neptunedata::Client>,
    /// Topics, platform applications and pushes.
    pub sns: aws_sdk_sns::Client,
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Objects.
    pub s3: aws_sdk_s3::Client,
    /// Tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Jobs that write down what is said.
    pub transcribe: aws_sdk_transcribe::Client,
    /// The group of hosts that this one belongs to.
    pub autoscaling: aws_sdk_autoscaling::Client,
    /// Who all of them ask for credentials, for requests that no client makes.
    pub credentials: Option<SharedCredentialsProvider>,
    /// The region of all of them.
    pub region: Region,
}

/// Why there are no clients.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum ClientsError {
    /// Nobody says where.
    #[error("no AWS region is known: set aws.region, AWS_REGION or the profile's region")]
    NoRegion,
}

/// Behaviour that the SDK promises not to change; a newer one is a decision, not an accident.
fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the instance's own metadata service may take: it answers at once, or there is none.
const INSTANCE_METADATA_TIMEOUT: Duration = Duration::from_millis(500);
/// Tries of a call that is safe to repeat.
const ATTEMPTS_MAX: u32 = 3;
/// How long the graph may take for one page, as AWS's own poller allows.
const GRAPH_TIMEOUT: Duration = Duration::from_secs(65);

impl Clients {
    /// Clients as configured. Nothing is called yet but what tells the region.
    pub async fn new(config: &AwsConfig) -> Result<Self, ClientsError> {
        Self::of(&sdk_config(config).await?, config)
    }

    /// Clients on a configuration of the SDK that says where and as whom. Behaviour and limits are always the daemon's.
    pub fn of(sdk: &SdkConfig, config: &AwsConfig) -> Result<Self, ClientsError> {
        let sdk = &limited(sdk, config);
        let region = sdk.region().cloned().ok_or(ClientsError::NoRegion)?;
        let neptune = config.neptune_endpoint.as_ref().map(|endpoint| {
            let graph = aws_sdk_neptunedata::config::Builder::from(sdk)
                .endpoint_url(endpoint)
                .timeout_config(timeouts(GRAPH_TIMEOUT))
                .build();
            aws_sdk_neptunedata::Client::from_conf(graph)
        });
        // Virtual-hosted buckets need a name server; at an address of one's own there is none.
        let path_style = sdk.endpoint_url().is_some() || s3_has_its_own_address();
        let s3 = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(path_style)
            .interceptor(WholeXml);
        let sns = aws_sdk_sns::config::Builder::from(sdk).interceptor(WholeXml);
        let autoscaling = aws_sdk_autoscaling::config::Builder::from(sdk).interceptor(WholeXml);
        Ok(Self {
            neptune,
            sns: aws_sdk_sns::Client::from_conf(sns.build()),
            sqs: aws_sdk_sqs::Client::new(sdk),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: aws_sdk_dynamodb::Client::new(sdk),
            transcribe: aws_sdk_transcribe::Client::new(sdk),
            autoscaling: aws_sdk_autoscaling::Client::from_conf(autoscaling.build()),
            credentials: sdk.credentials_provider(),
            region,
        })
    }
}

/// The instance's own metadata service, at the address that the surroundings say; one try, and a short one.
pub fn instance_metadata() -> imds::client::Builder {
    imds::Client::builder()
        .connect_timeout(INSTANCE_METADATA_TIMEOUT)
        .read_timeout(INSTANCE_METADATA_TIMEOUT)
        .max_attempts(1)
}

async fn sdk_config(config: &AwsConfig) -> Result<SdkConfig, ClientsError> {
    let region = match &config.region {
        Some(region) => Some(Region::new(region.clone())),
        None => region_of_surroundings(instance_metadata().build()).await,
    };
    let region = region.ok_or(ClientsError::NoRegion)?;
    let credentials = DefaultCredentialsChain::builder()
        .region(region.clone())
        .imds_client(instance_metadata().build())
        .build()
        .await;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::AwsLc,
        ))
        .build_https();
    let loader = aws_config::defaults(behaviour())
        .region(region)
        .credentials_provider(credentials)
        .http_client(http);
    let loader = match &config.endpoint_url {
        Some(url) => loader.endpoint_url(url),
        None => loader,
    };
    Ok(loader.load().await)
}

fn limited(sdk: &SdkConfig, config: &AwsConfig) -> SdkConfig {
    let builder = sdk.to_builder().behavior_version(behaviour());
    builder
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts(Duration::from_millis(config.call_timeout_ms)))
        .build()
}

/// Environment, profile, instance, in this order: the instance is asked last and shortly, because where there is none
/// nobody answers.
async fn region_of_surroundings(instance: imds::Client) -> Option<Region> {
    let environment = std::env::var("AWS_REGION").or_else(|_| std::env::var("AWS_DEFAULT_REGION"));
    if let Ok(region) = environment {
        return Some(Region::new(region));
    }
    let profile = ProfileFileRegionProvider::builder().build();
    if let Some(region) = profile.region().await {
        return Some(region);
    }
    let instance = ImdsRegionProvider::builder().imds_client(instance).build();
    instance.region().await
}

/// Limits of one call: each attempt may take `attempt`, and all of them together twice that.
fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * 2)
        .build()
}

fn s3_has_its_own_address() -> bool {
    std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}
