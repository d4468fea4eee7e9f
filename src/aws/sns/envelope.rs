//! What is published for one push: the service's envelope around the platform's payload, and the headers beside it.
//!
//! An Android phone gets the message of [`crate::push_payload`].
//!
//! **An iPhone gets an alert**, which the system shows; `mutable-content` lets the app's notification service extension
//! check or rewrite it first, and `apns-collapse-id` lets what tells of a burst replace what opened it.

use std::collections::BTreeMap;

use iyagi_actors::ports::Payload;
use iyagi_messages::ids::PushId;
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
        let Payload { link, category, .. } = self.payload;
        let json = match service {
            Service::Fcm => serde_json::to_string(&Fcm {
                fcm_v1_message: FcmV1 {
                    validate_only: false,
                    message: AndroidMessage::new(self.payload, title, body),
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
        // Of these names only that of the time to live has a form of its own for the sandbox.
        let mut attributes = vec![
            (ttl_name, ttl),
            (
                "AWS.SNS.MOBILE.APNS.COLLAPSE_ID",
                self.payload.collapse_id.to_string(),
            ),
            ("AWS.SNS.MOBILE.APNS.PRIORITY", "10".to_owned()),
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
