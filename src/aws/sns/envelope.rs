//! What is published for one push: the service's envelope around the platform's payload, and the headers beside it.
//!
//! **Android gets a data message, the app shows it.** Firebase treats every *notification* message, and every message
//! with a `collapse_key`, as collapsible: of those a phone is sent at most twenty in a burst and then one in three
//! minutes, and while it is offline only four are kept. A social app would lose pushes silently. So the payload has
//! `data` and neither `notification` nor `collapse_key`; the app posts the notification under `data.tag`, which is the
//! push's id, and so a repeat replaces its first copy. It also lets the app check, before anything is shown, that the
//! person is still signed in.
//!
//! **An iPhone gets an alert**, which the system shows; `mutable-content` lets the app's notification service extension
//! check or rewrite it first, and `apns-collapse-id` is the push's id.

use std::collections::BTreeMap;

use iyagi_actors::ports::Payload;
use serde::Serialize;
use thiserror::Error;

use super::applications::{Application, Service};

/// A push in the service's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The message, with `MessageStructure` `json`.
    pub message: String,
    /// Reserved message attributes, which become the platform's headers.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether a text was too long and ends in an ellipsis now.
    pub cut: bool,
}

/// Ids and link alone are more than a phone is ever sent.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error(
    "the payload has {bytes} bytes without any text, and {PAYLOAD_BYTES_MAX} are allowed: shorten the template's link"
)]
pub struct TooLarge {
    /// Bytes of the payload without title and body.
    pub bytes: usize,
}

/// Largest payload that both platforms take.
pub const PAYLOAD_BYTES_MAX: usize = 4_096;
/// Longest time to live that both platforms take: four weeks.
const TTL_SECONDS_MAX: u32 = 2_419_200;
/// Shortest time to live: the service subtracts the time that a push dwells there, and of none nothing would be left.
const TTL_SECONDS_MIN: u32 = 1;
/// What stands for a platform that the message has no payload for; it must be there and says nothing.
const DEFAULT_TEXT: &str = "iyagi";
const ELLIPSIS: &str = "…";

/// Puts a push in its envelope, with texts cut so far that the platform takes it.
pub fn envelope(payload: &Payload, application: &Application) -> Result<Envelope, TooLarge> {
    let service = application.service;
    let push = Rendered {
        id: payload.push_id.to_string(),
        ttl_seconds: payload.ttl_seconds.clamp(TTL_SECONDS_MIN, TTL_SECONDS_MAX),
        payload,
    };
    let (platform_payload, cut) = push.fit(service)?;
    let platforms = BTreeMap::from([
        ("default", DEFAULT_TEXT),
        (service.as_str(), &platform_payload),
    ]);
    Ok(Envelope {
        message: serde_json::to_string(&platforms).expect("texts are always JSON"),
        attributes: push.attributes(application),
        cut,
    })
}

struct Rendered<'a> {
    id: String,
    ttl_seconds: u32,
    payload: &'a Payload,
}

impl Rendered<'_> {
    /// The platform's payload: whole, else with a shorter body, else with a shorter title and no body.
    fn fit(&self, service: Service) -> Result<(String, bool), TooLarge> {
        let Payload { title, body, .. } = self.payload;
        let whole = self.platform_payload(service, title, body);
        if whole.len() <= PAYLOAD_BYTES_MAX {
            return Ok((whole, false));
        }
        let with_body = |body: &str| self.platform_payload(service, title, body);
        let with_title = |title: &str| self.platform_payload(service, title, "");
        let cut =
            longest_that_fits(body, with_body).or_else(|| longest_that_fits(title, with_title));
        cut.map(|payload| (payload, true)).ok_or_else(|| TooLarge {
            bytes: with_title("").len(),
        })
    }

    fn platform_payload(&self, service: Service, title: &str, body: &str) -> String {
        let Payload { link, category, .. } = self.payload;
        let json = match service {
            Service::Fcm => serde_json::to_string(&Fcm {
                fcm_v1_message: FcmV1 {
                    validate_only: false,
                    message: FcmMessage {
                        data: FcmData {
                            push_id: &self.id,
                            tag: &self.id,
                            channel_id: category,
                            title,
                            body,
                            link,
                        },
                        android: Android {
                            priority: "high",
                            ttl: format!("{}s", self.ttl_seconds),
                        },
                    },
                },
            }),
            Service::Apns | Service::ApnsSandbox => serde_json::to_string(&Apns {
                aps: Aps {
                    alert: Alert { title, body },
                    thread_id: category,
                    category,
                    sound: "default",
                    mutable_content: 1,
                },
                push_id: &self.id,
                link,
            }),
        };
        json.expect("texts are always JSON")
    }

    fn attributes(&self, application: &Application) -> Vec<(&'static str, String)> {
        let ttl = self.ttl_seconds.to_string();
        let ttl_name = match application.service {
            Service::Fcm => return vec![("AWS.SNS.MOBILE.FCM.TTL", ttl)],
            Service::Apns => "AWS.SNS.MOBILE.APNS.TTL",
            Service::ApnsSandbox => "AWS.SNS.MOBILE.APNS_SANDBOX.TTL",
        };
        // Of these names only that of the time to live has a form of its own for the sandbox.
        let mut attributes = vec![
            (ttl_name, ttl),
            ("AWS.SNS.MOBILE.APNS.COLLAPSE_ID", self.id.clone()),
            ("AWS.SNS.MOBILE.APNS.PRIORITY", "10".to_owned()),
            ("AWS.SNS.MOBILE.APNS.PUSH_TYPE", "alert".to_owned()),
        ];
        if let Some(topic) = &application.topic {
            attributes.push(("AWS.SNS.MOBILE.APNS.TOPIC", topic.clone()));
        }
        attributes
    }
}

/// The payload with as much of `text` as leaves room for an ellipsis; none if even the ellipsis has no room.
fn longest_that_fits(text: &str, payload: impl Fn(&str) -> String) -> Option<String> {
    let ends: Vec<usize> = text
        .char_indices()
        .map(|(end, _)| end)
        .take_while(|end| *end <= PAYLOAD_BYTES_MAX)
        .collect();
    let cut = |end: usize| payload(&format!("{}{ELLIPSIS}", text[..end].trim_end()));
    let fitting = ends.partition_point(|end| cut(*end).len() <= PAYLOAD_BYTES_MAX);
    let end = fitting.checked_sub(1).map(|index| ends[index])?;
    Some(cut(end))
}

#[derive(Serialize)]
struct Fcm<'a> {
    #[serde(rename = "fcmV1Message")]
    fcm_v1_message: FcmV1<'a>,
}

#[derive(Serialize)]
struct FcmV1<'a> {
    validate_only: bool,
    message: FcmMessage<'a>,
}

#[derive(Serialize)]
struct FcmMessage<'a> {
    data: FcmData<'a>,
    android: Android,
}

/// Every value is text: Firebase refuses the message otherwise.
#[derive(Serialize)]
struct FcmData<'a> {
    push_id: &'a str,
    tag: &'a str,
    channel_id: &'a str,
    title: &'a str,
    body: &'a str,
    link: &'a str,
}

#[derive(Serialize)]
struct Android {
    priority: &'static str,
    ttl: String,
}

#[derive(Serialize)]
struct Apns<'a> {
    aps: Aps<'a>,
    push_id: &'a str,
    link: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps<'a> {
    alert: Alert<'a>,
    thread_id: &'a str,
    category: &'a str,
    sound: &'static str,
    mutable_content: u8,
}

#[derive(Serialize)]
struct Alert<'a> {
    title: &'a str,
    body: &'a str,
}
