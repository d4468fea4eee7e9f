//! What an Android phone gets of a push, and how any platform's payload is kept within what it takes; the same whichever
//! gateway hands it over.
//!
//! **Android gets a data message, the app shows it.** Firebase treats every *notification* message, and every message
//! with a `collapse_key`, as collapsible: of those a phone is sent at most twenty in a burst and then one in three
//! minutes, and while it is offline only four are kept. A social app would lose pushes silently. So the payload has
//! `data` and neither `notification` nor `collapse_key`; the app posts the notification under `data.tag`, and so a repeat
//! replaces its first copy, and what tells of a burst replaces what opened it. It also lets the app check, before anything
//! is shown, that the person is still signed in.

use std::borrow::Cow;

use iyagi_actors::ports::Payload;
use iyagi_messages::ids::PushId;
use iyagi_messages::template::{Presentation, Priority};
use serde::Serialize;
use thiserror::Error;

/// Largest payload that both platforms take.
pub const PAYLOAD_BYTES_MAX: usize = 4_096;
/// Longest time to live that both platforms take: four weeks.
const TTL_SECONDS_MAX: u32 = 2_419_200;
/// Shortest time to live: of none a push that dwells anywhere would be dropped there.
const TTL_SECONDS_MIN: u32 = 1;
const ELLIPSIS: &str = "…";

/// Ids and link alone are more than a phone is ever sent.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error(
    "the payload has {bytes} bytes without any text, and {PAYLOAD_BYTES_MAX} are allowed: shorten the template's link"
)]
pub struct TooLarge {
    /// Bytes of the payload without title and body.
    pub bytes: usize,
}

/// Texts that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts<'a> {
    /// First line.
    pub title: Cow<'a, str>,
    /// Second line.
    pub body: Cow<'a, str>,
    /// Whether one was too long and ends in an ellipsis now.
    pub cut: bool,
}

/// Firebase's message for one push, without the phone it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AndroidMessage<'a> {
    data: AndroidData<'a>,
    android: Android,
}

impl<'a> AndroidMessage<'a> {
    /// The message with these texts in the place of the push's own.
    pub fn new(payload: &'a Payload, title: &'a str, body: &'a str) -> Self {
        let Presentation {
            android_channel,
            priority,
            ..
        } = &payload.presentation;
        let keys = payload.device_texts.as_ref();
        // Without keys of its own texts the app is always given both lines, be they empty.
        let text = |line: &'a str| keys.is_none().then_some(line);
        Self {
            data: AndroidData {
                push_id: payload.push_id,
                tag: payload.collapse_id,
                channel_id: android_channel.as_ref().unwrap_or(&payload.category),
                title: text(title),
                body: text(body),
                title_loc_key: keys.map(|keys| &*keys.title_key),
                title_loc_args: keys.and_then(|keys| as_text(&keys.title_args)),
                body_loc_key: keys.map(|keys| &*keys.body_key),
                body_loc_args: keys.and_then(|keys| as_text(&keys.body_args)),
                link: &payload.link,
                notification_count: payload.badge.map(|badge| badge.to_string()),
            },
            android: Android {
                priority: match priority {
                    Priority::High => "high",
                    Priority::Normal => "normal",
                },
                ttl: format!("{}s", ttl_seconds(payload)),
            },
        }
    }
}

/// The push's time to live, as far as platforms take it.
pub fn ttl_seconds(payload: &Payload) -> u32 {
    payload.ttl_seconds.clamp(TTL_SECONDS_MIN, TTL_SECONDS_MAX)
}

/// Title and body as far as they fit: whole, else with a shorter body, else with a shorter title and no body. `bytes`
/// tells how large the platform's payload is with given texts.
pub fn fit(payload: &Payload, bytes: impl Fn(&str, &str) -> usize) -> Result<Texts<'_>, TooLarge> {
    let Payload { title, body, .. } = payload;
    let fits = |title: &str, body: &str| bytes(title, body) <= PAYLOAD_BYTES_MAX;
    if fits(title, body) {
        return Ok(Texts {
            title: Cow::Borrowed(title),
            body: Cow::Borrowed(body),
            cut: false,
        });
    }
    if let Some(body) = longest_that_fits(body, |body| fits(title, body)) {
        return Ok(Texts {
            title: Cow::Borrowed(title),
            body: Cow::Owned(body),
            cut: true,
        });
    }
    let title = longest_that_fits(title, |title| fits(title, ""));
    title
        .map(|title| Texts {
            title: Cow::Owned(title),
            body: Cow::Borrowed(""),
            cut: true,
        })
        .ok_or_else(|| TooLarge {
            bytes: bytes("", ""),
        })
}

/// As much of `text` as leaves room for an ellipsis; none if even the ellipsis has no room.
fn longest_that_fits(text: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let ends: Vec<usize> = text
        .char_indices()
        .map(|(end, _)| end)
        .take_while(|end| *end <= PAYLOAD_BYTES_MAX)
        .collect();
    let cut = |end: usize| format!("{}{ELLIPSIS}", text[..end].trim_end());
    let fitting = ends.partition_point(|end| fits(&cut(*end)));
    let end = fitting.checked_sub(1).map(|index| ends[index])?;
    Some(cut(end))
}

/// Every value is text: Firebase refuses the message otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct AndroidData<'a> {
    push_id: PushId,
    tag: PushId,
    channel_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title_loc_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title_loc_args: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_loc_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_loc_args: Option<String>,
    link: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_count: Option<String>,
}

/// A list as JSON in a text; nothing if it is empty.
fn as_text(arguments: &[String]) -> Option<String> {
    (!arguments.is_empty())
        .then(|| serde_json::to_string(arguments).expect("a list of texts is always JSON"))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Android {
    priority: &'static str,
    ttl: String,
}
