//! What is published for one push: the service's envelope around the platform's payload, and the headers beside it.
//!
//! An Android phone gets the message of [`crate::push_payload`].
//!
//! **An iPhone gets an alert**, which the system shows; `mutable-content` lets the app's notification service extension
//! check or rewrite it first, and `apns-collapse-id` lets what tells of a burst replace what opened it.

use std::collections::BTreeMap;

use iyagi_actors::ports::Payload;
use iyagi_messages::ids::PushId;
use iyagi_messages::template::{InterruptionLevel, Priority};
use serde::Serialize;

use super::applications::{Application, Service};
use crate::push_payload::{AndroidMessage, TooLarge, fit, ttl_seconds};

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

/// What stands for a platform that the message has no payload for; it must be there and says nothing.
const DEFAULT_TEXT: &str = "iyagi";

/// Puts a push in its envelope, with texts cut so far that the platform takes it.
pub fn envelope(payload: &Payload, application: &Application) -> Result<Envelope, TooLarge> {
    let service = application.service;
    let push = Rendered { payload };
    let texts = fit(payload, |title, body| {
        push.platform_payload(service, title, body).len()
    })?;
    let platform_payload = push.platform_payload(service, &texts.title, &texts.body);
    let platforms = BTreeMap::from([
        ("default", DEFAULT_TEXT),
        (service.as_str(), &platform_payload),
    ]);
    Ok(Envelope {
        message: serde_json::to_string(&platforms).expect("texts are always JSON"),
        attributes: push.attributes(application),
        cut: texts.cut,
    })
}

struct Rendered<'a> {
    payload: &'a Payload,
}

impl Rendered<'_> {
    fn platform_payload(&self, service: Service, title: &str, body: &str) -> String {
        let Payload {
            link,
            category,
            presentation,
            ..
        } = self.payload;
        let json = match service {
            Service::Fcm => serde_json::to_string(&Fcm {
                fcm_v1_message: FcmV1 {
                    validate_only: false,
                    message: AndroidMessage::new(self.payload, title, body),
                },
            }),
            Service::Apns | Service::ApnsSandbox => serde_json::to_string(&Apns {
                aps: Aps {
                    alert: Alert::of(self.payload, title, body),
                    badge: self.payload.badge,
                    thread_id: category,
                    category: presentation.apns_category.as_ref().unwrap_or(category),
                    interruption_level: Some(presentation.interruption_level)
                        .filter(|level| *level != InterruptionLevel::default()),
                    sound: "default",
                    mutable_content: 1,
                },
                push_id: self.payload.push_id,
                link,
            }),
        };
        json.expect("texts are always JSON")
    }

    fn attributes(&self, application: &Application) -> Vec<(&'static str, String)> {
        let ttl = ttl_seconds(self.payload).to_string();
        let ttl_name = match application.service {
            Service::Fcm => return vec![("AWS.SNS.MOBILE.FCM.TTL", ttl)],
            Service::Apns => "AWS.SNS.MOBILE.APNS.TTL",
            Service::ApnsSandbox => "AWS.SNS.MOBILE.APNS_SANDBOX.TTL",
        };
        let priority = match self.payload.presentation.priority {
            Priority::High => "10",
            Priority::Normal => "5",
        };
        // Of these names only that of the time to live has a form of its own for the sandbox.
        let mut attributes = vec![
            (ttl_name, ttl),
            (
                "AWS.SNS.MOBILE.APNS.COLLAPSE_ID",
                self.payload.collapse_id.to_string(),
            ),
            ("AWS.SNS.MOBILE.APNS.PRIORITY", priority.to_owned()),
            ("AWS.SNS.MOBILE.APNS.PUSH_TYPE", "alert".to_owned()),
        ];
        if let Some(topic) = &application.topic {
            attributes.push(("AWS.SNS.MOBILE.APNS.TOPIC", topic.clone()));
        }
        attributes
    }
}

#[derive(Serialize)]
struct Fcm<'a> {
    #[serde(rename = "fcmV1Message")]
    fcm_v1_message: FcmV1<'a>,
}

#[derive(Serialize)]
struct FcmV1<'a> {
    validate_only: bool,
    message: AndroidMessage<'a>,
}

#[derive(Serialize)]
struct Apns<'a> {
    aps: Aps<'a>,
    push_id: PushId,
    link: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps<'a> {
    alert: Alert<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<u32>,
    thread_id: &'a str,
    category: &'a str,
    /// A phone takes what is not said for `active`.
    #[serde(skip_serializing_if = "Option::is_none")]
    interruption_level: Option<InterruptionLevel>,
    sound: &'static str,
    mutable_content: u8,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Alert<'a> {
    /// Texts that the phone shows as they are.
    Texts { title: &'a str, body: &'a str },
    /// Keys by which it finds the app's own texts.
    #[serde(rename_all = "kebab-case")]
    Keys {
        title_loc_key: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        title_loc_args: &'a [String],
        loc_key: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        loc_args: &'a [String],
    },
}

impl<'a> Alert<'a> {
    fn of(payload: &'a Payload, title: &'a str, body: &'a str) -> Self {
        match &payload.device_texts {
            None => Self::Texts { title, body },
            Some(keys) => Self::Keys {
                title_loc_key: &keys.title_key,
                title_loc_args: &keys.title_args,
                loc_key: &keys.body_key,
                loc_args: &keys.body_args,
            },
        }
    }
}
