//! What every queue promises.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::ports::queue::BATCH_MAX;
use crate::ports::{Outgoing, Queue, QueueFault, Received};

/// What the checks need of an adapter.
#[async_trait]
pub trait QueueHarness: Send + Sync {
    /// A fresh queue; a FIFO queue if asked.
    async fn queue(&self, fifo: bool) -> Arc<dyn Queue>;

    /// A fresh queue that sets messages aside after `max_receive_count` receives, and the queue that takes them.
    async fn with_dead_letters(
        &self,
        fifo: bool,
        max_receive_count: u32,
    ) -> (Arc<dyn Queue>, Arc<dyn Queue>);

    /// Lets time pass for the queues.
    async fn advance(&self, by: Duration);
}

const VISIBILITY: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(2);
/// Long enough for a service that hands messages out late.
const PATIENCE: Duration = Duration::from_secs(2);
const NO_WAIT: Duration = Duration::ZERO;

/// Every check.
pub async fn all(harness: &dyn QueueHarness) {
    a_message_is_received_until_it_is_deleted(harness).await;
    a_received_message_is_hidden_until_its_visibility_ends(harness).await;
    a_visibility_can_be_prolonged_and_given_up(harness).await;
    a_delayed_message_waits(harness).await;
    a_message_that_nobody_handles_is_set_aside(harness, false).await;
    a_message_that_nobody_handles_is_set_aside(harness, true).await;
    what_the_queue_does_not_take_is_refused_alone(harness).await;
    a_batch_out_of_bounds_is_refused_whole(harness).await;
    a_batch_of_large_messages_is_taken(harness).await;
    ten_receivers_never_share_a_message(harness).await;
    a_fifo_queue_needs_a_group_and_takes_no_delay(harness).await;
    a_group_comes_in_order_and_to_one_receiver_at_a_time(harness).await;
    an_old_receipt_of_a_fifo_queue_deletes_nothing(harness).await;
    a_duplicate_is_taken_once_even_after_the_first_is_deleted(harness).await;
    a_deduplication_id_is_forgotten_after_five_minutes(harness).await;
}

/// A message stays until it is deleted.
pub async fn a_message_is_received_until_it_is_deleted(harness: &dyn QueueHarness) {
    let queue = harness.queue(false).await;
    let sent = send(&*queue, text("한글 body")).await;
    let received = receive_one(&*queue, VISIBILITY).await;
    assert_eq!(received.message_id, sent);
    assert_eq!(received.body, "한글 body");
    assert_eq!(received.receive_count, 1);
    assert_eq!(received.group, None);
    queue.delete(&[received.receipt]).await.expect("deletes");
    harness.advance(VISIBILITY + SHORT).await;
    assert_eq!(receive(&*queue, NO_WAIT, VISIBILITY).await, vec![]);
}

/// While it is hidden nobody else gets it; then it comes again, counted.
pub async fn a_received_message_is_hidden_until_its_visibility_ends(harness: &dyn QueueHarness) {
    let queue = harness.queue(false).await;
    send(&*queue, text("job")).await;
    let first = receive_one(&*queue, SHORT).await;
    assert_eq!(receive(&*queue, NO_WAIT, SHORT).await, vec![]);
    harness.advance(SHORT).await;
    let second = receive_one(&*queue, SHORT).await;
    assert_eq!(second.message_id, first.message_id);
    assert_ne!(second.receipt, first.receipt);
    assert_eq!(second.receive_count, 2);
    assert_eq!(second.sent_at, first.sent_at);
}

