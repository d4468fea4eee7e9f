//! From a phone's token to the endpoint that pushes are published to.
//!
//! On the first push after a registration the endpoint is made sure: created if it is not there, and told the token and
//! that it is enabled if it was disabled or has another. Later pushes cost a look-up in memory. An endpoint is never
//! enabled without a new registration, because the platform would only have it disabled again; and it carries no user
//! data, so that a phone which changes hands keeps its endpoint.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::operation::get_endpoint_attributes::GetEndpointAttributesError;
use iyagi_actors::ports::{GatewayFault, Payload};
use iyagi_messages::ids::DeviceToken;
use iyagi_messages::push::FailureClass;

use super::classify::{Call, fault};
use super::recent::Recent;
use super::registry::{Endpoint, EndpointKey, EndpointRegistry};
use crate::aws::dynamodb::fault::TableFault;
use crate::quota::{Exhausted, Quota};

/// Endpoints that are kept in memory: some forty megabytes at most.
const ENDPOINTS_MAX: usize = 100_000;
/// How long a call about an endpoint waits for its turn. A push that would wait longer comes again later instead.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Finds and makes endpoints.
pub(super) struct Endpoints {
    sns: Client,
    quota: Quota,
    registry: Arc<dyn EndpointRegistry>,
    known: Mutex<Recent<EndpointKey, Endpoint>>,
}

/// How the service knows an endpoint.
enum Condition {
    /// It has this token and takes pushes.
    Sound,
    /// It is disabled, or has another token.
    Stale,
    /// It was deleted.
    Gone,
}

impl Endpoints {
    /// No endpoint is known yet. `sns` must not repeat calls by itself: the quota would not know of them.
    pub(super) fn new(sns: Client, quota: Quota, registry: Arc<dyn EndpointRegistry>) -> Self {
        Self {
            sns,
            quota,
            registry,
            known: Mutex::new(Recent::new(ENDPOINTS_MAX)),
        }
    }

    /// The quota of calls about endpoints.
    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The ARN of a phone's endpoint, made sure once per registration.
    pub(super) async fn resolve(
        &self,
        application: &str,
        payload: &Payload,
    ) -> Result<String, GatewayFault> {
        let key = EndpointKey::of(payload.platform, &payload.device);
        let usable = |endpoint: &Endpoint| {
            endpoint.application == application && endpoint.registration == payload.registration
        };
        if let Some(known) = self.known().get(&key).filter(usable) {
            return Ok(known.arn);
        }
        let kept = self.registry.get(&key).await.map_err(of_registry)?;
        if let Some(kept) = kept.filter(usable) {
            self.known().insert(key, kept.clone());
            return Ok(kept.arn);
        }
        let endpoint = Endpoint {
            arn: self.make_sure(application, &payload.device).await?,
            application: application.to_owned(),
            registration: payload.registration,
        };
        tracing::info!(token = %key, endpoint = endpoint.arn, "the endpoint of a phone is made sure");
        if let Err(error) = self.registry.put(&key, &endpoint).await {
            tracing::warn!(token = %key, %error, "an endpoint is not kept; other hosts make it sure again");
        }
        self.known().insert(key, endpoint.clone());
        Ok(endpoint.arn)
    }

    /// Forgets a phone's endpoint, so that its next registration finds out anew how it is.
    pub(super) async fn forget(&self, payload: &Payload) {
        let key = EndpointKey::of(payload.platform, &payload.device);
        self.known().remove(&key);
        if let Err(error) = self.registry.remove(&key).await {
            // Its next registration has another number, so the row is not taken for current.
            tracing::warn!(token = %key, %error, "the row of a dead endpoint stays until it is replaced");
        }
    }

    async fn make_sure(
        &self,
        application: &str,
        token: &DeviceToken,
    ) -> Result<String, GatewayFault> {
        let arn = match self.create(application, token).await? {
            Created::Endpoint(arn) => arn,
            Created::Conflict(arn) => {
                self.enable(&arn, token).await?;
                return Ok(arn);
            }
        };
        match self.condition(&arn, token).await? {
            Condition::Sound => Ok(arn),
            Condition::Stale => {
                self.enable(&arn, token).await?;
                Ok(arn)
            }
            Condition::Gone => match self.create(application, token).await? {
                Created::Endpoint(arn) => Ok(arn),
                Created::Conflict(arn) => {
                    self.enable(&arn, token).await?;
                    Ok(arn)
                }
            },
        }
    }

