//! What an error of the SDK says, in one line for people.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The service's own code and words, or what kept the call from being answered.
pub(super) fn reason_of<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let Some(answered) = error.as_service_error() else {
        return chain(error);
    };
    match (answered.code(), answered.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        // A proxy's page, or a body that is cut off: the status is all there is.
        (None, _) => {
            let status = error
                .raw_response()
                .map(|response| response.status().as_u16());
            status.map_or_else(
                || chain(error),
                |status| format!("HTTP status {status}, in no words of the service's own"),
            )
        }
    }
}

/// An error with every cause beneath it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some say their cause's words themselves.
        if !line.contains(&more) {
            line.push_str(": ");
            line.push_str(&more);
        }
        cause = error.source();
    }
    line
}