/// A heartbeat keeps a message hidden; zero gives it back.
pub async fn a_visibility_can_be_prolonged_and_given_up(harness: &dyn QueueHarness) {
    let queue = harness.queue(false).await;
    send(&*queue, text("job")).await;
    let received = receive_one(&*queue, SHORT).await;
    let prolonged = queue.change_visibility(&received.receipt, VISIBILITY).await;
    assert_eq!(prolonged, Ok(()));
    let receipts = [received.receipt.clone(), "no receipt".to_owned()];
    let prolonged = queue.change_visibilities(&receipts, VISIBILITY).await;
    assert_eq!(prolonged[0], Ok(()));
    assert!(matches!(prolonged[1], Err(QueueFault::NotInFlight { .. })));
    harness.advance(SHORT * 2).await;
    assert_eq!(receive(&*queue, NO_WAIT, SHORT).await, vec![]);
    let given_up = queue
        .change_visibility(&received.receipt, Duration::ZERO)
        .await;
    assert_eq!(given_up, Ok(()));
    let again = receive_one(&*queue, VISIBILITY).await;
    assert_eq!(again.receive_count, 2);
}

/// A delay hides a message at first.
pub async fn a_delayed_message_waits(harness: &dyn QueueHarness) {
    let queue = harness.queue(false).await;
    let delayed = Outgoing {
        delay: SHORT,
        ..text("later")
    };
    send(&*queue, delayed).await;
    assert_eq!(receive(&*queue, NO_WAIT, VISIBILITY).await, vec![]);
    harness.advance(SHORT).await;
    assert_eq!(receive_one(&*queue, VISIBILITY).await.body, "later");
}

/// After so many receives a message is in the other queue, and only there.
pub async fn a_message_that_nobody_handles_is_set_aside(harness: &dyn QueueHarness, fifo: bool) {
    let (queue, dead_letters) = harness.with_dead_letters(fifo, 2).await;
    send(&*queue, poison(fifo, "poison", "1")).await;
    for count in 1..=2 {
        let received = receive_one(&*queue, SHORT).await;
        assert_eq!(received.receive_count, count);
        assert_eq!(receive(&*dead_letters, NO_WAIT, SHORT).await, vec![]);
        harness.advance(SHORT).await;
    }
    assert_eq!(receive(&*queue, PATIENCE, SHORT).await, vec![]);
    let dead = receive_one(&*dead_letters, VISIBILITY).await;
    assert_eq!(dead.body, "poison");
    assert_eq!(dead.group, fifo.then(|| "g".to_owned()));
    harness.advance(SHORT).await;
    assert_eq!(receive(&*queue, NO_WAIT, SHORT).await, vec![]);
    // What comes behind is not held up by it.
    send(&*queue, poison(fifo, "next", "2")).await;
    assert_eq!(receive_one(&*queue, VISIBILITY).await.body, "next");
}

/// In a batch every message has its own result.
pub async fn what_the_queue_does_not_take_is_refused_alone(harness: &dyn QueueHarness) {
    let queue = harness.queue(false).await;
    let batch = vec![text("a"), text(""), text("b")];
    let results = queue.send(batch).await.expect("the batch is in bounds");
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(matches!(results[1], Err(QueueFault::Refused { .. })));
    let large = queue.send(vec![text(&"x".repeat(1024 * 1024))]).await;
    assert!(large.expect("one message")[0].is_ok());
    let received = receive_until(&*queue, 3).await;
    assert_eq!(received.len(), 3);
    let too_large = queue.send(vec![text(&"x".repeat(1024 * 1024 + 1))]).await;
    let refused = match too_large {
        Err(fault) => fault,
        Ok(mut results) => results.remove(0).expect_err("more than 1 MiB is refused"),
    };
    assert!(matches!(refused, QueueFault::Refused { .. }), "{refused}");
}

/// Nothing of a batch that is too long is taken.
pub async fn a_batch_out_of_bounds_is_refused_whole(harness: &dyn QueueHarness) {
    let queue = harness.queue(false).await;
    for count in [0, BATCH_MAX + 1] {
        let refused = queue.send(vec![text("a"); count]).await;
        assert!(
            matches!(refused, Err(QueueFault::Refused { .. })),
            "{count}"
        );
    }
    for max in [0, BATCH_MAX + 1] {
        let refused = queue.receive(max, NO_WAIT, VISIBILITY).await;
        assert!(matches!(refused, Err(QueueFault::Refused { .. })), "{max}");
    }
    assert_eq!(receive(&*queue, NO_WAIT, VISIBILITY).await, vec![]);
}

