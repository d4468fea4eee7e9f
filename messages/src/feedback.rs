//! What a gateway tells of a push after it took it: that the push service would not deliver it.
//!
//! The form is that of SNS's delivery-failure events. It is not specified, so it is read leniently: names in any case,
//! with or without the envelope that a topic puts around it, and nothing is asked for but the push's message id.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use utoipa::ToSchema;

/// One message of feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback {
    /// A push was not delivered.
    Failed(DeliveryFailure),
    /// Something else happened, which is no push's business.
    Other {
        /// What, in the gateway's word.
        event_type: String,
    },
}

/// A push that was taken and then not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// The gateway's own id of the push.
    pub gateway_id: String,
    /// The push service's word.
    pub failure_type: String,
    /// The push service's sentence.
    pub detail: String,
}

/// A message that is no feedback.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not JSON, or not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// It does not say which push it is about.
    #[error("it tells of a failure and not of which push")]
    NoMessageId,
    /// It does not say what happened.
    #[error("it has neither an event type nor a failure type")]
    NoEventType,
}

/// What kind of failure it is: the few that are told apart, so that counting them stays bounded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BounceClass {
    /// The token is dead, or was never one of this app.
    InvalidPlatformToken,
    /// The push service would not take this payload.
    InvalidNotification,
    /// The push service refuses the app's credentials.
    InvalidCredentials,
    /// The push service was asked too much.
    Throttled,
    /// The push service could not be reached for hours.
    DependencyUnavailable,
    /// The push service stumbled.
    UnexpectedFailure,
    /// A word that this build does not know.
    Other,
}

/// Longest word that is kept.
const TYPE_CHARS_MAX: usize = 64;
/// Longest sentence that is kept.
const DETAIL_CHARS_MAX: usize = 500;
/// A topic's envelope around an envelope around the event is the most that a set-up by hand leads to.
const ENVELOPES_MAX: usize = 2;

impl Feedback {
    /// Reads a message's body.
    pub fn parse(body: &str) -> Result<Self, Unreadable> {
        let mut event = object(body)?;
        for _ in 0..ENVELOPES_MAX {
            let inner = match text(&event, "Message") {
                // A failure's own sentence has another name, so this is an envelope.
                Some(inner) if text(&event, "EventType").is_none() => object(inner),
                _ => break,
            };
            event = inner?;
        }
        let failure_type = text(&event, "FailureType");
        let event_type = text(&event, "EventType");
        let failed = match event_type {
            Some(event_type) => event_type.to_ascii_lowercase().contains("failure"),
            None => failure_type.is_some(),
        };
        if !failed {
            let event_type = event_type.ok_or(Unreadable::NoEventType)?;
            return Ok(Self::Other {
                event_type: clip(event_type, TYPE_CHARS_MAX),
            });
        }
        let gateway_id = text(&event, "MessageId").filter(|id| !id.is_empty());
        Ok(Self::Failed(DeliveryFailure {
            gateway_id: gateway_id.ok_or(Unreadable::NoMessageId)?.to_owned(),
            failure_type: clip(failure_type.unwrap_or("unknown"), TYPE_CHARS_MAX),
            detail: clip(
                text(&event, "FailureMessage").unwrap_or_default(),
                DETAIL_CHARS_MAX,
            ),
        }))
    }
}

impl BounceClass {
    /// The class of a failure that is told by SNS's words, or by Firebase's or Apple's, which come through at times.
    pub fn of(failure_type: &str, detail: &str) -> Self {
        let word: String = failure_type
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        match word.as_str() {
            "invalidplatformtoken"
            | "unregistered"
            | "notregistered"
            | "invalidregistration"
            | "senderidmismatch"
            | "mismatchsenderid"
            | "baddevicetoken"
            | "devicetokennotfortopic"
            | "expiredtoken"
            | "endpointdisabled" => Self::InvalidPlatformToken,
            // Firebase says of a malformed token that an argument is invalid.
            "invalidnotification" | "invalidargument"
                if detail.contains("registration token is not a valid") =>
            {
                Self::InvalidPlatformToken
            }
            "invalidnotification"
            | "invalidargument"
            | "permissiondenied"
            | "payloadtoolarge"
            | "messagetoobig" => Self::InvalidNotification,
            "invalidcredentials" | "thirdpartyautherror" => Self::InvalidCredentials,
            "throttled" | "quotaexceeded" | "toomanyrequests" => Self::Throttled,
            "dependencyunavailable" | "unavailable" | "serviceunavailable" => {
                Self::DependencyUnavailable
            }
            "unexpectedfailure" | "internal" | "internalservererror" => Self::UnexpectedFailure,
            _ => Self::Other,
        }
    }

    /// Whether the phone cannot be reached under this token any more.
    pub fn token_is_dead(self) -> bool {
        self == Self::InvalidPlatformToken
    }

    /// The class as it stands in metrics and the journal's projections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPlatformToken => "invalid_platform_token",
            Self::InvalidNotification => "invalid_notification",
            Self::InvalidCredentials => "invalid_credentials",
            Self::Throttled => "throttled",
            Self::DependencyUnavailable => "dependency_unavailable",
            Self::UnexpectedFailure => "unexpected_failure",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for BounceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn object(text: &str) -> Result<Map<String, Value>, Unreadable> {
    serde_json::from_str(text).map_err(|_| Unreadable::NotAnObject)
}

fn text<'a>(event: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let named = event.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    named.and_then(|(_, value)| value.as_str())
}

