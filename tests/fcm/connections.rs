//! A few connections, and what becomes of the pushes on one that ends.

use std::io::{Read, Write};
use std::net::TcpListener;
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

/// A server that closes each connection in good order, and has looked at none of its requests.
fn closed_door() -> String {
    const PREFACE_BYTES: usize = 24;
    const HEADERS: u8 = 1;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // The last stream that was looked at is 0, the reason is none.
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            stream.write_all(&SETTINGS).expect("sent");
            stream.read_exact(&mut [0; PREFACE_BYTES]).expect("HTTP/2");
            let mut frame = [0; 9];
            while stream.read_exact(&mut frame).is_ok() {
                let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
                let mut payload = vec![0; length as usize];
                stream.read_exact(&mut payload).expect("a whole frame");
                if frame[3] == HEADERS {
                    stream.write_all(&GOAWAY).expect("sent");
                }
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_push_that_the_other_end_did_not_look_at_was_not_taken() {
    let stage = Stage::with(|settings| settings.base_url = closed_door());
    let fault = stage.gateway.send(&payload(1, "phone")).await;
    let fault = fault.expect_err("the door is closed");
    assert_eq!(
        (fault.class, &*fault.code),
        (FailureClass::Transient, "RequestNotTaken"),
        "{fault}"
    );
}