/// The limit of a call's bytes is not the caller's business: only that of one message is.
pub async fn a_batch_of_large_messages_is_taken(harness: &dyn QueueHarness) {
    const LARGE: usize = 600 * 1024;
    let queue = harness.queue(true).await;
    let batch = ["1", "2", "3"].map(|body| in_group("g", &body.repeat(LARGE), body));
    let results = queue.send(batch.to_vec()).await.expect("in bounds");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    for body in ["1", "2", "3"] {
        let received = receive_at_most(&*queue, 1, VISIBILITY).await;
        assert!(received[0].body == body.repeat(LARGE), "in order: {body}");
        queue
            .delete(&[received[0].receipt.clone()])
            .await
            .expect("deletes");
    }
}

/// Many receivers share the work, not the messages.
pub async fn ten_receivers_never_share_a_message(harness: &dyn QueueHarness) {
    const MESSAGES: usize = 200;
    let queue = harness.queue(false).await;
    for batch in 0..MESSAGES / BATCH_MAX {
        let batch = (0..BATCH_MAX).map(|index| text(&format!("{batch}-{index}")));
        let results = queue.send(batch.collect()).await.expect("sends");
        assert!(results.iter().all(Result::is_ok));
    }
    let receivers = (0..10).map(|_| async {
        let mut bodies = Vec::new();
        loop {
            let received = queue.receive(3, NO_WAIT, VISIBILITY).await;
            let received = received.expect("receives");
            if received.is_empty() {
                return bodies;
            }
            bodies.extend(received.into_iter().map(|message| message.body));
        }
    });
    let bodies: Vec<_> = join_all(receivers).await.into_iter().flatten().collect();
    let different: BTreeSet<_> = bodies.iter().collect();
    assert_eq!(bodies.len(), MESSAGES);
    assert_eq!(different.len(), MESSAGES);
}

/// What a FIFO queue must know, and what it cannot do.
pub async fn a_fifo_queue_needs_a_group_and_takes_no_delay(harness: &dyn QueueHarness) {
    let queue = harness.queue(true).await;
    let wrong = [
        Outgoing {
            group: None,
            ..in_group("g", "a", "1")
        },
        Outgoing {
            deduplication_id: None,
            ..in_group("g", "a", "2")
        },
        Outgoing {
            delay: SHORT,
            ..in_group("g", "a", "3")
        },
    ];
    for message in wrong {
        let refused = match queue.send(vec![message.clone()]).await {
            Err(fault) => fault,
            Ok(mut results) => results.remove(0).expect_err("refused"),
        };
        assert!(matches!(refused, QueueFault::Refused { .. }), "{message:?}");
    }
    let standard = harness.queue(false).await;
    let sent = standard.send(vec![in_group("g", "a", "4")]).await;
    assert!(sent.is_err() || sent.is_ok_and(|results| results[0].is_err()));
}

/// A group waits for its message in flight; other groups do not.
pub async fn a_group_comes_in_order_and_to_one_receiver_at_a_time(harness: &dyn QueueHarness) {
    let queue = harness.queue(true).await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")] {
        send(&*queue, in_group(group, body, body)).await;
    }
    let first = receive_at_most(&*queue, 1, SHORT).await;
    assert_eq!(bodies(&first), ["a1"]);
    let others = receive(&*queue, PATIENCE, VISIBILITY).await;
    assert_eq!(bodies(&others), ["b1"]);
    queue
        .delete(&[first[0].receipt.clone()])
        .await
        .expect("deletes");
    let second = receive_at_most(&*queue, 1, SHORT).await;
    assert_eq!(bodies(&second), ["a2"]);
    assert_eq!(second[0].group.as_deref(), Some("a"));
    // Nobody handled it in time: it comes first again, before what was sent behind it.
    harness.advance(SHORT).await;
    let rest = receive(&*queue, PATIENCE, VISIBILITY).await;
    let rest: Vec<_> = bodies(&rest)
        .into_iter()
        .filter(|body| *body != "b1")
        .collect();
    assert_eq!(rest, ["a2", "a3"]);
}

