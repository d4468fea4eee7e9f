//! What is published, to the byte.

use iyagi::aws::sns::envelope::{Envelope, envelope};
use iyagi::aws::sns::{Application, Service};
use iyagi::push_payload::PAYLOAD_BYTES_MAX;
use iyagi_actors::ports::{Payload, TextKeys};
use iyagi_messages::template::{InterruptionLevel, Presentation, Priority};
use serde_json::Value;

use super::{iphone, payload};

fn application(service: Service) -> Application {
    Application {
        service,
        arn: "arn".to_owned(),
        topic: Some("com.example.iyagi".to_owned()),
    }
}

/// The platform's payload, out of its envelope.
fn inner(envelope: &Envelope, service: Service) -> String {
    let message: Value = serde_json::from_str(&envelope.message).expect("JSON");
    let platforms = message.as_object().expect("an object");
    assert!(platforms.values().all(Value::is_string), "{message}");
    assert_eq!(platforms.len(), 2, "the platform's payload and the default");
    assert_eq!(message["default"], "iyagi");
    message[service.as_str()].as_str().expect("text").to_owned()
}

/// Message and headers as they go over the wire, and the payload again so that people can read it.
fn golden(envelope: &Envelope, service: Service) -> String {
    let payload: Value = serde_json::from_str(&inner(envelope, service)).expect("JSON");
    let headers = envelope.attributes.iter();
    let headers = headers.map(|(name, value)| format!("{name}: {value}\n"));
    format!(
        "{}\n\n{}\n{payload:#}",
        envelope.message,
        headers.collect::<String>()
    )
}

#[test]
fn an_android_phone_gets_data_that_the_app_shows() {
    let service = Service::Fcm;
    let envelope = envelope(&payload(7, "token"), &application(service)).expect("it fits");
    let message: Value = serde_json::from_str(&inner(&envelope, service)).expect("JSON");
    let message = &message["fcmV1Message"]["message"];
    let data = message["data"].as_object().expect("data");
    assert!(
        data.values().all(Value::is_string),
        "Firebase takes nothing but text"
    );
    for collapsible in [
        &message["notification"],
        &message["android"]["collapse_key"],
    ] {
        assert!(
            collapsible.is_null(),
            "the phone would be sent twenty in a burst at most"
        );
    }
    insta::assert_snapshot!(golden(&envelope, service));
}

#[test]
fn an_iphone_gets_an_alert() {
    let service = Service::Apns;
    let envelope = envelope(&iphone(7, "token"), &application(service)).expect("it fits");
    insta::assert_snapshot!(golden(&envelope, service));
}

#[test]
fn an_iphone_of_a_developer_gets_an_alert_from_the_sandbox() {
    let service = Service::ApnsSandbox;
    let envelope = envelope(&iphone(7, "token"), &application(service)).expect("it fits");
    insta::assert_snapshot!(golden(&envelope, service));
}

#[test]
fn a_text_that_is_too_long_ends_in_an_ellipsis_and_not_within_a_character() {
    for service in [Service::Fcm, Service::Apns] {
        for (title, body) in [
            ("짧은 제목".to_owned(), "가".repeat(100_000)),
            ("짧은 제목".to_owned(), "\"\u{1}😀".repeat(2_000)),
            ("가나다 ".repeat(5_000), "body".to_owned()),
            ("😀".repeat(5_000), String::new()),
        ] {
            let long = Payload {
                title: title.clone(),
                body: body.clone(),
                ..payload(1, "token")
            };
            let envelope = envelope(&long, &application(service)).expect("it is cut");
            let text = inner(&envelope, service);
            assert!(envelope.cut);
            assert!(text.len() <= PAYLOAD_BYTES_MAX, "{}", text.len());
            // A character has at most six bytes in JSON, twice that if it is a surrogate pair.
            assert!(
                text.len() > PAYLOAD_BYTES_MAX - 24,
                "{} is wasteful",
                text.len()
            );
            let payload: Value = serde_json::from_str(&text).expect("JSON");
            let shown = match service {
                Service::Fcm => &payload["fcmV1Message"]["message"]["data"],
                _ => &payload["aps"]["alert"],
            };
            let text = |name: &str| shown[name].as_str().expect("text");
            let (cut, whole) = if text("title") == title {
                (text("body"), &body)
            } else {
                assert_eq!(text("body"), "");
                (text("title"), &title)
            };
            let cut = cut.strip_suffix('…').expect("an ellipsis");
            assert!(whole.starts_with(cut) && cut.len() < whole.len());
        }
    }
}

#[test]
fn a_text_that_fits_to_the_byte_is_whole() {
    let sized = |length: usize| Payload {
        body: "x".repeat(length),
        ..payload(1, "token")
    };
    let service = Service::Apns;
    let empty = envelope(&sized(0), &application(service)).expect("it fits");
    let room = PAYLOAD_BYTES_MAX - inner(&empty, service).len();
    let full = envelope(&sized(room), &application(service)).expect("it fits");
    assert_eq!(
        (full.cut, inner(&full, service).len()),
        (false, PAYLOAD_BYTES_MAX)
    );
    let cut = envelope(&sized(room + 1), &application(service)).expect("it is cut");
    assert!(cut.cut);
}

#[test]
fn ids_that_alone_are_too_much_are_refused_with_their_size() {
    let long = Payload {
        link: format!("iyagi://{}", "x".repeat(PAYLOAD_BYTES_MAX)),
        ..payload(1, "token")
    };
    let error = envelope(&long, &application(Service::Fcm)).expect_err("nothing can be cut");
    assert!(error.bytes > PAYLOAD_BYTES_MAX);
    assert!(error.to_string().contains("link"), "{error}");
}

/// A push whose texts the app brings itself, presented in every way that is not the usual one.
fn by_keys(token: &str) -> Payload {
    Payload {
        title: String::new(),
        body: String::new(),
        device_texts: Some(TextKeys {
            title_key: "new_followers_title".to_owned(),
            title_args: Vec::new(),
            body_key: "new_followers".to_owned(),
            body_args: vec!["person-7".to_owned(), "4".to_owned()],
        }),
        badge: Some(12),
        presentation: Presentation {
            android_channel: Some("followers".to_owned()),
            apns_category: Some("FOLLOW_BACK".to_owned()),
            interruption_level: InterruptionLevel::TimeSensitive,
            priority: Priority::Normal,
        },
        ..payload(7, token)
    }
}

#[test]
fn phones_that_have_the_texts_themselves_get_keys_and_no_text() {
    for service in [Service::Fcm, Service::Apns] {
        let envelope = envelope(&by_keys("token"), &application(service)).expect("it fits");
        assert!(!envelope.message.contains("안녕"), "not a word of it");
        insta::assert_snapshot!(golden(&envelope, service));
    }
}

#[test]
fn a_time_to_live_stays_within_what_platforms_take() {
    for (asked, given) in [(0, "1"), (60, "60"), (u32::MAX, "2419200")] {
        let push = Payload {
            ttl_seconds: asked,
            ..payload(1, "token")
        };
        let envelope = envelope(&push, &application(Service::Fcm)).expect("it fits");
        assert_eq!(
            envelope.attributes,
            [("AWS.SNS.MOBILE.FCM.TTL", given.to_owned())]
        );
        assert!(inner(&envelope, Service::Fcm).contains(&format!("\"ttl\":\"{given}s\"")));
    }
}
