//! What an answer of Firebase means for the push, and what it means if none came: one table, pure.
//!
//! Firebase's own word (`errorCode`) decides where there is one, else Google's (`status`), else the HTTP status: what
//! answers may be a load balancer, whose pages are HTML. Only a refusal in Firebase's own words may cost a phone.

use std::time::Duration;

use iyagi_actors::ports::GatewayFault;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::push::FailureClass;
use serde::Deserialize;
use serde_json::Value;

/// An answer as it came.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The header `Retry-After`: seconds, or a date.
    pub retry_after: Option<&'a str>,
    /// As much of the body as there is.
    pub body: &'a [u8],
    /// Whether that is all of it.
    pub whole: bool,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The push was taken, under this name.
    Accepted(String),
    /// The access token was refused; a new one may not be.
    Unauthenticated(GatewayFault),
    /// Phone and key do not belong together. Which of them is wrong is for [`super::trust`] to say.
    SenderMismatch(GatewayFault),
    /// The push was not taken, or nobody knows.
    Failed(GatewayFault),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// There was no connection: nothing has left this host.
    NotConnected(String),
    /// The request could not be made: nothing has left this host.
    NotMade(String),
    /// The other end said that it has not looked at the request, and closes the connection or is too busy.
    NotTaken(String),
    /// Time ran out.
    TimedOut(Duration),
    /// The connection broke after the request had left.
    Lost(String),
}

/// How long to wait when throttled without being told for how long, as Firebase asks.
pub const THROTTLED_WAIT: Duration = Duration::from_mins(1);
/// The shortest wait after an answer that Firebase is in trouble, as it asks.
pub const TROUBLE_WAIT: Duration = Duration::from_secs(10);
/// Characters of somebody else's sentence that are kept.
const DETAIL_CHARS_MAX: usize = 400;

/// Reads an answer that came at `now`.
pub fn read(answer: Answer<'_>, now: Timestamp) -> Meaning {
    if (200..300).contains(&answer.status) {
        return accepted(answer);
    }
    let error = Error::of(answer.body);
    // A refusal whose reason was cut off on the way is a refusal for no reason.
    let cut_off = error.is_none() && (!answer.whole || looks_like_json(answer.body));
    let error = error.unwrap_or_default();
    let asked = answer.retry_after.and_then(|text| retry_after(text, now));
    let Rule {
        class,
        floor,
        cure,
        kind,
    } = rule(answer.status, &error, cut_off);
    let code = match error.word() {
        Some(word) => word.to_owned(),
        None => format!("HTTP {}", answer.status),
    };
    let mut detail = if cut_off {
        "the answer was cut off".to_owned()
    } else {
        error.sentence(answer.body)
    };
    if !cure.is_empty() {
        detail = format!("{detail}: {cure}");
    }
    let retry_after = match (asked, floor) {
        // In trouble a service may not know any more what it asks for.
        (Some(asked), Some(floor)) if answer.status == 500 => Some(asked.max(floor)),
        (Some(asked), _) => Some(asked),
        (None, floor) => floor,
    };
    let fault = GatewayFault {
        class,
        code,
        detail,
        retry_after,
    };
    match kind {
        Kind::Plain => Meaning::Failed(fault),
        Kind::Unauthenticated => Meaning::Unauthenticated(fault),
        Kind::SenderMismatch => Meaning::SenderMismatch(fault),
    }
}

/// What it means that there is no answer.
pub fn none(why: NoAnswer) -> GatewayFault {
    let (class, code, detail) = match why {
        NoAnswer::NotConnected(reason) => (FailureClass::Transient, "NotConnected", reason),
        NoAnswer::NotMade(reason) => (
            FailureClass::ConfigurationBroken,
            "RequestNotMade",
            format!("{reason}: check `push.fcm.base_url` and `push.fcm.project_id`"),
        ),
        NoAnswer::NotTaken(reason) => (FailureClass::Transient, "RequestNotTaken", reason),
        NoAnswer::TimedOut(after) => (
            FailureClass::Unknown,
            "Timeout",
            format!("no answer within {} ms", after.as_millis()),
        ),
        NoAnswer::Lost(reason) => (FailureClass::Unknown, "ConnectionLost", reason),
    };
    GatewayFault {
        class,
        code: code.to_owned(),
        detail,
        retry_after: None,
    }
}

/// How long a `Retry-After` asks to wait from `now`: seconds or a date. None if it is neither.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.0).ok()?);
    // A date that has passed asks for no wait.
    Some(at.saturating_sub(now))
}

