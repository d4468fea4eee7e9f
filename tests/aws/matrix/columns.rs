//! The faults, as each service has them.

use crate::faults::{Fault, Service, ServiceError};

/// A fault and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) fault: Fault,
    /// It meets the first call only; otherwise every call for as long as it lasts.
    pub(super) once: bool,
}

impl Column {
    const fn lasting(name: &'static str, fault: Fault) -> Self {
        Self {
            name,
            fault,
            once: false,
        }
    }

    const fn once(name: &'static str, fault: Fault) -> Self {
        Self {
            name,
            fault,
            once: true,
        }
    }

    const fn refusal(code: &'static str, status: u16) -> Self {
        Self::lasting(code, Fault::Error(ServiceError { status, code }))
    }

    /// Whether a call that meets it takes effect all the same.
    pub(super) fn takes_effect(&self) -> bool {
        match self.fault {
            Fault::Page(_) | Fault::Error(_) | Fault::Stall => false,
            Fault::Held
            | Fault::ResetMidBody
            | Fault::Truncated
            | Fault::AnswerLost
            | Fault::HalfOfBatch => true,
        }
    }
}

/// What every service may meet.
const ANYWHERE: [Column; 8] = [
    Column::lasting("page 429", Fault::Page(429)),
    Column::lasting("page 500", Fault::Page(500)),
    Column::lasting("page 503", Fault::Page(503)),
    Column::lasting("stall", Fault::Stall),
    Column::lasting("reset in body", Fault::ResetMidBody),
    Column::lasting("truncated", Fault::Truncated),
    Column::once("answer lost", Fault::AnswerLost),
    Column::lasting("answers lost", Fault::AnswerLost),
];

/// Half of a batch, which only some operations have.
pub(super) const HALF_OF_BATCH: [Column; 2] = [
    Column::once("half of batch", Fault::HalfOfBatch),
    Column::lasting("half of batches", Fault::HalfOfBatch),
];

/// What a service's own words are for throttling, for a failure of its own and for credentials that have run out.
fn words(service: Service) -> &'static [Column] {
    const DYNAMODB: &[Column] = &[
        Column::refusal("ThrottlingException", 400),
        Column::refusal("ProvisionedThroughputExceededException", 400),
        Column::refusal("RequestLimitExceeded", 400),
        Column::refusal("InternalServerError", 500),
        Column::refusal("ExpiredTokenException", 400),
    ];
    const NEPTUNE: &[Column] = &[
        Column::refusal("ThrottlingException", 500),
        Column::refusal("TooManyRequestsException", 400),
        Column::refusal("InternalFailureException", 500),
        Column::refusal("ExpiredTokenException", 403),
    ];
    const S3: &[Column] = &[
        Column::refusal("SlowDown", 503),
        Column::refusal("InternalError", 500),
        Column::refusal("ExpiredToken", 400),
    ];
    const SNS: &[Column] = &[
        Column::refusal("Throttling", 400),
        Column::refusal("Throttled", 429),
        Column::refusal("ThrottledException", 429),
        Column::refusal("KMSThrottling", 400),
        Column::refusal("InternalError", 500),
        Column::refusal("ExpiredToken", 403),
    ];
    const SQS: &[Column] = &[
        Column::refusal("RequestThrottled", 400),
        Column::refusal("ThrottlingException", 400),
        Column::refusal("InternalError", 500),
        Column::refusal("ExpiredTokenException", 403),
    ];
    match service {
        Service::Dynamodb => DYNAMODB,
        Service::Neptune => NEPTUNE,
        Service::S3 => S3,
        Service::Sns => SNS,
        Service::Sqs => SQS,
    }
}

/// Every fault that any operation of a service may meet.
pub(super) fn of(service: Service) -> Vec<Column> {
    [words(service), ANYWHERE.as_slice()].concat()
}
