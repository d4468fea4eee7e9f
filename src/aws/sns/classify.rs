//! What an answer of SNS means for the push: one table.
//!
//! Codes are compared as text because the SDK does not know all of them: `Throttled`, the service's own name for
//! throttling, is neither modelled nor retried by it. What is neither known by code nor by status is ambiguous for a
//! publish, which may have been carried out, and merely unfortunate for any other call.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy;
use iyagi_actors::ports::GatewayFault;
use iyagi_messages::push::FailureClass;

/// The call that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// A push; carried out twice, it is on the phone twice unless that replaces it.
    Publish,
    /// An endpoint for a token.
    CreateEndpoint,
    /// How an endpoint is.
    GetEndpoint,
    /// An endpoint's token, and that it is to be used.
    SetEndpoint,
}

/// What came of a call that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The service, or something before it, said no.
    Refused {
        /// HTTP status.
        status: u16,
        /// The service's word; absent if the answer is not the service's.
        code: Option<&'a str>,
        /// The service's sentence.
        message: &'a str,
    },
    /// Time ran out on the way or while waiting.
    TimedOut,
    /// The connection broke, or what came over it cannot be read.
    Broken,
    /// There was no connection: nothing has left this host.
    NotConnected,
    /// The request could not be made, for want of credentials or of an address: nothing has left this host.
    NotMade,
}

/// The rule that applies.
pub fn classify(call: Call, answer: Answer<'_>) -> FailureClass {
    match answer {
        Answer::NotConnected => FailureClass::Transient,
        Answer::NotMade => FailureClass::ConfigurationBroken,
        Answer::TimedOut | Answer::Broken => ambiguous(call),
        Answer::Refused { status: 429, .. } => FailureClass::Throttled,
        Answer::Refused {
            status,
            code: Some(code),
            message,
        } => of_code(call, code, message).unwrap_or_else(|| of_status(call, status, true)),
        Answer::Refused { status, .. } => of_status(call, status, false),
    }
}

fn of_code(call: Call, code: &str, message: &str) -> Option<FailureClass> {
    // On the wire a code comes with or without this ending, depending on who wrote the server.
    let class = match code.strip_suffix("Exception").unwrap_or(code) {
        "Throttling"
        | "Throttled"
        | "RequestThrottled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "LimitExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "KMSThrottling" => FailureClass::Throttled,
        "EndpointDisabled" => FailureClass::EndpointDead,
        "PlatformApplicationDisabled" => FailureClass::ApplicationBroken,
        "NotFound" => of_missing(call),
        "InvalidParameter"
        | "InvalidParameterValue"
        | "ParameterValueInvalid"
        | "Validation"
        | "ValidationError" => of_invalid_parameter(call, message),
        "AuthorizationError"
        | "AccessDenied"
        | "NotAuthorized"
        | "InvalidSecurity"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "ExpiredToken"
        | "RequestExpired"
        | "OptInRequired"
        | "KMSAccessDenied"
        | "KMSDisabled"
        | "KMSInvalidState"
        | "KMSNotFound"
        | "KMSOptInRequired" => FailureClass::ConfigurationBroken,
        "InternalError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable" => {
            FailureClass::Transient
        }
        _ => return None,
    };
    Some(class)
}

fn of_missing(call: Call) -> FailureClass {
    match call {
        Call::Publish => FailureClass::EndpointDead,
        // What is missing is the platform application.
        Call::CreateEndpoint => FailureClass::ConfigurationBroken,
        // The endpoint was deleted under our hands: the next attempt makes a new one.
        Call::GetEndpoint | Call::SetEndpoint => FailureClass::Transient,
    }
}

fn of_invalid_parameter(call: Call, message: &str) -> FailureClass {
    let says = |words: &str| message.to_ascii_lowercase().contains(words);
    match call {
        // A deleted endpoint is told as a parameter's fault.
        Call::Publish if says("no endpoint found") => FailureClass::EndpointDead,
        Call::CreateEndpoint if says("platformapplicationarn") => FailureClass::ConfigurationBroken,
        // The platform would never take this token, and nobody but the phone can bring a better one.
        Call::CreateEndpoint | Call::SetEndpoint if says("token") => FailureClass::EndpointDead,
        _ => FailureClass::Poison,
    }
}

