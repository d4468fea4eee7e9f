//! Phones and keys that do not belong together.

use std::time::Duration;

use iyagi_actors::ports::PushGateway;
use iyagi_messages::push::FailureClass;

use super::fake::Reply;
use super::{Stage, fcm_error, google, payload};

fn mismatch() -> Reply {
    let details = [fcm_error("SENDER_ID_MISMATCH")];
    let body = google(403, "PERMISSION_DENIED", "SenderId mismatch", &details);
    Reply::Answer(403, Vec::new(), body)
}

#[tokio::test]
async fn a_key_of_the_wrong_project_costs_no_phone_and_is_told() {
    let stage = Stage::new();
    for number in 0..50 {
        let phone = format!("phone-{number}");
        stage.fcm.always(&phone, mismatch());
        let fault = stage.gateway.send(&payload(number, &phone)).await;
        let fault = fault.expect_err("it is refused");
        assert_eq!(
            (fault.class, &*fault.code),
            (FailureClass::Throttled, "SENDER_ID_MISMATCH")
        );
        assert_eq!(fault.retry_after, Some(Duration::from_mins(1)));
        assert!(fault.detail.contains("push.fcm.credential_file"), "{fault}");
    }
    let (_, condition) = stage.gateway.services().remove(0);
    assert!(!condition.ready);
    assert!(
        condition.detail.contains("push.fcm.credential_file"),
        "{condition:?}"
    );
    // Somebody puts it right.
    stage.fcm.be_well();
    stage
        .gateway
        .send(&payload(0, "phone-0"))
        .await
        .expect("taken");
    assert!(stage.gateway.services().remove(0).1.ready);
}

#[tokio::test]
async fn a_phone_of_another_project_is_dead_once_the_key_has_sent_to_others() {
    let stage = Stage::new();
    stage.fcm.always("stranger", mismatch());
    let stranger = payload(1, "stranger");
    let fault = stage.gateway.send(&stranger).await.expect_err("refused");
    assert_eq!(fault.class, FailureClass::Throttled);
    stage
        .gateway
        .send(&payload(2, "phone"))
        .await
        .expect("taken");
    let fault = stage.gateway.send(&stranger).await.expect_err("refused");
    assert_eq!(
        (fault.class, &*fault.code),
        (FailureClass::EndpointDead, "SENDER_ID_MISMATCH")
    );
}
