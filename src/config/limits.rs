//! How often the public API may be asked.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;

/// How often the public API may be asked: how many requests may come at once, and how many a minute, on and on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests of one person at once.
    pub person_burst: u32,
    /// Requests of one person a minute.
    pub person_per_minute: u32,
    /// Requests from one address at once: that of a mobile network may have thousands of people behind it.
    pub address_burst: u32,
    /// Requests from one address a minute.
    pub address_per_minute: u32,
    /// Requests from one address at once whose token is refused.
    pub refused_burst: u32,
    /// Requests from one address a minute whose token is refused.
    pub refused_per_minute: u32,
    /// Networks of proxies, such as `10.0.0.0/16`, that say in `X-Forwarded-For` where a request came from; of both listeners.
    pub trusted_proxies: Vec<String>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            person_burst: 1_000,
            person_per_minute: 3_000,
            address_burst: 10_000,
            address_per_minute: 60_000,
            refused_burst: 300,
            refused_per_minute: 300,
            trusted_proxies: Vec::new(),
        }
    }
}

impl LimitsConfig {
    /// The proxies that are believed; what is no network was refused when the configuration was checked.
    pub fn proxies(&self) -> Vec<IpNet> {
        self.trusted_proxies
            .iter()
            .filter_map(|text| network(text))
            .collect()
    }
}

/// A network, or a single address.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().ok().or_else(|| address().ok())
}

/// What is wrong with it.
pub(super) fn check(limits: &LimitsConfig, faults: &mut Vec<Fault>) {
    for (key, value) in [
        ("person_burst", limits.person_burst),
        ("person_per_minute", limits.person_per_minute),
        ("address_burst", limits.address_burst),
        ("address_per_minute", limits.address_per_minute),
        ("refused_burst", limits.refused_burst),
        ("refused_per_minute", limits.refused_per_minute),
    ] {
        if value == 0 {
            let key = format!("http.limits.{key}");
            let message = format!("`{key}` is 0, so nothing would ever be answered");
            faults.push(Fault::new(key, message).help("take 1 or more"));
        }
    }
    for (at, text) in limits.trusted_proxies.iter().enumerate() {
        if network(text).is_none() {
            let key = format!("http.limits.trusted_proxies[{at}]");
            let message = format!("\"{text}\" is no network");
            let help = "it is such as \"10.0.0.0/16\", or a single address";
            faults.push(Fault::new(key, message).help(help));
        }
    }
}