fn of_status(call: Call, status: u16, of_service: bool) -> FailureClass {
    match status {
        // An answer that cannot be read, to a call that was carried out; or one that came too late for somebody between.
        200..=299 | 408 => ambiguous(call),
        401 | 403 | 407 => FailureClass::ConfigurationBroken,
        413 => FailureClass::Poison,
        400..=499 if of_service => FailureClass::Poison,
        _ => FailureClass::Transient,
    }
}

fn ambiguous(call: Call) -> FailureClass {
    match call {
        Call::Publish => FailureClass::Unknown,
        Call::CreateEndpoint | Call::GetEndpoint | Call::SetEndpoint => FailureClass::Transient,
    }
}

/// An error of the SDK as the actors know it.
pub fn fault<E>(call: Call, error: &SdkError<E, HttpResponse>) -> GatewayFault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let answer = observe(error);
    let code = match answer {
        Answer::Refused {
            code: Some(code), ..
        } => code.to_owned(),
        Answer::Refused { status, .. } => format!("HTTP {status}"),
        Answer::TimedOut => "Timeout".to_owned(),
        Answer::Broken => "ConnectionBroken".to_owned(),
        Answer::NotConnected => "NotConnected".to_owned(),
        Answer::NotMade => "RequestNotMade".to_owned(),
    };
    let detail = match answer {
        Answer::Refused { message, .. } if !message.is_empty() => message.to_owned(),
        _ => told(error),
    };
    GatewayFault {
        class: classify(call, answer),
        code,
        detail,
        retry_after: error.raw_response().and_then(retry_after),
    }
}

/// An error with what is underneath it, in one line.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in sources(error).skip(1) {
        let cause = source.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn observe<E>(error: &SdkError<E, HttpResponse>) -> Answer<'_>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Answer::NotMade,
        SdkError::TimeoutError(_) => Answer::TimedOut,
        SdkError::DispatchFailure(failure) => failure
            .as_connector_error()
            .map_or(Answer::Broken, observe_connector),
        SdkError::ServiceError(failure) => Answer::Refused {
            status: failure.raw().status().as_u16(),
            code: failure.err().code(),
            message: failure.err().message().unwrap_or_default(),
        },
        _ => Answer::Broken,
    }
}

fn observe_connector(error: &ConnectorError) -> Answer<'static> {
    if let Some(credentials) = source::<CredentialsError>(error) {
        return match credentials {
            // Whoever hands them out stumbled; that there are none is another matter.
            CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
                Answer::NotConnected
            }
            _ => Answer::NotMade,
        };
    }
    match source::<legacy::Error>(error) {
        Some(client) if client.is_connect() => Answer::NotConnected,
        Some(_) => Answer::Broken,
        None if error.is_timeout() => Answer::TimedOut,
        None if error.is_io() => Answer::Broken,
        // It never came as far as the HTTP client.
        None => Answer::NotMade,
    }
}

