//! The services of AWS, if the ports stand on them.

use std::path::PathBuf;

use iyagi_messages::media::DERIVED_PREFIX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;
use super::upload_prefixes;

/// The services of AWS.
///
/// Credentials come from the standard chain: environment, profile, web identity, container, instance role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AwsConfig {
    /// Whether every port stands on AWS instead of on this machine.
    pub enabled: bool,
    /// Region, such as `ap-northeast-2`; that of the environment or profile if absent.
    pub region: Option<String>,
    /// Address of every service instead of its own, for tests and private networks. `AWS_ENDPOINT_URL` and
    /// `AWS_ENDPOINT_URL_<SERVICE>` do the same.
    pub endpoint_url: Option<String>,
    /// Begins the name of every queue, topic and table.
    pub name_prefix: String,
    /// Address of the Neptune cluster, such as `https://graph.cluster-abc.ap-northeast-2.neptune.amazonaws.com:8182`.
    pub neptune_endpoint: Option<String>,
    /// Key of one's own, by its ARN, that encrypts the bucket and the topics; those of the services if absent. Its policy
    /// must let `s3.amazonaws.com` and `sns.amazonaws.com` use it.
    pub kms_key_arn: Option<String>,
    /// Key prefixes whose files raise notifications. Derived files must lie outside.
    pub upload_prefixes: Vec<String>,
    /// How long one call may take, in milliseconds; a long poll adds its wait.
    pub call_timeout_ms: u64,
    /// Pushes that may be published a second, over all hosts: 80 % of the account's quota in the region.
    pub publish_per_second: u32,
    /// Calls about endpoints a second, over all hosts: their quota is a tenth of that of publishing.
    pub endpoint_calls_per_second: u32,
    /// Hook of the Auto Scaling group that holds a host until it is drained, such as `iyagi-drain`; the daemon tells the
    /// group when it is. The hook runs out by itself if absent.
    pub lifecycle_hook: Option<String>,
    /// Firebase Cloud Messaging by SNS; no pushes to Android phones if absent.
    pub fcm: Option<FcmConfig>,
    /// Apple Push Notification service by SNS; no pushes to iPhones if absent.
    pub apns: Option<ApnsConfig>,
}

impl Default for AwsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            region: None,
            endpoint_url: None,
            name_prefix: "iyagi".to_owned(),
            neptune_endpoint: None,
            kms_key_arn: None,
            upload_prefixes: upload_prefixes(),
            call_timeout_ms: 10_000,
            publish_per_second: 1_200,
            endpoint_calls_per_second: 120,
            lifecycle_hook: None,
            fcm: None,
            apns: None,
        }
    }
}

/// The platform application of Firebase Cloud Messaging.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FcmConfig {
    /// Its ARN; found by name (`<name_prefix>-fcm`) if absent.
    pub application_arn: Option<String>,
    /// File of the service account's JSON key, for `iyagi provision`.
    pub credential_file: Option<PathBuf>,
}

/// The platform application of the Apple Push Notification service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApnsConfig {
    /// Its ARN; found by name (`<name_prefix>-apns`) if absent.
    pub application_arn: Option<String>,
    /// Apple's sandbox instead of production.
    pub sandbox: bool,
    /// File of the signing key (`.p8`), for `iyagi provision`.
    pub credential_file: Option<PathBuf>,
    /// The signing key's id, for `iyagi provision`.
    pub key_id: Option<String>,
    /// The Apple team's id, for `iyagi provision`.
    pub team_id: Option<String>,
    /// The app's bundle id, which is the topic of its pushes.
    pub bundle_id: Option<String>,
}

/// Longest prefix that leaves room for the longest name within what SQS takes.
const NAME_PREFIX_MAX: usize = 60;

/// Longest name of a hook that Auto Scaling takes.
const LIFECYCLE_HOOK_MAX: usize = 255;

/// What is wrong with the values themselves.
pub(super) fn check(aws: &AwsConfig, faults: &mut Vec<Fault>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let prefix = aws.name_prefix.as_str();
    if prefix.is_empty() || prefix.len() > NAME_PREFIX_MAX || !prefix.bytes().all(plain) {
        let message = format!(
            "\"{prefix}\" cannot begin the name of a queue, a topic or a table: 1 to {NAME_PREFIX_MAX} letters, digits, `-` \
             and `_` can"
        );
        faults.push(Fault::new("aws.name_prefix", message));
    }
    if let Some(hook) = &aws.lifecycle_hook {
        let named = |byte: u8| plain(byte) || byte == b'/';
        if hook.is_empty() || hook.len() > LIFECYCLE_HOOK_MAX || !hook.bytes().all(named) {
            let message = format!(
                "\"{hook}\" cannot be the name of a lifecycle hook: 1 to {LIFECYCLE_HOOK_MAX} letters, digits, `-`, `_` and \
                 `/` can"
            );
            faults.push(Fault::new("aws.lifecycle_hook", message));
        }
    }
    for (key, value) in [
        ("aws.call_timeout_ms", aws.call_timeout_ms),
        ("aws.publish_per_second", aws.publish_per_second.into()),
        (
            "aws.endpoint_calls_per_second",
            aws.endpoint_calls_per_second.into(),
        ),
    ] {
        if value == 0 {
            faults.push(Fault::new(
                key,
                format!("`{key}` must be at least 1, not 0"),
            ));
        }
    }
    let addresses = [
        ("aws.endpoint_url", &aws.endpoint_url),
        ("aws.neptune_endpoint", &aws.neptune_endpoint),
    ];
    for (key, address) in addresses {
        let Some(address) = address else { continue };
        if !address.starts_with("https://") && !address.starts_with("http://") {
            let message = format!("`{key}` is \"{address}\", which is no address");
            let help = format!("did you mean \"https://{address}\"?");
            faults.push(Fault::new(key, message).help(help));
        }
    }
    for (at, prefix) in aws.upload_prefixes.iter().enumerate() {
        if DERIVED_PREFIX.starts_with(prefix.as_str()) || prefix.starts_with(DERIVED_PREFIX) {
            let message = format!(
                "files under \"{prefix}\" would raise notifications, and iyagi's own derived files under \
                 \"{DERIVED_PREFIX}\" are among them: each would call for the next"
            );
            let key = format!("aws.upload_prefixes[{at}]");
            faults.push(Fault::new(key, message).help("name prefixes that only uploads have"));
        }
    }
    if aws.enabled && aws.neptune_endpoint.is_none() {
        let message = "`aws.neptune_endpoint` is missing: the graph's change log is read there";
        faults.push(Fault::new("aws.neptune_endpoint", message).or("aws.enabled"));
    }
}
