//! The table: every answer of Firebase, and what it must come to.

use std::time::Duration;

use iyagi_messages::push::FailureClass::{self, *};
use serde_json::{Value, json};

use super::fake::Reply;
use super::{BEGINNING, fcm_error, google};

/// One row of the table: what is answered, and what that must come to.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) reply: Reply,
    pub(crate) class: FailureClass,
    pub(crate) code: &'static str,
    pub(crate) retry_after: Option<u64>,
    /// Words that the detail must have.
    pub(crate) says: &'static str,
}

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = refusals_of_the_push();
    rows.extend(refusals_of_the_sender());
    rows.extend(pleas_for_patience());
    rows.extend(uncertainties());
    rows
}

fn row(
    name: &'static str,
    reply: Reply,
    class: FailureClass,
    code: &'static str,
    retry_after: impl Into<Option<u64>>,
    says: &'static str,
) -> Row {
    Row {
        name,
        reply,
        class,
        code,
        retry_after: retry_after.into(),
        says,
    }
}

pub(crate) fn plain(status: u16, body: impl Into<String>) -> Reply {
    Reply::Answer(status, Vec::new(), body.into())
}

fn told_to_wait(status: u16, wait: &str, body: String) -> Reply {
    Reply::Answer(status, vec![("retry-after", wait.to_owned())], body)
}

pub(crate) fn html(status: u16) -> Reply {
    let headers = vec![("content-type", "text/html; charset=UTF-8".to_owned())];
    let body = format!(
        "<!DOCTYPE html>\n<html lang=en>\n  <title>Error {status} (Server Error)!!1</title>\n  <p>That’s an error.\n"
    );
    Reply::Answer(status, headers, body)
}

fn bad_field(field: &str, description: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description}],
    })
}

fn over_quota(subject: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": subject, "description": "too many"}],
    })
}

const NO_TOKEN: &str = "The registration token is not a valid FCM registration token";

fn refusals_of_the_push() -> Vec<Row> {
    let invalid = |details: &[Value]| {
        let mut all = vec![fcm_error("INVALID_ARGUMENT")];
        all.extend_from_slice(details);
        let message = "Request contains an invalid argument.";
        plain(400, google(400, "INVALID_ARGUMENT", message, &all))
    };
    let of_token = plain(400, google(400, "INVALID_ARGUMENT", NO_TOKEN, &[]));
    let too_big = "Android message is too big";
    let too_big = plain(400, google(400, "INVALID_ARGUMENT", too_big, &[]));
    let gone = "Requested entity was not found.";
    let unregistered = google(404, "NOT_FOUND", gone, &[fcm_error("UNREGISTERED")]);
    let not_found = google(404, "NOT_FOUND", gone, &[]);
    vec![
        row(
            "400 about the token, as a field",
            invalid(&[bad_field("message.token", "Invalid registration token")]),
            EndpointDead,
            "INVALID_ARGUMENT",
            None,
            "message.token: Invalid registration token",
        ),
        row(
            "400 about the token, as a sentence",
            of_token,
            EndpointDead,
            "INVALID_ARGUMENT",
            None,
            NO_TOKEN,
        ),
        row(
            "400 about the message",
            invalid(&[bad_field(
                "message.data[0].value",
                "Invalid value (TYPE_STRING), 7",
            )]),
            Poison,
            "INVALID_ARGUMENT",
            None,
            "message.data[0].value: Invalid value (TYPE_STRING), 7",
        ),
        row(
            "400 about a message that is too large, without details",
            too_big,
            Poison,
            "INVALID_ARGUMENT",
            None,
            "too big",
        ),
        row(
            "400 that is empty",
            plain(400, ""),
            Poison,
            "HTTP 400",
            None,
            "empty",
        ),
        row(
            "413 of something between",
            html(413),
            Poison,
            "HTTP 413",
            None,
            "Error 413",
        ),
        row(
            "404 of a phone that is gone",
            plain(404, unregistered),
            EndpointDead,
            "UNREGISTERED",
            None,
            "not found",
        ),
        row(
            "404 that does not say of what",
            plain(404, not_found),
            Poison,
            "NOT_FOUND",
            None,
            "not found",
        ),
    ]
}

fn refusals_of_the_sender() -> Vec<Row> {
    let unauthenticated = "Request had invalid authentication credentials.";
    let unauthenticated = google(401, "UNAUTHENTICATED", unauthenticated, &[]);
    let denied = "Permission 'cloudmessaging.messages.create' denied";
    let denied = google(403, "PERMISSION_DENIED", denied, &[]);
    let third_party = [fcm_error("THIRD_PARTY_AUTH_ERROR")];
    let third_party = google(
        401,
        "UNAUTHENTICATED",
        "Auth error from APNS or Web Push Service",
        &third_party,
    );
    vec![
        row(
            "401, with the new token too",
            plain(401, unauthenticated),
            ConfigurationBroken,
            "UNAUTHENTICATED",
            None,
            "push.fcm.credential_file",
        ),
        row(
            "401 of something between",
            html(401),
            ConfigurationBroken,
            "HTTP 401",
            None,
            "push.fcm.credential_file",
        ),
        row(
            "403 for want of rights",
            plain(403, denied),
            ConfigurationBroken,
            "PERMISSION_DENIED",
            None,
            "messages.create",
        ),
        row(
            "403 of something between",
            html(403),
            ConfigurationBroken,
            "HTTP 403",
            None,
            "Error 403",
        ),
        row(
            "401 of Apple",
            plain(401, third_party),
            ApplicationBroken,
            "THIRD_PARTY_AUTH_ERROR",
            None,
            "Firebase console",
        ),
        row(
            "404 of something else",
            html(404),
            ConfigurationBroken,
            "HTTP 404",
            None,
            "push.fcm.base_url",
        ),
        row(
            "a redirect",
            Reply::Answer(
                302,
                vec![("location", "http://127.0.0.1:1/".to_owned())],
                String::new(),
            ),
            ConfigurationBroken,
            "HTTP 302",
            None,
            "push.fcm.base_url",
        ),
    ]
}

