//! What hands a push to a phone's push service. It never retries by itself.

use std::time::Duration;

use async_trait::async_trait;
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{DeviceToken, PushId, Seq};
use iyagi_messages::push::FailureClass;
use iyagi_messages::template::Presentation;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// Sends pushes.
#[async_trait]
pub trait PushGateway: Send + Sync + 'static {
    /// Makes one attempt; yields the gateway's own id.
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault>;

    /// Waits until the quotas let one more push to phones of a platform go; false if that is not within a moment, and the
    /// turn is to be asked for again. `pace` is the part of the full rate at which pushes are sent, from 0 to 1.
    async fn turn(&self, _: Platform, _pace: f64) -> bool {
        true
    }

    /// Notes how many hosts send pushes, this one included: they share the quotas.
    fn set_share(&self, _hosts: u32) {}

    /// Where the quotas stand that it keeps to, by name; none where nothing limits it.
    fn quota_levels(&self) -> Vec<(&'static str, QuotaLevel)> {
        Vec::new()
    }

    /// How the services are that it speaks to, by their latest answers and by name; none where nothing is known of them.
    fn services(&self) -> Vec<(&'static str, ServiceCondition)> {
        Vec::new()
    }
}

/// How a service is, as health shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCondition {
    /// Whether it can be used.
    pub ready: bool,
    /// Why not, or how well.
    pub detail: String,
}

/// A quota's state, as metrics show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaLevel {
    /// Calls a second that are this host's share of what is configured.
    pub limit: f64,
    /// Calls a second that the service bears at present.
    pub rate: f64,
    /// Calls that could be made now; below zero while callers wait.
    pub tokens: f64,
    /// Answers that told of throttling.
    pub throttled: u64,
}

/// One push as the phone gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PushPayload)]
pub struct Payload {
    /// The push.
    pub push_id: PushId,
    /// What replaces what on the phone, as Android's `tag` and APNs's `apns-collapse-id`: a repeat replaces itself, and
    /// what tells of a burst replaces what opened it.
    pub collapse_id: PushId,
    /// The phone.
    pub device: DeviceToken,
    /// Its push service.
    pub platform: Platform,
    /// Number of the phone's registration: with another one the token is to be trusted anew.
    #[serde(default)]
    pub registration: Seq,
    /// First line; empty if the phone has it itself.
    pub title: String,
    /// Second line; empty if the phone has it itself.
    pub body: String,
    /// What the app finds its own texts by, in the place of title and body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_texts: Option<TextKeys>,
    /// Where a tap leads.
    pub link: String,
    /// Groups notifications on the phone.
    pub category: String,
    /// What the recipient has not read, this push included; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<u32>,
    /// How the phone presents it.
    #[serde(default, skip_serializing_if = "Presentation::is_default")]
    pub presentation: Presentation,
    /// How long the push service may hold it.
    pub ttl_seconds: u32,
}

/// What an app finds its own texts by, and fills them with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TextKeys {
    /// Key of the first line.
    pub title_key: String,
    /// What it is filled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub title_args: Vec<String>,
    /// Key of the second line.
    pub body_key: String,
    /// What it is filled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body_args: Vec<String>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the push gateway answered {code} ({class}): {detail}")]
pub struct GatewayFault {
    /// Which rule applies.
    pub class: FailureClass,
    /// The gateway's own word.
    pub code: String,
    /// The gateway's own sentence.
    pub detail: String,
    /// How long the gateway asks to wait.
    pub retry_after: Option<Duration>,
}
