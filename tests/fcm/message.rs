//! What is sent, to the byte.

use iyagi::push_payload::PAYLOAD_BYTES_MAX;
use iyagi_actors::ports::{Payload, PushGateway};
use iyagi_messages::push::FailureClass;
use serde_json::Value;

use super::{Stage, payload};

async fn sent(payload: &Payload) -> String {
    let stage = Stage::new();
    stage.gateway.send(payload).await.expect("taken");
    stage.fcm.seen().calls[0].body.clone()
}

#[tokio::test]
async fn a_phone_gets_data_that_the_app_shows() {
    let body = sent(&payload(7, "token-of-a-phone")).await;
    let read: Value = serde_json::from_str(&body).expect("JSON");
    insta::assert_snapshot!(format!("{body}\n\n{read:#}"));
}

#[tokio::test]
async fn a_text_that_is_too_long_ends_in_an_ellipsis_and_a_long_token_costs_no_text() {
    let long = Payload {
        body: "가".repeat(10_000),
        ..payload(1, &"t".repeat(300))
    };
    let body: Value = serde_json::from_str(&sent(&long).await).expect("JSON");
    let mut message = body["message"].clone();
    let text = message["data"]["body"].as_str().expect("text");
    assert!(text.ends_with('…'));
    message.as_object_mut().expect("an object").remove("token");
    let bytes = message.to_string().len();
    assert!(
        (PAYLOAD_BYTES_MAX - 3..=PAYLOAD_BYTES_MAX).contains(&bytes),
        "{bytes}"
    );
}

#[tokio::test]
async fn what_is_left_to_live_is_the_time_to_live_within_what_firebase_takes() {
    for (left, ttl) in [(0, "1s"), (60, "60s"), (u32::MAX, "2419200s")] {
        let push = Payload {
            ttl_seconds: left,
            ..payload(1, "phone")
        };
        let body: Value = serde_json::from_str(&sent(&push).await).expect("JSON");
        assert_eq!(body["message"]["android"]["ttl"], ttl);
    }
}

#[tokio::test]
async fn ids_that_alone_are_too_much_are_never_sent() {
    let stage = Stage::new();
    let long = Payload {
        link: format!("iyagi://{}", "x".repeat(PAYLOAD_BYTES_MAX)),
        ..payload(1, "phone")
    };
    let fault = stage.gateway.send(&long).await.expect_err("nothing to cut");
    assert_eq!(
        (fault.class, &*fault.code),
        (FailureClass::Poison, "PayloadTooLarge")
    );
    assert_eq!(stage.fcm.seen().calls.len(), 0);
}