fn source<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    sources(error).find_map(<dyn Error>::downcast_ref)
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Seconds that a server asks to be left alone.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &'static str) -> FailureClass {
        of(Call::Publish, status, code, message)
    }

    fn of(call: Call, status: u16, code: &str, message: &str) -> FailureClass {
        let code = Some(code);
        classify(
            call,
            Answer::Refused {
                status,
                code,
                message,
            },
        )
    }

    #[test]
    fn every_code_of_publish_has_its_rule() {
        use FailureClass::*;
        let deleted =
            "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
        for (status, code, message, class) in [
            (
                400,
                "EndpointDisabled",
                "Endpoint is disabled",
                EndpointDead,
            ),
            (400, "InvalidParameter", deleted, EndpointDead),
            (404, "NotFound", "Endpoint does not exist", EndpointDead),
            (
                400,
                "InvalidParameter",
                "Invalid parameter: Message too long",
                Poison,
            ),
            (400, "ParameterValueInvalid", "", Poison),
            (400, "ValidationException", "", Poison),
            (400, "PlatformApplicationDisabled", "", ApplicationBroken),
            (403, "AuthorizationError", "", ConfigurationBroken),
            (403, "InvalidSecurity", "", ConfigurationBroken),
            (400, "KMSAccessDenied", "", ConfigurationBroken),
            (400, "KMSDisabled", "", ConfigurationBroken),
            (400, "KMSInvalidState", "", ConfigurationBroken),
            (400, "KMSNotFound", "", ConfigurationBroken),
            (403, "KMSOptInRequired", "", ConfigurationBroken),
            (403, "InvalidClientTokenId", "", ConfigurationBroken),
            (403, "ExpiredToken", "", ConfigurationBroken),
            (403, "SignatureDoesNotMatch", "", ConfigurationBroken),
            (403, "SomethingNew", "", ConfigurationBroken),
            (400, "Throttling", "Rate exceeded", Throttled),
            (429, "Throttled", "", Throttled),
            (400, "Throttled", "", Throttled),
            (400, "ThrottlingException", "", Throttled),
            (400, "KMSThrottling", "", Throttled),
            (400, "KMSThrottlingException", "", Throttled),
            (429, "SomethingNew", "", Throttled),
            (500, "InternalError", "", Transient),
            (503, "ServiceUnavailable", "", Transient),
            (500, "SomethingNew", "", Transient),
            (400, "SomethingNew", "", Poison),
        ] {
            assert_eq!(
                refused(status, code, message),
                class,
                "{status} {code} {message}"
            );
        }
    }

    #[test]
    fn the_same_word_means_another_thing_about_an_endpoint() {
        use FailureClass::*;
        let bad_token = "Invalid parameter: Token Reason: iOS device tokens must be between 64 and 400 hexadecimal characters";
        let no_application = "Invalid parameter: PlatformApplicationArn Reason: An ARN must have at least 6 elements";
        for (call, status, code, message, class) in [
            (
                Call::CreateEndpoint,
                404,
                "NotFound",
                "",
                ConfigurationBroken,
            ),
            (Call::GetEndpoint, 404, "NotFound", "", Transient),
            (Call::SetEndpoint, 404, "NotFound", "", Transient),
            (
                Call::CreateEndpoint,
                400,
                "InvalidParameter",
                bad_token,
                EndpointDead,
            ),
            (
                Call::SetEndpoint,
                400,
                "InvalidParameter",
                bad_token,
                EndpointDead,
            ),
            (
                Call::CreateEndpoint,
                400,
                "InvalidParameter",
                no_application,
                ConfigurationBroken,
            ),
            (Call::CreateEndpoint, 400, "Throttling", "", Throttled),
            (
                Call::GetEndpoint,
                403,
                "AuthorizationError",
                "",
                ConfigurationBroken,
            ),
            (Call::SetEndpoint, 500, "InternalError", "", Transient),
        ] {
            assert_eq!(
                of(call, status, code, message),
                class,
                "{call:?} {code} {message}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_not_the_services_is_judged_by_its_status() {
        use FailureClass::*;
        for (status, class) in [
            (200, Unknown),
            (403, ConfigurationBroken),
            (404, Transient),
            (408, Unknown),
            (413, Poison),
            (429, Throttled),
            (502, Transient),
            (503, Transient),
            (504, Transient),
        ] {
            let answer = Answer::Refused {
                status,
                code: None,
                message: "",
            };
            assert_eq!(classify(Call::Publish, answer), class, "{status}");
        }
    }

    #[test]
    fn only_a_publish_that_may_have_left_is_ambiguous() {
        for answer in [Answer::TimedOut, Answer::Broken] {
            assert_eq!(classify(Call::Publish, answer), FailureClass::Unknown);
            for call in [Call::CreateEndpoint, Call::GetEndpoint, Call::SetEndpoint] {
                assert_eq!(classify(call, answer), FailureClass::Transient);
            }
        }
        let call = Call::Publish;
        assert_eq!(
            classify(call, Answer::NotConnected),
            FailureClass::Transient
        );
        assert_eq!(
            classify(call, Answer::NotMade),
            FailureClass::ConfigurationBroken
        );
    }
}