    async fn create(
        &self,
        application: &str,
        token: &DeviceToken,
    ) -> Result<Created, GatewayFault> {
        self.turn().await?;
        let call = self.sns.create_platform_endpoint();
        let call = call.platform_application_arn(application).token(&token.0);
        match call.send().await {
            Ok(output) => match output.endpoint_arn {
                Some(arn) => Ok(Created::Endpoint(arn)),
                None => Err(GatewayFault {
                    class: FailureClass::Transient,
                    code: "NoEndpointArn".to_owned(),
                    detail: "an endpoint was created and its ARN not told".to_owned(),
                    retry_after: None,
                }),
            },
            Err(error) => match error.message().and_then(existing_endpoint) {
                Some(arn) => Ok(Created::Conflict(arn)),
                None => Err(self.judge(fault(Call::CreateEndpoint, &error))),
            },
        }
    }

    async fn condition(&self, arn: &str, token: &DeviceToken) -> Result<Condition, GatewayFault> {
        self.turn().await?;
        let call = self.sns.get_endpoint_attributes().endpoint_arn(arn);
        match call.send().await {
            Ok(output) => {
                let attributes = output.attributes.unwrap_or_default();
                let enabled = attributes
                    .get("Enabled")
                    .is_some_and(|value| value == "true");
                let current = attributes
                    .get("Token")
                    .is_some_and(|value| *value == token.0);
                Ok(if enabled && current {
                    Condition::Sound
                } else {
                    Condition::Stale
                })
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetEndpointAttributesError::is_not_found_exception) =>
            {
                Ok(Condition::Gone)
            }
            Err(error) => Err(self.judge(fault(Call::GetEndpoint, &error))),
        }
    }

    async fn enable(&self, arn: &str, token: &DeviceToken) -> Result<(), GatewayFault> {
        self.turn().await?;
        let call = self.sns.set_endpoint_attributes().endpoint_arn(arn);
        let call = call
            .attributes("Token", &token.0)
            .attributes("Enabled", "true");
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.judge(fault(Call::SetEndpoint, &error))),
        }
    }

    async fn turn(&self) -> Result<(), GatewayFault> {
        self.quota.take(WAIT_MAX).await.map_err(of_quota)
    }

    fn judge(&self, fault: GatewayFault) -> GatewayFault {
        if fault.class == FailureClass::Throttled {
            self.quota.throttled();
        }
        fault
    }

    fn known(&self) -> MutexGuard<'_, Recent<EndpointKey, Endpoint>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Created {
    Endpoint(String),
    /// It is there already with attributes that are not ours, such as another system's user data.
    Conflict(String),
}

/// The ARN in the sentence by which the service tells that a token has an endpoint already.
fn existing_endpoint(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("Endpoint arn:aws")?;
    let (arn, told) = rest.split_once(' ')?;
    let same = told
        .to_ascii_lowercase()
        .starts_with("already exists with the same token");
    (same && arn.contains(":sns:")).then(|| format!("arn:aws{arn}"))
}

/// A push that waits for its turn is not a failed one.
fn of_quota(exhausted: Exhausted) -> GatewayFault {
    GatewayFault {
        class: FailureClass::Throttled,
        code: "QuotaExhausted".to_owned(),
        detail: exhausted.to_string(),
        retry_after: Some(exhausted.wait),
    }
}

fn of_registry(fault: TableFault) -> GatewayFault {
    let class = match fault {
        TableFault::Missing { .. } | TableFault::Denied { .. } => FailureClass::ConfigurationBroken,
        TableFault::Throttled { .. } => FailureClass::Throttled,
        _ => FailureClass::Transient,
    };
    GatewayFault {
        class,
        code: "EndpointRegistry".to_owned(),
        detail: fault.to_string(),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_an_endpoint_that_exists_is_read_from_the_refusal() {
        for (message, arn) in [
            (
                "Invalid parameter: Token Reason: Endpoint arn:aws:sns:r:1:endpoint/GCM/app/u-1 already exists with the same Token, but different attributes.",
                Some("arn:aws:sns:r:1:endpoint/GCM/app/u-1"),
            ),
            (
                "Endpoint arn:aws-cn:sns:r:1:endpoint/APNS/app/u-2 already exists with the same token, but different attributes",
                Some("arn:aws-cn:sns:r:1:endpoint/APNS/app/u-2"),
            ),
            (
                "This endpoint is already registered with a different token.",
                None,
            ),
            (
                "Endpoint arn:aws:sqs:r:1:q already exists with the same Token",
                None,
            ),
            ("Endpoint arn:aws:sns:r:1:endpoint/GCM/app/u-1", None),
        ] {
            assert_eq!(existing_endpoint(message).as_deref(), arn, "{message}");
        }
    }
}
