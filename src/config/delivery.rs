//! Links to files: how long they hold, and the distribution that they lead to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use super::semantics::Fault;

/// Longest that a link to a file may hold at least: whoever has it needs no sign-in, and it cannot be taken back.
const LINK_SECONDS_MAX: u32 = 86_400;
/// Longest that an upload may be begun after it was asked for.
const UPLOAD_SECONDS_MAX: u32 = 3_600;
/// Shortest of either: below it, clocks that differ a little make links that never held.
const SECONDS_MIN: u32 = 60;

/// Links to files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// Seconds for which a link to a file holds at least, 60 to 86400; it ends before twice as many.
    pub link_seconds: u32,
    /// Seconds within which an upload must be begun after it was asked for, 60 to 3600.
    pub upload_seconds: u32,
    /// `CloudFront` before the bucket; without it links lead to the bucket itself.
    pub cloudfront: Option<CloudFrontConfig>,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            link_seconds: 3_600,
            upload_seconds: 900,
            cloudfront: None,
        }
    }
}

/// A distribution of `CloudFront` whose origin is the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloudFrontConfig {
    /// Its domain, such as `d111111abcdef8.cloudfront.net` or one of your own.
    pub domain: String,
    /// The id of the public key in its key group, such as `K2JCJMDEHXQW5F`.
    pub key_pair_id: String,
    /// File of the private key, in PEM: RSA of 2048 bits, or ECDSA on P-256.
    pub private_key_file: PathBuf,
    /// Domain of cookies, such as `example.com`: one that the API and the distribution have in common. Without it they are
    /// for a distribution that stands before the API too.
    pub cookie_domain: Option<String>,
}

/// What is wrong with it.
pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let delivery = &config.delivery;
    for (key, value, most) in [
        (
            "delivery.link_seconds",
            delivery.link_seconds,
            LINK_SECONDS_MAX,
        ),
        (
            "delivery.upload_seconds",
            delivery.upload_seconds,
            UPLOAD_SECONDS_MAX,
        ),
    ] {
        if !(SECONDS_MIN..=most).contains(&value) {
            let message = format!("`{key}` must be {SECONDS_MIN} to {most}, not {value}");
            faults.push(Fault::new(key, message));
        }
    }
    let Some(cloudfront) = &delivery.cloudfront else {
        return;
    };
    if !config.aws.enabled {
        let message = "`delivery.cloudfront` needs `aws.enabled`: its origin is the bucket";
        let fault = Fault::new("delivery.cloudfront.domain", message);
        faults.push(fault.help("leave the table out on one machine"));
    }
    let domains = [
        ("delivery.cloudfront.domain", Some(&cloudfront.domain)),
        (
            "delivery.cloudfront.cookie_domain",
            cloudfront.cookie_domain.as_ref(),
        ),
    ];
    for (key, domain) in domains {
        if let Some(domain) = domain.filter(|domain| !is_domain(domain)) {
            let message = format!("`{key}` is \"{domain}\", which is no domain");
            let help = "it is such as \"d111111abcdef8.cloudfront.net\", without `https://`";
            faults.push(Fault::new(key, message).help(help));
        }
    }
    if cloudfront.private_key_file.as_os_str().is_empty() {
        let key = "delivery.cloudfront.private_key_file";
        let message = format!("`{key}` is missing: links are signed with it");
        faults.push(Fault::new(key, message));
    }
    let id = &cloudfront.key_pair_id;
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let key = "delivery.cloudfront.key_pair_id";
        let message = format!("`{key}` is \"{id}\", which is no id of a public key");
        let help = "it is such as \"K2JCJMDEHXQW5F\": that of the key, not of its group";
        faults.push(Fault::new(key, message).help(help));
    }
}

/// It becomes part of addresses and of cookies, so nothing else may stand in it.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.contains('.') && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_links_cannot_be_made_with_is_told_by_its_key() {
        let good = CloudFrontConfig {
            domain: "media.example.com".to_owned(),
            key_pair_id: "K2JCJMDEHXQW5F".to_owned(),
            private_key_file: "key.pem".into(),
            cookie_domain: Some("example.com".to_owned()),
        };
        let told = |change: &dyn Fn(&mut Config, &mut CloudFrontConfig)| {
            let mut config = Config::default();
            config.aws.enabled = true;
            let mut cloudfront = good.clone();
            change(&mut config, &mut cloudfront);
            config.delivery.cloudfront = Some(cloudfront);
            let mut faults = Vec::new();
            check(&config, &mut faults);
            let keys = faults.into_iter().map(|fault| fault.keys[0].clone());
            keys.collect::<Vec<_>>()
        };
        assert!(told(&|_, _| ()).is_empty());
        for domain in [
            "",
            "localhost",
            "https://a.example",
            "a.example/x",
            "a..b",
            "a.b;c",
        ] {
            let keys = told(&|_, cloudfront| domain.clone_into(&mut cloudfront.domain));
            assert_eq!(keys, ["delivery.cloudfront.domain"], "{domain}");
        }
        let keys = told(&|config, cloudfront| {
            config.aws.enabled = false;
            config.delivery.link_seconds = 59;
            config.delivery.upload_seconds = 3_601;
            cloudfront.key_pair_id.clear();
            cloudfront.private_key_file.clear();
            cloudfront.cookie_domain = Some("com".to_owned());
        });
        assert_eq!(
            keys,
            [
                "delivery.link_seconds",
                "delivery.upload_seconds",
                "delivery.cloudfront.domain",
                "delivery.cloudfront.cookie_domain",
                "delivery.cloudfront.private_key_file",
                "delivery.cloudfront.key_pair_id",
            ]
        );
    }
}
