//! The failures that the gateway plays on demand, in the words of SNS.

use std::time::Duration;

use iyagi_actors::ports::GatewayFault;
use iyagi_messages::ids::DeviceToken;
use iyagi_messages::push::FailureClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which pushes fail, how, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The phone whose pushes fail; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceToken>,
    /// How they fail.
    pub class: FaultClass,
    /// How many more fail; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many seconds the gateway asks to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// How a push fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The service stumbles.
    Transient,
    /// The service asks for patience.
    Throttled,
    /// The token is dead, told in one of SNS's two ways in turn.
    Dead,
    /// The payload will never be accepted.
    Poison,
    /// The platform application is disabled.
    ApplicationBroken,
    /// The push is accepted, but the answer never arrives.
    TimeoutAfterAccept,
}

impl FaultClass {
    /// Its word in requests and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Dead => "dead",
            Self::Poison => "poison",
            Self::ApplicationBroken => "application_broken",
            Self::TimeoutAfterAccept => "timeout_after_accept",
        }
    }
}

/// What becomes of a push.
pub(super) enum Verdict {
    Accept,
    Refuse(GatewayFault),
    /// Accepted, but the caller is told this.
    AcceptInSilence(GatewayFault),
}

/// The rules, in the order in which they were given.
#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<FaultRule>,
    /// Dead endpoints answered so far; the two ways take turns.
    dead: usize,
}

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        if rule.times != Some(0) {
            self.rules.push(rule);
        }
    }

    pub(super) fn rules(&self) -> Vec<FaultRule> {
        self.rules.clone()
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Applies the first rule that fits the device, and counts it.
    pub(super) fn judge(&mut self, device: &DeviceToken) -> Verdict {
        let fits = |rule: &FaultRule| rule.device.as_ref().is_none_or(|only| only == device);
        let Some(index) = self.rules.iter().position(fits) else {
            return Verdict::Accept;
        };
        let rule = self.rules[index].clone();
        if let Some(times) = &mut self.rules[index].times {
            *times -= 1;
            if *times == 0 {
                self.rules.remove(index);
            }
        }
        let fault = self.fault(&rule);
        if rule.class == FaultClass::TimeoutAfterAccept {
            Verdict::AcceptInSilence(fault)
        } else {
            Verdict::Refuse(fault)
        }
    }

    fn fault(&mut self, rule: &FaultRule) -> GatewayFault {
        let (class, code, detail) = match rule.class {
            FaultClass::Transient => (
                FailureClass::Transient,
                "InternalError",
                "the service stumbled, as it was told to",
            ),
            FaultClass::Throttled => (
                FailureClass::Throttled,
                "Throttled",
                "too many requests, as it was told to say",
            ),
            FaultClass::Dead => self.dead_endpoint(),
            FaultClass::Poison => (
                FailureClass::Poison,
                "ParameterValueInvalid",
                "the payload is not one that the platform takes",
            ),
            FaultClass::ApplicationBroken => (
                FailureClass::ApplicationBroken,
                "PlatformApplicationDisabled",
                "the platform application is disabled",
            ),
            FaultClass::TimeoutAfterAccept => (
                FailureClass::Unknown,
                "Timeout",
                "no answer arrived in time",
            ),
        };
        GatewayFault {
            class,
            code: code.to_owned(),
            detail: detail.to_owned(),
            retry_after: rule.retry_after_seconds.map(Duration::from_secs),
        }
    }

    /// SNS says it one way for a disabled endpoint, and another for one that was deleted.
    fn dead_endpoint(&mut self) -> (FailureClass, &'static str, &'static str) {
        self.dead += 1;
        let (code, detail) = if self.dead % 2 == 1 {
            ("EndpointDisabled", "Endpoint is disabled")
        } else {
            (
                "InvalidParameter",
                "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified",
            )
        };
        (FailureClass::EndpointDead, code, detail)
    }
}
