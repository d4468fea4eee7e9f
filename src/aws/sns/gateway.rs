//! `PushGateway` on SNS: one publish for one push.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::StalledStreamProtectionConfig;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::types::MessageAttributeValue;
use iyagi_actors::ports::{GatewayFault, Payload, PushGateway, QuotaLevel};
use iyagi_messages::device::Platform;
use iyagi_messages::push::FailureClass;

use super::applications::Applications;
use super::classify::{Call, fault};
use super::endpoints::Endpoints;
use super::envelope::{Envelope, envelope};
use super::registry::EndpointRegistry;
use crate::config::AwsConfig;
use crate::quota::Quota;

/// How the gateway works.
#[derive(Debug, Clone, Copy)]
pub struct SnsSettings {
    /// Pushes a second, over all hosts.
    pub publish_per_second: u32,
    /// Calls about endpoints a second, over all hosts.
    pub endpoint_calls_per_second: u32,
    /// When whoever sends gives up waiting for the gateway and takes the outcome for unknown.
    pub timeout: Duration,
}

impl SnsSettings {
    /// As configured, for whoever waits this long for an answer.
    pub fn of(config: &AwsConfig, timeout: Duration) -> Self {
        Self {
            publish_per_second: config.publish_per_second,
            endpoint_calls_per_second: config.endpoint_calls_per_second,
            timeout,
        }
    }
}

/// Both quotas' state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaLevels {
    /// Of publishes.
    pub publishes: QuotaLevel,
    /// Of calls about endpoints.
    pub endpoint_calls: QuotaLevel,
}

/// Publishes pushes to phones' endpoints.
pub struct SnsGateway {
    sns: Client,
    applications: Applications,
    endpoints: Endpoints,
    publishes: Quota,
    preparation_max: Duration,
}

/// Part of the time given to a push after which it is not begun any more: what has not left yet has a known outcome,
/// and the publish itself needs the rest.
const PREPARATION_PART: u32 = 2;

impl SnsGateway {
    /// A gateway that speaks by `sns`. Whatever retries that client is set to are taken from it: an attempt that is
    /// not in the journal must not be, and a call that the quota does not know of neither.
    pub fn new(
        sns: &Client,
        applications: Applications,
        registry: Arc<dyn EndpointRegistry>,
        settings: SnsSettings,
    ) -> Self {
        let once = sns
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            // It watches over long transfers; a push is a few kilobytes under a time limit, and there are thousands a second.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let sns = Client::from_conf(once.build());
        let endpoint_calls = Quota::new(settings.endpoint_calls_per_second);
        Self {
            endpoints: Endpoints::new(sns.clone(), endpoint_calls, registry),
            publishes: Quota::new(settings.publish_per_second),
            preparation_max: settings.timeout / PREPARATION_PART,
            applications,
            sns,
        }
    }

    /// Both quotas' state.
    pub fn quotas(&self) -> QuotaLevels {
        QuotaLevels {
            publishes: self.publishes.level(),
            endpoint_calls: self.endpoints.quota().level(),
        }
    }

    /// Everything before the publish; whatever fails here has not been sent.
    async fn prepare(&self, payload: &Payload) -> Result<(String, Envelope), GatewayFault> {
        let Some(application) = self.applications.of(payload.platform) else {
            return Err(refusal(
                FailureClass::ConfigurationBroken,
                "ApplicationNotConfigured",
                format!(
                    "no platform application is configured for {:?} phones: set `[aws.fcm]` or `[aws.apns]`",
                    payload.platform
                ),
            ));
        };
        let envelope = envelope(payload, application)
            .map_err(|error| refusal(FailureClass::Poison, "PayloadTooLarge", error.to_string()))?;
        if envelope.cut {
            tracing::info!(push = %payload.push_id, category = payload.category, "a text is longer than the platform takes and was cut");
        }
        let endpoint = self.endpoints.resolve(&application.arn, payload).await?;
        Ok((endpoint, envelope))
    }

    async fn publish(&self, endpoint: String, envelope: Envelope) -> Result<String, GatewayFault> {
        let mut call = self
            .sns
            .publish()
            .target_arn(endpoint)
            .message_structure("json")
            .message(envelope.message);
        for (name, value) in envelope.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .expect("a type and a value is all that is asked for");
            call = call.message_attributes(name, value);
        }
        match call.send().await {
            Ok(output) => output.message_id.ok_or_else(|| {
                let detail = "the answer is a success without a message id".to_owned();
                refusal(FailureClass::Unknown, "NoMessageId", detail)
            }),
            Err(error) => Err(fault(Call::Publish, &error)),
        }
    }
}

#[async_trait]
impl PushGateway for SnsGateway {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        let prepared = tokio::time::timeout(self.preparation_max, self.prepare(payload));
        let (endpoint, envelope) = prepared.await.unwrap_or_else(|_| {
            let detail = format!("its endpoint is not known after {:?}", self.preparation_max);
            Err(refusal(FailureClass::Transient, "EndpointTimeout", detail))
        })?;
        let answer = self.publish(endpoint, envelope).await;
        if let Err(fault) = &answer {
            match fault.class {
                FailureClass::Throttled => self.publishes.throttled(),
                FailureClass::EndpointDead => self.endpoints.forget(payload).await,
                _ => {}
            }
        }
        answer
    }

    async fn turn(&self, _: Platform, pace: f64) -> bool {
        self.publishes.turn(pace).await
    }

    fn set_share(&self, hosts: u32) {
        self.publishes.set_share(hosts);
        self.endpoints.quota().set_share(hosts);
    }

    fn quota_levels(&self) -> Vec<(&'static str, QuotaLevel)> {
        let QuotaLevels {
            publishes,
            endpoint_calls,
        } = self.quotas();
        vec![("publish", publishes), ("endpoint_calls", endpoint_calls)]
    }
}

fn refusal(class: FailureClass, code: &str, detail: String) -> GatewayFault {
    GatewayFault {
        class,
        code: code.to_owned(),
        detail,
        retry_after: None,
    }
}
