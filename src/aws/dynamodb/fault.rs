//! Why a call to a table failed, and the cure.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::aws::sdk_error::reason_of;

/// Why a call to a table failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum TableFault {
    /// There is no such table in this account and region.
    #[error("the table `{table}` does not exist here: `iyagi provision` creates it")]
    Missing {
        /// Its name.
        table: String,
    },
    /// The credentials are wrong or allow too little.
    #[error(
        "the table `{table}` may not be used: {detail}; allow this host's role `dynamodb:{action}` on the table"
    )]
    Denied {
        /// Its name.
        table: String,
        /// What was tried.
        action: &'static str,
        /// The service's words.
        detail: String,
    },
    /// More is asked than it gives, after every attempt.
    #[error(
        "the table `{table}` is throttled: {detail}; if it lasts, spread the load or raise the account's quota of \
         DynamoDB"
    )]
    Throttled {
        /// Its name.
        table: String,
        /// The service's words.
        detail: String,
    },
    /// No answer, or none of the table's own, so that whether the call took effect is unknown.
    #[error(
        "no answer about the table `{table}`: {detail}; check `aws.region`, `aws.endpoint_url` and this host's way to \
         DynamoDB"
    )]
    Unreachable {
        /// Its name.
        table: String,
        /// What went wrong on the way.
        detail: String,
    },
    /// The service refused the call for another reason.
    #[error(
        "the table `{table}` refused {action}: {detail}; `iyagi provision --dry-run` shows whether it is as it should be"
    )]
    Refused {
        /// Its name.
        table: String,
        /// What was tried.
        action: &'static str,
        /// The service's code and words.
        detail: String,
    },
    /// More than one item can hold.
    #[error(
        "the item `{key}` of the table `{table}` would have {bytes} bytes in one part; at most {max} are stored"
    )]
    TooLarge {
        /// The table's name.
        table: String,
        /// The item's key.
        key: String,
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// Others changed the item between every look and write.
    #[error(
        "the item `{key}` of the table `{table}` changed during each of {attempts} attempts: try again"
    )]
    Contended {
        /// The table's name.
        table: String,
        /// The item's key.
        key: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// An item that iyagi did not write.
    #[error(
        "the table `{table}` holds an item `{key}` that cannot be read: {detail}; delete it, or give iyagi a table of its \
         own by `aws.name_prefix`"
    )]
    Corrupt {
        /// The table's name.
        table: String,
        /// The item's key.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl TableFault {
    /// What an error of the SDK means.
    pub fn of<E>(table: &str, action: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let table = table.to_owned();
        let answer = error.as_service_error();
        // Without a code the answer is of something in between, or ends too early to be read.
        let Some((answer, code)) = answer.and_then(|answer| Some((answer, answer.code()?))) else {
            let detail = reason_of(&error);
            return Self::Unreachable { table, detail };
        };
        // Whatever stands between says nothing of the table, only that it was not reached.
        let failed = error
            .raw_response()
            .is_some_and(|answer| answer.status().is_server_error());
        let words = answer.message().unwrap_or("no reason given");
        let detail = format!("{code}: {words}");
        match code {
            "ResourceNotFoundException" | "TableNotFoundException" => Self::Missing { table },
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "IncompleteSignatureException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException" => Self::Denied {
                table,
                action,
                detail,
            },
            "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException" => Self::Throttled { table, detail },
            _ if failed => Self::Unreachable { table, detail },
            _ => Self::Refused {
                table,
                action,
                detail,
            },
        }
    }
}
