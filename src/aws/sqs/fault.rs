//! What an error of SQS means to the port.

use std::error::Error;

use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityError;
use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use iyagi_actors::ports::QueueFault;

use crate::aws::sdk_error::reason_of;

/// Why a whole call failed.
pub(super) fn of_call<E>(queue: &str, error: &SdkError<E, HttpResponse>) -> QueueFault
where
    E: Error + ProvideErrorMetadata + 'static,
{
    unavailable(queue, reason_of(error))
}

/// Why one message of a batch was not taken.
pub(super) fn of_item(queue: &str, failed: &BatchResultErrorEntry) -> QueueFault {
    let reason = words(failed);
    if failed.sender_fault {
        QueueFault::Refused {
            queue: queue.to_owned(),
            reason,
        }
    } else {
        unavailable(queue, reason)
    }
}

/// Why one receipt of a batch was not renewed or given back.
pub(super) fn of_receipt(queue: &str, failed: &BatchResultErrorEntry) -> QueueFault {
    if has_run_out(Some(&failed.code), failed.message.as_deref()) {
        return not_in_flight(queue);
    }
    of_item(queue, failed)
}

/// Why a receipt was not renewed or given back.
pub(super) fn of_receipt_call(
    queue: &str,
    error: &SdkError<ChangeMessageVisibilityError, HttpResponse>,
) -> QueueFault {
    let Some(answered) = error.as_service_error() else {
        return of_call(queue, error);
    };
    let told = answered.is_message_not_inflight() || answered.is_receipt_handle_is_invalid();
    if told || has_run_out(answered.code(), answered.message()) {
        return not_in_flight(queue);
    }
    of_call(queue, error)
}

/// SQS has three codes for a receipt that is no longer good, one of which it also uses for everything else that a
/// parameter can be.
fn has_run_out(code: Option<&str>, message: Option<&str>) -> bool {
    // The old protocol's codes have a prefix, and a service may still send them.
    let code = code.and_then(|code| code.rsplit('.').next());
    match code {
        Some("MessageNotInflight" | "ReceiptHandleIsInvalid") => true,
        // A message that was kept for twelve hours cannot be kept longer, but is still in flight.
        Some("InvalidParameterValue") => {
            !message.is_some_and(|message| message.contains("parameter VisibilityTimeout"))
        }
        _ => false,
    }
}

fn words(failed: &BatchResultErrorEntry) -> String {
    match &failed.message {
        Some(message) => format!("{}: {message}", failed.code),
        None => failed.code.clone(),
    }
}

fn not_in_flight(queue: &str) -> QueueFault {
    QueueFault::NotInFlight {
        queue: queue.to_owned(),
    }
}

fn unavailable(queue: &str, reason: String) -> QueueFault {
    QueueFault::Unavailable {
        queue: queue.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: &str, message: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder()
            .id("0")
            .code(code)
            .message(message)
            .sender_fault(sender_fault)
            .build()
            .expect("complete")
    }

    #[test]
    fn every_code_of_a_receipt_that_ran_out_means_the_same() {
        for code in [
            "MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "ReceiptHandleIsInvalid",
            "InvalidParameterValue",
        ] {
            let reason = "Value X for parameter ReceiptHandle is invalid.";
            let fault = of_receipt("q", &failed(code, reason, true));
            assert_eq!(fault, not_in_flight("q"), "{code}");
        }
        let limit = "Value 43200 for parameter VisibilityTimeout is invalid.";
        let fault = of_receipt("q", &failed("InvalidParameterValue", limit, true));
        assert!(matches!(fault, QueueFault::Refused { .. }));
        let fault = of_receipt("q", &failed("InternalError", "", false));
        assert!(matches!(fault, QueueFault::Unavailable { .. }));
    }

    #[test]
    fn the_senders_fault_is_a_refusal_and_the_services_is_not() {
        let refused = of_item("q", &failed("InvalidMessageContents", "bell", true));
        assert_eq!(
            refused.to_string(),
            "queue q refuses the request: InvalidMessageContents: bell"
        );
        let stumbled = of_item("q", &failed("InternalError", "try again", false));
        assert!(matches!(stumbled, QueueFault::Unavailable { .. }));
    }
}
