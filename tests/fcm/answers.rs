//! Every answer of Firebase, and every way to give none, through the real client.

use std::time::Duration;

use iyagi_actors::ports::{GatewayFault, PushGateway};
use iyagi_messages::push::FailureClass::{ConfigurationBroken, Transient, Unknown};

use super::fake::Reply;
use super::table::{self, Row, html, plain};
use super::{Stage, gateway, payload};

fn check(row: &Row, answer: Result<String, GatewayFault>, wrong: &mut Vec<String>) {
    let Err(fault) = answer else {
        wrong.push(format!("{}: accepted", row.name));
        return;
    };
    let waits = fault.retry_after.map(|wait| wait.as_secs());
    if fault.class != row.class
        || fault.code != row.code
        || waits != row.retry_after
        || !fault.detail.contains(row.says)
        || fault.detail.is_empty()
    {
        wrong.push(format!("{}: {fault:?}", row.name));
    }
}

#[tokio::test]
async fn every_answer_has_its_class_its_wait_and_its_reason_and_is_asked_for_once() {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    for (number, row) in table::rows().iter().enumerate() {
        let phone = format!("phone-{number}-of-which-nobody-may-read");
        stage.fcm.always(&phone, row.reply.clone());
        let answer = stage.gateway.send(&payload(1, &phone)).await;
        if let Err(fault) = &answer {
            assert!(!fault.detail.contains(&phone), "{fault}");
        }
        check(row, answer, &mut wrong);
        let asked = stage
            .fcm
            .seen()
            .calls
            .iter()
            .filter(|call| call.token() == phone)
            .count();
        // Once, and once more with a new access token if that was refused.
        let most = if row.name.starts_with("401") && row.class == ConfigurationBroken {
            2
        } else {
            1
        };
        if asked != most {
            wrong.push(format!("{}: asked {asked} times", row.name));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn what_is_taken_yields_firebases_name_for_it() {
    let stage = Stage::new();
    let name = stage.gateway.send(&payload(1, "phone")).await;
    assert_eq!(name.as_deref(), Ok("projects/iyagi-test/messages/1"));
    let seen = stage.fcm.seen();
    let call = &seen.calls[0];
    assert_eq!(
        (&*call.method, &*call.path),
        ("POST", "/v1/projects/iyagi-test/messages:send")
    );
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["authorization"], "Bearer ya29.token-1");
}

#[tokio::test]
async fn nothing_left_if_nobody_listens() {
    let stage = Stage::with(|settings| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("bound");
        settings.base_url = format!("http://{address}");
    });
    let fault = stage.gateway.send(&payload(1, "phone")).await;
    let fault = fault.expect_err("nobody is there");
    assert_eq!(
        (fault.class, &*fault.code),
        (Transient, "NotConnected"),
        "{fault}"
    );
    assert!(fault.detail.contains("refused"), "{fault}");
}

#[tokio::test]
async fn a_push_that_is_not_answered_in_time_may_have_been_taken() {
    let stage = Stage::new();
    // Connected before, so that all the time is the push's.
    stage
        .gateway
        .send(&payload(1, "phone"))
        .await
        .expect("taken");
    let settings = iyagi::fcm::FcmSettings {
        base_url: stage.fcm.url(),
        project_id: None,
        timeout: Duration::from_millis(800),
        max_in_flight: 1,
        sends_per_second: 8_000,
    };
    let hasty = gateway(&stage.tokens, &settings, &stage.clock);
    stage.fcm.next(Reply::Hold);
    let fault = hasty.send(&payload(2, "phone")).await;
    let fault = fault.expect_err("nothing is answered");
    assert_eq!((fault.class, &*fault.code), (Unknown, "Timeout"), "{fault}");
}

#[tokio::test]
async fn a_service_that_stumbles_thrice_or_lacks_a_key_is_not_ready_until_it_takes_a_push() {
    let stage = Stage::new();
    let condition = || stage.gateway.services().remove(0).1;
    assert!(condition().ready, "nothing is known against it");
    for stumble in 1..=3 {
        stage.fcm.next(plain(503, ""));
        stage
            .gateway
            .send(&payload(1, "phone"))
            .await
            .expect_err("as told");
        assert_eq!(condition().ready, stumble < 3, "{:?}", condition());
    }
    assert!(condition().detail.contains("503"), "{:?}", condition());
    stage
        .gateway
        .send(&payload(1, "phone"))
        .await
        .expect("taken");
    assert!(condition().ready, "{:?}", condition());
    stage.fcm.next(html(403));
    stage
        .gateway
        .send(&payload(1, "phone"))
        .await
        .expect_err("as told");
    assert!(
        condition().detail.contains("push.fcm.project_id"),
        "{:?}",
        condition()
    );
    stage
        .gateway
        .send(&payload(1, "phone"))
        .await
        .expect("taken");
    assert!(condition().ready, "{:?}", condition());
}
