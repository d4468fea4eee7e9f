//! Why a call failed, in the words of whoever must mend it.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error;

use super::sdk_error::chain;

/// A call to AWS that did not do what it was meant to.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{resource}: {action} failed: {reason}")]
pub struct CallFault {
    /// What the call was about, such as `queue iyagi-thumbnails`.
    pub resource: String,
    /// The IAM action that allows the call, such as `sqs:CreateQueue`.
    pub action: String,
    /// What the service or the network said.
    pub reason: String,
    /// What kind of trouble that is.
    pub kind: FaultKind,
}

/// Troubles that are mended in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The credentials do not allow it.
    Denied,
    /// There are no credentials, or they no longer hold.
    Credentials,
    /// Nobody answered.
    Unreachable,
    /// It may succeed a little later.
    Busy,
    /// The service refused it for the reason it gave.
    Refused,
}

impl CallFault {
    /// What the SDK's error comes down to.
    pub fn of<E, R>(resource: impl ToString, action: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
        R: std::fmt::Debug + 'static,
    {
        let reason = match error.as_service_error().map(ProvideErrorMetadata::meta) {
            Some(meta) => match (meta.code(), meta.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, Some(message)) => message.to_owned(),
                (None, None) => chain(error),
            },
            None => chain(error),
        };
        let kind = match error {
            SdkError::ServiceError(_) => kind_of(code(error).unwrap_or_default()),
            // A call that was never sent for want of credentials looks like one that was not answered.
            _ if reason.contains("credential") => FaultKind::Credentials,
            _ => FaultKind::Unreachable,
        };
        Self {
            resource: resource.to_string(),
            action: action.to_owned(),
            reason,
            kind,
        }
    }

    /// A trouble that no service told of.
    pub fn refused(resource: impl ToString, action: &str, reason: impl Into<String>) -> Self {
        Self {
            resource: resource.to_string(),
            action: action.to_owned(),
            reason: reason.into(),
            kind: FaultKind::Refused,
        }
    }

    /// What to do about it.
    pub fn cure(&self) -> String {
        let Self {
            resource, action, ..
        } = self;
        match self.kind {
            FaultKind::Denied => format!("allow {action} on {resource} to these credentials"),
            FaultKind::Credentials => {
                "give credentials by the environment, a profile or an instance role; expired ones must be renewed".to_owned()
            }
            FaultKind::Unreachable => {
                "check region, network and, if it is set, aws.endpoint_url; then try again".to_owned()
            }
            FaultKind::Busy => "try again in a minute".to_owned(),
            FaultKind::Refused => cure_of(&self.reason).to_owned(),
        }
    }
}

/// The error's code on the wire.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error()?.code()
}

fn kind_of(code: &str) -> FaultKind {
    // Services disagree on the names; the beginnings tell.
    let begins = |words: &[&str]| words.iter().any(|word| code.starts_with(word));
    if begins(&[
        "AccessDenied",
        "AuthorizationError",
        "UnauthorizedOperation",
        "Forbidden",
        "KMSAccessDenied",
        "KmsAccessDenied",
    ]) {
        FaultKind::Denied
    } else if begins(&[
        "ExpiredToken",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClient",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "MissingAuthenticationToken",
        "IncompleteSignature",
    ]) {
        FaultKind::Credentials
    } else if begins(&[
        "Throttl",
        "RequestThrottled",
        "SlowDown",
        "TooManyRequests",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "OperationAborted",
        "LimitExceeded",
        "ResourceInUse",
        "QueueDeletedRecently",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "ConcurrentAccess",
    ]) {
        FaultKind::Busy
    } else {
        FaultKind::Refused
    }
}

/// What mends a refusal, by what the services are known to say.
fn cure_of(reason: &str) -> &'static str {
    let says = |word: &str| reason.contains(word);
    if says("BucketAlreadyExists") {
        "somebody else has a bucket of that name: set media.bucket to another"
    } else if says("PermanentRedirect") || says("301") {
        "the bucket is in another region: set aws.region to it, or media.bucket to another"
    } else if says("Unable to validate the following destination") {
        "the topic does not let the bucket publish yet, or its key does not: see aws.kms_key_arn; then run it again"
    } else if says("overlap") || says("ambiguously") {
        "a notification of somebody else tells of the same keys: take it away, or change aws.upload_prefixes"
    } else if says("BucketNotEmpty") {
        "objects came in the meantime: --with-data deletes them too"
    } else if says("same token") || says("PlatformCredential") || says("Platform credentials") {
        "check the files and ids under [aws.fcm] and [aws.apns]"
    } else {
        "mend what it says, then run it again: it goes on from there"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_trouble_is_told_with_its_own_cure() {
        for (code, kind, cure) in [
            (
                "AccessDenied",
                FaultKind::Denied,
                "allow sqs:CreateQueue on queue a",
            ),
            ("ExpiredToken", FaultKind::Credentials, "credentials"),
            ("ThrottlingException", FaultKind::Busy, "in a minute"),
            (
                "AWS.SimpleQueueService.QueueDeletedRecently",
                FaultKind::Busy,
                "in a minute",
            ),
            ("BucketAlreadyExists", FaultKind::Refused, "media.bucket"),
            ("InvalidAttributeValue", FaultKind::Refused, "run it again"),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
            let fault = CallFault {
                resource: "queue a".to_owned(),
                action: "sqs:CreateQueue".to_owned(),
                reason: code.to_owned(),
                kind,
            };
            assert!(fault.cure().contains(cure), "{code}: {}", fault.cure());
        }
    }
}