/// Who was too slow cannot delete what someone else works on.
pub async fn an_old_receipt_of_a_fifo_queue_deletes_nothing(harness: &dyn QueueHarness) {
    let queue = harness.queue(true).await;
    send(&*queue, in_group("g", "job", "1")).await;
    let slow = receive_one(&*queue, SHORT).await;
    harness.advance(SHORT).await;
    let current = receive_one(&*queue, SHORT).await;
    // A service may call it an error or not; what counts is that the message stays.
    queue.delete(std::slice::from_ref(&slow.receipt)).await.ok();
    let hidden = queue.change_visibility(&slow.receipt, VISIBILITY).await;
    assert!(hidden.is_err());
    harness.advance(SHORT).await;
    let third = receive_one(&*queue, SHORT).await;
    assert_eq!(third.message_id, current.message_id);
}

/// A repeat answers with the id of the first.
pub async fn a_duplicate_is_taken_once_even_after_the_first_is_deleted(harness: &dyn QueueHarness) {
    let queue = harness.queue(true).await;
    let first = send(&*queue, in_group("g", "first", "same")).await;
    assert_eq!(send(&*queue, in_group("g", "second", "same")).await, first);
    let received = receive_one(&*queue, VISIBILITY).await;
    assert_eq!(received.body, "first");
    queue.delete(&[received.receipt]).await.expect("deletes");
    assert_eq!(send(&*queue, in_group("g", "third", "same")).await, first);
    assert_eq!(receive(&*queue, NO_WAIT, VISIBILITY).await, vec![]);
}

/// The window is five minutes from the first.
pub async fn a_deduplication_id_is_forgotten_after_five_minutes(harness: &dyn QueueHarness) {
    let queue = harness.queue(true).await;
    let first = send(&*queue, in_group("g", "first", "same")).await;
    harness.advance(Duration::from_mins(4)).await;
    assert_eq!(send(&*queue, in_group("g", "second", "same")).await, first);
    harness.advance(Duration::from_secs(61)).await;
    let fresh = send(&*queue, in_group("g", "third", "same")).await;
    assert_ne!(fresh, first);
    assert_eq!(bodies(&receive_until(&*queue, 2).await), ["first", "third"]);
}

fn text(body: &str) -> Outgoing {
    Outgoing {
        body: body.to_owned(),
        ..Outgoing::default()
    }
}

fn in_group(group: &str, body: &str, deduplication_id: &str) -> Outgoing {
    Outgoing {
        group: Some(group.to_owned()),
        deduplication_id: Some(deduplication_id.to_owned()),
        ..text(body)
    }
}

fn poison(fifo: bool, body: &str, deduplication_id: &str) -> Outgoing {
    if fifo {
        in_group("g", body, deduplication_id)
    } else {
        text(body)
    }
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received
        .iter()
        .map(|message| message.body.as_str())
        .collect()
}

async fn send(queue: &dyn Queue, message: Outgoing) -> String {
    let results = queue.send(vec![message]).await.expect("the queue answers");
    assert_eq!(results.len(), 1);
    let sent = results.into_iter().next().expect("one result");
    sent.expect("the message is taken").message_id
}

async fn receive(queue: &dyn Queue, wait: Duration, visibility: Duration) -> Vec<Received> {
    let received = queue.receive(BATCH_MAX, wait, visibility).await;
    received.expect("the queue answers")
}

async fn receive_at_most(queue: &dyn Queue, max: usize, visibility: Duration) -> Vec<Received> {
    let received = queue.receive(max, PATIENCE, visibility).await;
    received.expect("the queue answers")
}

async fn receive_one(queue: &dyn Queue, visibility: Duration) -> Received {
    let mut received = receive_at_most(queue, 1, visibility).await;
    assert_eq!(received.len(), 1, "one message is there");
    received.remove(0)
}

/// A service may hand out fewer at once than it has.
async fn receive_until(queue: &dyn Queue, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < count {
        let received = receive(queue, PATIENCE, VISIBILITY).await;
        assert!(!received.is_empty(), "{} of {count} came", all.len());
        all.extend(received);
    }
    all
}