fn pleas_for_patience() -> Vec<Row> {
    let quota = |subject: &str| {
        let details = [fcm_error("QUOTA_EXCEEDED"), over_quota(subject)];
        google(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", &details)
    };
    let later = httpdate::fmt_http_date(
        std::time::UNIX_EPOCH + Duration::from_millis(BEGINNING.0.unsigned_abs() + 90_000),
    );
    let unavailable = || {
        google(
            503,
            "UNAVAILABLE",
            "Overloaded.",
            &[fcm_error("UNAVAILABLE")],
        )
    };
    let internal = || google(500, "INTERNAL", "Internal.", &[fcm_error("INTERNAL")]);
    vec![
        row(
            "429 with seconds",
            told_to_wait(429, "17", quota("device")),
            Throttled,
            "QUOTA_EXCEEDED",
            17,
            "device: too many",
        ),
        row(
            "429 with a date",
            told_to_wait(429, &later, quota("project")),
            Throttled,
            "QUOTA_EXCEEDED",
            90,
            "project: too many",
        ),
        row(
            "429 with more than a push lives",
            told_to_wait(429, "86400", quota("topic")),
            Throttled,
            "QUOTA_EXCEEDED",
            86_400,
            "topic: too many",
        ),
        row(
            "429 without a word",
            plain(429, quota("project")),
            Throttled,
            "QUOTA_EXCEEDED",
            60,
            "Quota exceeded",
        ),
        row(
            "429 with nonsense",
            told_to_wait(429, "soon", quota("project")),
            Throttled,
            "QUOTA_EXCEEDED",
            60,
            "Quota exceeded",
        ),
        row(
            "429 of something between",
            html(429),
            Throttled,
            "HTTP 429",
            60,
            "Error 429",
        ),
        row(
            "500",
            plain(500, internal()),
            Transient,
            "INTERNAL",
            10,
            "Internal",
        ),
        row(
            "500 that asks to be asked again at once",
            told_to_wait(500, "1", internal()),
            Transient,
            "INTERNAL",
            10,
            "Internal",
        ),
        row(
            "503 with seconds",
            told_to_wait(503, "5", unavailable()),
            Transient,
            "UNAVAILABLE",
            5,
            "Overloaded",
        ),
        row(
            "503 with a date",
            told_to_wait(503, &later, unavailable()),
            Transient,
            "UNAVAILABLE",
            90,
            "Overloaded",
        ),
        row(
            "503 without a word",
            plain(503, unavailable()),
            Transient,
            "UNAVAILABLE",
            10,
            "Overloaded",
        ),
        row(
            "502 in HTML",
            html(502),
            Transient,
            "HTTP 502",
            10,
            "Error 502",
        ),
        row(
            "503 that is empty",
            plain(503, ""),
            Transient,
            "HTTP 503",
            10,
            "empty",
        ),
        row(
            "a refusal that is cut off within its reason",
            Reply::CutOff(404, "{\"error\": {\"code\": 404, \"mess"),
            Transient,
            "HTTP 404",
            10,
            "cut off",
        ),
        row(
            "a refusal that ends within its reason",
            plain(403, "{\"error\": {\"code\": 403, \"mess"),
            Transient,
            "HTTP 403",
            10,
            "cut off",
        ),
    ]
}

fn uncertainties() -> Vec<Row> {
    vec![
        row(
            "200 without a name",
            plain(200, "{}"),
            Unknown,
            "NoMessageName",
            None,
            "without a message's name",
        ),
        row(
            "200 that is empty",
            plain(200, ""),
            Unknown,
            "NoMessageName",
            None,
            "without a message's name",
        ),
        row(
            "200 in HTML",
            html(200),
            Unknown,
            "NoMessageName",
            None,
            "without a message's name",
        ),
        row(
            "200 that is cut off",
            Reply::CutOff(200, "{\"name\": \"projects/iyagi-test/mess"),
            Unknown,
            "NoMessageName",
            None,
            "without a message's name",
        ),
        row(
            "504 of something between",
            html(504),
            Unknown,
            "HTTP 504",
            10,
            "Error 504",
        ),
        row(
            "a stream that is reset",
            Reply::Reset(h2::Reason::INTERNAL_ERROR),
            Unknown,
            "ConnectionLost",
            None,
            "",
        ),
        row(
            "a stream that is refused",
            Reply::Reset(h2::Reason::REFUSED_STREAM),
            Transient,
            "RequestNotTaken",
            None,
            "",
        ),
        row(
            "a connection that breaks",
            Reply::HangUp,
            Unknown,
            "ConnectionLost",
            None,
            "",
        ),
    ]
}