/// Somebody else's words in one line, and not too many of them.
pub fn in_short(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

fn accepted(answer: Answer<'_>) -> Meaning {
    #[derive(Deserialize)]
    struct Taken {
        name: String,
    }
    match serde_json::from_slice(answer.body) {
        Ok(Taken { name }) if answer.whole && !name.is_empty() => Meaning::Accepted(name),
        // Perhaps it was taken, and perhaps something else than Firebase says yes to everything.
        _ => Meaning::Failed(GatewayFault {
            class: FailureClass::Unknown,
            code: "NoMessageName".to_owned(),
            detail: format!(
                "the answer is a success ({}) without a message's name",
                answer.status
            ),
            retry_after: None,
        }),
    }
}

/// What applies to an answer.
struct Rule {
    class: FailureClass,
    /// The wait if the answer asks for none.
    floor: Option<Duration>,
    /// What to do about it.
    cure: &'static str,
    kind: Kind,
}

enum Kind {
    Plain,
    Unauthenticated,
    SenderMismatch,
}

impl Rule {
    fn plain(class: FailureClass, floor: Option<Duration>, cure: &'static str) -> Self {
        Self {
            class,
            floor,
            cure,
            kind: Kind::Plain,
        }
    }
}

const KEY_CURE: &str = "the service account's key is revoked or of another installation; make a new one in the Firebase \
     console and name it in `push.fcm.credential_file`";
const RIGHTS_CURE: &str = "let the service account of `push.fcm.credential_file` send messages in the project \
     `push.fcm.project_id`, and enable the Firebase Cloud Messaging API there";
const PLATFORM_CURE: &str =
    "mend the credential of Apple or of web push in the Firebase console, under Cloud Messaging";
const ADDRESS_CURE: &str = "what answers is not Firebase; check `push.fcm.base_url`";

fn rule(status: u16, error: &Error, cut_off: bool) -> Rule {
    use FailureClass::{
        ApplicationBroken, ConfigurationBroken, EndpointDead, Poison, Throttled, Transient,
    };
    if status == 429 {
        return Rule::plain(Throttled, Some(THROTTLED_WAIT), "");
    }
    match error.word() {
        Some("UNREGISTERED") => Rule::plain(EndpointDead, None, ""),
        Some("SENDER_ID_MISMATCH") => Rule {
            kind: Kind::SenderMismatch,
            ..Rule::plain(EndpointDead, None, "")
        },
        Some("INVALID_ARGUMENT") if error.is_about_the_token() => {
            Rule::plain(EndpointDead, None, "")
        }
        // With details or without: a message that is too large may come without any.
        Some("INVALID_ARGUMENT") => Rule::plain(Poison, None, ""),
        Some("THIRD_PARTY_AUTH_ERROR") => Rule::plain(ApplicationBroken, None, PLATFORM_CURE),
        Some("QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED") => {
            Rule::plain(Throttled, Some(THROTTLED_WAIT), "")
        }
        Some("UNAVAILABLE" | "INTERNAL") => Rule::plain(Transient, Some(TROUBLE_WAIT), ""),
        Some("UNAUTHENTICATED") => unauthenticated(),
        Some("PERMISSION_DENIED") => Rule::plain(ConfigurationBroken, None, RIGHTS_CURE),
        word => of_status(status, word.is_some(), cut_off),
    }
}

fn of_status(status: u16, of_google: bool, cut_off: bool) -> Rule {
    use FailureClass::{ConfigurationBroken, Poison, Transient, Unknown};
    match status {
        401 => unauthenticated(),
        // It may have been taken, and somebody between did not wait for the answer.
        408 | 504 => Rule::plain(Unknown, Some(TROUBLE_WAIT), ""),
        500..=599 => Rule::plain(Transient, Some(TROUBLE_WAIT), ""),
        _ if cut_off => Rule::plain(Transient, Some(TROUBLE_WAIT), ""),
        403 => Rule::plain(ConfigurationBroken, None, RIGHTS_CURE),
        400 | 413 => Rule::plain(Poison, None, ""),
        // Not even "not found" costs a phone unless Firebase says that it means the phone.
        400..=499 if of_google => Rule::plain(Poison, None, ""),
        _ => Rule::plain(ConfigurationBroken, None, ADDRESS_CURE),
    }
}

fn unauthenticated() -> Rule {
    Rule {
        kind: Kind::Unauthenticated,
        ..Rule::plain(FailureClass::ConfigurationBroken, None, KEY_CURE)
    }
}

/// An error in Google's form.
#[derive(Debug, Default, Deserialize)]
struct Error {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Vec<Value>,
}

impl Error {
    fn of(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            error: Error,
        }
        serde_json::from_slice(body)
            .ok()
            .map(|body: Body| body.error)
    }

    fn detail(&self, kind: &str) -> Option<&Value> {
        self.details.iter().find(|detail| {
            let name = detail["@type"].as_str().unwrap_or_default();
            name.rsplit('/').next() == Some(kind)
        })
    }

    /// Firebase's own word, else Google's.
    fn word(&self) -> Option<&str> {
        let own = self.detail("google.firebase.fcm.v1.FcmError");
        let own = own.and_then(|detail| detail["errorCode"].as_str());
        own.filter(|word| !word.is_empty() && *word != "UNSPECIFIED_ERROR")
            .or(Some(self.status.as_str()).filter(|word| !word.is_empty()))
    }

    fn violations(&self, kind: &str, list: &str, name: &'static str) -> Vec<(&str, &str)> {
        let all = self.detail(kind).and_then(|detail| detail[list].as_array());
        let all = all.into_iter().flatten();
        all.map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            (text(name), text("description"))
        })
        .collect()
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        self.violations("google.rpc.BadRequest", "fieldViolations", "field")
    }

    fn is_about_the_token(&self) -> bool {
        let says = |text: &str| text.contains("not a valid FCM registration token");
        says(&self.message)
            || self
                .fields()
                .iter()
                .any(|(field, description)| *field == "message.token" || says(description))
    }

    /// Google's sentence with what it is about; for what is not Google's, its beginning.
    fn sentence(&self, body: &[u8]) -> String {
        if self.word().is_none() && self.message.is_empty() {
            return match in_short(&String::from_utf8_lossy(body)) {
                empty if empty.is_empty() => "the answer is empty".to_owned(),
                short => short,
            };
        }
        let quotas = self.violations("google.rpc.QuotaFailure", "violations", "subject");
        let about = self.fields().into_iter().chain(quotas);
        let about: Vec<_> = about
            .map(|(name, description)| match (name, description) {
                (name, "") => name.to_owned(),
                ("", description) => description.to_owned(),
                (name, description) => format!("{name}: {description}"),
            })
            .collect();
        let message = self.message.trim_end_matches('.');
        in_short(&if about.is_empty() {
            message.to_owned()
        } else {
            format!("{message} ({})", about.join("; "))
        })
    }
}

fn looks_like_json(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}
