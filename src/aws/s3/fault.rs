//! What an error of S3 means to the port.

use std::error::Error;

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use iyagi_actors::ports::StoreFault;
use iyagi_messages::object::ObjectKey;

use crate::aws::sdk_error::reason_of;

const FORBIDDEN: u16 = 403;
const PRECONDITION_FAILED: u16 = 412;

/// Why an object was not read.
pub(super) fn of_get(
    key: &ObjectKey,
    error: &SdkError<GetObjectError, HttpResponse>,
) -> StoreFault {
    match error.as_service_error() {
        Some(GetObjectError::NoSuchKey(_)) => StoreFault::NotFound(key.clone()),
        Some(GetObjectError::InvalidObjectState(_)) => StoreFault::Unreadable {
            key: key.clone(),
            reason: reason_of(error),
        },
        _ => of_read(key, error),
    }
}

/// Whether an object was not read because it is another one than was asked for.
pub(super) fn is_another(error: &SdkError<GetObjectError, HttpResponse>) -> bool {
    status(error) == Some(PRECONDITION_FAILED)
}

/// Why an object's facts were not told.
pub(super) fn of_head(
    key: &ObjectKey,
    error: &SdkError<HeadObjectError, HttpResponse>,
) -> StoreFault {
    match error.as_service_error() {
        Some(HeadObjectError::NotFound(_)) => StoreFault::NotFound(key.clone()),
        _ => of_read(key, error),
    }
}

/// Why an object was not written or removed.
pub(super) fn of_write<E>(key: &ObjectKey, error: &SdkError<E, HttpResponse>) -> StoreFault
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let reason = format!("`{key}`: {}", reason_of(error));
    if status(error) == Some(FORBIDDEN) {
        StoreFault::Full(reason)
    } else {
        StoreFault::Unavailable(reason)
    }
}

/// An answer that lacks what every answer has.
pub(super) fn incomplete(key: &ObjectKey, what: &str) -> StoreFault {
    StoreFault::Unavailable(format!("the answer about `{key}` has no {what}"))
}

fn of_read<E>(key: &ObjectKey, error: &SdkError<E, HttpResponse>) -> StoreFault
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let reason = reason_of(error);
    let hint = if status(error) == Some(FORBIDDEN) {
        "; S3 says this of an object that is not there too, unless s3:ListBucket is allowed"
    } else {
        ""
    };
    StoreFault::Unavailable(format!("`{key}`: {reason}{hint}"))
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
