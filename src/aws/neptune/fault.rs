//! What every answer but a page means.
//!
//! The service names its exception in the body's `code`. Whatever stands between it and this host answers with a page of
//! its own or with none: that is never taken for the end of the log.

use std::fmt;

use aws_sdk_neptunedata::error::{ProvideErrorMetadata, SdkError};
use iyagi_actors::ports::StreamFault;
use iyagi_messages::cursor::Cursor;
use serde::Deserialize;

use super::page::Body;
use crate::aws::sdk_error::chain;

/// Enough of a strange body to recognise whose it is.
const EXCERPT_CHARS_MAX: usize = 200;

/// The service's own error body. The code names the exception; the text is in `detailedMessage`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Envelope {
    code: Option<String>,
    detailed_message: Option<String>,
    message: Option<String>,
}

/// The fault of a call that led to no page.
pub(super) fn of<E>(error: &SdkError<E>) -> StreamFault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match Answer::of(error) {
        Some(Answer::Named {
            status,
            code,
            detail,
        }) => named(status, &code, &detail),
        Some(answer @ Answer::Foreign { status, .. }) if denied(status) => {
            StreamFault::Denied(answer.to_string())
        }
        Some(answer) => StreamFault::Unreachable(answer.to_string()),
        None => StreamFault::Unreachable(chain(error)),
    }
}

/// An error of any call, in words.
pub(super) fn describe<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Answer::of(error).map_or_else(|| chain(error), |answer| answer.to_string())
}

/// Who said what.
#[derive(Debug)]
enum Answer {
    /// The service, by an exception of its own.
    Named {
        status: u16,
        code: String,
        detail: String,
    },
    /// Something in between.
    Foreign { status: u16, excerpt: String },
}

impl Answer {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<Self> {
        if matches!(error, SdkError::ResponseError(_)) {
            // The answer broke off, so that it is nobody's word.
            return None;
        }
        let status = error.raw_response()?.status().as_u16();
        let body = Body::of(error)?;
        // Who is asked for gzip may pack errors, too.
        let text = match body.unpack() {
            Ok(plain) => String::from_utf8_lossy(&plain).into_owned(),
            Err(error) => error.to_string(),
        };
        let envelope = serde_json::from_str::<Envelope>(&text).unwrap_or_default();
        let code = error.code().map(str::to_owned).or(envelope.code);
        Some(match code {
            Some(code) => Self::Named {
                status,
                code,
                detail: envelope
                    .detailed_message
                    .or(envelope.message)
                    .unwrap_or_default(),
            },
            None => Self::Foreign {
                status,
                excerpt: text.trim().chars().take(EXCERPT_CHARS_MAX).collect(),
            },
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named {
                status,
                code,
                detail,
            } => write!(f, "{code} ({status}): {detail}"),
            Self::Foreign { status, excerpt } if excerpt.is_empty() => {
                write!(f, "a {status} with no body, which is not the service's own")
            }
            Self::Foreign { status, excerpt } => {
                write!(f, "a {status} that is not the service's own: {excerpt}")
            }
        }
    }
}

fn denied(status: u16) -> bool {
    matches!(status, 401 | 403)
}

fn named(status: u16, code: &str, detail: &str) -> StreamFault {
    let described = || format!("{code} ({status}): {detail}");
    match code {
        "StreamRecordsNotFoundException" => StreamFault::NotFound {
            last_valid: last_valid(detail),
        },
        "ExpiredStreamException" => StreamFault::Expired,
        "UnsupportedOperationException" => StreamFault::Disabled,
        "ThrottlingException" | "TooManyRequestsException" => StreamFault::Throttled,
        "MemoryLimitExceededException" => StreamFault::MemoryLimit,
        "InvalidParameterException"
        | "InvalidArgumentException"
        | "IllegalArgumentException"
        | "PreconditionsFailedException"
        | "ConstraintViolationException" => StreamFault::InvalidRequest(described()),
        _ if denied(status) => StreamFault::Denied(described()),
        _ => StreamFault::Unreachable(described()),
    }
}

/// The newest event of the log, which only the text tells: `Last valid eventId is [commitNum = 7, opNum = 2]`.
fn last_valid(detail: &str) -> Option<Cursor> {
    let (_, place) = detail.rsplit_once("Last valid eventId is [")?;
    let (place, _) = place.split_once(']')?;
    let (commit, op) = place.split_once(',')?;
    let number = |text: &str, name: &str| {
        let (key, number) = text.split_once('=')?;
        (key.trim() == name).then(|| number.trim().parse().ok())?
    };
    Some(Cursor::new(
        number(commit, "commitNum")?,
        number(op, "opNum")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_valid_event_is_read_from_the_text() {
        for (text, expected) in [
            (
                "Requested startEventId is from the future. Last valid eventId is [commitNum = 1132, opNum = 200]",
                Some(Cursor::new(1132, 200)),
            ),
            (
                "Last valid eventId is [commitNum=9007199254740993,opNum=1]",
                Some(Cursor::new((1 << 53) + 1, 1)),
            ),
            ("Requested startEventId is from the future.", None),
            ("Last valid eventId is [commitNum = x, opNum = 1]", None),
            ("Last valid eventId is [opNum = 1, commitNum = 2]", None),
            ("Last valid eventId is [commitNum = 1", None),
            ("", None),
        ] {
            assert_eq!(last_valid(text), expected, "{text}");
        }
    }
}
