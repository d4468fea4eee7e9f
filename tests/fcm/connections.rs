//! A few connections, and what becomes of the pushes on one that ends.

use std::time::Duration;

use futures_util::future::{join, join_all};
use iyagi_actors::ports::PushGateway;
use iyagi_messages::push::FailureClass;

use super::fake::Reply;
use super::{PATIENCE, Stage, payload};

/// Waits until so many pushes have come.
async fn come(stage: &Stage, calls: usize) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while stage.fcm.seen().calls.len() < calls {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("they come");
}

#[tokio::test]
async fn many_pushes_at_once_share_a_few_connections() {
    let stage = Stage::with(|settings| settings.max_in_flight = 200);
    for _ in 0..200 {
        stage.fcm.next(Reply::Hold);
    }
    let all = join_all((0..200).map(async |number| {
        let phone = format!("phone-{number}");
        stage.gateway.send(&payload(number, &phone)).await
    }));
    let release = async {
        come(&stage, 200).await;
        let (_, condition) = stage.gateway.services().remove(0);
        assert!(condition.detail.contains("200 in flight"), "{condition:?}");
        stage.fcm.release();
    };
    let (answers, ()) = join(all, release).await;
    assert!(answers.iter().all(Result::is_ok));
    let seen = stage.fcm.seen();
    assert_eq!((seen.connections, seen.in_flight_peak), (4, 200));
}

#[tokio::test]
async fn pushes_one_after_the_other_keep_their_connections() {
    let stage = Stage::new();
    for number in 0..200 {
        stage
            .gateway
            .send(&payload(number, "phone"))
            .await
            .expect("taken");
    }
    assert_eq!(stage.fcm.seen().connections, 2);
}

#[tokio::test]
async fn what_is_on_a_connection_that_ends_is_unknown_and_the_next_goes_over_another() {
    for end in [
        Reply::HangUp,
        Reply::GoAwayAndHangUp,
        Reply::Abort(h2::Reason::ENHANCE_YOUR_CALM),
    ] {
        let stage = Stage::new();
        let send = async |number: u64| {
            let phone = format!("phone-{number}");
            stage.gateway.send(&payload(number, &phone)).await
        };
        send(0).await.expect("taken");
        for _ in 0..18 {
            stage.fcm.next(Reply::Hold);
        }
        let held = join_all((1..19).map(send));
        // Connections take turns, so each of the two ends, under nine others.
        let ends = async {
            come(&stage, 19).await;
            stage.fcm.next(end.clone());
            stage.fcm.next(end.clone());
            join(send(19), send(20)).await
        };
        let (mut answers, (first, second)) = join(held, ends).await;
        answers.extend([first, second]);
        for answer in answers {
            let fault = answer.expect_err("the connection ended");
            assert_eq!(
                (fault.class, &*fault.code),
                (FailureClass::Unknown, "ConnectionLost"),
                "{end:?}: {fault}"
            );
        }
        assert_eq!(
            stage.fcm.seen().calls.len(),
            21,
            "{end:?}: none is repeated"
        );
        for number in 0..4 {
            stage
                .gateway
                .send(&payload(number, "phone"))
                .await
                .expect("taken");
        }
        assert_eq!(stage.fcm.seen().connections, 4, "{end:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_in_good_order_costs_no_push() {
    let stage = Stage::new();
    for number in 0..100 {
        if number % 10 == 9 {
            stage.fcm.next(Reply::GoAwayAndAccept);
        }
        stage
            .gateway
            .send(&payload(number, "phone"))
            .await
            .expect("taken");
    }
    let seen = stage.fcm.seen();
    assert_eq!(seen.calls.len(), 100);
    assert!((7..=12).contains(&seen.connections), "{}", seen.connections);
}