fn clip(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "DeliveryAttempts": 1,
            "EndpointArn": "arn:aws:sns:r:1:endpoint/GCM/iyagi-fcm/e-1",
            "EventType": "DeliveryFailure",
            "FailureMessage": "Platform token associated with the endpoint is not valid",
            "FailureType": "InvalidPlatformToken",
            "MessageId": "message-4711",
            "Resource": "arn:aws:sns:r:1:app/GCM/iyagi-fcm",
            "Service": "SNS",
            "Time": "2026-01-01T00:00:00.000Z",
        })
    }

    fn failure() -> Feedback {
        Feedback::Failed(DeliveryFailure {
            gateway_id: "message-4711".to_owned(),
            failure_type: "InvalidPlatformToken".to_owned(),
            detail: "Platform token associated with the endpoint is not valid".to_owned(),
        })
    }

    fn envelope(message: &Value) -> Value {
        json!({
            "Type": "Notification", "MessageId": "the-topics-own", "TopicArn": "arn:aws:sns:r:1:push-feedback",
            "Subject": "DeliveryFailure event for app iyagi-fcm (GCM)", "Message": message.to_string(),
        })
    }

    #[test]
    fn a_failure_is_read_as_it_is_and_out_of_a_topics_envelopes() {
        let once = envelope(&event());
        for body in [event(), once.clone(), envelope(&once)] {
            assert_eq!(Feedback::parse(&body.to_string()), Ok(failure()), "{body}");
        }
        let thrice = envelope(&envelope(&once));
        assert_eq!(
            Feedback::parse(&thrice.to_string()),
            Err(Unreadable::NoEventType)
        );
    }

    #[test]
    fn names_in_another_case_and_missing_ones_are_borne() {
        let body = json!({"eventType": "deliveryFailure", "messageId": "m", "failureType": "UNREGISTERED"});
        let failure = DeliveryFailure {
            gateway_id: "m".to_owned(),
            failure_type: "UNREGISTERED".to_owned(),
            detail: String::new(),
        };
        assert_eq!(
            Feedback::parse(&body.to_string()),
            Ok(Feedback::Failed(failure))
        );
        let body = json!({"EventType": "DeliveryFailure", "MessageId": "m"});
        let Ok(Feedback::Failed(failure)) = Feedback::parse(&body.to_string()) else {
            panic!("it is a failure");
        };
        assert_eq!(failure.failure_type, "unknown");
    }

    #[test]
    fn what_is_no_failure_of_a_push_is_told_apart() {
        let updated =
            json!({"EventType": "EndpointUpdated", "EndpointArn": "e", "Enabled": "false"});
        assert_eq!(
            Feedback::parse(&updated.to_string()),
            Ok(Feedback::Other {
                event_type: "EndpointUpdated".to_owned()
            })
        );
        for (body, why) in [
            ("", Unreadable::NotAnObject),
            ("[]", Unreadable::NotAnObject),
            (r#"{"Message": "hello"}"#, Unreadable::NotAnObject),
            ("{}", Unreadable::NoEventType),
            (
                r#"{"FailureType": "UNREGISTERED"}"#,
                Unreadable::NoMessageId,
            ),
        ] {
            assert_eq!(Feedback::parse(body), Err(why), "{body}");
        }
    }

    #[test]
    fn only_failures_of_the_token_mean_that_it_is_dead() {
        use BounceClass::*;
        for (word, detail, class) in [
            ("InvalidPlatformToken", "", InvalidPlatformToken),
            ("UNREGISTERED", "", InvalidPlatformToken),
            ("SENDER_ID_MISMATCH", "", InvalidPlatformToken),
            (
                "INVALID_ARGUMENT",
                "The registration token is not a valid FCM registration token",
                InvalidPlatformToken,
            ),
            (
                "INVALID_ARGUMENT",
                "Invalid value at message.data",
                InvalidNotification,
            ),
            ("InvalidNotification", "", InvalidNotification),
            ("InvalidCredentials", "", InvalidCredentials),
            ("THIRD_PARTY_AUTH_ERROR", "", InvalidCredentials),
            ("Throttled", "", Throttled),
            ("QUOTA_EXCEEDED", "", Throttled),
            ("DependencyUnavailable", "", DependencyUnavailable),
            ("UnexpectedFailure", "", UnexpectedFailure),
            ("SomethingNew", "", Other),
        ] {
            let found = BounceClass::of(word, detail);
            assert_eq!(found, class, "{word}");
            assert_eq!(found.token_is_dead(), class == InvalidPlatformToken);
        }
    }

    #[test]
    fn long_words_are_clipped_and_not_in_the_middle_of_a_character() {
        let body = json!({"EventType": "DeliveryFailure", "MessageId": "m", "FailureType": "가".repeat(1_000), "FailureMessage": "나".repeat(10_000)});
        let Ok(Feedback::Failed(failure)) = Feedback::parse(&body.to_string()) else {
            panic!("it is a failure");
        };
        assert_eq!(failure.failure_type.chars().count(), TYPE_CHARS_MAX);
        assert_eq!(failure.detail.chars().count(), DETAIL_CHARS_MAX);
    }
}
